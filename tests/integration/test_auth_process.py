# SPDX-License-Identifier: Apache-2.0
"""The auth process as it is run: as a user of its own, in its sandbox, with secrets that nobody else has in memory; and what becomes of
clients and mail while it is away."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

from lib.authservers import self_signed
from lib.certs import Pair
from lib.daemon import Postern
from lib.daemon import postern as command
from lib.sasl import USER, TokenServer, auth_rule
from lib.sink import Sink
from lib.smtp import Smtp
from lib.util import free_port, wait_until
from test_auth import plain
from test_smarthost_auth import tls_context

SECRET = "hop-p4ssword-in-the-configuration"
pytestmark = pytest.mark.root


@pytest.fixture
def folder():
    """Others may enter it, unlike pytest's."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="postern-auth-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def hop(folder):
    """A next hop that wants to be logged in to, with SECRET."""
    sink = Sink(tls=tls_context(self_signed(folder)), extensions=["AUTH PLAIN"])
    sink.on("auth", auth_rule(["235 2.7.0 ok"]))
    yield sink
    sink.stop()


@pytest.fixture
def dropped(folder, hop):
    """dropped(**changes): a relay that gives up root, with a user of its own for each kind of process."""
    made = []

    def make(**changes):
        daemon = Postern(folder / f"relay{len(made)}", {"system": {"user": "nobody", "admin_user": "daemon", "auth_user": "mail"}}, start=False)
        daemon.submission = free_port()
        daemon.write({"listeners": [{"address": f"127.0.0.1:{daemon.port}"},
                                    {"address": f"127.0.0.1:{daemon.submission}", "role": "submission", "tls": "offer"}],
                      "auth": {"backend": "users", "failures": 0},
                      "smarthost": {"host": "127.0.0.1", "port": hop.port, "tls": "encrypt", "user": USER, "password": SECRET}})
        daemon.write(changes)
        command("user", "add", "anna@example.com", "-c", daemon.config_path, stdin="secret word\n", check=0)
        made.append(daemon)
        daemon.start()
        return daemon
    yield make
    for daemon in made:
        daemon.stop()


def processes(relay):
    """{"auth": [pid], ...} with the master."""
    out = {"master": [relay.process.pid]}
    for pid, name in relay.processes().items():
        out.setdefault(name, []).append(pid)
    return out


