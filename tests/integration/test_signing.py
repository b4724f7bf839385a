# SPDX-License-Identifier: Apache-2.0
"""Mail of users and trusted clients is signed, and other programs find the signatures right: which mail, with which keys, and what of it."""
import base64
import re
import subprocess
import time

import pytest

from lib.daemon import postern as command
from lib.programs import have
from lib.signing import RelayKey, signatures, verified
from lib.sink import Sink
from lib.smtp import STRANGER, TRUSTED, Smtp
from lib.util import free_port

pytest.importorskip("dkim")
pytest.importorskip("nacl")


def numbers(n=[0]):
    n[0] += 1
    return n[0]


def text(author="a@example.com", body=b"a body\r\n", *fields):
    head = b"".join(f + b"\r\n" for f in fields)
    author = author if isinstance(author, bytes) else f"From: A <{author}>".encode()
    return head + author + (b"\r\n" if author else b"") + b"To: u@elsewhere.test\r\nSubject:  a  subject\r\nMessage-ID: <1@x>\r\n" \
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n" + body


def on_wire(message):
    return re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"


def send(relay, message, source=TRUSTED, to=None, bdat=None, params="", sender="bounces@client.example", expect=250):
    """What arrives."""
    to = to or f"u{numbers()}@example.com"
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail(sender, params)
        c.rcpt(to)
        if bdat:
            for at in range(0, len(message), bdat):
                piece = message[at:at + bdat]
                c.send(b"BDAT %d%s\r\n" % (len(piece), b" LAST" if at + bdat >= len(message) else b"") + piece)
                reply = c.reply(250 if at + bdat < len(message) else expect)
        else:
            reply = c.data(on_wire(message), expect, raw=True)
    return relay.sink.wait_to(to).data if reply.code == 250 else reply


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {"rsa": RelayKey(folder, "example.com", "r1"), "ed": RelayKey(folder, "example.com", "e1", "ed25519"),
            "old": RelayKey(folder, "example.com", "old", "ed25519"), "own": RelayKey(folder, "own.example.com", "o", "ed25519"),
            "idn": RelayKey(folder, "xn--bcher-kva.example", "i", "ed25519"), "big": RelayKey(folder, "big.test", "b", bits=4096)}


@pytest.fixture(scope="module")
def relay(module_postern, keys):
    sink = Sink(extensions=["PIPELINING", "8BITMIME", "SMTPUTF8"])
    entries = [{**k.entry, **({"enabled": False} if name == "old" else {})} for name, k in keys.items()]
    relay = module_postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, dkim={"keys": entries})
    relay.sink = sink
    yield relay
    sink.stop()


@pytest.fixture
def make(postern, sink):
    def relay(*keys, changes={}, **dkim):
        relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                        dkim={"keys": [k if isinstance(k, dict) else k.entry for k in keys], **dkim}, **changes)
        relay.sink = sink
        return relay
    return relay


BODIES = {"small": b"a body\r\n", "dots": b".\r\n..\r\n.a\r\n", "blank": b" x \t y \r\n\r\n\r\n", "none": b"", "lines": b"\r\n\r\n",
          "open": b"no end", "wide": "grüße\r\n".encode(), "long": b"a line of text\r\n" * 20000, "large": b"a line of text\r\n" * 200000}


@pytest.mark.daily(1)
@pytest.mark.parametrize("way", ["data", "bdat"])
@pytest.mark.parametrize("body", BODIES)
def test_signed(relay, keys, body, way):
    """With both keys of the domain at once, and with none that is not enabled."""
    message = text(body=BODIES[body])
    if body == "open" and way == "data":
        message += b"\r\n"
    got = send(relay, message, bdat=100000 if way == "bdat" else None, params="BODY=8BITMIME" if body == "wide" else "")
    assert verified(got, keys.values()) == [("example.com", "r1"), ("example.com", "e1")]
    assert got.startswith(b"DKIM-Signature:") and got.count(b"Received:") == 1
    assert got.rstrip(b"\r\n").endswith(message.rstrip(b"\r\n")), "the message itself is as it came"
    assert {t["a"] for t in signatures(got)} == {"rsa-sha256", "ed25519-sha256"} and {t["c"] for t in signatures(got)} == {"relaxed/relaxed"}
    assert all(len(line) <= 78 for line in got.split(b"Received:")[0].split(b"\r\n"))
    assert abs(int(signatures(got)[0]["t"]) - time.time()) < 60 and "x" not in signatures(got)[0]


