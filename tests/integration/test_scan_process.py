# SPDX-License-Identifier: Apache-2.0
"""The processes that look into messages: they may be killed, held up and replaced at any moment, and no mail is lost or left without an
answer; and the command that does the same with a file."""
import contextlib
import json
import os
import pathlib
import random
import signal
import threading
import time

import pytest

from lib.daemon import postern as run
from lib.smtp import TRUSTED, Closed, Smtp
from lib.util import wait_until
from test_processes import root

PLAIN = "From: a@client.example\nTo: b@example.com\nSubject: hello\n\nsome text\n"
FILE = """From: a@client.example
To: b@example.com
Subject: a file
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x

text
--x
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="{name}"

content
--x--
"""


def crash(what):
    return PLAIN.replace("Subject:", f"X-Crash-Test: {what}\nSubject:")


def code_of(relay, to, text):
    """Of the reply to the text."""
    with Smtp(relay.port, source=TRUSTED, timeout=60) as c:
        c.ehlo()
        return c.message(to, text, expect=None).code


def children(pid):
    with contextlib.suppress(OSError):
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@pytest.fixture
def make(postern, make_sink, monkeypatch):
    monkeypatch.setenv("POSTERN_SCAN_CRASH", "1")

    def one(**changes):
        sink = make_sink()
        relay = postern(**{"domains": [{"name": "example.com", "deliver": sink.hop}], "attachments": {"enabled": True},
                                "spam": {"enabled": False}, **changes})
        relay.sink = sink
        wait_until(lambda: scan(relay).get("processes"), lambda: f"scan processes\n{relay.log_tail()}")
        return relay
    return one


def scan(relay):
    """What the workers know of it."""
    return next((f["scan"] for f in relay.status()["figures"] if "scan" in f), {})


# ---- the command

def command(tmp_path, text, *args, check=0, **kw):
    path = tmp_path / "message.eml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return run("scan", path, *args, check=check, **kw).stdout


@pytest.mark.root
def test_shares_no_memory(make):
    """What workers count together for limits is out of reach of who takes strangers' messages apart."""
    relay = make()
    assert "rw-s" not in pathlib.Path(f"/proc/{relay.pid('scan')}/maps").read_text()


@pytest.mark.slow
def test_the_command_says_pass_or_block(tmp_path):
    assert command(tmp_path, PLAIN).splitlines()[0] == "pass"
    told = command(tmp_path, FILE.format(name="invoice.pdf.exe")).splitlines()
    assert told[0] == "block" and any("blocked: extension exe" in line for line in told)
    assert command(tmp_path, FILE.format(name="notes.txt")).startswith("pass\n")
    assert command(tmp_path, FILE.format(name="a.exe").replace("\n", "\r\n")).startswith("block\n"), "both line ends are fine"
    for line in ("From somebody", "From a@b.example Sun Nov 22 10:00:00 2026"):
        assert command(tmp_path, line + "\n" + FILE.format(name="a.exe")).startswith("block\n"), "so is an mbox"


def test_the_command_tells_all_as_json(tmp_path):
    told = json.loads(command(tmp_path, FILE.format(name="invoice.exe"), "--json"))
    assert told["verdict"] == "block"
    part = next(p for p in told["parts"] if p.get("name") == "invoice.exe")
    assert part["blocked"] == "extension exe" and part["file"] and "executable" in part["findings"]
    assert ["Subject", "a file"] in told["headers"] and "text" in told["text"]


@pytest.mark.daily(3)
@pytest.mark.parametrize("text", ["", "\n", "no header at all", "a: b\n", "\0\0\0", "Content-Type: multipart/mixed\n\n--\n", "\xff" * 100])
def test_any_bytes_are_a_message(tmp_path, text):
    assert command(tmp_path, text.encode("latin-1")).startswith("pass\n")


def test_the_command_does_not_pass_control_characters_on(tmp_path):
    told = command(tmp_path, FILE.format(name="=?utf-8?q?a=1B[31m=0A.exe?="))
    assert "\x1b" not in told and told.startswith("block\n")


def test_the_command_is_used_wrongly(tmp_path):
    assert "which file" in run("scan", check=64).stderr
    assert run("scan", "--no-such-option", "x", check=64).stderr
    assert run("scan", tmp_path / "none.eml", check=66).stderr
    (tmp_path / "bad.yaml").write_text("hostname: x y\n")
    (tmp_path / "m.eml").write_text(PLAIN)
    assert run("scan", "-c", tmp_path / "bad.yaml", tmp_path / "m.eml", check=78).stderr


def test_the_command_obeys_a_configuration(tmp_path):
    config = tmp_path / "postern.yaml"
    config.write_text(json.dumps({"hostname": "mx.example.com", "attachments": {"enabled": True, "extensions": ["txt"]},
                                  "spam": {"enabled": False}, "system": {"directory": str(tmp_path)}}))
    (tmp_path / "scan").mkdir()
    assert command(tmp_path, FILE.format(name="a.txt"), "-c", config).startswith("block\n")
    assert command(tmp_path, FILE.format(name="a.exe"), "-c", config).startswith("pass\n")


