# SPDX-License-Identifier: Apache-2.0
"""Digests of the quarantine: who is told of what, once; and the page behind the links, where only the button of the one it is for releases."""
import base64
import email
import email.policy
import html.parser
import json
import re
import socket
import sqlite3
import subprocess
import time

import pytest

from lib.certs import Pair
from lib.quarantine import figures, fill, listed, mail, refill, wait_held
from lib.signing import RelayKey
from lib.util import free_port, wait_until


def curl(url, *args):
    """The code, header and body of an answer."""
    done = subprocess.run(["curl", "-s", "-i", "-m", "20", *map(str, args), url], capture_output=True, text=True, timeout=40)
    assert done.returncode == 0, (done.returncode, done.stderr)
    head, body = done.stdout.replace("\r\n", "\n").split("\n\n", 1)
    return int(head.split()[1]), head, body


def press(link, *args, token=None):
    return curl(link, "--data", f"token={token or link.rsplit('/', 1)[1]}", *args)


@pytest.fixture
def relay(postern, sink):
    port = free_port()
    daemon = postern(domains=[{"name": "example.com", "deliver": sink.hop}, {"name": "other.example", "deliver": sink.hop}],
                     quarantine={"digest": {"url": f"http://127.0.0.1:{port}", "listen": f"127.0.0.1:{port}", "from": "quarantine@example.com"}})
    daemon.sink, daemon.page = sink, port
    return daemon


def ready(relay):
    wait_until(lambda: figures(relay).get("reading") is False, "the index", 30)


def send(relay, *args, check=0):
    ready(relay)
    return relay.command("quarantine", "digest", "--now", *args, check=check).stdout


