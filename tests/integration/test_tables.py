# SPDX-License-Identifier: Apache-2.0
"""Tables in the options that take a list: clients, senders, recipients, relay domains, rules, spam; what is nearer; broken files over
restarts; many entries."""
import json
import os
import random
import shutil
import time

import pytest

from lib.daemon import Postern, postern as command
from lib.smtp import STRANGER, Smtp
from lib.util import wait_until


def ask(relay, rcpt="ann@example.com", sender="joe@client.example", source=STRANGER):
    """The reply to RCPT."""
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail(sender)
        reply = c.rcpt(rcpt, expect=None)
        c.quit()
    return reply


def becomes(code, relay, **envelope):
    wait_until(lambda: ask(relay, **envelope).code == code, lambda: f"{code} for {envelope}\n{relay.log_tail()}", 20, 0.2)


def replace(path, text):
    """As programs do that leave nothing half written."""
    aside = path.with_name(path.name + ".new")
    aside.write_text(text)
    os.rename(aside, path)


@pytest.mark.slow
def test_all_lists(postern, sink, tmp_path):
    """One table in several options, beside entries of their own; each follows the file."""
    files = {name: tmp_path / name for name in ("people", "nets", "ours", "known", "words")}
    files["people"].write_text("bad@client.example\n.spam.example  no spam please\n")
    files["nets"].write_text("127.0.8.0/24\n")
    files["ours"].write_text("Customer.example\n.tree.example\n")
    files["known"].write_text("ann@customer.example\n")
    files["words"].write_text("/x[0-9]+@.*/\n")
    tables = {name: {"file": str(file)} for name, file in files.items()}
    tables["nets"]["type"], tables["words"]["type"], tables["known"]["type"] = "cidr", "pcre", "exact"
    relay = postern(
        tables=tables,
        domains=[{"name": "example.com", "deliver": sink.hop},
                 {"table": "ours", "deliver": sink.hop, "recipients": {"verify": "list", "reject_code": 550, "list": [{"table": "known"}, "bob@"]}}],
        checks={"block": {"senders": [{"table": "people"}, {"table": "words"}], "recipients": [{"table": "words"}],
                          "clients": [{"table": "nets"}, "127.0.9.0/24"]},
                "allow": {"senders": ["good.spam.example"], "clients": ["127.0.8.8"]}})
    assert ask(relay).code == 250
    assert ask(relay, sender="bad@client.example").code == 550
    assert "no spam please" in ask(relay, sender="a@b.spam.example").text
    assert ask(relay, sender="a@good.spam.example").code == 250  # the nearer one, wherever it stands
    assert ask(relay, sender="x17@client.example").code == 550 and ask(relay, rcpt="x17@example.com").code == 550
    assert [ask(relay, source=s).code for s in ("127.0.8.1", "127.0.8.8", "127.0.9.1", "127.0.7.1")] == [554, 250, 554, 250]
    relay.wait_log(r'why="block.senders has bad@client.example, [^"]*/people:1"')
    assert [ask(relay, rcpt=r).code for r in ("ann@customer.example", "eve@customer.example", "bob@a.b.tree.example", "ann@below.customer.example",
                                              "ann@other.example")] == [250, 550, 250, 550, 550]

    replace(files["people"], "joe@client.example\n")
    becomes(550, relay)
    assert ask(relay, sender="bad@client.example").code == 250
    replace(files["nets"], "127.0.7.1\n")
    becomes(554, relay, source="127.0.7.1", sender="x@y.example")
    assert ask(relay, source="127.0.8.1", sender="x@y.example").code == 250
    replace(files["ours"], "other.example\n")
    becomes(250, relay, rcpt="bob@other.example", sender="x@y.example")
    assert ask(relay, rcpt="bob@tree.example", sender="x@y.example").code == 550
    replace(files["known"], "eve@other.example\n")
    becomes(250, relay, rcpt="eve@other.example", sender="x@y.example")


def test_domains_of_a_table_are_delivered(postern, sink, tmp_path):
    ours = tmp_path / "ours"
    ours.write_text("customer.example\n")
    relay = postern(tables={"ours": {"file": str(ours)}}, domains=[{"table": "ours", "deliver": sink.hop}])
    with Smtp(relay.port, source=STRANGER) as c:
        c.ehlo()
        c.mail("joe@client.example")
        c.rcpt("ann@customer.example")
        c.cmd("DATA", 354)
        c.cmd("Subject: hello\r\n\r\nhello\r\n.", 250)
        c.quit()
    assert sink.wait_to("ann@customer.example")
    told = relay.command("explain", "--client", STRANGER, "--from", "joe@client.example", "--to", "ann@customer.example", "--json", check=0)
    assert "a relay domain" in json.dumps(json.loads(told.stdout))


