# SPDX-License-Identifier: Apache-2.0
"""What EHLO offers: DSN, SMTPUTF8, LIMITS, REQUIRETLS; who may use it, and how it is refused."""
import re
import smtplib

import pytest

from lib.programs import have, swaks
from lib.sink import Sink


@pytest.fixture(scope="module")
def relay(shared):
    return shared(limits={"messages_per_connection": 3, "recipients": 150, "errors": 100})


def utf8(text):
    return text.encode()


# ---- LIMITS

def test_limits(c):
    assert c.ehlo()["LIMITS"] == "MAILMAX=3 RCPTMAX=150"


def test_limits_are_kept(relay, c):
    c.ehlo()
    for n in range(3):
        c.message(f"limit{n}@example.com")
    c.mail(expect=421)
    c.expect_closed()


# ---- DSN

@pytest.mark.parametrize("params", ["RET=FULL", "RET=hdrs ENVID=QQ314159", "ENVID=a+2Bb", "ENVID=" + "x" * 100])
def test_dsn_of_the_message(relay, ready, params):
    to = f"dsn{len(params)}x"
    ready.mail(params=params)
    for n, notify in enumerate(["NOTIFY=NEVER", "NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;joe+2Bx@example.org", "",
                                "ORCPT=utf-8;\\x{E4}@example.com", "ORCPT=rfc822;" + "x" * 493]):
        ready.cmd(f"RCPT TO:<{to}{n}@example.com> {notify}".rstrip(), 250)
    ready.data("Subject: x\n\nx\n")
    relay.sink.wait_to(f"{to}0@example.com")


@pytest.mark.parametrize("params", ["RET=ALL", "RET", "ENVID", "ENVID=a=b", "ENVID=a+0Ab", "ENVID=a+2", "ENVID=" + "x" * 101,
                                    "RET=FULL RET=FULL"])
def test_dsn_mail_syntax(ready, params):
    assert ready.mail(params=params, expect=501).enhanced == "5.5.4"


@pytest.mark.parametrize("params", ["NOTIFY=NEVER,SUCCESS", "NOTIFY=", "NOTIFY", "NOTIFY=SOMETIMES", "ORCPT=joe@example.com",
                                    "ORCPT=rfc822;+0D+0AX", "ORCPT=rfc822;" + "x" * 494, "NOTIFY=DELAY NOTIFY=DELAY"])
def test_dsn_rcpt_syntax(ready, params):
    ready.mail()
    assert ready.cmd(f"RCPT TO:<a@example.com> {params}", 501).enhanced == "5.5.4"
    ready.cmd("DATA", (503, 554))


def test_dsn_of_many_recipients(relay, ready):
    """More than the first room, with and without parameters, and some twice."""
    ready.mail(params="ENVID=many")
    for n in range(100):
        ready.cmd(f"RCPT TO:<many{n}@example.com>" + (" NOTIFY=SUCCESS" if n % 3 == 2 else ""), 250)
        ready.cmd(f"RCPT TO:<many{n}@example.com> NOTIFY=DELAY ORCPT=rfc822;x{n}@example.org", 250)
    ready.data("Subject: x\n\nx\n")
    assert len(relay.sink.wait_to("many99@example.com").rcpts) == 100


def test_dsn_is_not_promised_where_it_is_off(postern):
    relay = postern(zones={"lan": {"networks": ["127.0.0.2"], "trust": "relay", "dsn": False}})
    with relay.trusted() as c:
        assert "DSN" not in c.ehlo()
        c.mail(params="RET=FULL", expect=555)
        c.mail()
        c.cmd("RCPT TO:<a@example.com> NOTIFY=NEVER", 555)


def test_no_extension_without_ehlo(c):
    c.cmd("HELO x", 250)
    for params in ("RET=FULL", "SMTPUTF8", "ENVID=x", "SIZE=1", "BODY=8BITMIME"):
        c.mail(params=params, expect=555)
    c.mail()
    c.cmd("RCPT TO:<a@example.com> NOTIFY=NEVER", 555)


# ---- SMTPUTF8

