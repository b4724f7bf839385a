# SPDX-License-Identifier: Apache-2.0
"""LMTP (RFC 2033) towards next hops: with Dovecot's server, and with one that lies. Each recipient has a reply of its own, and none may get another's."""
import random
import ssl
import time

import pytest

from lib.certs import Pair
from lib.local import LmtpSink, Mailboxes, replies
from lib.programs import have
from lib.sasl import PASSWORD, USER, auth_rule
from lib.sink import CLOSE, RESET, Delay, Sink
from lib.util import wait_until

QUICK = {"queue": {"retry_first": "1s", "retry_max": "1s"}, "delivery": {"probe": "0s"}}
THREE = ["a@store.example", "b@store.example", "c@store.example"]


@pytest.fixture
def lmtp(tmp_path):
    things = []

    def make(*args, **kw):
        things.append(LmtpSink(*args, **kw))
        return things[-1]
    yield make
    for thing in things:
        thing.stop()


@pytest.fixture
def relay(postern):
    """Mail to store.example goes to that hop, all other to a sink."""
    sinks = []

    def make(hop, **changes):
        outside = Sink()
        sinks.append(outside)
        r = postern(**{**QUICK, "domains": [{"name": "store.example", "deliver": hop}], "smarthost": outside.hop, **changes})
        r.outside = outside
        return r
    yield make
    for sink in sinks:
        sink.stop()


def commands(sink):
    return [c for s in sink.sessions for c in s.commands]


def events(relay, event):
    return [line for line in relay.log().splitlines() if f" {event} " in line]


def test_a_message(relay, lmtp):
    sink = lmtp()
    r = relay(sink.hop)
    r.send(THREE, "Subject: one\n\n.dot\ntext\n")
    for to in THREE:
        assert sink.wait_to(to).data.endswith(b"\r\n\r\n.dot\r\ntext\r\n")
    r.wait_queue_empty()
    said = commands(sink)
    assert said[0] == "LHLO mx.postern.example" and said.count("DATA") == 1 and sum(c.startswith("RCPT") for c in said) == 3
    assert sink.sessions[0].pipelined == 5  # MAIL, three times RCPT, DATA


def test_over_a_socket(relay, lmtp, tmp_path):
    sink = lmtp(path=tmp_path / "lmtp.sock")
    r = relay(sink.hop)
    for i in range(3):
        r.send(THREE[:2], f"Subject: {i}\n\ntext\n")
        wait_until(lambda: len(sink.messages) == 2 * i + 2, "two deliveries")
    assert len(sink.sessions) == 1
    r.wait_log(rf"delivered .*to=a@store\.example recipients=1 host={tmp_path}/lmtp.sock ")
    explained = r.command("explain", "--client", "127.0.0.2", "--from", "x@client.example", "--to", "a@store.example").stdout
    assert f"lmtp:{tmp_path}/lmtp.sock" in explained


def test_a_socket_that_comes_later(relay, lmtp, tmp_path):
    r = relay(f"lmtp:{tmp_path}/late.sock")
    r.send("a@store.example")
    r.wait_log("destination-down .*cannot connect: No such file or directory")
    sink = lmtp(path=tmp_path / "late.sock")
    sink.wait_to("a@store.example")


@pytest.mark.slow
def test_each_by_its_own_reply(relay, lmtp):
    """One is delivered, one fails for good, one is tried again, and he alone."""
    sink = lmtp()
    sink.on("text", "550 5.2.1 closed", match="b@")
    sink.on("text", "452 4.2.2 full", match="c@", times=2)
    r = relay(sink.hop)
    r.send(THREE, sender="writer@client.example")
    bounce = r.outside.wait_to("writer@client.example")
    assert b"b@store.example" in bounce.data and b"5.2.1 closed" in bounce.data and b"<a@store.example>" not in bounce.body
    wait_until(lambda: sink.to("c@store.example"), "the third")
    r.wait_queue_empty()
    assert len(sink.to("a@store.example")) == 1 and [m.rcpts for m in sink.refused] == [["b@store.example"], ["c@store.example"], ["c@store.example"]]
    assert sum(c.startswith("RCPT TO:<a@") for c in commands(sink)) == 1


