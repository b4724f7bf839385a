# SPDX-License-Identifier: Apache-2.0
"""Next hops that are broken, hostile or merely strange. Whatever they say: nothing is lost, nothing is counted as
delivered that they have not taken, and no session, mailbox or log suffers from it."""
import contextlib
import email
import email.utils
import re
import ssl
import subprocess
import threading
import time

import pytest

from lib.sink import CLOSE, RESET
from lib.util import free_port, wait_until
from test_delivery import STAGES, bounce_parts, met_side_by_side


@pytest.fixture
def relay(postern, sink):
    r = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, routes=[{"to": "mx.postern.example", "via": sink.hop}])
    r.sink = sink
    return r


def flood(line, total=4 << 20):
    """An action: sends the line again and again."""
    def act(session, _argument):
        with contextlib.suppress(OSError):
            for _ in range(total // (len(line) * 100)):
                session.sock.sendall(line * 100)
        return CLOSE
    return act


def delivered_once(relay, to, seconds=30):
    relay.sink.wait_to(to, seconds=seconds)
    relay.wait_queue_empty()
    assert len(relay.sink.to(to)) == 1
    assert not relay.sink.to("sender@client.example")


# ---- more than can be read

LINES = [b"250-and more\r\n", b"x" * 4096, b"250 ok\r\n", b"\0" * 512, b"\r\n"]


@pytest.mark.daily(1)
@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_does_not_stop_talking(postern, make_sink, stage):
    met_side_by_side(postern, make_sink, [(stage, flood(line)) for line in LINES if (stage, line) != ("text", b"250 ok\r\n")])  # an answer


def test_a_large_text_is_not_pushed_into_a_server_that_only_talks(relay):
    """354, then replies without end instead of reading: given up, tried again, nothing piles up in memory."""
    def act(session, _argument):
        session.sock.sendall(b"354 go on\r\n")
        return flood(b"250-more\r\n")(session, "")
    relay.sink.on("data", act, times=2)
    relay.send("push@example.com", "Subject: x\n\n" + ("y" * 70 + "\n") * 40000)
    delivered_once(relay, "push@example.com")


# ---- replies before there is anything to reply to

BREATHS = [
    ("connect", b"220 a\r\n250 b\r\n250 c\r\n250 d\r\n354 e\r\n250 f\r\n221 g\r\n"),
    ("connect", b"220 a\r\n250-b\r\n250 PIPELINING\r\n250 c\r\n250 d\r\n354 e\r\n250 f\r\n"),
    ("ehlo", b"250-sink.example\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"),
    ("mail", b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"),
    ("data", b"354 go on\r\n250 2.0.0 taken\r\n"),
]


@pytest.mark.daily(1)
@pytest.mark.parametrize("extensions", [[], ["PIPELINING"]], ids=["plain", "pipelining"])
def test_a_conversation_in_one_breath(postern, make_sink, extensions):
    """A text is delivered when the server said so after it got the text, and not because it says so anyway."""
    met_side_by_side(postern, make_sink, [(stage, lambda session, _, reply=reply: (session.sock.sendall(reply), CLOSE)[1])
                                          for stage, reply in BREATHS], extensions=extensions)


def test_one_reply_too_many(relay):
    """An extra reply shifts none of the messages behind it: the session ends, all arrive."""
    relay.sink.on("text", b"250 2.0.0 taken\r\n250 2.0.0 taken again\r\n", times=3)
    with relay.trusted() as c:
        c.ehlo()
        for i in range(20):
            c.message(f"shift{i}@example.com")
    for i in range(20):
        wait_until(lambda i=i: relay.sink.to(f"shift{i}@example.com"), f"message {i}", 30)
    relay.wait_queue_empty()


CODES = ["150 wait", "199 1xx", "221 bye", "300 more", "355 really", "600 what", "000 nil", "25 short", "2500 long", "-250 ok", "250\tok",
         " 250 ok", "354-going"]


@pytest.mark.daily(1)
@pytest.mark.parametrize("stage", STAGES)
def test_codes_that_are_none(postern, make_sink, stage):
    answers = [("data", "3"), ("ehlo", "221 bye")]  # which are replies
    met_side_by_side(postern, make_sink, [
        (stage, lambda session, _, reply=reply: (session.sock.sendall(reply.encode() + b"\r\n"), CLOSE)[1])
        for reply in CODES if (stage, reply[0]) not in answers and (stage, reply) not in answers])


# ---- in the middle of things

ENDS = {"close": CLOSE, "reset": RESET, "421": "421 4.3.2 closing"}
DAILY = [("close", "mail"), ("421", "rcpt"), ("reset", "data")]


@pytest.mark.daily(1)
@pytest.mark.parametrize("end, stage", [pytest.param(ENDS[end], stage, id=f"{end}-{stage}",
                                                     marks=[] if (end, stage) in DAILY else pytest.mark.slow)
                                        for end in ENDS for stage in ("mail", "rcpt", "data")])
def test_sessions_that_end_under_load(relay, stage, end):
    """Other messages are in the same session, their commands behind the text of the one before: each arrives once."""
    count = {"n": 0}

    def act(session, _argument):
        count["n"] += 1
        if count["n"] % 7:
            return None
        if isinstance(end, str):
            session.sock.sendall(end.encode() + b"\r\n")
            return CLOSE
        return end
    relay.sink.on(stage, act)
    with relay.trusted() as c:
        c.ehlo()
        for i in range(40):
            c.message([f"load{i}@example.com", f"more{i}@example.com"])
    for i in range(40):
        wait_until(lambda i=i: relay.sink.to(f"load{i}@example.com"), f"message {i}", 40)
    relay.wait_queue_empty(30)
    got = sorted(r for m in relay.sink.messages for r in m.rcpts)
    assert got == sorted([f"load{i}@example.com" for i in range(40)] + [f"more{i}@example.com" for i in range(40)])


@pytest.mark.slow
def test_a_mixed_bag(postern, sink):
    """4xx and 5xx to MAIL, RCPT, DATA and the text, here and there in pipelined sessions: everybody gets the mail or the
    sender the reason, never both, never neither."""
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                    routes=[{"to": "mx.postern.example", "via": sink.hop}], queue={"retry_max": "1s"})
    lock, count = threading.Lock(), {}

    def sometimes(stage, nth, reply):
        def act(session, _argument):
            with lock:
                count[stage, reply] = count.get((stage, reply), 0) + 1
                return reply if count[stage, reply] % nth == 0 else None
        return act
    own = "sender@client.example"
    for stage, nth, reply in [("mail", 9, "451 4.3.0 later"), ("data", 11, "451 4.3.0 later"),
                              ("text", 8, "452 4.3.1 later"), ("text", 10, "554 5.6.0 no")]:
        act = sometimes(stage, nth, reply)
        sink.on(stage, lambda s, a, act=act: None if own in s.rcpts or (s.sender == "" and s.params) else act(s, a))
    for nth, reply in [(5, "450 4.2.1 later"), (7, "550 5.1.1 nobody")]:
        act = sometimes("rcpt", nth, reply)
        sink.on("rcpt", lambda s, a, act=act: None if own in a else act(s, a))
    to = [f"bag{i}-{k}@example.com" for i in range(25) for k in range(3)]
    with relay.trusted() as c:
        c.ehlo()
        for i in range(25):
            c.message(to[3 * i:3 * i + 3])

    def fates():
        got = [r for m in list(sink.messages) for r in m.rcpts if r != own]
        told = [line.split(";")[1].strip() for m in sink.to(own)
                for line in re.findall(r"Final-Recipient:(.*?)\r\n", m.data.decode("latin-1"))]
        return sorted(got + told)
    wait_until(lambda: len(fates()) >= len(to), lambda: f"{sorted(set(to) - set(fates()))}", 60)
    relay.wait_queue_empty(30)
    assert fates() == sorted(to)


def test_data_without_recipients_is_ended_with_a_dot(relay):
    """RFC 2920 §3.1: all recipients are refused and DATA is accepted all the same. The session goes on."""
    relay.sink.on("rcpt", "550 5.1.1 nobody", match="nobody@")
    relay.sink.on("text", lambda session, text: None if session.rcpts else "554 5.5.1 no recipients")
    with relay.trusted() as c:
        c.ehlo()
        for i in range(5):
            c.message("nobody@example.com")
            c.message(f"dot{i}@example.com")
    for i in range(5):
        relay.sink.wait_to(f"dot{i}@example.com")
    wait_until(lambda: len(relay.sink.to("sender@client.example")) == 5, "five bounces")
    relay.wait_queue_empty()
    relay.sink.complaints.clear()  # DATA without recipients was provoked


@pytest.mark.daily(1)
@pytest.mark.parametrize("code,fate", [("552 5.3.4 too big for me", "bounced"), ("250 2.0.0 thanks", "again"),
                                       ("451 4.3.0 later", "again")])
def test_a_reply_within_the_text(relay, code, fate):
    """The server has heard enough. A refusal counts; an acceptance of half a text does not."""
    def act(session, _argument):
        session.sock.sendall(b"354 go on\r\n")
        session.sock.recv(65536)
        session.sock.sendall(code.encode() + b"\r\n")
        time.sleep(0.5)
        return CLOSE
    relay.sink.on("data", act, times=1)
    relay.send("early@example.com", "Subject: x\n\n" + ("y" * 70 + "\n") * 200000)
    if fate == "bounced":
        _, _, _, rcpts, _ = bounce_parts(relay.sink.wait_to("sender@client.example", seconds=30))
        assert rcpts[0]["Status"] == "5.3.4"
        relay.wait_queue_empty()
        assert not relay.sink.to("early@example.com")
    else:
        delivered_once(relay, "early@example.com")


# ---- many messages for one that does not work

@pytest.mark.slow
def test_a_dead_host_is_not_tried_once_per_message(postern, make_sink):
    sink = make_sink()
    sink.on("connect", "421 4.3.2 not now")
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], queue={"retry_first": "4s", "retry_max": "4s"})
    began = time.monotonic()
    with relay.trusted() as c:
        c.ehlo()
        for i in range(200):
            c.message(f"dead{i}@example.com")
    wait_until(lambda: len(relay.queue()) == 100, "the queue", 20)  # of which the list shows a hundred
    time.sleep(2)
    assert len(sink.sessions) <= 3 + (time.monotonic() - began) / 3
    sink.clear()
    wait_until(lambda: len(sink.messages) == 200, lambda: f"{len(sink.messages)} of 200", 30)
    relay.wait_queue_empty()
    assert len({r for m in sink.messages for r in m.rcpts}) == 200