def test_utf8_needs_the_parameter(ready):
    assert ready.cmd(utf8("MAIL FROM:<jörg@client.example>"), 553).enhanced == "5.6.7"
    ready.mail()
    assert ready.cmd(utf8("RCPT TO:<jörg@example.com>"), 553).enhanced == "5.6.7"
    assert ready.cmd(utf8("RCPT TO:<a@bücher.example>"), 553).enhanced == "5.6.7"


@pytest.mark.parametrize("path", [b"\xe4@client.example", b"\xc0\xaf@client.example", b"\xed\xa0\x80@client.example",
                                  b"a@\xff.example", b"a\xc2\x85b@client.example", b"a\xe2\x80\xaeb@client.example",
                                  "ä".encode() * 33 + b"@client.example", b"a@" + "ä".encode() * 128 + b".example",
                                  "a@ä..example".encode(), "a@-ä.example".encode(), "a@[ä]".encode()])
def test_utf8_ill_formed(ready, path):
    assert ready.cmd(b"MAIL FROM:<" + path + b"> SMTPUTF8", 501).enhanced == "5.1.7"
    ready.cmd(b"MAIL FROM:<> SMTPUTF8", 250)
    assert ready.cmd(b"RCPT TO:<" + path + b">", 501).enhanced == "5.1.3"


def test_utf8_parameter_syntax(ready):
    ready.mail(params="SMTPUTF8=yes", expect=501)
    ready.cmd(utf8("VRFY jörg SMTPUTF8"), 252)
    ready.cmd(utf8("VRFY jörg"), 501)


@pytest.fixture(scope="module")
def wide(module_postern):
    sink = Sink(extensions=["PIPELINING", "8BITMIME", "SMTPUTF8"])
    relay = module_postern(domains=[{"name": "xn--bcher-kva.example", "deliver": sink.hop}])
    relay.sink = sink
    yield relay
    sink.stop()


@pytest.mark.parametrize("domain", ["bücher.example", "xn--bcher-kva.example", "XN--BCHER-KVA.Example", "BÜCHER.example"])
def test_one_domain_in_all_its_forms(wide, domain):
    with wide.client() as c:
        c.ehlo()
        c.cmd(b"MAIL FROM:<a@client.example> SMTPUTF8", 250)
        c.cmd(utf8(f"RCPT TO:<a@{domain}>"), 250)
        c.cmd(utf8("RCPT TO:<a@büchern.example>"), 550)
        c.data("Subject: x\n\nx\n")
        wide.wait_log(r"accepted .* to=\"?a@")


def test_a_recipient_in_several_forms_is_one(wide):
    with wide.client() as c:
        c.ehlo()
        c.cmd(b"MAIL FROM:<a@client.example> SMTPUTF8", 250)
        for form in ("Once@bücher.example", "Once@xn--bcher-kva.example", "Once@XN--BCHER-kva.EXAMPLE", "Once@BÜCHER.example", "\"Once\"@bücher.example",
                     "\"O\\nce\"@bücher.example"):
            c.cmd(utf8(f"RCPT TO:<{form}>"), 250)
        for n in range(20):
            c.cmd(utf8(f"RCPT TO:<x{n % 10}@{('bücher', 'XN--BCHER-kva')[n // 10]}.example>"), 250)
        c.cmd(utf8("RCPT TO:<once@bücher.example>"), 250)  # another: what case means is for that domain to say
        ident = re.search(r"queued as (\S+)", c.data("Subject: x\n\nx\n").text)[1]
    assert "recipients=12 " in wide.wait_log(rf"accepted id={ident}.*")[0]


def test_utf8_received(wide):
    with wide.client() as c:
        c.ehlo()
        c.cmd(utf8("MAIL FROM:<jürgen@client.example> SMTPUTF8"), 250)
        c.cmd(utf8("RCPT TO:<käthe@bücher.example>"), 250)
        reply = c.data("Subject: grüße\n\nx\n")
    ident = re.search(r"queued as (\S+)", reply.text)[1]
    log = wide.wait_log(rf"accepted id={ident}.*")[0]
    assert "jürgen@client.example" in log and "käthe@bücher.example" in log


# ---- REQUIRETLS

