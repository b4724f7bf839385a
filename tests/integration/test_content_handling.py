# SPDX-License-Identifier: Apache-2.0
"""What becomes of messages in which something was found: each reason with each way to handle it, as the recipient, the sender and those
who are told see it."""
import re

import pytest

from lib.content import PROGRAM, multipart, parsed, plain, quarantined, spam, texts, told, trace, virus, virus_scanner
from lib.signing import RelayKey, verified
from lib.smtp import STRANGER, TRUSTED, Smtp, queued_id
from lib.util import wait_until


@pytest.fixture
def make(postern, make_sink):
    def one(**changes):
        sink = make_sink()
        relay = postern(**{"domains": [{"name": "example.com", "deliver": sink.hop}], "smarthost": sink.hop, "postmaster": "boss@example.com",
                           **changes})
        relay.sink = sink
        return relay
    return one


def send(relay, text, to="bob@example.com", source=STRANGER, sender="eve@client.example"):
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        return c.message(to, text, sender, expect=None)


def arrived(relay, to="bob@example.com", n=1):
    return told(relay, to, n)[-1]


def with_virus(tmp_path, action, **more):
    return {"scanners": [virus_scanner(tmp_path)],
            "virus": {"action": action, "notify": {"address": "admin@example.com", "recipients": True, "from": "scan@example.com"}, **more}}


# ---- viruses

def test_virus_rejected(make, tmp_path):
    relay = make(**with_virus(tmp_path, "reject"))
    reply = send(relay, virus(), to=("bob@example.com", "carol@example.com"))
    assert reply.code == 550 and "5.7.1" in str(reply) and "Test.Eicar" in str(reply) and "scanner" not in str(reply)
    for to in ("admin@example.com", "bob@example.com"):
        m = arrived(relay, to)
        assert b"Test.Eicar" in m.data and m.sender == ""
        parsed(m)
    relay.wait_log(r"refused .*check=virus why=\"?the virus Test.Eicar")
    assert send(relay, plain()).code == 250
    assert arrived(relay, n=2).body == b"some text\r\n"


def test_recipients_are_told_of_themselves_only(make, tmp_path):
    relay = make(**with_virus(tmp_path, "reject"))
    assert send(relay, virus(), to=["bob@example.com", "carol@example.com"]).code == 550
    for to, other in (("bob", b"carol"), ("carol", b"bob")):
        m = arrived(relay, f"{to}@example.com")
        assert other not in m.data and parsed(m)["To"] == f"{to}@example.com"
    m = arrived(relay, "admin@example.com")
    assert b"bob@" in m.data and b"carol@" in m.data


def test_virus_quarantined(make, tmp_path):
    relay = make(**with_virus(tmp_path, "quarantine"))
    assert send(relay, virus()).code == 250
    m = quarantined(relay)[0]
    assert m["kind"] == "virus" and "Test.Eicar" in m["reason"]
    arrived(relay, "admin@example.com")
    assert b"EICAR" not in b"".join(x.data for x in relay.sink.messages)
    shown = relay.command("quarantine", "show", m["id"]).stdout
    assert "Test.Eicar" in shown and "scanner" in shown
    relay.command("quarantine", "release", m["id"])
    wait_until(lambda: any(b"EICAR-STANDARD" in x.data for x in relay.sink.to("bob@example.com")), "the released one", 20)


def test_virus_redirected(make, tmp_path):
    relay = make(**with_virus(tmp_path, "redirect", address="lab@example.com"))
    assert send(relay, virus()).code == 250
    m = arrived(relay, "lab@example.com")
    assert m.sender == "eve@client.example" and "Test.Eicar" in parsed(m)["X-Postern-Virus"]
    assert b"EICAR-STANDARD" in m.data
    assert b"EICAR-STANDARD" not in arrived(relay).data  # he is only told


