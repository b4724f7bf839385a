# SPDX-License-Identifier: Apache-2.0
"""What somebody hostile may try: clients that end a session in the middle of a step, other users of the machine, a worker
or an admin process that was taken over, and surroundings that are not as they should be."""
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from lib.daemon import SANITIZER, environment
from lib.util import BINARY, wait_until

EX_UNAVAILABLE, EX_CONFIG = 69, 78


@pytest.fixture
def relay(postern, sink):
    return postern(domains=[{"name": "example.com", "deliver": sink.hop}])


# ---- clients

@pytest.mark.daily(2)
@pytest.mark.parametrize("how", ["reset", "gone"])
@pytest.mark.parametrize("last", ["STARTTLS", "QUIT", "NOOP", "GET / HTTP/1.0", "DATA", "many"])
def test_the_client_is_gone_before_its_answer(relay, last, how):
    """The worker reads a command whose answer it cannot send any more."""
    worker = relay.pid("relay-0")
    c = relay.client()
    c.ehlo()
    if last == "DATA":
        c.mail()
        c.rcpt("x@example.com")
    os.kill(worker, signal.SIGSTOP)
    c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<x@example.com>\r\nRSET\r\n" * 40 if last == "many" else last + "\r\n")
    if how == "reset":
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
    time.sleep(0.05)
    os.kill(worker, signal.SIGCONT)
    relay.wait_log("disconnect")
    relay.client().cmd("NOOP", 250)
    assert relay.pid("relay-0") == worker


@pytest.mark.daily(2)
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("end", ["QUIT", "GET / HTTP/1.0", "BDAT x"])
def test_more_behind_the_end(relay, end, tls):
    """The session has given way to others with the end of it read, and there is more to read."""
    worker = relay.pid("relay-0")
    c = relay.client()
    c.ehlo()
    if tls:
        c.starttls()
        c.ehlo()
    with contextlib.suppress(OSError):  # it may be reset: who sends more behind QUIT does not hear the answer
        c.send_slowly(b"NOOP\r\n" * 110 + end.encode() + b"\r\n" + b"X" * 40000, 1000)
    relay.wait_log("disconnect")
    relay.client().cmd("NOOP", 250)
    assert relay.pid("relay-0") == worker


def test_closed_sessions_do_not_pile_up(postern):
    """A session that was closed waits a moment for its client to read why; the limits do not count it any more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    relay = postern(domains=[{"name": "example.com", "deliver": "127.0.0.1:9"}],
                    limits={"connections": 50, "connections_per_client": 5})
    worker, clients = relay.pid("relay-0"), []
    before, most = len(os.listdir(f"/proc/{worker}/fd")), 0
    try:
        for _ in range(900):
            clients.append(socket.create_connection(("127.0.0.1", relay.port)))
            clients[-1].settimeout(5)
            clients[-1].sendall(b"GET / HTTP/1.0\r\n")
            got = b""
            while b"521 " not in got:
                more = clients[-1].recv(1000)
                assert more, got
                got += more
        most = len(os.listdir(f"/proc/{worker}/fd"))
    finally:
        for c in clients:
            c.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert most - before < 560
    relay.client().cmd("NOOP", 250)


def test_passwords_are_not_logged(relay):
    with relay.client() as c:
        c.ehlo()
        c.cmd("AUTH PLAIN AHVzZXIAc2VjcmV0", 502)
        c.cmd("AUTH PLAIN AHVzZXIAc2VjcmV0\x01", 500)
        c.cmd("AUTH PLAIN AHVzZXIAc2VjcmV0\xff", 501)
        c.cmd("auth", 501)
    relay.wait_log("(?s)stage=AUTH.*stage=AUTH.*stage=AUTH")
    assert "AHVzZXIAc2VjcmV0" not in relay.log()


@pytest.mark.root
@pytest.mark.slow
def test_no_timeout_while_a_message_goes_to_the_disk(disk, postern, sink):
    """Who is told of a timeout sends the message again, and it is there twice."""
    small = disk("ext4", 64)
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], timeouts={"command": "1s", "data": "1s"},
                    queue={"segment_size": "1M"}, system={"directory": str(small.path)})
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("slow@example.com")
        c.cmd("DATA", 354)
        with small.frozen():
            c.send("Subject: slow\r\n\r\n.\r\n")
            c.expect_silence(3)
        c.reply(250)
        c.quit()
    relay.wait_log("delivered")


# ---- other users of this machine

def test_nobody_else_can_keep_it_from_starting(relay):
    """The process id's file is locked by the one who runs; who can read a file can lock it."""
    pid_file = relay.folder / "run" / "postern.pid"
    assert pid_file.stat().st_mode & 0o777 == 0o600
    assert pid_file.read_text() == f"{relay.process.pid}\n"
    with open(pid_file) as f, pytest.raises(OSError):
        fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB)


@pytest.mark.root
@pytest.mark.parametrize("option,mode,owner", [("directory", 0o777, 0), ("directory", 0o755, 1),
                                               ("run_directory", 0o1777, 0), ("run_directory", 0o755, 1)])
def test_directories_of_others_are_refused(option, mode, owner):
    """Root makes files in them: whoever can write there could point it anywhere with a link."""
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        base.chmod(0o755)
        for name in ("directory", "run_directory"):
            (base / name).mkdir()
        (base / option).chmod(mode)
        os.chown(base / option, owner, 0)
        (base / "postern.yaml").write_text(json.dumps({
            "hostname": "mx.postern.example", "listeners": [{"address": "127.0.0.1:1"}],
            "domains": [{"name": "example.com", "deliver": "127.0.0.2:1"}],
            "system": {"directory": str(base / "directory"), "run_directory": str(base / "run_directory"),
                       "user": "nobody", "admin_user": "nobody"}}))
        done = subprocess.run([BINARY, "run", "-c", base / "postern.yaml"], capture_output=True, text=True, timeout=30,
                              env=environment())
        assert done.returncode == EX_CONFIG, done.stderr
        assert f"system.{option}: " in done.stderr and "must belong to root" in done.stderr
        assert sorted(p.name for p in (base / option).iterdir()) == []


