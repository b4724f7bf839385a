# SPDX-License-Identifier: Apache-2.0
"""IPv6 clients, and what is told of refusals: at which stage, by which line of the configuration, and to whoever asks later."""
import json
import re
import time

import pytest

from lib.smtp import Closed, Smtp
from lib.util import free_port, wait_until

PROXY = "127.0.0.9"


@pytest.fixture
def make(postern, sink, knot):
    """make(**checks): a relay behind a proxy that names its clients, and where nobody has a name in the DNS."""
    dns = knot({"ip6.arpa": "", "in-addr.arpa": ""})

    def relay(relaying=(), **checks):
        port = free_port()
        made = postern(domains=[{"name": "example.com", "deliver": sink.hop}], dns={"servers": [dns.server]}, relaying=list(relaying),
                       listeners=[{"address": f"127.0.0.1:{port}", "proxies": [PROXY]}], checks=checks)
        made.port = port
        return made
    return relay


def connect(relay, client, greet=True):
    family, local = ("TCP6", "::1") if ":" in client else ("TCP4", "127.0.0.1")
    c = Smtp(relay.port, source=PROXY, greet=False)
    c.send(f"PROXY {family} {client} {local} 40000 25\r\n")
    if greet:
        c.reply(220)
    return c


def attempt(relay, client, to="u@example.com", sender="a@b.example", data=False, helo="mx.b.example"):
    with connect(relay, client) as c:
        c.ehlo(helo)
        c.mail(sender)
        reply = c.rcpt(to, expect=None)
        if data and reply.code == 250:
            c.data("Subject: x\r\n\r\nx\r\n")
        c.quit()
        return reply


# ---- IPv6

def test_lists(make):
    relay = make(block={"clients": ["2001:db8:5::/48", "2001:db8::7"]}, allow={"clients": ["2001:db8:5:1::/64"]},
                 relaying=[{"match": "2001:db8:6::/64", "action": "relay"}, {"match": "2001:db8:6::9", "action": "reject"}])
    for client, code in (("2001:db8:5::1", 554), ("2001:db8:5:ffff:ffff:ffff:ffff:ffff", 554), ("2001:db8:4:ffff:ffff:ffff:ffff:ffff", 250),
                         ("2001:db8:6::1", 250), ("2001:db8:5:1::1", 250), ("2001:DB8:0::7", 554), ("2001:db8::8", 250),
                         ("2001:db8:6::9", 550)):
        assert attempt(relay, client).code == code, client
    assert attempt(relay, "2001:db8:6::1", "x@far.example").code == 250
    assert attempt(relay, "2001:db8:6:1::1", "x@far.example").code == 550


@pytest.mark.parametrize("mapped", ["::ffff:192.0.2.9", "::ffff:c000:209"])
def test_mapped_addresses_are_ipv4(make, mapped):
    assert attempt(make(block={"clients": ["192.0.2.0/24"]}), mapped).code == 554


def test_greylist_by_network(make):
    relay = make(greylist={"enabled": True, "delay": "1s"})
    assert attempt(relay, "2001:db8:1:1::1").code == 450
    time.sleep(1.1)
    assert attempt(relay, "2001:db8:1:2::1").code == 450                # another /64
    assert attempt(relay, "2001:db8:1:1:ffff::2", data=True).code == 250  # the same
    assert attempt(relay, "2001:db8:1:1::3", "v@example.com").code == 250
    assert attempt(relay, "fd00::1").code == 250                        # private


def test_client_limits_by_network(make):
    relay = make(client_limits={"enabled": True, "connections": 1, "rate": 0})
    with connect(relay, "2001:db8:1:1::1"):
        with connect(relay, "2001:db8:1:1:8000::2", greet=False) as c:
            assert c.reply(421).enhanced == "4.7.0"
        with connect(relay, "2001:db8:1:2::1"), connect(relay, "192.0.2.1"):
            pass


# ---- reputation

def explained(relay, client="192.0.2.1", to="u@example.com", sender="a@b.example", helo="mx.b.example"):
    return json.loads(relay.command("explain", "--json", "--client", client, "--from", sender, "--to", to, "--helo", helo).stdout)


def finding(relay, check, **kw):
    return next(e for e in explained(relay, **kw)["trace"] if e["check"] == check)


@pytest.mark.parametrize("first, neighbour, stranger", [("192.0.2.1", "192.0.2.200", "192.0.3.1"),
                                                        ("2001:db8:1:1::1", "2001:db8:1:1:8::1", "2001:db8:1:2::1")])
