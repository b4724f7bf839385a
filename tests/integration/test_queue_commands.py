# SPDX-License-Identifier: Apache-2.0
"""`postern queue` and `postern status`: what waits, why, and what is to become of it."""
import json
import os
import pty
import re
import socket
import subprocess
import threading
import time

import pytest

from lib.daemon import postern as command
from lib.daemon import environment
from lib.sink import Sink
from lib.smtp import queued_id
from lib.util import BINARY, free_port, wait_until
from lib.web import control

LONG = "x" * 64 + "@" + ".".join(["y" * 55] * 3) + ".example.com"


class Relay:
    """full.example answers 450 to every recipient; dead.example has no server; nothing is tried twice by itself."""

    def __init__(self, daemon, sink):
        self.daemon, self.sink = daemon, sink
        sink.on("rcpt", "450 4.2.2 mailbox is over quota", match="@full.example")
        self.messages = {
            "dead": self.send("a@dead.example", sender="anna@one.example"),
            "full": self.send("b@full.example", sender="berta@two.example", text="Subject: b\n\n" + "x" * 60 * 100 + "\n"),
            "bounce": self.send("c@full.example", sender=""),
            "both": self.send(["d@full.example", "e@dead.example", "f@fine.example"], sender="Dora@one.example"),
            "long": self.send(LONG, sender="z" * 60 + "@two.example"),
        }
        wait_until(lambda: all(m["state"] == "deferred" for m in daemon.queue()), lambda: daemon.queue())
        sink.wait_to("f@fine.example")

    def send(self, to, sender, text="Subject: x\n\nx\n"):
        return queued_id(self.daemon.send(to, text, sender=sender))

    def __call__(self, *args, check=0):
        return self.daemon.command("queue", *args, check=check)

    def listed(self, *filters):
        """Names of the messages that fit, in the order listed."""
        names = {id: name for name, id in self.messages.items()}
        return [names[m["id"]] for m in json.loads(self("list", "--json", *filters).stdout)["messages"]]


CONFIG = {"queue": {"retry_first": "1h", "retry_max": "1h"}}


def make(make_postern, sink):
    return Relay(make_postern(domains=[{"name": "full.example", "deliver": sink.hop}, {"name": "fine.example", "deliver": sink.hop},
                                       {"name": "example.com", "subdomains": True, "deliver": f"127.0.0.1:{free_port()}"},
                                       {"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"}], **CONFIG), sink)


@pytest.fixture(scope="module")
def relay(module_postern):
    """For tests that only look."""
    sink = Sink()
    yield make(module_postern, sink)
    sink.stop()


@pytest.fixture
def own(postern, sink):
    """For tests that change something."""
    return make(postern, sink)


# ---- looking

ALL = {"dead", "full", "bounce", "both", "long"}


