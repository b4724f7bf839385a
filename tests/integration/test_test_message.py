# SPDX-License-Identifier: Apache-2.0
"""POST /v1/test-message: a message of the relay's own to somebody of its own, whose story says what became of it; and to nobody else."""
import email
import email.policy

import pytest

from lib.util import free_port, wait_until
from lib.web import administrator, logged_in, serving


@pytest.fixture
def relay(postern, sink):
    return serving(postern, postmaster="boss@elsewhere.example", queue={"retry_first": "10m", "retry_max": "1h"}, smarthost=sink.hop,
                   domains=[{"name": "here.example", "deliver": sink.hop}, {"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"}])


def story(web, key, kind):
    def there():
        found = web.get("/v1/trace", id=key).json["messages"]
        return next((e for m in found for e in m.get("events", []) if e["kind"] == kind), None)
    return wait_until(there, lambda: f"{key} to be {kind}: {web.get('/v1/trace', id=key)}", 20)


def test_it_arrives_and_its_story_is_told(relay, sink):
    web = administrator(relay)
    answer = web.post("/v1/test-message", {"to": "bob@here.example"})
    assert answer.status == 200, answer
    key = answer.json["id"]
    event = story(web, key, "delivered")
    assert event["code"] == 250 and event["recipient"] == "bob@here.example"
    told = relay.command("trace", key).stdout
    assert "boss@elsewhere.example" in told and "Test message" in told and "  \n" not in told, told
    found = web.get("/v1/trace", address="bob@here.example").json["messages"]
    assert [(m["id"], m["sender"], m["subject"]) for m in found] == [(key, "boss@elsewhere.example", "Test message")], found
    got = sink.to("bob@here.example")[0]
    text = email.message_from_bytes(got.data, policy=email.policy.default)
    assert got.sender == "boss@elsewhere.example" and text["To"] == "bob@here.example" and text["Auto-Submitted"] == "auto-generated"
    assert key in text["Message-ID"] and key in text.get_content() and "bob@here.example" in text.get_content()
    entry = web.get("/v1/audit").json["entries"]
    assert next(e for e in entry if "test-message" in e["action"])["target"] == "bob@here.example"
    # The postmaster is one's own, too, wherever he is; and a sender of one's own may be named.
    assert web.post("/v1/test-message", {"to": "BOSS@elsewhere.example", "from": "alice@here.example"}).status == 200
    assert sink.wait_to("BOSS@elsewhere.example") and sink.to("BOSS@elsewhere.example")[0].sender == "alice@here.example"


def test_what_the_other_server_said(relay, sink):
    web = administrator(relay)
    sink.on("rcpt", "451 4.7.1 come back later", match="late@here.example")
    sink.on("rcpt", "550 5.1.1 nobody of this name", match="none@here.example")
    later = story(web, web.post("/v1/test-message", {"to": "late@here.example"}).json["id"], "deferred")
    assert later["code"] == 451 and "come back later" in later["text"]
    never = story(web, web.post("/v1/test-message", {"to": "none@here.example"}).json["id"], "bounced")
    assert never["code"] == 550 and "nobody of this name" in never["text"]
    assert story(web, web.post("/v1/test-message", {"to": "bob@dead.example"}).json["id"], "deferred")["text"]


def test_nobody_else_gets_any(relay, sink):
    web = administrator(relay)
    wrong = [{"to": "stranger@other.example"}, {"to": "x@here.example.other.example"}, {"to": "bob"}, {"to": ""}, {"to": "<>"}, {"to": "postmaster"},
             {"to": "bob@here.example", "from": "stranger@other.example"}, {"to": "bob@here.example", "from": "<>"}, {},
             {"to": "bob@here.example\r\nRCPT TO:<stranger@other.example>"}, {"to": "bob@here.example, stranger@other.example"},
             {"to": "bob@here.example>\r\nBcc: <stranger@other.example"}, {"to": "@other.example:bob@here.example"},
             {"to": ["bob@here.example"]}, {"to": "b" * 300 + "@here.example"}, {"to": "bob@here.example", "text": "buy"}]
    for body in wrong:
        assert web.post("/v1/test-message", body).status == 400, body
    assert logged_in(relay, "oscar", "operator").post("/v1/test-message", {"to": "bob@here.example"}).status == 403
    assert not sink.messages and not relay.queue()