def test_reputation(make, first, neighbour, stranger):
    relay = make(reputation={"reject_below": "50%"}, block={"senders": ["bad.example"]})
    for _ in range(4):
        assert attempt(relay, first, sender="x@bad.example").code == 550
    assert "little is known" in finding(relay, "reputation", client=neighbour)["why"]
    for _ in range(15):
        attempt(relay, first, sender="x@bad.example")
    relay.restart()  # worker's memory is gone, the store's is not
    wait_until(lambda: "0 % of 19" in finding(relay, "reputation", client=neighbour)["why"],
               lambda: finding(relay, "reputation", client=neighbour), 10, 0.3)
    assert explained(relay, neighbour)["score"] == 5
    assert attempt(relay, neighbour).code == 250  # 20 are needed
    for _ in range(3):
        attempt(relay, first, sender="x@bad.example")
    relay.restart()
    wait_until(lambda: attempt(relay, neighbour).code == 554, relay.log_tail, 10, 0.3)
    assert attempt(relay, stranger).code == 250
    relay.wait_log(r"check=reputation why=\"[0-9]+ % of 2[0-9] verdicts on its network were good, 50 % are wanted\"")


# ---- at which stage

STAGES = [("connect", {"block": {"clients": ["192.0.2.1"]}}, 554), ("helo", {"helo": {"reject_non_fqdn": True}}, 550),
          ("mail", {"block": {"senders": ["b.example"]}}, 550), ("rcpt", {"block": {"recipients": ["u@example.com"]}}, 550)]


@pytest.mark.parametrize("delay", [True, False], ids=["delayed", "at-once"])
@pytest.mark.parametrize("stage, checks, code", STAGES, ids=[s[0] for s in STAGES])
def test_refused_at(make, stage, checks, code, delay):
    relay = make(delay_reject=delay, **checks)
    said, where = {}, None
    with connect(relay, "192.0.2.1", greet=False) as c:
        try:
            said["connect"] = c.reply()
            for name, line in (("helo", "EHLO mypc"), ("mail", "MAIL FROM:<a@b.example>"), ("rcpt", "RCPT TO:<u@example.com>")):
                if any(r.code >= 400 for r in said.values()):
                    break
                said[name] = c.cmd(line)
        except Closed:
            pass
    where = next(name for name, reply in said.items() if reply.code >= 400)
    assert where == ("rcpt" if delay else stage), said
    assert said[where].code == code and said[where].enhanced[0] == "5" and "(ref " in said[where].text, said
    reference = re.search(r"\(ref (\w{13})\)", " ".join(said[where].lines))[1]

    def found():
        done = relay.command("trace", "--json", reference, check=None)
        return json.loads(done.stdout)["messages"] if done.returncode == 0 else None
    story = wait_until(found, relay.log_tail, 10, 0.2)[0]
    assert story["id"] == reference and story["state"] == "refused" and story["client"] == "192.0.2.1"
    relay.restart()
    assert found()[0]["id"] == reference
    shown = relay.command("trace", reference).stdout
    assert {"connect": "client-list", "helo": "helo", "mail": "sender-list", "rcpt": "recipient-list"}[stage] in shown, shown
    if delay:
        assert story["recipients"] == ["u@example.com"] and story["sender"] == "a@b.example"


# ---- by which line

LINES = [({"block": {"clients": ["192.0.2.0/28"]}}, "client-list", '"192.0.2.0/28"'),
         ({"allow": {"clients": ["192.0.2.0/28"]}}, "client-list", '"192.0.2.0/28"'),
         ({"block": {"senders": ["b.example"]}}, "sender-list", '"b.example"'),
         ({"block": {"recipients": ["u@example.com"]}}, "recipient-list", '"u@example.com"'),
         ({}, "relay", '"name": "example.com"'),
         ({}, "relaying-client", '"2001:db8:6::/64"'),
         ({"greylist": {"enabled": True}}, "greylist", '"greylist"')]


@pytest.mark.parametrize("checks, check, text", LINES, ids=[f"{line[1]}-{n}" for n, line in enumerate(LINES)])
def test_the_line_that_decides(make, checks, check, text):
    relay = make([{"match": "2001:db8:6::/64", "action": "relay"}], **checks)
    lines = relay.config_path.read_text().splitlines()
    entry = finding(relay, check, client="2001:db8:6::1" if check == "relaying-client" else "192.0.2.1")
    assert entry.get("line") and text in "".join(lines[entry["line"] - 1:entry["line"] + 1]), (entry, lines[entry.get("line", 0) - 1])
