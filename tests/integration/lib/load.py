# SPDX-License-Identifier: Apache-2.0
"""Load, and the account of it: `postern send` and `postern sink` with their ledgers; the daemon's processes by name."""
import collections
import contextlib
import http.client
import json
import pathlib
import signal
import subprocess

from lib.daemon import SANITIZER, postern, environment
from lib.smtp import TRUSTED
from lib.util import BINARY, free_port, listens, wait_until


class SinkProgram:
    """`postern sink`, which writes down each message before it takes it. options: "--fail", "rcpt=451%30" ..."""

    def __init__(self, folder, *options, binary=BINARY):
        self.port, self.ledger, self.binary = free_port(), folder / "sink.ledger", binary
        self.process, self.log_path = None, folder / "sink.log"
        folder.mkdir(parents=True, exist_ok=True)
        self.ledger.touch()
        self.start(*options)

    @property
    def hop(self):
        return f"127.0.0.1:{self.port}"

    def start(self, *options):
        """Starts it (again); what it took before stays in the account."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.binary, "sink", "--listen", self.hop, "--ledger", self.ledger,
                                             "--quiet", *options], stdout=log, stderr=log, env=environment())
        wait_until(lambda: listens(self.port), "the sink to listen", 30)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
            self.process = None
        log = self.log_path.read_text(errors="replace")
        assert not SANITIZER.search(log), log

    def arrived(self):
        """How often each (message, recipient) came."""
        count = collections.Counter()
        for line in self.ledger.read_text().splitlines():
            marker, *rcpts = line.split()
            count.update((marker, rcpt) for rcpt in rcpts)
        return count


class Load:
    """`postern send` in the background. What got no answer, or a 4xx, is tried again for `retry` seconds."""

    def __init__(self, folder, port, name, *options, messages, to, recipients=1, retry=90, binary=BINARY):
        self.name, self.ledger, self.messages = name, folder / f"send-{name}.ledger", messages
        self.to, self.recipients = to, recipients
        folder.mkdir(parents=True, exist_ok=True)
        command = [binary, "send", "--json", "--source", TRUSTED, "--run", name, "--ledger", self.ledger, "--to", to,
                   "--messages", messages, "--recipients", recipients, *(["--retry", retry] if retry else []),
                   *options, f"127.0.0.1:{port}"]
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=environment())

    def running(self):
        return self.process.poll() is None

    def wait(self, seconds=120, complete=True):
        """The summary. complete: all must have been accepted in the end."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end in {seconds} s, {self.accepted_n()} accepted") from None
        assert not SANITIZER.search(err), err
        summary = json.loads(out.splitlines()[-1])
        assert not complete or summary["accepted"] == self.messages, (summary, err)
        return summary

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def accepted_n(self):
        return len(self.accepted())

    def accepted(self):
        """The numbers of the messages whose 250 was read."""
        text = self.ledger.read_text() if self.ledger.exists() else ""
        return [int(line) for line in text.splitlines()]

    def expected(self):
        """All that must arrive: {(message, recipient)}."""
        local, domain = self.to.split("@")
        rcpts = [self.to] if self.recipients == 1 else [f"{local}-{i + 1}@{domain}" for i in range(self.recipients)]
        return {(f"{self.name}-{n}", rcpt) for n in self.accepted() for rcpt in rcpts}


def account(loads, sinks, what=""):
    """Everything acknowledged must have arrived. Prints and returns how much came twice."""
    arrived = sum((sink.arrived() for sink in sinks), collections.Counter())
    expected = set().union(*(load.expected() for load in loads))
    lost = sorted(expected - set(arrived))
    assert not lost, f"{len(lost)} of {len(expected)} acknowledged recipients were lost: {lost[:20]}"
    names = {load.name for load in loads}
    arrived = {key: n for key, n in arrived.items() if key[0].rsplit("-", 1)[0] in names}
    twice = sum(n - 1 for n in arrived.values())
    print(f"{what}: {len(expected)} acknowledged, all arrived, {twice} of them more than once,"
          f" {len(set(arrived) - expected)} without an answer")
    return twice


def wait_drained(daemon, seconds=90):
    """Until no message is left, neither in a queue nor in a spool that nobody has adopted yet."""
    wait_until(lambda: queued_n(daemon) == 0 and sum(map(spool_messages, spool_folders(daemon))) == 0,
               lambda: f"an empty queue: {queued_n(daemon)} in queues, in spools "
                       f"{list(map(spool_messages, spool_folders(daemon)))}\n{daemon.log_tail(30)}", seconds, 0.2)


def queued_n(daemon):
    """Messages in the queues of all workers; None while they cannot be asked."""
    with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
        return sum(worker["queue"]["messages"] for worker in daemon.status()["figures"])


def spool_messages(folder):
    """Live messages in a spool folder, by `postern spool verify`."""
    return json.loads(postern("spool", "verify", "--json", folder, timeout=120).stdout)["messages"]


def spool_folders(daemon):
    root = pathlib.Path(daemon.config["system"]["directory"]) / "spool"
    return sorted((p for p in root.iterdir() if p.is_dir()), key=lambda p: int(p.name)) if root.exists() else []


def children(daemon, name):
    """The pids of the daemon's processes whose name begins so: "relay-", "admin"."""
    return [pid for pid, its in daemon.processes().items() if its.startswith(name)]
