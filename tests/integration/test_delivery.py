# SPDX-License-Identifier: Apache-2.0
"""Sending on: what arrives at the next hop, what happens when it refuses, breaks off or is not there, what senders are told."""
import email
import email.policy
import re
import time

import pytest

from lib.sink import CLOSE, RESET, Delay
from lib.smtp import queued_id
from lib.util import free_port, wait_until

POSTMASTER = "postmaster@mx.postern.example"
STAGES = ["connect", "ehlo", "mail", "rcpt", "data", "text"]


@pytest.fixture
def relay(postern, sink):
    """example.com and everything else go to the sink; the first retry comes after about a second."""
    r = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, routes=[{"to": "mx.postern.example", "via": sink.hop}])
    r.sink = sink
    return r


def bounce_parts(message):
    """The three parts of a report (RFC 3462, 3464): text, fields per message and per recipient, what was sent."""
    mail = email.message_from_bytes(message.data, policy=email.policy.default)
    assert mail.get_content_type() == "multipart/report", mail.as_string()
    assert mail.get_param("report-type") == "delivery-status"
    assert mail["MIME-Version"] == "1.0" and mail["Date"] and mail["Message-ID"] and mail["From"] and mail["Subject"]
    assert mail["Auto-Submitted"].startswith("auto-")  # RFC 3834 §5
    parts = list(mail.iter_parts())
    assert [p.get_content_type() for p in parts[:2]] == ["text/plain", "message/delivery-status"]
    assert parts[2].get_content_type() in ("message/rfc822", "text/rfc822-headers")
    status = parts[1].get_payload()
    return mail, parts[0].get_content(), status[0], status[1:], parts[2]


def met_side_by_side(postern, make_sink, actions, **kw):
    """[(stage, action)]: for each a server, next hop of a domain of its own, that does this once. The message for it arrives, once, and no
    sender hears of anything."""
    home, sinks = make_sink(), [make_sink(**kw) for _ in actions]
    relay = postern(domains=[{"name": f"hop{i}.example", "deliver": sink.hop} for i, sink in enumerate(sinks)], smarthost=home.hop)
    for sink, (stage, action) in zip(sinks, actions):
        sink.on(stage, action, times=1)
    for i in range(len(sinks)):
        relay.send(f"odd@hop{i}.example")
    wait_until(lambda: all(sink.messages for sink in sinks),
               lambda: f"messages; none came to {[i for i, sink in enumerate(sinks) if not sink.messages]}", 30)
    relay.wait_queue_empty()
    assert [[m.rcpts for m in sink.messages] for sink in sinks] == [[[f"odd@hop{i}.example"]] for i in range(len(sinks))]
    assert all(sink.rules[0].times == 0 for sink in sinks)  # each did its worst
    assert not home.messages


# ---- what arrives

def test_delivered_as_sent(relay):
    text = b"From: a@example.org\r\nSubject: exact\r\n\r\n.dot\r\n..\r\n\r\nlast \xe4\r\n"
    reply = relay.send("exact@example.com", text)
    message = relay.sink.wait_to("exact@example.com")
    assert message.data.endswith(text) and message.data.startswith(b"Received: ")
    assert message.sender == "sender@client.example" and message.rcpts == ["exact@example.com"]
    assert b"\r\n..dot\r\n...\r\n" in message.raw
    relay.wait_queue_empty()
    relay.wait_log(r"delivered .*" + queued_id(reply))


def test_no_more_connections_than_allowed(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], delivery={"connections": 4})
    sink.on("text", Delay(0.05))
    with relay.trusted() as c:
        c.ehlo()
        for i in range(60):
            c.message(f"burst{i}@example.com")
    for i in range(60):
        sink.wait_to(f"burst{i}@example.com")
    assert len(sink.sessions) <= 4


def test_the_relay_introduces_itself(relay):
    relay.send("hello@example.com")
    session = relay.sink.wait_to("hello@example.com").session
    assert session.commands[0] == "EHLO mx.postern.example"


def test_eight_bit_and_size_are_announced(relay):
    with relay.trusted() as c:
        c.ehlo()
        c.mail(params="BODY=8BITMIME")
        c.rcpt("eight@example.com")
        c.data("Subject: x\n\n\u00e4\n")
    params = relay.sink.wait_to("eight@example.com").mail_params
    assert "BODY=8BITMIME" in params and "SIZE=" in params


