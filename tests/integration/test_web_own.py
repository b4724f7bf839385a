# SPDX-License-Identifier: Apache-2.0
"""One's own quarantine: only what is for the account's addresses, only what digests may release, and nothing of the others."""
import pytest

from lib.quarantine import mail, refill
from lib.util import wait_until
from lib.web import administrator, logged_in, on, wait_web


@pytest.fixture
def relay(postern, sink):
    return postern(domains=[{"name": "example.com", "deliver": sink.hop}], web=on())


def held(web, n):
    return wait_until(lambda: (lambda a: a["messages"] if len(a["messages"]) == n else None)(web.get("/v1/own/quarantine").json),
                      lambda: web.get("/v1/own/quarantine").text, 20)


def test_own(relay, sink):
    refill(relay, [mail("bob@example.com", subject="for bob"), mail("ann@example.com", subject="for ann"),
                   mail(["ann@example.com", "Bob@example.com"], subject="for both"), mail("bob@example.com", kind="virus", subject="a virus")])
    wait_web(relay)
    root = administrator(relay)
    everything = wait_until(lambda: (lambda m: m if len(m) == 4 else None)(root.get("/v1/quarantine").json["messages"]), "all to be held", 20)
    ids = {m["subject"]: m["id"] for m in everything}
    bob = logged_in(relay, "bob", "user", addresses=["bob@example.com"])
    mine = {m["subject"]: m for m in held(bob, 2)}
    assert set(mine) == {"for bob", "for both"}
    assert "ann" not in str(mine) and mine["for both"]["recipient_count"] == 1
    one = bob.get(f"/v1/own/quarantine/{ids['for both']}").json["message"]
    assert one["id"] == ids["for both"] and "ann" not in str(one)
    for other in ("for ann", "a virus"):
        assert bob.get(f"/v1/own/quarantine/{ids[other]}").status == 404
        for what in ("release", "delete"):
            answer = bob.post(f"/v1/own/quarantine/{what}", {"ids": [ids[other]]}).json
            assert not answer["done"] and "no message with this id" in answer["failed"][0]["error"], answer
    for path in (f"/v1/quarantine/{ids['for bob']}", "/v1/quarantine", f"/v1/quarantine/{ids['for bob']}/view", f"/v1/quarantine/{ids['for bob']}/raw"):
        assert bob.get(path).status == 403, path
    assert bob.post("/v1/quarantine/release", {"ids": [ids["for bob"]]}).status == 403
    assert bob.post("/v1/own/quarantine/release", {"all": True}).status == 400
    assert bob.post("/v1/own/quarantine/release", {"ids": []}).status == 400

    answer = bob.post("/v1/own/quarantine/release", {"ids": [ids["for both"]]}).json
    assert len(answer["done"]) == 1 and not answer["failed"], answer
    relay.wait_queue_empty()
    assert [m.rcpts for m in sink.messages] == [["Bob@example.com"]]
    answer = bob.post("/v1/own/quarantine/delete", {"ids": [ids["for bob"]]}).json
    assert len(answer["done"]) == 1, answer
    assert bob.get("/v1/own/quarantine").json == {"messages": [], "matched": 0}
    states = {m["subject"]: {r["address"].lower(): r["state"] for r in m["recipients"]} for m in root.get("/v1/quarantine").json["messages"]}
    assert states["for both"] == {"ann@example.com": "held", "bob@example.com": "released"} and states["for ann"] == {"ann@example.com": "held"}
    assert root.get("/v1/own/quarantine").json["messages"] == []  # an administrator without addresses has none
