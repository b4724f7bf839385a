# SPDX-License-Identifier: Apache-2.0
"""Aliases, groups and mapped domains, through the port to real next hops: who gets a message, once; what the sender hears of it, and of whom."""
import email
import json
import re
import time

import pytest

from lib.smtp import STRANGER, TRUSTED, Smtp, queued_id
from lib.util import wait_until

SECRET = "a-secret-of-24-characters"
# One next hop for all that is inside, one for what is outside, one that takes what goes back to senders.
ALIASES = [{"name": "sales", "to": ["anna", "bert@example.com"]},
           {"name": "all@example.com", "to": ["sales", "carl@example.com", "office@out.test"]},
           {"name": "info@example.com", "to": ["anna@example.com", "info@example.com"]},
           {"name": "help@example.com", "to": ["anna@example.com"], "keep": True},
           {"name": "away@example.com", "to": ["office@out.test"]},
           {"name": "far@example.com", "to": ["one@out.test", "two@out.test", "near@example.com"]},
           {"name": "hostmaster@", "to": ["carl@example.com"]}]


@pytest.fixture
def make(postern, make_sink, tmp_path):
    def one(**changes):
        inside, outside, back = make_sink(), make_sink(), make_sink()
        secrets = tmp_path / "secrets"
        secrets.write_text(SECRET + "\n")
        secrets.chmod(0o600)
        relay = postern(**{"main_domain": "main.example",
                           "domains": [{"name": "example.com", "deliver": inside.hop}],
                           "mappings": [{"from": "old.example", "to": "example.com"}],
                           "aliases": ALIASES,
                           "routes": [{"to": "client.example", "via": back.hop}, {"to": "main.example", "via": inside.hop}], "smarthost": outside.hop,
                           "postmaster": "boss@example.com",
                           "srs": {"domain": "srs.example", "secrets_file": str(secrets)}, **changes})
        relay.inside, relay.outside, relay.back = inside, outside, back
        return relay
    return one


@pytest.fixture
def relay(make):
    return make()


def stranger(relay, to, text="Subject: test\n\ntext\n", sender="sender@client.example", mail="", rcpt="", expect=250, source=STRANGER):
    """One message; returns the reply to its text."""
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail(sender, mail)
        for one in [to] if isinstance(to, str) else to:
            c.cmd(f"RCPT TO:<{one}> {rcpt}".rstrip(), 250)
        return c.data(text, expect)


def got(*sinks):
    """Who has it, and how often."""
    return sorted(rcpt for sink in sinks for m in sink.messages for rcpt in m.rcpts)


def delivered(relay, *expected):
    relay.wait_queue_empty()
    assert got(relay.inside, relay.outside) == sorted(expected), relay.log_tail()


def report_of(message):
    parsed = email.message_from_bytes(message.data)
    assert parsed.get_content_type() == "multipart/report" and message.sender == ""
    status = parsed.get_payload(1).get_payload()
    return parsed, status[0], status[1:]


# ---- who gets it

def test_a_group_with_members_inside_and_outside(relay):
    reply = stranger(relay, "all@example.com")
    delivered(relay, "anna@main.example", "bert@example.com", "carl@example.com", "office@out.test")
    accepted = relay.wait_log(rf"accepted id={queued_id(reply)} .*")[0]
    assert "recipients=1 " in accepted and "became=4" in accepted and "to=all@example.com" in accepted
    for m in relay.inside.messages + relay.outside.messages:
        assert b"for <all@example.com>" in m.header and not re.search(rb"anna@|bert@|carl@|office@", m.header)
    shown = json.loads(relay.command("trace", "--json", queued_id(reply), check=None).stdout)["messages"][0]
    assert shown["state"] == "delivered" and "bert@example.com" in json.dumps(shown)


