# SPDX-License-Identifier: Apache-2.0
"""Rules, through the real port: each condition, each action, their order."""
import re

import pytest

from lib.content import PROGRAM, multipart, parsed, plain, quarantined, spam, texts, told, trace, virus, virus_scanner
from lib.programs import Knot, have
from lib.sink import Sink
from lib.smtp import STRANGER, TRUSTED, Smtp, queued_id
from lib.util import wait_until


def send(relay, text, to="bob@example.com", source=STRANGER, sender="eve@client.example"):
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        return c.message(to, text, sender, expect=None)


# ---- conditions: each rule that holds leaves a field

CONDITIONS = {
    "everything": {},
    "client": {"clients": [STRANGER + "/32"]},
    "other client": {"clients": ["192.0.2.0/24"]},
    "sender": {"senders": [".client.example"]},
    "null sender": {"senders": ["<>"]},
    "recipient": {"recipients": ["ann@example.com", "carl@"]},
    "in": {"direction": ["in"]},
    "out": {"direction": ["out"]},
    "through": {"direction": ["through"]},
    "zone": {"zones": ["lan"]},
    "header": {"headers": [{"name": "subject", "match": "^héllo\\b"}, {"name": "X-Kind", "match": "second"}]},
    "larger": {"larger": "20K"},
    "smaller": {"smaller": "20K"},
    "program": {"attachments": ["executable"]},
    "any file": {"attachments": ["any"]},
    "name": {"attachments": [{"name": "*.TXT", "larger": 20}]},
    "type": {"attachments": [{"type": "application/pdf"}]},
    "spf": {"spf": ["pass"]},
    "spf none": {"spf": ["none"]},
    "dkim": {"dkim": ["none"]},
    "dmarc": {"dmarc": ["none"]},
    "arc": {"arc": ["none"]},
    "spam": {"spam": ["confirmed"]},
    "virus": {"virus": True},
    "two": {"direction": ["in"], "headers": [{"name": "X-Kind", "match": "second"}]},
}


@pytest.fixture(scope="module")
def judge(module_postern, tmp_path_factory):
    if not have("knotd"):
        pytest.skip("knotd is not installed")
    folder, sink = tmp_path_factory.mktemp("rules"), Sink()
    names = Knot(folder / "knot", {"test": 'good TXT "v=spf1 ip4:127.0.0.1 -all"', "example": "client A 127.0.0.1"})
    rules = [{"name": name, **({"if": conditions} if conditions else {}), "then": [{"action": "add_header", "text": f"X-Hit: {name}"}]}
             for name, conditions in CONDITIONS.items()]
    rules.insert(3, {"name": "off", "enabled": False, "then": ["discard"]})
    relay = module_postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, rules=rules, dns={"servers": [names.server]},
                           checks={name: {"enabled": True} for name in ("spf", "dkim", "dmarc", "arc")},
                           spam=spam(folder, action="pass", levels={"quarantine": 50}), scanners=[virus_scanner(folder)], virus={"action": "pass"})
    relay.sink = sink
    yield relay
    names.stop()
    sink.stop()


ALWAYS = {"everything", "smaller", "dkim", "dmarc", "arc"}
IN = ALWAYS | {"client", "in", "spf none"}
TRUSTED_ALWAYS = ALWAYS - {"dkim", "dmarc", "arc"}


