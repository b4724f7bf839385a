# SPDX-License-Identifier: Apache-2.0
"""A transparent zone, with real routing: a client, a router on which the relay runs, and a server behind it. The client connects to the server; the
rules of `postern nft` bring that to the relay, and what they leave alone to the server."""
import contextlib
import json

import pytest

from lib import netns
from lib.daemon import postern as command
from lib.programs import Postfix, have
from lib.sink import Sink
from lib.smtp import Smtp
from lib.util import wait_until

pytestmark = pytest.mark.root

CLIENT, SPARED, QUIET, ROUTER = "10.77.1.2", "10.77.1.3", "10.77.1.70", "10.77.1.1"
CLIENT6, SPARED6, ROUTER6 = "fd77:1::2", "fd77:1::3", "fd77:1::1"
SERVER, FREE, OUTSIDE = "10.77.2.9", "10.77.2.10", "10.77.2.1"
SERVER6, FREE6 = "fd77:2::9", "fd77:2::10"
MAC, SPARED_MAC = "02:00:00:00:77:02", "02:00:00:00:77:99"


class World:
    """client eth0 -- lan0 router wan0 -- eth0 server"""

    def __init__(self):
        self.client, self.router, self.server = (netns.Namespace(n) for n in ("client", "router", "server"))
        self.client.join("eth0", self.router, "lan0")
        self.server.join("eth0", self.router, "wan0")
        self.client.ip("link", "set", "eth0", "address", MAC)
        self.client.address("eth0", *(f"{a}/24" for a in (CLIENT, SPARED, QUIET)), *(f"{a}/64" for a in (CLIENT6, SPARED6)))
        self.server.address("eth0", *(f"{a}/24" for a in (SERVER, FREE)), *(f"{a}/64" for a in (SERVER6, FREE6)))
        self.router.address("lan0", f"{ROUTER}/24", f"{ROUTER6}/64")
        self.router.address("wan0", f"{OUTSIDE}/24", "fd77:2::1/64")
        self.router.set("ipv4/ip_forward", 1)
        self.router.set("ipv6/conf/all/forwarding", 1)
        for side, gateway, gateway6 in ((self.client, ROUTER, ROUTER6), (self.server, OUTSIDE, "fd77:2::1")):
            side.ip("route", "add", "default", "via", gateway)
            side.ip("route", "add", "default", "via", gateway6)
        with self.server:
            self.theirs = [Sink(25, host=a) for a in (SERVER, FREE, SERVER6, FREE6)]
            self.smarthost = Sink(2525, host=SERVER)

    def connect(self, to=SERVER, source=None, port=25, greet=True):
        """From the client."""
        with self.client:
            return Smtp(port, host=to, source=source or (CLIENT6 if ":" in to else CLIENT), greet=greet)

    def reached(self, to=SERVER, source=None):
        """Who answers: "relay" or "server"."""
        with self.connect(to, source) as c:
            who = "relay" if "mx.postern.example" in c.greeting.text else "server"
            c.cmd("QUIT", 221)
            return who

    def stop(self):
        for thing in (*self.theirs, self.smarthost, self.client, self.router, self.server):
            thing.stop()


@pytest.fixture(scope="module")
def world():
    why = netns.lack()
    if why:
        pytest.skip(why)
    w = World()
    yield w
    w.stop()


def settings(by, **intercept):
    return {"listeners": [{"address": "*:25"}], "smarthost": f"{SERVER}:2525",
            "routes": [{"to": "direct.example", "via": f"{SERVER}:25"}],
            "zones": {"lan": {"networks": ["10.77.1.0/24", "fd77:1::/64"], "trust": "relay", "mode": "transparent",
                              "intercept": {"by": by, "sources": [SPARED, SPARED6], "destinations": [FREE, FREE6], "macs": [SPARED_MAC], **intercept}},
                      "quiet": {"networks": ["10.77.1.64/26"]}}}


class Router:
    """The relay there, and its rules."""

    def __init__(self, world, relay):
        self.world, self.relay = world, relay

    def nft(self, *words, check=0):
        with self.world.router:
            return self.relay.command("nft", *words, check=check)

    def rules(self):
        with self.world.router:
            return netns.run("nft", "list", "ruleset"), *(netns.run("ip", f, "rule", "show", "pref", "2525") for f in ("-4", "-6"))


