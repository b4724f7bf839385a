# SPDX-License-Identifier: Apache-2.0
"""Delivery into Maildirs: through the port, and read back by Python's mailbox and by Dovecot."""
import concurrent.futures
import mailbox
import os
import pathlib
import pwd
import shutil
import signal
import stat
import tempfile

import pytest

from lib.daemon import Postern
from lib.local import Mailboxes
from lib.programs import have
from lib.sink import Sink
from lib.util import wait_until

QUICK = {"queue": {"retry_first": "1s", "retry_max": "1s"}, "delivery": {"probe": "0s"}}


@pytest.fixture
def relay(postern, tmp_path):
    """Mail to store.example goes to folders below r.mail, all other to a sink."""
    sinks = []

    def make(path="%d/%n", mail=None, **changes):
        outside = Sink()
        sinks.append(outside)
        mail = mail or tmp_path / "mail"
        mail.mkdir(exist_ok=True)
        r = postern(**{**QUICK, "domains": [{"name": "store.example", "subdomains": True, "deliver": f"maildir:{mail}/{path}"}], "smarthost": outside.hop,
                       **changes})
        r.outside, r.mail = outside, mail
        return r
    yield make
    for sink in sinks:
        sink.stop()


def messages(folder):
    return [m.as_bytes() for m in mailbox.Maildir(folder, create=False)] if (folder / "new").exists() else []


def arrived(folder, n=1, seconds=20):
    wait_until(lambda: len(messages(folder)) >= n, lambda: f"{n} messages in {folder}; there are {messages(folder)}", seconds)
    got = messages(folder)
    assert len(got) == n, got
    return got[0] if n == 1 else got


def test_a_message(relay):
    r = relay()
    r.send(["Anna@Store.example", "bert@sub.store.example", '"odd one"@store.example'], "Subject: one\n\n.a dot\nbytes\n", sender="writer@client.example")
    for name, to in (("store.example/anna", "Anna@Store.example"), ("sub.store.example/bert", "bert@sub.store.example"),
                     ("store.example/odd one", '"odd one"@store.example')):
        text = arrived(r.mail / name)
        head, body = text.split(b"\n\n", 1)
        assert head.startswith(f"Return-Path: <writer@client.example>\nDelivered-To: {to}\nReceived: from ".encode()) and b"Subject: one" in head
        assert body == b".a dot\nbytes\n" and b"\r" not in text
        for folder in ("", "new", "cur", "tmp"):
            assert stat.S_IMODE((r.mail / name / folder).stat().st_mode) == 0o700
        assert not list((r.mail / name / "tmp").iterdir()) and not list((r.mail / name / "cur").iterdir())
        assert {stat.S_IMODE(f.stat().st_mode) for f in (r.mail / name / "new").iterdir()} == {0o600}
    r.wait_queue_empty()
    r.wait_log(rf'delivered .*to=Anna@Store.example recipients=1 host="?maildir:{r.mail}/%d/%n"? reply="2.1.5 delivered to the mailbox"')
    told = r.command("explain", "--client", "127.0.0.2", "--from", "x@client.example", "--to", "anna@store.example").stdout
    assert f"maildir:{r.mail}/%d/%n" in told


def test_large_and_changed(relay):
    """From a file, with dots and bytes above 127; and with what a rule makes of it."""
    r = relay(queue={**QUICK["queue"], "inline_size": "16K"}, rules=[{"name": "mark", "if": {"headers": [{"name": "subject", "match": "mark"}]},
                                                                      "then": [{"action": "tag_subject", "text": "[Seen] "}]}])
    for i, subject in enumerate(("mark me", "plain")):
        body = "".join(f".{n} grün {'x' * 60}\n" for n in range(4000))
        r.send("anna@store.example", f"Subject: {subject}\n\n{body}")
        got = max(arrived(r.mail / "store.example/anna", i + 1) if i else [arrived(r.mail / "store.example/anna")],
                  key=lambda m: subject.encode() in m)
        assert got.split(b"\n\n", 1)[1] == body.encode()
        assert (b"Subject: [Seen] mark me" in got) is (i == 0)


HOSTILE = ['"../../../escape"', '"a/b"', '".."', '"."', '".hidden"', '".forward"', '"a..b"', '"/etc/x"', '"x/../../y"', "a" * 64, '"\\/x"', '" "', '"~root"', '"-rf"',
           '"%d"', '"a:b"', '"*"', '"a\\\\b"', "$x", "`x`", "|x"]


