# SPDX-License-Identifier: Apache-2.0
"""Guards over those who may relay: outgoing mail that is held, trust that is withdrawn."""
import contextlib
import json

import pytest

from lib.daemon import postern as command
from lib.smtp import Smtp, TRUSTED
from lib.util import free_port, wait_until


@pytest.fixture
def relay(postern, sink):
    return postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, postmaster="boss@example.com",
                   guard={"outbound": {"client": {"messages": 3, "recipients": 8}},
                          "open_relay": {"strangers": 5, "distrust_for": "1m"}})


def held(relay):
    return [m for m in relay.queue() if m["state"] == "held"]


def test_messages_past_the_limit_are_held(relay, sink):
    for i in range(5):
        assert relay.send(f"r{i}@elsewhere.example", sender="joe@example.com").code == 250
    for i in range(3):
        sink.wait_to(f"r{i}@elsewhere.example")
    assert "is held from now on" in b" ".join(sink.wait_to("boss@example.com").body.split()).decode()
    wait_until(lambda: len(held(relay)) == 2, lambda: relay.queue(), 10, 0.2)
    assert all("outbound guard: client 127.0.0.2" in m["reason"] for m in held(relay)), held(relay)
    assert relay.log().count("alarm check=outbound-guard") == 1
    relay.restart()
    wait_until(lambda: len(held(relay)) == 2, lambda: relay.queue(), 10, 0.2)
    relay.command("queue", "release", "--yes", "--reason", "outbound guard: client 127.0.0.2")
    sink.wait_to("r4@elsewhere.example")
    relay.wait_queue_empty()


def test_recipients_past_the_limit(relay, sink):
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        c.message([f"r{i}@elsewhere.example" for i in range(9)], sender="joe@example.com")
    wait_until(lambda: len(held(relay)) == 1, lambda: relay.queue(), 10, 0.2)
    relay.command("queue", "delete", "--yes", "--reason", "outbound guard")
    wait_until(lambda: not held(relay), lambda: relay.queue(), 10, 0.2)


def test_recipients_at_the_limit(relay, sink):
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo()
        c.message([f"r{i}@elsewhere.example" for i in range(8)], sender="joe@example.com")
        c.message("late@elsewhere.example", sender="joe@example.com")
    wait_until(lambda: len(held(relay)) == 1, lambda: relay.queue(), 10, 0.2)
    for i in range(8):
        sink.wait_to(f"r{i}@elsewhere.example")
    lines = relay.config_path.read_text().splitlines()
    told = json.loads(relay.command("explain", "--json", "--client", TRUSTED, "--from", "joe@example.com", "--to", "a@far.example").stdout)
    entry = next(e for e in told["trace"] if e["check"] == "outbound-guard")
    assert entry["outcome"] == "hold" and '"outbound"' in lines[entry["line"] - 1], entry


@pytest.mark.slow
def test_explaining_counts_nothing(relay, sink):
    for _ in range(10):
        relay.command("explain", "--client", TRUSTED, "--from", "joe@example.com", "--to", "a@elsewhere.example")
    assert relay.send("a@elsewhere.example", sender="joe@example.com").code == 250
    sink.wait_to("a@elsewhere.example")
    assert not held(relay)


def stranger(relay, n, expect, to="a@example.com"):
    with Smtp(relay.port, source=TRUSTED) as c:
        c.ehlo(f"host{n}.stranger{n}.example")
        c.mail(f"s@stranger{n}.example")
        return c.rcpt(to, expect=expect)


def test_strangers_behind_a_trusted_address(relay):
    for n in range(3):
        stranger(relay, n, 250)
        stranger(relay, n, 250, "somebody@elsewhere.example")
    for n in range(3, 12):
        stranger(relay, n, 250)
    relay.wait_log(r"alarm check=open-relay-guard .*127\.0\.0\.2")
    assert relay.log().count("alarm check=") == 1
    assert stranger(relay, 99, 550, "somebody@elsewhere.example").enhanced == "5.7.1"
    assert stranger(relay, 99, 250).code == 250  # as for any stranger
    answer = json.loads(relay.command("explain", "--json", "--client", TRUSTED, "--from", "a@b.example", "--to", "x@y.example").stdout)
    assert not answer["trusted"] and answer["recipients"][0]["check"] == "relay", answer


