# SPDX-License-Identifier: Apache-2.0
"""The quarantine: what gets there stays until somebody decides, whoever is killed meanwhile; what is released arrives as it would have."""
import json
import os
import re
import signal
import sqlite3
import subprocess

import pytest

from lib.disk import Disk
from lib.daemon import postern as command
from lib.quarantine import TEXT, figures, fill, listed, mail, refill, wait_held
from lib.util import wait_until


@pytest.fixture
def relay(postern, sink):
    daemon = postern(domains=[{"name": "example.com", "deliver": sink.hop}, {"name": "other.example", "deliver": sink.hop}])
    daemon.sink = sink
    return daemon


def run(relay, *args, check=0):
    return relay.command("quarantine", *args, check=check).stdout


def arrived(relay, to, n=1):
    wait_until(lambda: len(relay.sink.to(to)) == n, lambda: f"{n} for {to}: {relay.sink.messages}\n{relay.log_tail()}", 20)
    return relay.sink.to(to)


def story(relay, key):
    return json.loads(relay.command("trace", "--json", key, check=None).stdout)["messages"][0]


# ---- seen

def test_kept_apart_and_seen(relay):
    ids = refill(relay, [mail(["bob@example.com", "carol@other.example"]), mail(kind="virus", subject="invoice", score=0, reason="Eicar in a.exe")])
    wait_held(relay, 2)
    assert not relay.sink.messages
    one = next(m for m in listed(relay) if m["id"] == ids[0])
    assert one["kind"] == "spam" and one["state"] == "held" and one["score"] == 12.3 and one["sender"] == "eve@stranger.example"
    assert [r["address"] for r in one["recipients"]] == ["bob@example.com", "carol@other.example"]
    for words, n in ((["--kind", "virus"], 1), (["--recipient", "@other.example"], 1), (["--recipient", "bob@"], 2), (["--subject", "WIN"], 1),
                     (["--sender", "@stranger.example"], 2), (["--reason", "eicar"], 1), (["--state", "released"], 0), (["--score", "10"], 1),
                     (["--below", "5"], 1), (["--since", "1h"], 2), (["--until", "1h"], 0), (["--sender", "<>"], 0)):
        assert len(listed(relay, *words)) == n, words
    lines = run(relay, "list").splitlines()
    assert max(map(len, lines)) <= 80 and "Eicar in a.exe" in "\n".join(lines)
    shown = run(relay, "show", ids[0])
    assert "Subject: Win now" in shown and "score 12.3 is above 10" in shown and "symbols" in shown and "carol@other.example  held" in shown
    assert run(relay, "download", ids[0]).replace("\n", "\r\n").endswith("Click here.\r\n.dots\r\n")
    raw = command("quarantine", "download", ids[0], relay.folder / "raw", "-c", relay.config_path, check=0)
    assert raw.stdout == "" and (relay.folder / "raw").read_bytes() == (mail()["prepend"] + TEXT).encode()
    assert run(relay, "download", ids[0], relay.folder / "raw", check=73) == ""  # not over a file that is there
    for words in (["show", "0000000000000"], ["download", "6gc8m3c580005"], ["list", "--kind", "eaten"]):
        assert run(relay, *words, check=65) == ""
    assert story(relay, ids[0])["state"] == "quarantined"
    assert figures(relay)["held"] == 2 and "quarantine" in relay.command("status").stdout
    assert re.search(rf"relay-0 quarantined id={ids[0]} .*reason=\"score 12.3", relay.log())


def test_hostile_texts_are_harmless(relay):
    bad = "\x1b[2J\x1b]0;x\x07\x9b31m‮ (a\\b) ñ 日本 \udcff"
    refill(relay, [mail("bob\x1b[31m@example.com", subject=bad[:-1], reason=bad[:-1], sender="e\x1bvil@x.example",
                        text="Subject: " + bad[:-1] + "\r\nX\x1b]: y\r\n\r\n\x1b[2J\r\n")])
    m = wait_held(relay, 1)[0]
    for out in (run(relay, "list"), run(relay, "show", m["id"]), run(relay, "list", "--json")):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out), repr(out)


