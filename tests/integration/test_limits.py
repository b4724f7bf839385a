# SPDX-License-Identifier: Apache-2.0
"""Limits on what clients send, pieces of any size, time, TLS."""
import time

import pytest

from lib.smtp import Closed, Smtp, stuffed

LIMIT = 65536


@pytest.fixture(scope="module")
def relay(shared):
    return shared(limits={"message_size": "64K", "recipients": 100, "hops": 10, "header_size": "16K",
                          "line_length": 1000})


# ---- limits

def body_of(size):
    """Message text of exactly so many bytes on the wire."""
    head = b"Subject: x\r\n\r\n"
    lines, rest = divmod(size - len(head), 80)
    last = rest if rest >= 2 or rest == 0 else rest + 80
    lines -= last != rest
    return head + (b"y" * 78 + b"\r\n") * lines + (b"z" * (last - 2) + b"\r\n" if last else b"")


def test_largest_message(relay, ready):
    ready.message("largest@example.com", body_of(LIMIT))
    assert relay.sink.wait_to("largest@example.com").data.endswith(body_of(LIMIT))


def test_message_too_large(relay, ready):
    assert ready.message("toolarge@example.com", body_of(LIMIT + 1), expect=552).enhanced == "5.3.4"
    ready.message("after-large@example.com")
    relay.sink.wait_to("after-large@example.com")
    assert not relay.sink.to("toolarge@example.com")


def test_endless_message_is_cut_off(relay):
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("a@example.com")
        c.cmd("DATA", 354)
        with pytest.raises((ConnectionError, Closed)):
            for _ in range(1000):
                c.sock.sendall(b"x" * 78 + b"\r\n" + b"y" * 78 + b"\r\n" * 50)
                time.sleep(0.001)
            c.reply(552)
            c.reply()


def test_too_many_recipients(relay, ready):
    ready.mail()
    for i in range(100):
        ready.rcpt(f"many{i}@example.com")
    assert ready.rcpt("many100@example.com", 452).enhanced == "4.5.3"
    ready.rcpt("many0@example.com", (250, 452))
    ready.data("Subject: x\n\nx\n")
    relay.sink.wait_to("many99@example.com")


def test_recipient_given_twice_is_one(relay, ready):
    ready.message(["twice@example.com", "twice@example.com", "twice@example.com"])
    assert relay.sink.wait_to("twice@example.com").rcpts == ["twice@example.com"]


def test_too_many_hops(ready):
    ready.message("hops@example.com", "Received: from a by b; now\n" * 11 + "Subject: x\n\nx\n", expect=554)
    assert "hops" in ready.story()
    ready.message("hops@example.com", "Received: from a by b; now\n" * 9 + "Subject: x\n\nx\n")


def test_header_too_large(ready):
    ready.message("a@example.com", "".join(f"X-{i}: {'v' * 60}\n" for i in range(300)) + "\nx\n", expect=552)


def test_line_too_long_in_a_message(ready):
    ready.message("a@example.com", "Subject: x\n\n" + "x" * 999 + "\n", expect=554)
    ready.message("line@example.com", "Subject: x\n\n" + "x" * 998 + "\n")


def test_nul_in_a_message(ready):
    ready.message("a@example.com", b"Subject: x\n\na\0b\n", expect=5)


def test_command_line_too_long(ready):
    assert ready.cmd("NOOP " + "x" * 5000, 500).enhanced == "5.5.2"
    ready.cmd("NOOP", 250)


def test_command_line_without_end(c):
    try:
        for _ in range(300):
            c.sock.sendall(b"x" * 1000)
        replies = c.drain()
    except ConnectionError:
        return
    assert all(r.code in (421, 500) for r in replies)


def test_too_many_errors(c):
    for _ in range(19):
        c.cmd("FOO", 500)
    c.cmd("FOO", 500)
    c.reply(421)
    c.expect_closed()


def test_refused_recipients_are_errors(ready):
    ready.mail()
    for i in range(20):
        ready.rcpt(f"a@foreign{i}.example", 550)
    ready.reply(421)
    ready.expect_closed()


# ---- pieces of any size

def test_all_in_one_packet(relay, ready):
    ready.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<pipe1@example.com>\r\nRCPT TO:<pipe2@example.com>\r\n"
               b"RCPT TO:<x@foreign.example>\r\nDATA\r\n")
    assert [ready.reply().code for _ in range(5)] == [250, 250, 250, 550, 354]
    ready.send(b"Subject: x\r\n\r\nx\r\n.\r\nRSET\r\nMAIL FROM:<b@client.example>\r\nNOOP\r\n")
    assert [ready.reply().code for _ in range(4)] == [250] * 4
    assert set(relay.sink.wait_to("pipe1@example.com").rcpts) == {"pipe1@example.com", "pipe2@example.com"}