def test_virus_discarded(make, tmp_path):
    relay = make(**with_virus(tmp_path, "discard"))
    reply = send(relay, virus())
    assert reply.code == 250
    arrived(relay, "admin@example.com")
    relay.wait_queue_empty()
    assert b"EICAR-STANDARD" not in b"".join(x.data for x in relay.sink.messages)
    relay.wait_log(rf"discarded .*id={queued_id(reply)} .*check=virus")
    wait_until(lambda: trace(relay, queued_id(reply)), "its history")
    assert trace(relay, queued_id(reply))["virus"]["outcome"] == "discard"


def test_virus_let_through(make, tmp_path):
    relay = make(**{**with_virus(tmp_path, "pass"), "attachments": {"enabled": False}})
    text = virus()
    assert send(relay, text).code == 250
    m = wait_until(lambda: next((x for x in relay.sink.to("bob@example.com") if b"EICAR" in x.data), None), "the message", 20)
    assert m.data.endswith(text.encode()) and "Test.Eicar" in parsed(m)["X-Postern-Virus"]


def test_no_allow_entry_spares_a_virus(make, tmp_path):
    relay = make(**with_virus(tmp_path, "reject"), attachments={"enabled": True}, spam=spam(tmp_path),
                 checks={"allow": {"clients": [STRANGER]}})
    assert send(relay, virus()).code == 550
    assert send(relay, multipart(("a.exe", "application/octet-stream", "x XHIGHX\r\n"))).code == 250
    assert send(relay, virus(), source=TRUSTED).code == 550


def test_only_own_recipients_are_told(make, tmp_path):
    relay = make(**with_virus(tmp_path, "reject"))
    assert send(relay, virus(), to=["bob@example.com", "far@elsewhere.example"], source=TRUSTED).code == 550
    arrived(relay)
    assert not relay.sink.to("far@elsewhere.example")


# ---- attachments

def blocked(action, **more):
    return {"attachments": {"enabled": True, "action": action, "notify": {"address": "admin@example.com"}, **more}}


def test_file_rejected(make):
    relay = make(**blocked("reject"))
    reply = send(relay, multipart(PROGRAM))
    assert reply.code == 550 and "run me.exe" in str(reply) and "extension exe" in str(reply)
    assert b"run me.exe" in arrived(relay, "admin@example.com").data
    reply = send(relay, multipart(("=?utf-8?B?YsO8.exe?=", "application/octet-stream", "x\r\n"), ("b\u00fc.exe", "text/x", "x\r\n")))
    assert reply.code == 550 and str(reply).isascii() and ".exe" in str(reply)
    assert send(relay, multipart(("a.txt", "text/plain", "fine\r\n"))).code == 250


@pytest.mark.daily(1)
@pytest.mark.parametrize("action", ["quarantine", "discard", "redirect", "pass"])
def test_file_handled(make, action):
    relay = make(**blocked(action, **({"address": "lab@example.com"} if action == "redirect" else {})))
    text = multipart(PROGRAM)
    assert send(relay, text).code == 250
    arrived(relay, "admin@example.com")
    if action == "quarantine":
        assert quarantined(relay)[0]["kind"] == "file"
    if action == "redirect":
        assert arrived(relay, "lab@example.com").data.endswith(text.encode())
    if action == "pass":
        m = arrived(relay)
        assert m.data.endswith(text.encode()) and "extension exe" in parsed(m)["X-Postern-Blocked"]
    relay.wait_queue_empty()
    assert len(relay.sink.to("bob@example.com")) == (action == "pass")


def stripped(relay, text, to="bob@example.com", **kw):
    before = len(relay.sink.to(to))
    reply = send(relay, text, to=to, **kw)
    assert reply.code == 250, reply
    return wait_until(lambda: relay.sink.to(to)[before] if len(relay.sink.to(to)) > before else None, lambda: relay.log_tail(), 20)


