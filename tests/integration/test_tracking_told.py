# SPDX-License-Identifier: Apache-2.0
"""What stands in the history beside checks and deliveries: what people do to the queue and by whom, and refusals that are no check's."""
import re
import time

import pytest

from lib.sink import Delay
from lib.smtp import queued_id
from lib.util import free_port, wait_until
from lib.web import administrator, logged_in, serving, story

BULK = 2000


def kinds(told):
    return [(e["kind"], e.get("text", "")) for e in told.get("events", []) if e["kind"] in ("held", "resumed", "deleted")]


@pytest.fixture
def waiting(postern):
    return serving(postern, domains=[{"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"}], queue={"retry_first": "1h", "retry_max": "1h"})


def test_done_to_the_queue(waiting):
    web, anna = administrator(waiting), logged_in(waiting, "anna")
    key = queued_id(waiting.send("a@dead.example"))
    wait_until(lambda: [m["state"] for m in waiting.queue()] == ["deferred"], "it waits", 20)
    assert anna.post("/v1/queue/hold", {"ids": [key]}).json["matched"] == 1
    assert anna.post("/v1/queue/hold", {"ids": [key]}).status == 200  # it is held already: nothing happens
    told = story(web, key, lambda m: m["state"] == "held")
    assert kinds(told) == [("held", "by anna")]
    assert [m["id"] for m in web.get("/v1/trace", outcome="held").json["messages"]] == [key]
    waiting.command("queue", "release", key)
    told = story(web, key, lambda m: len(kinds(m)) == 2)
    assert kinds(told)[1] == ("resumed", "by uid 0") and told["state"] == "deferred"
    assert anna.post("/v1/queue/delete", {"ids": [key], "by": "ben"}).status == 400
    assert anna.post("/v1/queue/delete", {"ids": [key]}).status == 200
    told = story(web, key, lambda m: m["state"] == "deleted")
    assert kinds(told) == [("held", "by anna"), ("resumed", "by uid 0"), ("deleted", "by anna")]
    shown = waiting.command("trace", key).stdout
    assert re.search(r"held.*by anna", shown) and re.search(r"deleted.*by anna", shown), shown
    assert re.search(rf" deleted .*id={key} by=anna", waiting.log())
    hour = web.get("/v1/statistics").json
    assert sum(h["held"] for h in hour["hours"]) == 1 and sum(h["resumed"] for h in hour["hours"]) == 1
    assert not [r for r in hour["top"]["reasons"] if "anna" in r["key"]]


@pytest.mark.slow
def test_who_deletes_what_is_under_way(postern, sink):
    """It is told when the attempt is over, in the log as well."""
    sink.on("rcpt", Delay(3, "451 4.2.0 not now"))
    relay = postern(domains=[{"name": "here.example", "deliver": sink.hop}])
    key = queued_id(relay.send("a@here.example"))
    sink.wait_command("RCPT")
    relay.command("queue", "delete", key)
    relay.wait_log(f' deleted id={key} by="uid 0"')
    relay.wait_queue_empty()


@pytest.mark.slow
def test_many_at_once(waiting):
    web = administrator(waiting)
    with waiting.trusted() as c:
        c.ehlo()
        for i in range(BULK):
            c.message(f"n{i}@dead.example")
            if i % 50 == 49:
                c.quit()
                c.__init__(waiting.port, source=c.sock.getsockname()[0])
                c.ehlo()
    wait_until(lambda: web.get("/v1/queue", limit=1).json["total"] == BULK, "all of them to wait", 60)
    for verb, word in (("hold", "held"), ("release", "resumed"), ("delete", "deleted")):
        began = time.monotonic()
        assert web.post(f"/v1/queue/{verb}", {"all": True}).json["matched"] == BULK
        assert time.monotonic() - began < 20, verb
        wait_until(lambda: sum(h[word] for h in web.get("/v1/statistics").json["hours"]) == BULK, word, 30)
    assert "store-lost" not in waiting.log()


# ---- refusals that are no check's

@pytest.fixture
def relay(postern, sink):
    return serving(postern, domains=[{"name": "here.example", "deliver": sink.hop}], limits={"message_size": "64K", "errors": 1000})


def reference(reply):
    return re.search(r"\(ref ([0-9a-z]{13})\)", reply.text)[1]


def told_as(web, reply, code, sender, recipients=()):
    told = story(web, reference(reply), lambda m: m["kind"] == "refused")
    assert told["code"] == code and told["sender"] == sender and told["state"] == "refused" and reference(reply) in told["text"], told
    assert told.get("recipients", []) == list(recipients) and told["client"] and told["session"]
    return told


def test_refused_at_mail_and_rcpt(relay):
    web = administrator(relay)
    with relay.trusted() as c:
        c.ehlo()
        told_as(web, c.mail("a@big.example", "SIZE=1000000", 552), 552, "a@big.example")
        told_as(web, c.mail("a@odd.example", "ODD=1", 555), 555, "a@odd.example")
        told_as(web, c.mail("a@bad.example", "SIZE=x", 501), 501, "a@bad.example")
        assert "ref" not in c.cmd("MAIL FROM:nonsense", 501).text  # no sender is known
        c.mail("a@rcpt.example")
        told_as(web, c.cmd("RCPT TO:<b@here.example> ODD=1", 555), 555, "a@rcpt.example", ["b@here.example"])
        told_as(web, c.cmd("RCPT TO:<nonsense", 501), 501, "a@rcpt.example")
        assert "ref" not in c.cmd("MAIL FROM:<again@rcpt.example>", 503).text


def test_refused_after_the_text(relay):
    web = administrator(relay)
    with relay.trusted() as c:
        c.ehlo()
        c.mail("a@big.example")
        c.rcpt("b@here.example")
        reply = c.data("Subject: big\n\n" + ("x" * 70 + "\n") * 1200, 552)
        assert told_as(web, reply, 552, "a@big.example", ["b@here.example"])["subject"] == "big"
        c.mail("a@bare.example")
        c.rcpt("b@here.example")
        c.cmd("DATA", 354)
        c.send(b"Subject: bare\r\n\r\none\n.\ntwo\r\n.\r\n")
        told_as(web, c.reply(550), 550, "a@bare.example", ["b@here.example"])
        c.expect_closed()
    assert sum(h["refused"] for h in web.get("/v1/statistics").json["hours"]) == 2


def test_refused_by_a_full_disk(postern, sink):
    full = serving(postern, domains=[{"name": "here.example", "deliver": sink.hop}], queue={"free_space": "90%"})
    with full.trusted() as c:
        c.ehlo()
        reply = c.mail("a@late.example", expect=None)
        if reply.code == 250:
            pytest.skip("the disk is nearly empty")
        told_as(administrator(full), reply, 452, "a@late.example")


def test_a_flood_is_bounded(relay):
    web = administrator(relay)
    with relay.trusted() as c:
        c.ehlo()
        for _ in range(5):
            same = c.mail("a@same.example", "SIZE=1000000", 552)
        assert "ref" not in same.text
        for i in range(200):
            last = c.mail(f"a{i}@flood.example", "SIZE=1000000", 552)
        assert "ref" not in last.text
    assert relay.send("b@here.example").code == 250
    hours = wait_until(lambda: (lambda h: h if sum(one["accepted"] for one in h) else None)(web.get("/v1/statistics").json["hours"]), "what came behind them", 10)
    assert 60 <= sum(h["refused"] for h in hours) <= 120  # a minute may have begun meanwhile
