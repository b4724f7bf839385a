# SPDX-License-Identifier: Apache-2.0
"""Scanners that are away, fail or refuse: mail is deferred or marked as each is told, and never lost or let through silently. Rules and
milters through the port, and mail that trains the classifier."""
import json
import os
import re
import signal

import pytest

from lib.content import PROGRAM, multipart, parsed, plain, quarantined, spam, virus, virus_scanner
from lib.scanners import Clamd, MilterPeer, Peer, Spamd, drip, installed, read_until
from lib.smtp import STRANGER, TRUSTED, Smtp
from lib.util import free_port, wait_until
from test_content_handling import arrived, make, send, stripped  # noqa: F401


def dead():
    return f"127.0.0.1:{free_port()}"


KINDS = {"clamd": lambda f: {"type": "clamd", "address": dead()}, "icap": lambda f: {"type": "icap", "address": dead(), "service": "avscan"},
         "command": lambda f: virus_scanner(f, broken=True), "spamd": lambda f: {"type": "spamd", "address": dead()},
         "rspamd": lambda f: {"type": "rspamd", "address": dead()}, "milter": lambda f: {"type": "milter", "address": dead()}}


@pytest.mark.daily(1)
@pytest.mark.parametrize("kind", KINDS)
def test_scanner_that_is_down(make, tmp_path, kind):  # noqa: F811
    scanner = {**KINDS[kind](tmp_path), "name": "away"}
    relay = make(scanners=[scanner], spam=spam(tmp_path, builtin=False, enabled=kind in ("spamd", "rspamd")))
    reply = send(relay, plain())
    assert reply.code == 451 and "4.7.1" in str(reply) and "try again later" in str(reply)
    assert "away" not in str(reply) and "127.0.0.1" not in str(reply)
    relay.wait_log(r"refused .*check=scan why=.*away")
    relay.write({"scanners": [{**scanner, "trouble": "mark"}]})
    relay.command("reload")
    m = stripped(relay, plain())
    assert parsed(m)["X-Postern-Unscanned"] == "away"
    assert not relay.sink.to("bob@example.com")[1:]


PEERS = {"slow": lambda s, n: read_until(s, b"nothing that comes"), "closes": lambda s, n: None, "nonsense": lambda s, n: s.sendall(b"\xff\0what?\r\n" * 50),
         "drips": lambda s, n: drip(s, b"stream: OK" * 100, 0.3)}


@pytest.mark.daily(2)
@pytest.mark.parametrize("how", PEERS)
def test_clamd_that_lies_or_hangs(make, how):  # noqa: F811
    peer = Peer(PEERS[how])
    try:
        relay = make(scanners=[{"name": "bad", "type": "clamd", "address": peer.address, "timeout": "1s"}])
        assert send(relay, plain()).code == 451
        relay.wait_log(r"refused .*check=scan why=.*bad: ")
        assert not relay.queue()
    finally:
        peer.stop()


@pytest.mark.slow
def test_client_leaves_while_it_is_looked_at(make, tmp_path):  # noqa: F811
    scanner = virus_scanner(tmp_path)
    (tmp_path / "scan0.sh").write_text("#!/bin/sh\nsleep 1\nexit 0\n")
    relay = make(scanners=[scanner])
    for _ in range(3):
        c = Smtp(relay.port)
        c.ehlo()
        c.mail()
        c.rcpt("bob@example.com")
        c.cmd("DATA", expect=354)
        c.send(plain().encode() + b".\r\n")
        c.close()
    assert send(relay, plain()).code == 250
    arrived(relay)
    relay.wait_queue_empty()
    assert len(relay.sink.messages) == 1


def test_one_found_it_and_one_is_down(make, tmp_path):  # noqa: F811
    relay = make(scanners=[{"name": "away", "type": "clamd", "address": dead()}, {**virus_scanner(tmp_path), "name": "other"}],
                 virus={"action": "quarantine"})
    assert send(relay, plain()).code == 451
    assert send(relay, virus()).code == 250
    assert quarantined(relay)[0]["kind"] == "virus"