@pytest.mark.parametrize("author,signers", [
    ("a@example.com", ["r1", "e1"]), ("a@EXAMPLE.com", ["r1", "e1"]), ("a@sub.example.com", ["r1", "e1"]), ("a@a.b.c.example.com", ["r1", "e1"]),
    ("a@own.example.com", ["o"]), ("a@sub.own.example.com", ["o"]), ("a@big.test", ["b"]), ("a@other.test", []), ("a@notexample.com", []),
    ("a@com", []), ("a@example.com.evil.test", []), ("a@xn--bcher-kva.example", ["i"]),
    (b"From: a@example.com, B <b@example.com>", ["r1", "e1"]), (b"From: a@example.com, b@own.example.com", []),
    (b"From: a@example.com, b@other.test", []), (b"From: a@example.com\r\nFrom: a@example.com", []), (b"", []),
    (b"From: undisclosed:;", []), (b"From: example.com", []), (b"From: =?utf-8?q?a=40example.com?= <a@other.test>", []),
    (b"From: \"a@other.test\" <a@example.com>", ["r1", "e1"]), (b"FROM: (c)\r\n A\r\n\t<a@example.com>", ["r1", "e1"]),
])
@pytest.mark.daily(8)
def test_whose(relay, keys, author, signers):
    assert [s for _, s in verified(send(relay, text(author)), keys.values())] == signers


def test_international(relay, keys):
    got = send(relay, text("From: Ä <ä@bücher.example>".encode(), "grüße\r\n".encode(), "Subject: grün".encode()),
               params="SMTPUTF8 BODY=8BITMIME")
    assert [s for _, s in verified(got, keys.values())] == ["i"]


def test_strangers_are_not_signed(relay):
    assert signatures(send(relay, text(), source=STRANGER)) == []


def test_what_looks_like_no_header(relay):
    assert signatures(send(relay, b"From: a@example.com\r\nno field\r\nTo: b@example.com\r\n\r\nbody\r\n")) == []


def test_one_message_after_the_other(relay, keys):
    """Nothing is left over of one that was refused, given up or not signed."""
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        for i, (author, n) in enumerate([("a@example.com", 2), ("a@other.test", 0), ("a@own.example.com", 1), ("a@example.com", 2)]):
            c.mail("x@client.example")
            c.rcpt("nobody@example.com")
            c.cmd("RSET", 250)
            c.mail("x@client.example")
            c.rcpt(f"turn{i}@example.com")
            c.data(on_wire(text(author, b"text %d\r\n" % i)), 250, raw=True)
            assert len(verified(relay.sink.wait_to(f"turn{i}@example.com").data, keys.values())) == n


