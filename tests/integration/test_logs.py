# SPDX-License-Identifier: Apache-2.0
"""The log: a message's story is found by its id, and nothing that came from outside gets into it raw."""
import json
import re
import time
import unicodedata

import pytest

from lib.smtp import queued_id, stuffed
from lib.util import free_port, wait_until

LINE = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>debug|info|warning|error) (?P<process>master|admin|store|relay-\d+) "
                  r"(?P<event>[a-z_-]+(?: [a-z,_-]+)*?)(?P<fields>(?: [a-z_]+=(?:\"(?:[^\"\\]|\\.)*\"|[^ \"]*))*)$")
FIELD = re.compile(r" ([a-z_]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^ \"]*))")


def harmless(data):
    """UTF-8 without control characters, and without those that turn the direction of text or cannot be seen."""
    text = data.decode() if isinstance(data, bytes) else data
    bad = {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")}
    assert not bad, [line for line in text.split("\n") if bad & set(line)][:3]
    return text


def parsed(relay):
    """The lines as (event, fields). Every line must be one, and harmless."""
    out = []
    for line in harmless(relay.log_path.read_bytes()).split("\n")[:-1]:
        match = LINE.match(line)
        assert match, line
        out.append((match["event"], {m[1]: m[2] if m[2] is not None else m[3] for m in FIELD.finditer(match["fields"])}))
    return out


def story(relay, id):
    """Events of the lines that hold the id."""
    lines = [line for line in relay.log().splitlines() if id in line]
    return [LINE.match(line)["event"] for line in lines]


def fields(relay, event, **want):
    """The one line of the event that has these fields."""
    found = [f for e, f in parsed(relay) if e == event and all(f.get(k) == v for k, v in want.items())]
    assert len(found) == 1, found
    return found[0]


@pytest.fixture(scope="module")
def relay(shared):
    return shared(zones={"lan": {"networks": ["127.0.0.2"], "trust": "relay"}})


@pytest.fixture(autouse=True)
def clear(request):
    yield
    if "relay" in request.fixturenames:
        request.getfixturevalue("relay").sink.clear()


def finished(relay, id):
    wait_until(lambda: "removed" in story(relay, id), lambda: story(relay, id))
    return story(relay, id)


# ---- stories

def test_delivered(relay):
    id = queued_id(relay.send(["d1@example.com", "d2@example.com"], "Message-ID: <m1@client.example>\n\nx\n"))
    assert finished(relay, id) == ["accepted", "delivered", "removed"]
    accepted = fields(relay, "accepted", id=id)
    assert (accepted["from"], accepted["to"], accepted["recipients"], accepted["client"], accepted["message_id"]) == (
        "sender@client.example", "d1@example.com", "2", "127.0.0.2", "<m1@client.example>") and int(accepted["size"]) > 30
    delivered = fields(relay, "delivered", id=id)
    assert delivered["host"].startswith("127.0.0.1[127.0.0.1]") and delivered["reply"] == "250 2.0.0 taken" and delivered["recipients"] == "2"
    session = accepted["session"]
    assert [e for e, f in parsed(relay) if f.get("session") == session] == ["connect", "accepted", "disconnect"]
    assert fields(relay, "disconnect", session=session)["messages"] == "1"


@pytest.mark.slow
def test_deferred_and_delivered(relay):
    relay.sink.on("rcpt", "450 4.2.1 not now", match="later@", times=2)
    id = queued_id(relay.send("later@example.com"))
    assert finished(relay, id) == ["accepted", "deferred", "deferred", "delivered", "removed"]
    deferred = [f for e, f in parsed(relay) if e == "deferred" and f["id"] == id]
    assert all("450 4.2.1 not now" in f["reply"] and f["to"] == "later@example.com" for f in deferred)


def test_bounced(relay):
    """The bounce is found from the message, and the message from the bounce."""
    relay.sink.on("rcpt", "550 5.1.1 unknown", match="nobody@")
    id = queued_id(relay.send(["nobody@example.com", "somebody@example.com"]))
    assert sorted(finished(relay, id)) == sorted(["accepted", "bounced", "delivered", "notified", "removed"])
    assert "550 5.1.1 unknown" in fields(relay, "bounced", id=id)["reply"]
    notice = fields(relay, "notified", id=id)["notice"]
    assert finished(relay, notice)[-2:] == ["delivered", "removed"]
    assert id.encode() in relay.sink.wait_to("sender@client.example").data


def test_refused(relay):
    with relay.client() as c:
        c.ehlo()
        c.mail("x@stranger.example")
        c.rcpt("a@foreign.example", 550)
        c.cmd("BOGUS", 500)
    wait_until(lambda: [f for e, f in parsed(relay) if e == "refused" and f.get("about") == "a@foreign.example"], relay.log_tail)
    refused = fields(relay, "refused", about="a@foreign.example")
    assert refused["code"] == "550" and refused["stage"].lower() == "rcpt" and refused["text"]


def test_commands_are_in_the_story(postern, sink):
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": f"127.0.0.1:{port}"}], queue={"retry_first": "1h", "retry_max": "1h"})
    kept, gone = queued_id(relay.send("a@example.com")), queued_id(relay.send("b@example.com"))
    relay.wait_queued(2)
    wait_until(lambda: "deferred" in story(relay, kept), relay.log_tail)
    relay.command("queue", "hold", kept)
    relay.command("queue", "delete", gone)
    relay.command("queue", "release", kept)
    events = {id: [e for e in story(relay, id) if e != "admin-action"] for id in (kept, gone)}  # whose line comes at its own time
    assert events[kept][:3] == ["accepted", "deferred", "held"] and "released" in events[kept]
    assert events[gone][0] == "accepted" and events[gone][-1] == "deleted"


def test_story_goes_on_after_a_restart(postern, make_sink):
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": f"127.0.0.1:{port}"}])
    id = queued_id(relay.send("a@example.com"))
    wait_until(lambda: "deferred" in story(relay, id), relay.log_tail)
    relay.restart()
    make_sink(port=port).wait_to("a@example.com", seconds=30)
    told = finished(relay, id)
    assert told[0] == "accepted" and told[-2:] == ["delivered", "removed"] and told.count("accepted") == 1


def test_id_is_the_clients_and_in_the_header(relay):
    id = queued_id(relay.send("header@example.com"))
    assert id.encode() in relay.sink.wait_to("header@example.com").header
    assert finished(relay, id)[0] == "accepted"


def test_level(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], log={"level": "warning"})
    relay.send("a@example.com")
    sink.wait_to("a@example.com")
    time.sleep(0.3)
    assert not re.search(r" (info|debug) relay", relay.log())