def test_too_large_for_a_scanner(make, tmp_path):  # noqa: F811
    scanner = virus_scanner(tmp_path, max_size="64K")
    relay = make(scanners=[scanner])
    assert send(relay, plain("x\r\n" * 50_000)).code == 451
    relay.write({"scanners": [{**scanner, "trouble": "mark"}]})
    relay.command("reload")
    assert parsed(stripped(relay, plain("x\r\n" * 50_000)))["X-Postern-Unscanned"] == "scanner"


@pytest.mark.slow
def test_scan_process_is_away(make, tmp_path):  # noqa: F811
    relay = make(spam=spam(tmp_path), scan={"timeout": "2s", "unpack_time": "1s"})
    pid = relay.pid("scan")
    os.kill(pid, signal.SIGSTOP)
    try:
        m = stripped(relay, plain())
        assert parsed(m)["X-Postern-Unscanned"] == "builtin"
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.skipif(not installed("clamd"), reason="no clamd")
def test_clamd(make, tmp_path):  # noqa: F811
    clamd = Clamd()
    try:
        relay = make(scanners=[{"name": "clamav", "type": "clamd", "address": f"unix:{clamd.unix}"}])
        reply = send(relay, virus())
        assert reply.code == 550 and "Test.Eicar" in str(reply)
        assert send(relay, plain()).code == 250
    finally:
        clamd.stop()
    assert send(relay, plain()).code == 451


@pytest.mark.slow
@pytest.mark.skipif(not installed("spamd"), reason="no spamd")
def test_spamd(make, tmp_path):  # noqa: F811
    spamd = Spamd()
    try:
        relay = make(scanners=[{"name": "sa", "type": "spamd", "address": f"127.0.0.1:{spamd.port}"}], spam=spam(tmp_path, builtin=False))
        gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
        assert send(relay, plain(gtube)).code == 250
        assert quarantined(relay)[0]["score"] > 100
        p = parsed(stripped(relay, plain("XSPAMTESTX\r\n")))
        assert p["X-Spam-Flag"] == "YES" and "TEST_WORD=" in p["X-Spam-Status"]
    finally:
        spamd.stop()


# ---- milters

def test_milter_changes_and_recipients(make):  # noqa: F811
    peer = MilterPeer({"E": [b"hX-Milter\0yes\0", b"-<bob@example.com>\0", b"+<new@example.com>\0", b"e<other@client.example>\0",
                             b"m\0\0\0\x01Subject\0changed\0", b"a"]})
    try:
        relay = make(scanners=[{"name": "m", "type": "milter", "address": peer.address}])
        assert send(relay, plain()).code == 250
        m = arrived(relay, "new@example.com")
        p = parsed(m)
        assert p["X-Milter"] == "yes" and p["Subject"] == "changed" and m.sender == "other@client.example"
        relay.wait_queue_empty()
        assert not relay.sink.to("bob@example.com")
    finally:
        peer.stop()


# ---- rules

RULES = [
    {"name": "no", "if": {"headers": [{"name": "X-Do", "match": "^reject"}]}, "then": [{"action": "reject", "text": "rule says no"}]},
    {"name": "later", "if": {"headers": [{"name": "X-Do", "match": "^defer"}]}, "then": ["defer"]},
    {"name": "away", "if": {"headers": [{"name": "X-Do", "match": "^discard"}]}, "then": ["discard"]},
    {"name": "aside", "if": {"headers": [{"name": "X-Do", "match": "^quarantine"}]}, "then": ["quarantine"]},
    {"name": "tag", "if": {"headers": [{"name": "X-Do", "match": "^tag"}]}, "then": [{"action": "tag_subject", "text": "[External] "}]},
    {"name": "else", "if": {"headers": [{"name": "X-Do", "match": "^redirect"}]}, "then": [{"action": "redirect", "address": "lab@example.com"}]},
    {"name": "too", "if": {"headers": [{"name": "X-Do", "match": "^copy"}]}, "then": [{"action": "copy", "address": "archive@example.com"}]},
    {"name": "tell", "if": {"headers": [{"name": "X-Do", "match": "^notify"}]}, "then": [{"action": "notify", "address": "admin@example.com"}]},
    {"name": "bare", "if": {"headers": [{"name": "X-Do", "match": "^strip"}], "attachments": ["any"]}, "then": ["strip"]},
    {"name": "fields", "if": {"headers": [{"name": "X-Do", "match": "^fields"}]},
     "then": [{"action": "add_header", "text": "X-Added: yes"}, {"action": "remove_header", "text": "X-Do"}]},
    {"name": "fine", "if": {"headers": [{"name": "X-Do", "match": "^accept"}]}, "then": ["accept"]},
]