def test_found_by_what_was_written(make):
    """In the history, the log and the queue: by the group as well as by its members; copies are told as copies."""
    relay = make(copies=[{"to": "archive@example.com"}])
    relay.inside.on("rcpt", "450 4.2.1 busy", match="carl")
    story = queued_id(stranger(relay, "all@example.com"))
    relay.wait_log(r"delivered .*to=anna@main\.example .* for=all@example\.com")
    relay.wait_log(r"deferred .*to=carl@example\.com .* for=all@example\.com")
    relay.wait_log(r"delivered .*to=archive@example\.com (?!.*for=)")
    for query in ("all@example.com", "carl@example.com", "archive@example.com"):
        wait_until(lambda: "for all@" in relay.command("trace", "--recipient", query, check=None).stdout, lambda: query)
        told = relay.command("trace", "--recipient", query, check=None).stdout
        assert story in told and "written to  all@example.com" in told and "archive@example.com (copy)" in told, told
    assert re.search(r"delivered anna@main\.example \(for all@example\.com\)", told) and re.search(r"delivered archive@example\.com \(copy\)", told), told
    listed = relay.command("queue", "list").stdout
    assert re.search(r"> all@\S+ +\+4", listed) or "> all@example" in listed, listed
    shown = relay.command("queue", "show", story).stdout
    assert "carl@example.com (for all@example.com)" in shown and re.search("archive@example.com .*copy", shown) and "rfc822" not in shown, shown


def test_one_at_a_time(relay):
    for to, members in (("sales@main.example", ["anna@main.example", "bert@example.com"]),
                        ("sales@mx.postern.example", ["anna@main.example", "bert@example.com"]),
                        ("info@example.com", ["anna@example.com", "info@example.com"]),
                        ("help@example.com", ["anna@example.com", "help@example.com"]),
                        ("hostmaster@old.example", ["carl@example.com"]),
                        ("dora@old.example", ["dora@example.com"]),
                        ("info@OLD.example", ["anna@example.com", "info@example.com"]),
                        ("nobody.special@example.com", ["nobody.special@example.com"])):
        relay.inside.messages.clear()
        relay.outside.messages.clear()
        stranger(relay, to, source=TRUSTED if "mx.postern" in to else STRANGER)
        delivered(relay, *members)


def test_members_in_common_get_it_once(relay):
    stranger(relay, ["all@example.com", "sales@main.example", "info@example.com", "BERT@example.com", "anna@old.example"])
    delivered(relay, "anna@main.example", "bert@example.com", "carl@example.com", "office@out.test", "anna@example.com", "info@example.com")


def test_spelling_of_those_who_were_written(relay):
    """Two that the client names are two, whatever their case; one that comes by an alias as well is the one he named."""
    stranger(relay, ["Kurt@example.com", "kurt@example.com", "Carl@example.com", "hostmaster@example.com"])
    delivered(relay, "Kurt@example.com", "kurt@example.com", "Carl@example.com")


def test_from_a_table(make, tmp_path):
    table = tmp_path / "groups"
    table.write_text("team  anna@example.com, \"b b\"@example.com,away@example.com\n")
    relay = make(tables={"groups": {"type": "exact", "file": str(table)}}, aliases=[*ALIASES, {"table": "groups"}])
    wait_until(lambda: relay.client().__enter__().cmd("EHLO a").code == 250, "the relay")
    stranger(relay, "team@main.example")
    delivered(relay, "anna@example.com", '"b b"@example.com', "office@out.test")


def test_a_thousand_members(make, tmp_path):
    table = tmp_path / "groups"
    table.write_text("".join(f"{name}@example.com  " + ", ".join(f"u{i}@example.com" for i in range(1000)) + "\n" for name in ("one", "two"))
                     + "".join(f"g{k}@example.com  " + ", ".join(f"m{k}-{i}@example.com" for i in range(1000)) + "\n" for k in range(11)))
    relay = make(tables={"groups": {"type": "exact", "file": str(table)}}, aliases=[{"table": "groups"}])
    before = time.monotonic()
    reply = stranger(relay, ["one@example.com", "two@example.com", "u1@example.com"])
    assert time.monotonic() - before < 10
    relay.wait_queue_empty(60)
    assert sorted(got(relay.inside)) == sorted(f"u{i}@example.com" for i in range(1000))
    assert "became=1000" in relay.wait_log(rf"accepted id={queued_id(reply)} .*")[0]
    with Smtp(relay.port) as c:  # the eleventh is for another message
        c.ehlo()
        c.mail()
        for k in range(10):
            c.rcpt(f"g{k}@example.com")
        reply = c.rcpt("g10@example.com", 452)
        assert reply.enhanced == "4.5.3"
        c.rcpt("u1@example.com", 452)
        c.cmd("RSET", 250)
        c.message("g10@example.com")