def test_part_stripped(make):
    relay = make(**blocked("strip"))
    keep = ("a.txt", "text/plain", "kept as it is \r\n\t.\r\n")
    text = multipart(PROGRAM, keep)
    m = stripped(relay, text)
    p = parsed(m)
    assert [x.get_content_type() for x in p.iter_parts()] == ["text/plain"] * 3
    note = list(p.iter_parts())[1].get_content()
    assert "run me.exe (extension exe)" in note and "mx.postern.example" in note
    assert re.search(r"Reference: \w{13}", note)
    # Beside the note, byte for byte.
    start, end = text.index("Content-Type: application/octet-stream"), text.index("\r\n--b1\r\nContent-Type: text/plain; name=\"a.txt\"")
    head, tail = text[:start].encode(), text[end:].encode()
    got = m.data[m.data.index(b"From: Ann"):]
    assert got.startswith(head) and got.endswith(tail)
    assert b"not really a program" not in m.data


@pytest.mark.daily(1)
@pytest.mark.parametrize("size", [0, 300_000])
def test_single_part_stripped(make, size):
    relay = make(**blocked("strip"))
    m = stripped(relay, plain("TVqQ" + "A" * 40 + "\r\n" + ("A" * 76 + "\r\n") * (size // 78), "Content-Type: application/x-thing;\r\n name=\"run.exe\"\r\n"
                              "Content-Transfer-Encoding: base64\r\nContent-Description: a gift\r\nX-Kept: yes\r\n"))
    p = parsed(m)
    assert p.get_content_type() == "text/plain" and "run.exe" in p.get_content() and p["X-Kept"] == "yes" and p["MIME-Version"] == "1.0"
    assert not p["Content-Description"] and b"TVqQ" not in m.data and p["Content-Transfer-Encoding"] == "7bit"


def test_nested_and_hostile_names_stripped(make):
    relay = make(**blocked("strip"))
    inner = ("Content-Type: message/rfc822\r\n\r\nFrom: x@x.example\r\nSubject: inner\r\nMIME-Version: 1.0\r\n"
             "Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n\r\ninner text\r\n--in\r\n"
             "Content-Type: application/octet-stream; name*=utf-8''%E2%80%AE%0A%22%3Cb%3Efdp.exe\r\n\r\nXX\r\n--in--\r\n")
    text = plain(f"--b1\r\n\r\nouter\r\n--b1\r\n{inner}\r\n--b1--\r\n", "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n")
    p = parsed(stripped(relay, text))
    assert [x.get_content_type() for x in p.walk()] == ["multipart/mixed", "text/plain", "message/rfc822", "multipart/mixed", "text/plain", "text/plain"]
    note = list(p.walk())[-1].get_content()
    assert "fdp.exe" in note and not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", note.replace("\r", "")), repr(note)


def test_alternative_stripped(make):
    relay = make(**blocked("strip"))
    p = parsed(stripped(relay, multipart(PROGRAM, kind="alternative")))
    assert p.get_content_type() == "multipart/alternative" and len(texts(p)) == 2


def test_unclosed_multipart_stripped(make):
    relay = make(**blocked("strip"))
    text = multipart(PROGRAM)
    m = stripped(relay, text[:text.rindex("--b1--")])
    assert b"not really a program" not in m.data and m.data.endswith(b"\r\n") and b"run me.exe (extension exe)" in m.data


# ---- spam

def test_the_line_to_try_it_with(make):
    relay = make(spam={"enabled": True})
    assert send(relay, plain("XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n")).code == 250
    q = quarantined(relay)[0]
    assert q["kind"] == "spam" and q["score"] >= 990


def test_levels(make, tmp_path):
    relay = make(spam=spam(tmp_path))
    m = stripped(relay, plain())
    assert not [k for k in parsed(m).keys() if k.startswith("X-Spam")]
    p = parsed(stripped(relay, plain("XTAGX\r\n")))
    assert p["X-Spam-Status"].startswith("No, score=") and "T_TAG=3.5" in p["X-Spam-Status"] and p["X-Spam-Level"] in ("***", "****")
    assert not p["X-Spam-Flag"] and p["Subject"] == "hello"
    p = parsed(stripped(relay, plain("XMARKX\r\n")))
    assert p["X-Spam-Status"].startswith("Yes, score=") and "required=5.0" in p["X-Spam-Status"] and p["X-Spam-Flag"] == "YES"
    assert p["Subject"] == "[SPAM] hello" and p.get_content().split() == ["XMARKX"]
    m = stripped(relay, plain("XMARKX\r\n", "Subject:\r\n second\r\n"))
    assert b"Subject: [SPAM]\r\n second\r\n" in m.data and b"Subject: [SPAM] hello\r\n" in m.data
    assert send(relay, plain("XHIGHX\r\n")).code == 250
    q = quarantined(relay)[0]
    assert q["kind"] == "spam" and q["score"] >= 14
    relay.command("quarantine", "release", q["id"])
    p = parsed(arrived(relay, n=5))
    assert p["Subject"] == "hello" and not p["X-Spam-Flag"] and p["X-Spam-Status"].startswith("Yes, score=")
    reply = send(relay, plain("XHIGHX\r\n"), source=TRUSTED)  # not judged
    assert reply.code == 250 and not parsed(arrived(relay, n=6))["X-Spam-Status"]


@pytest.mark.daily(2)
@pytest.mark.parametrize("subject,shown", [
    ("Subject: hi\r\n", "[SPAM] hi"), ("", "[SPAM]"), ("Subject: [SPAM] hi\r\n", "[SPAM] hi"), ("subject:\r\n", "[SPAM]"),
    ("Subject:  =?utf-8?B?w6TDtg==?=\r\n", "[SPAM] äö"), ("Subject:\r\n folded\r\n", "[SPAM] folded"),
    ("Subject: one\r\nSubject: two\r\n", "[SPAM] one")])
def test_subjects(make, tmp_path, subject, shown):
    relay = make(spam=spam(tmp_path))
    text = plain("XMARKX\r\n").replace("Subject: hello\r\n", subject)
    m = stripped(relay, text)
    p = parsed(m)
    assert p["Subject"].strip() == shown, m.data
    assert m.data.lower().count(b"subject:") == max(1, subject.lower().count("subject:"))


def test_prefix_that_is_not_ascii(make, tmp_path):
    relay = make(spam=spam(tmp_path, subject="[Müll] "))
    for subject, shown in (("hi", "[Müll] hi"), ("=?utf-8?B?w6TDtg==?=", "[Müll] äö")):
        m = stripped(relay, plain("XMARKX\r\n").replace("Subject: hello", "Subject: " + subject))
        assert parsed(m)["Subject"] == shown and m.data.isascii()


def test_long_subject_is_folded(make, tmp_path):
    relay = make(spam=spam(tmp_path))
    assert parsed(stripped(relay, plain("XMARKX\r\n").replace("hello", "x" * 985)))["Subject"] == "[SPAM] " + "x" * 985


@pytest.mark.daily(1)
@pytest.mark.parametrize("action", ["quarantine", "redirect", "reject", "discard", "pass"])
def test_spam_handled(make, tmp_path, action):
    relay = make(spam=spam(tmp_path, action=action, **({"address": "lab@example.com"} if action == "redirect" else {})))
    reply = send(relay, plain("XMARKX\r\n"))
    assert reply.code == (550 if action == "reject" else 250)
    if action == "quarantine":
        assert quarantined(relay)[0]["kind"] == "spam"
    if action == "redirect":
        p = parsed(arrived(relay, "lab@example.com"))
        assert p["Subject"] == "[SPAM] hello" and p["X-Spam-Flag"] == "YES"
    if action == "pass":
        p = parsed(arrived(relay))
        assert p["Subject"] == "hello" and p["X-Spam-Status"].startswith("Yes") and not p["X-Spam-Flag"]
    high = send(relay, plain("XHIGHX\r\n"))
    assert high.code == (550 if action == "reject" else 250)
    relay.wait_queue_empty()
    assert len(relay.sink.messages) == (action in ("redirect", "pass"))
    if action in ("redirect", "pass", "quarantine"):
        quarantined(relay, 2 if action == "quarantine" else 1)


def test_report_in_front(make, tmp_path):
    relay = make(spam=spam(tmp_path, report=True))
    text = multipart(("a.txt", "text/plain", "x\r\n"), text="XMARKX")
    p = parsed(stripped(relay, text))
    report, inner = p.iter_parts()
    assert p.get_content_type() == "multipart/mixed" and "T_MARK" in report.get_content() and "<naïve>" in report.get_content()
    assert inner.get_content_type() == "multipart/mixed" and len(list(inner.iter_parts())) == 2
    m = stripped(relay, plain("XMARKX =E4\r\n", "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n"))
    report, inner = parsed(m).iter_parts()
    assert inner.get_content().split() == ["XMARKX", "ä"]
    p = parsed(stripped(relay, plain("XMARKX\r\n")))
    assert list(p.iter_parts())[1].get_content().strip() == "XMARKX"


def test_told_below_a_score(make, tmp_path):
    relay = make(spam=spam(tmp_path, notify={"address": "admin@example.com", "below": 9}))
    assert send(relay, plain("XHIGHX\r\n")).code == 250
    assert send(relay, plain("XMARKX\r\n")).code == 250
    m = arrived(relay, "admin@example.com")
    assert b"T_MARK" in m.data
    relay.wait_queue_empty()
    assert len(relay.sink.to("admin@example.com")) == 1


def test_forged_fields_are_cut(make, tmp_path):
    relay = make(spam=spam(tmp_path))
    text = plain("text\r\n", "X-Spam-Status: No, score=-9\r\n\tfolded\r\nx-spam-flag: NO\r\nX-Kept: yes\r\nX-SPAM-Level:\r\n")
    m = stripped(relay, text)
    assert b"x-spam" not in m.data.lower() and b"X-Kept: yes" in m.data
    m = stripped(relay, text, source=TRUSTED)
    assert b"score=-9" in m.data
    many = "".join(f"X-Spam-{i}: x\r\nX-{i}: y\r\n" for i in range(60))
    assert send(relay, plain("text\r\n", many)).code == 550


def test_allowed_and_trusted_are_not_judged(make, tmp_path):
    relay = make(spam=spam(tmp_path, trusted_mail=True), checks={"allow": {"senders": ["friend@client.example"]}})
    assert not parsed(stripped(relay, plain("XHIGHX\r\n"), sender="friend@client.example"))["X-Spam-Status"]
    assert send(relay, plain("XHIGHX\r\n"), source=TRUSTED).code == 250
    quarantined(relay)


# ---- what is signed is what is sent

@pytest.mark.slow
def test_own_signature_holds_after_edits(make, tmp_path):
    key = RelayKey(tmp_path / "keys", "client.example")
    relay = make(**blocked("strip"), spam=spam(tmp_path, trusted_mail=True, report=True, levels={"quarantine": 40}), dkim={"keys": [key.entry]})
    single = plain("TVqQ\r\n", "Content-Type: application/x-thing; name=run.exe\r\nContent-Transfer-Encoding: base64\r\n")
    for text in (multipart(PROGRAM), single, plain("XMARKX\r\n"), multipart(PROGRAM, ("a.txt", "text/plain", "x\r\n" * 100_000), text="XMARKX")):
        m = stripped(relay, text, source=TRUSTED, sender="ann@client.example")
        assert m.data.startswith(b"DKIM-Signature") and verified(m.data, [key]), m.data[:3000]
        parsed(m)


# ---- crash

def test_a_message_that_crashes_it_twice(make, tmp_path, monkeypatch):
    monkeypatch.setenv("POSTERN_SCAN_CRASH", "1")
    relay = make(attachments={"enabled": True})
    assert send(relay, plain("text\r\n", "X-Crash-Test: abort\r\n")).code == 250
    q = quarantined(relay)[0]
    assert q["kind"] == "crash"
    assert send(relay, plain()).code == 250
    arrived(relay)