@pytest.mark.parametrize("filters,names", [
    ((), ALL),
    (("--sender", "anna@one.example"), {"dead"}),
    (("--sender", "ANNA@ONE.example"), {"dead"}),
    (("--sender", "@one.example"), {"dead", "both"}),
    (("--sender", "@one"), set()),
    (("--sender", "one"), {"dead", "both"}),
    (("--sender", "<>"), {"bounce"}),
    (("--sender=<>",), {"bounce"}),
    (("--sender", "nna@one.example"), set()),
    (("--recipient", "b@full.example"), {"full"}),
    (("--recipient", "@full.example"), {"full", "bounce", "both"}),
    (("--recipient", "e@dead.example"), {"both"}),
    (("--recipient", "nobody@full.example"), set()),
    (("--recipient", "full", "--sender", "@two.example"), {"full"}),
    (("--destination", "full.example"), {"full", "bounce", "both"}),
    (("--destination", "dead.example"), {"dead", "both"}),
    (("--destination", "ull.example"), set()),
    (("--destination", "127.0.0.1"), ALL),
    (("--reason", "over quota"), {"full", "bounce", "both"}),
    (("--reason", "OVER QUOTA"), {"full", "bounce", "both"}),
    (("--reason", "refused", "--sender", "anna@one.example"), {"dead"}),
    (("--reason", "%"), set()),
    (("--state", "deferred"), ALL),
    (("--state", "held"), set()),
    (("--older", "1h"), set()),
    (("--older", "0s"), ALL),
    (("--older", "1d", "--sender", "<>"), set()),
    (("--sender", "a&sender=b"), set()),
    (("--sender", "ä"), set()),
], ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
@pytest.mark.daily(5)
def test_filters(relay, filters, names):
    assert set(relay.listed(*filters)) == names


def test_destination_by_port(relay):
    assert set(relay.listed("--destination", relay.sink.hop)) == {"full", "bounce", "both"}


def test_sort_and_limit(relay):
    assert relay.listed() == ["dead", "full", "bounce", "both", "long"]  # the oldest first
    assert relay.listed("--sort", "-arrival") == ["long", "both", "bounce", "full", "dead"]
    assert relay.listed("--sort", "-size", "--limit", "1") == ["full"]
    assert relay.listed("--sort", "sender")[:2] == ["bounce", "dead"]
    assert relay.listed("--limit", "2") == ["dead", "full"]
    assert json.loads(relay("list", "--json", "--limit", "2").stdout)["matched"] == 5
    assert "2 of 5 messages" in relay("list", "--limit", "2").stdout


def test_list_fits_a_terminal(relay):
    for args in (("list",), ("list", "--sort", "-size")):
        out = relay(*args).stdout
        assert max(map(len, out.splitlines())) <= 80, out
        assert all(id in out for id in relay.messages.values()) and "5 messages" in out
    assert max(map(len, relay.daemon.command("status").stdout.splitlines())) <= 80 + len(str(relay.daemon.folder))
    for help in (("queue", "--help"), ("status", "--help"), ("--help",), ("check", "--help"), ("send", "--help")):
        assert max(map(len, command(*help, check=0).stdout.splitlines())) <= 110, help


def test_show(relay):
    out = relay("show", relay.messages["both"]).stdout
    for words in ("Dora@one.example", "d@full.example", "e@dead.example", "f@fine.example", "delivered", "over quota",
                  "Connection refused", "127.0.0.2", "deferred", "lan"):
        assert words in out, (words, out)
    told = json.loads(relay("show", relay.messages["both"], relay.messages["bounce"], "--json").stdout)
    assert [m["id"] for m in told] == [relay.messages["both"], relay.messages["bounce"]] and told[1]["sender"] == ""
    rcpts = {r["address"]: r for r in told[0]["recipients"]}
    assert {a: r["status"] for a, r in rcpts.items()} == {"d@full.example": "pending", "e@dead.example": "pending",
                                                         "f@fine.example": "delivered"}
    assert "quota" in rcpts["d@full.example"]["reason"] and "refused" in rcpts["e@dead.example"]["reason"]
    assert "5 messages" in relay("list").stdout


def test_json_is_complete(relay):
    for m in json.loads(relay("list", "--json").stdout)["messages"]:
        assert m["state"] == "deferred" and m["reason"] and m["destination"] and m["age"] >= 0 and m["recipients"]
        assert m["next_try"] > time.time() * 1000 - 5000 and m["size"] > 10


@pytest.mark.parametrize("args,code,words", [
    ((), 64, "usage"), (("bogus",), 64, "bogus"), (("retry",), 64, "filter"), (("delete",), 64, "filter"),
    (("hold", "--all", "--sender", "x"), 64, "--all"), (("show",), 64, "ids"), (("show", "nonsense"), 64, "no message id"),
    (("show", "0000000000000"), 65, "no message"), (("hold", "0000000000000"), 65, ""),
    (("list", "0000000000000"), 64, "filters"), (("list", "--older", "soon"), 64, "soon"), (("list", "--older", "5"), 64, "5"),
    (("list", "--state", "bogus"), 65, "deferred"), (("list", "--limit", "0"), 64, "0"), (("list", "--limit", "x"), 64, "x"),
    (("list", "--sort", "bogus"), 65, ""), (("list", "--bogus"), 64, "--bogus"), (("list", "--sender"), 64, "value"),
    (("delete", "--yes", "--reason", ""), 64, "--reason"), (("hold", "--recipient", ""), 64, "--recipient"),
    (("delete", "--all"), 64, "--yes"), (("delete", "--sender", "@one.example"), 64, "--yes"),
    (("retry", "../status"), 64, ""), (("show", "0000000000000/x"), 64, ""), (("hold", "", "--sender", "@nowhere"), 64, ""),
], ids=lambda v: " ".join(v) if isinstance(v, tuple) else str(v))
@pytest.mark.daily(4)
def test_mistakes(relay, args, code, words):
    done = command("queue", *args[:1], *(("-c", relay.daemon.config_path) if args else ()), *args[1:], check=code, stdin="")
    assert words in done.stderr and set(relay.listed()) == ALL


# ---- deciding

@pytest.mark.slow
def test_hold_release_retry(own):
    """Held: never tried, not even by retry, until released; then it is tried at once."""
    held = [own.messages["full"], own.messages["bounce"]]
    assert "2 messages held" in own("hold", *held).stdout
    assert own.listed("--state", "held") == ["full", "bounce"] and len(own.listed("--state", "deferred")) == 3
    assert "2 messages held" in own("hold", *held).stdout  # again: no harm
    own.sink.clear()
    own("retry", "--all")
    own.sink.wait_to("d@full.example")
    time.sleep(0.5)
    assert not own.sink.to("b@full.example") and own.listed("--state", "held") == ["full", "bounce"]
    assert "1 message released" in own("release", held[0]).stdout
    own.sink.wait_to("b@full.example")
    assert "1 message released" in own("release", "--state", "held").stdout
    own.sink.wait_to("c@full.example")
    wait_until(lambda: set(own.listed()) == {"dead", "both", "long"}, own.listed)


def test_held_survives_a_restart(own):
    own("hold", "--sender", "@one.example")
    own.daemon.restart()
    wait_until(lambda: set(own.listed("--state", "held")) == {"dead", "both"}, own.listed)
    both = json.loads(own("show", own.messages["both"], "--json").stdout)[0]
    assert [r["status"] for r in both["recipients"]] == ["pending", "pending", "delivered"]
    own.sink.clear()
    own("release", own.messages["both"])
    own.sink.wait_to("d@full.example")
    assert not own.sink.to("f@fine.example")


def test_retry_by_destination(own):
    """Also of a destination that is down, before its time."""
    own.sink.clear()
    assert "3 messages" in own("retry", "--destination", "full.example").stdout
    for to in ("b@full.example", "c@full.example", "d@full.example"):
        own.sink.wait_to(to)
    tries = own.daemon.log().count("connection-failed")
    own("retry", "--recipient", "a@dead.example")
    wait_until(lambda: own.daemon.log().count("connection-failed") > tries, own.daemon.log_tail)


def test_delete(own):
    own("delete", own.messages["dead"])
    assert set(own.listed()) == ALL - {"dead"}
    assert "1 message deleted" in own("delete", "--sender", "<>", "--yes").stdout
    assert "0 messages deleted" in own("delete", "--sender", "<>", "--yes").stdout
    done = own("delete", own.messages["dead"], own.messages["full"], check=65)
    assert "1 message deleted" in done.stdout and "1 of the ids" in done.stderr
    assert set(own.listed()) == {"both", "long"}
    assert json.loads(own("delete", "--all", "--yes", "--json").stdout)["matched"] == 2
    assert "0 messages" in own("list").stdout
    own.daemon.restart()
    assert own.listed() == [] and not own.sink.to("anna@one.example")


def ask(relay, answer, *args):
    """`postern queue delete` at a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([str(BINARY), "queue", "delete", *args, "-c", str(relay.daemon.config_path)], stdin=slave,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    os.close(slave)
    os.write(master, answer.encode())
    out, err = process.communicate(timeout=30)
    os.close(master)
    return out + err, process.returncode


def test_delete_asks_at_a_terminal(own):
    """And says how many it would be."""
    out, code = ask(own, "n\n", "--sender", "@one.example")
    assert "2 messages will be removed" in out and "nothing was removed" in out and code == 0
    out, code = ask(own, "\n", "--all")
    assert "5 messages will be removed" in out and "nothing was removed" in out
    assert set(own.listed()) == ALL
    out, code = ask(own, "y\n", "--sender", "@one.example")
    assert "2 messages deleted" in out and code == 0 and set(own.listed()) == {"full", "bounce", "long"}
    out, code = ask(own, "y\n", "--sender", "@one.example")
    assert "no message fits" in out and code == 0


@pytest.mark.slow
def test_two_workers_answer_as_one(postern, make_sink):
    """The queue is that of all workers together."""
    relay = postern(domains=[{"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"}], system={"workers": 3}, **CONFIG)
    ids = [queued_id(relay.send(f"u{i}@dead.example")) for i in range(30)]
    wait_until(lambda: len(relay.queue()) == 30, relay.queue)
    wait_until(lambda: len(relay.status()["figures"]) == 3, relay.status)
    assert {n["spool"]["messages"] for n in relay.status()["figures"]} != {30}
    order = [(m["arrival"], m["id"]) for m in relay.queue()]
    assert order == sorted(order) and {id for _, id in order} == set(ids)
    for sort in ("arrival", "-arrival", "next", "-size", "sender", "-sender", "id", "-attempts"):  # page by page, the last of one with any of them
        seen, after = [], ""
        while got := control(relay, "GET", f"/v1/queue?sort={sort}&limit=7{after}").json["messages"]:
            seen += [m["id"] for m in got]
            after = f"&after={seen[-1]}"
        assert len(seen) == 30 and set(seen) == set(ids), sort
    assert control(relay, "GET", "/v1/queue?after=00000000000000").status == 400
    relay.command("queue", "hold", *ids[:10])
    relay.command("queue", "delete", "--state", "held", "--yes")
    assert {m["id"] for m in relay.queue()} == set(ids[10:])
    assert len(json.loads(relay.command("queue", "list", "--json", "--limit", "7").stdout)["messages"]) == 7


@pytest.mark.slow
def test_more_messages_than_one_answer_holds(postern, make_sink):
    """A decision is about all that fit, not about the first page."""
    relay = postern(domains=[{"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"}], **CONFIG)
    command("send", "--messages", 2500, "--sessions", 4, "--size", 500, "--to", "x@dead.example", f"127.0.0.1:{relay.port}", check=0)
    matched = json.loads(relay.command("queue", "list", "--json", "--limit", "3").stdout)["matched"]
    assert matched == 2500
    assert "2500 messages held" in relay.command("queue", "hold", "--all").stdout
    assert "2500 messages released" in relay.command("queue", "release", "--state", "held").stdout
    assert "2500 messages deleted" in relay.command("queue", "delete", "--recipient", "@dead.example", "--yes").stdout
    assert relay.queue() == []


# ---- the daemon itself

def test_status(relay):
    out = relay.daemon.command("status").stdout
    assert re.search(r"postern [\d.]+, pid \d+", out) and str(relay.daemon.config_path) in out and "deferred 5" in out
    assert f"127.0.0.1:{relay.daemon.port}" in out
    told = json.loads(relay.daemon.command("status", "--json").stdout)
    assert told["pid"] == relay.daemon.process.pid and told["figures"][0]["queue"]["deferred"] == 5
    assert any("quota" in r["reason"] and r["messages"] >= 2 for r in told["figures"][0]["queue"]["reasons"])
    with relay.daemon.client() as c:
        c.ehlo()
        assert json.loads(relay.daemon.command("status", "--json").stdout)["figures"][0]["server"]["sessions"] == 1


def test_nobody_there(relay, tmp_path):
    file = tmp_path / "postern.yaml"
    file.write_text(f"hostname: mx.example.com\nsystem: {{run_directory: {tmp_path}/run}}\n")
    for args in (("queue", "list"), ("queue", "show", "0000000000000"), ("queue", "delete", "--all", "--yes"), ("status",), ("reload",)):
        done = command(*args, "-c", file, check=69)
        assert "postern is not running" in done.stderr and str(tmp_path) in done.stderr and not done.stdout
    assert command("queue", "list", "--socket", tmp_path / "none", check=69).stderr
    assert json.loads(command("queue", "list", "--json", "--socket", f"{relay.daemon.config['system']['run_directory']}/control.sock",
                              check=0).stdout)["matched"] == 5


@pytest.mark.slow
def test_a_socket_that_does_not_answer(tmp_path):
    """A peer that takes the connection and closes it is no answer."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen(5)

        def serve():
            for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"):
                peer = s.accept()[0]
                peer.recv(1000)
                peer.sendall(answer)
                peer.close()
        threading.Thread(target=serve, daemon=True).start()
        for _ in range(3):
            done = command("queue", "list", "--socket", path)
            assert done.returncode in (65, 69) and done.stderr.startswith("postern: ")