@pytest.mark.slow
def test_rules(postern, sink, tmp_path):
    """A scan process takes up what is new before each message."""
    people = tmp_path / "people"
    people.write_text("bad@client.example\n")
    relay = postern(tables={"people": {"file": str(people)}}, domains=[{"name": "example.com", "deliver": sink.hop}],
                    rules=[{"name": "people", "if": {"senders": [{"table": "people"}]}, "then": [{"action": "reject", "text": "by the table"}]}])

    def send(sender):
        with Smtp(relay.port, source=STRANGER) as c:
            c.ehlo()
            c.mail(sender)
            c.rcpt("ann@example.com")
            c.cmd("DATA", 354)
            reply = c.cmd("Subject: hello\r\n\r\nhello\r\n.", None)
            c.quit()
        return reply
    assert "by the table" in send("bad@client.example").text
    assert send("joe@client.example").code == 250
    replace(people, "joe@client.example\n")
    wait_until(lambda: send("joe@client.example").code == 550, lambda: relay.log_tail(), 20, 0.3)
    assert send("bad@client.example").code == 250


@pytest.mark.slow
def test_broken_over_a_restart(postern, sink, tmp_path):
    """The relay starts with what it had; who changes the configuration is told; without anything it had, it does not start."""
    people = tmp_path / "people"
    people.write_text("bad@client.example\n")
    relay = postern(tables={"people": {"file": str(people)}}, domains=[{"name": "example.com", "deliver": sink.hop}],
                    checks={"block": {"senders": [{"table": "people"}]}})
    wait_until(lambda: list((relay.folder / "data/tables").glob("people-*.table")), "a block")
    people.write_text("bad@client.example\n192.0.2.1\n")
    relay.restart()
    relay.wait_log(r'table-broken .*people:2: .*192.0.2.1.* keeps="the last good state"')
    assert ask(relay, sender="bad@client.example").code == 550 and ask(relay).code == 250
    relay.command("reload", check=78)
    done = command("check", "-c", relay.config_path, check=78)
    assert "people:2" in done.stdout
    assert ask(relay, sender="bad@client.example").code == 550
    people.write_text("joe@client.example\n")
    becomes(550, relay)
    relay.command("reload", check=0)
    relay.stop()
    people.write_text("192.0.2.1\n")
    shutil.rmtree(relay.folder / "data/tables")
    done = command("run", "-c", relay.config_path, timeout=60)
    assert done.returncode != 0 and "people:1" in done.stderr


@pytest.mark.slow
def test_many_entries(postern, sink, tmp_path):
    """A hundred thousand, half of them replaced under use: no look-up is held up for long."""
    people = tmp_path / "people"
    people.write_text("".join(f"user{i}@example{i % 999}.org\n" for i in range(100_000)))
    relay = postern(tables={"people": {"file": str(people)}}, domains=[{"name": "example.com", "deliver": sink.hop}],
                    checks={"block": {"senders": [{"table": "people"}]}})
    numbers = random.Random(7)
    for i in [0, 99_999, *numbers.choices(range(100_000), k=20)]:
        assert ask(relay, sender=f"User{i}@example{i % 999}.org").code == 550
        assert ask(relay, sender=f"user{i}@example{i % 999}.com").code == 250
    replace(people, "".join(f"user{i}@example{i % 999}.org\n" for i in range(50_000, 150_000)))
    longest, end = 0, time.monotonic() + 60
    while ask(relay, sender="user149999@example149.org").code == 250:
        start = time.monotonic()
        assert ask(relay, sender="user60000@example60.org").code == 550
        longest = max(longest, time.monotonic() - start)
        assert time.monotonic() < end, relay.log_tail()
    assert longest < 5
    assert ask(relay, sender="user1@example1.org").code == 250


@pytest.mark.parametrize("tables, checks, words", [
    ({"nets": {"type": "cidr", "file": "nets"}}, {"block": {"senders": [{"table": "nets"}]}}, "networks, which are for clients only"),
    ({"nets": {"file": "nets"}}, {"block": {"senders": [{"table": "net"}]}}, "did you mean nets?"),
    ({"nets": {"type": "exact", "file": "nets"}}, {"block": {"clients": [{"table": "nets"}]}}, "nets:1: \"192.0.2.0/24\": a network"),
    ({"nets": {"type": "pcre", "file": "nets"}}, {"block": {"clients": [{"table": "nets"}]}}, "type pcre"),
    ({"nets": {"file": "missing"}}, {"block": {"clients": [{"table": "nets"}]}}, "missing"),
    ({"nets": {"file": "nets", "entries": 1}}, {"block": {"clients": [{"table": "nets"}]}}, "more than 1 entries"),
])
def test_mistakes(tmp_path, tables, checks, words):
    (tmp_path / "nets").write_text("192.0.2.0/24\n198.51.100.0/24\n")
    for t in tables.values():
        t["file"] = str(tmp_path / t["file"])
    relay = Postern(tmp_path / "relay", {"tables": tables, "domains": [{"name": "example.com", "deliver": "192.0.2.1"}], "checks": checks}, start=False)
    done = command("check", "-c", relay.config_path, check=78)
    assert words in done.stdout, done.stdout
