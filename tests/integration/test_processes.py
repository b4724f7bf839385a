# SPDX-License-Identifier: Apache-2.0
"""The processes: what they may, what happens when they die, reload, and the end."""
import contextlib
import errno
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time

import pytest

from lib import inject
from lib.daemon import Postern, group_alive, environment
from lib.daemon import postern as command
from lib.smtp import Closed, queued_id, stuffed
from lib.util import BINARY, ROOT, free_port, listens, wait_until

RELEASE = ROOT / "build/postern"
root = pytest.mark.root


def workers(relay):
    """The pids of the relay processes of the newest generation, when all are ready."""
    def look():
        told = relay.status()
        ready = [w["pid"] for w in told["workers"] if w["state"] == "ready" and w["generation"] == told["generation"]]
        return ready if ready and len(ready) == told["slots"] else None
    return wait_until(look, relay.log_tail, 20, 0.05)


def admin(relay):
    return relay.pid("admin")


def store(relay):
    return relay.pid("store")


def other_worker(relay, former):
    """The pid of the worker that has taken the place of `former`."""
    def look():
        done = relay.command("status", "--json", check=None)
        if done.returncode:
            return None
        told = json.loads(done.stdout)
        return next((w["pid"] for w in told["workers"] if w["pid"] != former and w["state"] == "ready"), None)
    return wait_until(look, lambda: relay.log_tail(), 20, 0.1)


# ---- what they may

class Dropped:
    """A relay that gives up root, as it is run; in a folder that others may enter."""

    def __init__(self, binary):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-users-"))
        self.folder.chmod(0o755)
        self.daemon = Postern(self.folder / "relay", {"system": {"user": "nobody", "admin_user": "daemon", "workers": 2}}, start=False)
        self.daemon.binary = binary
        self.daemon.start()

    def stop(self):
        try:
            self.daemon.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module", params=["test", "release"])
def dropped(request):
    if request.param == "release" and not RELEASE.exists():
        pytest.skip("the release binary is not built: make")
    d = Dropped(RELEASE if request.param == "release" else BINARY)
    workers(d.daemon)
    d.daemon.filtered = "no-seccomp" not in d.daemon.log()  # a build with sanitizers has no filter
    assert d.daemon.filtered or request.param == "test"
    yield d.daemon
    d.stop()


def status_of(pid, task):
    text = pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@root
def test_privileges_are_gone(dropped):
    """User, groups, capabilities, no_new_privs, seccomp: of every thread."""
    wait_until(lambda: sorted(dropped.processes().values()) == ["admin", "relay-0", "relay-1", "store"], dropped.processes)
    for pid, name in dropped.processes().items():
        wait_until(lambda: status_of(pid, pid)["Seccomp"].strip() == ("2" if dropped.filtered else "0"), name)
        user = pwd.getpwnam("daemon" if name == "admin" else "nobody")
        tasks = os.listdir(f"/proc/{pid}/task")
        assert name == "admin" or len(tasks) > 1
        for task in tasks:
            s = status_of(pid, task)
            assert s["Uid"].split() == [str(user.pw_uid)] * 4 and s["Gid"].split() == [str(user.pw_gid)] * 4
            assert s["Groups"].split() in ([], [str(user.pw_gid)])
            assert all(int(s[cap], 16) == 0 for cap in ("CapPrm", "CapEff", "CapInh", "CapAmb"))
            assert s["NoNewPrivs"].strip() == "1", (name, task)
            assert s["Seccomp"].strip() == ("2" if dropped.filtered else "0"), (name, task)
    assert "no-landlock" not in dropped.log()