@pytest.mark.slow
def test_retries_grow(postern, make_sink):
    sink = make_sink()
    sink.on("connect", CLOSE)
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], queue={"retry_first": "1s", "retry_max": "1m"})
    began = time.monotonic()
    for i in range(5):
        relay.send(f"grow{i}@example.com")
    time.sleep(max(0, 8.5 - (time.monotonic() - began)))
    assert 3 <= len(sink.sessions) <= 6  # at 0, 1, 3, 7 seconds, a fifth more or less


@pytest.mark.slow
def test_idle_connections_that_are_closed_do_no_harm(postern, make_sink):
    """A burst opens several connections, some of which never get to work; the server hangs up on all of them. The next message
    goes out at once."""
    sink = make_sink()
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], queue={"retry_first": "1m", "retry_max": "1m"},
                    delivery={"idle": "1m"})
    for turn in range(3):
        with relay.trusted() as c:
            c.ehlo()
            for i in range(60):
                c.message(f"idle{turn}-{i}@example.com")
        wait_until(lambda turn=turn: len(sink.messages) >= 60 * (turn + 1), "the burst", 20)
        for session in list(sink.sessions):
            with contextlib.suppress(OSError):
                session.sock.shutdown(2)
        time.sleep(0.3)
    relay.send("next@example.com")
    sink.wait_to("next@example.com")
    assert "destination-down" not in relay.log()