def test_the_command_says_who_did_not_look(tmp_path):
    config = tmp_path / "postern.yaml"
    config.write_text(json.dumps({"hostname": "mx.example.com", "spam": {"enabled": False}, "system": {"directory": str(tmp_path)},
                                  "scanners": [{"name": "av", "type": "clamd", "address": "unix:/nonexistent"}]}))
    told = command(tmp_path, PLAIN, "-c", config, check=75).splitlines()
    assert told[:2] == ["pass", "not looked at by av: down"]
    assert json.loads(command(tmp_path, PLAIN, "-c", config, "--json", check=75))["scanners"][0]["state"] == "down"


# ---- the process

@pytest.mark.slow
def test_without_a_table_of_tokens_the_rest_works(make, postern):
    """A full disk or rights that lack must not stop what looks for viruses."""
    relay = make()
    path = relay.folder / "data" / "scan"
    assert not (path / "tokens").exists(), "nobody classifies"
    (path / "tokens.new").mkdir()
    relay.write({"spam": {"enabled": True, "dns": False}, "scan": {"processes": 3}})
    relay.command("reload")
    wait_until(lambda: "there is no classifier" in relay.command("status").stdout, lambda: relay.log_tail())
    wait_until(lambda: scan(relay).get("processes") == 3, "all of them")
    assert relay.log().count("no-classifier") == 1 and "tokens.new" in relay.command("status").stdout
    assert code_of(relay, "b@example.com", FILE.format(name="a.exe")) == 550
    assert relay.send("b@example.com", PLAIN).code == 250


@pytest.mark.slow
def test_the_status_tells_why_none_begins(make, tmp_path):
    relay = make()
    rules = tmp_path / "own.rules"
    rules.write_text("")
    relay.write({"spam": {"enabled": True, "dns": False, "rules": [str(rules)]}})
    relay.command("reload")
    wait_until(lambda: scan(relay).get("processes") and "there is no" not in relay.command("status").stdout, "the new ones")
    rules.write_text("this is no rule\n")
    for pid in children(relay.pid("scan")):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "own.rules:1" in relay.command("status").stdout, lambda: relay.command("status").stdout)
    rules.write_text("")
    wait_until(lambda: "cannot begin" not in relay.command("status").stdout, lambda: relay.command("status").stdout)


@pytest.mark.slow
def test_the_status_right_after_a_reload(make):
    relay = make()
    for n in range(3):
        relay.write({"scan": {"processes": n + 1}})
        relay.command("reload")
        assert "scan: " in relay.command("status").stdout

def test_the_status_tells_of_it(make):
    relay = make(scan={"processes": 3}, scanners=[{"name": "av", "type": "clamd", "address": "unix:/nonexistent"}])
    wait_until(lambda: scan(relay)["processes"] == 3, "all of them")
    told = relay.command("status").stdout
    assert "scan: 0 of 3 processes busy, 0 waiting" in told and "scanner av: fine" in told
    assert len(children(relay.pid("scan"))) == 3


def test_nothing_is_started_when_nothing_is_looked_for(postern):
    relay = postern(spam={"enabled": False})
    relay.send("postmaster@mx.postern.example")
    assert "scan" not in relay.processes().values()


@pytest.mark.slow
def test_children_are_replaced(make):
    relay = make()
    for _ in range(3):
        before = children(relay.pid("scan"))
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(children(relay.pid("scan"))) - set(before)) == len(before), "others")
    wait_until(lambda: scan(relay)["crashes"] == 3 * len(before), "them to be counted")


@pytest.mark.slow
def test_children_end_with_the_dispatcher(make):
    relay = make()
    dispatcher = relay.pid("scan")
    pids = children(dispatcher)
    os.kill(dispatcher, signal.SIGKILL)
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "their end")
    wait_until(lambda: relay.pid("scan") != dispatcher and children(relay.pid("scan")), "the next one")
    relay.wait_log("scan-process-gone")


def flood(relay, stop, replies, source):
    """Mail, one after the other, for as long as it is wanted: what each got for an answer."""
    n = 0
    while not stop.is_set():
        n += 1
        to = f"{source.replace('.', '-')}-{n}@example.com"
        with contextlib.suppress(Closed, OSError), Smtp(relay.port, source=source, timeout=60) as c:
            c.ehlo()
            c.mail()
            c.rcpt(to)
            c.cmd("DATA", 354)
            c.send(PLAIN.replace("\n", "\r\n") + ".\r\n")
            replies[to] = c.reply().code


