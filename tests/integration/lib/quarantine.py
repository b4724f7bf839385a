# SPDX-License-Identifier: Apache-2.0
"""Messages for the quarantine, without a check that wants them there: they are put into the spool of a relay that is stopped."""
import json
import subprocess

from lib.daemon import environment
from lib.util import BUILD, wait_until

FILL = BUILD / "tests/content/quarantine_fill"
KINDS = {"spam": 1, "virus": 2, "file": 3, "rule": 4, "crash": 5, "auth": 6}
TEXT = "From: Eve <eve@stranger.example>\r\nTo: bob@example.com\r\nSubject: Win now\r\nMIME-Version: 1.0\r\n\r\nClick here.\r\n.dots\r\n"


def mail(to="bob@example.com", kind="spam", **more):
    to = [to] if isinstance(to, str) else to
    return {"kind": KINDS[kind], "recipients": to, "sender": "eve@stranger.example", "subject": "Win now", "reason": "score 12.3 is above 10",
            "score": 1230, "text": TEXT, "prepend": "Received: from client.example\r\n\tby mx.postern.example\r\n",
            "flags": 2, "findings": json.dumps({"symbols": [{"name": "A"}, {"name": "B"}]}), **more}


def fill(relay, mails, number=0):
    """Returns their ids. The relay is not running."""
    folder = relay.folder / f"data/spool/{number}"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([FILL, folder], input="\n".join(json.dumps(m) for m in mails), capture_output=True, text=True, timeout=120,
                          env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def refill(relay, mails):
    """The same with a relay that runs: it is stopped and started again."""
    relay.stop()
    ids = fill(relay, mails)
    relay.start()
    return ids


def listed(relay, *args):
    return json.loads(relay.command("quarantine", "list", "--json", *args).stdout)["messages"]


def figures(relay):
    return relay.status().get("store", {}).get("quarantine", {})


def wait_held(relay, n, seconds=30):
    """All that were filled in are in the quarantine, and nothing of them is in the spool."""
    wait_until(lambda: figures(relay).get("messages") == n and not relay.queue(),
               lambda: f"{n} in the quarantine; {figures(relay)} {relay.queue()}\n{relay.log_tail()}", seconds, 0.1)
    return listed(relay, "--limit", "1000")