def test_many_in_one_write(relay, keys):
    """Pipelined: the session waits for the signature, the client does not."""
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        one = b"".join(b"BDAT %d LAST\r\n%s" % (len(m), m) for m in [text(body=b"x\r\n")])
        c.send(b"".join(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<many@example.com>\r\n" + one for _ in range(20)))
        for _ in range(60):
            c.reply(250)
    for got in relay.sink.wait_to("many@example.com", 20):
        assert len(verified(got.data, keys.values())) == 2


def test_who_leaves_while_it_is_signed(relay):
    for _ in range(10):
        with Smtp(relay.port, source=TRUSTED) as c:
            c.ehlo()
            c.mail("a@client.example")
            c.rcpt("leaves@example.com")
            c.cmd("DATA", 354)
            c.send(on_wire(text()))
    send(relay, text())


@pytest.mark.skipif(not have("perl") or not have("knotd"), reason="Mail::DKIM or knot is not there")
def test_by_perl(relay, keys, knot, tmp_path):
    """Mail::DKIM, with keys from a name server."""
    if subprocess.run(["perl", "-MMail::DKIM::Verifier", "-e1"], capture_output=True).returncode:
        pytest.skip("Mail::DKIM is not installed")
    server = knot({"example.com": keys["rsa"].line + keys["ed"].line})
    path = tmp_path / "message"
    path.write_bytes(send(relay, text(body=BODIES["blank"])))
    script = """use Mail::DKIM::Verifier; use Mail::DKIM::DNS; use Net::DNS;
        Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $ARGV[1]));
        my $v = Mail::DKIM::Verifier->new; open my $f, '<:raw', $ARGV[0]; local $/; $v->PRINT(<$f>); $v->CLOSE;
        print $_->algorithm . ' ' . $_->result . "\\n" for $v->signatures;"""
    done = subprocess.run(["perl", "-e", script, str(path), str(server.port)], capture_output=True, text=True, timeout=30)
    assert "rsa-sha256 pass\n" in done.stdout and "fail" not in done.stdout, done.stdout + done.stderr  # not all know ed25519


# ---- users

def test_users(postern, sink, keys):
    """Submission adds what is missing, and signs it."""
    port = free_port()
    relay = postern(smarthost=sink.hop, zones={"old": {"networks": ["127.0.0.5"], "auth_without_tls": True}},
                    listeners=[{"address": f"127.0.0.1:{port}", "role": "submission"}],
                    auth={"sender_must_match": False, "backend": "users"}, dkim={"keys": [keys["rsa"].entry]})
    command("user", "add", "joe@example.com", "-c", relay.config_path, stdin="secret-word\n", check=0)
    with Smtp(port, source="127.0.0.5") as c:
        c.ehlo()
        c.cmd("AUTH PLAIN " + base64.b64encode(b"\0joe@example.com\0secret-word").decode(), 235)
        for to, message in (("bare@elsewhere.test", b"From: joe@example.com\r\nSubject: x\r\n\r\nbody\r\n"), ("full@elsewhere.test", text())):
            c.mail("joe@example.com")
            c.rcpt(to)
            c.data(on_wire(message), 250, raw=True)
            got = sink.wait_to(to).data
            assert verified(got, keys.values()) == [("example.com", "r1")]
            assert got.count(b"\r\nDate:") == 1 and got.count(b"\r\nMessage-ID:") == 1
            assert {"date", "message-id", "from", "subject"} <= set(signatures(got)[0]["h"].lower().split(":"))
            changed = got.replace(b"\r\nDate: ", b"\r\nDate: Fri, ")
            with pytest.raises(AssertionError):
                verified(changed, keys.values())


# ---- options

@pytest.mark.daily(2)
@pytest.mark.parametrize("header", ["simple", "relaxed"])
@pytest.mark.parametrize("body", ["simple", "relaxed"])
def test_canonicalizations(make, keys, header, body):
    relay = make(keys["rsa"], keys["ed"], header=header, body=body)
    got = send(relay, text(body=b" x \t y \r\n\r\n\r\n"))
    assert len(verified(got, keys.values())) == 2 and signatures(got)[0]["c"] == f"{header}/{body}"
    for change, survives in ((lambda m: m.replace(b"\r\nSubject:  a  ", b"\r\nSUBJECT: a "), header == "relaxed"),
                             (lambda m: m.replace(b" x \t y ", b" x y"), body == "relaxed")):
        try:
            verified(change(got), keys.values())
            assert survives
        except AssertionError:
            assert not survives


def test_chosen_fields(make, keys):
    relay = make(keys["rsa"], headers=["From", "Subject", "X-Mine"], oversign=["X-Mine", "Subject"])
    got = send(relay, text("a@example.com", b"x\r\n", b"X-Mine: 1", b"X-Mine: 2"))
    names = signatures(got)[0]["h"].lower().split(":")
    assert sorted(names) == ["from", "from", "subject", "subject", "x-mine", "x-mine", "x-mine"]
    assert len(verified(got, keys.values())) == 1
    verified(b"To: more\r\n" + got, keys.values())
    for field in (b"X-Mine: 3\r\n", b"Subject: another\r\n", b"From: b@evil.test\r\n"):
        with pytest.raises(AssertionError):
            verified(field + got, keys.values())


def test_expire(make, keys):
    relay = make(keys["rsa"], expire="10d")
    found = signatures(send(relay, text()))[0]
    assert int(found["x"]) - int(found["t"]) == 10 * 86400


def test_no_subdomains(make, keys):
    relay = make(keys["rsa"], keys["own"], subdomains=False)
    for author, n in (("a@example.com", 1), ("a@sub.example.com", 0), ("a@own.example.com", 1), ("a@sub.own.example.com", 0)):
        assert len(verified(send(relay, text(author)), keys.values())) == n


def test_four_keys(make, tmp_path):
    four = [RelayKey(tmp_path, "example.com", f"k{i}", "ed25519") for i in range(4)]
    relay = make(*four)
    assert [s for _, s in verified(send(relay, text()), four)] == ["k0", "k1", "k2", "k3"]
    fifth = RelayKey(tmp_path, "example.com", "k4", "ed25519")
    relay.write({"dkim": {"keys": [k.entry for k in [*four, fifth]]}})
    assert "more than 4 keys" in relay.command("check", check=78).stdout
    relay.write({"dkim": {"keys": [*[k.entry for k in four], {**fifth.entry, "enabled": False}]}})
    relay.command("check")


# ---- mail of our own

def test_bounces_are_signed(make, tmp_path):
    key = RelayKey(tmp_path, "postern.example", "own", "ed25519")
    relay = make(key)
    relay.sink.on("rcpt", "550 5.1.1 no", match="bad@")
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        c.message("bad@example.com", "Subject: s\n\n.text\n", "sender@client.example")
    got = relay.sink.wait_to("sender@client.example")
    assert got.sender == "" and verified(got.data, [key]) == [("postern.example", "own")]
    assert "sent-unsigned" not in relay.log()


def test_bounces_without_a_key(make, keys):
    relay = make(keys["rsa"])
    relay.sink.on("rcpt", "550 5.1.1 no", match="bad@")
    relay.send("bad@example.com")
    assert signatures(relay.sink.wait_to("sender@client.example").data) == []
