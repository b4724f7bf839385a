# SPDX-License-Identifier: Apache-2.0
"""Never an open relay: strangers reach the relay domains and nothing else, whatever the address looks like."""
import json

import pytest

from lib.daemon import postern as command
from lib.smtp import Smtp
from lib.util import free_port

# What open-relay testers try; {r}: a relay domain, {o}: our own name, {f}: a foreign domain.
PROBES = [
    "victim@{f}", "victim@mail.{f}", "victim%{f}@{r}", "victim%{f}@{o}", "victim%{f}", "victim%{f}@[127.0.0.1]",
    "\"victim@{f}\"@{r}",
    "\"victim@{f}\"@{o}", "\"victim@{f}\"", "\"victim%{f}\"@{r}", "victim@{f}@{r}", "victim@{f}@{o}",
    "victim@{f}@[127.0.0.1]", "{f}!victim@{r}",
    "{f}!victim", "{f}!victim@{o}", "{f}!victim@[127.0.0.1]", "\"{f}!victim\"@{r}", "@{r}:victim@{f}",
    "@{o}:victim@{f}", "@[127.0.0.1]:victim@{f}",
    "@{r},@{o}:victim@{f}", "@{f}:victim%{f}@{r}", "victim@[127.0.0.1]", "victim@[IPv6:::1]", "victim@[192.0.2.1]",
    "victim@localhost", "victim@sub.{r}",
    "victim@{r}.{f}", "victim@{f}.", "victim@{r}.", "victim@{f}%00@{r}", "victim", "victim@", "victim@{f},a@{r}",
    "victim@{f} a@{r}", "\\victim@{f}",
    "victim\\@{f}@{r}", "victim@{f}>a@{r}", "<victim@{f}>", "victim@com", "victim@x{r}", "'victim@{f}'@{r}",
    "victim(@{r})@{f}",
]
SENDERS = ["spam@evil.example", "user@example.com", "postmaster@mx.postern.example", "", "user@[127.0.0.1]",
           "root@localhost"]


@pytest.fixture(scope="module")
def relay(shared):
    return shared(limits={"errors": 1000})


@pytest.mark.parametrize("probe", PROBES)
def test_probe(relay, probe):
    address = probe.format(r="example.com", o="mx.postern.example", f="foreign.example")
    for helo in ("probe.example", "example.com", "[127.0.0.1]"):
        with relay.client() as c:
            c.ehlo(helo)
            for sender in SENDERS:
                c.mail(sender)
                c.rcpt(address, 5)
                c.cmd("DATA", (503, 554))
                c.cmd("RSET", 250)


def test_a_refusal_says_why(relay):
    with relay.client() as c:
        c.ehlo()
        c.mail()
        reply = c.rcpt("victim@foreign.example", 550)
        assert reply.enhanced == "5.7.1" and "relay" in reply.text
    relay.wait_log(r"refused .*code=550.*about=victim@foreign\.example")


def test_one_good_recipient_opens_nothing(relay):
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("good@example.com")
        c.rcpt("victim@foreign.example", 550)
        c.data("Subject: x\n\nx\n")
    assert relay.sink.wait_to("good@example.com").rcpts == ["good@example.com"]


def test_a_pipelined_refusal_is_no_recipient(relay):
    with relay.client() as c:
        c.ehlo()
        c.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<victim@foreign.example>\r\nDATA\r\n")
        assert [c.reply().code for _ in range(3)][1:] in ([550, 503], [550, 554])
        c.cmd("NOOP", 250)


def test_percent_in_a_relay_domain_is_no_route_for_the_trusted(relay):
    """Who may relay may use such names: they are only names then."""
    with relay.trusted() as c:
        c.ehlo()
        c.message("odd%name@example.com")
    relay.sink.wait_to("odd%name@example.com")


def test_the_trusted_reach_everybody(relay):
    with relay.trusted() as c:
        c.ehlo()
        c.message(["friend@foreign.example", "own@example.com"], sender="me@example.com")
    relay.sink.wait_to("friend@foreign.example")
    relay.sink.wait_to("own@example.com")


def test_trust_is_by_address_only(relay):
    """Not by name: a stranger that greets as one of us stays a stranger."""
    with relay.client() as c:
        c.cmd("EHLO [127.0.0.2]", 250)
        c.mail("me@example.com")
        c.rcpt("victim@foreign.example", 550)


def test_address_literals_are_for_nobody(relay):
    with relay.trusted() as c:
        c.ehlo()
        c.mail()
        c.rcpt("victim@[127.0.0.1]", 550)


def test_zones(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, zones={
        "lan": {"networks": ["127.0.0.0/255.255.255.240"], "trust": "relay"},
        "guests": {"networks": ["127.0.0.8/30"], "trust": "none"},
        "shut": {"networks": ["127.0.0.12"], "mode": "inactive"}})
    for source, code in (("127.0.0.1", 250), ("127.0.0.15", 250), ("127.0.0.9", 550), ("127.0.0.16", 550)):
        with Smtp(relay.port, source=source) as c:
            c.ehlo()
            c.mail()
            c.rcpt("a@foreign.example", code)
    with Smtp(relay.port, source="127.0.0.12", greet=False) as c:
        assert all(r.code >= 400 for r in c.drain())


def refusal(tmp_path, **changes):
    path = tmp_path / "open.yaml"
    config = {"hostname": "mx.example.com", "listeners": [{"address": f"127.0.0.1:{free_port()}"}],
              "domains": [{"name": "example.com", "deliver": "192.0.2.1"}],
              "system": {"directory": str(tmp_path), "run_directory": str(tmp_path / "run"), "user": "",
                         "admin_user": ""}, **changes}
    path.write_text(json.dumps(config, indent=1))
    done = command("check", "-c", path)
    started = command("run", "-c", path, timeout=20) if done.returncode else None
    return done, started


@pytest.mark.parametrize("changes", [
    {"zones": {"all": {"networks": ["0.0.0.0/0"], "trust": "relay"}}},
    {"zones": {"all": {"networks": ["::/0"], "trust": "relay"}}},
    {"zones": {"all": {"networks": ["::ffff:0.0.0.0/96"], "trust": "relay"}}},
    {"zones": {"halves": {"networks": ["0.0.0.0/1", "128.0.0.0/1"], "trust": "relay"}}},
    {"zones": {"internet": {"trust": "relay"}}},
    {"domains": [{"name": "com", "subdomains": True, "deliver": "192.0.2.1"}]},
    {"domains": [{"name": "*", "deliver": "192.0.2.1"}]},
    {"domains": [{"name": ".", "subdomains": True, "deliver": "192.0.2.1"}]},
], ids=lambda c: json.dumps(c)[:50])
@pytest.mark.daily(3)
def test_an_open_configuration_is_refused(tmp_path, changes):
    done, started = refusal(tmp_path, **changes)
    assert done.returncode == 78, done.stdout + done.stderr
    assert "open.yaml:" in done.stdout + done.stderr
    assert started.returncode == 78


def test_a_closed_one_is_not(tmp_path):
    done, _ = refusal(tmp_path, zones={"lan": {"networks": ["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"],
                                               "trust": "relay"}})
    assert done.returncode == 0, done.stdout + done.stderr