@pytest.mark.parametrize("text, envelope, hits", [
    (plain(), {}, IN | {"sender"}),
    (plain(), {"sender": ""}, IN | {"null sender"}),
    (plain(), {"sender": "a@good.test"}, IN - {"spf none"} | {"spf"}),
    (plain(), {"to": ["bob@example.com", "Carl@example.com"]}, IN | {"sender", "recipient"}),
    (plain(extra="X-Kind: first\r\nX-Kind: the\r\n second\r\n"), {}, IN | {"sender", "header", "two"}),
    (plain().replace("Subject: hello", "Subject: =?utf-8?q?H=C3=89LLO?= you"), {}, IN | {"sender", "header"}),
    (plain("a line of text\r\n" * 2000), {}, IN - {"smaller"} | {"sender", "larger"}),
    (multipart(PROGRAM), {}, IN | {"sender", "program", "any file"}),
    (multipart(("a.txt", "text/plain", "short\r\n")), {}, IN | {"sender", "any file"}),
    (multipart(("b.txt", "text/plain", "more than twenty bytes\r\n")), {}, IN | {"sender", "any file", "name"}),
    (multipart(("b.doc", "application/msword", "%PDF-1.4\r\n%\xe2\xe3\r\n1 0 obj\r\n<<>>\r\nendobj\r\n")), {}, IN | {"sender", "any file", "type"}),
    (plain("XHIGHX\r\n"), {}, IN | {"sender", "spam"}),
    (virus("notes.txt"), {}, IN | {"sender", "any file", "name", "virus"}),
    (plain(), {"source": TRUSTED}, TRUSTED_ALWAYS | {"sender", "zone", "through"}),
    (plain(), {"source": TRUSTED, "to": ["far@elsewhere.example"]}, TRUSTED_ALWAYS | {"sender", "zone", "out"}),
], ids=lambda value: type(value).__name__)  # the texts have the time in them, in which workers that collect tests must not differ
def test_conditions(judge, text, envelope, hits):
    judge.sink.messages.clear()
    assert send(judge, text, **envelope).code == 250
    to = envelope.get("to", ["bob@example.com"])
    got = judge.sink.wait_to(to[0] if isinstance(to, list) else to)
    found = re.findall(r"^X-Hit: (.*?)\r$", got.data.decode("latin-1"), re.M)
    assert set(found) == hits
    assert found == [name for name in CONDITIONS if name in hits]  # in the order of the rules


# ---- actions

@pytest.fixture
def make(postern, make_sink):
    def one(*rules, **changes):
        sink = make_sink()
        relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, postmaster="boss@example.com",
                        rules=[{"name": f"rule {i}", **r} for i, r in enumerate(rules)], **changes)
        relay.sink = sink
        return relay
    return one


def about(word):
    return {"headers": [{"name": "X-Do", "match": f"\\b{word}\\b"}]}


def do(word):
    return plain(extra=f"X-Do: {word}\r\n")


def test_ends_of_a_message(make):
    relay = make({"if": about("reject"), "then": [{"action": "reject", "text": "not with us"}]}, {"if": about("refuse"), "then": ["reject"]},
                 {"if": about("defer"), "then": [{"action": "defer", "text": "come again"}]}, {"if": about("discard"), "then": ["discard"]},
                 {"if": about("quarantine"), "then": ["quarantine"]})
    reply = send(relay, do("reject"))
    assert reply.code == 550 and reply.enhanced == "5.7.1" and "not with us" in str(reply)
    assert send(relay, do("refuse")).code == 550
    reply = send(relay, do("defer"))
    assert reply.code == 451 and reply.enhanced == "4.7.1" and "come again" in str(reply)
    reply = send(relay, do("discard"))
    assert reply.code == 250
    wait_until(lambda: trace(relay, queued_id(reply)), "its trace")
    assert trace(relay, queued_id(reply))["rules"]["outcome"] == "discard"
    assert send(relay, do("quarantine")).code == 250
    held = quarantined(relay)[0]
    assert held["kind"] == "rule" and "rule 4" in held["reason"]
    assert send(relay, do("nothing")).code == 250
    relay.sink.wait_to("bob@example.com")
    assert len(relay.sink.messages) == 1


def test_changes_of_a_message(make):
    relay = make({"if": about("change"), "then": [{"action": "tag_subject", "text": "[External] "}, {"action": "add_header", "text": "X-One: 1"},
                                                  {"action": "add_header", "text": "X-Two: 2"}, {"action": "remove_header", "text": "x-gone"},
                                                  {"action": "remove_header", "text": "X-Not-There"}]})
    text = plain(extra="X-Gone: 1\r\nX-Do: change\r\nX-GONE: 2\r\n folded\r\nX-Stays: 3\r\n")
    assert send(relay, text).code == 250
    m = parsed(relay.sink.wait_to("bob@example.com"))
    assert m["Subject"] == "[External] hello" and m["X-One"] == "1" and m["X-Two"] == "2" and m["X-Stays"] == "3"
    assert m["X-Gone"] is None and m["X-Do"] == "change"
    text = text.replace("Subject: hello", "Subject: Re: [External] hello")
    relay.sink.messages.clear()
    assert send(relay, text).code == 250
    assert "External" in parsed(relay.sink.wait_to("bob@example.com"))["Subject"]