def test_strangers_at_the_submission_port(postern, sink, tmp_path):
    """An address whose trust is withdrawn submits as anybody does: with a password."""
    port = free_port()
    users = tmp_path / "users"
    command("user", "add", "joe@example.com", "--file", str(users), stdin="secret enough\n", check=0)
    relay = postern(auth={"backend": "users", "users": str(users)}, domains=[{"name": "example.com", "deliver": sink.hop}],
                    guard={"open_relay": {"strangers": 5, "distrust_for": "1m"}},
                    listeners=[{"address": f"127.0.0.1:{port}", "role": "submission"}])

    def talk(n, expect):
        with Smtp(port, source=TRUSTED) as c:
            c.ehlo(f"host{n}.stranger{n}.example")
            c.mail(f"s@stranger{n}.example", expect=expect)
            if expect == 250:
                c.rcpt("a@example.com")

    for n in range(12):
        if "alarm check=open-relay-guard" not in relay.log():
            talk(n, 250)
    relay.wait_log(r"alarm check=open-relay-guard")
    talk(99, 530)


# ---- IPv6: a client is its /64

PROXY = "127.0.0.9"


@pytest.fixture
def v6(postern, sink):
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, postmaster="boss@example.com",
                    zones={"lan": {"networks": [TRUSTED, "2001:db8:a::/48"], "trust": "relay"}},
                    listeners=[{"address": f"127.0.0.1:{port}", "proxies": [PROXY]}],
                    guard={"outbound": {"client": {"messages": 2, "recipients": 4}}, "open_relay": {"strangers": 5, "distrust_for": "1m"}})
    relay.port = port
    return relay


@contextlib.contextmanager
def v6_client(relay, client, helo="pc.example.com"):
    with Smtp(relay.port, source=PROXY, greet=False) as c:
        c.send(f"PROXY TCP6 {client} ::1 40000 25\r\n")
        c.reply(220)
        c.ehlo(helo)
        yield c


def test_outgoing_mail_of_an_ipv6_client(v6, sink):
    for n, client in enumerate(("2001:db8:a:1::1", "2001:db8:a:1:ffff::2", "2001:db8:a:1::3", "2001:db8:a:2::1")):
        with v6_client(v6, client) as c:
            c.message(f"r{n}@elsewhere.example", sender="joe@example.com")
    for n in (0, 1, 3):
        sink.wait_to(f"r{n}@elsewhere.example")
    wait_until(lambda: len(held(v6)) == 1, lambda: v6.queue(), 10, 0.2)
    assert "outbound guard: client 2001:db8:a:1::3" in held(v6)[0]["reason"], held(v6)
    with v6_client(v6, "2001:db8:a:3::1") as c:  # as many recipients as may be
        c.message([f"s{n}@elsewhere.example" for n in range(4)], sender="joe@example.com")
    with v6_client(v6, "2001:db8:a:4::1") as c:  # and one more
        c.message([f"t{n}@elsewhere.example" for n in range(5)], sender="joe@example.com")
    for n in range(4):
        sink.wait_to(f"s{n}@elsewhere.example")
    wait_until(lambda: len(held(v6)) == 2, lambda: v6.queue(), 10, 0.2)
    assert "2001:db8:a:4::1" in " ".join(m["reason"] for m in held(v6))


def test_strangers_behind_an_ipv6_address(v6):
    def one(n, client, to="a@example.com", expect=250):
        with v6_client(v6, client, f"host{n}.stranger{n}.example") as c:
            c.mail(f"s@stranger{n}.example")
            return c.rcpt(to, expect=expect)
    for n in range(4):
        one(n, f"2001:db8:a:1::{n + 1:x}")
    one(50, "2001:db8:a:1::99", "somebody@elsewhere.example")  # not yet
    for n in range(4, 12):
        one(n, f"2001:db8:a:1::{n + 1:x}")
    v6.wait_log(r"alarm check=open-relay-guard .*2001:db8:a:1::")
    assert v6.log().count("alarm check=open-relay-guard") == 1
    one(99, "2001:db8:a:1:8000::1", "somebody@elsewhere.example", 550)  # the same /64
    one(98, "2001:db8:a:2::1", "somebody@elsewhere.example")
    told = json.loads(v6.command("explain", "--json", "--client", "2001:db8:a:1::77", "--from", "a@b.example", "--to", "x@y.example").stdout)
    assert not told["trusted"], told


def test_a_gateway_of_ours_stays_trusted(relay):
    for n in range(30):
        with Smtp(relay.port, source=TRUSTED) as c:
            c.ehlo("filter.example.com")  # one name, whoever the senders are
            c.mail(f"s@stranger{n}.example")
            c.rcpt("a@example.com")
    for n in range(30):
        with Smtp(relay.port, source=TRUSTED) as c:
            c.ehlo(f"pc{n}.example.com")  # many names, but senders of ours
            c.mail("s@example.com")
            c.rcpt("a@example.com")
            c.rcpt("somebody@elsewhere.example")
