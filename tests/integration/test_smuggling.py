# SPDX-License-Identifier: Apache-2.0
"""Nothing but CRLF.CRLF ends a message, however the bytes come: text within a message is never taken for mail of its own."""
import pytest

from lib.smtp import Closed

SMUGGLED = (b"MAIL FROM:<smuggled@evil.example>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\n"
            b"Subject: smuggled\r\n\r\nsmuggled\r\n")

# What some server somewhere has taken for the end of a message.
BARE = {
    "LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CRLF.LF": b"\r\n.\n", "CR.CR": b"\r.\r", "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
    "CR.LF": b"\r.\n", "LF.CR": b"\n.\r", "CRCRLF.CRLF": b"\r\r\n.\r\n", "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "LFCR.CRLF": b"\n\r.\r\n", "CRLF.LFCR": b"\r\n.\n\r", "LFLF.LFLF": b"\n\n.\n\n", "CRLFLF.CRLF": b"\r\n\n.\r\n",
    "LF..LF": b"\n..\n",
    "LFCRLF.LF": b"\n\r\n.\n", "CRLF.CRx": b"\r\n.\rx\r\n",
}
CLEAN = {
    "CRLF..CRLF": b"\r\n..\r\n", "CRLF. CRLF": b"\r\n. \r\n", "CRLF .CRLF": b"\r\n .\r\n", "CRLF.xCRLF": b"\r\n.x\r\n",
    "CRLFx.CRLF": b"\r\nx.\r\n", "CRLF.,CRLF": b"\r\n.,\r\n",
}


@pytest.fixture(scope="module")
def relay(shared):
    return shared()


def start(relay, to):
    c = relay.client()
    c.ehlo()
    c.mail("first@client.example")
    c.rcpt(to)
    c.cmd("DATA", 354)
    return c


def send_in(c, data, how):
    if how == "whole":
        c.send(data)
    elif how == "bytes":
        c.send_slowly(data)
    else:  # cut within the ending itself, with time for the first half to be read alone
        c.send_slowly(data, piece=how, pause=0.02)


def replies(c):
    """All replies until the server closes or says nothing more for a moment."""
    out = []
    c.sock.settimeout(1.5)
    try:
        while True:
            out.append(c.reply().code)
    except (Closed, AssertionError, OSError):
        return out


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize("how", ["whole", "bytes", 25])
def test_bare_line_ends_never_end_a_message(relay, name, how):
    to = "bare@example.com"
    with start(relay, to) as c:
        send_in(c, b"Subject: x\r\n\r\nfirst" + BARE[name] + SMUGGLED + b"\r\n.\r\n", how)
        got = replies(c)
    # One reply at the most, a refusal: nothing after that is read as a command.
    assert got in ([], [550], [521], [554]), f"{name}: {got}\n{c.story()}"
    assert not relay.sink.to(to) and not relay.sink.to("victim@example.com")


@pytest.mark.parametrize("name", BARE)
def test_a_message_that_ends_that_way_waits(relay, name):
    """Up to its true end no reply comes."""
    with start(relay, "bare@example.com") as c:
        c.send(b"Subject: x\r\n\r\nfirst" + BARE[name])
        c.expect_silence(0.2)
        c.send(b"x\r\n.\r\n")
        assert replies(c) in ([550], [521], [554])


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("how", ["whole", "bytes", 25])
def test_other_lines_with_dots_are_text(relay, name, how):
    to = f"clean-{abs(hash(name))}-{how}@example.com"
    text = b"Subject: x\r\n\r\nfirst" + CLEAN[name] + SMUGGLED
    with start(relay, to) as c:
        send_in(c, text + b".\r\n", how)
        c.reply(250)
        c.cmd("NOOP", 250)
    message = relay.sink.wait_to(to)
    unstuffed = text.replace(b"\r\n.", b"\r\n")
    assert message.data.endswith(unstuffed)
    assert not relay.sink.to("victim@example.com")


@pytest.mark.parametrize("cut", range(1, 5))
def test_true_end_in_two_packets(relay, cut):
    to = f"cut{cut}@example.com"
    end = b"\r\n.\r\n"
    with start(relay, to) as c:
        c.send(b"Subject: x\r\n\r\ntext" + end[:cut])
        c.expect_silence(0.2)
        c.send(end[cut:])
        c.reply(250)
    assert relay.sink.wait_to(to).body == b"text\r\n"


@pytest.mark.parametrize("text", [b"a\nb\r\n.\r\n", b"a\rb\r\n.\r\n", b"Subject: x\n\r\nbody\r\n.\r\n",
                                  b"Subject: x\r\r\n\r\nbody\r\n.\r\n", b"\n\r\n.\r\n",
                                  b"a\r\r\n\r\n.\r\n", b"a\n\r\n.\r\n"])
def test_bare_cr_or_lf_is_refused_with_a_reason(relay, text):
    with start(relay, "bare@example.com") as c:
        c.send(text)
        reply = c.reply(5)
        assert "bare" in reply.text.lower()
        c.expect_closed()
    assert not relay.sink.to("bare@example.com")


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\rNOOP\r\n", b"NOOP\r\r\n", b"\n", b"\rNOOP\r\n",
                                  b"RCPT TO:<a@example.com>\nDATA\r\n", b"NOOP\n\r\n"])
@pytest.mark.parametrize("how", ["whole", "bytes"])
def test_bare_cr_or_lf_in_commands(relay, line, how):
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("bare-command@example.com")
        send_in(c, line, how)
        assert c.reply((500, 521, 550)).code >= 500
        c.expect_closed()


def test_what_follows_a_refused_message_is_not_read(relay):
    """The second half of a smuggled pair arrives after the refusal."""
    with start(relay, "bare@example.com") as c:
        c.send(b"x\n.\n\r\n.\r\n" + SMUGGLED + b".\r\n")
        assert replies(c) in ([550], [521], [554])
    assert not relay.sink.to("victim@example.com")


def test_commands_with_crlf_in_two_packets(relay):
    with relay.client() as c:
        c.ehlo()
        c.send(b"NOOP\r")
        c.expect_silence(0.2)
        c.send(b"\nNO")
        c.reply(250)
        c.send(b"OP\r\n")
        c.reply(250)


def test_text_that_looks_like_the_end_goes_out_stuffed(relay):
    """And the same on the way out: what we send ends where it ends."""
    text = b"Subject: x\r\n\r\n.\r\n..\r\n.text\r\n. \r\nend\r\n"
    with relay.client() as c:
        c.ehlo()
        c.message("stuffed-out@example.com", text)
    message = relay.sink.wait_to("stuffed-out@example.com")
    assert message.body == text.split(b"\r\n\r\n", 1)[1]
    assert b"\r\n..\r\n...\r\n..text\r\n.. \r\nend\r\n" in message.raw
