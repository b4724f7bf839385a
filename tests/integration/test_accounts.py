# SPDX-License-Identifier: Apache-2.0
"""Sessions with an account: whose name mail may bear, what is told of the session, what must not be in the log, and what becomes of a
session while the auth process thinks."""
import base64
import os
import re
import signal

import pytest

from lib.daemon import postern as command
from lib.smtp import Closed, Smtp
from lib.util import free_port, wait_until

SECRET = "pass of anna"


def b64(text):
    return base64.b64encode(text.encode()).decode()


PLAIN = "AUTH PLAIN " + b64(f"\0anna@example.com\0{SECRET}")


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    file = tmp_path_factory.mktemp("users") / "users"
    command("user", "add", "anna@example.com", "--file", file, "--addresses", "sales@bücher.example,@xn--mller-kva.example", stdin=SECRET + "\n", check=0)
    return file


@pytest.fixture(scope="module")
def relay(shared, users):
    port = free_port()
    relay = shared(listeners=[{"address": f"127.0.0.1:{port}", "role": "submission"}], auth={"backend": "users", "users": str(users)},
                   limits={"errors": 100}, timeouts={"command": "3s"})
    relay.port = port
    return relay


@pytest.fixture
def c(relay):
    with Smtp(relay.port) as client:
        client.ehlo()
        client.starttls()
        client.ehlo()
        yield client


@pytest.fixture
def anna(c):
    c.cmd(PLAIN, 235)
    return c


# ---- whose name it bears

@pytest.mark.parametrize("header", [
    "From: anna@example.com", "From:Anna\n (me)\n <ANNA@Example.COM>", "from : <\"anna\"@example.com>", "Subject: no author",
    "From: sales@bücher.example", "From: Us: anna@example.com, sales@XN--BCHER-kva.example;", "From: any.body@müller.example",
    "From: anna@example.com\nSender: sales@bücher.example\nFrom: x@xn--mller-kva.example", "From: \"boss@example.com\" <anna@example.com>"])
def test_authors_of_ones_own(anna, header):
    anna.message("to@example.com", f"{header}\n\ntext\n", "anna@example.com")


@pytest.mark.parametrize("header", [
    "From: boss@example.com", "From: anna@example.com, boss@example.com", "From: anna@example.com\nFrom: boss@example.com",
    "From: anna@example.com\nFROM\t: boss@example.com", "From: Anna\n <boss@example.com>", "From: (anna@example.com) boss@example.com",
    "From: boss@example.com (anna@example.com)", "From: boss:;", "From: \"boss@example.com\":;", "From:", "From: (boss)", "From: boss",
    "From: anna@example.com <boss@example.com>", "From: boss@example.com <anna@example.com>", "From: <anna@example.com> boss@example.com",
    "From: us: anna@example.com, boss@example.com;", "From: anna@example.com\nSender: boss@example.com",
    "From: anna@example.com\nResent-From: boss@example.com", "From: anna@example.com\nResent-Sender: boss@example.com",
    "From: =?utf-8?q?anna=40example.com?= <boss@example.com>", "From: anna@example.com.evil.example", "From: anna@sub.müller.example",
    "From: sales@bucher.example", "no field\nFrom: boss@example.com", "From: anna@example.com\nno field\nFrom: boss@example.com",
    "From boss@example.com Sat Nov 21 21:30:11 2026\nFrom: anna@example.com", " From: boss@example.com", "Fr\xf6m: x@y\nFrom: boss@example.com",
    "From: " + "anna@example.com," * 101 + "anna@example.com", "X: y\nFrom: " + " " * 65540 + "\n boss@example.com"])
@pytest.mark.parametrize("chunked", [False, True])
def test_authors_of_others(anna, header, chunked):
    anna.mail("anna@example.com")
    anna.rcpt("to@example.com")
    text = f"{header}\n\ntext\n"
    if chunked:
        text = text.replace("\n", "\r\n").encode()
        anna.send(b"BDAT %d LAST\r\n" % len(text) + text)
        anna.reply(550)
    else:
        anna.data(text, 550)
    anna.mail("anna@example.com")  # the session goes on


@pytest.mark.parametrize("sender, code", [
    ("anna@example.com", 250), ("\"Anna\"@EXAMPLE.com", 250), ("", 250), ("sales@xn--bcher-kva.example", 250), ("x@XN--Mller-KVA.example", 250),
    ("sales@bücher.example", 250), ("y@MÜLLER.example", 250), ("boss@example.com", 553), ("anna@example.com.evil.example", 553),
    ("sales@bucher.example", 553), ("x@a.xn--mller-kva.example", 553), ("\"anna@example.com\"@evil.example", 553), ("anna@[127.0.0.1]", 553)])
def test_senders(anna, sender, code):
    anna.cmd(f"MAIL FROM:<{sender}> SMTPUTF8".encode(), code)


