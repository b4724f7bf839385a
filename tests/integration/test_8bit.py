# SPDX-License-Identifier: Apache-2.0
"""8-bit mail to servers that take none (RFC 6152 §3): python's email package judges that the bodies are still the same."""
import email
import email.policy
import random

import pytest

from lib.util import wait_until

pytestmark = pytest.mark.slow

TEXTS = ["plain ascii\r\n", "Grüße aus Köln = 100 % \r\n  indented\r\n", "x" * 1500 + "ä\r\n", "", "\r\n\r\nä\r\n", "ä" * 900 + "\r\n",
         ".\r\n..dots ü\r\nFrom here\r\n", "no end ö"]
ENCODINGS = [None, "8bit", "7bit", "binary", "8BIT"]


def leaf(rnd):
    kind = rnd.choice(["text/plain; charset=utf-8", "text/html; charset=utf-8", "application/octet-stream", None, "image/x"])
    encoding = rnd.choice(ENCODINGS + ["base64", "quoted-printable"])
    body = rnd.choice(TEXTS).encode()
    if encoding == "base64":
        body = b"R3LDvMOfZQ==\r\n"
    elif encoding == "quoted-printable":
        body = b"Gr=C3=BC=\r\n=C3=9Fe \xc3\xa4\r\n"
    return ((f"Content-Type: {kind}\r\n" if kind else "") +
            (f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else "") + "\r\n").encode() + body


def entity(rnd, depth, number):
    pick = rnd.random()
    if depth > 3 or pick < 0.35:
        return leaf(rnd)
    if pick < 0.5:
        return b"Content-Type: message/rfc822\r\n\r\nSubject: inner \xc3\xa4\r\n" + entity(rnd, depth + 1, number)
    number[0] += 1
    boundary = f"b{number[0]} {rnd.randrange(10**6)}x"
    out = (f'Content-Type: multipart/{rnd.choice(["mixed", "alternative"])};\r\n boundary="{boundary}"\r\n' +
           (rnd.choice(["", "Content-Transfer-Encoding: 8bit\r\n"])) + "\r\n").encode()
    out += rnd.choice([b"", "préamble\r\n".encode()])
    for _ in range(rnd.randrange(1, 4)):
        out += b"--" + boundary.encode() + b"\r\n" + entity(rnd, depth + 1, number) + b"\r\n"
    return out + rnd.choice([b"--" + boundary.encode() + b"--\r\n"] * 4 + [b""])


def bodies(raw):
    out = []
    for part in email.message_from_bytes(raw).walk():
        if not part.is_multipart():
            # How a text's last line ends is the transport's.
            out.append((part.get_content_type(), (part.get_payload(decode=True) or b"").rstrip(b"\r\n")))
    return out


@pytest.fixture
def relay(postern, sink):
    sink.extensions.remove("8BITMIME")
    return postern(domains=[{"name": "example.com", "deliver": sink.hop}, {"name": "client.example", "deliver": sink.hop}])


def test_bodies_stay_the_same(relay, sink):
    rnd = random.Random(8)
    sent = {}
    with relay.client() as c:
        c.ehlo()
        for i in range(120):
            raw = b"From: J\xc3\xb6rg <j@client.example>\r\nMIME-Version: 1.0\r\nX-N: %d\r\n" % i + entity(rnd, 0, [0])
            raw = raw if raw.endswith(b"\r\n") else raw + b"\r\n"
            sent[i] = raw
            c.mail(params="BODY=8BITMIME")
            c.rcpt("b@example.com")
            c.data(raw)
    wait_until(lambda: len(sink.messages) == len(sent), lambda: f"{len(sink.messages)}", 30)
    for m in sink.messages:
        n = int(email.message_from_bytes(m.data)["X-N"])
        assert m.data.isascii() and all(len(line) <= 998 for line in m.data.split(b"\r\n"))
        assert "BODY" not in m.mail_params and "SIZE" not in m.mail_params or sent[n].isascii()
        assert bodies(m.data) == bodies(sent[n]), (sent[n], m.data)


def test_headers_can_be_read(relay, sink):
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("b@example.com")
        c.data("Subject: Grüße und mehr\nFrom: Jörg X <j@client.example>\nX-Old: a\n\nä\n")
    message = sink.wait_to("b@example.com")
    parsed = email.message_from_bytes(message.data, policy=email.policy.default)
    assert parsed["Subject"] == "Grüße und mehr"
    assert parsed["From"].addresses[0].display_name == "Jörg X"