# ---- released

def test_released_as_it_would_have_gone(relay):
    ids = refill(relay, [mail(cut=[TEXT.index("Win now"), 7, "[SPAM] Win now"])])
    wait_held(relay, 1)
    assert "1 message released" in run(relay, "release", ids[0])
    got = arrived(relay, "bob@example.com")[0]
    assert got.sender == "eve@stranger.example"
    assert got.data.replace(b"\r\n", b"\n") == (mail()["prepend"] + TEXT.replace("Win now", "[SPAM] Win now")).replace("\r\n", "\n").encode()
    relay.wait_queue_empty()
    assert listed(relay, "--state", "released")[0]["id"] == ids[0] and figures(relay)["held"] == 0
    told = story(relay, ids[0])
    event = next(e for e in told["events"] if e["kind"] == "released")
    again = re.search(r"as (\w{13}) by uid \d+", event["text"])[1]
    wait_until(lambda: story(relay, again)["state"] == "delivered", "its delivery in the history")
    assert ids[0] in story(relay, again)["text"]
    assert re.search(rf"admin quarantine-released id={ids[0]} by=\"uid \d+\"", relay.log())
    said = relay.command("quarantine", "release", ids[0], check=65).stderr
    assert f"{ids[0]}: already released to bob@example.com\n" in said  # once is enough
    assert len(relay.sink.messages) == 1


@pytest.mark.slow
def test_released_to_some_then_to_others(relay):
    to = ["bob@example.com", "carol@other.example", "dan@example.com"]
    ids = refill(relay, [mail(to)])
    wait_held(relay, 1)
    run(relay, "release", ids[0], "--to", "CAROL@other.example")
    arrived(relay, "carol@other.example")
    assert {r["address"]: r["state"] for r in listed(relay)[0]["recipients"]} == {to[0]: "held", to[1]: "released", to[2]: "held"}
    assert "nobody@example.com is no recipient of it" in relay.command("quarantine", "release", ids[0], "--to", "nobody@example.com",
                                                                      check=65).stderr
    run(relay, "delete", ids[0], "--to", "dan@example.com")
    said = relay.command("quarantine", "release", ids[0], "--to", "dan@example.com", "--to", "carol@other.example", check=65).stderr
    assert "already deleted for dan@example.com; already released to carol@other.example" in said
    run(relay, "release", ids[0])
    arrived(relay, "bob@example.com")
    relay.wait_queue_empty()
    assert len(relay.sink.messages) == 2 and not relay.sink.to("dan@example.com")
    run(relay, "delete", ids[0])
    assert not listed(relay) and story(relay, ids[0])["state"] == "deleted"
    assert figures(relay)["bytes"] == 0