def test_hostile_names(relay, tmp_path):
    """Each is a folder of its own at the right place, or fails; nothing is written anywhere else."""
    r = relay()
    before = {p for p in tmp_path.iterdir()}
    for local in HOSTILE:
        with r.trusted() as c:
            c.ehlo()
            c.mail("")
            if c.rcpt(f"{local}@store.example", None).code == 250:
                c.data("Subject: hostile\n\ntext\n")
    r.wait_queue_empty()
    assert {p for p in tmp_path.iterdir()} == before
    assert {p.name for p in r.mail.iterdir()} == {"store.example"}
    for folder in (r.mail / "store.example").iterdir():
        assert not folder.name.startswith(".") and {p.name for p in folder.iterdir()} == {"tmp", "new", "cur"} and len(messages(folder)) == 1, folder
    names = {p.name for p in (r.mail / "store.example").iterdir()}
    assert {"a" * 64, "~root", "%d", "a:b", "*", "$x"} <= names and not names & {"a", "..b", "x", "y", "escape"}
    assert "bounced" not in r.log()


def test_no_mailbox_of_this_name(relay):
    """Refused at RCPT, where nobody has to be told later: by its own name, and by those of all that it becomes."""
    r = relay(aliases=[{"name": "bad@store.example", "to": ["a/b@store.example", "c/d@store.example"]},
                       {"name": "half@store.example", "to": ["a/b@store.example", "anna@store.example"]}])
    with r.client() as c:
        c.ehlo()
        c.mail("forged@client.example")
        for local in ('"../../x"', '".."', '".hid"', '"a/b"', '""', "a" * 64 + "." + "b" * 200, "bad"):
            reply = c.rcpt(f"{local}@store.example", None)
            assert reply.code in (550, 553, 501, 500) and (len(local) > 64 or "5.1.1" in str(reply) or local == '""'), (local, reply)
        c.rcpt("half@store.example", 250)
        c.rcpt("anna@store.example", 250)
        c.cmd("RSET", 250)
    explained = r.command("explain", "--client", "127.0.0.2", "--from", "forged@client.example", "--to", '"a/b"@store.example', check=None).stdout
    assert "there can be no mailbox of this name" in " ".join(explained.split()) and "5.1.1" in explained, explained


def test_failures_are_told(relay):
    """To the sender: one of a group fails, the others have it; and reports of success say "delivered"."""
    r = relay(aliases=[{"name": "group@store.example", "to": ["anna@store.example", "a/x@store.example", "bert@store.example"]}])
    r.send(["group@store.example"], sender="writer@client.example")
    bounce = r.outside.wait_to("writer@client.example")
    assert b"a/x@store.example" in bounce.body and b"5.1.1" in bounce.body and b"anna" not in bounce.body
    arrived(r.mail / "store.example/anna")
    arrived(r.mail / "store.example/bert")
    with r.trusted() as c:
        c.ehlo()
        c.mail("reader@client.example")
        c.cmd("RCPT TO:<anna@store.example> NOTIFY=SUCCESS", 250)
        c.data("Subject: told\n\ntext\n")
    assert b"Action: delivered" in r.outside.wait_to("reader@client.example").body


def test_a_folder_that_cannot_be(relay):
    """Deferred with the reason, and delivered when it is mended; others are not held up."""
    r = relay()
    (r.mail / "store.example").mkdir()
    (r.mail / "store.example/anna").write_text("a file")
    (r.mail / "store.example/link").symlink_to("/tmp")
    r.send(["anna@store.example", "link@store.example", "bert@store.example"])
    arrived(r.mail / "store.example/bert")
    r.wait_log(r"deferred .*to=anna@store.example recipients=1 .*4\.3\.5 the folder cannot be opened or made: Not a directory \(system\.mail_user must")
    r.wait_log(r"deferred .*to=link@store.example .*4\.3\.5 ")
    assert not any(p.name in ("new", "cur") for p in pathlib.Path("/tmp").iterdir())
    (r.mail / "store.example/anna").unlink()
    (r.mail / "store.example/link").unlink()
    arrived(r.mail / "store.example/anna")
    arrived(r.mail / "store.example/link")
    assert len(messages(r.mail / "store.example/bert")) == 1


@pytest.mark.root
def test_a_full_disk(disk, relay):
    small = disk("tmpfs", 1)
    r = relay(mail=small.path)
    ballast = small.path / "ballast"
    ballast.write_bytes(b"x" * 900000)
    r.send("anna@store.example", "Subject: full\n\n" + ("x" * 70 + "\n") * 6000)
    r.wait_log(r"deferred .*4\.3\.1 the message cannot be written: No space left on device")
    assert not messages(small.path / "store.example/anna") and not list((small.path / "store.example/anna/tmp").iterdir())
    ballast.unlink()
    arrived(small.path / "store.example/anna")


