# SPDX-License-Identifier: Apache-2.0
"""Zones of providers whose networks are looked up in SPF records; a PROXY header lets a client come from there."""
import json
import re
import time

import pytest

from lib.dns import DnsProxy
from lib.smtp import Smtp
from lib.util import free_port, wait_until

BALANCER = "127.0.0.9"
GOOGLE = ('_spf TXT "v=spf1 include:_netblocks.google.com " "redirect=_more.google.com"\n'
          '_spf TXT "another record"\n'
          '_netblocks TXT "v=spf1 ip4:209.85.128.0/17 ip4:10.0.0.0/8 ip4:64.0.0.0/3 include:_spf.google.com ~all"\n'
          '_more TXT "v=spf1 ip6:2607:f8b0:4000::/36 a mx ~all"\n')
OUTLOOK = 'spf.protection TXT "v=spf1 ip4:40.92.0.0/15 include:spfd.protection.outlook.com -all"\n' \
          'spfd.protection TXT "v=spf1 ip4:52.100.0.0/14 -all"\n'


@pytest.fixture
def dns(knot):
    server = knot({"google.com": GOOGLE, "outlook.com": OUTLOOK})
    proxy = DnsProxy(server.port)
    proxy.knot = server
    yield proxy
    proxy.stop()


@pytest.fixture
def make(postern, sink, dns):
    def start(**changes):
        port = free_port()
        r = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                    listeners=[{"address": f"127.0.0.1:{port}", "proxies": [BALANCER]}],
                    zones={"cloud": {"providers": ["google", "microsoft365"], "trust": "relay", "senders": ["example.com"]},
                           "branch": {"networks": ["209.85.200.0/24"]}},
                    dns={"servers": [dns.server], "timeout": "1s"}, **changes)
        r.port = port
        return r
    return start


def zone_of(relay, client):
    family = "TCP6 {} ::1" if ":" in client else "TCP4 {} 127.0.0.1"
    with Smtp(relay.port, source=BALANCER, greet=False) as c:
        c.send(f"PROXY {family.format(client)} 4711 25\r\n")
        c.reply(220)
        c.quit()
    return relay.wait_log(rf"connect .*client={re.escape(client)} .*zone=(\w+)(?![\s\S]*client={re.escape(client)} port)")[1]


def figures(relay):
    status = relay.status()
    return {p["name"]: p for f in status["figures"] for p in f["providers"]}


def wait_lists(relay):
    wait_until(lambda: [f["networks"] > 0 for f in figures(relay).values()] == [True, True], lambda: relay.log_tail(), 20, 0.2)


def test_lists(make):
    relay = make()
    wait_lists(relay)
    for client, zone in (("209.85.128.1", "cloud"), ("209.85.200.1", "branch"), ("209.86.0.1", "internet"),
                         ("2607:f8b0:4000::1", "cloud"), ("2607:f8b0:5000::1", "internet"), ("40.93.255.255", "cloud"),
                         ("52.103.1.1", "cloud"), ("10.1.1.1", "internet"), ("65.0.0.1", "internet")):
        assert zone_of(relay, client) == zone, client
    relay.wait_log(r"provider-networks provider=google zone=cloud networks=2 before=0 left_out=2 lookups=3")
    f = figures(relay)
    assert f["google"]["networks"] == 2 and f["microsoft365"]["networks"] == 2 and not f["google"]["failing"]
    text = relay.command("status").stdout
    assert re.search(r"provider google: 2 networks, confirmed \S+ ago\n", text), text


def test_explain_knows_them(make):
    relay = make()
    wait_lists(relay)
    for client, zone, trusted in (("209.85.128.1", "cloud", True), ("209.85.200.1", "branch", False), ("209.86.0.1", "internet", False),
                                  ("2607:f8b0:4000::1", "cloud", True), ("52.103.1.1", "cloud", True), ("10.1.1.1", "internet", False)):
        told = json.loads(relay.command("explain", "--json", "--client", client, "--from", "joe@example.com",
                                        "--to", "somebody@elsewhere.example").stdout)
        assert (told["zone"], told["trusted"]) == (zone, trusted), told
        assert told["recipients"][0]["outcome"] == ("pass" if trusted else "reject"), told


