#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How soon the web pages are seen: first contentful paint of each page in Chromium (median, and the slowest), when it is complete with its data, and the bytes
that came, compressed as they come, for a browser that has nothing of it in its cache. The relay has mail in its history and in its queue.
    web_bench.py PATH_TO_POSTERN [--loads N] [--messages N] [PAGE ...]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["dashboard", "tracking", "queue", "quarantine", "policy", "domains", "content", "keys", "reports", "system", "explain", "account"]


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("postern")
    p.add_argument("pages", nargs="*", default=PAGES)
    p.add_argument("--loads", type=int, default=10)
    p.add_argument("--messages", type=int, default=300)
    return p.parse_intermixed_args()


args = arguments()
os.environ["POSTERN_BUILD"] = str(pathlib.Path(args.postern).resolve().parent)
sys.path.insert(0, str(ROOT / "tests/integration"))
sys.dont_write_bytecode = True
from lib.daemon import Postern  # noqa: E402
from lib.sink import Sink  # noqa: E402
from lib.web import make_account, on, wait_web  # noqa: E402


def fill(relay, n):
    with relay.trusted() as c:
        c.ehlo()
        for i in range(n):
            c.message(f"eve{i}@{'down.example' if i % 4 == 0 else 'example.com'}", f"Subject: message {i}\n\ntext\n", f"sender{i % 50}@client.example")


def measure(relay, folder):
    given = {"pages": args.pages, "loads": args.loads, "artifacts": str(folder)}
    done = subprocess.run(["node", str(ROOT / "tests/web/paint.mjs"), f"https://{relay.config['web']['listen']}", json.dumps(given)], capture_output=True,
                          text=True, env={**os.environ, "HOME": str(folder)}, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        sys.exit(f"{lines[-1:]}\n{done.stderr}")
    return [one for one in lines if "page" in one]


def table(loads):
    print(f"{'page':14}{'paint ms':>10}{'slowest':>10}{'complete ms':>13}{'KB':>8}")
    for page in args.pages:
        these = [one for one in loads if one["page"] == page]
        paints = [one["paint"] for one in these]
        print(f"{page:14}{statistics.median(paints):10.0f}{max(paints):10.0f}{statistics.median(one['ready'] for one in these):13.0f}"
              f"{statistics.median(one['bytes'] for one in these) / 1000:8.1f}")


with tempfile.TemporaryDirectory(prefix="postern-web-", dir=os.environ.get("TMPDIR", "/var/tmp")) as made:
    sink, relay = Sink(), None
    try:
        relay = Postern(pathlib.Path(made) / "relay", {"web": on(), "log": {"level": "info"}, "queue": {"retry_first": "1h", "retry_max": "2h"}, "domains": [
            {"name": "example.com", "deliver": sink.hop}, {"name": "down.example", "deliver": "127.0.0.1:9"}]})
        wait_web(relay)
        make_account(relay, "root")
        fill(relay, args.messages)
        table(measure(relay, pathlib.Path(made)))
    finally:
        if relay:
            relay.stop()
        sink.stop()
