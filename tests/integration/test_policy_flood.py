# SPDX-License-Identifier: Apache-2.0
"""A flood of strangers that never came before: what is remembered of them is bounded, and whoever behaves gets his mail through meanwhile."""
import asyncio
import collections
import concurrent.futures
import contextlib
import json
import multiprocessing
import pathlib
import re
import sqlite3
import statistics
import time

import pytest

from lib.smtp import Smtp, queued_id
from lib.util import wait_until

ENTRIES = 1000           # of each kind, the fewest that can be set
HISTORY = 16 << 20
GOOD = "127.200.0.1"     # a stranger, too
CONNECTIONS = 10000
AT_ONCE = 100


def address(n):
    """5000 of them, each in a /24 of its own."""
    n %= 5000
    return f"127.{1 + n // 200}.{n % 200}.7"


async def attack(port, n, seen):
    """Connection n: a sender and recipient nobody has seen, every fourth at a domain that is not ours."""
    writer = None
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, local_addr=(address(n), 0)), 60)
        if not (await asyncio.wait_for(reader.readline(), 60)).startswith(b"220"):
            seen["not greeted"] += 1
            return
        writer.write(f"EHLO host{n}.flood.example\r\n".encode())
        await asyncio.wait_for(reader.readuntil(b"\n250 "), 60)
        await reader.readline()
        to = "elsewhere.example" if n % 4 == 0 else "example.com"
        writer.write(f"MAIL FROM:<s{n}@f{n}.example>\r\nRCPT TO:<r{n}@{to}>\r\nQUIT\r\n".encode())
        replies = (await asyncio.wait_for(reader.read(-1), 60)).split(b"\r\n")
        seen[replies[1][:3].decode()] += 1
    except (OSError, EOFError, asyncio.TimeoutError) as e:
        seen[type(e).__name__] += 1
    finally:
        if writer:
            writer.close()


def flood(port, first, last):
    """In a process of its own. How often each reply to RCPT was seen."""
    seen, numbers = collections.Counter(), iter(range(first, last))

    async def worker():
        for n in numbers:
            await attack(port, n, seen)

    async def crowd():
        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    asyncio.run(crowd())
    return dict(seen)


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def on_disk(relay):
    return {f.name: f.stat().st_size for f in (relay.folder / "data/store").iterdir()}


def remembered(relay):
    with contextlib.closing(sqlite3.connect(f"file:{relay.folder}/data/store/memory.db?mode=ro", uri=True, timeout=10)) as db:
        return dict(db.execute("SELECT space, count(*) FROM memory GROUP BY space"))


class Good:
    """A client like any other, which has passed greylisting. Each message is timed, from the connection to the reply to its text."""

    def __init__(self, relay):
        self.relay, self.took, self.sent = relay, [], []

    def send(self):
        to = f"good{len(self.sent)}@example.com"
        began = time.monotonic()
        with Smtp(self.relay.port, source=GOOD) as c:
            c.ehlo("mx.good.example")
            reply = c.message(to, sender="joe@good.example")
        self.took.append(time.monotonic() - began)
        self.sent.append((to, queued_id(reply)))

    def greet(self):
        with Smtp(self.relay.port, source=GOOD) as c:
            c.ehlo("mx.good.example")
            c.mail("joe@good.example")
            c.rcpt("good0@example.com", expect=450)
        time.sleep(1.1)
        self.send()


@pytest.mark.slow
def test_flood(postern, sink, knot, monkeypatch):
    # Freed memory that a sanitizer keeps back for a while is none that the relay holds.
    monkeypatch.setenv("ASAN_OPTIONS", "abort_on_error=0:exitcode=99:detect_leaks=1:quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
    dns = knot({"127.in-addr.arpa": ""})
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], dns={"servers": [dns.server]}, log={"level": "info"},
                    store={"entries": ENTRIES, "history_size": "16M"}, limits={"connections": 1000}, checks={
                        "greeting_pause": {"enabled": True, "pause": "20ms"},
                        "client_limits": {"enabled": True, "connections": 50, "rate": 1000},
                        "recipient_limit": {"enabled": True},
                        "block": {"clients": ["127.100.0.0/16"], "senders": [".spam.example"]},
                        "helo": {"reject_invalid": True, "reject_non_fqdn": True},
                        "greylist": {"enabled": True, "delay": "1s", "private_exempt": False},
                        "reputation": {"enabled": True, "reject_below": "10%"}})
    good, seen, marks, connections = Good(relay), collections.Counter(), [], CONNECTIONS
    good.greet()
    pids = {name: relay.pid(name) for name in ("relay-0", "store")}
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as other:
        for first, last in ((0, connections // 2), (connections // 2, connections)):
            wave = other.submit(flood, relay.port, first, last)
            while not wave.done():
                good.send()
                time.sleep(0.1)
            seen.update(wave.result())
            marks.append({name: rss(pid) for name, pid in pids.items()})
    took = good.took[1:]
    print(f"{connections} connections {dict(seen)}; {len(took)} messages, median {statistics.median(took) * 1000:.0f} ms,"
          f" slowest {max(took) * 1000:.0f} ms; memory {marks}; files {on_disk(relay)}; remembered {remembered(relay)}")

    # all of the flood were answered, and none of it was taken
    assert seen["450"] + seen["550"] == connections and seen["550"] == connections // 4, seen
    # who behaves was served
    assert len(took) >= 3 and statistics.median(took) < 1 and max(took) < 5, took
    # nobody fell over
    assert {name: relay.pid(name) for name in pids} == pids
    # the second half found the memory full, and cost none
    for name in pids:
        assert marks[1][name] - marks[0][name] < 16 << 10, marks
    files = on_disk(relay)
    assert sum(size for name, size in files.items() if name.startswith("memory")) < 24 << 20, files  # most is the log of writes
    assert sum(size for name, size in files.items() if name.startswith("history")) < HISTORY + (16 << 20), files
    wait_until(lambda: max(remembered(relay).values()) <= ENTRIES, lambda: remembered(relay), 10, 0.5)
    # nothing was lost
    for to, key in good.sent:
        assert sink.wait_to(to).rcpts == [to], key
    relay.wait_queue_empty()
    story = json.loads(relay.command("trace", "--json", "--sender", "good.example", "--outcome", "delivered", "--limit", "1000").stdout)
    assert {m["id"] for m in story["messages"]} >= {key for _, key in good.sent[-3:]}
    # the flood is told of, too
    assert json.loads(relay.command("trace", "--json", "--sender", f"s{connections - 1}@f{connections - 1}.example").stdout)["messages"]