@pytest.fixture(scope="module", params=["redirect", "tproxy"])
def router(request, world, module_postern):
    with world.router:
        relay = module_postern(**settings(request.param))
    r = Router(world, relay)
    r.by = request.param
    r.nft("install")
    yield r
    r.nft("remove")
    assert r.rules() == ("", "", "")
    relay.stop()


@pytest.mark.daily(2)
@pytest.mark.parametrize("server,client", [(SERVER, CLIENT), (SERVER6, CLIENT6)], ids=["ipv4", "ipv6"])
def test_what_is_meant_for_another_is_taken(world, router, server, client):
    family = "v6" if ":" in server else "v4"
    intended = f"[{server}]:25" if family == "v6" else f"{server}:25"
    with world.connect(server) as c:
        assert "mx.postern.example" in c.greeting.text
        c.ehlo()
        c.message(f"{family}-{router.by}@far.example")
        c.quit()
    world.smarthost.wait_to(f"{family}-{router.by}@far.example")
    log = router.relay.wait_log(rf"connect .*client={client} .*zone=lan intended=\S+").group()
    assert f"intended={intended}" in log
    assert f"client={client} " in router.relay.wait_log(rf"accepted .*to={family}-{router.by}@far.example.* intended=\S+").group()
    entry = wait_until(lambda: [e for e in trace(router.relay, f"{family}-{router.by}@far.example") if e["check"] == "intercepted"], "the trace")[0]
    assert entry["why"] == f"taken on its way to {intended}" and entry["outcome"] == "pass"
    received = world.smarthost.to(f"{family}-{router.by}@far.example")[0].header.decode()
    assert client in received and server not in received  # whom it meant is nobody's business


def trace(relay, to):
    found = json.loads(relay.command("trace", "--json", "--recipient", to).stdout)
    events = found["events"] if "events" in found else found["messages"]
    return [entry for event in events for entry in event.get("trace") or []]


@pytest.mark.slow
def test_what_is_left_alone_reaches_the_server(world, router):
    assert world.reached(SERVER) == world.reached(SERVER6) == "relay"
    assert world.reached(SERVER, SPARED) == world.reached(SERVER6, SPARED6) == "server"
    assert world.reached(FREE) == world.reached(FREE6) == "server"
    assert world.reached(SERVER, QUIET) == "server"  # the nearer network's zone decides, and it is not transparent


def test_a_mac_that_is_left_alone(world, router):
    def be(mac):
        world.client.ip("link", "set", "eth0", "address", mac)
        for _ in range(2):
            world.router.ip("neigh", "flush", "dev", "lan0")
    be(SPARED_MAC)
    try:
        assert world.reached(SERVER) == world.reached(SERVER6) == "server"
    finally:
        be(MAC)
    assert world.reached(SERVER) == "relay"


def test_who_means_the_relay_is_served_as_ever(world, router):
    for to in (ROUTER, OUTSIDE, ROUTER6):
        rcpt = f"direct-{router.by}-{to.replace('.', '-').replace(':', '-')}@far.example"
        with world.connect(to) as c:
            assert "mx.postern.example" in c.greeting.text
            c.ehlo(f"direct-{router.by}.example")
            c.message(rcpt)
            c.quit()
        world.smarthost.wait_to(rcpt)
        assert "intended=" not in router.relay.wait_log(rf"accepted .*to={rcpt}.*").group()


def test_what_the_relay_sends_is_not_taken(world, router):
    with world.connect() as c:
        c.ehlo()
        c.message(f"own-{router.by}@direct.example")
    world.theirs[0].wait_to(f"own-{router.by}@direct.example")
    assert world.theirs[0].to(f"own-{router.by}@direct.example")[0].session.peer[0] == OUTSIDE


def test_the_greeting_and_tls_are_the_relays_own(world, router):
    """Who meant another server sees our certificate, and no AUTH."""
    with world.connect() as c:
        words = c.ehlo()
        assert "STARTTLS" in words and "AUTH" not in words
        c.starttls()
        assert "AUTH" not in c.ehlo()
        c.message(f"tls-{router.by}@far.example")
    world.smarthost.wait_to(f"tls-{router.by}@far.example")


def test_other_ports_are_left_alone(world, router):
    with world.connect(port=2525) as c:
        assert "sink.example" in c.greeting.text


def test_a_refusal_names_whom_it_was_meant_for(world, router):
    with world.connect() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@>", 501)
    router.relay.wait_log(rf"refused .*code=501.*intended={SERVER}:25")


