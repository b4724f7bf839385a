# SPDX-License-Identifier: Apache-2.0
"""Copies of messages for others: who gets them, and that neither the recipients nor the sender ever notice."""
import pytest

from lib.content import plain, quarantined
from lib.daemon import postern as postern_command
from lib.smtp import STRANGER, TRUSTED, Smtp, queued_id
from lib.util import wait_until


@pytest.fixture
def make(postern, make_sink):
    def one(*copies, **changes):
        inside, outside, back, archive = make_sink(), make_sink(), make_sink(), make_sink()
        archive.extensions.append("DSN")
        relay = postern(**{"domains": [{"name": "example.com", "deliver": inside.hop}, {"name": "archive.test", "deliver": archive.hop}],
                           "routes": [{"to": "client.example", "via": back.hop}], "smarthost": outside.hop, "postmaster": "boss@example.com",
                           "main_domain": "main.example", "copies": list(copies), **changes})
        relay.inside, relay.outside, relay.back, relay.archive = inside, outside, back, archive
        return relay
    return one


def send(relay, to, sender="sender@client.example", source=STRANGER, text="Subject: test\n\ntext\n", rcpt=""):
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail(sender)
        for one in [to] if isinstance(to, str) else to:
            c.cmd(f"RCPT TO:<{one}> {rcpt}".rstrip(), 250)
        return c.data(text)


def copied(relay, *args, **kw):
    """Who got copies of this one; the recipients have it in any case."""
    for sink in (relay.inside, relay.outside, relay.archive):
        sink.messages.clear()
    to = args[0] if isinstance(args[0], list) else [args[0]]
    send(relay, *args, **kw)
    relay.wait_queue_empty()
    got = [r for sink in (relay.inside, relay.outside, relay.archive) for m in sink.messages for r in m.rcpts]
    assert all(got.count(r) == 1 for r in to), (got, relay.log_tail())
    return sorted(r for r in got if r not in to)


# ---- who gets them

def test_which_messages(make):
    relay = make({"to": "always@archive.test"}, {"to": "in@archive.test", "mail": "incoming"}, {"to": "out@archive.test", "mail": "outgoing"},
                 {"to": "ceo@archive.test", "senders": ["ceo@client.example"]}, {"to": "elsewhere@archive.test", "recipients": [".out.test"]},
                 {"to": "both@archive.test", "senders": ["ceo@client.example"], "recipients": ["anna@example.com"]},
                 {"to": "off@archive.test", "enabled": False}, {"to": "null@archive.test", "senders": ["<>"]})
    assert copied(relay, "anna@example.com") == ["always@archive.test", "in@archive.test"]
    assert copied(relay, "x@out.test", source=TRUSTED) == ["always@archive.test", "elsewhere@archive.test", "out@archive.test"]
    assert copied(relay, "anna@example.com", "ceo@client.example") == ["always@archive.test", "both@archive.test", "ceo@archive.test", "in@archive.test"]
    assert copied(relay, ["anna@example.com", "y@deep.out.test"], "ceo@client.example", TRUSTED) == [
        "always@archive.test", "both@archive.test", "ceo@archive.test", "elsewhere@archive.test", "out@archive.test"]
    assert copied(relay, "anna@example.com", "") == ["always@archive.test", "in@archive.test", "null@archive.test"]


def test_never_twice_and_not_to_a_recipient(make):
    relay = make({"to": "copy@archive.test"}, {"to": "COPY@archive.test", "mail": "incoming"}, {"to": "anna@example.com"},
                 aliases=[{"name": "sales@example.com", "to": ["anna@example.com", "bert@example.com"]}])
    assert copied(relay, ["anna@example.com"]) == ["copy@archive.test"]
    assert copied(relay, ["copy@archive.test", "bert@example.com"]) == ["anna@example.com"]
    relay.inside.messages.clear()
    send(relay, "sales@example.com")
    relay.wait_queue_empty()
    assert sorted(r for m in relay.inside.messages for r in m.rcpts) == ["anna@example.com", "bert@example.com"]


