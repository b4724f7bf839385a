# SPDX-License-Identifier: Apache-2.0
"""Receiving: every verb, the order of commands, the grammar, what is added (RFC 5321)."""
import re

import pytest

from lib.smtp import queued_id

LIMIT = 65536


@pytest.fixture(scope="module")
def relay(shared):
    return shared(limits={"message_size": "64K"}, checks={"sender": {"fqdn": False}})  # the grammar is the subject


# ---- greeting, EHLO, HELO

def test_greeting_names_the_host(c):
    assert re.match(r"220 mx\.postern\.example ESMTP", c.greeting.lines[0])


def test_ehlo_offers_what_there_is(c):
    offered = c.ehlo()
    assert {"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS", "SMTPUTF8", "CHUNKING", "DSN",
            "LIMITS"} <= set(offered)
    assert offered["SIZE"] == str(LIMIT)
    assert not {"BINARYMIME", "AUTH", "VRFY", "EXPN", "ETRN", "REQUIRETLS", "XCLIENT"} & set(offered)


def test_ehlo_begins_with_our_name(c):
    assert c.cmd("EHLO x", 250).lines[0].startswith("250-mx.postern.example")


def test_helo_is_one_line(c):
    assert c.cmd("HELO client.example", 250).lines == ["250 mx.postern.example"]


@pytest.mark.parametrize("name", ["client.example", "[127.0.0.1]", "[IPv6:2001:db8::1]", "localhost", "a_b.example"])
def test_ehlo_takes(c, name):
    c.cmd(f"EHLO {name}", 250)


@pytest.mark.parametrize("name", ["", " ", "[127.0.0.1", "[1.2.3]", "a b", "-a.example", "a..b", "<client>", "a" * 300])
def test_ehlo_refuses(c, name):
    assert c.cmd(f"EHLO {name}", 501).enhanced == "5.5.4"
    c.cmd("MAIL FROM:<>", 503)


# ---- order

@pytest.mark.parametrize("line", ["MAIL FROM:<a@b.example>", "RCPT TO:<a@example.com>", "DATA"])
def test_nothing_before_ehlo(c, line):
    assert c.cmd(line, 503).enhanced == "5.5.1"


@pytest.mark.parametrize("line", ["RSET", "NOOP", "HELP", "VRFY joe"])
def test_some_before_ehlo(c, line):
    c.cmd(line, 2)


def test_rcpt_and_data_need_mail(ready):
    ready.cmd("RCPT TO:<a@example.com>", 503)
    ready.cmd("DATA", 503)


def test_data_needs_a_recipient(ready):
    ready.mail()
    ready.cmd("DATA", (503, 554))
    ready.rcpt("stranger@elsewhere.example", 550)
    ready.cmd("DATA", (503, 554))


def test_only_one_sender(ready):
    ready.mail("one@client.example")
    assert ready.cmd("MAIL FROM:<two@client.example>", 503).enhanced == "5.5.1"
    ready.rcpt("a@example.com")


@pytest.mark.parametrize("line", ["RSET", "EHLO again.example", "HELO again.example"])
def test_what_begins_anew(ready, line):
    ready.mail()
    ready.rcpt("a@example.com")
    ready.cmd(line, 250)
    ready.cmd("RCPT TO:<a@example.com>", 503)
    ready.cmd("DATA", 503)
    ready.mail("new@client.example")


@pytest.mark.parametrize("line", ["NOOP", "NOOP whatever", "HELP", "VRFY x", "MAIL FROM:<second@x.example>", "FOO"])
def test_what_does_not(relay, ready, line):
    to = f"kept-{line.split()[0]}-{len(line)}@example.com"
    ready.mail()
    ready.rcpt(to)
    ready.cmd(line)
    ready.data("Subject: x\n\nx\n")
    relay.sink.wait_to(to)


# ---- other verbs

def test_quit(c):
    assert c.cmd("QUIT", 221).enhanced == "2.0.0"
    c.expect_closed()


def test_vrfy_tells_nothing(c):
    assert c.cmd("VRFY joe@example.com", 252).lines == c.cmd("VRFY nobody@example.com", 252).lines
    c.cmd("VRFY", 501)