@pytest.mark.slow
def test_large_ones(relay):
    """Larger than what the log of the spool takes, and than a frame."""
    ids = refill(relay, [mail([f"user{i}@example.com" for i in range(3000)], size=5 << 20)])
    wait_held(relay, 1)
    assert "3000" in run(relay, "list", "--json")
    run(relay, "release", ids[0], "--delete", "--to", "user7@example.com", check=64)
    run(relay, "release", ids[0], "--to", "user7@example.com")
    got = arrived(relay, "user7@example.com")[0]
    assert len(got.data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")) >= 5 << 20
    run(relay, "release", ids[0], "--delete")
    wait_until(lambda: relay.sink.to("user2999@example.com"), "all the others", 60)
    assert len(relay.sink.to("user7@example.com")) == 1
    assert not listed(relay)


@pytest.mark.slow
def test_not_more_than_asked_for(relay):
    ids = refill(relay, [mail(subject=f"{i}") for i in range(6)])
    wait_held(relay, 6)
    newest = [m["id"] for m in listed(relay)]
    said = run(relay, "delete", "--all", "--yes", "--limit", "1")
    assert said.startswith("6 messages fit; --limit: the newest 1\n") and "1 message deleted" in said
    assert [m["id"] for m in listed(relay)] == newest[1:]
    assert "2 messages released" in run(relay, "release", "--kind", "spam", "--yes", "--limit", "2", "--before", newest[2])
    assert sorted(m["id"] for m in listed(relay, "--state", "released")) == sorted(newest[3:5])
    assert "1 message deleted" in run(relay, "delete", "--state", "held", "--yes", "--before", newest[4])
    assert {m["id"] for m in listed(relay)} == set(ids) - {newest[0], newest[5]}
    for words in (["--limit", "1"], ["--before", newest[1]]):
        assert relay.command("quarantine", "delete", newest[1], *words, check=64).stderr
        assert relay.command("quarantine", "delete", "--yes", *words, check=64).stderr


@pytest.mark.slow
def test_many_at_once(relay):
    refill(relay, [mail(repeat=30), mail("dan@example.com", kind="file", subject="other", repeat=5)])
    wait_held(relay, 35)
    assert relay.command("quarantine", "delete", "--kind", "file", check=64).stdout.startswith("5 messages fit")
    assert len(listed(relay)) == 35
    assert "5 messages deleted" in run(relay, "delete", "--kind", "file", "--yes")
    assert "30 messages released" in run(relay, "release", "--all", "--yes")
    arrived(relay, "bob@example.com", 30)
    assert "0 messages fit" in run(relay, "release", "--all", "--yes")
    for words in (["release"], ["release", "--all", "--kind", ""], ["delete", "x"], ["train", "--all"], ["eat"], ["list", "--to", "a@b.c"],
                  ["release", "--unproven", "--all"]):
        assert relay.command("quarantine", *words, check=64).stderr
    assert relay.command("quarantine", "train", "ham", "--all", "--yes", check=None).returncode in (0, 65)


@pytest.mark.slow
def test_refused_when_released(relay):
    """It bounces like any other mail."""
    relay.sink.on("rcpt", "550 5.1.1 no such user", match="nobody@")
    ids = refill(relay, [mail("nobody@example.com", sender="eve@example.com")])
    wait_held(relay, 1)
    run(relay, "release", ids[0])
    bounce = arrived(relay, "eve@example.com")[0]
    assert b"no such user" in bounce.data and bounce.sender == ""


@pytest.mark.slow
def test_allowing_the_sender(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], checks={"spf": {"enabled": True}})
    relay.sink = sink
    ids = refill(relay, [mail(), mail(sender="/.*/@x.example"), mail(sender="")])
    wait_held(relay, 3)
    said = relay.command("quarantine", "release", *ids, "--allow")
    assert "eve@stranger.example is allowed" in said.stdout and "did not for this message" in said.stdout
    assert said.stderr.count("by hand") == 1 and "without a sender" in said.stderr
    shown = relay.command("config", "get", "checks.allow.senders").stdout
    assert "eve@stranger.example" in shown and "proven: yes" in shown and "released from the quarantine" in shown
    assert "reloaded" in relay.log() or "generation=2" in relay.log()
    assert "release --allow" in relay.command("config", "history").stdout
    arrived(relay, "bob@example.com", 3)
    ids = refill(relay, [mail()])
    wait_held(relay, 4)
    said = relay.command("quarantine", "release", ids[0], "--allow", "--unproven").stdout
    assert "eve@stranger.example is allowed from now on\n" in said and "SPF" not in said
    shown = relay.command("config", "get", "checks.allow.senders").stdout
    assert shown.count("eve@stranger.example") == 1 and "proven: yes" not in shown


@pytest.mark.slow
def test_nothing_is_released_that_cannot_be_allowed(relay):
    relay.write({"checks": {"spf": {"enabled": False}}})
    ids = refill(relay, [mail()])
    wait_held(relay, 1)
    said = relay.command("quarantine", "release", ids[0], "--allow", check=73)
    assert "nothing was released" in said.stderr and "--unproven" in said.stderr
    assert listed(relay)[0]["state"] == "held" and not relay.sink.messages
    assert "is allowed" in run(relay, "release", ids[0], "--allow", "--unproven")
    arrived(relay, "bob@example.com")