@root
def test_owners_and_modes(dropped):
    data, run = dropped.folder / "data", dropped.folder / "run"
    spools = sorted((data / "spool").iterdir())
    assert len(spools) == 2
    for folder in [data / "spool", *spools]:
        s = folder.stat()
        assert (stat.S_IMODE(s.st_mode), s.st_uid) == (0o700, pwd.getpwnam("nobody").pw_uid), folder
    key = (data / "tls/key.pem").stat()
    assert stat.S_IMODE(key.st_mode) == 0o600 and key.st_uid == 0
    control = (run / "control.sock").stat()
    assert stat.S_IMODE(control.st_mode) == 0o660 and (control.st_uid, control.st_gid) == (0, pwd.getpwnam("daemon").pw_gid)
    assert not (data.stat().st_mode | run.stat().st_mode) & 0o022


@root
def test_who_may_use_the_control_socket(dropped):
    path = str(dropped.folder / "run/control.sock")
    for user, allowed in (("nobody", False), ("daemon", True)):
        entry = pwd.getpwnam(user)
        done = subprocess.run([str(BINARY), "queue", "list", "--socket", path], capture_output=True, text=True, timeout=20,
                              env=environment(), user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
        assert done.returncode == (0 if allowed else 77), done
        assert allowed or "permission" in done.stderr and path in done.stderr


@root
def test_descriptors_are_few(dropped):
    """A worker keeps nothing of the master's or of other workers'."""
    for pid, name in dropped.processes().items():
        targets = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        files = {t for t in targets if t.startswith("/")} - {str(dropped.log_path), "/dev/null", "/dev/urandom"}
        if name == "admin":
            assert all(f.startswith(str(dropped.folder / "data/admin/admin.db")) for f in files), files
        elif name == "store":
            assert all(f.startswith(str(dropped.folder / "data/store") + "/") for f in files), files
        else:
            spools = {str(pathlib.Path(f).relative_to(dropped.folder / "data/spool")).split("/")[0] for f in files}
            assert len(spools) == 1, files
        assert len(targets) < 40


def attempt(pid, *call):
    inject.in_a_system_call(pid)
    return -inject.system_call(pid, *call)


@root
@pytest.mark.skipif(not inject.available, reason="needs x86-64")
def test_somebody_who_took_a_worker_over_reaches_no_files(postern, tmp_path):
    """The relay keeps root here, so it is Landlock alone that says no."""
    relay = postern()
    for pid in (workers(relay)[0], admin(relay), store(relay)):
        for path in ("/etc/shadow", str(relay.config_path), str(relay.folder / "data/tls/key.pem"), "/root", "/proc/1/environ",
                     f"/proc/{relay.process.pid}/mem", "/", str(relay.folder / "run/postern.pid")):
            assert attempt(pid, "openat", -100, path.encode(), os.O_RDONLY, 0) == errno.EACCES, path
        for path in ("/tmp/postern-was-here", str(tmp_path / "x"), str(relay.folder / "data/x"), "/etc/hosts"):
            assert attempt(pid, "openat", -100, path.encode(), os.O_WRONLY | os.O_CREAT, 0o600) in (errno.EACCES, errno.EPERM), path
        assert attempt(pid, "mkdir", str(relay.folder / "data/x").encode(), 0o700) in (errno.EACCES, errno.ENOSYS)
        assert attempt(pid, "unlink", str(relay.config_path).encode()) in (errno.EACCES, errno.ENOSYS)
        if "no-seccomp" in relay.log():
            assert attempt(pid, "execve", b"/bin/true", 0, 0) == errno.EACCES
    for pid in (workers(relay)[0], admin(relay)):  # who wrote to whom
        assert attempt(pid, "openat", -100, str(relay.folder / "data/store/history.db").encode(), os.O_RDONLY, 0) == errno.EACCES
    worker = workers(relay)[0]
    assert attempt(worker, "openat", -100, str(relay.folder / "data/spool/probe").encode(), os.O_WRONLY | os.O_CREAT, 0o600) <= 0
    assert relay.send("a@foreign.example").code == 250  # and is none the worse for it


@root
@pytest.mark.skipif(not inject.available, reason="needs x86-64")
def test_system_calls_a_worker_does_not_need(dropped):
    if not dropped.filtered:
        pytest.skip("built with a sanitizer")
    worker = workers(dropped)[0]
    for call in (("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0), ("socket", socket.AF_PACKET, socket.SOCK_RAW, 0),
                 ("socket", socket.AF_INET, socket.SOCK_RAW, 255), ("kill", os.getpid(), 0), ("kill", dropped.process.pid, 0)):
        assert attempt(worker, *call) in (errno.ENOSYS, errno.EPERM), call
    for call in (("socket", socket.AF_INET, socket.SOCK_STREAM, 0), ("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)):
        assert attempt(store(dropped), *call) in (errno.ENOSYS, errno.EPERM), call
    for name in ("admin", "worker", "store"):
        for call in (("execve", b"/bin/sh", 0, 0), ("ptrace", 16, dropped.process.pid, 0, 0), ("setuid", 0), ("unshare", 0x10000000),
                     ("bpf", 0, 0, 0)):
            pid = {"admin": admin, "store": store}.get(name, lambda relay: workers(relay)[1])(dropped)
            with pytest.raises(inject.Ended) as ended:
                attempt(pid, *call)
            assert ended.value.signal == signal.SIGSYS, (name, call)
            wait_until(lambda: dropped.command("status", check=None).returncode == 0, dropped.log_tail, 40, 0.2)
            break  # each death makes the next pause longer


@root
def test_users_that_cannot_be(tmp_path):
    for user, words in (("nosuchuser", "useradd"), ("root", "without privileges")):
        for option in ("user", "admin_user"):
            relay = Postern(tmp_path / f"{user}-{option}", {"system": {option: user}}, start=False)
            done = command("run", "-c", relay.config_path, check=78)
            assert user in done.stderr and words in done.stderr


@root
def test_users_that_are_missing_are_told_together(tmp_path):
    """By the check, too: what `run` meets first is not all there is to make."""
    relay = Postern(tmp_path / "relay", {"system": {"user": "nosuchuser", "admin_user": "nobody", "auth_user": "notneeded",
                                                    "store_user": "nosuchstore"}}, start=False)
    hint = "make them with `useradd --system nosuchuser && useradd --system nosuchstore`"
    done = command("check", "-c", relay.config_path, check=0)
    assert 'there is no user "nosuchuser", nor "nosuchstore" on this machine' in done.stdout and hint in done.stdout, done.stdout
    [found] = [f for f in json.loads(command("check", "--json", "-c", relay.config_path, check=0).stdout)["findings"] if f["option"] == "system"]
    assert found["severity"] == "warning" and hint in found["hint"]
    done = command("run", "-c", relay.config_path, check=78)
    assert hint in done.stderr and "notneeded" not in done.stderr, done.stderr
    relay.write({"system": {"user": "nobody", "store_user": "nobody"}})
    assert "useradd" not in command("check", "-c", relay.config_path, check=0).stdout


@root
def test_a_folder_others_could_change_is_refused(tmp_path):
    """Who may write where the spool is could put something else in its place."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-open-"))
    try:
        relay = Postern(folder / "relay", {"system": {"user": "nobody", "admin_user": "daemon"}}, start=False)
        (folder / "relay/data").chmod(0o777)
        done = command("run", "-c", relay.config_path)
        assert done.returncode != 0 and "system.directory" in done.stderr, done.stderr
    finally:
        shutil.rmtree(folder)


# ---- deaths

@pytest.fixture
def busy(postern, make_sink):
    """A relay with mail that waits for a server that is not there yet: busy.come() starts it."""
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": f"127.0.0.1:{port}"}])
    relay.come = lambda: make_sink(port=port)
    return relay


def test_worker_is_killed(busy):
    """Another takes its place and its mail; sessions of the dead one end, new ones come through."""
    busy.send("before@example.com")
    pid = workers(busy)[0]
    with busy.client() as c:
        c.ehlo()
        os.kill(pid, signal.SIGKILL)
        c.expect_closed()
    wait_until(lambda: "worker-ended" in busy.log(), busy.log_tail)
    other = other_worker(busy, pid)
    assert other != pid and "by=signal code=9" in busy.log()
    busy.send("after@example.com")
    sink = busy.come()
    sink.wait_to("before@example.com", seconds=30)
    sink.wait_to("after@example.com", seconds=30)
    busy.wait_queue_empty()


def test_connections_wait_while_a_worker_is_replaced(busy):
    """Who connects between a worker's death and the next one's start is served by the next one."""
    for _ in range(2):
        pid = workers(busy)[0]
        os.kill(pid, signal.SIGKILL)
        with busy.client() as c:
            c.ehlo()
            c.message("a@example.com")
        other_worker(busy, pid)


@pytest.mark.slow
def test_pause_grows(busy):
    """A worker that dies again and again is not started again and again without pause; mail waits meanwhile."""
    busy.send("kept@example.com")
    pid = workers(busy)[0]
    for _ in range(3):
        os.kill(pid, signal.SIGKILL)
        pid = other_worker(busy, pid)
    pauses = [int(p) for p in re.findall(r"restart-pause .*seconds=(\d+)", busy.log())]
    assert pauses == [1, 2], busy.log_tail()
    busy.come().wait_to("kept@example.com", seconds=30)


def test_all_workers_are_killed_at_once(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], system={"workers": 4})
    pids = workers(relay)
    assert len(pids) == 4
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(workers(relay)) & set(pids), relay.log_tail, 20, 0.1)
    for i in range(8):
        relay.send(f"u{i}@example.com")
    for i in range(8):
        sink.wait_to(f"u{i}@example.com")


@pytest.mark.slow
def test_a_worker_that_hangs_does_not_keep_the_others(postern, sink):
    """A stopped process is as good as a worker in an endless loop: commands say what is missing, and do not hang."""
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], system={"workers": 2})
    pid = workers(relay)[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert "1 workers have not answered" in relay.command("status").stdout
        done = command("queue", "list", "-c", relay.config_path, timeout=90, check=0)
        assert "some worker has not answered" in done.stderr
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not relay.command("queue", "list").stderr, relay.log_tail)


def test_admin_is_killed(busy):
    """Mail does not notice; commands work again at once."""
    busy.send("a@example.com")
    pid = admin(busy)
    with busy.client() as c:
        c.ehlo()
        os.kill(pid, signal.SIGKILL)
        c.message("b@example.com")
    wait_until(lambda: admin(busy) != pid, busy.log_tail)
    wait_until(lambda: busy.command("queue", "list", check=None).returncode == 0, busy.log_tail, 20, 0.1)
    assert len(busy.queue()) == 2
    busy.command("reload")


@pytest.mark.slow
def test_master_is_killed(busy):
    """Its workers end by themselves; the next start finds all mail, at once and although they may still be draining."""
    busy.send("a@example.com")
    group = busy.process.pid
    with busy.client() as c:
        c.ehlo()
        busy.process.kill()
        busy.process.wait()
        wait_until(lambda: not listens(busy.port), "the former worker to close its port")
        busy.start()
        c.cmd("NOOP", (250, 421))
    busy.send("b@example.com")
    sink = busy.come()
    sink.wait_to("a@example.com", seconds=40)
    sink.wait_to("b@example.com", seconds=40)
    wait_until(lambda: not group_alive(group), "the processes of the first master to end", 30)


# ---- the end

def test_end_waits_for_a_session_in_its_text(postern, make_sink):
    """SIGTERM: no new connections, but a message under way is taken, and there after the next start."""
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": f"127.0.0.1:{port}"}], system={"drain": "20s"})
    busy = relay.client()
    busy.ehlo()
    busy.mail()
    busy.rcpt("last@example.com")
    busy.cmd("DATA", 354)
    busy.send(b"Subject: x\r\n\r\nfirst half\r\n")
    relay.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not listens(relay.port), "the port to be closed")
    with pytest.raises(ConnectionRefusedError):
        relay.client()
    time.sleep(0.3)
    assert relay.process.poll() is None
    busy.send(b"second half\r\n.\r\n")
    id = queued_id(busy.reply(250))
    busy.quit()
    busy.close()
    relay.stop()
    relay.start()
    assert [m["id"] for m in relay.wait_queued(1)] == [id]
    assert make_sink(port=port).wait_to("last@example.com", seconds=30).body == b"first half\r\nsecond half\r\n"


@pytest.mark.slow
def test_end_tells_who_is_idle(postern):
    """421 between two commands, after a moment of grace."""
    relay = postern(system={"drain": "20s"})
    with relay.client() as c:
        c.ehlo()
        relay.process.send_signal(signal.SIGTERM)
        c.reply(421)
        c.expect_closed()
    relay.stop(seconds=15)


def test_end_does_not_wait_for_ever(postern):
    relay = postern(domains=[{"name": "example.com", "deliver": "127.0.0.1:9"}], system={"drain": "1s"})
    c = relay.client()
    c.ehlo()
    c.mail()
    c.rcpt("a@example.com")
    c.cmd("DATA", 354)
    c.send(b"Subject: x\r\n\r\nnever ends\r\n")
    began = time.monotonic()
    relay.stop(seconds=25)
    assert time.monotonic() - began < 20
    assert [r.code for r in c.drain()] in ([421], [])


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_is_impatient(postern, sig):
    relay = postern(domains=[{"name": "example.com", "deliver": "127.0.0.1:9"}], system={"drain": "10m"})
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("a@example.com")
        c.cmd("DATA", 354)
        relay.process.send_signal(sig)
        wait_until(lambda: not listens(relay.port), "the port to be closed")
        time.sleep(0.2)
        assert relay.process.poll() is None
        relay.stop(sig, seconds=20)


def test_commands_while_it_stops(postern):
    relay = postern(domains=[{"name": "example.com", "deliver": "127.0.0.1:9"}], system={"drain": "10m"})
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("a@example.com")
        c.cmd("DATA", 354)
        relay.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(relay.port), "the port to be closed")
        assert "stopping" in relay.command("status").stdout
        assert "being stopped" in relay.command("reload", check=None).stderr
        relay.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert not listens(relay.port)
        c.send(stuffed("Subject: x\n\nx\n"))
        c.reply(250)
    relay.stop()


def test_the_service_manager_is_told(postern):
    relay = postern()  # which has waited for READY=1
    told = relay.told
    relay.command("reload")
    assert told.recv(500).startswith(b"RELOADING=1\nMONOTONIC_USEC=") and told.recv(500).startswith(b"READY=1")
    relay.stop()
    assert told.recv(500).startswith(b"STOPPING=1")


# ---- reload

def test_a_broken_file_changes_nothing(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    pids, text = workers(relay), relay.config_path.read_text()
    for broken, words in (("{", ""), (text.replace('"hostname"', '"hostnam"'), "did you mean hostname?"), ("", "missing"),
                          (text.replace('"trust": "relay"', '"trust": "realy"'), "did you mean relay?"),
                          ('{"hostname": "mx.postern.example", "tls": {"certificate": "/none", "key": "/none"}}', "/none")):
        relay.config_path.write_text(broken)
        there = ["-c", relay.config_path] if "run_directory" in broken else ["--socket", relay.folder / "run/control.sock"]
        done = command("reload", *there)
        assert done.returncode == 78 and words in done.stderr and re.search(r"postern.yaml:\d+:\d+: error", done.stderr), done
        assert "former" in done.stderr and "in force" in done.stderr
    before = relay.log().count("reload-failed")
    relay.process.send_signal(signal.SIGHUP)
    wait_until(lambda: relay.log().count("reload-failed") > before, relay.log_tail)
    assert re.search(r"error master configuration .*line=\d+ column=\d+ option=tls.certificate .*text=", relay.log())
    relay.config_path.write_text(text)
    assert workers(relay) == pids
    relay.send("a@example.com")
    sink.wait_to("a@example.com")
    relay.command("reload")
    assert workers(relay) != pids
    relay.send("b@example.com")
    sink.wait_to("b@example.com")


def test_reload_adds_and_removes(postern, make_sink):
    """Listeners, domains, the number of workers; a session on a listener that goes keeps its configuration to its end."""
    one, two = make_sink(), make_sink()
    relay = postern(domains=[{"name": "one.example", "deliver": one.hop}])
    old = relay.client()
    old.ehlo()
    more = free_port()
    relay.write({"domains": [{"name": "two.example", "deliver": two.hop}], "routes": [{"to": "one.example", "via": one.hop}],
                 "listeners": [{"address": f"127.0.0.1:{more}"}],
                 "system": {"workers": 3}})
    assert "error" not in relay.command("reload").stderr
    wait_until(lambda: not listens(relay.port), "the first port to be closed")
    assert len(workers(relay)) == 3
    old.message("a@one.example")
    old.cmd("QUIT", None)
    relay.port = more
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("a@one.example", 550)
        c.cmd("RSET", 250)
        c.message("b@two.example")
    two.wait_to("b@two.example")
    one.wait_to("a@one.example", seconds=30)
    relay.write({"system": {"workers": 1}})
    relay.command("reload")
    wait_until(lambda: len(relay.processes()) == 3, lambda: relay.processes(), 30)
    relay.send("c@two.example")
    two.wait_to("c@two.example")


def test_a_port_that_is_taken_is_no_reload(postern, make_sink):
    sink = make_sink()
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    taken = make_sink()
    relay.write({"listeners": [{"address": f"127.0.0.1:{relay.port}"}, {"address": f"127.0.0.1:{taken.port}"}]})
    done = relay.command("reload", check=None)
    assert done.returncode != 0 and "listeners[1].address" in done.stderr and str(taken.port) in done.stderr
    relay.send("a@example.com")
    sink.wait_to("a@example.com")


def test_what_needs_a_restart_is_said(postern, tmp_path):
    relay = postern()
    relay.write({"system": {"directory": str(tmp_path / "elsewhere")}})
    done = relay.command("reload")
    assert "system.directory" in done.stdout + done.stderr and "restart" in done.stdout + done.stderr
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
def test_many_reloads_at_once(postern, sink):
    """Signals and commands, faster than workers start, while mail comes in: every connection is served, no process is left
    behind."""
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    sent, failed = [], []

    def send():
        for i in range(40):
            try:
                with relay.client() as c:
                    c.ehlo()
                    c.message(f"r{i}@example.com")
                    sent.append(f"r{i}@example.com")
            except Closed:  # told to go between two commands: 421 and a try later is fine
                pass
            except AssertionError as e:
                if "421" not in str(e):
                    failed.append(e)
            except OSError as e:
                failed.append(e)
    threads = [threading.Thread(target=send), threading.Thread(target=lambda: [relay.command("reload") for _ in range(3)])]
    for t in threads:
        t.start()
    for _ in range(20):
        relay.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    for t in threads:
        t.join()
    assert not failed and len(sent) > 20
    for to in sent:
        sink.wait_to(to, seconds=30)
    wait_until(lambda: len(relay.processes()) == 3, lambda: relay.processes(), 30)
    relay.wait_queue_empty()


# ---- two of them

def test_second_instance_on_the_same_port(postern, tmp_path):
    """Refused, naming the option, whoever has the port: with SO_REUSEPORT two relays would share the connections."""
    relay = postern()
    for address in (f"127.0.0.1:{relay.port}", f"*:{relay.port}"):
        other = Postern(tmp_path / f"other{address[0]}", {"listeners": [{"address": address}]}, start=False)
        done = command("run", "-c", other.config_path, check=69)
        assert "listeners[0].address" in done.stderr and address in done.stderr and "in use" in done.stderr
    for _ in range(5):
        relay.client().close()


def test_second_instance_with_the_same_folders(postern, tmp_path):
    relay = postern()
    other = Postern(tmp_path / "other", {"system": {"run_directory": str(relay.folder / "run")}}, start=False)
    done = command("run", "-c", other.config_path, check=69)
    assert "running already" in done.stderr and str(relay.process.pid) in done.stderr
    assert relay.command("status").stdout  # its socket is still there
    other = Postern(tmp_path / "third", {"system": {"directory": str(relay.folder / "data")}}, start=False)
    process = subprocess.Popen([str(BINARY), "run", "-c", str(other.config_path)], stderr=subprocess.PIPE, text=True, env=environment())
    try:
        time.sleep(1)
        assert relay.send("a@foreign.example").code == 250
        assert len(relay.queue()) == 1
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert len(relay.queue()) == 1


def test_start_that_cannot_be(tmp_path):
    """Each with a sentence and a code."""
    for changes, words in (({"listeners": [{"address": "192.0.2.77:2525"}]}, "listeners[0].address"),
                           ({"system": {"directory": "/proc/postern"}}, "/proc/postern"),
                           ({"system": {"run_directory": "/tmp/" + "x" * 120}}, "system.run_directory"),
                           ({"tls": {"certificate": "/none", "key": "/none"}}, "tls.certificate")):
        relay = Postern(tmp_path / str(len(words)), changes, start=False)
        done = command("run", "-c", relay.config_path)
        assert done.returncode in (69, 78) and words in done.stderr, done
    shutil.rmtree("/tmp/" + "x" * 120, ignore_errors=True)


@root
def test_port_below_1024_without_root(tmp_path):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-low-"))
    try:
        relay = Postern(folder / "relay", {"listeners": [{"address": "127.0.0.47:25"}]}, start=False)
        subprocess.run(["chown", "-R", "nobody", str(folder)], check=True)
        done = subprocess.run([str(BINARY), "run", "-c", str(relay.config_path)], capture_output=True, text=True, timeout=20,
                              user="nobody", env=environment())
        if done.returncode == 0 or "listen" not in done.stderr:
            pytest.skip("the machine lets everybody bind low ports")
        assert done.returncode == 69 and "listeners[0].address" in done.stderr and "root" in done.stderr
    finally:
        shutil.rmtree(folder)


# ---- the control socket

@pytest.mark.parametrize("request_", [
    b"GET /v1/queue/" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/queue/../status HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /v1/queue?limit=-1&sort=%00&sender=%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/queue?limit=99999999999999999999 HTTP/1.1\r\nHost: x\r\n\r\n", b"DELETE /v1/queue HTTP/1.1\r\nHost: x\r\n\r\n",
    *(b"POST /v1/queue/delete HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body) for body in (
        b"", b"null", b"[]", b"{}", b'{"all":false}', b'{"all":"yes"}', b'{"ids":[]}', b'{"ids":["x"]}', b'{"ids":[1]}', b'{"ids":"all"}',
        b'{"sender":1}', b'{"bogus":1}', b'{"all":true,"all":true}', b'{"limit":5}', b"[" * 100000, b'{"sender":"\xff"}', b'{"sender":null}')),
], ids=lambda r: ascii(r[:16] + r[-24:]))
@pytest.mark.daily(8)
def test_nonsense_on_the_control_socket(dropped, request_):
    """Refused, and nothing is deleted."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(dropped.folder / "run/control.sock"))
        with contextlib.suppress(BrokenPipeError):
            s.sendall(request_)
        s.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            answer = s.recv(1000)
            assert not answer or re.match(rb"HTTP/1.[01] 4\d\d ", answer), answer
    assert dropped.command("status").returncode == 0