@pytest.mark.slow
@pytest.mark.parametrize("who", ["children", "dispatcher", "both"])
def test_mail_flows_while_they_are_killed(make, who):
    relay = make(scan={"timeout": "5s", "unpack_time": "2s"})
    stop, replies, dice = threading.Event(), {}, random.Random(5)
    threads = [threading.Thread(target=flood, args=(relay, stop, replies, f"127.0.0.{n}")) for n in (2, 3, 4)]
    for t in threads:
        t.start()
    for _ in range(8):
        time.sleep(dice.uniform(0.1, 0.6))
        dispatcher = relay.pid("scan")
        pids = children(dispatcher)
        with contextlib.suppress(ProcessLookupError):
            if who != "dispatcher" and pids:
                os.kill(dice.choice(pids), signal.SIGKILL)
            if who != "children" and dice.random() < 0.5:
                os.kill(dispatcher, signal.SIGKILL)
    time.sleep(1)
    stop.set()
    for t in threads:
        t.join(60)
    taken = [to for to, code in replies.items() if code == 250]
    assert len(taken) > 5 and {code for code in replies.values()} <= {250, 451}, replies
    for to in taken:
        relay.sink.wait_to(to)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["abort", "hang"])
def test_a_message_that_ends_them_twice_is_put_aside(make, what):
    relay = make(scan={"timeout": "2s", "unpack_time": "1s"})
    assert relay.send("b@example.com", crash(what)).code == 250
    assert relay.log().count("scan-crash" if what == "abort" else "scan-timeout") == 2
    told = wait_until(lambda: relay.ask("/v1/quarantine")["messages"], "it to be in the quarantine")
    assert told[0]["kind"] == "crash"
    assert relay.send("c@example.com", PLAIN).code == 250
    relay.sink.wait_to("c@example.com")
    assert not relay.sink.to("b@example.com")


def test_what_is_blocked_is_refused(make):
    relay = make()
    assert code_of(relay, "b@example.com", FILE.format(name="a.exe")) == 550
    assert relay.send("b@example.com", FILE.format(name="a.txt")).code == 250
    big = FILE.format(name="a.exe").replace("content\n", "x" * 70 + "\n", 1)
    big = big.replace("x" * 70 + "\n", ("x" * 70 + "\n") * 5000)
    assert code_of(relay, "b@example.com", big) == 550, "one with a file of its own in the spool"


@pytest.mark.slow
def test_long_ones_hold_up_no_other(make):
    """A large message waits for a large one, not small ones for them."""
    relay = make(scan={"processes": 2, "timeout": "10s", "unpack_time": "5s"})
    big = crash("hang").replace("some text\n", ("x" * 70 + "\n") * 20000)
    replies = []

    def one():
        with contextlib.suppress(Closed, OSError):
            replies.append(code_of(relay, "big@example.com", big))
    threads = [threading.Thread(target=one) for _ in range(3)]
    for t in threads:
        t.start()
    wait_until(lambda: scan(relay)["busy"] == 1 and scan(relay)["queue"] == 2, "them to wait")
    began = time.monotonic()
    for n in range(5):
        assert relay.send(f"small{n}@example.com", PLAIN).code == 250
    assert time.monotonic() - began < 5 and not replies
    relay.kill()
    for t in threads:
        t.join(30)


@pytest.mark.slow
def test_no_process_no_answer_later(make):
    """While it cannot be asked, what must be looked into waits at the sender's."""
    relay = make(scan={"timeout": "2s", "unpack_time": "1s"})
    pid = relay.pid("scan")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert code_of(relay, "b@example.com", PLAIN) == 451
    finally:
        os.kill(pid, signal.SIGCONT)
    assert relay.send("b@example.com", PLAIN).code == 250


@pytest.mark.slow
def test_a_reload_brings_new_ones(make):
    relay = make()
    stop, replies = threading.Event(), {}
    thread = threading.Thread(target=flood, args=(relay, stop, replies, TRUSTED))
    thread.start()
    former = relay.pid("scan")
    relay.write({"scan": {"processes": 1}})
    relay.command("reload")
    wait_until(lambda: relay.pid("scan") != former and not os.path.exists(f"/proc/{former}"), "the former one to end")
    time.sleep(0.5)
    stop.set()
    thread.join(60)
    assert set(replies.values()) == {250}
    assert len(children(relay.pid("scan"))) == 1


@pytest.mark.slow
def test_a_reload_refuses_what_cannot_be_used(make, tmp_path):
    relay = make()
    rules = tmp_path / "bad.rules"
    rules.write_text("this is no rule\n")
    relay.write({"spam": {"enabled": True, "rules": [str(rules)]}})
    done = relay.command("reload", check=78)
    assert "bad.rules:1" in done.stdout + done.stderr
    done = relay.command("check", check=78)
    assert "bad.rules:1" in done.stdout


@root
def test_they_have_few_rights(make):
    relay = make()
    for pid in children(relay.pid("scan")):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert "no-seccomp" in relay.log() or "Seccomp:\t2" in status
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if line.startswith("Max core")).split()[4] == "0"