# ---- killed

STEPS = ["quarantine-received", "quarantine-written", "quarantine-renamed", "quarantine-indexed", "quarantine-told", "quarantine-acknowledged",
         "done-queued"]


@pytest.mark.daily(1)
@pytest.mark.parametrize("step", STEPS)
def test_killed_on_the_way_in(relay, monkeypatch, step):
    """The store or the relay: nothing is lost, nothing is there twice."""
    relay.stop()
    fill(relay, [mail(subject=f"number {i}") for i in range(5)])
    monkeypatch.setenv("POSTERN_CRASH_AT", f"{step}:3")
    relay.start()
    relay.wait_log(r"-ended .*by=signal code=9", 30)
    relay.kill()
    monkeypatch.delenv("POSTERN_CRASH_AT")
    relay.start()
    assert sorted(m["subject"] for m in wait_held(relay, 5)) == [f"number {i}" for i in range(5)]
    assert not relay.sink.messages


# Killed once it was committed, it may be delivered, delivered again as that was not on the disk yet, and released a second time.
@pytest.mark.daily(1)
@pytest.mark.parametrize("step, copies", [("commit-queued", (1, 1)), ("release-committed", (1, 3)), ("quarantine-noted", (1, 3)),
                                          ("write-after", (1, 3))])
def test_killed_while_released(relay, monkeypatch, step, copies):
    relay.stop()
    ids = fill(relay, [mail()])
    relay.start()
    wait_held(relay, 1)
    relay.stop()
    monkeypatch.setenv("POSTERN_CRASH_AT", f"{step}:1")
    relay.start()
    monkeypatch.delenv("POSTERN_CRASH_AT")
    relay.command("quarantine", "release", ids[0], check=None)
    relay.wait_log(r"-ended .*by=signal code=9", 30)
    relay.kill()
    relay.start()
    wait_until(lambda: not figures(relay).get("reading", True), "the index")
    if listed(relay)[0]["state"] == "held":
        run(relay, "release", ids[0])
    wait_until(lambda: len(relay.sink.messages) >= copies[0], lambda: relay.log_tail(), 20)
    relay.wait_queue_empty()
    assert copies[0] <= len(relay.sink.messages) <= copies[1]
    assert listed(relay)[0]["state"] == "released"


@pytest.mark.slow
def test_killed_again_and_again(relay):
    relay.stop()
    fill(relay, [mail(subject=f"{i}") for i in range(300)])
    relay.start()
    for name in ("store", "relay-0", "store", "store", "relay-0"):
        os.kill(relay.pid(name), signal.SIGKILL)
        relay.wait_log(rf"{name.split('-')[0]}\S*-ended|worker-ended")
    kept = wait_held(relay, 300, 90)
    assert sorted(int(m["subject"]) for m in kept) == list(range(300))


# ---- trouble