# ---- hostile bytes

NASTY = ["\x1b[31mred", "\x07\x08\x0b\x7f", "\xff\xfe\x80", "é\u202egnp.exe", 'a" id=0000000000000 to="b', "x\\\" id=1", "tab\there", "%s%n%x",
         "'; rm -rf", "=", "a=b c=d", "\x9b31m", "a" * 3000]


def latin(text):
    return text.encode("utf-8") if "\u202e" in text else text.encode("latin-1")


@pytest.mark.parametrize("nasty", NASTY, ids=lambda v: ascii(v[:12]))
def test_clients_words(relay, nasty):
    """In every place where a client can put bytes."""
    n = latin(nasty)
    before = len(relay.log_path.read_bytes())
    for line in (b"EHLO " + n, b"HELO " + n, b"MAIL FROM:<" + n + b"@client.example>", b'MAIL FROM:<"' + n + b'"@client.example>',
                 b"MAIL FROM:<a@client.example> X=" + n, n, b"VRFY " + n):
        with relay.trusted() as c:
            c.cmd(line)
    with relay.trusted() as c:
        c.ehlo()
        c.cmd(b"MAIL FROM:<a@client.example>")
        for to in (n + b"@example.com", b'"' + n + b'"@example.com', b"a@" + n, b"a@" + n + b".example", b"@" + n + b":a@b.example"):
            c.cmd(b"RCPT TO:<" + to + b">")
    head = b"".join(name + b": " + n[:900] + b"\r\n" for name in (b"Subject", b"Message-ID", b"From", b"To", b"Received", b"X"))
    with relay.trusted() as c:
        c.ehlo()
        c.mail()
        c.rcpt("nasty@example.com")
        c.cmd("DATA", 354)
        c.send(head + b"\r\ntext\r\n.\r\n")
        reply = c.reply((2, 5))
    if reply.code == 250:
        id = queued_id(reply)
        finished(relay, id)
        assert story(relay, id)[0] == "accepted" and len([1 for e, f in parsed(relay) if f.get("id") == id]) == 3
    log = relay.log_path.read_bytes()[before:]
    harmless(log)
    assert max(map(len, log.split(b"\n"))) < 2500
    for event, f in parsed(relay):
        assert f.get("id", "") != "0000000000000" and f.get("id", "") != "1"