@pytest.mark.daily(1)
@pytest.mark.parametrize("size", [1000, 100_000, 200_000, 3_000_000])
def test_large_messages(relay, size):
    text = b"Subject: large\r\n\r\n" + b"".join(b"%077d\r\n" % i if i % 7 else b".%076d\r\n" % i
                                                for i in range(size // 79))
    relay.send(f"large{size}@example.com", text)
    assert relay.sink.wait_to(f"large{size}@example.com").data.endswith(text)


def test_several_recipients_in_one_transaction(relay):
    to = [f"several{i}@example.com" for i in range(50)]
    relay.send(to)
    assert sorted(relay.sink.wait_to(to[0]).rcpts) == sorted(to)
    assert len(relay.sink.messages) == 1


def test_recipients_are_split(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], delivery={"recipients": 10})
    to = [f"split{i}@example.com" for i in range(25)]
    relay.send(to)
    wait_until(lambda: len(sink.messages) == 3, lambda: sink.messages)
    assert sorted(r for m in sink.messages for r in m.rcpts) == sorted(to)
    assert all(len(m.rcpts) <= 10 for m in sink.messages)


def test_each_domain_goes_its_way(postern, make_sink):
    sinks = [make_sink() for _ in range(4)]
    relay = postern(domains=[{"name": "one.example", "deliver": sinks[0].hop},
                             {"name": "two.example", "subdomains": True, "deliver": sinks[1].hop}],
                    routes=[{"to": "boss@one.example", "via": sinks[2].hop},
                            {"to": ".far.example", "via": sinks[2].hop}], smarthost=sinks[3].hop)
    ways = {"a@one.example": 0, "a@two.example": 1, "a@deep.two.example": 1, "boss@one.example": 2, "a@far.example": 2,
            "a@x.far.example": 2,
            "a@else.example": 3}
    relay.send(list(ways))
    for to, which in ways.items():
        sinks[which].wait_to(to)
    assert sum(len(m.rcpts) for s in sinks for m in s.messages) == len(ways)


@pytest.mark.slow
def test_connections_are_used_again(relay):
    for i in range(30):
        relay.send(f"again{i}@example.com")
        relay.sink.wait_to(f"again{i}@example.com")
    assert len(relay.sink.sessions) <= 3


def test_a_connection_ends_after_its_messages(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}],
                    delivery={"messages_per_connection": 5, "connections": 1})
    for i in range(12):
        relay.send(f"count{i}@example.com")
    for i in range(12):
        sink.wait_to(f"count{i}@example.com")
    assert all(sum(c.upper().startswith("MAIL") for c in s.commands) <= 5 for s in sink.sessions)


# ---- other kinds of servers

@pytest.mark.daily(1)
@pytest.mark.parametrize("extensions", [[], ["8BITMIME"], ["PIPELINING"], ["SIZE"], ["SIZE 0", "PIPELINING"]], ids=str)
def test_servers_that_offer_less(postern, make_sink, extensions):
    sink = make_sink(extensions=extensions)
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    relay.send(["less1@example.com", "less2@example.com"])
    session = sink.wait_to("less1@example.com").session
    assert "PIPELINING" in extensions or session.pipelined <= 1


@pytest.mark.daily(1)
@pytest.mark.parametrize("refusal", ["500 5.5.1 what?", "502 no", "554 no"])
def test_helo_where_ehlo_is_unknown(relay, refusal):
    relay.sink.on("ehlo", refusal)
    relay.send("helo@example.com")
    session = relay.sink.wait_to("helo@example.com").session
    assert [c.split()[0] for c in session.commands[:2]] == ["EHLO", "HELO"]


def test_a_message_larger_than_the_server_takes(postern, make_sink):
    sink = make_sink(extensions=["PIPELINING", "SIZE 2000"])
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop},
                             {"name": "client.example", "deliver": sink.hop}])
    relay.send("toobig@example.com", "Subject: x\n\n" + "x" * 70 * 50 + "\n")
    _, _, _, rcpts, _ = bounce_parts(sink.wait_to("sender@client.example"))
    assert rcpts[0]["Status"].startswith("5.3.4")
    assert not sink.to("toobig@example.com")