def test_thousands_of_commands_at_once(ready):
    ready.sock.sendall(b"NOOP\r\n" * 5000 + b"QUIT\r\n")
    replies = ready.drain()
    assert [r.code for r in replies] == [250] * 5000 + [221]


def test_one_byte_at_a_time(relay, c):
    c.send_slowly(b"EHLO client.example\r\n")
    c.reply(250)
    c.send_slowly(b"MAIL FROM:<slow@client.example>\r\nRCPT TO:<bytes@example.com>\r\nDATA\r\n", pause=0.001)
    assert [c.reply().code for _ in range(3)] == [250, 250, 354]
    c.send_slowly(b"Subject: x\r\n\r\n..dot\r\n...two\r\nlast\r\n.\r\nQUIT\r\n", pause=0.001)
    assert [c.reply().code for _ in range(2)] == [250, 221]
    assert relay.sink.wait_to("bytes@example.com").body == b".dot\r\n..two\r\nlast\r\n"


def test_text_behind_data_is_no_command(relay, ready):
    ready.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<impatient@example.com>\r\nDATA\r\n"
               b"Subject: x\r\n\r\nRSET\r\n.\r\nNOOP\r\n")
    codes = [r.code for r in ready.drain()]
    assert codes[:2] == [250, 250] and codes[2] in (354, 503, 554) and len(codes) <= 4


def test_gone_in_the_middle(relay):
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("gone@example.com")
        c.cmd("DATA", 354)
        c.send(b"Subject: x\r\n\r\nnot all of it\r\n")
    with relay.client() as c:
        c.ehlo()
        c.message("stayed@example.com")
    relay.sink.wait_to("stayed@example.com")
    assert not relay.sink.to("gone@example.com")


# ---- time and TLS

@pytest.mark.slow
def test_slow_clients_are_let_go(postern):
    relay = postern(domains=[{"name": "example.com", "deliver": "127.0.0.1:9"}],
                    timeouts={"command": "1s", "data": "1s"})
    for in_data in (False, True):
        with relay.client() as c:
            c.ehlo()
            if in_data:
                c.mail()
                c.rcpt("a@example.com")
                c.cmd("DATA", 354)
            began = time.monotonic()
            assert all(r.code == 421 for r in c.drain())
            assert 0.5 < time.monotonic() - began < 10


@pytest.mark.slow
def test_one_byte_a_moment_does_not_keep_a_session(postern):
    relay = postern(domains=[{"name": "example.com", "deliver": "127.0.0.1:9"}], timeouts={"command": "1s"})
    with relay.client() as c:
        began = time.monotonic()
        with pytest.raises((ConnectionError, Closed)):
            for _ in range(100):
                c.sock.sendall(b"N")
                time.sleep(0.1)
            c.reply()
        assert time.monotonic() - began < 8


def test_starttls(relay, ready):
    ready.mail()
    ready.cmd("RSET", 250)
    ready.starttls()
    ready.cmd("MAIL FROM:<>", 503)  # RFC 3207 §4.2: all is forgotten
    assert "STARTTLS" not in ready.ehlo()
    ready.cmd("STARTTLS", 503)
    ready.message("tls@example.com")
    header = relay.sink.wait_to("tls@example.com").header
    assert b"ESMTPS" in header and b"TLSv1" in header


def test_nothing_is_taken_from_before_tls(relay, ready):
    ready.send(b"STARTTLS\r\nMAIL FROM:<injected@client.example>\r\nRCPT TO:<injected@example.com>\r\n")
    replies = ready.drain()
    assert replies[0].code in (220, 501, 503, 554) and len(replies) == 1
    assert not relay.sink.to("injected@example.com")


def test_two_sessions_do_not_mix(relay):
    with relay.client() as one, Smtp(relay.port) as two:
        one.ehlo()
        two.ehlo()
        one.mail("one@client.example")
        two.mail("two@client.example")
        one.rcpt("mix1@example.com")
        two.rcpt("mix2@example.com")
        one.cmd("DATA", 354)
        two.cmd("DATA", 354)
        one.send(stuffed("Subject: one\n\none\n"))
        two.send(stuffed("Subject: two\n\ntwo\n"))
        two.reply(250)
        one.reply(250)
    assert relay.sink.wait_to("mix1@example.com").sender == "one@client.example"
    assert relay.sink.wait_to("mix2@example.com").body == b"two\r\n"