def digest(relay, to="bob@example.com", n=1):
    """The last of the n digests that came: message, plain text, HTML, links."""
    got = relay.sink.wait_to(to, n)
    m = email.message_from_bytes((got if n == 1 else got[-1]).data, policy=email.policy.default)
    plain, page = (m.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return m, plain, page, re.findall(r"http\S+/release/\S+", plain)


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text = set(), [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [v for k, v in attrs if k in ("href", "src", "action", "background")]
        assert not any(k.startswith("on") for k, _ in attrs)

    def handle_data(self, data):
        self.text += data


# ---- who is told of what

@pytest.mark.slow
def test_told_once(relay):
    ids = refill(relay, [mail(subject="Win now"), mail(["bob@example.com", "carol@other.example"], subject="both"),
                         mail(kind="virus", subject="invoice"), mail("x@elsewhere.example"), mail(kind="crash", sender="")])
    wait_held(relay, 5)
    shown = relay.command("quarantine", "digest").stdout
    assert re.search(r"^ +4  bob@example.com\n +1  carol@other.example\n", shown, re.M) and "enabled is no" in shown
    assert "both" in relay.command("quarantine", "digest", "carol@other.example").stdout
    assert "2 digests sent\n1 recipient passed over" in send(relay)
    m, plain, page, links = digest(relay)
    assert m["From"] == "Mail relay <quarantine@example.com>" and m["Auto-Submitted"] == "auto-generated" and "4 messages" in m["Subject"]
    assert relay.sink.to("bob@example.com")[0].sender == "" and m.get_content_type() == "multipart/alternative"
    assert len(links) == 2 and len(set(links)) == 2  # not for the virus, nor for what ended a process
    assert "it has a virus" in plain and "invoice" in plain and "eve@stranger.example" in plain and "carol" not in plain + page
    tags = Tags(page)
    assert sorted(tags.links) == sorted(links) and not tags.tags & {"img", "script", "link", "iframe", "form", "object"}
    assert len(digest(relay, "carol@other.example")[3]) == 1
    relay.wait_queue_empty()
    assert len(relay.sink.messages) == 2
    for again in (lambda: None, lambda: relay.restart(), lambda: lose_index(relay)):  # neither forgotten nor repeated
        again()
        assert "0 digests sent" in send(relay)
    more = refill(relay, [mail(subject="later")])
    wait_held(relay, 6)
    assert "1 digest sent" in send(relay, "BOB@example.com")
    m, plain, page, links = digest(relay, n=2)
    assert "later" in plain and "Win now" not in plain and "1 message held back" in m["Subject"] and len(links) == 1
    assert ids and more and len(listed(relay, "--state", "held")) == 6


def lose_index(relay):
    relay.stop()
    for path in (relay.folder / "data/store").glob("quarantine.db*"):
        path.unlink()
    relay.start()
    ready(relay)


@pytest.mark.slow
def test_many(relay):
    refill(relay, [mail(repeat=130)])
    wait_held(relay, 130)
    assert "1 digest sent" in send(relay)
    m, plain, page, links = digest(relay)
    assert len(links) == 100 and "30 messages more" in plain and "30 messages more" in page and "130 messages" in m["Subject"]
    assert "0 digests sent" in send(relay)


@pytest.mark.slow
def test_hostile_texts(relay):
    bad = ["<script>alert(1)</script>", "\"><img src=http://evil.example/x>", "=?utf-8?q?=3Ciframe_src=3Dx=3E?=", "\u202egpj.exe \x1b[2J \x9b31m",
           "a\u200b\u2066b", "=?utf-8?b?DQpCY2M6IHg=?=", "x" * 250, "日本語 ñ", "--=_0000000000000--", ".", "&lt;b&gt;"]
    refill(relay, [mail(subject=s, sender="\"<i>'\"@x.example") for s in bad])
    wait_held(relay, len(bad))
    send(relay)
    m, plain, page, links = digest(relay)
    raw = relay.sink.to("bob@example.com")[0].data
    assert len(links) == len(bad) and len(list(m.iter_parts())) == 2 and max(map(len, raw.split(b"\r\n"))) <= 90 and raw.isascii()
    tags = Tags(page)
    assert tags.tags <= {"html", "head", "meta", "title", "body", "p", "table", "tr", "td", "b", "br", "small", "a"} and len(tags.links) == len(bad)
    for text in (plain, tags.text):
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text)
        assert "<iframe src=x>" in text and "日本語 ñ" in text and "&lt;b&gt;" in text
    for link in links:
        code, head, body = curl(link)
        assert code == 200 and Tags(body).tags <= {"html", "head", "meta", "title", "body", "h1", "p", "table", "tr", "th", "td", "form", "input", "button"}
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", body)


@pytest.mark.slow
def test_at_its_time(relay):
    """Also when the relay was not running then."""
    refill(relay, [mail()])
    wait_held(relay, 1)
    relay.restart({"quarantine": {"digest": {"enabled": True, "at": ["00:00", "12:00"]}}})
    path = relay.folder / "data/store/quarantine.db"
    wait_until(lambda: sqlite3.connect(path).execute("SELECT value FROM mark").fetchall(), "its first look at the clock", 30, 0.2)
    assert "sent at 20" in relay.command("quarantine", "digest").stdout and not relay.sink.messages
    relay.stop()
    db = sqlite3.connect(path)
    db.execute("UPDATE mark SET value=value-86400000")
    db.commit()
    db.close()
    relay.start()
    relay.wait_log("digests-sent", 40)
    digest(relay)
    relay.restart()
    time.sleep(12)
    assert len(relay.sink.messages) == 1


@pytest.mark.slow
def test_only_some_domains_and_signed(relay, tmp_path):
    key = RelayKey(tmp_path / "keys", "example.com")
    relay.stop()
    relay.write({"quarantine": {"digest": {"domains": ["other.example"]}}, "dkim": {"keys": [key.entry]}})
    fill(relay, [mail(["bob@example.com", "carol@other.example"])])
    relay.start()
    wait_held(relay, 1)
    assert "1 digest sent\n1 recipient passed over" in send(relay)
    assert "d=example.com" in digest(relay, "carol@other.example")[0]["DKIM-Signature"]
    assert not relay.sink.to("bob@example.com")


# ---- links

def link_of(relay, to=("bob@example.com", "carol@other.example"), **more):
    ids = refill(relay, [mail(list(to), **more)])
    wait_held(relay, 1)
    send(relay)
    return ids[0], digest(relay)[3][0]


def states(relay):
    return {r["address"]: r["state"] for r in listed(relay)[0]["recipients"]}


def test_only_the_button_releases(relay):
    known, link = link_of(relay)
    bob, carol = "bob@example.com", "carol@other.example"
    relay.sink.wait_to(carol)
    for args in ([], ["-I"], ["-H", "Purpose: prefetch"], ["--data", ""], ["--data", "token=x"], ["--data", "a=b"], ["-X", "PUT"], ["-X", "DELETE"],
                 ["-X", "OPTIONS"]):
        code, head, body = curl(link, *args)
        assert code == (200 if "-I" in args or not args or "-H" in args else 405 if "-X" in args else 404), (args, head)
        assert ("Win now" in body) == (code == 200 and "-I" not in args)
    code, head, body = curl(link)
    assert all(part in head.lower() for part in ("content-security-policy: default-src 'none'; form-action 'self'; frame-ancestors 'none'",
                                                  "referrer-policy: no-referrer", "cache-control: no-store", "x-content-type-options: nosniff"))
    assert "set-cookie" not in head.lower() and "<script" not in body and 'method="post"' in body and "eve@stranger.example" in body
    relay.wait_queue_empty()
    assert states(relay) == {bob: "held", carol: "held"} and len(relay.sink.messages) == 2
    code, head, body = press(link)
    assert code == 200 and "on its way" in body
    assert b"Click here" in relay.sink.wait_to(bob, 2)[1].data
    assert states(relay) == {bob: "released", carol: "held"}
    assert re.search(rf"digest-link-used id={known} to=bob@example.com", relay.log())
    assert re.search(rf"quarantine-released id={known} by=\"link, from 127.0.0.1\"", relay.log())
    for again in (press(link), curl(link)):
        assert again[0] == 200 and "already" in again[2] and "<form" not in again[2]
    relay.wait_queue_empty()
    assert len(relay.sink.to(bob)) == 2 and len(relay.sink.to(carol)) == 1


def test_links_that_are_none(relay):
    known, link = link_of(relay)
    start, token = link.rsplit("/", 1)
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[12] ^= 1  # the other recipient of the same message
    other = base64.urlsafe_b64encode(raw).decode()
    answers = set()
    for bad in (other, token[:-1], token + "A", token[:40] + ("A" if token[40] != "A" else "B") + token[41:], "A" * 92, "x", "", "../" + token, "%00" + token,
                token.lower()):
        for answer in (curl(f"{start}/{bad}", "--path-as-is"), press(f"{start}/{bad}", "--path-as-is", token=bad)):
            assert answer[0] == 404, (bad, answer)
            answers.add(answer[2])
    assert len(answers) == 1  # all look the same
    assert curl(start.rsplit("/", 1)[0])[2] in answers and curl(f"http://127.0.0.1:{relay.page}/")[2] in answers
    relay.command("quarantine", "delete", known, "--to", "bob@example.com")
    assert curl(link)[2] in answers and press(link)[2] in answers
    assert "digest-link-refused" in relay.log() and token not in relay.log()
    secret = relay.folder / "data/digest.secret"
    assert secret.stat().st_mode & 0o777 == 0o600 and len(secret.read_bytes()) == 32
    relay.stop()
    secret.write_bytes(b"x" * 32)  # another relay's
    relay.start()
    ready(relay)
    assert curl(link)[2] in answers


@pytest.mark.slow
def test_expired(relay):
    relay.stop()
    relay.write({"quarantine": {"keep": "20s"}})
    relay.start()
    known, link = link_of(relay, to=["bob@example.com"])
    assert curl(link)[0] == 200
    wait_until(lambda: curl(link)[0] == 404, "its end", 40, 0.5)
    assert press(link)[0] == 404 and len(relay.sink.messages) == 1


@pytest.mark.slow
def test_viruses_have_no_link_even_with_the_secret(relay):
    """A token for one, made by somebody who knows how, is none."""
    import hashlib
    import hmac
    ids = refill(relay, [mail(kind="virus")])
    wait_held(relay, 1)
    shown = json.loads(relay.command("quarantine", "digest", "bob@example.com", "--json").stdout)["messages"][0]
    assert shown["id"] == ids[0]
    row = wait_until(lambda: sqlite3.connect(relay.folder / "data/store/quarantine.db").execute("SELECT id FROM entry").fetchone(), "its row")
    fields = (b"\x01" + row[0].to_bytes(8, "big") + bytes(4) + int(time.time() + 1000).to_bytes(8, "big") +
              hashlib.sha256(b"bob@example.com").digest()[:16])
    token = fields + hmac.new((relay.folder / "data/digest.secret").read_bytes(), fields, "sha256").digest()
    link = f"http://127.0.0.1:{relay.page}/release/" + base64.urlsafe_b64encode(token).decode()
    assert curl(link)[0] == 404 and press(link)[0] == 404 and states(relay) == {"bob@example.com": "held"}


@pytest.mark.slow
def test_https_and_a_reload(relay, tmp_path):
    pair, port = Pair(tmp_path / "tls", "mail.test", ["127.0.0.1"]), free_port()
    known, link = link_of(relay)
    relay.write({"quarantine": {"digest": {"url": f"https://127.0.0.1:{port}/", "listen": f"127.0.0.1:{port}", "certificate": str(pair.cert_file),
                                           "key": str(pair.key_file)}}})
    relay.command("reload")
    secure = link.replace(f"http://127.0.0.1:{relay.page}", f"https://127.0.0.1:{port}")
    wait_until(lambda: curl(secure, "--cacert", pair.cert_file)[0] == 200, "the page", 20)
    assert subprocess.run(["curl", "-s", "-m", "5", link], capture_output=True).returncode  # nobody there any more
    for old in ("1.0", "1.1"):
        done = subprocess.run(["curl", "-s", "-k", "--tls-max", old, secure], capture_output=True)
        assert done.returncode == 35, done
    assert "on its way" in press(secure, "--cacert", pair.cert_file)[2]
    relay.sink.wait_to("bob@example.com", 2)
    relay.command("reload")  # the same port again
    wait_until(lambda: "already" in curl(secure, "--cacert", pair.cert_file)[2], "the page", 20)
    pid = relay.pid("admin")
    subprocess.run(["kill", "-9", str(pid)], check=True)
    wait_until(lambda: subprocess.run(["curl", "-s", "-k", "-m", "5", secure], capture_output=True).stdout.count(b"already"), "the page", 30)


@pytest.mark.slow
def test_behind_a_proxy_in_a_folder(relay):
    known, link = link_of(relay)
    path = link.split("/release/")[1]
    assert "on its way" in press(f"http://127.0.0.1:{relay.page}/mail/release/{path}")[2]


@pytest.mark.slow
def test_rude_clients(relay):
    """Slow ones, many at once, large bodies: others are served, and the rest of the relay does not notice."""
    known, link = link_of(relay)
    token = link.rsplit("/", 1)[1]
    assert subprocess.run(["curl", "-s", "-m", "20", "--data", "token=" + "x" * 100000, link], capture_output=True).returncode in (52, 56, 55)
    assert curl(link, "-H", "X: " + "y" * 60000)[0] in (413, 431)
    slow = []
    for i in range(60):
        s = socket.create_connection(("127.0.0.1", relay.page))
        s.sendall(f"POST /release/{token} HTTP/1.1\r\nHost: x\r\n".encode()[:i + 10])
        slow.append(s)
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 3000, b"GET " + b"/" * 20000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 5000):
        with socket.create_connection(("127.0.0.1", relay.page)) as s:
            s.sendall(junk)
    assert curl(link)[0] == 200 and relay.command("status").returncode == 0
    began = time.monotonic()
    slow[0].settimeout(40)
    while True:  # a byte now and then does not help
        try:
            slow[0].sendall(b"x")
            if not slow[0].recv(1, socket.MSG_DONTWAIT):
                break
        except BlockingIOError:
            pass
        except OSError:
            break
        assert time.monotonic() - began < 90
        time.sleep(2)
    assert time.monotonic() - began > 5
    assert "on its way" in press(link)[2]
    for s in slow:
        s.close()


@pytest.mark.slow
def test_options(relay):
    for words in (["digest", "a@b.c", "d@e.f"], ["digest", "--all"], ["digest", "--kind", "spam"], ["list", "--now"]):
        assert relay.command("quarantine", *words, check=64).stderr
    assert "nothing new" in relay.command("quarantine", "digest", "nobody@example.com").stdout
    assert "0 digests" in send(relay, "nobody@example.com")