def test_multi_line_and_long_replies(relay):
    relay.sink.on("connect", b"220-sink.example\r\n220-second line\r\n220 third\r\n")
    relay.sink.on("rcpt", b"250-fine\r\n250 " + b"x" * 1500 + b"\r\n")
    relay.send("talkative@example.com")
    relay.sink.wait_to("talkative@example.com")


# ---- later

TROUBLE = [
    ("connect", "421 4.3.2 not now"), ("connect", "554 5.3.2 busy"), ("ehlo", "421 4.3.2 not now"),
    ("mail", "451 4.3.0 later"), ("rcpt", "450 4.2.1 later"),
    ("data", "451 4.3.0 later"), ("text", "452 4.3.1 full"), ("connect", CLOSE), ("connect", RESET), ("ehlo", CLOSE),
    ("mail", CLOSE), ("rcpt", CLOSE),
    ("data", CLOSE), ("text", CLOSE), ("text", RESET), ("mail", "421 4.3.2 closing"), ("rcpt", "421 4.3.2 closing"),
    ("text", "421 4.3.2 closing"),
    ("connect", b"nonsense\r\n"), ("mail", b"nonsense\r\n"), ("rcpt", b"250-one\r\n550 two\r\n"), ("data", "250 what?"),
]


@pytest.mark.daily(1)
@pytest.mark.parametrize("stage", STAGES)
def test_tried_again(postern, make_sink, stage):
    """A 4xx, a lost connection or nonsense at any stage: kept, tried again, delivered once, nobody bothered."""
    met_side_by_side(postern, make_sink, [(at, answer) for at, answer in TROUBLE if at == stage])


def test_only_who_was_deferred_is_tried_again(relay):
    relay.sink.on("rcpt", "450 4.2.1 later", match="late@", times=1)
    relay.send(["prompt@example.com", "late@example.com"])
    assert relay.sink.wait_to("prompt@example.com").rcpts == ["prompt@example.com"]
    assert relay.sink.wait_to("late@example.com").rcpts == ["late@example.com"]


def test_too_many_recipients_at_once(relay):
    """452 to a RCPT means: the others later, in another transaction (RFC 5321 §4.5.3.1.10)."""
    limit = 3
    relay.sink.on("rcpt", lambda session, argument: "452 4.5.3 too many" if len(session.rcpts) >= limit else None)
    to = [f"limited{i}@example.com" for i in range(7)]
    relay.send(to)
    for one in to:
        relay.sink.wait_to(one, seconds=40)


def test_a_dead_host_comes_back(postern, make_sink):
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": f"127.0.0.1:{port}"}])
    ids = {queued_id(relay.send(f"dead{i}@example.com")) for i in range(5)}
    entries = relay.wait_queued(5)
    assert {e["id"] for e in entries} == ids
    wait_until(lambda: any(m["reason"].endswith(": cannot connect: Connection refused") for m in relay.queue()),
               lambda: f"the reason in {relay.queue()}")
    sink = make_sink(port=port)
    for i in range(5):
        sink.wait_to(f"dead{i}@example.com", seconds=40)
    relay.wait_queue_empty()


def test_one_dead_host_does_not_hold_up_the_others(postern, sink):
    relay = postern(domains=[{"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"},
                             {"name": "example.com", "deliver": sink.hop}])
    for i in range(20):
        relay.send(f"x{i}@dead.example")
    began = time.monotonic()
    relay.send(["alive@example.com", "y@dead.example"])
    sink.wait_to("alive@example.com")
    assert time.monotonic() - began < 15


@pytest.mark.slow
def test_a_slow_server_is_waited_for(relay):
    relay.sink.on("text", Delay(3))
    relay.send("patient@example.com")
    relay.sink.wait_to("patient@example.com")
    relay.wait_queue_empty()
    assert len(relay.sink.messages) == 1


def test_a_silent_server_is_given_up(postern, make_sink):
    sink = make_sink()
    sink.on("mail", Delay(30), times=1)
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], timeouts={"reply": "1s"})
    relay.send("silent@example.com")
    sink.wait_to("silent@example.com", seconds=25)