def test_only_for_the_senders_named(make):
    relay = make()
    wait_lists(relay)
    with Smtp(relay.port, source=BALANCER, greet=False) as c:
        c.send("PROXY TCP4 40.92.1.1 127.0.0.1 4711 25\r\n")
        c.reply(220)
        c.ehlo()
        c.mail("joe@example.com")
        c.rcpt("somebody@elsewhere.example")
        c.cmd("RSET", 250)
        c.mail("joe@another-customer.example")
        c.rcpt("somebody@elsewhere.example", expect=550)


def test_the_last_good_list_stays(make, dns):
    relay = make()
    wait_lists(relay)
    kept = relay.folder / "data" / "spool" / "google.networks"
    assert kept.read_text().splitlines()[2:] == ["209.85.128.0/17", "2607:f8b0:4000::/36", "end"]
    dns.mode = "servfail"
    relay.restart()
    wait_until(lambda: [f["failing"] for f in figures(relay).values()] == [True, True], lambda: relay.log_tail(), 20, 0.2)
    assert zone_of(relay, "209.85.128.1") == "cloud"
    assert relay.log().count("warning relay-0 provider-lookup provider=google") == 1
    assert "the last look-up failed" in relay.command("status").stdout
    dns.stop()
    relay.restart()
    assert zone_of(relay, "209.85.129.1") == "cloud"


@pytest.mark.daily(1)
@pytest.mark.parametrize("file", [None, b"postern provider networks 1\ngoogle 1\n127.0.0.0/8\nend\n", b"\0" * 100])
def test_nothing_to_begin_with(make, dns, file):
    dns.mode = "servfail"
    relay = make()
    if file:
        (relay.folder / "data" / "spool" / "google.networks").write_bytes(file)
        relay.restart()
        relay.wait_log("provider-file provider=google")
    wait_until(lambda: figures(relay).get("google", {}).get("failing"), lambda: relay.log_tail(), 20, 0.2)
    assert "provider google: no list yet" in relay.command("status").stdout
    assert zone_of(relay, "209.85.128.1") == "internet"
    assert zone_of(relay, "127.0.0.44") == "internet"


@pytest.mark.daily(2)
@pytest.mark.parametrize("record, why", [
    ('_spf TXT "v=spf1 ip4:209.85.128.0/17 include:missing.google.com ~all"', "does not exist"),
    ('_spf TXT "v=spf1 ip4:209.85.128.0/17 -ip4:209.85.129.1 ~all"', "exception"),
    ('_spf TXT "v=spf1 ip4:209.85.128.0/17"\n_spf TXT "v=spf1 ~all"', "several"),
    ('_spf TXT "no record"', "no SPF record"),
    ('_spf TXT "v=spf1 ip4:10.0.0.0/8 ~all"', "no networks"),
    ("\n".join(f'{"_spf" if i == 0 else f"n{i}"} TXT "v=spf1 ip4:209.85.{i}.0/24 include:n{i + 1}.google.com"'
               for i in range(25)), "too many look-ups")])
def test_a_list_is_taken_whole_or_not(knot, postern, record, why):
    server = knot({"google.com": record, "outlook.com": OUTLOOK})
    relay = postern(domains=[{"name": "example.com"}], dns={"servers": [server.server]},
                    zones={"cloud": {"providers": ["google"], "trust": "relay", "senders": ["example.com"]}})
    relay.wait_log(rf'provider-lookup provider=google name=\S+ error="[^"]*{why}[^"]*no list yet"')
    assert figures(relay)["google"] == {"name": "google", "networks": 0, "age": 0, "failing": True}


def test_reload_looks_anew(make, dns):
    relay = make()
    wait_lists(relay)
    asked = len(dns.asked)
    relay.command("reload")
    wait_until(lambda: relay.log().count("provider-networks provider=google") >= 2, lambda: relay.log_tail())
    assert len(dns.asked) > asked
    time.sleep(0.2)
    assert zone_of(relay, "209.85.130.1") == "cloud"
