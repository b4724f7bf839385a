# SPDX-License-Identifier: Apache-2.0
"""Tracking through the API: each filter with real mail, the whole story with its checks, the queue by destination and reason."""
import json
import time

import pytest

from lib.smtp import queued_id
from lib.util import wait_until
from lib.web import Web, administrator, logged_in, serving, story


@pytest.fixture
def relay(postern, sink):
    return serving(postern, domains=[{"name": "here.example", "deliver": sink.hop}], checks={"block": {"senders": ["spam.example"]}})


@pytest.mark.slow
def test_filters_and_story(relay):
    web = administrator(relay)
    key = queued_id(relay.send("bob@here.example", "Subject: Quarterly Numbers\nMessage-ID: <q-1@client.example>\n\ntext\n"))
    told = story(web, key, lambda m: m["state"] == "delivered")
    event = told["events"][0]
    assert event["kind"] == "delivered" and event["code"] == 250 and event["text"]
    checks = {c["check"]: c for c in told["checks"]}
    assert "relay" in checks and all({"stage", "outcome", "ms"} <= set(c) for c in told["checks"])
    assert checks["relay"]["stage"] == "rcpt" and checks["relay"]["outcome"] in ("pass", "allow") and checks["relay"]["reason"]
    time.sleep(0.3)
    for fit in ({"sender": "sender@client.example"}, {"recipient": "here.example"}, {"address": "BOB@here.example"}, {"client": "127.0.0.0/8"},
                {"outcome": "delivered"}, {"kind": "accepted"}, {"message_id": "q-1@"}, {"subject": "quarterly num"}, {"reason": event["text"][:12]},
                {"check": "relay", "stage": "rcpt", "result": checks["relay"]["outcome"]}, {"subject": "numbers", "sender": "client.example"}):
        found = web.get("/v1/trace", **fit).json["messages"]
        assert [m["id"] for m in found] == [key], (fit, found)
        assert "checks" not in found[0] and "trace" not in found[0]
    for other in ({"sender": "nobody@client.example"}, {"outcome": "bounced"}, {"kind": "refused"}, {"reason": "never said"},
                  {"check": "relay", "result": "reject"}, {"check": "nothing"}, {"stage": "content", "check": "relay"}, {"subject": "other"}):
        assert web.get("/v1/trace", **other).json["messages"] == [], other
    assert web.get("/v1/trace", result="maybe").status == 400
    assert web.get("/v1/trace", kind="odd").status == 400
    assert web.get("/v1/trace", nothing="x").status == 400


def test_what_was_refused(relay):
    web = administrator(relay)
    with relay.client() as s:
        s.ehlo()
        s.cmd("MAIL FROM:<a@spam.example>")
        s.cmd("RCPT TO:<bob@here.example>", expect="5")
    found = wait_until(lambda: web.get("/v1/trace", outcome="refused").json["messages"], "the refusal", 10)[0]
    assert found["kind"] == "refused" and found["sender"] == "a@spam.example"
    told = web.get("/v1/trace", id=found["id"]).json["messages"][0]
    deciding = next(c for c in told["checks"] if c["outcome"] == "reject")
    assert deciding["check"] == "sender-list" and deciding["option"] == "checks.block.senders" and deciding["line"]
    for fit in ({"check": "sender-list", "result": "reject"}, {"result": "reject"}, {"stage": "mail", "result": "reject"}, {"reason": "sender-list"},
                {"reason": deciding["reason"][:20]}):
        assert [m["id"] for m in web.get("/v1/trace", **fit).json["messages"]] == [found["id"]], fit
    shown = json.loads(relay.command("trace", "--json", "--check", "sender-list", "--result", "reject", "--reason", "sender-list").stdout)
    assert [m["id"] for m in shown["messages"]] == [found["id"]]


def test_rights(relay):
    web = Web(relay)
    for path in ("/v1/trace", "/v1/statistics", "/v1/queue/groups?by=reason", "/v1/own/quarantine"):
        assert web.get(path).status == 401, path
    user = logged_in(relay, "user1", "user", addresses=["bob@here.example"])
    for path in ("/v1/trace", "/v1/statistics", "/v1/queue/groups?by=reason"):
        assert user.get(path).status == 403, path
    assert user.get("/v1/own/quarantine").json["messages"] == []


def test_queue_groups(postern, sink):
    sink.pause()
    relay = serving(postern, domains=[{"name": "here.example", "deliver": sink.hop}], queue={"retry_first": "1h", "retry_max": "2h"})
    web = administrator(relay)
    ids = [queued_id(relay.send(f"user{i}@here.example")) for i in range(5)]

    def waiting():
        a = web.get("/v1/queue/groups", by="reason").json
        return a if a["groups"] and a["groups"][0]["messages"] == 5 and a["groups"][0]["key"] else None
    reasons = wait_until(waiting, lambda: f"{web.get('/v1/queue/groups', by='reason')} {web.get('/v1/queue')}", 20)
    assert reasons["total"] == 5 and reasons["others"] == 0 and reasons["groups"][0]["bytes"] > 0
    destinations = web.get("/v1/queue/groups", by="destination").json
    assert [g["messages"] for g in destinations["groups"]] == [5] and destinations["groups"][0]["oldest"] and destinations["groups"][0]["next_try"]
    listed = web.get("/v1/queue", limit=2, sort="-arrival").json
    assert listed["total"] == 5 and len(listed["messages"]) == 2
    rest = web.get("/v1/queue", limit=10, sort="-arrival", after=listed["messages"][-1]["id"]).json["messages"]
    assert sorted(m["id"] for m in listed["messages"] + rest) == sorted(ids)
    assert [m["id"] for m in web.get("/v1/queue", id=ids[0][2:]).json["messages"]] == [ids[0]]
    assert web.get("/v1/queue/groups").status == 400 and web.get("/v1/queue/groups", by="colour").status == 400
    assert web.get("/v1/queue/groups", by="reason", recipient="user1@here.example").json["total"] == 1
    web.post("/v1/queue/hold", {"recipient": "user1@here.example", "older_than": 0})
    web.post("/v1/queue/hold", {"ids": [*ids, *ids]})
    web.post("/v1/queue/release", {"all": True})
    told = [(e["action"], e["target"], e["detail"], e["outcome"]) for e in reversed(web.get("/v1/audit", action="queue").json["entries"])]
    assert told[:3] == [("queue.hold", "recipient=user1@here.example older_than=0", "1 message", "ok"),
                        ("queue.hold", " ".join(ids) + " and 5 more", "5 messages", "ok"), ("queue.release", "all", "5 messages", "ok")], told
    shown = relay.command("queue", "groups").stdout
    assert "5" in shown and max(map(len, shown.splitlines())) <= 80
    assert json.loads(relay.command("queue", "groups", "--by", "reason", "--json").stdout)["total"] == 5
