# SPDX-License-Identifier: Apache-2.0
"""A million deferred messages: what they cost in memory, and that all else goes on. Made with the release build if
there is one; on a slow machine with what came in until patience ended, at least 100,000."""
import json
import os
import pathlib
import re
import time

import pytest

import lib.daemon
import lib.load
from lib.daemon import postern as command
from lib.load import Load, SinkProgram, account, children, queued_n
from lib.util import ROOT, free_port, wait_until

WANTED = int(os.environ.get("POSTERN_MANY", 1_000_000))
PATIENCE, ENOUGH = 150, 100_000
BYTES_EACH = 300
pytestmark = pytest.mark.slow


@pytest.fixture
def release(monkeypatch):
    binary = pathlib.Path(os.environ.get("POSTERN_RELEASE", ROOT / "build" / "postern"))
    if not binary.exists():
        return False
    monkeypatch.setattr(lib.daemon, "BINARY", binary)
    monkeypatch.setattr(lib.daemon.Postern, "binary", binary)
    monkeypatch.setattr(lib.load, "BINARY", binary)
    return True


def private_memory(daemon):
    """Bytes the workers have for themselves."""
    total = 0
    for pid in children(daemon, "relay-"):
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += 1024 * sum(int(n) for n in re.findall(r"Private_(?:Clean|Dirty): +(\d+) kB", text))
    return total


def timed(what, seconds, call):
    """seconds: for sanity, not for speed."""
    begin = time.monotonic()
    result = call()
    took = time.monotonic() - begin
    print(f"{what}: {took:.2f} s")
    assert took < seconds, f"{what} took {took:.1f} s"
    return result


def fill(folder, daemon):
    load = Load(folder, daemon.port, "dead", "--sessions", 20, "--pipeline", "--size", 600, messages=WANTED, retry=0,
                to="a@dead.example", binary=lib.load.BINARY)
    end = time.monotonic() + PATIENCE
    while load.running() and time.monotonic() < end:
        time.sleep(0.5)
    if load.running():
        load.process.terminate()
    load.process.communicate(timeout=60)
    return load.accepted_n()


def list_ten(daemon):
    done = command("queue", "list", "--limit", "10", "--json", "-c", daemon.config_path, timeout=60, check=0)
    return json.loads(done.stdout)


def deliver_live(folder, daemon, live, name):
    load = Load(folder, daemon.port, name, "--sessions", 4, messages=500, to="a@live.example", binary=lib.load.BINARY)
    load.wait(120)
    wait_until(lambda: load.expected() <= set(live.arrived()), "live mail to arrive", 120)
    return load


def test_a_million_deferred_messages(release, postern, tmp_path):
    live = SinkProgram(tmp_path / "live", binary=lib.load.BINARY)
    daemon = postern(domains=[{"name": "live.example", "deliver": live.hop},
                              {"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"}],
                     queue={"retry_first": "5m", "retry_max": "4h"}, system={"drain": "5s"}, guard={"outbound": {"enabled": False}}, log={"level": "warning"})
    try:
        before = private_memory(daemon)
        begin = time.monotonic()
        n = fill(tmp_path, daemon)
        print(f"{n} messages in {time.monotonic() - begin:.0f} s, {'release' if release else 'test'} build")
        assert n >= min(WANTED, ENOUGH), "too few for a verdict"
        look(tmp_path, daemon, live, n, before, release, "in the first run")
        timed("stop", 60, daemon.stop)
        begin = time.monotonic()
        timed("start, until it listens", 60, daemon.start)
        first = deliver_live(tmp_path, daemon, live, "early")
        wait_until(lambda: (queued_n(daemon) or 0) >= n, lambda: f"{n} messages, not {queued_n(daemon)}", 180, 0.3)
        print(f"all read again after {time.monotonic() - begin:.1f} s, with 500 messages delivered meanwhile")
        account([first], [live], "while the spool was read")
        look(tmp_path, daemon, live, n, before, release, "after a restart")
        everything = ("--all", "--yes", "-c", daemon.config_path)
        timed("delete all", 240, lambda: command("queue", "delete", *everything, timeout=240))
        wait_until(lambda: queued_n(daemon) == 0, lambda: f"an empty queue: {queued_n(daemon)}", 60)
    finally:
        live.stop()


def look(folder, daemon, live, n, before, release, when):
    assert queued_n(daemon) >= n
    each = (private_memory(daemon) - before) / n
    print(f"{when}: {each:.0f} bytes a message")
    assert not release or each < BYTES_EACH
    answer = timed("queue list --limit 10", 20, lambda: list_ten(daemon))
    assert len(answer["messages"]) == 10 and answer["matched"] >= n
    name = f"live {when}".replace(" ", "-")
    load = timed("500 messages to a live destination", 120, lambda: deliver_live(folder, daemon, live, name))
    account([load], [live], when)
