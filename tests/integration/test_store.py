# SPDX-License-Identifier: Apache-2.0
"""The store as a process, and `postern trace`: what is found, what survives, and that mail flows without it."""
import json
import os
import re
import signal
import sqlite3
import time

import pytest

from lib.smtp import queued_id
from lib.util import wait_until


@pytest.fixture
def relay(postern, sink):
    return postern(domains=[{"name": "here.example", "deliver": sink.hop}])


def store_pid(daemon):
    helpers = json.loads(daemon.command("status", "--json").stdout)["helpers"]
    return next((h["pid"] for h in helpers if h["role"] == "store"), None)


def trace(daemon, *args, check=0):
    return json.loads(daemon.command("trace", "--json", *args, check=check).stdout)["messages"]


def found(daemon, *args, n=1):
    def enough():
        done = daemon.command("trace", "--json", *args, check=None)
        all_of_them = json.loads(done.stdout)["messages"] if done.stdout else []
        return all_of_them if len(all_of_them) == n else None
    return wait_until(enough, lambda: f"{n} found by {args}: {daemon.command('trace', '--json', *args, check=None).stdout}", 10, 0.1)


def test_a_message_and_its_story(relay):
    reply = relay.send("bob@here.example", "Subject: On Monday\nMessage-ID: <one@client.example>\n\ntext\n")
    key = queued_id(reply)
    relay.wait_queue_empty()
    story = wait_until(lambda: (lambda m: m if m["state"] == "delivered" else None)(found(relay, key)[0]), "a delivery", 10)
    assert story["sender"] == "sender@client.example" and story["recipients"] == ["bob@here.example"]
    assert story["subject"] == "On Monday" and story["message_id"] == "<one@client.example>"
    assert [e["kind"] for e in story["events"]] == ["delivered"]
    assert story["events"][0]["recipient"] == "bob@here.example"
    for words in (["bob@here.example"], ["here.example"], ["--sender", "client.example"], ["127.0.0.0/8"], ["--subject", "monday"],
                  ["--outcome", "delivered"], ["--since", "1h", "--message-id", "one@"]):
        assert found(relay, *words)[0]["id"] == key, words
    for words in (["nobody@here.example"], ["--until", "1h"], ["192.0.2.1"], ["--outcome", "bounced"]):
        assert trace(relay, *words, check=65) == []
    shown = relay.command("trace", key).stdout
    assert "bob@here.example" in shown and "delivered" in shown and max(map(len, shown.splitlines())) <= 80
    relay.send("carol@here.example")
    found(relay, "here.example", n=2)
    lines = relay.command("trace", "here.example").stdout.splitlines()
    assert len(lines) == 4 and "carol@here.example" in lines[1] and max(map(len, lines)) <= 80


def test_each_outcome(relay, sink):
    sink.on("rcpt", "550 5.1.1 no such user", match="nobody@")
    sink.on("rcpt", "451 4.2.2 full", match="full@")
    key = queued_id(relay.send(["bob@here.example", "nobody@here.example", "full@here.example"]))
    for outcome in ("accepted", "delivered", "bounced", "deferred"):
        assert found(relay, "--outcome", outcome, "--recipient", "bob@here.example")[0]["id"] == key
    story = found(relay, key)[0]
    assert story["state"] == "deferred"
    said = {e["recipient"]: (e["kind"], e["code"], e["text"]) for e in story["events"]}
    assert said["nobody@here.example"] == ("bounced", 550, "5.1.1 no such user")
    assert said["full@here.example"] == ("deferred", 451, "4.2.2 full")
    assert said["bob@here.example"][:2] == ("delivered", 250)
    relay.command("queue", "delete", key)
    assert found(relay, "--outcome", "deleted")[0]["state"] == "deleted"


def test_a_refusal_is_found_by_its_reference(relay):
    with relay.client() as c:
        c.ehlo()
        c.mail("eve@stranger.example")
        reply = " ".join(c.rcpt("bob@elsewhere.example", 550).lines)
    m = found(relay, "--sender", "eve@stranger.example")[0]
    assert m["state"] == "refused" and m["recipients"] == ["bob@elsewhere.example"]
    reference = re.search(r"\(ref (\w{13})\)", reply)
    if reference:
        assert found(relay, reference[1])[0]["id"] == m["id"]


@pytest.mark.slow
def test_mail_flows_without_it(relay):
    relay.send("one@here.example")
    found(relay, "one@here.example")
    time.sleep(0.6)  # it commits five times a second
    for _ in range(2):
        pid = store_pid(relay)
        os.kill(pid, signal.SIGKILL)
        assert relay.send("two@here.example").code == 250
        wait_until(lambda: store_pid(relay) not in (None, pid), "another store", 15)
    assert found(relay, "one@here.example")
    relay.send("three@here.example")
    found(relay, "three@here.example")
    assert "store-ended" in relay.log()


@pytest.mark.slow
def test_it_survives_restart_and_reload(relay):
    relay.send("one@here.example")
    found(relay, "one@here.example")
    pid = store_pid(relay)
    relay.write({"store": {"entries": 2000}})
    relay.command("reload")
    assert store_pid(relay) == pid
    relay.send("two@here.example")
    found(relay, "two@here.example")
    relay.restart()
    found(relay, "here.example", n=2)
    relay.write({"store": {"history": "0s"}})
    relay.command("reload")
    wait_until(lambda: not json.loads(relay.command("trace", "--json", check=None).stdout)["messages"], "all to be forgotten", 10)


def test_damaged_files_are_put_aside(relay):
    relay.send("one@here.example")
    found(relay, "one@here.example")
    relay.stop()
    folder = relay.folder / "data/store"
    assert (folder.stat().st_mode & 0o777) == 0o700
    for name in ("history.db", "memory.db"):
        assert sqlite3.connect(folder / name).execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (folder / name).write_bytes(b"no database at all" * 1000)
    relay.start()
    relay.send("two@here.example")
    found(relay, "two@here.example")
    assert trace(relay, "one@here.example", check=65) == []
    assert (folder / "history.db.damaged").exists() and len(re.findall("store-damaged", relay.log())) == 2


def test_bad_questions(relay):
    for words in (["x"], ["--since", "yesterday"], ["--limit", "0"], ["--wrong"], ["--sender", ""], ["a@b.example", "c@d.example"]):
        assert relay.command("trace", *words, check=64).stderr
    for words in (["--outcome", "eaten"], ["--client", "nowhere"]):
        assert relay.command("trace", *words, check=65).stderr
