# SPDX-License-Identifier: Apache-2.0
"""Statistics: what real mail leaves in them, over a restart too, and what the command shows."""
import json
import time

import pytest

from lib.smtp import queued_id
from lib.util import wait_until
from lib.web import administrator, serving, wait_web


@pytest.fixture
def relay(postern, sink):
    return serving(postern, domains=[{"name": "here.example", "deliver": sink.hop}], checks={"block": {"senders": ["spam.example"]}})


def refuse(relay):
    with relay.client() as s:
        s.ehlo()
        s.cmd("MAIL FROM:<a@spam.example>")
        s.cmd("RCPT TO:<bob@here.example>", expect="5")


def sums(answer):
    return {k: sum(h[k] for h in answer["hours"]) for k in ("accepted", "delivered", "refused", "deferred", "bounced")}


def test_counts(relay):
    web = administrator(relay)
    for _ in range(3):
        assert queued_id(relay.send("bob@here.example"))
    refuse(relay)
    wanted = {"accepted": 3, "delivered": 3, "refused": 1, "deferred": 0, "bounced": 0}
    counted = wait_until(lambda: (lambda a: a if sums(a) == wanted else None)(web.get("/v1/statistics").json),
                         lambda: web.get("/v1/statistics").text, 20)
    assert counted["step"] == 3600000 and 24 <= len(counted["hours"]) <= 26
    times = [h["time"] for h in counted["hours"]]
    assert times == list(range(times[0], times[-1] + 1, 3600000)) and times[-1] <= time.time() * 1000
    stages = {s["stage"]: {c["check"]: c for c in s["checks"]} for s in counted["stages"]}
    assert list(stages) == ["connect", "helo", "mail", "rcpt", "data", "content"]
    assert stages["mail"]["sender-list"]["reject"] == 1 and stages["rcpt"]["relay"]["seen"] >= 3 and stages["rcpt"]["relay"]["ms"] >= 0
    top = counted["top"]
    assert {"key": "bob@here.example", "n": 4} in top["recipients"] and {"key": "sender@client.example", "n": 3} in top["senders"]
    assert sorted(c["n"] for c in top["clients"]) == [1, 3] and sum(d["n"] for d in top["destinations"]) == 3
    assert top["reasons"] and top["reasons"][0]["n"] == 1 and top["viruses"] == [] and set(counted["other"].values()) == {0}
    reason = top["reasons"][0]["key"]
    assert len(web.get("/v1/trace", reason=reason).json["messages"]) == 1
    assert web.get("/v1/statistics", until=1).json["hours"] == []
    assert web.get("/v1/statistics", since="x").status == 400
    shown = relay.command("statistics").stdout
    assert "sender-list" in shown and "bob@here.example" in shown and max(map(len, shown.splitlines())) <= 80
    assert sums(json.loads(relay.command("statistics", "--since", "2h", "--json").stdout)) == wanted
    relay.stop()
    relay.start()
    wait_web(relay)
    again = wait_until(lambda: (lambda a: a if sums(a) == wanted else None)(administrator(relay, "second").get("/v1/statistics").json), "the same", 20)
    assert again["top"] == top


def test_a_time_of_many_hours_is_told_in_larger_steps(relay):
    """What does not fit between two processes would cost the admin process the store."""
    web = administrator(relay)
    now = int(time.time() * 1000)
    day, hour = 86400000, 3600000
    for since, step in ((now - 90 * day, hour), (now - 400 * day, day), (hour + 1, 49 * day)):
        answer = web.get("/v1/statistics", since=since).json
        assert answer["step"] == step and (now - since) // step <= len(answer["hours"]) <= 2402
        times = [h["time"] for h in answer["hours"]]
        assert times == list(range(times[0], times[-1] + 1, step)) and times[0] <= since and times[-1] <= now < times[-1] + 2 * step
    assert queued_id(relay.send("bob@here.example"))
    wait_until(lambda: sums(web.get("/v1/statistics", since=hour + 1).json)["delivered"] == 1, "counted", 20)
    assert web.get("/v1/trace").status == 200