@pytest.mark.slow
def test_the_index_is_made_anew(relay):
    ids = refill(relay, [mail(subject=f"{i}") for i in range(50)])
    wait_held(relay, 50)
    run(relay, "release", ids[7])
    arrived(relay, "bob@example.com")
    relay.stop()
    folder = relay.folder / "data/store"
    (folder / "quarantine.db").write_bytes(b"no database at all" * 1000)
    files = sorted(f for f in (folder / "quarantine").rglob("*") if f.is_file())
    assert len(files) == 50 and all(f.stat().st_mode & 0o777 == 0o600 for f in files)
    damaged = next(f for f in files if f.name == ids[9])
    damaged.write_bytes(damaged.read_bytes()[:80])
    relay.start()
    wait_until(lambda: figures(relay).get("messages") == 49 and not figures(relay)["reading"], lambda: relay.log_tail(), 30)
    assert [m["id"] for m in listed(relay, "--state", "released")] == [ids[7]]
    assert ids[9] not in [m["id"] for m in listed(relay)] and "quarantine-damaged" in relay.log()
    relay.stop()
    assert sqlite3.connect(folder / "quarantine.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    relay.start()


def test_a_damaged_text_is_not_sent(relay):
    ids = refill(relay, [mail()])
    wait_held(relay, 1)
    path = next((relay.folder / "data/store/quarantine").rglob(ids[0]))
    path.write_bytes(path.read_bytes().replace(b"Click", b"Klick"))
    assert "damaged" in relay.command("quarantine", "release", ids[0], check=65).stderr
    assert listed(relay)[0]["state"] == "held" and not relay.sink.messages


@pytest.mark.slow
def test_full_by_the_bound_then_not(relay):
    """What does not fit waits in the spool, is seen there, and goes in when there is room."""
    relay.stop()
    relay.write({"quarantine": {"size": "64K"}})
    fill(relay, [mail(subject=f"{i}", size=20000) for i in range(6)])
    relay.start()
    relay.wait_log("quarantine-full")

    def all_wait_for_room():  # one that was offered before the store was there says that first, until its next try
        q = relay.queue()
        full = all(m["state"] == "deferred" and "waiting for the quarantine: quarantine.size is reached" in m["reason"] for m in q)
        return q if len(q) < 6 and full else None
    waiting = wait_until(all_wait_for_room, lambda: f"some that wait: {relay.queue()}", 20)
    assert all(m["destination"] == "quarantine" for m in waiting)
    assert "waiting for the quarantine" in relay.command("queue", "list").stdout
    assert figures(relay)["full"] and figures(relay)["messages"] + len(relay.queue()) == 6
    there, (held, deleted, *_) = figures(relay)["messages"], [m["id"] for m in waiting]
    relay.command("queue", "hold", held)
    relay.command("queue", "delete", deleted)
    relay.write({"quarantine": {"size": "10M"}})
    relay.command("reload")
    relay.command("queue", "retry", "--all")
    wait_until(lambda: figures(relay)["messages"] == 4 and len(relay.queue()) == 1, lambda: relay.log_tail(), 20)
    relay.command("queue", "release", held)  # from the hold: into the quarantine, not to anybody
    wait_held(relay, 5)
    assert there < 5 and not relay.sink.messages


@pytest.mark.slow
@pytest.mark.root
def test_full_disk(postern, sink, tmp_path):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    relay.stop()
    disk, store = Disk(tmp_path / "small", "tmpfs", 24), relay.folder / "data/store"
    try:
        subprocess.run(["mount", "--bind", disk.path, store], check=True)
        fill(relay, [mail(subject=f"{i}", size=3 << 20) for i in range(10)])
        relay.start()
        relay.wait_log("quarantine-not-written", 30)
        assert relay.send("bob@example.com").code == 250  # other mail goes on
        wait_until(lambda: sink.to("bob@example.com"), "it", 20)
        here = wait_until(lambda: listed(relay), "some that fitted", 20)
        assert len(here) + len([m for m in relay.queue() if m["destination"] == "quarantine"]) == 10
        for m in here:
            relay.command("quarantine", "delete", m["id"])
        relay.command("queue", "retry", "--all")
        wait_until(lambda: len(relay.queue()) < 10 - len(here), lambda: relay.log_tail(), 30)
        relay.stop()
    finally:
        subprocess.run(["umount", "-l", store], check=False)
        disk.stop()


def test_retention(relay):
    refill(relay, [mail(subject="old"), mail(subject="new")])
    wait_held(relay, 2)
    relay.write({"quarantine": {"keep": "1s"}})
    relay.command("reload")
    wait_until(lambda: figures(relay)["messages"] == 0, lambda: str(figures(relay)), 20)
    assert relay.log().count("quarantine-expired") == 2
    assert not [f for f in (relay.folder / "data/store/quarantine").rglob("*") if f.is_file()]


@pytest.mark.slow
def test_ten_thousand(relay):
    refill(relay, [mail(repeat=5000), mail(kind="auth", subject="other", sender="", repeat=5000)])
    wait_until(lambda: figures(relay).get("messages") == 10000, lambda: f"{figures(relay)}\n{relay.log_tail(5)}", 240, 0.5)
    page = json.loads(run(relay, "list", "--json", "--limit", "50"))
    assert len(page["messages"]) == 50 and page["matched"] == 10000 and page["before"]
    following = json.loads(run(relay, "list", "--json", "--limit", "50", "--before", page["before"]))
    assert following["messages"][0]["id"] < page["messages"][-1]["id"] and following["matched"] == 9950
    assert len(listed(relay, "--sender", "<>", "--limit", "1000")) == 1000
    assert json.loads(run(relay, "list", "--json", "--kind", "auth", "--subject", "oth"))["matched"] == 5000


def test_api_says_no(relay):
    refill(relay, [mail()])
    m = wait_held(relay, 1)[0]
    import http.client
    import socket

    def ask(method, path, body=None):
        c = http.client.HTTPConnection("localhost")
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.connect(f"{relay.config['system']['run_directory']}/control.sock")
        c.request(method, path, body)
        answer = c.getresponse()
        text = answer.read()
        c.close()
        return answer.status, text
    assert ask("GET", "/v1/quarantine/zzz")[0] == 400
    assert ask("GET", "/v1/quarantine/6gc8m3c580005")[0] == 404
    assert ask("GET", "/v1/quarantine/6gc8m3c580005/raw")[0] == 404
    assert ask("GET", f"/v1/quarantine/{m['id']}/eat")[0] == 404
    assert ask("GET", f"/v1/quarantine/{m['id']}/raw")[1] == (mail()["prepend"] + TEXT).encode()
    for path, body in (("release", {}), ("release", []), ("release", {"ids": [1]}), ("release", {"ids": [m["id"]], "as": "spam"}),
                       ("train", {"ids": [m["id"]]}), ("delete", {"ids": [m["id"]], "delete": True}), ("delete", {"all": False}),
                       ("release", {"ids": [m["id"]], "recipients": "bob@example.com"}), ("release", {"eat": 1, "all": True}),
                       ("delete", {"all": True, "limit": 0}), ("delete", {"all": True, "limit": "1"}), ("delete", {"limit": 1}),
                       ("delete", {"ids": [m["id"]], "limit": 1})):
        assert ask("POST", f"/v1/quarantine/{path}", json.dumps(body))[0] == 400, (path, body)
    assert ask("POST", "/v1/learn/spam", "")[0] == 400
    assert ask("POST", "/v1/learn/eat", "x")[0] in (400, 404)
    assert listed(relay)[0]["state"] == "held"


# ---- by real checks

HOSTILE = ("From: Eve <eve@stranger.example>\nTo: bob@example.com\nSubject: You won the =?utf-8?q?l=C3=B6ttery?=\nMIME-Version: 1.0\n"
           "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; charset=utf-8\n\n"
           "<html><script>alert(1)</script><p>Dear winner, <a href=\"http://evil.example/x?y\">your bank</a>\x1b[2J</p></html>\n--b\n"
           "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=\"inv\x1boice.exe\"\nContent-Transfer-Encoding: base64\n\n"
           "TVqQAAMAAAAEAAAA\n--b--\n")


@pytest.fixture
def checked(postern, sink):
    daemon = postern(domains=[{"name": "example.com", "deliver": sink.hop}],
                     attachments={"enabled": True, "action": "quarantine"}, spam={"enabled": True, "dns": False})
    daemon.sink = sink
    return daemon


def test_a_check_puts_it_there(checked):
    relay = checked
    assert relay.send("bob@example.com", HOSTILE, source="127.0.0.9").code == 250
    m = wait_held(relay, 1)[0]
    assert m["kind"] == "file" and "exe" in m["reason"]
    assert relay.send("bob@example.com").code == 250
    arrived(relay, "bob@example.com")
    shown = run(relay, "show", m["id"])
    assert re.search(r"attachments +quarantine", shown)  # the trace
    assert re.search(r"^parts$", shown, re.M) and re.search(r"oice\.exe  application/\S+  12 .*; blocked: ", shown) and '"findings"' not in shown
    run(relay, "release", m["id"])
    arrived(relay, "bob@example.com", 2)
    assert b"alert(1)" in relay.sink.messages[-1].data  # as it came


def test_seen_without_anything_active(checked):
    relay = checked
    relay.send("bob@example.com", HOSTILE, source="127.0.0.9")
    m = wait_held(relay, 1)[0]
    view = json.loads(run(relay, "show", m["id"], "--view", "--json"))[0]
    assert "Dear winner" in view["text"] and "alert(1)" not in view["text"] and "<" not in view["text"]
    assert any("evil.example" in link["url"] for link in view["links"])
    out = run(relay, "show", m["id"], "--view")
    assert "Dear winner" in out and "evil.example" in out and "application/x-" in out and not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out)
    os.kill(relay.pid("scan"), signal.SIGKILL)  # nobody to look: told, not hung
    done = relay.command("quarantine", "show", m["id"], "--view", check=None)
    assert done.returncode in (0, 65, 69)