@pytest.mark.slow
def test_what_changed_before_the_end(make, tmp_path):
    """A table that is broken between RCPT and the end of the text: nothing is taken, and nothing half of it."""
    table = tmp_path / "groups"
    table.write_text("team  anna@example.com\n")
    relay = make(tables={"groups": {"type": "exact", "file": str(table)}}, aliases=[{"table": "groups"}])
    with Smtp(relay.port) as c:
        c.ehlo()
        c.mail()
        c.rcpt("team@main.example")
        table.write_text("team  other\nother  team\n")
        time.sleep(3)
        reply = c.data("Subject: x\n\ny\n", None)
        assert reply.code == 451 and reply.enhanced == "4.3.5", reply
        assert not relay.queue() and not relay.inside.messages
        table.write_text("team  bert@example.com\n")
        time.sleep(3)
        c.message("team@main.example")
    delivered(relay, "bert@example.com")


# ---- what the sender hears

def test_a_member_that_fails(relay):
    """One bounce, of that one alone; the others have it, once."""
    relay.inside.on("rcpt", "550 5.1.1 no such user", match="bert@")
    stranger(relay, "all@example.com")
    relay.wait_queue_empty()
    assert got(relay.inside, relay.outside) == ["anna@main.example", "carl@example.com", "office@out.test"]
    assert len(relay.back.messages) == 1
    parsed, _, rcpts = report_of(relay.back.messages[0])
    assert len(rcpts) == 1
    assert rcpts[0]["Original-Recipient"] == "rfc822; all@example.com"
    assert rcpts[0]["Final-Recipient"] == "rfc822; bert@example.com" and rcpts[0]["Action"] == "failed"
    people = parsed.get_payload(0).get_payload()
    assert "bert@example.com" in people and "all@example.com" in people and "carl@" not in people


def test_two_members_that_fail_for_two_aliases(relay):
    relay.inside.on("rcpt", "550 5.1.1 no such user", match="anna@")
    stranger(relay, ["info@example.com", "sales@main.example", "dora@example.com"])
    relay.wait_queue_empty()
    _, _, rcpts = report_of(relay.back.messages[0])
    assert {(r["Original-Recipient"], r["Final-Recipient"]) for r in rcpts} == {
        ("rfc822; info@example.com", "rfc822; anna@example.com"), ("rfc822; sales@main.example", "rfc822; anna@main.example")}
    assert len(relay.back.messages) == 1


@pytest.mark.slow
def test_a_member_that_is_deferred(relay):
    relay.inside.on("rcpt", "451 4.3.0 later", match="bert@", times=2)
    stranger(relay, "all@example.com")
    relay.inside.wait_to("carl@example.com")
    queued = relay.wait_queued(1)[0]
    shown = json.loads(relay.command("queue", "show", "--json", queued["id"]).stdout)
    text = json.dumps(shown)
    assert '"original": "rfc822;all@example.com"' in text and '"marks": "forwarded"' in text
    relay.wait_queue_empty(40)
    delivered(relay, "anna@main.example", "bert@example.com", "carl@example.com", "office@out.test")
    assert not relay.back.messages


@pytest.mark.daily(1)
@pytest.mark.parametrize("step", ["kill", "stop"])
def test_killed_between(relay, step):
    """Members that have it do not get it again, the others do."""
    relay.inside.on("rcpt", "451 4.3.0 later", match="bert@")
    relay.outside.on("rcpt", "451 4.3.0 later")
    stranger(relay, "all@example.com", rcpt="NOTIFY=SUCCESS,FAILURE")
    relay.wait_log(r"deferred .*bert@example.com")
    relay.wait_log(r"deferred .*office@out.test")
    relay.back.wait_to("sender@client.example")  # expanded
    time.sleep(0.5)
    relay.kill() if step == "kill" else relay.stop()
    relay.inside.rules.clear()
    relay.outside.rules.clear()
    relay.start()
    relay.inside.wait_to("bert@example.com", seconds=40)
    relay.outside.wait_to("office@out.test", seconds=40)
    relay.wait_queue_empty(40)
    assert got(relay.inside, relay.outside) == ["anna@main.example", "bert@example.com", "carl@example.com", "office@out.test"]


