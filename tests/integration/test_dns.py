# SPDX-License-Identifier: Apache-2.0
"""Where mail goes by DNS: MX in all its forms, hosts that are dead, name servers that are."""
import re

import pytest

from lib.dns import DnsProxy
from lib.programs import Knot
from lib.sink import Sink
from lib.util import free_port, wait_until
from lib.world import World

ZONE = """
order    MX 20 h2
order    MX 5  h1
order    MX 30 h3
implicit A 127.0.0.31
void     MX 10 nowhere
void     MX 20 h1
dead     MX 10 off
dead     MX 20 h2
tired    MX 10 h4
tired    MX 20 h3
half     MX 10 off
half     MX 20 mx.postern.example.
half     MX 30 h1
before   MX 10 h1
before   MX 20 mx.postern.example.
manyaddr MX 10 many
twins    MX 10 twin1
twins    MX 20 twin2
twins    MX 30 h2
twin1    A 127.0.0.28
twin2    A 127.0.0.28
alias    CNAME order
mxalias  MX 10 aliashost
aliashost CNAME h1
dual4    MX 10 dual4h
dual6    MX 10 dual6h
six      MX 10 sixh
weird    MX 0  .
weird    MX 10 h1
zeros    MX 10 zeroh
zeros    MX 20 h2
bynumber MX 10 selfh
single   A 127.0.0.29
single   A 127.0.0.31
*.wild   MX 10 h2
h1       A 127.0.0.31
h2       A 127.0.0.32
h3       A 127.0.0.33
h4       A 127.0.0.34
off      A 127.0.0.28
many     A 127.0.0.26
many     A 127.0.0.27
many     A 127.0.0.33
dual4h   A 127.0.0.31
dual4h   AAAA ::1
dual6h   A 127.0.0.28
dual6h   AAAA ::1
sixh     AAAA ::1
zeroh    A 0.0.0.0
zeroh    A 224.0.0.1
selfh    A 127.0.0.1
""" + "".join(f"equal{i} MX 10 h{h}\n" for i in range(18) for h in (1, 2)) + \
    "".join(f"crowd MX {i} a-rather-long-name-for-a-mail-host-{i}\n"
            f"a-rather-long-name-for-a-mail-host-{i} A 127.0.0.{31 if i == 15 else 28}\n" for i in range(60))
BOUNCED = """
null     MX 0 .
loop     MX 10 mx.postern.example.
loop     MX 20 other
loopup   MX 10 MX.Postern.EXAMPLE.
nomail   TXT "neither MX nor address"
nohosts  MX 10 nowhere1
nohosts  MX 20 nowhere2
zero     MX 10 zeroh
zeroh    A 0.0.0.0
other    A 127.0.0.28
mx.loopcname CNAME mx.postern.example.
"""


class Zones(World):
    """Sinks at 127.0.0.31 to .34, all on one port; 127.0.0.26 to .29 are dead. Each name of ZONE is routed by its MX."""

    def __init__(self, folder, make):
        super().__init__(folder)
        self.names = Knot(folder / "knot", {"test": ZONE, "bounced.test": BOUNCED, "postern.example": "mx A 127.0.0.1"})
        self.sinks = {i: Sink(port=self.port, host=f"127.0.0.{i}") for i in (31, 32, 33, 34)}
        self.sinks[34].on("connect", "421 4.3.2 not today")
        self.back = Sink()
        self.more.append(self.back)
        domains = sorted(set(re.findall(r"^([a-z]+\d*) +(?:MX|A|CNAME)", ZONE, re.M))) + ["x.wild"]
        routes = [{"to": f"{d}.test", "via": f"mx:{d}.test:{self.port}"} for d in domains]
        self.relay = make(domains=[{"name": "client.example", "deliver": self.back.hop}],
                          routes=routes + [{"to": "plain.test", "via": f"single.test:{self.port}"}],
                          dns={"servers": [self.names.server], "timeout": "5s"}, timeouts={"connect": "3s"})

    def arrives_at(self, to, which):
        """to is delivered to this sink, and only there."""
        self.relay.send(to)
        self.sinks[which].wait_to(to, seconds=25)
        assert not [i for i, sink in self.sinks.items() if i != which and sink.to(to)]


@pytest.fixture(scope="module")
def world(tmp_path_factory, module_postern, make_world):
    return make_world(Zones, tmp_path_factory.mktemp("dns"), module_postern)


