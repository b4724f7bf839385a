# SPDX-License-Identifier: Apache-2.0
"""Limits of clients and recipients, the greeting pause: over all workers, with their exceptions."""
import os
import signal
import time

import pytest

from lib.smtp import Closed, Smtp
from lib.util import wait_until

DOMAINS = [{"name": "example.com"}]


def greeting(relay, source="127.0.0.1"):
    c = Smtp(relay.port, source=source, greet=False)
    return c, c.reply()


@pytest.fixture
def limited(postern, sink):
    def make(**options):
        return postern(domains=[{"name": "example.com", "deliver": sink.hop}], system={"workers": 2},
                       checks={"client_limits": {"enabled": True, "connections": 2, "rate": 0, **options}})
    return make


def test_connections_at_once(limited):
    relay = limited()
    first, second = Smtp(relay.port), Smtp(relay.port)
    third, reply = greeting(relay)
    assert reply.code == 421 and reply.enhanced == "4.7.0" and "(ref " in reply.text, reply
    other = Smtp(relay.port, source="127.0.0.3")
    first.quit()
    wait_until(lambda: greeting(relay)[1].code == 220, "a place that is free again", 5, 0.1)
    for c in (second, third, other):
        c.close()
    relay.wait_log(r"refused .*stage=connect .*code=421 .*check=client-limits why=\"3 connections at once, 2 are allowed\"")


def test_counts_go_with_a_worker_that_is_killed(limited):
    relay = limited()
    held = [Smtp(relay.port), Smtp(relay.port)]
    assert greeting(relay)[1].code == 421
    for name in ("relay-0", "relay-1"):
        os.kill(relay.pid(name), signal.SIGKILL)
    wait_until(lambda: answers(relay) == 220, relay.log_tail, 20, 0.2)
    for c in held:
        c.close()


def answers(relay):
    try:
        c, reply = greeting(relay)
        c.close()
        return reply.code
    except (OSError, Closed):
        return None


def test_rate(limited):
    relay = limited(connections=0, rate=5, per="60s")
    for _ in range(5):
        with Smtp(relay.port) as c:
            c.quit()
    c, reply = greeting(relay)
    assert reply.code == 421 and "try again later" in reply.text, reply
    with Smtp(relay.port, source="127.0.0.3") as c:
        c.quit()


@pytest.mark.slow
def test_rate_passes(limited):
    relay = limited(connections=0, rate=2, per="1s")
    for _ in range(2):
        Smtp(relay.port).close()
    assert greeting(relay)[1].code == 421
    wait_until(lambda: greeting(relay)[1].code == 220, "a new second", 10, 0.6)


@pytest.mark.daily(1)
@pytest.mark.parametrize("exempt", ["127.0.0.1", "127.0.0.0/24", "127.0.0"])
def test_exempt(limited, exempt):
    relay = limited(connections=1, rate=1, exempt=[exempt])
    clients = [Smtp(relay.port) for _ in range(4)]
    for c in clients:
        c.close()


def test_trusted_clients_are_not_limited(limited):
    relay = limited(connections=1, rate=1)
    clients = [Smtp(relay.port, source="127.0.0.2") for _ in range(4)]
    for c in clients:
        c.close()


# ---- recipients

def test_recipients(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], checks={"recipient_limit": {"enabled": True, "most": 3}})
    with Smtp(relay.port) as c:
        c.ehlo()
        c.mail()
        for i in range(3):
            c.rcpt(f"r{i}@example.com")
        assert c.rcpt("r3@example.com", expect=452).enhanced == "4.5.3"
        c.data("Subject: x\r\n\r\nx\r\n")
    with Smtp(relay.port, source="127.0.0.2") as c:  # no stranger
        c.ehlo()
        c.mail()
        for i in range(6):
            c.rcpt(f"r{i}@example.com")


# ---- the greeting pause

@pytest.fixture
def pausing(postern, sink):
    def make(**options):
        return postern(domains=[{"name": "example.com", "deliver": sink.hop}],
                       checks={"greeting_pause": {"enabled": True, "pause": "600ms", **options}})
    return make


def timed(relay, source="127.0.0.1"):
    begin = time.monotonic()
    c = Smtp(relay.port, source=source)
    return c, time.monotonic() - begin


@pytest.mark.slow
def test_pause(pausing):
    relay = pausing()
    c, took = timed(relay)
    assert took > 0.55, took
    c.ehlo()
    c.message("a@example.com")
    c.close()
    c, took = timed(relay)  # it waited, and need not again
    assert took < 0.5, took
    relay.restart()
    c, took = timed(relay)  # nor after a restart
    assert took < 0.5, took
    assert timed(relay, "127.0.0.3")[1] > 0.55


def test_who_talks_first(pausing):
    relay = pausing()
    with Smtp(relay.port, greet=False) as c:
        c.send("EHLO quick.example\r\n")
        c.reply(220)
        c.reply(250)
        c.mail()
        reply = c.rcpt("a@example.com", expect=550)
        assert reply.enhanced == "5.5.1" and "protocol error" in reply.text
        c.rcpt("b@example.com", expect=550)
    assert timed(relay)[1] > 0.55  # it is not exempt
    relay.wait_log("check=greeting-pause")


@pytest.mark.parametrize("source, options", [("127.0.0.2", {}), ("127.0.0.1", {"exempt": ["127.0.0.1/32"]})])
def test_no_pause(pausing, source, options):
    relay = pausing(**options)
    with Smtp(relay.port, source=source, greet=False) as c:
        c.send("EHLO quick.example\r\n")
        c.reply(220)
        c.reply(250)
        c.mail()
        c.rcpt("a@example.com")


def test_who_leaves_while_it_waits(pausing):
    relay = pausing()
    for _ in range(20):
        Smtp(relay.port, greet=False).close()
    timed(relay)[0].quit()