@pytest.mark.slow
def test_the_queue_outlives_a_restart(postern, make_sink):
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": f"127.0.0.1:{port}"}])
    ids = {queued_id(relay.send(f"kept{i}@example.com", "Subject: x\n\n" + "x\n" * (i * 60000))) for i in range(4)}
    relay.wait_queued(4)
    relay.restart()
    assert {e["id"] for e in relay.wait_queued(4)} == ids
    sink = make_sink(port=port)
    for i in range(4):
        sink.wait_to(f"kept{i}@example.com", seconds=40)


# ---- the next host

def test_the_next_address_is_tried(postern, make_sink, knot):
    """MX hosts in order of preference: one does not listen, one greets with 421, the third takes it."""
    port = free_port()
    names = knot({"lab.example": "".join(f"a MX {i}0 mx{i}\nmx{i} A 127.0.0.1{i}\n" for i in (1, 2, 3, 4))})
    tired, good, last = (make_sink(port=port, host=f"127.0.0.{i}") for i in (12, 13, 14))
    tired.on("connect", "421 4.3.2 not today")
    relay = postern(domains=[{"name": "example.com", "deliver": f"mx:a.lab.example:{port}"}],
                    dns={"servers": [names.server], "timeout": "5s"})
    relay.send("mx@example.com")
    good.wait_to("mx@example.com")
    assert tired.sessions and not last.sessions


def test_all_addresses_of_one_host(postern, make_sink, knot):
    port = free_port()
    names = knot({"lab.example": "many A 127.0.0.21\nmany A 127.0.0.22\nmany A 127.0.0.23"})
    sink = make_sink(port=port, host="127.0.0.22")
    relay = postern(domains=[{"name": "example.com", "deliver": f"many.lab.example:{port}"}],
                    dns={"servers": [names.server], "timeout": "5s"})
    relay.send("address@example.com")
    sink.wait_to("address@example.com")


@pytest.mark.daily(1)
@pytest.mark.parametrize("domain,status", [("null.lab.example", "5.1.10"), ("nothere.lab.example", "5.1.2"),
                                           ("loop.lab.example", "5.4.6")])
def test_domains_that_take_no_mail(postern, sink, knot, domain, status):
    """Null MX (RFC 7505), no such domain, MX that is ourselves: found out and told at once."""
    names = knot({"lab.example": "null MX 0 .\nloop MX 10 mx.postern.example."})
    relay = postern(domains=[{"name": "client.example", "deliver": sink.hop}],
                    dns={"servers": [names.server], "timeout": "5s"})
    relay.send(f"a@{domain}")
    _, _, _, rcpts, _ = bounce_parts(sink.wait_to("sender@client.example"))
    assert rcpts[0]["Status"].strip() == status


@pytest.mark.slow
def test_dns_that_does_not_answer_is_no_reason_to_bounce(postern, sink):
    relay = postern(domains=[{"name": "client.example", "deliver": sink.hop}])
    relay.send("a@unknown.lab.example")
    relay.wait_queued(1)
    time.sleep(3)
    assert relay.queue() and not sink.messages


# ---- bounces

@pytest.mark.daily(2)
@pytest.mark.parametrize("stage,answer,status", [("mail", "550 5.7.1 not you", "5.7.1"),
                                                 ("rcpt", "550 5.1.1 no such user", "5.1.1"),
                                                 ("data", "554 5.5.0 no", "5.5.0"),
                                                 ("text", "554 5.6.0 not this", "5.6.0"),
                                                 ("rcpt", "550 plain", "5.0.0")])
def test_bounce(relay, stage, answer, status):
    relay.sink.on(stage, answer, match="nobody@" if stage == "rcpt" else "secret body" if stage == "text" else "",
                  times=1)
    relay.send("nobody@example.com", "Subject: original subject\nX-Mark: 42\n\nsecret body\n")
    bounce = relay.sink.wait_to("sender@client.example")
    assert bounce.sender == ""
    mail, text, message, rcpts, original = bounce_parts(bounce)
    assert mail["To"] == "sender@client.example" and "nobody@example.com" in text and answer[4:] in text
    assert message["Reporting-MTA"] == "dns; mx.postern.example"
    assert len(rcpts) == 1 and rcpts[0]["Final-Recipient"].replace(" ", "") == "rfc822;nobody@example.com"
    assert rcpts[0]["Action"] == "failed" and rcpts[0]["Status"] == status
    assert re.match(r"smtp; ?" + re.escape(answer) + "$", rcpts[0]["Diagnostic-Code"])  # the enhanced code once
    assert "X-Mark: 42" in original.as_string()
    relay.wait_queue_empty()
    assert not relay.sink.to("nobody@example.com")