def test_killed_at_once(relay):
    """Taken, and not sent to anybody yet: what is on disk is the whole of it."""
    relay.inside.on("connect", "421 4.3.2 later")
    relay.outside.on("connect", "421 4.3.2 later")
    stranger(relay, "all@example.com")
    relay.kill()
    relay.inside.rules.clear()
    relay.outside.rules.clear()
    relay.start()
    for name in ("anna@main.example", "bert@example.com", "carl@example.com"):
        relay.inside.wait_to(name, seconds=40)
    relay.outside.wait_to("office@out.test", seconds=40)
    delivered(relay, "anna@main.example", "bert@example.com", "carl@example.com", "office@out.test")


def test_success_of_one_alias(relay):
    """A single one that it stands for keeps what was asked for: RFC 3461 section 5.2.7.2."""
    relay.outside.extensions.append("DSN")
    stranger(relay, "away@example.com", mail="ENVID=Q1", rcpt="NOTIFY=SUCCESS,FAILURE")
    relay.wait_queue_empty()
    command = next(c for s in relay.outside.sessions for c in s.commands if c.startswith("RCPT"))
    assert command == "RCPT TO:<office@out.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;away@example.com"
    assert not relay.back.messages
    relay.outside.extensions.remove("DSN")  # then we report ourselves
    relay.restart()
    stranger(relay, "away@example.com", rcpt="NOTIFY=SUCCESS ORCPT=rfc822;older+2Bname@else.test")
    wait_until(lambda: relay.back.messages, "a report")
    _, _, rcpts = report_of(relay.back.messages[0])
    assert [(r["Action"], r["Original-Recipient"], r["Final-Recipient"]) for r in rcpts] == [
        ("relayed", "rfc822; older+name@else.test", "rfc822; office@out.test")]


def test_success_of_a_group(relay):
    """It was expanded, the sender is told once; nothing is said of those it stands for unless they fail: RFC 3461 section 5.2.7.3."""
    relay.inside.extensions.append("DSN")
    relay.inside.on("rcpt", "550 5.1.1 no such user", match="carl@")
    stranger(relay, "all@example.com", mail="ENVID=Q1", rcpt="NOTIFY=SUCCESS,FAILURE")
    relay.wait_queue_empty()
    wait_until(lambda: len(relay.back.messages) == 2, lambda: f"two reports: {relay.back.messages}")
    reports = [report_of(m) for m in relay.back.messages]
    assert all(r[1]["Original-Envelope-Id"] == "Q1" for r in reports)
    told = sorted((one["Action"], one["Final-Recipient"], one["Original-Recipient"]) for r in reports for one in r[2])
    assert told == [("expanded", "rfc822; all@example.com", "rfc822; all@example.com"),
                    ("failed", "rfc822; carl@example.com", "rfc822; all@example.com")]
    commands = [c for s in relay.inside.sessions for c in s.commands if c.startswith("RCPT")]
    assert commands and all(c.endswith("NOTIFY=FAILURE ORCPT=rfc822;all@example.com") for c in commands)
    assert "all@example.com" not in got(relay.inside, relay.outside)


def test_never_and_only_success(relay):
    relay.inside.extensions.append("DSN")
    relay.inside.on("rcpt", "550 5.1.1 no such user", match="bert@")
    stranger(relay, "sales@main.example", rcpt="NOTIFY=NEVER")
    relay.wait_queue_empty()
    assert not relay.back.messages
    stranger(relay, "sales@main.example", rcpt="NOTIFY=SUCCESS")
    relay.wait_queue_empty()
    commands = [c for s in relay.inside.sessions for c in s.commands if c.startswith("RCPT")]
    assert all("NOTIFY=NEVER" in c for c in commands)
    wait_until(lambda: relay.back.messages, "a report")
    assert [r["Action"] for r in report_of(relay.back.messages[0])[2]] == ["expanded"] and len(relay.back.messages) == 1


