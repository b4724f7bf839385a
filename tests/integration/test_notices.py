# SPDX-License-Identifier: Apache-2.0
"""Texts that the relay writes: four languages, by configuration and by zone; texts in place of the built-in ones; who gets them."""
import email
import email.policy
import re
import unicodedata
import urllib.request

import pytest

from lib.content import PROGRAM, multipart
from lib.daemon import postern as command
from lib.programs import have
from lib.quarantine import figures, mail, refill, wait_held
from lib.smtp import TRUSTED
from lib.util import free_port, wait_until

POSTMASTER = "postmaster@mx.postern.example"
FAILED = {"en": "Your message could not be delivered", "de": "Ihre Nachricht konnte nicht zugestellt werden",
          "it": "Impossibile recapitare il Suo messaggio", "ja": "メールを配信できませんでした"}
SAID = {"en": "The server 127.0.0.1 said:", "de": "Der Server 127.0.0.1 hat geantwortet:", "it": "Il server 127.0.0.1 ha risposto:",
        "ja": "サーバー 127.0.0.1 からの応答："}


def columns(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def read(message, language):
    """Strictly: 7-bit, no defects, lines that a terminal shows. The message and its text."""
    assert max(message.data) < 128 and all(len(line) <= 998 for line in message.data.split(b"\r\n"))
    m = email.message_from_bytes(message.data, policy=email.policy.default)
    for part in m.walk():
        assert not part.defects, part.defects
    for name in ("Subject", "From", "To", "Date"):
        assert not m[name].defects, (name, m[name].defects)
    header = message.data.split(b"\r\n\r\n")[0]
    assert all(len(line) <= 78 for line in header.split(b"\r\n")[-20:] if line[:8] in (b"Subject:", b"From: M") or line[:3] == b" =?")
    part = next(p for p in m.walk() if p.get_content_type() == "text/plain")
    assert part["Content-Language"] == language
    assert part["Content-Transfer-Encoding"] == {"en": "7bit", "ja": "base64"}.get(language, "quoted-printable")
    text = part.get_content()
    assert all(columns(line) <= 72 and line == line.rstrip() for line in text.splitlines())
    assert "{" not in text
    return m, text


@pytest.fixture
def relay(postern, sink):
    zones = {name: {"networks": [f"127.0.0.{host}"], "trust": "relay", **({"language": language} if language else {})}
             for name, host, language in (("rome", 11, "it"), ("tokyo", 12, "ja"), ("london", 13, "en"), ("berlin", 14, None))}
    sink.on("rcpt", "550 5.1.1 no such user", match="nobody")
    daemon = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                     routes=[{"to": "mx.postern.example", "via": sink.hop}], zones=zones, notices={"language": "de"})
    daemon.sink = sink
    return daemon


def test_bounces_by_zone(relay):
    for host, language in ((11, "it"), (12, "ja"), (13, "en"), (14, "de"), (2, "de")):
        sender = f"from{host}@client.example"
        relay.send("nobody@example.com", "Subject: hello\n\nbody\n", sender=sender, source=f"127.0.0.{host}")
        m, text = read(relay.sink.wait_to(sender), language)
        assert m["Subject"] == FAILED[language] and m.get_content_type() == "multipart/report" and m["Auto-Submitted"] == "auto-replied"
        assert SAID[language] in text and "550 5.1.1 no such user" in text and "<nobody@example.com>" in text and "hello" in text
        status = list(m.iter_parts())[1].get_payload()
        assert status[1]["Action"] == "failed" and status[1]["Status"] == "5.1.1" and status[1]["Final-Recipient"] == "rfc822; nobody@example.com"
    relay.wait_queue_empty()


def test_subjects(relay):
    """What a subject says is text, whatever it looks like."""
    subjects = {"=?utf-8?q?Gr=C3=BC=C3=9Fe=0D=0ABcc:_x?=": "Grüße\ufffd\ufffdBcc: x",
                "{id} {{x": "{id} {{x", "=?utf-8?b?4oCu?=x": "x"}
    for i, (subject, shown) in enumerate(subjects.items()):
        relay.send("nobody@example.com", f"Subject: {subject}\n\nbody\n", sender=f"s{i}@client.example")
        m = email.message_from_bytes(relay.sink.wait_to(f"s{i}@client.example").data, policy=email.policy.default)
        text = m.get_body(("plain",)).get_content()
        assert f"Betreff:     {shown}" in text or i == 2, text
        assert "\u202e" not in text and "Bcc" not in m


