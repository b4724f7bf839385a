# SPDX-License-Identifier: Apache-2.0
"""Greylisting: who is deferred, who comes again, who is exempt, and what happens without the store."""
import os
import signal
import time

import pytest

from lib.dns import DnsProxy
from lib.smtp import Smtp
from lib.util import wait_until

SENDER = "joe@client.example"


@pytest.fixture
def grey(postern, sink, knot):
    dns = knot({"0.0.127.in-addr.arpa": ""})  # says at once that nobody has a name

    def make(exempt=None, domains=None, **options):
        greylist = {"enabled": True, "delay": "1s", "private_exempt": False, **options}
        if exempt:
            greylist["exempt"] = exempt
        return postern(domains=domains or [{"name": "example.com", "deliver": sink.hop}], checks={"greylist": greylist},
                       dns={"servers": [dns.server]})
    return make


def attempt(relay, to="a@example.com", sender=SENDER, source="127.0.0.1", data=False):
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail(sender)
        reply = c.rcpt(to, expect=(250, 450, 451))
        if data and reply.code == 250:
            c.data("Subject: x\r\n\r\nx\r\n")
        return reply


def test_comes_again(grey, sink):
    relay = grey()
    reply = attempt(relay)
    assert reply.code == 450 and reply.enhanced == "4.7.1" and "again in 1 seconds" in reply.text and "(ref " in reply.text, reply
    assert attempt(relay).code == 450  # too early
    time.sleep(1.1)
    assert attempt(relay, "b@example.com").code == 450  # another recipient is another triplet
    assert attempt(relay, sender="mary@client.example").code == 450
    assert attempt(relay, source="127.0.0.3").code == 450
    assert attempt(relay, data=True).code == 250
    sink.wait_to("a@example.com")
    # now it may send for this sender's domain, and after a restart, too
    assert attempt(relay, "c@example.com", "mary@client.example").code == 250
    assert attempt(relay, "c@example.com", "mary@other.example").code == 450
    relay.restart()
    assert attempt(relay, "d@example.com").code == 250


def test_passing_without_a_message_allows_nothing_else(grey):
    relay = grey()
    attempt(relay)
    time.sleep(1.1)
    assert attempt(relay).code == 250
    assert attempt(relay, "b@example.com").code == 450


def test_the_log_names_the_check(grey):
    relay = grey()
    attempt(relay)
    relay.wait_log(r'refused .*stage=RCPT .*code=450 .*about=a@example\.com .*check=greylist why="not met before')


# A provider's hosts are one client by their registrable domain; who only shares a registry, or the domain of a company that gives
# names to its customers, is not.
NAMES = {"127.0.0.11": "foo.co.uk", "127.0.0.12": "bar.co.uk", "127.0.0.13": "mx1.pool.big.co.uk", "127.0.0.14": "other.big.co.uk",
         "127.0.0.15": "one.github.io", "127.0.0.16": "two.github.io", "127.0.0.17": "big.co.uk",
         "127.0.0.18": "host-0-18.isp.example", "127.0.0.19": "host-0-19.isp.example",  # lines by number, each its own client
         "127.0.0.20": "liar.big.co.uk"}


PAIRS = [(13, 14, 250), (13, 17, 250), (11, 12, 450), (11, 13, 450), (15, 16, 450), (18, 19, 450), (13, 20, 450), (11, 11, 250)]


@pytest.mark.slow
def test_hosts_of_a_provider(postern, knot):
    """Who comes first, who comes again, and with what success; each pair with a sender of its own."""
    zones = {}
    for ip, name in NAMES.items():
        host, zone = name.rsplit(".", 2)[0], ".".join(name.rsplit(".", 2)[1:])
        if host != "liar.big":  # its name does not lead back
            zones[zone] = zones.get(zone, "") + f"{host} A {ip}\n"
    reverse = "".join(f"{ip.rsplit('.', 1)[1]} PTR {name}.\n" for ip, name in NAMES.items())
    dns = knot({"0.0.127.in-addr.arpa": reverse, **zones})
    relay = postern(domains=[{"name": "example.com"}], dns={"servers": [dns.server]},
                    checks={"greylist": {"enabled": True, "delay": "1s", "private_exempt": False}})

    def come(who, pair):
        return attempt(relay, sender="joe@s{}-{}.example".format(*pair), source=f"127.0.0.{who}").code
    assert [come(first, (first, second)) for first, second, _ in PAIRS] == [450] * len(PAIRS)
    time.sleep(1.1)
    assert [(first, second, come(second, (first, second))) for first, second, _ in PAIRS] == PAIRS