def test_null_sender(relay):
    relay.inside.on("rcpt", "550 5.1.1 no such user", match="bert@")
    stranger(relay, "sales@main.example", sender="", rcpt="NOTIFY=SUCCESS,FAILURE")
    relay.wait_queue_empty()
    assert not relay.back.messages and "boss@example.com" in got(relay.inside)


# ---- on the way out of the house

def test_forwarded_mail_has_its_sender_rewritten(relay):
    relay.inside.on("mail", "451 4.3.0 later", times=1)
    stranger(relay, ["far@example.com", "away@example.com"])
    relay.wait_queue_empty(40)
    assert got(relay.inside) == ["near@example.com"] and relay.inside.messages[0].sender == "sender@client.example"
    assert got(relay.outside) == ["office@out.test", "one@out.test", "two@out.test"]
    senders = {m.sender for m in relay.outside.messages}
    assert len(senders) == 1 and re.fullmatch(r"SRS0=.*=client\.example=sender@srs\.example", *senders)
    with Smtp(relay.port) as c:  # and a bounce comes back
        c.ehlo()
        c.message(senders.pop(), sender="", text="Subject: bounce\n\nx\n")
    relay.back.wait_to("sender@client.example")


def test_forwarded_and_others_at_one_destination(relay):
    """A user writes outside himself, and to an alias that leads there: two transactions."""
    relay.send(["direct@out.test", "away@example.com", "two@out.test"])
    relay.wait_queue_empty()
    assert {m.sender.startswith("SRS0="): sorted(m.rcpts) for m in relay.outside.messages} == {
        False: ["direct@out.test", "two@out.test"], True: ["office@out.test"]}
    assert len(relay.outside.messages) == 2


def test_a_forwarded_member_that_fails(relay):
    """Our own bounce goes to the sender himself."""
    relay.outside.on("rcpt", "550 5.1.1 gone", match="office@")
    stranger(relay, "away@example.com")
    m = relay.back.wait_to("sender@client.example")
    _, _, rcpts = report_of(m)
    assert (rcpts[0]["Original-Recipient"], rcpts[0]["Final-Recipient"]) == ("rfc822; away@example.com", "rfc822; office@out.test")


def test_without_srs(make):
    relay = make(srs={})
    stranger(relay, "all@example.com")
    relay.wait_queue_empty()
    assert {m.sender for m in relay.outside.messages} == {"sender@client.example"}


@pytest.mark.slow
@pytest.mark.root
def test_postfix_as_next_hop(make, postfix, make_sink):
    """Members go through Postfix; what fails behind it is reported with the address that was written."""
    far = make_sink()
    next_hop = postfix(far.hop)
    relay = make(domains=[{"name": "example.com", "deliver": next_hop.hop}])
    far.on("rcpt", "550 5.1.1 no such user", match="bert@")
    stranger(relay, "all@example.com", mail="ENVID=Q1")
    wait_until(lambda: far.to("carl@example.com") and far.to("sender@client.example"), lambda: next_hop.log(), 40)
    _, about, rcpts = report_of(far.to("sender@client.example")[0])
    assert about["Reporting-MTA"] == "dns; postfix.example"
    assert (rcpts[0]["Original-Recipient"], rcpts[0]["Final-Recipient"]) == ("rfc822;all@example.com", "rfc822; bert@example.com")


# ---- what next hops can take