def test_what_comes_with_them(make):
    """They say nobody whom the sender did not write, and ask never to be reported on."""
    relay = make({"to": "copy@archive.test"})
    reply = send(relay, "anna@example.com", rcpt="NOTIFY=SUCCESS,FAILURE")
    m = relay.archive.wait_to("copy@archive.test")
    assert m.sender == "sender@client.example" and b"for <anna@example.com>" in m.header and b"copy@archive.test" not in m.header
    assert any(c.startswith("RCPT TO:<copy@archive.test> NOTIFY=NEVER") for s in relay.archive.sessions for c in s.commands)
    assert b"copy" not in relay.inside.wait_to("anna@example.com").header
    relay.wait_queue_empty()
    accepted = relay.wait_log(rf"accepted id={queued_id(reply)} .*")[0]
    assert "recipients=1 " in accepted and "became=2" in accepted
    assert "copy@archive.test" in relay.command("trace", queued_id(reply), check=None).stdout
    assert len(relay.back.messages) == 1 and b"copy@archive.test" not in relay.back.messages[0].data  # relayed, of the recipient alone


def test_to_a_server_that_cannot_be_asked_for_silence(make):
    """Without DSN there would be a bounce for the sender when it finds nobody: it gets no address to send that to."""
    relay = make({"to": "copy@archive.test"})
    relay.archive.extensions.remove("DSN")
    send(relay, "anna@example.com")
    assert relay.archive.wait_to("copy@archive.test").sender == ""
    assert relay.inside.wait_to("anna@example.com").sender == "sender@client.example"


def test_to_an_alias(make):
    relay = make({"to": "auditors@main.example"}, aliases=[{"name": "auditors", "to": ["one@archive.test", "two@archive.test", "anna@example.com"]}])
    assert copied(relay, "anna@example.com") == ["one@archive.test", "two@archive.test"]
    assert copied(relay, "bert@example.com") == ["anna@example.com", "one@archive.test", "two@archive.test"]


def test_by_rules(make):
    """The same of copies that rules make, and of a rule that leads to an alias."""
    rules = [{"name": "copy", "if": {"headers": [{"name": "X-Do", "match": "copy"}]}, "then": [{"action": "copy", "address": "auditors@main.example"}]},
             {"name": "redirect", "if": {"headers": [{"name": "X-Do", "match": "redirect"}]}, "then": [{"action": "redirect", "address": "staff@main.example"}]}]
    relay = make(rules=rules, aliases=[{"name": "auditors", "to": ["one@archive.test", "two@archive.test"]},
                                       {"name": "staff", "to": ["carl@example.com", "dora@example.com"]}])
    relay.archive.on("rcpt", "550 5.1.1 no", match="two@")
    reply = send(relay, "anna@example.com", text=plain(extra="X-Do: copy\r\n"))
    assert b"for <anna@example.com>" in relay.archive.wait_to("one@archive.test").header
    relay.inside.wait_to("anna@example.com")
    relay.wait_log(rf"copy-failed id={queued_id(reply)} .*two@archive.test")
    relay.inside.wait_to("boss@example.com")
    relay.wait_queue_empty()
    assert not relay.back.messages
    relay.inside.messages.clear()
    relay.inside.on("rcpt", "550 5.1.1 no", match="dora@")
    send(relay, "anna@example.com", text=plain(extra="X-Do: redirect\r\n"))
    m = relay.inside.wait_to("carl@example.com")
    assert b"\tfor <" not in m.header
    bounce = relay.back.wait_to("sender@client.example")
    assert b"Final-Recipient: rfc822; dora@example.com" in bounce.data and b"Original-Recipient: rfc822; staff@main.example" in bounce.data
    assert not relay.inside.to("anna@example.com")


def test_notices_do_not_name_it(make):
    """Nor is he who gets it told of what was found, as a recipient is."""
    relay = make(rules=[{"name": "both", "if": {"headers": [{"name": "X-Do", "match": "both"}]},
                         "then": [{"action": "copy", "address": "one@archive.test"}, {"action": "notify", "address": "it@example.com"}]}])
    send(relay, "anna@example.com", text=plain(extra="X-Do: both\r\n"))
    relay.archive.wait_to("one@archive.test")
    notice = relay.inside.wait_to("it@example.com")
    assert b"anna@example.com" in notice.data and b"archive.test" not in notice.data


# ---- what becomes of the original

def test_a_copy_that_is_refused(make):
    relay = make({"to": "copy@archive.test"})
    relay.archive.on("rcpt", "550 5.1.1 no such user")
    reply = send(relay, "anna@example.com", rcpt="NOTIFY=FAILURE,DELAY")
    relay.inside.wait_to("anna@example.com")
    notice = relay.inside.wait_to("boss@example.com")
    assert b"copy@archive.test" in notice.data and notice.sender == ""
    assert "told=postmaster" in relay.wait_log(rf"copy-failed id={queued_id(reply)} .*")[0]
    relay.wait_queue_empty()
    assert not relay.back.messages