def test_recipients(make):
    relay = make({"if": about("redirect"), "then": [{"action": "redirect", "address": "it@example.com"}]},
                 {"if": about("copy"), "then": [{"action": "copy", "address": "archive@elsewhere.example"}]},
                 {"if": about("notify"), "then": [{"action": "notify", "address": "admin@example.com"}]})
    assert send(relay, do("redirect"), to=["bob@example.com", "ann@example.com"]).code == 250
    assert relay.sink.wait_to("it@example.com").rcpts == ["it@example.com"]
    assert not relay.sink.to("bob@example.com")
    assert send(relay, do("copy")).code == 250
    relay.sink.wait_to("archive@elsewhere.example")
    relay.sink.wait_to("bob@example.com")
    assert send(relay, do("notify"), to="ann@example.com").code == 250
    notice = told(relay, "admin@example.com")[0]
    assert notice.sender == "" and b"rule 2" in notice.data
    relay.sink.wait_to("ann@example.com")


def test_strip(make):
    relay = make({"if": {"attachments": ["executable"], **about("some")}, "then": ["strip"]}, {"if": about("all"), "then": ["strip"]})
    files = [PROGRAM, ("a.txt", "text/plain", "a harmless file\r\n")]
    assert send(relay, multipart(*files, extra="X-Do: some\r\n")).code == 250
    m = parsed(relay.sink.wait_to("bob@example.com"))
    whole = "".join(texts(m))
    assert "not really a program" not in whole and "a harmless file" in whole and "first text" in whole and "run me.exe" in whole
    relay.sink.messages.clear()
    assert send(relay, multipart(*files, extra="X-Do: all\r\n")).code == 250
    whole = "".join(texts(parsed(relay.sink.wait_to("bob@example.com"))))
    assert "not really a program" not in whole and "a harmless file" not in whole and "first text" in whole
    relay.sink.messages.clear()
    assert send(relay, plain(extra="X-Do: all\r\n")).code == 250
    assert relay.sink.wait_to("bob@example.com").body == b"some text\r\n"


def test_accept_spares_spam_and_attachments_but_no_virus(make, tmp_path):
    relay = make({"if": about("accept"), "then": ["accept"]}, {"then": [{"action": "add_header", "text": "X-Later: 1"}]}, spam=spam(tmp_path, action="reject"),
                 scanners=[virus_scanner(tmp_path)], attachments={"enabled": True, "action": "reject"})
    assert send(relay, multipart(PROGRAM, text="XHIGHX")).code == 550
    assert send(relay, plain("XHIGHX\r\n")).code == 550
    assert send(relay, multipart(PROGRAM, text="XHIGHX", extra="X-Do: accept\r\n")).code == 250
    got = relay.sink.wait_to("bob@example.com")
    assert b"not really a program" in got.data and b"X-Later" not in got.data
    assert send(relay, virus().replace("MIME-Version", "X-Do: accept\r\nMIME-Version")).code == 550


def test_order_and_stop(make):
    hit = lambda n: {"action": "add_header", "text": f"X-Hit: {n}"}
    relay = make({"then": [hit(0)]}, {"if": about("stop"), "then": [hit(1), "stop"]}, {"enabled": False, "then": ["reject"]}, {"then": [hit(3)]})
    for word, hits in (("stop", [b"0", b"1"]), ("go on", [b"0", b"3"])):
        relay.sink.messages.clear()
        assert send(relay, do(word)).code == 250
        assert re.findall(rb"X-Hit: (.)", relay.sink.wait_to("bob@example.com").data) == hits


def test_header_checks_come_first_and_their_edits_win(make):
    relay = make({"then": [{"action": "remove_header", "text": "X-Do"}, {"action": "remove_header", "text": "X-Other"}]},
                 header_checks=["/^X-Do: (.*)/ REPLACE X-Do: <$1>"])
    assert send(relay, plain(extra="X-Do: it\r\nX-Other: 1\r\n")).code == 250
    got = relay.sink.wait_to("bob@example.com").data
    assert b"X-Do: <it>\r\n" in got and b"X-Other" not in got


def test_patterns_that_never_end(make):
    relay = make({"if": {"headers": [{"name": "X-Do", "match": "^(a+)+$"}]}, "then": ["reject"]}, {"then": [{"action": "add_header", "text": "X-Late: 1"}]},
                 header_checks=["/^X-Do: (a|aa)+$/ REJECT"])
    reply = send(relay, do("a" * 900 + "!"))
    assert reply.code == 250
    assert b"X-Late: 1" in relay.sink.wait_to("bob@example.com").data
    relay.wait_log("rule-limit")
    wait_until(lambda: trace(relay, queued_id(reply)), "its trace")
    assert "takes too long" in trace(relay, queued_id(reply))["rules"]["why"]