@pytest.mark.parametrize("trouble", ["slow", "servfail", pytest.param("silent", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_while_the_dns_is_in_trouble(postern, knot, trouble):
    """Names that come late count; without names it is the address that must come again, and RCPT waits no longer than dns.timeout."""
    names = {"127.0.0.13": "mx1.pool", "127.0.0.14": "other"}
    dns = knot({"0.0.127.in-addr.arpa": "".join(f"{ip[8:]} PTR {name}.big.co.uk.\n" for ip, name in names.items()),
                "big.co.uk": "".join(f"{name} A {ip}\n" for ip, name in names.items())})
    front = DnsProxy(dns.port)
    front.mode, front.delay = ("pass", 0.3) if trouble == "slow" else (trouble, 0)
    relay = postern(domains=[{"name": "example.com"}], dns={"servers": [front.server], "timeout": "5s" if trouble == "slow" else "1s"},
                    checks={"greylist": {"enabled": True, "delay": "1s", "private_exempt": False}})
    try:
        began = time.monotonic()
        assert attempt(relay, source="127.0.0.13").code == 450
        assert (0.3 if trouble == "slow" else 0) <= time.monotonic() - began < 5
        time.sleep(1.1)
        assert attempt(relay, source="127.0.0.14").code == (250 if trouble == "slow" else 450)
        assert attempt(relay, source="127.0.0.13").code == 250
    finally:
        front.stop()


@pytest.mark.slow
def test_a_first_attempt_is_forgotten(grey):
    """retry_within is a minute at least: at its end all begins anew."""
    relay = grey(retry_within="1m")
    assert attempt(relay).code == 450
    time.sleep(55)
    assert attempt(relay, "b@example.com").code == 450
    time.sleep(6)
    assert attempt(relay).code == 450
    assert attempt(relay, "b@example.com").code == 250


@pytest.mark.slow
def test_who_is_known_is_so_for_a_time(grey, sink):
    relay = grey(allow_for="1m")
    attempt(relay)
    time.sleep(1.1)
    attempt(relay, data=True)
    assert attempt(relay, "b@example.com").code == 250
    time.sleep(40)
    assert attempt(relay, "c@example.com", data=True).code == 250  # each message begins it anew
    time.sleep(40)
    assert attempt(relay, "d@example.com").code == 250
    time.sleep(25)
    assert attempt(relay, "e@example.com").code == 450


@pytest.mark.parametrize("bits, again", [(32, 450), (24, 250)])
def test_networks(grey, bits, again):
    relay = grey(ipv4_prefix=bits)
    attempt(relay)
    time.sleep(1.1)
    assert attempt(relay, source="127.0.0.3").code == again
    assert attempt(relay, source="127.0.1.3").code == 450


@pytest.mark.daily(2)
@pytest.mark.parametrize("exempt", [{"clients": ["127.0.0.0/24"]}, {"senders": ["client.example"]}, {"senders": [SENDER]},
                                    {"recipients": ["a@example.com"]}, {"recipients": ["/^a@.*/"]}])
def test_exempt(grey, exempt):
    assert attempt(grey(exempt)).code == 250


def test_private_networks_are_exempt(grey):
    assert attempt(grey(private_exempt=True)).code == 250


def test_trusted_clients_are_not_concerned(grey):
    assert attempt(grey(), source="127.0.0.2").code == 250


@pytest.mark.parametrize("without, code", [("pass", 250), ("defer", 451)])
def test_without_the_store(grey, without, code):
    relay = grey(without_store=without)
    assert attempt(relay).code == 450
    store = relay.pid("store")
    os.kill(store, signal.SIGSTOP)
    try:
        assert attempt(relay, "b@example.com").code == code
    finally:
        os.kill(store, signal.SIGCONT)
    wait_until(lambda: attempt(relay, "c@example.com").code == 450, relay.log_tail, 30, 0.3)


def test_explain(grey):
    relay = grey()
    for _ in range(2):  # it is not remembered
        out = relay.command("explain", "--client", "127.0.0.1", "--from", SENDER, "--to", "a@example.com").stdout
        assert "greylist" in out and "not met before" in out and "450 4.7.1" in out, out
    assert attempt(relay).code == 450