def test_requiretls_is_offered_over_tls_only(ready):
    assert "REQUIRETLS" not in ready.ehlo()
    ready.mail(params="REQUIRETLS", expect=555)
    ready.starttls()
    assert "REQUIRETLS" in ready.ehlo()
    ready.mail(params="REQUIRETLS=x", expect=501)
    ready.mail(params="REQUIRETLS")


# ---- what the next hop is known to take

def test_refused_early_what_the_next_hop_cannot_take(postern, make_sink):
    sink = make_sink(extensions=["PIPELINING", "SIZE 2000", "8BITMIME"])
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    relay.send("learn@example.com")  # from now on its abilities are known
    sink.wait_to("learn@example.com")
    relay.wait_queue_empty()
    with relay.client() as c:
        c.ehlo()
        c.cmd(utf8("MAIL FROM:<jörg@client.example> SMTPUTF8"), 250)
        reply = c.cmd("RCPT TO:<a@example.com>", 550)
        assert reply.enhanced == "5.6.7" and "next server" in reply.text
        c.cmd("RSET", 250)
        c.mail(params="SMTPUTF8")
        c.rcpt("a@example.com")  # nothing in the envelope needs it
        c.cmd("RSET", 250)
        c.cmd(utf8("MAIL FROM:<joe@bücher.example> SMTPUTF8"), 250)
        c.rcpt("domain@example.com")  # domains have another form
        c.cmd(utf8("RCPT TO:<käthe@example.com>"), 550)
        c.data("Subject: x\n\nx\n")
        assert sink.wait_to("domain@example.com").sender == "joe@xn--bcher-kva.example"
        c.mail(params="SIZE=2001")
        reply = c.rcpt("a@example.com", 552)
        assert reply.enhanced == "5.3.4" and "2000" in reply.text
        c.cmd("RSET", 250)
        c.mail()  # without SIZE it shows at the end
        c.rcpt("a@example.com")
        assert "2000" in c.data("Subject: x\n\n" + "x" * 2100 + "\n", 552).text
        c.starttls()
        c.ehlo()
        c.mail(params="REQUIRETLS")
        assert c.rcpt("a@example.com", 550).enhanced == "5.7.30"
        c.cmd("RSET", 250)
        c.message("fits@example.com")
    sink.wait_to("fits@example.com")


@pytest.mark.parametrize("routes", [True, False])
def test_what_next_hops_take_is_not_mixed_up(postern, make_sink, routes):
    small, large = make_sink(extensions=["PIPELINING", "SIZE 2000", "8BITMIME"]), make_sink()
    relay = postern(domains=[{"name": "example.com", "deliver": large.hop}, {"name": "example.org", "deliver": small.hop}],
                    routes=[{"to": "small@example.com", "via": small.hop}] if routes else [])
    relay.send("learn@example.org")
    small.wait_to("learn@example.org")
    relay.wait_queue_empty()
    with relay.client() as c:
        c.ehlo()
        c.mail(params="SIZE=2001")
        for _ in range(2):
            c.rcpt("a@example.com")
            c.rcpt("small@example.com", 552 if routes else 250)
            c.rcpt("b@example.com")
            c.rcpt("postmaster")
            c.rcpt("a@example.org", 552)
            c.rcpt("b@EXAMPLE.org", 552)


# ---- other programs

def test_smtplib(relay):
    with smtplib.SMTP("127.0.0.1", relay.port, source_address=("127.0.0.2", 0)) as s:
        s.ehlo("client.example")
        assert s.has_extn("smtputf8") and s.has_extn("chunking") and s.has_extn("dsn")
        s.sendmail("a@client.example", ["smtplib@example.com"], "Subject: x\n\nx\n",
                   mail_options=["RET=HDRS", "ENVID=x1"], rcpt_options=["NOTIFY=FAILURE,DELAY"])
    relay.sink.wait_to("smtplib@example.com")


@pytest.mark.skipif(not have("swaks"), reason="swaks is not installed")
def test_swaks(relay):
    swaks(relay.port, "swaks@example.com", "--tls")
    assert relay.sink.wait_to("swaks@example.com")