@pytest.mark.slow
def test_one_silent_server_does_not_take_all_room(postern, make_sink):
    """It takes texts and says nothing: texts for it fill their share of memory, mail for others goes on."""
    silent, good = make_sink(), make_sink()
    release = threading.Event()
    silent.on("text", lambda session, _: release.wait(60) and None)
    relay = postern(domains=[{"name": "silent.example", "deliver": silent.hop}, {"name": "example.com", "deliver": good.hop}],
                    queue={"memory": "1M"}, delivery={"connections": 2})
    with relay.trusted() as c:
        c.ehlo()
        for i in range(40):
            c.message(f"s{i}@silent.example", "Subject: x\n\n" + ("y" * 70 + "\n") * 800)
    began = time.monotonic()
    for i in range(5):
        relay.send(f"good{i}@example.com", "Subject: x\n\n" + ("y" * 70 + "\n") * 800)
        good.wait_to(f"good{i}@example.com")
    assert time.monotonic() - began < 20
    release.set()
    wait_until(lambda: len(silent.messages) == 40, lambda: f"{len(silent.messages)} of 40", 30)
    relay.wait_queue_empty()


# ---- what gets into bounces and logs

def test_a_reply_full_of_dirt(relay):
    dirt = b"550-5.1.1 \0\x1b]0;title\x07 \xff\xfe <b>\r\n550-5.1.1 \r fake\r\n" \
        b"550 5.1.1 --=_boundary\x0b Subject: hi" + b"x" * 1900 + b"\r\n"
    relay.sink.on("rcpt", dirt, match="nobody@")
    relay.send("nobody@example.com")
    bounce = relay.sink.wait_to("sender@client.example")
    assert re.fullmatch(rb"[\r\n\t\x20-\x7e]*", bounce.data) and not re.search(rb"\r(?!\n)|(?<!\r)\n", bounce.data)
    assert max(map(len, bounce.data.split(b"\r\n"))) <= 998
    mail, text, message, rcpts, _ = bounce_parts(bounce)
    assert rcpts[0]["Status"] == "5.1.1" and rcpts[0]["Diagnostic-Code"].startswith("smtp; 550 5.1.1 ")
    assert not mail.defects and not message.defects
    log = relay.log_path.read_bytes()
    assert re.fullmatch(rb"[\n\x20-\x7e]*", log.replace("§".encode(), b"")), re.findall(rb".*[^\n\x20-\x7e].*", log)[:3]