def test_expn_is_refused(c):
    c.cmd("EXPN list", (502, 550, 252))
    assert "@" not in c.story().split("EXPN list")[1]


def test_help(c):
    assert "MAIL" in c.cmd("HELP", 214).text
    c.cmd("HELP MAIL", 214)


@pytest.mark.parametrize("line", ["DATA x", "RSET x", "QUIT x"])
def test_no_argument_allowed(ready, line):
    assert ready.cmd(line, 501).enhanced == "5.5.4"
    ready.cmd("NOOP", 250)


@pytest.mark.parametrize("line", ["", "   ", "FOO", "MAILFROM:<a@b>", "\x00", "NOOP\x00", "NOOP \x07", "\xe4\xf6",
                                  "ETRN x", "SEND FROM:<a@b>"])
def test_not_a_command(c, line):
    assert 500 <= c.cmd(line).code <= 502
    c.cmd("NOOP", 250)


def test_auth_is_not_offered(ready):
    ready.cmd("AUTH PLAIN AGEAYg==", (502, 503, 504))


def test_verbs_in_any_case_and_blanks_behind(relay, c):
    c.cmd("eHlO client.example", 250)
    c.cmd("mail from:<a@client.example>  ", 250)
    c.cmd("Rcpt To:<case@example.com>\t", 250)
    c.cmd("data ", 354)
    c.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
    c.reply(250)
    assert relay.sink.wait_to("case@example.com").sender == "a@client.example"


# ---- addresses

@pytest.mark.parametrize("path", ["a@client.example", "a+b=c@client.example", '"a b"@client.example',
                                  '"<>@,;"@client.example', '"\\""@client.example',
                                  "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "!#$%&'*+-/=?^_`{|}~@client.example",
                                  "x" * 64 + "@client.example", ""])
def test_sender_arrives_as_written(relay, ready, path):
    to = f"s{abs(hash(path))}@example.com"
    ready.message(to, sender=path)
    assert relay.sink.wait_to(to).sender == path


@pytest.mark.parametrize("path", ["a@b@c.example", "a@", "@b.example", "a b@c.example", "a..b@c.example",
                                  ".a@c.example", "a.@c.example", "a@c..example",
                                  "a@-c.example", "a@c.example.", '"a@c.example', 'a"b"@c.example', "a@[1.2.3]",
                                  "a@[300.1.1.1]", "a@[IPv6:1.2.3.4]",
                                  "a@[IPv6:::1", "a@[X:y]", "x" * 65 + "@c.example", "a@" + "x" * 64 + ".example",
                                  "a@" + "x." * 130 + "example", "postmaster",
                                  "\xe4@c.example", "a@\xe4.example", "a,b@c.example",
                                  "(a)b@c.example"])
def test_sender_syntax(ready, path):
    assert ready.cmd(f"MAIL FROM:<{path}>", 501).enhanced == "5.1.7"
    ready.mail()


@pytest.mark.parametrize("line", ["MAIL", "MAIL FROM", "MAIL FROM:", "MAIL FROM: ", "MAIL FROM:a@b.example",
                                  "MAIL FROM:<a@b.example", "MAIL TO:<a@b.example>",
                                  "MAIL FROM <a@b.example>", "MAIL FROM:<a@b.example>SIZE=1",
                                  "MAIL FROM:<a@b.example> =", "MAIL FROM:<a@b.example> SIZE=",
                                  "MAIL FROM:<a@b.example> SIZE=x", "MAIL FROM:<a@b.example> SIZE=1 SIZE=2",
                                  "MAIL FROM:<a@b.example> BODY=x"])
def test_mail_syntax(ready, line):
    ready.cmd(line, 501)
    ready.mail()


@pytest.mark.parametrize("line", ["RCPT", "RCPT TO:", "RCPT TO:<>", "RCPT TO:a@example.com",
                                  "RCPT FROM:<a@example.com>", "RCPT TO:<a@example.com", "RCPT TO:<a>",
                                  "RCPT TO:<@example.com>"])
def test_rcpt_syntax(ready, line):
    ready.mail()
    ready.cmd(line, 501)
    ready.cmd("DATA", (503, 554))