@pytest.fixture
def ruled(make, tmp_path):  # noqa: F811
    relay = make(rules=RULES, spam=spam(tmp_path), attachments={"enabled": True})
    relay.do = lambda what, text="text\r\n", **kw: send(relay, plain(text, f"X-Do: {what}\r\n"), **kw)
    return relay


def test_rules_decide(ruled):
    reply = ruled.do("reject")
    assert reply.code == 550 and "rule says no" in str(reply)
    assert ruled.do("defer").code == 451
    assert ruled.do("discard").code == 250
    assert ruled.do("quarantine").code == 250
    assert quarantined(ruled)[0]["kind"] == "rule"
    ruled.wait_queue_empty()
    assert not ruled.sink.messages


def test_rules_change(ruled):
    assert ruled.do("tag").code == 250
    assert parsed(arrived(ruled))["Subject"] == "[External] hello"
    assert ruled.do("tag", "XMARKX\r\n").code == 250
    assert parsed(arrived(ruled, n=2))["Subject"] == "[External] [SPAM] hello"
    assert send(ruled, plain("XMARKX\r\n", "X-Do: tag\r\n").replace("Subject: hello\r\n", "")).code == 250
    p = parsed(arrived(ruled, n=3))
    assert p["Subject"].strip() == "[External] [SPAM]" and len(p.get_all("Subject")) == 1
    assert ruled.do("fields").code == 250
    p = parsed(arrived(ruled, n=4))
    assert p["X-Added"] == "yes" and not p["X-Do"]
    text = multipart(("a.txt", "text/plain", "gone\r\n"), extra="X-Do: strip\r\n")
    m = stripped(ruled, text)
    assert b"gone" not in m.data and b"a.txt" in m.data
    parsed(m)


def test_rules_send_elsewhere(ruled):
    assert ruled.do("redirect").code == 250
    assert arrived(ruled, "lab@example.com").sender == "eve@client.example"
    assert ruled.do("copy").code == 250
    arrived(ruled, "archive@example.com")
    assert ruled.do("notify").code == 250
    assert b"tell" in arrived(ruled, "admin@example.com").data
    ruled.wait_queue_empty()
    assert len(ruled.sink.to("bob@example.com")) == 2


def test_rule_that_accepts(ruled):
    assert ruled.do("accept", "XHIGHX\r\n").code == 250
    assert not parsed(arrived(ruled))["X-Spam-Status"]
    assert send(ruled, multipart(PROGRAM, extra="X-Do: accept\r\n")).code == 250
    assert send(ruled, multipart(PROGRAM)).code == 550