@pytest.mark.daily(1)
def test_status(world, router):
    assert router.nft("status").stdout == "in force\n"
    assert json.loads(router.nft("status", "--json").stdout) == {"transparent_zones": 1, "rules": "current", "fine": True}
    assert world.reached(SERVER) == "relay"
    wait_until(lambda: "intercepted: " in router.relay.command("status").stdout, "the connection to be counted")
    before = router.rules()
    router.nft("install")
    assert [strip_counters(r) for r in router.rules()] == [strip_counters(r) for r in before]
    router.nft("remove")
    try:
        assert router.nft("status", check=1).stdout.startswith("not in force")
        assert world.reached(SERVER) == world.reached(SERVER6) == "server"
        router.nft("remove")
    finally:
        router.nft("install")
    assert world.reached(SERVER) == "relay"


def strip_counters(text):
    return "\n".join(line.split("counter")[0] for line in text.splitlines())


@pytest.mark.slow
def test_postfix_as_the_client(world, router):
    if not have("postfix"):
        pytest.skip("Postfix is not installed")
    with world.client, contextlib.ExitStack() as stack:
        postfix = Postfix(f"{SERVER}:25", smtp_tls_security_level="none")
        stack.callback(postfix.stop)
        with postfix.client() as c:
            c.ehlo()
            c.message(f"postfix-{router.by}@far.example")
            c.quit()
        got = world.smarthost.wait_to(f"postfix-{router.by}@far.example", seconds=40)
        assert b"postfix.example" in got.header and b"mx.postern.example" in got.header
        assert f"relay={SERVER}[{SERVER}]:25" in wait_until(lambda: "status=sent" in postfix.maillog.read_text() and postfix.maillog.read_text(), "sent")


@pytest.mark.slow
def test_from_one_way_to_the_other(world, router):
    """By a reload, at the same sockets; the rules of the former configuration are told from the new ones."""
    other = {"redirect": "tproxy", "tproxy": "redirect"}[router.by]
    for by in (other, router.by):
        router.relay.write(settings(by))
        with world.router:
            router.relay.command("reload")
        assert "not those of this configuration" in router.nft("status", check=1).stdout
        router.nft("install")
        router.nft("status")
        assert world.reached(SERVER) == world.reached(SERVER6) == "relay"
        assert (router.rules()[1] != "") == (by == "tproxy")


@pytest.mark.slow
def test_a_listener_with_an_address(world, postern):
    """A port of its own, IPv4 only: what comes by IPv6 is left alone, which print says. Zones by interface."""
    with world.router:
        relay = postern(**{**settings("redirect"), "listeners": [{"address": f"{ROUTER}:2525"}],
                           "zones": {"lan": {"networks": [], "interfaces": ["lan0"], "trust": "relay", "mode": "transparent",
                                             "senders": ["client.example"], "message_size": "9K", "max_connections": 1}}})
        r = Router(world, relay)
        for by in ("redirect", "tproxy"):
            relay.write({"zones": {"lan": {"intercept": {"by": by}}}})
            relay.command("reload")
            assert "zone lan: what comes by IPv6 is not taken" in relay.command("nft").stdout
            r.nft("install")
            try:
                assert world.reached(SERVER) == world.reached(SERVER, SPARED) == "relay"
                assert world.reached(SERVER6) == "server"
                relay.wait_log(rf"connect .*client={CLIENT} .*zone=lan intended={SERVER}:25")
                holds_what_the_zone_says(world)
                relay.stop()
                with pytest.raises(ConnectionRefusedError):  # and nothing goes round it
                    world.reached(SERVER)
                relay.start()
                assert world.reached(SERVER) == "relay"
            finally:
                r.nft("remove")


def holds_what_the_zone_says(world):
    with world.connect() as c:
        assert c.ehlo()["SIZE"] == "9216"
        c.mail("joe@evil.example")
        c.rcpt("victim@far.example", 550)
        c.cmd("RSET", 250)
        c.message("good@far.example")
        with world.connect(greet=False) as second:
            second.reply(421)


def test_no_transparent_zone(world, tmp_path):
    (tmp_path / "c.yaml").write_text("hostname: mx.example\n")
    with netns.Namespace("bare"):
        assert "not in force" not in command("nft", "status", "-c", tmp_path / "c.yaml", check=0).stdout
        assert "nothing is taken" in command("nft", "install", "-c", tmp_path / "c.yaml", check=0).stdout
        assert netns.run("nft", "list", "ruleset") == ""