def test_what_a_server_says(relay):
    """In UTF-8 it is shown to people as it is; programs get ASCII. No line of the header is too long for an encoded word (RFC 2047 §2)."""
    relay.sink.on("rcpt", "550 5.1.1 Empfänger unbekannt", match="wer")
    relay.send("wer@example.com", "Subject: =?gb2312?b?xOO6ww==?= x\n\nbody\n", sender="said@client.example", source="127.0.0.12")
    m, text = read(relay.sink.wait_to("said@client.example"), "ja")
    assert "550 5.1.1 Empfänger unbekannt" in text and "[...] x" in text and "=?" not in text
    assert list(m.iter_parts())[1].get_payload()[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 Empf??nger unbekannt"
    header = relay.sink.wait_to("said@client.example").data.split(b"\r\n\r\nThis")[0]
    start = header.index(b"From: =?")
    lines = header[start:header.index(b"To:", start)].split(b"\r\n")
    assert all(len(line) <= 76 for line in lines) and "postmaster@" in m["From"], lines


def test_to_the_postmaster(relay):
    """In his language, whatever the zone's is; and he learns why."""
    relay.send("nobody@example.com", sender="", source="127.0.0.12")
    m, text = read(relay.sink.wait_to(POSTMASTER), "de")
    assert m["Subject"] == "Eine Nachricht konnte weder zugestellt noch zurückgesandt werden" and "Absender:    <>" in text
    assert "ist selbst eine Unzustellbarkeitsmeldung" in " ".join(text.split())
    relay.wait_log(r'sender-not-told .*why="?null sender')
    relay.restart({"zones": {"tokyo": {"dsn": False}}, "notices": {"language": "ja"}})
    relay.send("nobody@example.com", sender="a@client.example", source="127.0.0.12")
    m, text = read(relay.sink.wait_to(POSTMASTER, 2)[1], "ja")
    assert "受信元のゾーンで配信不能通知が無効" in "".join(text.split()) and "<a@client.example>" in text
    relay.wait_queue_empty()
    assert not relay.sink.to("a@client.example")


@pytest.mark.parametrize("language", ["de", "ja"])
def test_found(postern, sink, tmp_path, language):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], notices={"language": language},
                    attachments={"enabled": True, "action": "strip", "notify": {"address": "admin@example.com", "recipients": True}})
    with relay.client() as c:
        c.ehlo()
        c.message("bob@example.com", multipart(PROGRAM, extra=""))
    m, text = read(sink.wait_to("admin@example.com"), language)
    assert {"de": "Gesperrte Datei", "ja": "禁止されたファイル"}[language] in m["Subject"] and "run me.exe" in text
    assert {"de": "Empfänger:  <bob@example.com>", "ja": "宛先：         <bob@example.com>"}[language] in text
    got = sink.wait_to("bob@example.com", 2)
    passed = next(email.message_from_bytes(x.data, policy=email.policy.default) for x in got if b"multipart/mixed" in x.data)
    note = list(passed.iter_parts())[1].get_content()
    assert "run me.exe" in note and {"de": "etwas entfernt", "ja": "許可されていない"}[language] in note


@pytest.mark.slow
def test_digest_and_page(postern, sink):
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], notices={"language": "ja"},
                    quarantine={"digest": {"url": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}})
    refill(relay, [mail(subject="Win"), mail(subject="")])
    wait_held(relay, 2)
    wait_until(lambda: figures(relay).get("reading") is False, "the index", 30)
    for language, words, button, now in (("ja", "2 通", "メールを配信する", []), ("it", "2 messaggi", "Recapita il messaggio", ["--now"])):
        if now:
            relay.write({"notices": {"language": language}})
            relay.command("reload")
            refill(relay, [mail(subject="more"), mail(subject="=?utf-8?q?=3Cb=3E?=")])
            wait_held(relay, 4)
        wait_until(lambda: figures(relay).get("reading") is False, "the index", 30)
        relay.command("quarantine", "digest", "--now")
        m = email.message_from_bytes((sink.wait_to("bob@example.com", 2)[-1] if now else sink.wait_to("bob@example.com")).data, policy=email.policy.default)
        plain, page = (m.get_body((kind,)) for kind in ("plain", "html"))
        assert words in m["Subject"] and words in " ".join(plain.get_content().split()) and words in page.get_content()
        assert plain["Content-Language"] == page["Content-Language"] == language and f'<html lang="{language}">' in page.get_content()
        link = re.search(r"http\S+/release/\S+", plain.get_content())[0]
        assert link in page.get_content()
        shown = urllib.request.urlopen(link, timeout=20).read().decode()
        assert button in shown and f'<html lang="{language}">' in shown