EIGHT_BIT = (b"From: =?utf-8?q?J=C3=BCrgen?= <sender@client.example>\r\n"
             b"Subject: gr\xc3\xbc\xc3\x9fe = \xe4\r\nX-Trailing: blank \r\n"
             b"X-Long: " + b"w" * 900 + b"\r\n.X-Dot: no\r\nX-Folded: one\r\n\ttwo\xc3\xa4\r\n\r\nbody \xe4\r\n")


def test_eight_bit_headers_in_a_bounce(relay):
    """RFC 6522 §3: the header comes back byte by byte, in quoted-printable; the report is 7-bit."""
    relay.sink.on("rcpt", "550 5.1.1 nobody", match="nobody@")
    relay.send("nobody@example.com", EIGHT_BIT)
    bounce = relay.sink.wait_to("sender@client.example")
    assert max(bounce.data) < 0x7f
    mail = email.message_from_bytes(bounce.data)
    part = mail.get_payload()[2]
    assert part["Content-Transfer-Encoding"] == "quoted-printable" and part.get_content_type() == "text/rfc822-headers"
    assert all(len(line) <= 76 for line in part.get_payload().splitlines())
    headers = part.get_payload(decode=True).replace(b"\r\n", b"\n")
    assert headers.endswith(EIGHT_BIT.split(b"\r\n\r\n")[0].replace(b"\r\n", b"\n") + b"\n")
    assert b"body \xe4" not in headers


@pytest.mark.daily(2)
@pytest.mark.parametrize("text", [b"no header at all\r\n", b"\r\nbody only\r\n", b"Subject: x\r\n", b"\r\n",
                                  b"Content-Type: multipart/mixed; boundary=\"=_x\"\r\n\r\n--=_x--\r\n"])
def test_bounces_of_odd_messages(relay, text):
    relay.sink.on("rcpt", "550 5.1.1 nobody", match="nobody@")
    relay.send("nobody@example.com", text)
    mail, _, _, rcpts, original = bounce_parts(relay.sink.wait_to("sender@client.example"))
    assert len(rcpts) == 1 and "Received" in original.get_payload() and not mail.defects


def test_report_fields(relay):
    """RFC 3464 §2: what must be there, once, with the right syntax, in a report for several recipients."""
    relay.sink.on("rcpt", lambda s, a: "550 5.1.1 unknown" if "a@" in a else "553 what is that" if "b@" in a else None)
    relay.sink.on("text", "554 5.7.1 spam", match="X-Mark", times=1)
    relay.send(["a@example.com", '"b@ odd"@example.com', "c@example.com"], "X-Mark: 1\n\ntext\n")
    mail, _, message, rcpts, _ = bounce_parts(relay.sink.wait_to("sender@client.example"))
    assert re.fullmatch(r"dns; [a-z.]+", message["Reporting-MTA"])
    assert email.utils.parsedate_to_datetime(message["Arrival-Date"])
    assert [r["Final-Recipient"] for r in rcpts] == ["rfc822; a@example.com", 'rfc822; "b@ odd"@example.com',
                                                     "rfc822; c@example.com"]
    assert [r["Status"] for r in rcpts] == ["5.1.1", "5.0.0", "5.7.1"]
    for r in rcpts:
        assert r["Action"] == "failed" and re.fullmatch(r"smtp; \d{3} .*", r["Diagnostic-Code"])
        assert email.utils.parsedate_to_datetime(r["Last-Attempt-Date"])
        assert all(len(r.get_all(name)) == 1 for name in r.keys())
    assert mail["From"] and mail["Date"] and mail["Message-ID"] and mail["Auto-Submitted"]