def test_header_checks(make, tmp_path):  # noqa: F811
    relay = make(spam=spam(tmp_path), header_checks=[
        "/^X-Do: hold/ HOLD later", "/^X-Do: no/ REJECT 5.7.9 not that", "/^X-Do: away/ DISCARD", "/^X-Do: bcc/ BCC archive@example.com",
        "/^X-Do: else/ REDIRECT lab@example.com", "/^X-Do: warn/ WARN look", "/^X-Do: front/ PREPEND X-Before: yes",
        "/^Subject: replace/ REPLACE Subject: new", "/^Subject: ignore/ IGNORE"])

    def do(what, text="text\r\n", subject="hello"):
        return send(relay, plain(text, f"X-Do: {what}\r\n").replace("Subject: hello", f"Subject: {subject}"))
    reply = do("no")
    assert reply.code == 550 and "5.7.9" in str(reply) and "not that" in str(reply)
    assert do("away").code == 250
    assert do("hold").code == 250
    assert relay.wait_queued()[0]["state"] == "held"
    relay.command("queue", "delete", "--yes", "--reason", "header check")
    relay.wait_queue_empty()
    assert not relay.sink.messages
    assert do("bcc").code == 250 and do("else").code == 250
    arrived(relay, "archive@example.com")
    arrived(relay, "lab@example.com")
    assert do("warn").code == 250
    arrived(relay, n=2)
    assert do("front").code == 250
    assert parsed(arrived(relay, n=3))["X-Before"] == "yes"
    for subject, shown in (("replace me", "[SPAM] new"), ("ignore me", "[SPAM]")):
        before = len(relay.sink.to("bob@example.com"))
        assert do("", "XMARKX\r\n", subject).code == 250
        p = parsed(arrived(relay, n=before + 1))
        assert p["Subject"].strip() == shown and len(p.get_all("Subject")) == 1


# ---- training

def test_mail_that_is_learnt(make, tmp_path):  # noqa: F811
    relay = make(spam={"enabled": True, "dns": False, "bayes": {"spam_address": "is-spam@mx.example.com", "ham_address": "no-spam@example.com"}})
    for address in ("is-spam@mx.example.com", "no-spam@example.com"):
        with Smtp(relay.port, source=STRANGER) as c:
            c.ehlo()
            c.mail()
            assert c.rcpt(address, expect=None).code == 550
    inner = plain("XHIGHX buy pills\r\n")
    text = plain(f"--b1\r\n\r\nthis one\r\n--b1\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--b1\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--b1--\r\n",
                 "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n")
    assert send(relay, text, to="IS-spam@mx.example.com", source=TRUSTED).code == 250
    wait_until(lambda: re.search(r"discarded .*check=training why=\"?learnt as spam: 2 messages", relay.log()), relay.log_tail, 10)
    assert send(relay, plain(), to=["no-spam@example.com", "bob@example.com"], source=TRUSTED).code == 250
    arrived(relay)
    relay.wait_queue_empty()
    assert len(relay.sink.messages) == 1 and relay.sink.messages[0].rcpts == ["bob@example.com"]


# ---- explained

def test_explained_with_a_message(make, tmp_path):  # noqa: F811
    relay = make(spam=spam(tmp_path, levels={"quarantine": 40}), attachments={"enabled": True, "action": "strip", "notify": {"address": "admin@example.com"}},
                 scanners=[virus_scanner(tmp_path)])
    path = tmp_path / "mail.eml"
    words = ("explain", "--client", STRANGER, "--helo", "h.example", "--from", "a@client.example", "--to", "bob@example.com")

    def explain(text, *more):
        path.write_text(text.replace("\r\n", "\n"))
        return relay.command(*words, "--message", path, *more).stdout
    told = json.loads(explain(multipart(PROGRAM, text="XMARKX"), "--json"))
    outcomes = {e["check"]: e for e in told["trace"]}
    assert outcomes["virus"]["outcome"] == "pass" and "run me.exe" in outcomes["attachments"]["why"] and "T_MARK" in outcomes["spam"]["why"]
    assert told["content"]["edits"] and "X-Spam-Flag: YES" in told["content"]["fields"] and told["content"]["notices"][0]["to"] == "admin@example.com"
    told = explain(virus("a.txt"))
    assert "550 5.7.1" in told and "Test.Eicar" in told and "decided by virus" in told
    assert "field in front: X-Spam-Flag: YES" in explain(plain("XMARKX\r\n"))
    assert json.loads(relay.command(*words, "--json").stdout)["recipients"][0]["outcome"] == "pass"
    assert "is empty" in relay.command(*words, "--message", "/dev/null", check=66).stderr
    relay.wait_queue_empty()
    assert not relay.sink.messages