# ---- texts in place of the built-in ones

def test_replaced(relay, tmp_path):
    folder = tmp_path / "texts"
    assert "60 files" in command("notices", "export", folder, check=0).stdout
    assert "0 files" in command("notices", "export", folder, check=0).stdout
    shown = command("notices", "show", "--language", "it", "failed", check=0).stdout
    assert shown == (folder / "it/failed.txt").read_text() and "Subject: Impossibile" in shown
    (folder / "de/failed.txt").write_text("Subject: Kaputt – {id}\n\nTut uns leid: {recipients}\n")
    relay.write({"notices": {"templates": str(folder)}})
    assert "warning: notices" not in relay.command("check").stdout
    (folder / "fr").mkdir()
    (folder / "en/failed.text").touch()
    (folder / "en/delayed.txt").write_text("Subject: Late\n\nIt is late: {{recipients}}\n")
    doubts = relay.command("check").stdout
    assert re.search(r":[0-9]+:[0-9]+: warning: notices.templates: \S+/texts/fr is not read", doubts), doubts
    assert "en/failed.text is not read" in doubts and "en/delayed.txt: {recipients} is nowhere" in doubts and doubts.count("warning: notices") == 3
    relay.command("reload")
    relay.send("nobody@example.com", sender="a@client.example")
    m = email.message_from_bytes(relay.sink.wait_to("a@client.example").data, policy=email.policy.default)
    assert re.fullmatch(r"Kaputt – [0-9a-z]+", m["Subject"])
    assert m.get_body(("plain",)).get_content().startswith("Tut uns leid: <nobody@example.com>")
    # A wrong one is refused with its line; what was there stays.
    (folder / "de/failed.txt").write_text("Subject: Noch einer\n\nHallo {wer}\n")
    done = relay.command("check", check=78)
    assert "de/failed.txt:3: {wer} is not known here" in done.stdout
    assert "de/failed.txt:3" in (r := relay.command("reload", check=None)).stdout + r.stderr and r.returncode != 0
    relay.send("nobody@example.com", sender="b@client.example")
    assert b"Tut uns leid" in relay.sink.wait_to("b@client.example").data


# ---- to whom

@pytest.mark.skipif(not have("knotd"), reason="knotd is not installed")
def test_forged(postern, sink, knot):
    names = knot({"test": 'pass TXT "v=spf1 ip4:127.0.0.1 -all"\nfail TXT "v=spf1 -all"\nsoft TXT "v=spf1 ~all"\n'
                          '_dmarc.asks TXT "v=DMARC1; p=quarantine"\nasks TXT "v=spf1 ~all"'})
    sink.on("rcpt", "550 5.1.1 no such user", match="nobody")
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                    routes=[{"to": "mx.postern.example", "via": sink.hop}], dns={"servers": [names.server]},
                    checks={"spf": {"enabled": True, "reject": False}, "dkim": {"enabled": True}, "dmarc": {"enabled": True, "honor": False}})
    for domain, told in (("pass.test", True), ("soft.test", True), ("none.test", True), ("fail.test", False), ("asks.test", False)):
        relay.send("nobody@example.com", f"From: a@{domain}\nSubject: x\n\nbody\n", sender=f"a@{domain}", source="127.0.0.1")
        if told:
            relay.sink = sink
            sink.wait_to(f"a@{domain}")
    relay.send("nobody@example.com", sender="a@fail.test", source=TRUSTED)  # one of us may say what he likes
    sink.wait_to("a@fail.test")
    notices = sink.wait_to(POSTMASTER, 2)
    relay.wait_queue_empty()
    assert len(sink.to(POSTMASTER)) == 2 and len(sink.to("a@fail.test")) == 1 and not sink.to("a@asks.test")
    m, text = read(notices[0], "en")
    assert "its sender's address is probably forged" in " ".join(text.split()) and re.search(r"<a@(fail|asks)\.test>", text)
    relay.wait_log(r'sender-not-told .*why="?forged sender')
