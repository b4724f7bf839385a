# SPDX-License-Identifier: Apache-2.0
"""Delivery status notifications (RFC 3461) from end to end: parameters that come in go out, and reports are made where they do not."""
import email

import pytest

from lib.util import wait_until


def relay_to(postern, hop, back):
    return postern(domains=[{"name": "example.com", "deliver": hop}, {"name": "client.example", "deliver": back}])


def send(relay, mail="", rcpt="", to="b@example.com"):
    with relay.client() as c:
        assert "DSN" in c.ehlo()
        c.mail("a@client.example", mail)
        c.cmd(f"RCPT TO:<{to}> {rcpt}".rstrip(), 250)
        c.data("Subject: asked\n\nbody of it\n")


def report_of(message):
    parsed = email.message_from_bytes(message.data)
    assert parsed.get_content_type() == "multipart/report" and message.sender == ""
    status = parsed.get_payload(1)
    return parsed, status.get_payload(0), status.get_payload(1)


def test_parameters_go_through(postern, make_sink):
    sink, back = make_sink(), make_sink()
    sink.extensions.append("DSN")
    relay = relay_to(postern, sink.hop, back.hop)
    send(relay, "RET=HDRS ENVID=QQ+2B1", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old+2Bx@example.com")
    wait_until(lambda: sink.messages, lambda: "not delivered", 20)
    assert "RET=HDRS ENVID=QQ+2B1" in sink.messages[0].mail_params
    assert any("NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old+2Bx@example.com" in line for s in sink.sessions for line in s.commands)
    assert not back.messages


def test_relayed(postern, make_sink):
    sink, back = make_sink(), make_sink()
    relay = relay_to(postern, sink.hop, back.hop)
    send(relay, "RET=FULL ENVID=QQ+2B1", "NOTIFY=SUCCESS")
    wait_until(lambda: back.messages, lambda: "no report", 20)
    parsed, about, rcpt = report_of(back.messages[0])
    assert about["Original-Envelope-Id"] == "QQ+1"
    assert rcpt["Action"] == "relayed" and rcpt["Status"].startswith("2.") and rcpt["Final-Recipient"] == "rfc822; b@example.com"
    assert parsed.get_payload(2).get_content_type() == "text/rfc822-headers"


@pytest.mark.daily(2)
@pytest.mark.parametrize("notify, told", [("", True), ("NOTIFY=FAILURE", True), ("NOTIFY=NEVER", False), ("NOTIFY=SUCCESS,DELAY", False)])
def test_failures(postern, make_sink, notify, told):
    sink, back = make_sink(), make_sink()
    sink.on("rcpt", "550 5.1.1 no such user", match="b@")
    relay = relay_to(postern, sink.hop, back.hop)
    send(relay, "RET=FULL", notify)
    wait_until(lambda: "event=removed" in relay.log() or "removed" in relay.log(), lambda: relay.log(), 20)
    if not told:
        assert "failure-not-reported" in relay.log() and not back.messages
        return
    wait_until(lambda: back.messages, lambda: relay.log(), 20)
    parsed, _, rcpt = report_of(back.messages[0])
    assert rcpt["Action"] == "failed" and rcpt["Status"] == "5.1.1"
    assert "body of it" in parsed.get_payload(2).get_payload(0).get_payload()


@pytest.mark.daily(1)
@pytest.mark.root
@pytest.mark.parametrize("keywords, reporter", [("", "postfix.example"), ("DSN", "mx.postern.example")])
@pytest.mark.slow
def test_postfix_as_next_hop(postern, postfix, make_sink, keywords, reporter):
    """With DSN the report comes from Postfix, which relays to a server without; else from us."""
    sink, back = make_sink(), make_sink()
    next_hop = postfix(sink.hop, smtpd_discard_ehlo_keywords=keywords)
    relay = relay_to(postern, next_hop.hop, back.hop)
    send(relay, "", "NOTIFY=SUCCESS")
    wait_until(lambda: back.messages or any("Report" in str(m) or m.sender == "" for m in sink.messages), lambda: next_hop.log(), 30)
    report = (back.messages or [m for m in sink.messages if m.sender == ""])[0]
    _, about, rcpt = report_of(report)
    assert reporter in about["Reporting-MTA"] and rcpt["Action"] == "relayed"
