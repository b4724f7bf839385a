# SPDX-License-Identifier: Apache-2.0
"""Guards over those who may relay: outgoing mail that is held, trust that is withdrawn."""
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