def test_what_is_told(relay, anna):
    """RFC 3848's word for it; neither account nor password in the mail."""
    reply = anna.message("told@example.com", "From: anna@example.com\n\ntext\n", "anna@example.com")
    ident = re.search(r"queued as (\S+)", reply.text)[1]
    assert "account=anna@example.com" in relay.wait_log(rf"accepted id={ident}.*")[0]
    raw = relay.sink.wait_to("told@example.com").raw.decode()
    assert re.search(r"^\tby mx\.postern\.example with ESMTPSA \(TLSv1\.3 \S+ 256 bits\)\r$", raw, re.M), raw
    assert SECRET not in raw and b64(SECRET) not in raw


# ---- secrets and the log

@pytest.mark.parametrize("said", [
    ["AUTH LOGIN", "not base64!", b64(SECRET)],  # the first response ends it, the second comes nevertheless
    ["AUTH NTLM", b64(SECRET)], ["AUTH", b64(SECRET)], ["AUTH LOGIN", "*", b64("anna"), b64(SECRET)],
    ["AUTH\tPLAIN " + b64(SECRET)], [" AUTH PLAIN " + b64(SECRET)], ["auth plain  " + b64(SECRET)], ["AUTHPLAIN " + b64(SECRET)],
    ["AUTH LOGIN", "!", b64(SECRET) + "A" * 5000], ["AUTH LOGIN", "A" * 13000, b64(SECRET)],
    ["AUTH LOGIN", "!", b64(SECRET) + "\rx"], ["AUTH LOGIN", b64(SECRET) + "\rx"], ["AUTH PLAIN \xe4" + b64(SECRET)]],
    ids=lambda said: said[0].strip()[:12])
def test_late_responses_are_not_logged(relay, c, said):
    before = len(relay.log())
    try:
        for line in said:
            c.cmd(line)
        c.cmd("NOOP", 250)
        c.cmd("SHOWN here", 500)  # others are
        relay.wait_log("about=\"SHOWN here\"")
    except Closed:
        pass
    log = wait_until(lambda: (lambda new: "stage=" in new and new)(relay.log()[before:]), "the refusals in the log")
    assert b64(SECRET)[:12] not in log and SECRET not in log, log


def test_a_password_in_the_clear(relay):
    with Smtp(relay.port) as c:
        c.ehlo()
        c.cmd(PLAIN, 538)
        c.cmd("AUTH LOGIN", 538)
        c.cmd(b64("late " + SECRET), 500)
    relay.wait_log("disconnect")
    assert b64("late " + SECRET) not in relay.log() and PLAIN[11:] not in relay.log()


# ---- while the auth process thinks

@pytest.fixture
def stopped(relay):
    pid = relay.pid("auth")
    os.kill(pid, signal.SIGSTOP)
    yield pid
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("behind", ["", "MAIL FROM:<anna@example.com>\r\nNOOP\r\n" * 10, "x" * 30000])
def test_the_client_leaves_while_it_thinks(relay, c, stopped, behind):
    c.send(PLAIN + "\r\n")
    c.expect_silence(0.3)
    if behind:
        c.send(behind)
    c.close()
    with Smtp(relay.port) as other:
        other.ehlo()
    os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: relay.status(), "a worker that answers")
    with Smtp(relay.port) as other:
        other.ehlo()


@pytest.mark.slow
def test_an_answer_that_does_not_come(relay, c, stopped):
    """The client is not left waiting for ever, and the late answer finds nobody."""
    c.send(PLAIN + "\r\n")
    assert c.reply(421).enhanced == "4.4.2"
    c.expect_closed()
    os.kill(stopped, signal.SIGCONT)
    with Smtp(relay.port) as other:
        other.ehlo()


def test_what_was_sent_meanwhile_is_read_afterwards(relay, c, stopped):
    c.send(PLAIN + "\r\n")
    c.expect_silence(0.3)
    c.send("MAIL FROM:<boss@example.com>\r\nMAIL FROM:<anna@example.com>\r\nNOOP\r\n")
    c.expect_silence(0.3)
    os.kill(stopped, signal.SIGCONT)
    for code in (235, 553, 250, 250):
        c.reply(code)


def test_reload_while_it_thinks(postern, sink, users):
    port = free_port()
    r = postern(listeners=[{"address": f"127.0.0.1:{port}", "role": "submission"}], auth={"backend": "users", "users": str(users)},
                domains=[{"name": "example.com", "deliver": sink.hop}], system={"drain": "1s"})
    with Smtp(port) as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        pid = r.pid("auth")
        os.kill(pid, signal.SIGSTOP)
        try:
            c.send(PLAIN + "\r\n")
            c.expect_silence(0.3)
            c.send("NOOP\r\n")
            r.command("reload")
            assert c.reply(421).enhanced == "4.3.2"  # the old worker's time is over
            c.expect_closed()
        finally:
            os.kill(pid, signal.SIGCONT)
    with Smtp(port) as c:
        c.ehlo()