@pytest.mark.parametrize("domain,which", [
    ("order", 31),     # the smallest number first, whatever order they come in
    ("implicit", 31),  # no MX: the domain's own address (RFC 5321 §5.1)
    ("void", 31),      # the first host has no address
    ("dead", 32),      # nothing listens at the first
    ("tired", 33),     # the first greets with 421
    ("before", 31),    # hosts before ourselves
    ("manyaddr", 33),  # the third of three addresses
    ("alias", 31),     # the domain is an alias
    ("mxalias", 31),   # the host is one; forbidden and common
    ("dual4", 31),     # IPv6 address without a listener, then IPv4
    ("weird", 31),     # a null MX beside others is none (RFC 7505 §3)
    ("zeros", 32),     # addresses that are none
    ("x.wild", 32),
    ("plain", 31),     # a host as next hop, two addresses
    ("twins", 32),     # two names for one dead address
    ("crowd", 31),     # 60 hosts, the 16th is alive; the answer needs TCP
])
def test_next_host(world, domain, which):
    world.arrives_at(f"a@{domain}.test", which)
    failed = re.findall(rf"connection-failed destination=mx:{domain}\.test:\S+ reply=\"(.*?)\"", world.relay.log())
    assert len(failed) == len(set(failed)) < 16  # no address is tried twice


@pytest.mark.parametrize("domain", ["six", "dual6"])
def test_ipv6(world, domain):
    try:
        sink = Sink(port=world.port, host="::1")
    except OSError:
        pytest.skip("no IPv6")
    try:
        world.relay.send(f"v6@{domain}.test")
        sink.wait_to(f"v6@{domain}.test")
    finally:
        sink.stop()


def test_equal_preference_is_shuffled(world):
    to = [f"e@equal{i}.test" for i in range(18)]
    world.relay.send(to)
    wait_until(lambda: sum(len(s.to(t)) for s in world.sinks.values() for t in to) == len(to), "all to arrive")
    assert any(world.sinks[31].to(t) for t in to) and any(world.sinks[32].to(t) for t in to)


def test_never_past_ourselves(world):
    """The host before us is dead, one behind us is alive: mail waits (RFC 5321 §5.1)."""
    world.relay.send("x@half.test")
    entry = wait_until(lambda: [m for m in world.relay.queue() if "half.test" in str(m) and "refused" in str(m)],
                       lambda: world.relay.queue())[0]
    assert not any(s.to("x@half.test") for s in world.sinks.values())
    world.relay.command("queue", "delete", entry["id"], "--yes")


BOUNCES = [
    ("null.bounced.test", "5.1.10", "null MX"),
    ("nothere.bounced.test", "5.1.2", "does not exist"),
    ("deep.below.nothere.bounced.test", "5.1.2", "does not exist"),
    ("loop.bounced.test", "5.4.6", "loops back"),
    ("loopup.bounced.test", "5.4.6", "loops back"),
    ("nomail.bounced.test", "5.4.4", "neither an MX"),
    ("nohosts.bounced.test", "5.4.4", "MX hosts"),
    ("zero.bounced.test", "5.4.4", "usable"),
]


@pytest.mark.parametrize("domain,status,words", BOUNCES, ids=[b[0] for b in BOUNCES])
def test_returned_at_once(world, domain, status, words):
    """No host can be had: the sender is told at once, with a sentence that says why."""
    sender = f"{domain}@client.example"
    world.relay.send(f"a@{domain}", sender=sender)
    text = re.sub(r"\r\n\s+", " ", world.back.wait_to(sender).data.decode())
    assert re.search(rf"^Status: {re.escape(status)}\s*$", text, re.M), text
    assert words in text and domain in text


def test_nobody_at_our_own_name(world):
    """Mail to the relay's own name would come back: it is refused at the door."""
    with world.relay.trusted() as c:
        c.ehlo()
        c.mail("own@client.example")
        assert "5.1.1" in str(c.rcpt("a@mx.postern.example", 550))


def test_loop_found_by_address(world):
    """The only MX host has the address and port of our own listener."""
    relay = world.relay
    relay.config["routes"].append({"to": "bynumber.test", "via": f"mx:bynumber.test:{relay.port}"})
    relay.config["routes"] = [r for r in relay.config["routes"]
                              if r["to"] != "bynumber.test" or r["via"].endswith(str(relay.port))]
    relay.write()
    relay.command("reload")
    relay.send("a@bynumber.test", sender="bynumber@client.example")
    text = re.sub(r"\r\n\s+", " ", world.back.wait_to("bynumber@client.example").data.decode())
    assert "Status: 5.4.6" in text and "loop" in text