def test_refused_at_rcpt(relay, lmtp):
    """Replies to the text are for those who were accepted, in their order."""
    sink = lmtp()
    sink.on("rcpt", "550 5.1.1 nobody", match="a@")
    sink.on("rcpt", "450 4.2.1 later", match="c@", times=1)
    sink.on("text", "550 5.7.0 not you", match="d@")
    r = relay(sink.hop)
    r.send([*THREE, "d@store.example"], sender="writer@client.example")
    bounces = wait_until(lambda: r.outside.to("writer@client.example"), "a bounce")
    text = b"".join(m.body for m in bounces)
    assert b"5.1.1 nobody" in text and b"5.7.0 not you" in text
    sink.wait_to("b@store.example")
    sink.wait_to("c@store.example")
    r.wait_queue_empty()


def test_nobody_accepted(relay, lmtp):
    sink = lmtp()
    sink.on("rcpt", "550 5.1.1 nobody")
    r = relay(sink.hop)
    r.send(THREE, sender="")
    r.wait_log("notified")  # the postmaster, who is nobody here: that waits
    assert not sink.messages and not events(r, "delivery-session-failed")


def test_a_text_for_nobody(relay, lmtp):
    """354 though no recipient was accepted: nothing is sent, the session ends, and what was decided holds."""
    sink = lmtp()
    sink.on("rcpt", "550 5.1.1 nobody")
    sink.on("data", "354 go on")
    r = relay(sink.hop)
    r.send(THREE, sender="")
    r.wait_log("notified")  # the postmaster, who is nobody here: that waits
    assert "wants a text that is for nobody" in r.log()


@pytest.mark.parametrize("how", [CLOSE, "421 4.3.2 going down", *(pytest.param(x, marks=pytest.mark.slow) for x in (
    RESET, "354 what", "221 2.0.0 bye", b"nonsense\r\n"))])
def test_cut_off_in_the_middle(relay, lmtp, how):
    """What got its 250 is done, the rest is tried again."""
    sink = lmtp()
    sink.on("text", how, match="b@", times=1)
    r = relay(sink.hop)
    r.send(THREE)
    wait_until(lambda: sink.to("b@store.example") and sink.to("c@store.example"), "the others")
    r.wait_queue_empty()
    assert len(sink.to("a@store.example")) == 1
    texts = [c for c in commands(sink) if c.startswith("RCPT")]
    assert texts.count("RCPT TO:<a@store.example>") == 1, texts


def test_replies_too_many(relay, lmtp):
    """More replies than recipients are no replies to what comes next."""
    sink = lmtp()
    sink.on("text", replies("250 2.0.0 taken", "250 2.0.0 more", "550 5.1.1 and more", "250 2.0.0 still more"), match="a@", times=1)
    r = relay(sink.hop, delivery={"probe": "0s", "connections": 1})
    for i in range(4):
        r.send(["a@store.example"] if not i else [f"x{i}@store.example", f"y{i}@store.example"])
    for i in range(1, 4):
        sink.wait_to(f"x{i}@store.example")
        sink.wait_to(f"y{i}@store.example")
    r.wait_queue_empty()
    assert len(sink.to("a@store.example")) == 1 and not events(r, "bounced")


def test_replies_all_at_once(relay, lmtp):
    """All in one packet, as a good server may."""
    sink = lmtp()

    def all_at_once(session, argument):
        return replies("250 2.0.0 a", "450 4.2.2 b", "550 5.2.2 c") if argument == THREE[0] else b""
    sink.on("text", all_at_once, match="a@")
    r = relay(sink.hop)
    r.send(THREE, sender="writer@client.example")
    r.wait_log(r"delivered .*to=a@store\.example recipients=1 ")
    r.wait_log(r"deferred .*to=b@store\.example recipients=1 ")
    r.wait_log(r"bounced .*to=c@store\.example recipients=1 ")