def test_what_a_member_cannot_have_is_refused_at_once(relay):
    relay.inside.extensions[:] = ["SIZE 1000", "PIPELINING"]
    relay.outside.extensions[:] = ["SIZE 100000000", "SMTPUTF8", "8BITMIME"]
    stranger(relay, ["carl@example.com", "away@example.com"])
    relay.wait_queue_empty()
    with Smtp(relay.port) as c:
        c.ehlo()
        c.mail(params="SIZE=5000")
        assert c.rcpt("hostmaster@example.com", 552).enhanced == "5.3.4"
        c.rcpt("away@example.com")           # it is not the given domain that counts
        c.rcpt("all@example.com")            # some can have it
        c.cmd("RSET", 250)
        c.send("MAIL FROM:<sänder@client.example> SMTPUTF8\r\n".encode())
        c.reply(250)
        assert c.rcpt("dora@old.example", 550).enhanced == "5.6.7"
        c.rcpt("away@example.com")


def test_a_recipient_that_is_not_ascii(relay):
    relay.inside.extensions[:] = ["SMTPUTF8", "8BITMIME", "DSN"]
    relay.inside.on("text", "550 5.7.1 no")
    with Smtp(relay.port) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<sender@client.example> SMTPUTF8", 250)
        c.cmd("RCPT TO:<büro@old.example>".encode(), 250)
        c.data("Subject: x\n\ny\n")
    parsed, _, _ = report_of(relay.back.wait_to("sender@client.example"))
    commands = [c for s in relay.inside.sessions for c in s.commands if c.startswith("RCPT")]
    assert commands == ["RCPT TO:<büro@example.com> ORCPT=utf-8;büro@old.example".encode().decode("latin-1")]
    assert "b=C3=BCro@old.example" in parsed.as_string()


# ---- where nobody has a mailbox


def test_what_nobody_delivers_never_leaves(make):
    """Own copies, circles of tables and copies at main_domain would go to the smarthost, which sends them back."""
    inside = make(routes=[{"to": "client.example", "via": "127.0.0.1:1"}], postmaster="chief@main.example", copies=[{"to": "gone@main.example"}],
                  aliases=[{"name": "anna", "to": ["anna", "anna@example.com"]}, {"name": "carl", "to": ["carl@example.com"], "keep": True},
                           {"name": "lost", "to": ["gone"]}, {"name": "chief", "to": ["dora@example.com", "emil@example.com"]}])
    stranger(inside, ["anna@main.example", "carl@main.example"])
    delivered(inside, "anna@example.com", "carl@example.com")
    inside.wait_log("copy-not-expanded .*to=gone@main.example")
    for source in (STRANGER, TRUSTED):
        with Smtp(inside.port, source=source) as c:
            c.ehlo()
            c.mail("sender@client.example")
            for to in ("lost@main.example", "gone@main.example"):
                reply = c.rcpt(to, 550)
                assert reply.enhanced == "5.1.1" and f"<{to}> is not known here" in reply.text, reply
    with Smtp(inside.port, source=TRUSTED) as c:
        c.ehlo()
        c.mail("sender@client.example")
        assert c.rcpt("gone@mx.postern.example", 550).enhanced == "5.1.1"
    # what the relay writes itself: the postmaster is an alias here, and where he has nothing it ends
    inside.inside.clear()
    inside.inside.on("rcpt", "550 5.1.1 no such user", match="bert@")
    stranger(inside, "bert@example.com", sender="")
    assert sorted(r for r in inside.inside.wait_to("dora@example.com").rcpts) == ["dora@example.com", "emil@example.com"]
    inside.inside.on("rcpt", "550 5.1.1 no such user", match="dora@")
    inside.inside.on("rcpt", "550 5.1.1 no such user", match="emil@")
    stranger(inside, "bert@example.com", sender="")
    inside.wait_log("postmaster-notice-failed .*to=dora@example.com")
    inside.wait_log("postmaster-notice-failed .*to=emil@example.com")
    inside.wait_queue_empty()
    assert not inside.outside.messages


def test_without_postmaster_his_mail_waits(make):
    relay = make(routes=[], postmaster=None)
    reply = stranger(relay, "postmaster@mx.postern.example")
    stranger(relay, "root@main.example")
    relay.wait_log(rf"id={queued_id(reply)} .*nobody delivers mail for mx.postern.example here: set postmaster")
    assert len(json.loads(relay.command("queue", "list", "--json").stdout)) and not relay.outside.messages
