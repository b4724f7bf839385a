# SPDX-License-Identifier: Apache-2.0
"""Exceptions for old devices, by zone; listeners and zones together; submission without AUTH."""
import pytest

from lib.smtp import Smtp, TRUSTED
from lib.util import free_port

ROOF = "127.0.0.3"  # in zone roof


@pytest.fixture(scope="module")
def relay(shared):
    ports = {name: free_port() for name in ("plain", "require", "submit")}
    relay = shared(
        listeners=[{"address": f"127.0.0.1:{ports['plain']}"}, {"address": f"127.0.0.1:{ports['require']}", "tls": "require"},
                   {"address": f"127.0.0.1:{ports['submit']}", "role": "submission", "auth": False}],
        zones={"lan": {"networks": [TRUSTED], "trust": "relay", "senders": ["client.example"]},
               "roof": {"networks": [ROOF], "trust": "relay", "bare_lf": "accept", "tls": "none"},
               "strict": {"networks": ["127.0.0.4"], "tls": "require"}})
    relay.port, relay.ports = ports["plain"], ports
    return relay


def roof(relay, name="plain"):
    return Smtp(relay.ports[name], source=ROOF)


def test_bare_lf_becomes_crlf(relay):
    with roof(relay) as c:
        c.send(b"EHLO printer\n")
        c.reply(250)
        c.send(b"MAIL FROM:<printer@client.example>\nRCPT TO:<old@example.com>\r\nDATA\n")
        for code in (250, 250, 354):
            c.reply(code)
        c.send(b"Subject: toner\n\nlow\r\n..dot\n.\n")
        c.reply(250)
        c.send(b"QUIT\n")
        c.reply(221)
    message = relay.sink.wait_to("old@example.com")
    assert message.body == b"low\r\n.dot\r\n" and b"\r\n..dot\r\n" in message.raw


def test_the_rest_stays_strict(relay):
    with roof(relay) as c:
        c.ehlo()
        c.message("roof@example.com")
        c.mail()
        c.rcpt("roof@example.com")
        c.cmd("DATA", 354)
        c.send(b"Subject: x\n\na\rb\n.\n")
        assert "bare CR" in c.reply(550).text
        c.expect_closed()
    with roof(relay) as c:
        c.send(b"NOOP\rNOOP\n")
        c.reply(521)
        c.expect_closed()


def test_only_there(relay):
    with relay.client() as c:
        c.send(b"EHLO x\n")
        c.reply(521)
        c.expect_closed()


def test_zone_and_listener_decide_on_tls(relay):
    def offered(port, source):
        with Smtp(relay.ports[port], source=source) as c:
            has = "STARTTLS" in c.ehlo()
            reply = c.mail(expect=None)
            assert reply.code == 250 or reply.enhanced == "5.7.0"
            return has, reply.code
    assert offered("plain", "127.0.0.1") == (True, 250)
    assert offered("plain", ROOF) == (False, 250)
    assert offered("plain", "127.0.0.4") == (True, 530)
    assert offered("require", "127.0.0.1") == (True, 530)
    assert offered("require", ROOF) == (True, 530)  # the listener is not weakened by a zone


def test_required_tls_lets_in_what_uses_it(relay):
    with Smtp(relay.ports["require"]) as c:
        c.ehlo()
        c.mail(expect=530)
        c.starttls()
        c.ehlo()
        c.message("after-tls@example.com")


def test_zone_bound_to_senders(relay):
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        for sender, code in [("a@client.example", 250), ("a@CLIENT.example", 250), ("a@sub.client.example", 550), ("a@else.example", 550), ("", 550)]:
            c.mail(sender)
            assert c.rcpt("a@elsewhere.example", code)
            c.rcpt("a@example.com")
            c.cmd("RSET", 250)


# ---- submission (RFC 6409)

def test_submission_wants_authentication(relay):
    with Smtp(relay.ports["submit"]) as c:
        c.ehlo()
        assert c.mail(expect=530).enhanced == "5.7.0"


def test_submission_adds_what_is_missing(relay):
    with Smtp(relay.ports["submit"], source=TRUSTED) as c:
        c.ehlo()
        c.message("added@example.com", "Subject: x\n\nx\n")
        c.message("kept@example.com", "Date: Sat, 21 Nov 2026 21:30:11 +0000\nmessage-id: <x@y>\nSubject: x\n\nx\n")
    header = relay.sink.wait_to("added@example.com").header
    assert header.count(b"\r\nDate: ") == 1 and header.count(b"\r\nMessage-ID: <") == 1
    assert b"@mx.postern.example>\r\n" in header
    header = relay.sink.wait_to("kept@example.com").header
    assert header.count(b"\r\nDate: ") == 1 and b"\r\nMessage-ID" not in header


def test_a_relay_adds_nothing(relay):
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        c.message("as-it-came@example.com", "Subject: x\n\nx\n", "a@client.example")
    header = relay.sink.wait_to("as-it-came@example.com").header
    assert b"\r\nDate: " not in header and b"\r\nMessage-ID" not in header
