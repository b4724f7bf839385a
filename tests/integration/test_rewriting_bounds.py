# SPDX-License-Identifier: Apache-2.0
"""What strangers can and cannot do by way of aliases and mapped domains: rules hold under each name, work is bounded, addresses that are not
ASCII are sent as such."""
import time

import pytest

from lib.smtp import STRANGER, TRUSTED, Smtp

PLAIN = "Subject: test\n\ntext\n"


@pytest.fixture
def make(postern, make_sink):
    def one(*wide, **changes):
        inside, outside = make_sink(), make_sink(**({"extensions": list(wide)} if wide else {}))
        relay = postern(**{"main_domain": "main.example", "postmaster": "boss@example.com",
                           "domains": [{"name": "example.com", "deliver": inside.hop}],
                           "mappings": [{"from": "old.example", "to": "example.com"}, {"from": ".tree.example", "to": "example.com"}],
                           "checks": {"sender": {"resolvable": False}, "recipient": {"resolvable": False}},
                           "smarthost": outside.hop, **changes})
        relay.inside, relay.outside = inside, outside
        return relay
    return one


def send(relay, to, source=STRANGER, expect=250):
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail()
        c.rcpt(to)
        return c.data(PLAIN, expect)


def test_rules_for_incoming_mail_hold_under_each_name(make):
    relay = make(aliases=[{"name": "sales", "to": ["anna@example.com"]}],
                 rules=[{"name": "in", "if": {"direction": "in"}, "then": [{"action": "add_header", "text": "X-Way: in"}]},
                        {"name": "out", "if": {"direction": "out"}, "then": [{"action": "add_header", "text": "X-Way: out"}]}])
    for to in ("anna@example.com", "anna@old.example", "anna@x.TREE.example", "sales@main.example", "postmaster"):
        relay.inside.messages.clear()
        send(relay, to)
        relay.wait_queue_empty()
        assert b"X-Way: in\r\n" in relay.inside.messages[0].header, (to, relay.inside.messages)
    for to, way in (("anna@old.example", None), ("anna@far.example", b"X-Way: out\r\n")):
        relay.inside.messages.clear()
        relay.outside.messages.clear()
        send(relay, to, source=TRUSTED)
        relay.wait_queue_empty()
        header = (relay.inside.messages + relay.outside.messages)[0].header
        assert (way in header if way else b"X-Way" not in header), (to, header)


def test_blocked_under_each_name(make):
    relay = make(checks={"sender": {"resolvable": False}, "recipient": {"resolvable": False}, "block": {"recipients": ["former@example.com"]}})
    with Smtp(relay.port, source=STRANGER) as c:
        c.ehlo()
        c.mail()
        for to in ("former@old.example", '"Former"@OLD.example', "former@a.b.tree.example", '"f\\ormer"@tree.example'):
            assert c.rcpt(to, 550).enhanced == "5.7.1", to
        c.rcpt("anna@old.example")


WIDE = "jörg@wide.example"


@pytest.fixture
def group(tmp_path):
    """An alias of a table: what is written in the configuration is ASCII."""
    (tmp_path / "groups").write_text(f"info@example.com {WIDE}, plain@far.example, anna@example.com\n")
    return {"tables": {"groups": {"file": str(tmp_path / "groups")}}, "aliases": [{"table": "groups"}]}


def test_an_alias_to_an_address_that_is_not_ascii(make, group):
    relay = make("PIPELINING", "8BITMIME", "SMTPUTF8", **group)
    send(relay, "info@example.com")
    relay.wait_queue_empty()
    way = {r: m.mail_params for m in relay.outside.messages + relay.inside.messages for r in m.rcpts}
    assert len(way) == 3
    assert "SMTPUTF8" in [p for r, p in way.items() if r.startswith("j")][0].upper(), way
    assert "SMTPUTF8" not in way["anna@example.com"].upper(), way


def test_and_a_server_that_does_not_take_it(make, make_sink, group):
    back = make_sink()
    relay = make("PIPELINING", "8BITMIME", routes=[{"to": "client.example", "via": back.hop}], **group)
    send(relay, "info@example.com")
    relay.wait_queue_empty()
    assert sorted(r for m in relay.outside.messages + relay.inside.messages for r in m.rcpts) == ["anna@example.com", "plain@far.example"]
    assert len(back.messages) == 1 and b"5.6.7" in back.messages[0].data  # for itself alone


def test_large_groups_asked_for_again_and_again(make):
    members = [f"m{i}@example.com" for i in range(900)]
    relay = make(aliases=[{"name": "staff@example.com", "to": members}])
    took = []
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        c.mail()
        for to, code in ((lambda i: "staff@example.com", {250}), (lambda i: f"staff+{i}@example.com", {250, 452})):
            begin = time.monotonic()
            c.send(b"".join(f"RCPT TO:<{to(i)}>\r\n".encode() for i in range(1500)))
            assert {c.reply().code for _ in range(1500)} == code
            took.append(time.monotonic() - begin)
    assert max(took) < 3, took


def test_nothing_of_it_opens_the_relay(make):
    relay = make(aliases=[{"name": "sales", "to": ["anna@example.com"]}], system_mail=["root", "abuse"])
    with Smtp(relay.port, source=STRANGER) as c:
        c.ehlo()
        c.mail()
        for to in ("root@mx.postern.example", "sales@mx.postern.example", "x@far.example", "x%far.example@old.example", "x!y@a.tree.example",
                   '"x@far.example"@old.example', '"x\\@far.example"@main.example', "x@notold.example", "x@tree.example.far.example",
                   "x@[127.0.0.1]", "nobody@main.example", '"sales "@main.example', "@old.example:x@far.example"):
            reply = c.rcpt(to, None)
            assert reply.code // 100 == 5, (to, reply)
        for to in ("abuse@mx.postern.example", "Root@MAIN.example", '"sales"@main.example', "sales+x@main.example", "anna@tree.example"):
            assert c.rcpt(to, None).code == 250, to
