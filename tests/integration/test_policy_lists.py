# SPDX-License-Identifier: Apache-2.0
"""Allow and block lists, their files and reasons; the relaying list; what `postern check` says of them."""
import json

import pytest

from lib.daemon import postern as command
from lib.smtp import STRANGER, TRUSTED, Smtp


@pytest.fixture
def make(postern, sink):
    def start(folder=None, **changes):
        checks = {"sender": {"resolvable": False}, "recipient": {"resolvable": False}, **changes.pop("checks", {})}
        return postern(domains=[{"name": "example.com", "deliver": sink.hop}, {"name": "example.net", "deliver": sink.hop}],
                       smarthost=sink.hop, checks=checks, **changes)
    return start


def ask(relay, rcpt="ann@example.com", sender="joe@client.example", source=STRANGER):
    """The reply to RCPT."""
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail(sender)
        reply = c.rcpt(rcpt, expect=None)
        c.quit()
    return reply


def test_clients(make):
    relay = make(checks={"block": {"clients": ["127.0.0.9", {"match": "127.1", "reason": "we do not like 127.1"}, "127.0.1.0/24"]},
                         "allow": {"clients": ["127.0.1.7"]}})
    assert ask(relay).code == 250
    reply = ask(relay, source="127.0.0.9")
    assert reply.code == 554 and reply.enhanced == "5.7.1" and "ask the postmaster" in reply.text, reply
    assert "we do not like 127.1" in ask(relay, source="127.1.2.3").text
    assert ask(relay, source="127.0.1.8").code == 554
    assert ask(relay, source="127.0.1.7").code == 250
    for source, code in (("127.0.0.255", 250), ("127.0.1.0", 554), ("127.0.1.255", 554), ("127.0.2.0", 250), ("127.10.0.1", 250),
                         ("127.1.255.255", 554), ("127.2.0.0", 250)):  # the ends of networks
        assert ask(relay, source=source).code == code, source
    relay.wait_log(r"refused .*code=554 .*check=client-list why=\"block.clients has 127.0.0.9\"")


def test_trusted_clients_are_blocked_too(make):
    relay = make(checks={"block": {"clients": [TRUSTED]}})
    assert ask(relay, source=TRUSTED).code == 554


def test_refused_at_once_when_told_so(make):
    relay = make(checks={"delay_reject": False, "block": {"clients": [STRANGER], "senders": [".spam.example"]}})
    with Smtp(relay.port, greet=False) as c:
        reply = c.reply()
        assert reply.code == 554 and reply.enhanced == "5.7.1", reply
    with Smtp(relay.port, source="127.0.0.5") as c:
        c.ehlo()
        assert c.cmd("MAIL FROM:<a@b.spam.example>").code == 550
        assert c.cmd("MAIL FROM:<a@c.example>").code == 250
        c.quit()


def test_senders_and_recipients(make):
    relay = make(checks={"allow": {"senders": ["good.example", "joe@bad.example"], "recipients": ["abuse@example.com"]},
                         "block": {"senders": ["bad.example", "ann@good.example", "/.*[0-9]{6}@.*/"],
                                   "recipients": ["former@example.com", "example.net"]}})
    assert ask(relay, sender="joe@good.example").code == 250
    assert ask(relay, sender="Ann@GOOD.example").code == 550
    assert ask(relay, sender='"ann"@good.example').code == 550
    assert ask(relay, sender="joe@bad.example").code == 250
    assert ask(relay, sender="eve@bad.example").code == 550
    assert ask(relay, sender="x123456@client.example").code == 550
    assert ask(relay, sender="").code == 250
    assert ask(relay, "Former@example.com").code == 550
    assert ask(relay, "any@example.net").code == 550
    assert ask(relay, "abuse@example.com", sender="eve@bad.example").code == 550  # a block is not undone
    assert ask(relay, "former@example.com", source=TRUSTED).code == 550