@pytest.mark.slow
def test_subjects_are_shown_decoded(checked):
    relay, subject = checked, "=?utf-8?b?6YeR5oOF?= =?iso-8859-1?q?gewinn=E9n?= =?utf-8?b?6YeR6YeR6YeR6YeR6YeR6YeR6YeR?="
    text = re.sub("Subject: .*", f"Subject: {subject}", HOSTILE).replace("inv\x1boice.exe", "a\\\\d.exe")
    assert relay.send("bob@example.com", text, source="127.0.0.9").code == 250
    m = wait_held(relay, 1)[0]
    assert m["subject"] == "金情gewinnén金金金金金金金" and m["reason"].count("x5c") <= 1
    assert len(listed(relay, "--subject", "GEWINN")) == 1 and len(listed(relay, "--subject", "iso-8859")) == 0
    for args in (["list"], ["show", m["id"]]):
        assert m["subject"] in run(relay, *args)
    assert "x5cx5c" not in run(relay, "show", m["id"]) + relay.log()
    assert m["subject"] in relay.command("trace", m["id"]).stdout
    run(relay, "release", m["id"])
    assert subject.encode() in arrived(relay, "bob@example.com")[0].data  # as it came


def test_training(checked):
    relay = checked
    for i in range(3):
        relay.send("bob@example.com", HOSTILE.replace("Dear", f"Dear number {i}"), source="127.0.0.9")
    ids = [m["id"] for m in wait_held(relay, 3)]
    assert "1 message learnt" in run(relay, "train", "spam", ids[0])
    assert [m["id"] for m in listed(relay, "--learnt", "spam")] == [ids[0]]
    assert "1 message forgotten" in run(relay, "train", "forget", ids[0])
    assert "3 messages learnt" in run(relay, "train", "ham", "--kind", "file", "--yes")
    assert len(listed(relay, "--learnt", "ham")) == 3
    path = relay.folder / "box"
    path.write_text("From a Mon\nSubject: one\n\n>From here\n\nFrom b Mon\nSubject: two\n\ntext\n")
    assert relay.command("learn", "ham", "--mbox", path).stdout == "2 messages learnt as ham\n"
    (relay.folder / "dir/cur").mkdir(parents=True)
    (relay.folder / "dir/cur/1").write_text("Subject: three\n\ntext\n")
    assert relay.command("learn", "spam", "--maildir", relay.folder / "dir").stdout == "1 message learnt as spam\n"
    assert relay.command("learn", "forget", path).stdout == "1 message forgotten\n"
    assert "no header" in relay.command("learn", "spam", "/bin/ls", check=65).stderr
    for words in (["eat", path], ["spam"], ["spam", "--mbox", "--maildir", path]):
        assert relay.command("learn", *words, check=64).stderr
    assert relay.command("learn", "spam", relay.folder / "none", check=65).stderr
    assert re.search(rf"admin quarantine-learnt id={ids[0]} by=\"uid \d+\" as=spam", relay.log())
