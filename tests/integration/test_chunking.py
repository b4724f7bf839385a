# SPDX-License-Identifier: Apache-2.0
"""BDAT (RFC 3030): chunks are text whatever is in them, and whatever becomes of them."""
import time

import pytest

from lib.smtp import Closed

LIMIT = 65536
TEXT = b"Subject: chunks\r\n\r\nline\r\n.\r\n..dots\r\n.\r\nend\r\n"
COMMANDS = b"RSET\r\nMAIL FROM:<smuggled@evil.example>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"


@pytest.fixture(scope="module")
def relay(shared):
    return shared(limits={"message_size": "64K", "errors": 100})


def begin(c, to):
    c.mail("chunky@client.example")
    c.rcpt(to)


def bdat(c, chunk, last=False, expect=250):
    c.send(b"BDAT %d%s\r\n" % (len(chunk), b" LAST" if last else b"") + chunk)
    return c.reply(expect)


def no_smuggling(relay):
    assert not relay.sink.to("victim@example.com")


@pytest.mark.parametrize("cuts", [[], [5], [18, 19], [1, 2, 3, 4], [17], [26, 27, 28], list(range(1, len(TEXT)))])
def test_any_number_of_chunks(relay, ready, cuts):
    to = f"cuts{len(cuts)}-{sum(cuts)}@example.com"
    begin(ready, to)
    at = 0
    for cut in cuts:
        assert f"{cut - at} octets" in bdat(ready, TEXT[at:cut]).text
        at = cut
    assert "queued as" in bdat(ready, TEXT[at:], True).text
    message = relay.sink.wait_to(to)
    assert message.data.endswith(TEXT) and message.sender == "chunky@client.example"
    begin(ready, to)  # the session goes on


def test_all_at_once(relay, ready):
    """Pipelined behind the envelope, chunk after chunk, with the next message behind it."""
    half = len(TEXT) // 2
    one = (b"MAIL FROM:<p@client.example>\r\nRCPT TO:<%s@example.com>\r\n" + b"BDAT %d\r\n" % half + TEXT[:half]
           + b"BDAT 0\r\n" + b"BDAT %d\r\n" % (len(TEXT) - half) + TEXT[half:] + b"BDAT 0 LAST\r\n")
    ready.send(one % b"pipe1" + one % b"pipe2" + b"NOOP\r\n")
    for _ in range(2):
        for _ in range(6):
            ready.reply(250)
    ready.reply(250)
    for to in ("pipe1@example.com", "pipe2@example.com"):
        assert relay.sink.wait_to(to).data.endswith(TEXT)


def test_byte_by_byte(relay, ready):
    begin(ready, "slowly@example.com")
    ready.send_slowly(b"BDAT %d LAST\r\n" % len(TEXT) + TEXT + b"NOOP\r\n")
    ready.reply(250)
    ready.reply(250)
    assert relay.sink.wait_to("slowly@example.com").data.endswith(TEXT)


def test_a_missing_line_end_is_added(relay, ready):
    begin(ready, "open@example.com")
    bdat(ready, b"Subject: x\r\n\r\nno end", True)
    assert relay.sink.wait_to("open@example.com").body == b"no end\r\n"


def test_last_may_be_empty(relay, ready):
    begin(ready, "empty-last@example.com")
    bdat(ready, TEXT)
    bdat(ready, b"", True)
    assert relay.sink.wait_to("empty-last@example.com").data.endswith(TEXT)


@pytest.mark.parametrize("chunk", [b"Subject: x\n\nbody\n", b"Subject: x\r\n\r\na\rb\r\n", b"Subject: x\r\n\r\na\r",
                                   b"Subject: x\r\n\r\na\r\r\n"])
def test_bare_line_ends_are_refused(relay, ready, chunk):
    begin(ready, "bare@example.com")
    assert "bare" in bdat(ready, chunk, True, 550).text
    begin(ready, "not-bare@example.com")  # the size tells where it ends: nothing is in doubt
    bdat(ready, TEXT, True)
    assert not relay.sink.to("bare@example.com")


def test_no_mixing_with_data(relay, ready):
    begin(ready, "mixed@example.com")
    bdat(ready, TEXT)
    assert ready.cmd("DATA", 503).enhanced == "5.5.1"
    ready.cmd("RCPT TO:<late@example.com>", 503)
    ready.cmd("MAIL FROM:<other@client.example>", 503)
    ready.cmd("NOOP", 250)
    bdat(ready, b"", True)
    assert relay.sink.wait_to("mixed@example.com").rcpts == ["mixed@example.com"]


@pytest.mark.parametrize("line", ["RSET", "EHLO again.example", "HELO again.example"])
def test_begin_anew(relay, ready, line):
    begin(ready, "given-up@example.com")
    bdat(ready, b"Subject: given up\r\n")
    ready.cmd(line, 250)
    to = f"after-{line[:4]}@example.com"
    ready.message(to)
    relay.sink.wait_to(to)
    assert not relay.sink.to("given-up@example.com")


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("before", [[], ["EHLO x"], ["EHLO x", "MAIL FROM:<a@b.example>"],
                                    ["EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<a@elsewhere.example>"],
                                    ["HELO x", "MAIL FROM:<a@b.example>", "RCPT TO:<a@example.com>"]])