def test_bounce_only_for_those_who_failed(relay):
    relay.sink.on("rcpt", "550 5.1.1 unknown", match="bad")
    relay.send(["good1@example.com", "bad1@example.com", "good2@example.com", "bad2@example.com"])
    assert sorted(relay.sink.wait_to("good1@example.com").rcpts) == ["good1@example.com", "good2@example.com"]
    _, _, _, rcpts, _ = bounce_parts(relay.sink.wait_to("sender@client.example"))
    assert sorted(r["Final-Recipient"].split(";")[1].strip() for r in rcpts) == ["bad1@example.com", "bad2@example.com"]


def test_null_sender_is_never_bounced(relay):
    relay.sink.on("rcpt", "550 5.1.1 unknown", match="nobody@")
    relay.send("nobody@example.com", sender="")
    relay.send("after@example.com")
    relay.sink.wait_to("after@example.com")
    relay.wait_queue_empty()
    assert [m.rcpts for m in relay.sink.messages if m.rcpts != [POSTMASTER]] == [["after@example.com"]]


def test_a_bounce_that_fails_is_the_end(relay):
    """The postmaster may hear of it once; then there is nobody left to tell."""
    relay.sink.on("rcpt", "550 5.1.1 unknown")
    relay.send("nobody@example.com")
    relay.wait_queue_empty(30)
    assert not relay.sink.messages
    senders = [c for s in relay.sink.sessions for c in s.commands if c.upper().startswith("MAIL")]
    assert 2 <= len(senders) <= 3 and all(s.upper().startswith("MAIL FROM:<> ") for s in senders[1:])


def test_a_zone_without_bounces(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                    routes=[{"to": "mx.postern.example", "via": sink.hop}],
                    zones={"lan": {"dsn": False}})
    sink.on("rcpt", "550 5.1.1 unknown", match="nobody@")
    relay.send("nobody@example.com")
    relay.wait_queue_empty()
    assert not [m for m in sink.messages if m.rcpts != [POSTMASTER]]


def test_bounce_holds_nothing_raw(relay):
    """A server's reply is quoted in a form that can do no harm."""
    relay.sink.on("rcpt", b"550-5.1.1 line\x1b[31m one\r\n550 5.1.1 \xff two\r\n", match="nobody@")
    relay.send("nobody@example.com")
    bounce = relay.sink.wait_to("sender@client.example")
    assert b"\x1b" not in bounce.data and b"\xff" not in bounce.data
    bounce_parts(bounce)


@pytest.mark.slow
def test_too_old_is_returned(postern, sink):
    relay = postern(domains=[{"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"},
                             {"name": "client.example", "deliver": sink.hop}],
                    queue={"lifetime": "4s", "delay_warning": "0"})
    relay.send("old@dead.example")
    _, text, _, rcpts, _ = bounce_parts(sink.wait_to("sender@client.example", seconds=30))
    assert rcpts[0]["Action"] == "failed" and rcpts[0]["Status"].startswith(("4.4.", "5.4."))
    assert "old@dead.example" in text
    relay.wait_queue_empty()


@pytest.mark.slow
def test_delay_warning(postern, sink):
    relay = postern(domains=[{"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"},
                             {"name": "client.example", "deliver": sink.hop}],
                    queue={"delay_warning": "2s", "lifetime": "1h"})
    relay.send("late@dead.example")
    _, _, _, rcpts, _ = bounce_parts(sink.wait_to("sender@client.example", seconds=30))
    assert rcpts[0]["Action"] == "delayed" and rcpts[0]["Status"].startswith("4.") and rcpts[0]["Will-Retry-Until"]
    time.sleep(4)
    assert len(sink.messages) == 1 and len(relay.queue()) == 1