def test_at_the_same_server(make):
    """One next hop for both. Whatever it says to the copy, it does not say it to the recipients: that is a transaction of its own."""
    relay = make({"to": "copy@example.com"})
    relay.inside.on("text", lambda session, text: "554 5.7.1 not that one" if "copy@example.com" in session.rcpts else None)
    send(relay, ["anna@example.com", "bert@example.com"])
    relay.inside.wait_to("anna@example.com")
    relay.wait_log("copy-failed")
    relay.wait_queue_empty()
    assert relay.inside.to("anna@example.com")[0].rcpts == ["anna@example.com", "bert@example.com"] and not relay.back.messages
    relay.inside.clear()
    relay.inside.on("rcpt", "550 5.7.1 not that one", match="copy@")
    send(relay, "anna@example.com")
    assert relay.inside.wait_to("anna@example.com").rcpts == ["anna@example.com"]
    relay.wait_queue_empty()
    assert not relay.back.messages


def test_the_original_fails_and_the_copy_does_not(make):
    relay = make({"to": "copy@archive.test"})
    relay.inside.on("rcpt", "550 5.1.1 no such user", match="anna@")
    send(relay, "anna@example.com")
    relay.archive.wait_to("copy@archive.test")
    bounce = relay.back.wait_to("sender@client.example")
    assert b"copy@archive.test" not in bounce.data and not relay.inside.to("boss@example.com")
    relay.wait_queue_empty()


def test_both_fail(make):
    relay = make({"to": "copy@archive.test"})
    relay.inside.on("rcpt", "550 5.1.1 no such user", match="anna@")
    relay.archive.on("rcpt", "550 5.1.1 no such user")
    send(relay, "anna@example.com")
    bounce, notice = relay.back.wait_to("sender@client.example"), relay.inside.wait_to("boss@example.com")
    assert b"copy@archive.test" not in bounce.data and b"copy@archive.test" in notice.data and b"anna@example.com" not in notice.data.split(b"text/rfc822-headers")[0]
    relay.wait_queue_empty()
    assert len(relay.back.messages) == 1 and len(relay.inside.messages) == 1


@pytest.mark.slow
def test_while_its_server_is_down(make):
    """It waits for it, and nobody is warned."""
    relay = make({"to": "copy@archive.test"}, queue={"delay_warning": "2s", "lifetime": "10s"})
    relay.archive.pause()
    send(relay, "anna@example.com", rcpt="NOTIFY=SUCCESS,FAILURE,DELAY")
    relay.inside.wait_to("anna@example.com")
    relay.back.wait_to("sender@client.example")  # relayed
    relay.wait_log("copy-failed", 40)
    relay.inside.wait_to("boss@example.com")
    relay.wait_queue_empty()
    assert len(relay.back.messages) == 1 and b"Action: relayed" in relay.back.messages[0].data


def test_notices_are_bounded(make):
    relay = make({"to": "copy@archive.test"})
    relay.archive.on("rcpt", "550 5.1.1 no such user")
    with Smtp(relay.port) as c:
        c.ehlo()
        for _ in range(25):
            c.message("anna@example.com")
    wait_until(lambda: relay.log().count(" copy-failed ") == 25, lambda: relay.log_tail())
    relay.wait_queue_empty()
    assert len(relay.inside.to("boss@example.com")) == 20 and relay.log().count("told=nobody") == 5


def test_our_own_mail_is_not_copied(make):
    relay = make({"to": "copy@archive.test"})
    relay.inside.on("rcpt", "550 5.1.1 no such user", match="nobody@")
    relay.send("nobody@example.com")
    relay.back.wait_to("sender@client.example")
    relay.wait_queue_empty()
    assert len(relay.archive.messages) == 1 and relay.archive.messages[0].sender == "sender@client.example"


def test_what_its_server_cannot_have(make):
    """Nobody is refused for the sake of a copy."""
    relay = make({"to": "copy@archive.test"})
    relay.archive.extensions[:] = ["SIZE 100"]
    for _ in range(2):  # the second time it is known
        reply = send(relay, "anna@example.com", text="Subject: large\n\n" + "x" * 70 + "\n" + "y" * 70 + "\n")
        relay.wait_log(rf"copy-failed id={queued_id(reply)} ")
    relay.wait_queue_empty()
    assert len(relay.inside.to("anna@example.com")) == 2 and not relay.back.messages