@pytest.mark.slow
def test_the_process_is_killed(relay):
    """Again and again, while mail comes: all of it arrives. Some of it may be there twice."""
    r = relay(limits={"messages_per_connection": 1000})
    n = 150

    def send(i):
        assert r.send(f"user{i % 5}@store.example", f"Subject: number {i}.\n\ntext\n").code == 250
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(send, i) for i in range(n)]
        for _ in range(4):
            os.kill(r.pid("maildir"), signal.SIGKILL)
            wait_until(lambda: any(j.done() for j in jobs), "some")
        for j in jobs:
            j.result()
    r.wait_queue_empty(60)
    found = [m for i in range(5) for m in messages(r.mail / f"store.example/user{i}")]
    assert all(any(f"Subject: number {i}.\n".encode() in m for m in found) for i in range(n))


@pytest.mark.slow
@pytest.mark.root
def test_the_worker_is_killed(disk, relay):
    """What has not been begun to be written for it is not written: the next one asks again."""
    small = disk("ext4", 20)
    r, n = relay(mail=small.path), 32
    folder = small.path / "store.example/anna"
    r.send("anna@store.example", "Subject: first\n\ntext\n")
    arrived(folder)
    r.wait_queue_empty()
    with small.frozen():
        for i in range(n):
            r.send("anna@store.example", f"Subject: number {i}.\n\ntext\n")
        worker = r.pid("relay-0")
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: worker not in r.processes() and "relay-0" in r.processes().values(), "another worker")
    wait_until(lambda: {i for i in range(n) for m in messages(folder) if f"Subject: number {i}.\n".encode() in m} == set(range(n)), "all of them")
    r.wait_queue_empty(30)
    assert len(messages(folder)) <= 1 + n + 16  # as many write at once


@pytest.mark.slow
def test_stopped_and_started(relay):
    """What is being written when the relay stops is written before its end, or after the next start."""
    r = relay()
    for i in range(20):
        r.send("anna@store.example", f"Subject: {i}\n\ntext\n")
    r.restart()
    wait_until(lambda: len(messages(r.mail / "store.example/anna")) >= 20, "all of them")
    r.wait_queue_empty()


def test_one_folder_for_all(relay):
    r = relay(path="all")
    r.send(["anna@store.example", '"../x"@store.example'])
    texts = arrived(r.mail / "all", 2)
    assert {t.split(b"\n")[1] for t in texts} == {b"Delivered-To: anna@store.example", b'Delivered-To: "../x"@store.example'}


@pytest.mark.parametrize("path", ["/%n", "/%d/%n", "/all"])
def test_not_everywhere(tmp_path, path):
    r = Postern(tmp_path / "p", {"domains": [{"name": "store.example", "deliver": f"maildir:{path}"}]}, start=False)
    assert "could write anywhere" in r.command("check", check=78).stdout


@pytest.fixture
def open_folder():
    """One that every user can reach, unlike pytest's; it belongs to nobody."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="postern-mail-"))
    root.chmod(0o755)
    (root / "mail").mkdir()
    shutil.chown(root / "mail", "nobody", "nogroup")
    yield root / "mail"
    shutil.rmtree(root)


@pytest.mark.root
def test_read_by_dovecot(relay, open_folder):
    """The process runs as the mailboxes' user, and reaches nothing else."""
    if not have("dovecot"):
        pytest.skip("Dovecot is not installed")
    users = ["anna@store.example", "bert@store.example"]
    r = relay(mail=open_folder, system={"mail_user": "nobody"})
    server = Mailboxes(users, mail=f"{open_folder}/%d/%n", lmtp=False)
    try:
        r.send(users, "Subject: read me\n\n.dot\ntext\n", sender="writer@client.example")
        for user in users:
            arrived(open_folder / "store.example" / user.split("@")[0])
            text, = server.read(user)
            assert text.startswith(b"Return-Path: <writer@client.example>\r\n") and text.endswith(b"\r\n\r\n.dot\r\ntext\r\n")
        pid = r.pid("maildir")
        assert os.stat(f"/proc/{pid}").st_uid == pwd.getpwnam("nobody").pw_uid
    finally:
        server.stop()


@pytest.mark.slow
@pytest.mark.root
def test_not_allowed(relay, open_folder):
    shutil.chown(open_folder, "root")
    r = relay(mail=open_folder, system={"mail_user": "nobody"})
    r.send("anna@store.example")
    r.wait_log(r"deferred .*4\.3\.5 .*Permission denied \(system\.mail_user must be able to write there")
    shutil.chown(open_folder, "nobody")
    arrived(open_folder / "store.example/anna")
