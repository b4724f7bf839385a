# SPDX-License-Identifier: Apache-2.0
"""The process that has the keys: mail waits for it and is never lost, its keys are in no other memory, and what is wrong with a key file is
told before it counts."""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import tempfile
import threading
import time

import pytest

from lib.daemon import Postern
from lib.signing import RelayKey, signatures, verified
from lib.sink import Sink
from lib.smtp import TRUSTED, Smtp
from lib.util import wait_until
from test_auth_process import memory_has, processes
from test_signing import make, on_wire, send, text  # noqa: F401

pytest.importorskip("dkim")
pytest.importorskip("nacl")


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return RelayKey(tmp_path_factory.mktemp("keys"), "example.com", "r1")


@contextlib.contextmanager
def stopped(pid):
    """It hears nothing, and does not end."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


# ---- while it is away

def test_it_does_not_answer(make, key):
    relay = make(key, timeout="500ms")
    with stopped(relay.pid("signer")):
        began = time.monotonic()
        reply = send(relay, text(), expect=451)
        assert 0.4 < time.monotonic() - began < 5 and reply.enhanced == "4.7.0"
        assert signatures(send(relay, text("a@other.test"))) == [], "what needs no key goes on"
    assert "not-signed" in relay.log() and not relay.queue()
    assert len(verified(send(relay, text()), [key])) == 1


def test_the_session_goes_on_after_a_refusal(make, key):
    relay = make(key, timeout="300ms")
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        with stopped(relay.pid("signer")):
            c.mail("a@client.example")
            c.rcpt("again@example.com")
            c.data(on_wire(text()), 451, raw=True)
        c.mail("a@client.example")
        c.rcpt("again@example.com")
        c.data(on_wire(text()), 250, raw=True)
    assert len(verified(relay.sink.wait_to("again@example.com").data, [key])) == 1


def test_mail_waits_for_the_next_one(make, key):
    relay = make(key, timeout="20s")
    pid = relay.pid("signer")
    os.kill(pid, signal.SIGSTOP)
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        c.mail("a@client.example")
        c.rcpt("waits@example.com")
        c.cmd("DATA", 354)
        c.send(on_wire(text()))
        c.expect_silence(0.3)
        os.kill(pid, signal.SIGKILL)
        c.reply(250)
    assert len(verified(relay.sink.wait_to("waits@example.com").data, [key])) == 1


def test_who_leaves_meanwhile(make, key):
    relay = make(key, timeout="1s")
    with stopped(relay.pid("signer")):
        for bye in (b"", b"QUIT\r\n"):
            with Smtp(relay.port, source=TRUSTED) as c:
                c.ehlo()
                c.mail("a@client.example")
                c.rcpt("leaves@example.com")
                c.cmd("DATA", 354)
                c.send(on_wire(text()) + bye)
                time.sleep(0.1)
    assert len(verified(send(relay, text()), [key])) == 1


@pytest.mark.slow
def test_killed_in_a_loop_under_load(make, key):
    """All that was promised arrives once, signed."""
    relay = make(key, timeout="3s", changes={"system": {"workers": 2}})
    taken, refused, end = [], [], threading.Event()

    def load(who):
        with Smtp(relay.port, source=TRUSTED) as c:
            c.ehlo()
            for i in range(100):
                to = f"load{who}-{i}@example.com"
                c.mail("a@client.example")
                c.rcpt(to)
                reply = c.data(on_wire(text(body=b"%d\r\n" % i)), (250, 451), raw=True)
                (taken if reply.code == 250 else refused).append(to)

    def kill():
        for _ in range(4):  # the pauses before another is started grow
            if not end.wait(0.2):
                os.kill(relay.pid("signer"), signal.SIGKILL)
    threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
    killer = threading.Thread(target=kill)
    for t in [*threads, killer]:
        t.start()
    for t in threads:
        t.join(120)
    end.set()
    killer.join()
    assert len(taken) + len(refused) == 400 and len(taken) > 100, (len(taken), len(refused))
    for to in taken:
        assert len(verified(relay.sink.wait_to(to).data, [key])) == 1
    assert not [to for to in refused if relay.sink.to(to)]
    wait_until(lambda: "signer" in relay.processes().values(), "another signer", 30)
    send(relay, text())


@pytest.mark.slow
def test_the_end_while_mail_waits(make, key):
    """What was not promised is not there afterwards; what stops does not hang."""
    relay = make(key, timeout="30s", changes={"system": {"drain": "1s"}})
    pid = relay.pid("signer")
    with Smtp(relay.port, source=TRUSTED) as c, stopped(pid):
        c.ehlo()
        c.mail("a@client.example")
        c.rcpt("end@example.com")
        c.cmd("DATA", 354)
        c.send(on_wire(text()))
        time.sleep(0.2)
        relay.process.send_signal(signal.SIGTERM)
        time.sleep(1.5)
    relay.stop(seconds=40)
    assert not relay.sink.to("end@example.com")


# ---- mail of our own

def bounced(relay, to="bad@example.com"):
    relay.sink.on("rcpt", "550 5.1.1 no", match="bad@")
    relay.send(to)


@pytest.mark.slow
def test_bounces_do_not_wait_for_long(make, tmp_path):
    relay = make(RelayKey(tmp_path, "postern.example", "own"), timeout="300ms")
    with stopped(relay.pid("signer")):
        bounced(relay)
        got = relay.sink.wait_to("sender@client.example")
    assert signatures(got.data) == [] and "sent-unsigned" in relay.log()
    relay.wait_queue_empty()


@pytest.mark.slow
def test_bounces_that_wait_at_the_end(make, tmp_path):
    own = RelayKey(tmp_path, "postern.example", "own")
    relay = make(own, timeout="50s", changes={"system": {"drain": "500ms"}})
    with stopped(relay.pid("signer")):
        bounced(relay)
        relay.sink.wait_command("RCPT TO:<bad@")
        time.sleep(0.3)
        relay.process.send_signal(signal.SIGTERM)
        relay.wait_log('sent-unsigned.*the relay ends')
    relay.stop(seconds=40)
    relay.start()
    wait_until(lambda: relay.sink.to("sender@client.example"), "the bounce")
    relay.wait_queue_empty()


@pytest.mark.slow
def test_bounces_after_the_signer_was_killed(make, tmp_path):
    own = RelayKey(tmp_path, "postern.example", "own")
    relay = make(own, timeout="20s")
    os.kill(relay.pid("signer"), signal.SIGKILL)
    bounced(relay)
    assert len(verified(relay.sink.wait_to("sender@client.example").data, [own])) == 1


# ---- another configuration

@pytest.mark.slow
def test_reload_with_a_new_key(make, key, tmp_path):
    relay = make(key)
    following = RelayKey(tmp_path, "example.com", "r2", "ed25519")
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        relay.write({"dkim": {"keys": [following.entry]}})
        relay.command("reload")
        assert verified(send(relay, text()), [following]) == [("example.com", "r2")]
        c.mail("a@client.example")
        c.rcpt("former@example.com")
        c.data(on_wire(text()), 250, raw=True)
        assert verified(relay.sink.wait_to("former@example.com").data, [key]) == [("example.com", "r1")]
    wait_until(lambda: list(relay.processes().values()).count("signer") == 1, "the former signer to end", 30)
    relay.write({"dkim": {"keys": []}})
    relay.command("reload")
    assert signatures(send(relay, text())) == []
    wait_until(lambda: "signer" not in relay.processes().values(), "the signer to end", 30)


def broken(folder):
    """{name: what the file is}"""
    public = folder / "public.pem"
    os.system(f"openssl pkey -in {RelayKey(folder, 'x.test').path} -pubout -out {public} 2>/dev/null")
    os.system(f"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {folder}/ec.pem 2>/dev/null")
    os.system(f"openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:512 -out {folder}/short.pem 2>/dev/null")
    os.system(f"openssl genpkey -algorithm ed25519 -aes256 -pass pass:x -out {folder}/locked.pem 2>/dev/null")
    (folder / "text.pem").write_text("no key")
    (folder / "empty.pem").write_text("")
    (folder / "cut.pem").write_text(RelayKey(folder, "y.test").path.read_text()[:400])
    (folder / "folder.pem").mkdir()
    return [folder / f"{name}.pem" for name in ("public", "ec", "short", "locked", "text", "empty", "cut", "folder", "missing")]


@pytest.mark.slow
def test_key_files_that_cannot_be_used(make, key, tmp_path):
    relay = make(key)
    for path in broken(tmp_path):
        if path.is_file():
            path.chmod(0o600)
        relay.write({"dkim": {"keys": [{**key.entry, "file": str(path)}]}})
        for done in (relay.command("check", check=78), relay.command("reload", check=None)):
            assert done.returncode and (str(path) in done.stdout + done.stderr or "dkim.keys[0].file" in done.stdout + done.stderr), (path, done.stdout, done.stderr)
            assert "PRIVATE" not in done.stdout + done.stderr
        assert len(verified(send(relay, text()), [key])) == 1, "the former configuration goes on"
    open_to_all = RelayKey(tmp_path, "example.com", "open")
    open_to_all.path.chmod(0o644)
    relay.write({"dkim": {"keys": [open_to_all.entry]}})
    done = relay.command("check", check=78)
    assert "everybody on this machine can read" in done.stdout and "chmod o=" in done.stdout
    assert relay.command("reload", check=None).returncode
    assert len(verified(send(relay, text()), [key])) == 1


def test_another_kind_of_key_behind_its_back(make, key, tmp_path):
    """The file was changed without a reload, and the signer starts again: no signature that cannot be right goes out."""
    mine = RelayKey(tmp_path, "example.com", "mine")
    relay = make(mine, timeout="500ms")
    assert len(verified(send(relay, text()), [mine])) == 1
    RelayKey(tmp_path, "example.com", "mine", "ed25519")
    pid = relay.pid("signer")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: relay.pid("signer") != pid, "another signer")
    send(relay, text(), expect=451)
    relay.command("reload")
    assert len(verified(send(relay, text()), [RelayKeyOf(mine)])) == 1


class RelayKeyOf:
    """The key that is in the file now."""

    def __init__(self, key):
        import base64
        import subprocess
        der = subprocess.run(["openssl", "pkey", "-in", key.path, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.name, self.record = key.name, "v=DKIM1; k=ed25519; p=" + base64.b64encode(der[-32:]).decode()


# ---- whose memory

@pytest.fixture
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="postern-signer-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.root
def test_who_has_the_key(folder):
    """It is in the signer's memory, which is a user's of its own, and in no other; nor in logs."""
    sink = Sink()
    rsa, ed = RelayKey(folder / "keys", "example.com", "r"), RelayKey(folder / "keys", "example.com", "e", "ed25519")
    (folder / "keys").chmod(0o700)
    relay = Postern(folder / "relay", {"system": {"user": "nobody", "admin_user": "daemon", "sign_user": "mail"}, "smarthost": sink.hop,
                                       "dkim": {"keys": [rsa.entry, ed.entry]}})
    relay.sink = sink
    try:
        send(relay, text())
        pid, mail = relay.pid("signer"), pwd.getpwnam("mail")
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        assert status["Uid"].split() == [str(mail.pw_uid)] * 4 and int(status["CapEff"], 16) == 0
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # as it is for one that cannot be dumped
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            assert int(fd) < 3 or target.startswith(("socket:", "anon_inode:", "pipe:")), target
        secrets = secrets_of(rsa, ed)
        for _ in range(2):
            own = processes(relay)
            assert bytes_in(own["signer"][0], secrets), "the test finds what is there"
            for name, pids in own.items():
                assert name == "signer" or not any(bytes_in(pid, secrets) for pid in pids), name
            relay.command("reload")
            wait_until(lambda: len(processes(relay).get("signer", [])) == 1 and processes(relay)["signer"] != own["signer"],
                       "the former one to end", 30)
        send(relay, text())
        for line in rsa.pem.decode().splitlines()[1:-1] + ed.pem.decode().splitlines()[1:-1]:
            assert line not in relay.log()
    finally:
        relay.stop()
        sink.stop()


def secrets_of(rsa, ed):
    """What only who has the keys has in memory: lines of the PEM files, a prime, as stored and as OpenSSL keeps numbers, and the seed."""
    from cryptography.hazmat.primitives import serialization
    p = serialization.load_pem_private_key(rsa.pem, None).private_numbers().p
    seed = serialization.load_pem_private_key(ed.pem, None).private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    lines = [line for line in rsa.pem.splitlines()[2:-2]] + [ed.pem.splitlines()[1][-40:]]
    return [*lines, p.to_bytes(128, "big")[:32], p.to_bytes(128, "little")[:32], seed]


class Bytes:
    """As memory_has takes words."""

    def __init__(self, what):
        self.what = what

    def encode(self):
        return self.what


def bytes_in(pid, secrets):
    return {word.what for word in memory_has(pid, [Bytes(s) for s in secrets])}