def test_servers_words(postern, sink):
    """In every reply of a next hop: log, queue list, queue show, status."""
    words = [latin(nasty)[:1800] for nasty in NASTY]
    greetings = iter(words * 100)
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, queue={"retry_first": "1h", "retry_max": "1h"},
                    delivery={"messages_per_connection": 1})
    sink.on("connect", lambda session, argument: b"220-" + (n := next(greetings)) + b"\r\n220 " + n + b"\r\n")
    for i, n in enumerate(words):
        sink.on("mail", b"451-4.3.0 " + n + b"\r\n451 4.3.0 " + n + b"\r\n", match=f"mail{i}@")
        sink.on("rcpt", b"450 4.2.0 " + n + b"\r\n", match=f"wait{i}@")
        sink.on("rcpt", b"550 5.1.1 " + n + b"\r\n", match=f"never{i}@")
        sink.on("text", b"250 " + n + b"\r\n", match=f"secret{i}.")
        sink.on("quit", b"221 " + n + b"\r\n")
    for i in range(len(words)):
        relay.send("a@example.com", sender=f"mail{i}@client.example")
        relay.send([f"wait{i}@example.com", f"never{i}@example.com", "fine@example.com"], f"Subject: x\n\nsecret{i}.\n")
    sink.wait_to("sender@client.example", n=len(words))
    relay.wait_queued(2 * len(words))
    wait_until(lambda: all(m["state"] == "deferred" for m in relay.queue()), relay.queue)
    parsed(relay)
    for args in (("list",), ("show", *[m["id"] for m in relay.queue()])):
        out = relay.command("queue", *args).stdout
        harmless(out)
        assert max(map(len, out.splitlines())) <= (80 if args[0] == "list" else 2600)
    for args in (("queue", "list", "--json"), ("status", "--json")):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", json.dumps(json.loads(relay.command(*args).stdout), ensure_ascii=False))


def test_names_from_dns(postern, knot):
    """Labels may hold any byte."""
    names = knot({"test": r"""
a MX 10 evil\027\[31m\010.x
e CNAME a\009\"\;\255
b MX 10 h\"\032id\061one
"""})
    relay = postern(routes=[{"to": f"{x}.test", "via": f"mx:{x}.test:{free_port()}"} for x in "abe"],
                    dns={"servers": [names.server], "timeout": "3s"})
    ids = [queued_id(relay.send(f"x@{x}.test")) for x in "abe"]
    wait_until(lambda: all("deferred" in story(relay, id) for id in ids), relay.log_tail)
    assert {f["id"] for e, f in parsed(relay) if "id" in f} == set(ids)
    out = relay.command("queue", "list").stdout + relay.command("queue", "show", *ids).stdout
    harmless(out)


def test_lines_end_nowhere_else(relay):
    """A bare CR, LF or a folded header makes no line of the log."""
    for text in (b"Message-ID: <a\r\n 2026-01-01T00:00:00.000Z info relay-0 accepted id=0000000000000>\r\n\r\nx\r\n",
                 b"Subject: a\r\n\tb\r\n\r\nx\r\n"):
        with relay.trusted() as c:
            c.ehlo()
            c.mail()
            c.rcpt("fold@example.com")
            c.cmd("DATA", 354)
            c.send(text + b".\r\n")
            finished(relay, queued_id(c.reply(250)))
    assert not [f for e, f in parsed(relay) if f.get("id") == "0000000000000"]


def test_no_text_of_messages(relay):
    """What is in a message is nobody's business but its recipient's."""
    id = queued_id(relay.send("private@example.com", "Subject: secret-subject\n\nsecret-text\n"))
    finished(relay, id)
    assert "secret-text" not in relay.log() and "secret-subject" not in relay.log()
    with relay.trusted() as c:
        c.ehlo()
        c.mail()
        c.rcpt("private@example.com")
        c.cmd("DATA", 354)
        c.send(stuffed("Subject: secret-subject\n\nsecret-text\n" * 3)[:-5] + b"\nsecret-text\r\n.\r\n")  # refused: a bare LF
        c.reply((5, 2))
    assert "secret-text" not in relay.log()
