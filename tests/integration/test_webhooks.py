# SPDX-License-Identifier: Apache-2.0
"""Webhooks: signed, in order, kept over restarts and outages, none held up by another, never more than wanted."""
import hashlib
import hmac
import json
import re
import threading

import pytest

from lib.hooks import Receiver
from lib.smtp import refused
from lib.util import wait_until
from lib.web import control

KEY = b"a key of the test"


@pytest.fixture
def receiver():
    r = Receiver()
    yield r
    r.stop()


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "hook.key"
    path.write_bytes(KEY + b"\n")
    path.chmod(0o600)
    return path


def hook(receiver, **more):
    return {"url": receiver.url, "events": ["delivered", "refused", "bounced", "config", "queue"], **more}


def test_events_are_told_and_signed(postern, sink, receiver, secret):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], webhooks=[hook(receiver, secret_file=str(secret))])
    assert relay.send("bob@example.com", "Subject: private matter\n\nwhat nobody else should read\n").code == 250
    refused(relay, "bob@elsewhere.example")
    e = receiver.wait("delivered")[0]
    assert e["hostname"] == "mx.postern.example" and e["to"] == "bob@example.com" and e["message"] and e["id"] and e["time"] > 1.7e12
    assert e["type"] == "application/json"
    assert e["signature"] == "sha256=" + hmac.new(KEY, e["body"], hashlib.sha256).hexdigest()
    assert receiver.wait("refused")[0]["stage"] == "RCPT"
    relay.command("reload")
    assert receiver.wait("config")[0]["log"] == "reloaded"
    assert not any(b"private matter" in e["body"] or b"nobody else" in e["body"] for e in receiver.events)
    said = relay.command("webhook", "test").stdout
    assert "taken" in said and receiver.of("test")
    assert "no webhook" in relay.command("webhook", "test", "https://other.example/", check=69).stdout


def test_a_change_by_the_api_is_told_with_who_made_it(postern, receiver):
    relay = postern(webhooks=[hook(receiver, events=["config"])])
    body = {"version": control(relay, "GET", "/v1/config").json["version"], "changes": [{"path": "limits.message_size", "value": "30M"}]}
    assert control(relay, "POST", "/v1/config/apply", body).json["reload"]["ok"]
    told = wait_until(lambda: {e["log"]: e for e in receiver.of("config")} if len(receiver.of("config")) == 2 else None,
                      lambda: receiver.events)
    assert set(told) == {"config-changed", "reloaded"} and told["config-changed"]["by"].startswith("socket:")


@pytest.mark.slow
def test_kept_in_order_over_outage_and_restart(postern, sink, receiver):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], webhooks=[hook(receiver, events=["delivered"])])
    receiver.status = 503
    for i in range(5):
        assert relay.send(f"user{i}@example.com").code == 250
    wait_until(lambda: len(sink.messages) == 5, "deliveries")
    relay.wait_log("webhook-failed")
    relay.restart()
    receiver.status = 200
    told = [e["to"] for e in receiver.wait("delivered", 5, 60)]
    assert told == re.findall(r" delivered id=\S+ to=(\S+)", relay.log()) and len(set(told)) == 5  # deliveries run beside each other


@pytest.mark.slow
def test_one_that_is_slow_holds_up_no_other(postern, sink, receiver):
    slow = Receiver()
    slow.hold = threading.Event()
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}],
                    webhooks=[hook(slow, events=["delivered"], timeout="60s"), hook(receiver, events=["delivered"])])
    for i in range(3):
        assert relay.send(f"user{i}@example.com").code == 250
    receiver.wait("delivered", 3)
    assert not slow.events
    slow.hold.set()
    slow.wait("delivered", 3)
    slow.stop()


def test_one_event_that_is_refused_stops_none(postern, sink, receiver):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], webhooks=[hook(receiver, events=["delivered"])])
    receiver.status = lambda e: 400 if e["to"].startswith("bad") else 200
    for name in ("good", "bad", "better"):
        assert relay.send(f"{name}@example.com").code == 250
    assert [e["to"] for e in receiver.wait("delivered", 2)] == ["good@example.com", "better@example.com"]
    relay.wait_log("webhook-refused")


@pytest.mark.slow
def test_not_more_than_so_many_a_minute(postern, receiver):
    relay = postern(webhooks=[hook(receiver, events=["refused"])])
    for i in range(15):
        refused(relay, *(f"x{i}.{k}@elsewhere.example" for k in range(10)))
    receiver.wait("refused", 120)
    assert receiver.wait("left-out", 1, 90)[0]["count"] >= 20
    assert len(receiver.of("refused")) == 120


@pytest.mark.slow
def test_trouble_begins_and_is_over(postern, receiver):
    relay = postern(queue={"warn_messages": 1, "retry_first": "60s", "retry_max": "60s"}, webhooks=[hook(receiver, events=["queue"])],
                    domains=[{"name": "example.com", "deliver": "127.0.0.1:1"}])
    assert relay.send("bob@example.com").code == 250
    begun = receiver.wait("queue")[0]
    assert begun["state"] == "begin" and begun["kind"] == "queue" and begun["name"] == "size"
    relay.command("queue", "delete", "--all", "--yes")
    assert receiver.wait("queue", 2)[1]["state"] == "end"


@pytest.mark.parametrize("url", ["http://hooks.example.com/x", "ftp://127.0.0.1/", "https://", "https://u:p@host.example/", "https://host.example:0/"])
def test_urls_that_cannot_be(postern, tmp_path, url):
    from lib.daemon import postern as command
    path = tmp_path / "p.yaml"
    path.write_text(json.dumps({"hostname": "mx.postern.example", "webhooks": [{"url": url}]}))
    done = command("check", "-c", path, check=78)
    assert "webhooks" in done.stdout + done.stderr