@pytest.mark.parametrize("sender,zones", [("", {}), ("sender@client.example", {"lan": {"dsn": False}})], ids=["null", "no-dsn"])
def test_a_notice_to_the_postmaster(postern, sink, sender, zones):
    """Where the sender must not be told the postmaster is, in the same form, and the notice itself is answered by nobody."""
    sink.on("rcpt", "550 5.1.1 unknown", match="nobody@")
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                    routes=[{"to": "mx.postern.example", "via": sink.hop}], zones=zones)
    relay.send("nobody@example.com", sender=sender)
    notice = sink.wait_to("postmaster@mx.postern.example")
    assert notice.sender == ""
    mail, text, _, rcpts, _ = bounce_parts(notice)
    assert rcpts[0]["Status"] == "5.1.1" and f"<{sender}>" in text and not mail.defects
    relay.wait_queue_empty()
    assert len(sink.messages) == 1


# ---- TLS

@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sink.example",
                    "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@pytest.fixture
def tls_relay(postern, make_sink, certificate):
    sink = make_sink(tls=certificate)
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                    routes=[{"to": "mx.postern.example", "via": sink.hop}])
    relay.sink = sink
    return relay


def test_tls_where_it_is_offered(tls_relay):
    text = "Subject: x\n\n" + (".y" * 35 + "\n") * 20000
    tls_relay.send("secret@example.com", text)
    message = tls_relay.sink.wait_to("secret@example.com")
    assert message.tls and [c.split()[0] for c in message.session.commands[:3]] == ["EHLO", "STARTTLS", "EHLO"]
    assert message.data.endswith(text.replace("\n", "\r\n").encode())


def test_what_is_said_before_tls_does_not_count(tls_relay):
    """RFC 3207 §4.2: replies slipped in behind 220, in the clear, are thrown away."""
    tls_relay.sink.on("starttls", b"220 go on\r\n250-evil.example\r\n250 SIZE 1\r\n", times=1)
    tls_relay.send("slip@example.com")
    message = tls_relay.sink.wait_to("slip@example.com")
    assert message.tls and "SIZE=" in message.session.commands[3]
    tls_relay.wait_queue_empty()
    assert not tls_relay.sink.to("sender@client.example")


@pytest.mark.daily(1)
@pytest.mark.parametrize("reply", [b"454 4.7.0 not now\r\n", b"220 go on\r\ngarbage garbage garbage garbage\r\n", b"220 go on\r\n"],
                         ids=["454", "garbage", "close"])
def test_tls_that_does_not_work(tls_relay, reply):
    """Opportunistic: mail goes without it then (RFC 7435)."""
    def act(session, _argument):
        session.sock.sendall(reply)
        return CLOSE
    tls_relay.sink.on("starttls", reply if reply.startswith(b"454") else act, times=1)
    tls_relay.send("plain@example.com")
    message = tls_relay.sink.wait_to("plain@example.com")
    assert not message.tls
    tls_relay.wait_queue_empty()
    assert len(tls_relay.sink.messages) == 1


# ---- an end at a bad moment

@pytest.mark.daily(1)
@pytest.mark.parametrize("partial", ["delivered", "bounced"])
@pytest.mark.slow
def test_what_waits_for_a_dead_host_is_tried_after_a_restart(postern, make_sink, partial):
    """One recipient is settled, the other's host is dead: after a restart it is tried soon, not at the end of its life,
    and the first one is left alone."""
    port, sink = free_port(), make_sink()
    if partial == "bounced":
        sink.on("rcpt", "550 5.1.1 nobody", match="first@")
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}, {"name": "client.example", "deliver": sink.hop},
                             {"name": "dead.example", "deliver": f"127.0.0.1:{port}"}])
    relay.send(["first@example.com", "second@dead.example"])
    wait_until(lambda: sink.to("first@example.com") or sink.to("sender@client.example"), "the first")
    relay.wait_queued(1)
    time.sleep(1.5)
    relay.kill()
    relay.start()
    late = make_sink(port=port)
    late.wait_to("second@dead.example", seconds=15)
    relay.wait_queue_empty()
    assert len(sink.messages) == 1 and len(late.messages) == 1