def pages_with_something(pagemap, start, end):
    """(start, end) of each stretch of memory that is not merely reserved: the rest, most of it with a sanitizer, holds nothing, and to read
    it would make pages of it. Each page has 8 bytes in /proc/PID/pagemap; the highest two bits say that it is in memory or swapped out."""
    page = os.sysconf("SC_PAGESIZE")
    pagemap.seek(start // page * 8)
    for stretch in re.finditer(rb"[\x40-\xff]+", pagemap.read((end - start) // page * 8)[7::8]):
        yield start + stretch.start() * page, start + stretch.end() * page


def memory_has(pid, words):
    """Those of words that are in the process's memory; none, when it has ended meanwhile."""
    found = set()
    if not pathlib.Path(f"/proc/{pid}/maps").exists():
        return found
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        for line in maps:
            start, end, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if not mode.startswith("rw") or int(end, 16) - int(start, 16) > 1 << 30:
                continue
            for first, last in pages_with_something(pagemap, int(start, 16), int(end, 16)):
                try:
                    memory.seek(first)
                    text = memory.read(last - first)
                except OSError:
                    continue
                found |= {word for word in words if word.encode() in text}
    return found


def log_in(relay, password="secret word"):
    with Smtp(relay.submission, source="127.0.0.1") as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        return c.cmd("AUTH PLAIN " + plain("anna@example.com", password)).code


def test_a_user_of_its_own(dropped, folder):
    r = dropped()
    assert log_in(r) == 235
    pid, mail = r.pid("auth"), pwd.getpwnam("mail")
    filtered = "no-seccomp" not in r.log()
    for task in os.listdir(f"/proc/{pid}/task"):
        s = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text().splitlines() if ":\t" in line)
        assert s["Uid"].split() == [str(mail.pw_uid)] * 4 and s["Gid"].split() == [str(mail.pw_gid)] * 4
        assert s["Groups"].split() in ([], [str(mail.pw_gid)])
        assert all(int(s[cap], 16) == 0 for cap in ("CapPrm", "CapEff", "CapInh", "CapAmb"))
        assert s["NoNewPrivs"].strip() == "1" and s["Seccomp"].strip() == ("2" if filtered else "0")
    assert "no-landlock" not in r.log()
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # as it is for one that cannot be dumped
    users = (pathlib.Path(r.config["system"]["directory"]) / "users").stat()
    assert (users.st_uid, users.st_gid, users.st_mode & 0o777) == (0, mail.pw_gid, 0o640)
    for fd in os.listdir(f"/proc/{pid}/fd"):  # nothing of the master's: no listeners, no locks, no files
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        assert int(fd) < 3 or target.startswith(("socket:", "anon_inode:", "pipe:")), target
    listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True).stdout
    assert f"pid={pid}," not in listening


@pytest.mark.slow
def test_who_has_the_secrets(dropped, hop):
    """The password of a hop is in the memory of the master, which reads the file, and of the auth process."""
    r = dropped()
    r.send("to@other.example")
    hop.wait_to("to@other.example")
    log_in(r)
    for _ in range(2):
        own = processes(r)
        assert memory_has(own["auth"][0], [SECRET]) == {SECRET}
        for name, pids in own.items():
            assert name in ("auth", "master") or not any(memory_has(pid, [SECRET]) for pid in pids), name
        r.command("reload")
        wait_until(lambda: len(processes(r).get("auth", [])) == 1 and processes(r)["auth"] != own["auth"], "the former one to end")
    r.write({"smarthost": {"password": None, "user": None}})
    r.command("reload")
    wait_until(lambda: not any(memory_has(pid, [SECRET]) for pids in processes(r).values() for pid in pids), lambda: {
        name: [memory_has(pid, [SECRET]) for pid in pids] for name, pids in processes(r).items()}, 10, 0.5)


@pytest.mark.slow
def test_passwords_of_clients_are_wiped(dropped):
    r = dropped()
    for i in range(20):
        assert log_in(r, f"wrong-guess-{i:02}-of-a-client") == 535
    words = [f"wrong-guess-{i:02}-of-a-client" for i in range(20)]
    words += [plain("anna@example.com", w)[8:-8] for w in words]
    own = processes(r)
    assert memory_has(own["auth"][0], words) == set()


@pytest.mark.slow
def test_while_it_is_away(dropped, hop):
    """Clients are asked to come again; mail waits, and never goes out without having logged in."""
    r = dropped()
    pid = r.pid("auth")
    os.kill(pid, signal.SIGSTOP)
    r.send("waits@other.example")
    with Smtp(r.submission, source="127.0.0.1") as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        c.send("AUTH PLAIN " + plain("anna@example.com", "secret word") + "\r\n")
        os.kill(pid, signal.SIGKILL)
        assert c.reply().code == 454
    hop.wait_to("waits@other.example")
    wait_until(lambda: log_in(r) == 235, "another auth process", 20, 0.2)
    for s in hop.sessions:
        verbs = [c.split()[0].upper() for c in s.commands]
        assert "MAIL" not in verbs or verbs.index("AUTH") < verbs.index("MAIL")
    r.wait_queue_empty()


@pytest.mark.slow
def test_reload_while_many_log_in(dropped):
    r = dropped()
    codes, stop = [], threading.Event()

    def work():
        while not stop.is_set():
            codes.append(log_in(r))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(3):
        r.command("reload")
    stop.set()
    for t in threads:
        t.join(60)
    assert len(codes) >= 4 and set(codes) == {235}


@pytest.mark.slow
def test_an_auth_process_that_cannot_start(dropped, folder):
    """It is tried again with longer and longer pauses, and the relay serves meanwhile."""
    r = dropped()
    r.write({"auth": {"backend": "imap", "imap": {"host": "localhost", "ca": str(folder / "cert.pem")}}})
    assert r.command("reload", check=None).returncode == 0
    wait_until(lambda: len(processes(r).get("auth", [])) == 1, "the former one to end")
    (folder / "cert.pem").write_text("not a certificate\n")
    os.kill(r.pid("auth"), signal.SIGKILL)
    r.wait_log("helper-pause role=auth seconds=2", 20)
    assert log_in(r) == 454
    r.client().cmd("NOOP", 250)
    assert len(re.findall("error auth helper-failed", r.log())) <= 5


def test_a_command_for_tokens(dropped, folder, hop):
    """Its descriptors, its signals, its group, and that what it leaves behind is ended."""
    script, told = folder / "token.sh", folder / "told"
    told.mkdir()
    told.chmod(0o777)
    script.write_text(f"""#!/bin/sh
ls -l /proc/self/fd >{told}/fds
grep -E '^Sig(Blk|Ign)' /proc/self/status >{told}/signals
id -u >{told}/user
sleep 1000 >/dev/null &
echo $! >{told}/child
echo token-of-command
""")
    script.chmod(0o755)
    r = dropped()
    sink = Sink(tls=tls_context((folder / "cert.pem", folder / "key.pem")), extensions=["AUTH XOAUTH2"])
    try:
        sink.on("auth", auth_rule(["235 2.7.0 ok"]))
        r.write({"smarthost": {"port": sink.port, "password": None, "token": {"command": str(script)}}})
        r.command("reload")
        r.send("token@other.example")
        sink.wait_to("token@other.example")
    finally:
        sink.stop()
    assert (told / "user").read_text().strip() == str(pwd.getpwnam("mail").pw_uid)
    lines = [line.split(" ", 8)[-1] for line in (told / "fds").read_text().splitlines() if "->" in line]
    assert all(re.search(r"\b[0-3] -> (/dev/null|pipe:|/proc/|.*/told/fds)", line) for line in lines) and len(lines) == 4, lines
    assert all(int(line.split()[1], 16) & ~0x180000000 == 0 for line in (told / "signals").read_text().splitlines()), (told / "signals").read_text()
    child = (told / "child").read_text().strip()
    wait_until(lambda: not os.path.exists(f"/proc/{child}") or "Z" in pathlib.Path(f"/proc/{child}/stat").read_text().split()[2],
               "what the command left to be ended")
    assert not pathlib.Path(f"/proc/{r.pid('auth')}/task/{r.pid('auth')}/children").read_text().strip()


def test_a_refresh_token_is_replaced(dropped, folder, hop):
    """In its sandbox the process may write this one file's folder."""
    secrets = folder / "secrets"
    secrets.mkdir()
    mail = pwd.getpwnam("mail")
    os.chown(secrets, mail.pw_uid, mail.pw_gid)
    secrets.chmod(0o700)
    (secrets / "refresh").write_text("refresh-0\n")
    os.chown(secrets / "refresh", mail.pw_uid, mail.pw_gid)
    (secrets / "refresh").chmod(0o600)
    authority = Pair(folder, "authority")
    tokens = TokenServer(Pair(folder, "tokens", ["127.0.0.1"], by=authority).files)
    tokens.rotate = True
    sink = Sink(tls=tls_context((folder / "cert.pem", folder / "key.pem")), extensions=["AUTH XOAUTH2"])
    try:
        sink.on("auth", auth_rule(["235 2.7.0 ok"]))
        r = dropped(tls={"ca": str(authority.cert_file)}, smarthost={"port": sink.port, "password": None, "token": {
            "endpoint": f"https://127.0.0.1:{tokens.port}/token", "client_id": "c", "refresh_token_file": str(secrets / "refresh")}})
        r.send("refresh@other.example")
        sink.wait_to("refresh@other.example")
    finally:
        sink.stop()
        tokens.stop()
    assert (secrets / "refresh").read_text() == "refresh-1\n" and (secrets / "refresh").stat().st_mode & 0o777 == 0o600
    assert os.listdir(secrets) == ["refresh"] and "refresh-token-not-saved" not in r.log()