# ---- held and released

def rules(action):
    return [{"name": action, "if": {"headers": [{"name": "X-Do", "match": action}]}, "then": [action]}]


def test_quarantined_and_released(make):
    relay = make({"to": "copy@archive.test"}, rules=rules("quarantine"))
    send(relay, ["anna@example.com", "bert@example.com"], text=plain(extra="X-Do: quarantine\r\n"))
    held = quarantined(relay)[0]
    assert [r["address"] for r in held["recipients"]] == ["anna@example.com", "bert@example.com"]
    assert not relay.archive.messages
    relay.command("quarantine", "release", held["id"], "--to", "bert@example.com")
    relay.inside.wait_to("bert@example.com")
    relay.archive.wait_to("copy@archive.test")
    relay.command("quarantine", "release", held["id"])
    relay.inside.wait_to("anna@example.com")
    relay.wait_queue_empty()
    assert len(relay.archive.messages) == 1 and len(relay.inside.messages) == 2 and not relay.back.messages


def test_released_as_a_whole(make):
    relay = make({"to": "copy@archive.test"}, rules=rules("quarantine"), aliases=[{"name": "sales", "to": ["anna@example.com", "bert@example.com"]}])
    send(relay, "sales@main.example", text=plain(extra="X-Do: quarantine\r\n"), rcpt="NOTIFY=SUCCESS")
    held = quarantined(relay)[0]
    assert [r["address"] for r in held["recipients"]] == ["anna@example.com", "bert@example.com"] and not relay.back.messages
    relay.command("quarantine", "release", held["id"])
    relay.archive.wait_to("copy@archive.test")
    relay.inside.wait_to("anna@example.com")
    assert b"Action: expanded" in relay.back.wait_to("sender@client.example").data


def test_held_in_the_queue(make, tmp_path):
    (tmp_path / "checks").write_text("/^X-Do: hold/ HOLD\n")
    relay = make({"to": "copy@archive.test"}, header_checks=[{"file": str(tmp_path / "checks")}])
    reply = send(relay, "anna@example.com", text=plain(extra="X-Do: hold\r\n"))
    relay.wait_queued(1)
    shown = relay.command("queue", "show", queued_id(reply)).stdout
    assert "copy@archive.test" in shown and "copy" in shown.split("copy@archive.test")[1]
    assert "<copy@archive.test> (copy)" in postern_command("spool", "dump", relay.folder / "data/spool/0", check=0).stdout
    relay.command("queue", "release", queued_id(reply))
    relay.archive.wait_to("copy@archive.test")
    relay.inside.wait_to("anna@example.com")
    relay.wait_queue_empty()


def test_a_copy_of_a_copy(make):
    """What comes back from the archive is a message like any other; of copies no copies are made."""
    relay = make({"to": "one@archive.test"}, {"to": "two@archive.test", "recipients": ["one@archive.test"]})
    assert copied(relay, "anna@example.com") == ["one@archive.test"]
    assert copied(relay, "one@archive.test") == ["two@archive.test"]


def test_out_of_the_house(make, tmp_path):
    """To an archive elsewhere the sender is rewritten as in forwarded mail."""
    secrets = tmp_path / "secrets"
    secrets.write_text("a-secret-of-24-characters\n")
    secrets.chmod(0o600)
    relay = make({"to": "copy@far.test"}, srs={"domain": "srs.example", "secrets_file": str(secrets)})
    relay.outside.extensions.append("DSN")
    send(relay, "anna@example.com")
    assert relay.outside.wait_to("copy@far.test").sender.startswith("SRS0=")
    assert relay.inside.wait_to("anna@example.com").sender == "sender@client.example"


def test_an_alias_that_nobody_knows_yet(make, tmp_path):
    """A broken table does not hold up the message: the copy goes to its address as it is."""
    table = tmp_path / "groups"
    table.write_text("auditors@archive.test  other@archive.test\nother@archive.test  auditors@archive.test\n")
    relay = make({"to": "auditors@archive.test"}, tables={"groups": {"type": "exact", "file": str(table)}}, aliases=[{"table": "groups"}])
    assert copied(relay, "anna@example.com") == ["auditors@archive.test"]
    relay.wait_log("copy-not-expanded .*auditors@archive.test")