def test_blank_after_the_colon(relay, ready):
    ready.cmd("MAIL FROM: <a@client.example>", 250)
    ready.cmd("RCPT TO: <blank@example.com>", 250)
    ready.data("Subject: x\n\nx\n")
    relay.sink.wait_to("blank@example.com")


def test_source_route_is_ignored(relay, ready):
    ready.cmd("MAIL FROM:<@one.example,@two.example:routed@client.example>", 250)
    ready.cmd("RCPT TO:<@elsewhere.example:source-route@example.com>", 250)
    ready.data("Subject: x\n\nx\n")
    assert relay.sink.wait_to("source-route@example.com").sender == "routed@client.example"


def test_quoted_recipient_arrives_as_written(relay, ready):
    ready.message('"two words"@example.com')
    relay.sink.wait_to('"two words"@example.com')


def test_postmaster_needs_no_domain(ready):
    ready.mail()
    ready.rcpt("postmaster")
    ready.rcpt("PostMaster")
    ready.rcpt("somebody", 501)


def test_recipients_of_relay_domains(ready):
    ready.mail()
    for good in ("a@example.com", "a@EXAMPLE.COM", "a@wide.example", "a@deep.sub.wide.example"):
        ready.rcpt(good)
    for bad in ("a@sub.example.com", "a@example.org", "a@xwide.example", "a@com", "a@[127.0.0.1]"):
        ready.rcpt(bad, 550)


# ---- parameters

def test_unknown_parameters(ready):
    assert ready.mail(params="FOO=bar", expect=555).enhanced == "5.5.4"
    ready.mail(params="AUTH=<>", expect=(555, 501))
    ready.mail(params="REQUIRETLS", expect=555)  # not without TLS
    ready.mail()
    ready.cmd("RCPT TO:<a@example.com> FOO=bar", 555)


def test_body_and_size(ready):
    for params in ("BODY=7BIT", "body=8bitmime size=1000", "SIZE=0", f"SIZE={LIMIT}"):
        ready.mail(params=params)
        ready.cmd("RSET", 250)


@pytest.mark.parametrize("size", [LIMIT + 1, 10**12, 2**64 - 1, 10**20 - 1])
def test_declared_size_too_large(ready, size):
    assert ready.mail(params=f"SIZE={size}", expect=552).enhanced == "5.3.4"
    ready.mail()


# ---- what is added

def test_received_header(relay, ready):
    reply = ready.message("received@example.com", sender="a@client.example")
    header = relay.sink.wait_to("received@example.com").header.decode()
    unfolded = re.sub(r"\r\n[ \t]+", " ", header.split("\r\nSubject")[0])
    assert re.match(r"Received: from client\.example \(.*\[127\.0\.0\.1\].*\) by mx\.postern\.example .*with ESMTP id "
                    + queued_id(reply) + r".*; "
                    r"\w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d \+0000$", unfolded), unfolded


def test_received_header_over_helo(relay, c):
    c.cmd("HELO [192.0.2.9]", 250)
    c.message("received-helo@example.com")
    assert b"with SMTP id" in re.sub(rb"\r\n[ \t]+", b" ", relay.sink.wait_to("received-helo@example.com").header)


def test_text_is_not_touched(relay, ready):
    text = b"Subject: \xe4\xf6\r\nX-Odd:\r\n\tfolded \t \r\n\r\n  blanks  \r\n\r\n\r\n8 bit: \xff\xfe\r\n.\r\n..\r\n"
    ready.mail(params="BODY=8BITMIME")
    ready.rcpt("untouched@example.com")
    ready.data(text)
    assert relay.sink.wait_to("untouched@example.com").data.split(b"\r\nSubject", 1)[1] == text[len(b"Subject"):]


@pytest.mark.parametrize("text,name", [(b".\r\n", "empty"), (b"\r\n.\r\n", "blank"),
                                       (b"no header at all\r\n.\r\n", "headless"),
                                       (b"..\r\n.\r\n", "dot")])
def test_odd_messages(relay, ready, text, name):
    ready.mail()
    ready.rcpt(f"odd-{name}@example.com")
    ready.data(text, raw=True)
    got = relay.sink.wait_to(f"odd-{name}@example.com").raw
    assert got.endswith(text[:-3]) and got.startswith(b"Received:")