def test_null_mx_of_a_next_hop_is_the_administrators_slip(world):
    """A hop from the configuration that is not in the DNS: mail waits, nobody's mail is returned for it."""
    world.relay.config["routes"].append({"to": "slip.example", "via": f"mx:gone.bounced.test:{world.port}"})
    world.relay.write()
    world.relay.command("reload")
    world.relay.send("a@slip.example", sender="slip@client.example")
    entry = wait_until(lambda: [m for m in world.relay.queue() if "does not exist" in str(m)],
                       lambda: world.relay.queue())[0]
    assert entry["state"] == "deferred" and not world.back.to("slip@client.example")
    world.relay.command("queue", "delete", entry["id"], "--yes")


@pytest.mark.root
def test_port_25_without_routes(postern, make_sink, knot):
    """As in the world: by the recipient's domain alone."""
    try:
        sink = make_sink(port=25, host="127.0.0.45")
    except OSError:
        pytest.skip("port 25 of 127.0.0.45 is taken")
    names = knot({"test": "a MX 10 dead\na MX 20 b\nb A 127.0.0.45\ndead A 127.0.0.46"})
    relay = postern(dns={"servers": [names.server], "timeout": "5s"})
    relay.send(["x@a.test", "y@b.test"])
    for to in ("x@a.test", "y@b.test"):
        sink.wait_to(to)
    relay.wait_queue_empty()


# ---- name servers that do not do their duty

@pytest.fixture
def proxied(postern, sink, make_sink, knot):
    """A relay that asks a name server through a proxy; a.test and b.test go to relay.sink by DNS, fixed.example without it."""
    target = make_sink()
    names = knot({"test": "".join(f"{x} MX 10 h{x}\nh{x} A 127.0.0.1\n" for x in "abc")})
    proxy = DnsProxy(names.port)
    relay = postern(domains=[{"name": "fixed.example", "deliver": sink.hop}, {"name": "client.example", "deliver": sink.hop}],
                    routes=[{"to": f"{x}.test", "via": f"mx:{x}.test:{target.port}"} for x in "abc"],
                    dns={"servers": [proxy.server], "timeout": "1500ms"})
    relay.sink, relay.target, relay.proxy = sink, target, proxy
    yield relay
    proxy.stop()


def waits_and_comes(relay, words):
    """Mail for a.test waits with that reason while other mail flows, and is delivered when the name server is well again."""
    relay.send("first@a.test")
    wait_until(lambda: [m for m in relay.queue() if m["state"] == "deferred" and re.search(words, str(m))],
               lambda: relay.queue())
    relay.send(["other@fixed.example", "second@a.test"])
    relay.sink.wait_to("other@fixed.example", seconds=10)
    assert not relay.sink.to("sender@client.example")
    relay.proxy.mode, relay.proxy.delay = "pass", 0
    relay.proxy.start()
    relay.target.wait_to("first@a.test", seconds=60)
    relay.target.wait_to("second@a.test", seconds=60)
    relay.wait_queue_empty()
    assert not relay.sink.to("sender@client.example")


@pytest.mark.parametrize("mode", ["silent"] + [pytest.param(m, marks=pytest.mark.slow) for m in ("servfail", "refused", "garbage")])
@pytest.mark.slow
def test_name_server_that_fails(proxied, mode):
    proxied.proxy.mode = mode
    waits_and_comes(proxied, "could not be looked up: the name servers (did not answer|could not be asked)")


@pytest.mark.slow
def test_name_server_that_is_gone(proxied):
    proxied.proxy.stop()
    waits_and_comes(proxied, "could not be looked up: the name servers (did not answer|could not be asked)")


@pytest.mark.slow
def test_name_server_that_is_slower_than_the_patience(proxied):
    proxied.proxy.delay = 4
    waits_and_comes(proxied, "could not be looked up: the name servers did not answer in time")


def test_name_server_that_is_slow(proxied):
    proxied.proxy.delay = 0.4
    proxied.send("patient@b.test")
    proxied.target.wait_to("patient@b.test", seconds=30)


def test_answers_are_kept(proxied):
    """The name server is not asked once for each message."""
    for i in range(12):
        proxied.send(f"kept{i}@c.test")
    for i in range(12):
        proxied.target.wait_to(f"kept{i}@c.test")
    assert proxied.proxy.asked.count("c.test") < 6


def test_second_name_server(postern, make_sink, knot):
    """The first of the servers is dead."""
    target = make_sink()
    names = knot({"test": "a MX 10 h\nh A 127.0.0.1\n"})
    relay = postern(routes=[{"to": "a.test", "via": f"mx:a.test:{target.port}"}],
                    dns={"servers": [f"127.0.0.1:{free_port()}", names.server], "timeout": "5s"})
    relay.send("a@a.test")
    target.wait_to("a@a.test", seconds=40)
