# SPDX-License-Identifier: Apache-2.0
"""What a stranger's word decides: any sender can be written in MAIL FROM. Routes by sender, which may lead to servers that know our password, are not
for him, even where an alias, a rule or a copy takes his mail out of the house."""
import json

import pytest

from lib.smtp import STRANGER, TRUSTED, Smtp

BOSS, CLOUD = "boss@client.example", "127.0.0.77"


@pytest.fixture
def relay(postern, make_sink):
    inside, outside, paid = make_sink(), make_sink(), make_sink()
    r = postern(domains=[{"name": "example.com", "deliver": inside.hop}], routes=[{"from": "client.example", "via": paid.hop, "source": "127.0.0.24"}],
                zones={"cloud": {"networks": [CLOUD], "trust": "relay", "senders": ["other.example"]}},
                main_domain="main.example", postmaster="chief@far.example", smarthost=outside.hop,
                mappings=[{"from": "old.example", "to": "far.example"}],
                aliases=[{"name": "sales@example.com", "to": ["anna@far.example", "bert@example.com"]}],
                copies=[{"to": "archive@far.example", "recipients": ["copied@example.com"]}],
                checks={"sender": {"resolvable": False}, "recipient": {"resolvable": False}},
                rules=[{"name": "away", "if": {"headers": [{"name": "subject", "match": "away"}]}, "then": [{"action": "redirect", "address": "trap@far.example"}]},
                       {"name": "seen", "if": {"headers": [{"name": "subject", "match": "seen"}]}, "then": [{"action": "copy", "address": "copy@far.example"}]}])
    r.inside, r.outside, r.paid = inside, outside, paid
    return r


def went(relay, to, subject="test", source=STRANGER):
    for sink in (relay.inside, relay.outside, relay.paid):
        sink.messages.clear()
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail(BOSS)
        c.rcpt(to)
        c.data(f"Subject: {subject}\n\ntext\n")
    relay.wait_queue_empty()
    return [sorted(r for m in sink.messages for r in m.rcpts) for sink in (relay.inside, relay.outside, relay.paid)]


def test_a_strangers_sender_chooses_no_way(relay):
    assert went(relay, "sales@example.com") == [["bert@example.com"], ["anna@far.example"], []]
    assert went(relay, "carl@old.example") == [[], ["carl@far.example"], []]
    assert went(relay, "postmaster") == [[], ["chief@far.example"], []]
    assert went(relay, "copied@example.com") == [["copied@example.com"], ["archive@far.example"], []]
    assert went(relay, "x@example.com", "away") == [[], ["trap@far.example"], []]
    assert went(relay, "x@example.com", "seen") == [["x@example.com"], ["copy@far.example"], []]
    told = json.loads(relay.command("explain", "--json", "--client", STRANGER, "--from", BOSS, "--to", "sales@example.com").stdout)
    assert {way["recipient"]: way["route"] for way in told["recipients"][0]["to"]} == {"anna@far.example": "smarthost", "bert@example.com": "domain"}


def test_a_users_does(relay):
    assert went(relay, "x@far.example", source=TRUSTED) == [[], [], ["x@far.example"]]
    assert went(relay, "sales@example.com", source=TRUSTED) == [["bert@example.com"], [], ["anna@far.example"]]
    told = json.loads(relay.command("explain", "--json", "--client", TRUSTED, "--from", BOSS, "--to", "sales@example.com").stdout)
    assert "route from" in {way["route"] for way in told["recipients"][0]["to"]}


def test_nor_does_one_for_whom_a_zone_is_not_trusted(relay):
    """Others use its networks as well."""
    assert went(relay, "sales@example.com", source=CLOUD) == [["bert@example.com"], ["anna@far.example"], []]


def test_nor_after_a_restart(relay):
    relay.outside.on("rcpt", "451 4.2.1 later", times=1)
    with Smtp(relay.port, source=STRANGER) as c:
        c.ehlo()
        c.mail(BOSS)
        c.rcpt("sales@example.com")
        c.data("Subject: test\n\ntext\n")
    relay.wait_log("deferred .*anna@far")
    relay.restart({"queue": {"retry_first": "1s", "retry_max": "1s"}})
    relay.command("queue", "retry", "--all")
    relay.outside.wait_to("anna@far.example")
    assert not relay.paid.messages