def test_files(make, tmp_path):
    (tmp_path / "blocked").write_text("# of last week\n127.0.0.9  go away\n127.0.7.\n")
    relay = make(checks={"block": {"clients": [{"file": str(tmp_path / "blocked")}]}})
    assert "go away" in ask(relay, source="127.0.0.9").text
    assert ask(relay, source="127.0.7.7").code == 554
    relay.wait_log(r"why=\"block.clients has 127.0.7., [^\"]*/blocked:3\"")
    (tmp_path / "blocked").write_text("127.0.0.8\n")
    relay.command("reload")
    relay.wait_log(r"reloaded|generation")
    assert ask(relay, source="127.0.0.8").code == 554


def test_one_relay_for_exceptions(make):
    relay = make(relaying=[{"match": "127.0.3.0/24", "action": "relay"}, {"match": "127.0.3.9", "action": "reject"},
                           {"match": "partner.example", "on": "to", "action": "relay"},
                           {"match": ".spam.example", "on": "any", "action": "reject"},
                           {"match": "127.0.4.4", "action": "ok"}, {"match": TRUSTED, "action": "ok"}])
    assert ask(relay, "x@far.example", source="127.0.3.1").code == 250
    assert ask(relay, "x@far.example", source="127.0.3.9").code == 550
    assert ask(relay, source="127.0.3.9").code == 550
    assert ask(relay, "postmaster", source="127.0.3.9").code == 250
    assert ask(relay, "x@far.example").code == 550
    assert ask(relay, "x@partner.example").code == 250
    assert ask(relay, "x%far.example@partner.example").code == 550
    assert ask(relay, sender="a@b.spam.example").code == 550
    assert ask(relay, sender="a@b.spam.example", source="127.0.4.4").code == 250
    assert ask(relay, "x@far.example", source="127.0.4.4").code == 550
    assert ask(relay, "x@far.example", source=TRUSTED).code == 550
    assert ask(relay, source=TRUSTED).code == 250
    relay.wait_log(r"refused .*check=relay why=\"rejected by the list relaying: .spam.example\"")


def test_check_reads_the_files(tmp_path):
    path, blocked = tmp_path / "postern.yaml", tmp_path / "blocked"
    path.write_text(json.dumps({"hostname": "mx.postern.example", "domains": [{"name": "example.com", "deliver": "192.0.2.1"}],
                                "checks": {"block": {"clients": [{"file": "blocked"}]}}}))
    blocked.write_text("192.0.2.0/24\n")
    assert command("check", "-c", str(path), check=0)
    blocked.write_text("# fine\n192.0.2.1/24\n")
    done = command("check", "-c", str(path), check=78)
    assert "blocked:2: \"192.0.2.1/24\": the address has bits set" in done.stdout, done.stdout


@pytest.mark.parametrize("changes, says", [
    ({"relaying": [{"match": "a.example", "on": "from", "action": "relay"}]}, "anybody can claim to be a sender"),
    ({"relaying": [{"match": "0.0.0.0/0", "action": "relay"}]}, "it would relay for strangers"),
    ({"relaying": [{"match": ".com", "action": "relay"}]}, "com is a top-level domain"),
    ({"checks": {"block": {"senders": ["192.0.2.1"]}}}, "it belongs into a list of clients"),
    ({"checks": {"block": {"clients": ["/(/"]}}}, "missing closing parenthesis"),
    ({"checks": {"allow": {"clients": [{"file": "/nonexistent"}]}}}, "/nonexistent: No such file"),
])
def test_check(tmp_path, changes, says):
    path = tmp_path / "postern.yaml"
    path.write_text(json.dumps({"hostname": "mx.postern.example", "domains": [{"name": "example.com", "deliver": "192.0.2.1"}], **changes}))
    done = command("check", "-c", str(path))
    assert done.returncode != 0 and says in done.stdout + done.stderr, done.stdout + done.stderr