# ---- odd surroundings

@pytest.mark.daily(1)
@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors(relay, closed):
    """Nothing of ours may get the numbers of standard input, output and error: the log would be written into it."""
    relay.stop()
    relay.process = subprocess.Popen(f"exec '{BINARY}' run -c '{relay.config_path}' {closed}", shell=True,
                                     env=environment(), start_new_session=True, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in ("relay-0", "admin"):
        relay.pid(name)
    relay.send("x@example.com")
    for pid in [relay.process.pid, *relay.processes()]:
        for fd in range(3):
            assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"


@pytest.mark.daily(1)
@pytest.mark.parametrize("files", range(13, 24))
def test_too_few_descriptors_to_start(relay, files):
    """Whatever the step at which they run out: it ends in order or runs, and no process is taken for another."""
    relay.stop()
    relay.write({"system": {"workers": 4}})

    def limit():
        PR_CAPBSET_DROP, CAP_SYS_RESOURCE = 24, 24  # who has it may raise the limit
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    before = relay.log().count(" master ready ")
    with open(relay.log_path, "ab") as log:
        relay.process = subprocess.Popen([BINARY, "run", "-c", relay.config_path], stderr=log, stdout=log,
                                         env=environment(), preexec_fn=limit, start_new_session=True)
    wait_until(lambda: relay.process.poll() is not None or relay.log().count(" master ready ") > before,
               lambda: f"it to run or end\n{relay.log_tail()}")
    if relay.process.poll() is None:
        relay.stop()
    else:
        assert relay.process.returncode in (1, EX_UNAVAILABLE, EX_CONFIG), relay.log_tail()
        assert "start-failed" in relay.log()
        relay.process = None
    relay.check_log()


# ---- a process that was taken over

def private_key(relay):
    text = subprocess.run(["openssl", "pkey", "-in", relay.folder / "data/tls/key.pem", "-text", "-noout"], check=True,
                          capture_output=True, text=True).stdout
    return bytes.fromhex("".join(text.split("priv:")[1].split("pub:")[0].split()).replace(":", ""))[-32:]


def copies(pid, secret):
    """How many are in the memory of a process, in either byte order."""
    n = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or "[v" in line or end - start > 1 << 30:
                continue
            try:
                memory.seek(start)
                found = memory.read(end - start)
            except OSError:
                continue
            n += found.count(secret) + found.count(secret[::-1])
    return n


@pytest.mark.slow
def test_the_private_key_is_the_workers_alone(relay):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    for again in (False, True):  # the second time the key comes from its file
        if again:
            relay.restart()
        key = private_key(relay)
        try:
            assert copies(relay.pid("relay-0"), key) == 1
            assert copies(relay.pid("admin"), key) == 0
        except PermissionError:
            pytest.skip("may not read the memory of other processes")


@pytest.mark.slow
def test_the_admin_process_ends_in_order_with_a_request_under_way(relay):
    """The master is killed while it is asked for the status."""
    os.kill(relay.process.pid, signal.SIGSTOP)
    asking = subprocess.Popen([BINARY, "status", "-c", relay.config_path], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    group = relay.process.pid
    os.kill(group, signal.SIGKILL)
    relay.process.wait()
    relay.process = None
    asking.wait(20)
    relay.wait_log("master-gone")
    wait_until(lambda: subprocess.run(["pgrep", "-g", str(group)], capture_output=True).returncode == 1,
               "its processes to end")
    assert "Fatal error" not in relay.log()


EVIL = "\x1b]0;owned\x07\x9b31m\x7f\r"
MESSAGE = {"id": "x" + EVIL, "state": EVIL, "sender": EVIL, "reason": EVIL, "k" + EVIL: 1,
           "recipients": [{"address": EVIL, "status": EVIL, "k" + EVIL: EVIL}]}


@pytest.mark.parametrize("command,status,answer", [
    (["queue", "list"], 200, {"messages": [MESSAGE], "matched": 1}),
    (["queue", "show", "6h00s3c8c0001"], 200, {"messages": [MESSAGE]}),
    (["queue", "list"], 400, {"error": "bad " + EVIL}),
    (["status"], 200, {"version": EVIL, "file": EVIL, "listeners": EVIL, "directory": EVIL,
                       "workers": [{"slot": 0, "pid": 1, "state": EVIL}], "figures": [{"pid": 1, "queue": {"a" + EVIL: 3}}]}),
    (["reload"], 409, {"ok": False, "error": EVIL, "file": EVIL, "findings": [{"text": EVIL, "hint": EVIL, "option": EVIL}]}),
])
def test_commands_print_no_control_characters(tmp_path, command, status, answer):
    body = json.dumps(answer).encode()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()

    def serve():
        c, _ = listening.accept()
        with c:
            c.recv(65536)
            c.sendall(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body)) + body)
    server = threading.Thread(target=serve)
    server.start()
    done = subprocess.run([BINARY, *command, "--socket", tmp_path / "s"], capture_output=True, env=environment(),
                          timeout=20)
    server.join()
    listening.close()
    shown = (done.stdout + done.stderr).decode()
    assert not SANITIZER.search(shown)
    assert shown and not [c for c in shown if (c < " " and c != "\n") or "\x7f" <= c < "\xa0"], shown