def test_a_chunk_out_of_place_is_swallowed(relay, c, before, last):
    for line in before:
        c.cmd(line)
    assert bdat(c, COMMANDS, last, 503).enhanced == "5.5.1"
    assert bdat(c, COMMANDS, last, 503).enhanced == "5.5.1"
    c.ehlo()
    begin(c, f"after-misplaced{len(before)}{last}@example.com")
    bdat(c, TEXT, True)
    no_smuggling(relay)


def test_refused_recipients_and_pipelined_chunks(relay, ready):
    ready.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<a@elsewhere.example>\r\nBDAT %d\r\n" % len(COMMANDS) + COMMANDS
               + b"BDAT %d LAST\r\n" % len(COMMANDS) + COMMANDS + b"NOOP\r\n")
    assert [ready.reply().code for _ in range(5)] == [250, 550, 503, 503, 250]
    no_smuggling(relay)


def test_too_large_is_told_at_the_chunk(relay, ready):
    begin(ready, "large@example.com")
    bdat(ready, b"Subject: x\r\n\r\n" + b"x" * 50 + b"\r\n")
    line = b"y" * 998 + b"\r\n"
    assert bdat(ready, line * 70, False, 552).enhanced == "5.3.4"
    assert bdat(ready, COMMANDS, False, 552)  # and the rest goes to waste
    assert bdat(ready, COMMANDS, True, 552)
    begin(ready, "after-large@example.com")
    bdat(ready, TEXT, True)
    no_smuggling(relay)
    assert not relay.sink.to("large@example.com")


@pytest.mark.parametrize("size", [10 * LIMIT, 2**63, 2**64 - 1])
@pytest.mark.parametrize("envelope", [True, False])
def test_far_too_large_is_not_waited_for(relay, ready, size, envelope):
    if envelope:
        begin(ready, "huge@example.com")
    ready.cmd(f"BDAT {size} LAST", 552)
    ready.expect_closed()


@pytest.mark.parametrize("line", ["BDAT", "BDAT x", "BDAT -1", "BDAT 10 FIRST", "BDAT 99999999999999999999", "BDAT 5 LAST x",
                                  "BDAT " + "1" * 5000, "BDAT 5\x00", "BDAT\t5", "bdat\t" + "1" * 5000])
def test_what_follows_an_unknown_size_is_not_read(relay, ready, line):
    begin(ready, "unknown@example.com")
    ready.send(line.encode() + b"\r\n" + COMMANDS)
    assert ready.reply().code in (500, 501)
    ready.expect_closed()
    no_smuggling(relay)


def test_nul_and_long_lines(relay, ready):
    begin(ready, "nul@example.com")
    bdat(ready, b"Subject: x\r\n\r\na\0b\r\n", True, 550)
    begin(ready, "nul@example.com")
    bdat(ready, b"x" * 60000, False, 250)
    bdat(ready, b"x" * 5000, True)  # limits.line_length is 64K
    begin(ready, "eight@example.com")
    bdat(ready, "Subject: ä\r\n\r\nö\r\n".encode(), True)
    assert relay.sink.wait_to("eight@example.com").body == "ö\r\n".encode()


def test_client_leaves_within_a_chunk(relay):
    for size in (10, 30000):
        with relay.client() as c:
            c.ehlo()
            begin(c, "gone@example.com")
            c.send(b"BDAT %d LAST\r\n" % size + b"x" * (size - 1))
    with relay.client() as c:
        c.ehlo()
        begin(c, "still-there@example.com")
        bdat(c, TEXT, True)
    relay.sink.wait_to("still-there@example.com")
    assert not relay.sink.to("gone@example.com")


@pytest.mark.slow
def test_many_chunks_are_no_chatter(postern, make_sink):
    """More of them than there may be commands without a message; tiny ones are."""
    sink = make_sink()
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    chunk = b"BDAT 600\r\n" + (b"z" * 73 + b"\r\n") * 8
    with relay.client() as c:
        c.ehlo()
        begin(c, "patient@example.com")
        bdat(c, b"Subject: x\r\n\r\n")
        for _ in range(105):
            c.send(chunk * 100)
            for _ in range(100):
                c.reply(250)
        bdat(c, b"", True)
        assert len(sink.wait_to("patient@example.com").body) == 105 * 100 * 600
        begin(c, "impatient@example.com")
        with pytest.raises((Closed, OSError, AssertionError)):
            for _ in range(105):
                c.send(b"BDAT 1\r\nz" * 100)
                for _ in range(100):
                    c.reply(250)


@pytest.mark.slow
def test_dribbled_chunks_come_to_an_end(postern, make_sink):
    relay = postern(domains=[{"name": "example.com", "deliver": make_sink().hop}], timeouts={"message": "10s"})
    with relay.client() as c:
        c.ehlo()
        begin(c, "slow@example.com")
        replies = []
        for _ in range(40):
            try:
                c.send(b"BDAT 1\r\nx")
                replies.append(c.reply().code)
                time.sleep(0.5)
            except (Closed, OSError):
                break
        assert replies[:10] == [250] * 10 and len(replies) < 30


def test_large_ones_in_many_chunks(postern, make_sink):
    sink = make_sink()
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    line = b"z" * 76 + b"\r\n"
    chunk = line * 840
    with relay.client() as c:
        c.ehlo()
        begin(c, "big@example.com")
        c.send(b"BDAT 14\r\nSubject: b\r\n\r\n" + b"".join(b"BDAT %d\r\n" % len(chunk) + chunk for _ in range(60))
               + b"BDAT 0 LAST\r\n")
        for _ in range(62):
            c.reply(250)
    assert sink.wait_to("big@example.com").body == chunk * 60