@pytest.mark.slow
@pytest.mark.parametrize("early", ["250 2.0.0 taken", "550 5.7.1 go away"])
def test_replies_before_the_end(relay, lmtp, early):
    """For whom they are nobody knows: nothing is delivered by them, nothing bounces."""
    sink = lmtp()
    sink.on("data", replies("354 go on", early, early, early), times=1)
    r = relay(sink.hop, queue={**QUICK["queue"], "inline_size": "16K"})
    r.send(THREE, "Subject: large\n\n" + ("x" * 70 + "\n") * 60000, sender="writer@client.example")
    for to in THREE:
        wait_until(lambda t=to: len(sink.to(t)) >= 1, f"mail to {to}", 40)
    r.wait_queue_empty()
    assert not r.outside.messages and not events(r, "bounced")


@pytest.mark.slow
def test_slow_replies_have_a_limit(relay, lmtp):
    sink = lmtp()
    sink.on("text", Delay(4, CLOSE), match="b@", times=1)
    r = relay(sink.hop, timeouts={"data_done": "1s"})
    r.send(THREE)
    r.wait_log(r"deferred .*to=b@store\.example recipients=2 .*timed out while waiting for the reply to the text")
    for to in THREE[1:]:
        sink.wait_to(to)
    r.wait_queue_empty()
    assert len(sink.to(THREE[0])) == 1


@pytest.mark.slow
def test_results_are_kept(relay, lmtp):
    """What got its 250 a while ago is not delivered again when the relay dies over the reply to the next one."""
    sink = lmtp()
    sink.on("text", Delay(60), match="b@", times=1)
    r = relay(sink.hop)
    r.send(THREE)
    r.wait_log(r"delivered .*to=a@store\.example")
    time.sleep(2.5)  # a tick, and its flush
    r.kill()
    r.start()
    sink.wait_to("c@store.example")
    r.wait_queue_empty()
    assert len(sink.to("a@store.example")) == 1


@pytest.mark.slow
def test_any_nonsense(relay, lmtp):
    """Replies at random: too few, too many, cut in pieces, farewells. Each recipient gets the message, none is taken as delivered who was not."""
    sink, rnd, taken = lmtp(), random.Random(1), {}
    end = time.monotonic() + 6

    def answer(session, rcpt):
        if rcpt == session.rcpts[0]:
            session.said = []
        kind = rnd.choice(["250"] * 6 + ["450", "250 450", "250 250 450", "", "221", "in pieces", "421", CLOSE]) if time.monotonic() < end else "250"
        if kind in (CLOSE, "421"):
            return kind if kind == CLOSE else "421 4.3.2 off"
        for code in ["250"] if kind == "in pieces" else kind.split():
            if code == "250" and len(session.said) < len(session.rcpts):
                taken[session.rcpts[len(session.said)]] = True
            session.said.append(code)
        if kind == "in pieces":
            session.sock.sendall(b"250-2.0.0 a\r")
            time.sleep(0.02)
            return b"\n250 2.0.0 b\r\n"
        return replies(*(f"{code} {code[0]}.0.0 so" for code in kind.split())) if kind else b""
    sink.on("text", answer)
    r = relay(sink.hop, timeouts={"data_done": "1s"}, limits={"messages_per_connection": 1000})
    to = [f"r{i}@store.example" for i in range(100)]
    for i in range(0, 100, 5):
        r.send(to[i:i + 5])
    r.wait_queue_empty(60)
    log = r.log()
    assert [to_ for to_ in to if log.count(f" to={to_} ") < 1 or not taken.get(to_)] == []
    assert [to_ for to_ in to if len([line for line in log.splitlines() if " delivered " in line and f" to={to_} " in line]) != 1] == []
    assert not events(r, "bounced")
    sink.complaints.clear()


def test_no_smtp_with_it(relay, make_sink):
    """A server for SMTP does not know LHLO, and gets no EHLO instead."""
    sink = make_sink()
    r = relay(f"lmtp:{sink.hop}")
    r.send("a@store.example")
    r.wait_log("destination-down .*500 5.5.2 what.*it does not know LHLO, so it speaks no LMTP")
    assert {c.split()[0] for c in commands(sink)} <= {"LHLO", "QUIT"}