def test_signed_mail_comes_back(relay, sink):
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("b@example.com")
        c.data("Content-Type: multipart/signed; boundary=s\n\n--s\n\nä\n--s--\n")
    wait_until(lambda: sink.messages, lambda: "no bounce", 20)
    assert b"Status: 5.6.3" in sink.messages[0].data and sink.messages[0].sender == ""


@pytest.mark.root
@pytest.mark.parametrize("keywords", ["8BITMIME, SMTPUTF8", "DSN", ""])
def test_postfix_takes_it(postern, postfix, sink, keywords):
    next_hop = postfix(sink.hop, smtpd_discard_ehlo_keywords=keywords)
    relay = postern(domains=[{"name": "example.com", "deliver": next_hop.hop}])
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("b@example.com")
        c.data("Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\n")
    wait_until(lambda: sink.messages, lambda: next_hop.log(), 20)
    parsed = email.message_from_bytes(sink.messages[0].data)
    assert parsed.get_payload(decode=True).decode() == "Grüße\r\n"
    assert ("8BITMIME" in keywords) == (parsed["Content-Transfer-Encoding"] == "quoted-printable")


def test_received_is_ascii_where_it_can_be(relay, sink):
    """The domain of the only recipient is written in ASCII: the server is one without SMTPUTF8."""
    relay.write({"domains": [{"name": "xn--bcher-kva.example", "deliver": sink.hop}]})
    relay.restart()
    with relay.trusted() as c:
        c.ehlo()
        c.mail("a@client.example", "SMTPUTF8")
        c.rcpt("joerg@bücher.example".encode().decode("latin-1"))
        c.data("Subject: ascii\n\ntext\n")
    wait_until(lambda: sink.messages, lambda: relay.log_tail(), 20)
    assert sink.messages[0].rcpts == ["joerg@xn--bcher-kva.example"]
    assert b"for <joerg@xn--bcher-kva.example>" in sink.messages[0].header and sink.messages[0].data.isascii()


@pytest.mark.parametrize("kilobytes", [4, 600])
def test_a_refusal_half_way_is_one_server_s(postern, make_sink, kilobytes):
    """A signed part that is 8-bit comes at the end: what was sent until then counts for nothing, and the sender hears of it once. The
    server that takes 8-bit text has the message once."""
    old, new, back = make_sink(extensions=["PIPELINING"]), make_sink(), make_sink()
    relay = postern(domains=[{"name": "old.example", "deliver": old.hop}, {"name": "new.example", "deliver": new.hop},
                             {"name": "client.example", "deliver": back.hop}])
    filler = ("ü" * 70 + "\n") * (kilobytes * 1024 // 141)
    text = ('Subject: half\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: text/plain; charset=utf-8\n'
            f'Content-Transfer-Encoding: 8bit\n\n{filler}\n--o\nContent-Type: multipart/signed; boundary=i; protocol="x/y"\n\n--i\n'
            'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nä\n--i\nContent-Type: x/y\n\nsig\n--i--\n--o--\n')
    with relay.trusted() as c:
        c.ehlo()
        c.mail("a@client.example", "BODY=8BITMIME")
        for rcpt in ("u@old.example", "v@new.example", "w@old.example"):
            c.rcpt(rcpt)
        c.data(text)
    wait_until(lambda: back.messages and new.messages, lambda: relay.log_tail(), 20)
    relay.wait_queue_empty()
    assert not old.messages and len(new.messages) == 1 and len(back.messages) == 1
    assert "5.6.3" in str(back.messages[0].data) and b"v@new.example" not in back.messages[0].data


def test_text_of_which_nothing_is_left(relay, sink):
    """A base64 part full of what decoders pass over: nothing comes out of megabytes."""
    text = (b"Subject: empty\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD\r\n" +
            (b"\xfc" * 900 + b"\r\n") * 2500 + b"REVG\r\n")
    with relay.trusted() as c:
        c.ehlo()
        c.mail("a@client.example", "BODY=8BITMIME")
        c.rcpt("empty@example.com")
        c.data(text)
    message = sink.wait_to("empty@example.com")
    assert email.message_from_bytes(message.data).get_payload(decode=True) == b"ABCDEF"