@pytest.mark.slow
def test_reports(relay, lmtp):
    """Who asks for a report of success gets one for each recipient, from us where the server knows no DSN."""
    sink = lmtp()
    sink.on("text", "550 5.2.1 closed", match="b@")
    r = relay(sink.hop)
    with r.trusted() as c:
        c.ehlo()
        c.mail("writer@client.example")
        for to in THREE[:2]:
            c.cmd(f"RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE", 250)
        c.data("Subject: told\n\ntext\n")
    wait_until(lambda: b"relayed" in b"".join(m.data for m in r.outside.messages) and b"failed" in b"".join(m.data for m in r.outside.messages), "reports")
    r.wait_queue_empty()


def test_tls_and_login(relay, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = Pair(tmp_path / "ca", "authority")
    context.load_cert_chain(*Pair(tmp_path / "ca", "store", ["store.example"], by=authority).files)
    seen = []
    sink = LmtpSink(tls=context, extensions=["PIPELINING", "AUTH PLAIN"])
    sink.on("auth", auth_rule(["235 2.7.0 welcome"], seen))
    r = relay({"host": "127.0.0.1", "protocol": "lmtp", "port": sink.port, "tls": "verify", "ca": str(authority.cert_file), "names": ["store.example"],
               "user": USER, "password": PASSWORD})
    r.send(THREE)
    for to in THREE:
        assert sink.wait_to(to).tls
    assert len(seen) == 1 and [c.split()[0] for c in commands(sink)][:4] == ["LHLO", "STARTTLS", "LHLO", "AUTH"]
    sink.stop()


@pytest.mark.slow
def test_without_pipelining(relay, lmtp):
    sink = lmtp(extensions=["8BITMIME"])
    sink.on("rcpt", "550 5.1.1 nobody", match="b@")
    r = relay(sink.hop)
    r.send(THREE)
    sink.wait_to(THREE[0])
    sink.wait_to(THREE[2])
    assert sink.sessions[0].pipelined == 1


def test_recipients_are_asked_for(postern, lmtp):
    sink = lmtp()
    sink.on("rcpt", "550 5.1.1 nobody", match="nobody@")
    r = postern(**QUICK, domains=[{"name": "store.example", "deliver": sink.hop, "recipients": {"verify": "smtp", "reject_code": 550}}])
    with r.client() as c:
        c.ehlo()
        c.mail("writer@client.example")
        assert c.rcpt("nobody@store.example", None).enhanced == "5.1.1"
        c.rcpt("a@store.example", 250)
        c.data("Subject: known\n\ntext\n")
    sink.wait_to("a@store.example")


# ---- Dovecot

@pytest.fixture(scope="module")
def dovecot():
    if not have("dovecot"):
        pytest.skip("Dovecot is not installed")
    server = Mailboxes([f"user{i}@store.example" for i in range(20)])
    yield server
    server.stop()


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("way", ["socket", "tcp"])
def test_dovecot(relay, dovecot, way):
    r = relay(f"lmtp:{dovecot.path}" if way == "socket" else f"lmtp:127.0.0.1:{dovecot.port}")
    to = [f"user{i}@store.example" for i in range(20)]
    r.send([*to, "nobody@store.example"], f"Subject: by {way}\n\n.a dot\ntext\n", sender="writer@client.example")
    r.send("user3+folder@store.example", f"Subject: detail {way}\n\ntext\n")
    bounce = r.outside.wait_to("writer@client.example")
    assert b"nobody@store.example" in bounce.body and b"5.1.1" in bounce.body
    r.wait_queue_empty()
    for user in to:
        texts = [m for m in dovecot.read(user) if f"Subject: by {way}".encode() in m]
        assert len(texts) == 1 and texts[0].endswith(b"\r\n\r\n.a dot\r\ntext\r\n") and texts[0].startswith(b"Return-Path: <writer@client.example>\r\n"), (user, texts)
    assert any(f"Subject: detail {way}".encode() in m for m in dovecot.read("user3@store.example"))
