# SPDX-License-Identifier: Apache-2.0
"""The daemon under test: its configuration, its start and its stop, and what must not be in its log."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess

from lib.smtp import Smtp, TRUSTED
from lib.util import BINARY, free_port, merge, wait_until

SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|Assertion .* failed")


# One authority in place of the system's hundred and fifty: with a sanitizer, to read those takes two thirds of a start.
AUTHORITIES = min(pathlib.Path("/usr/share/ca-certificates").rglob("*.crt"), default=None)


def environment():
    """Of the programs under test."""
    return {"ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
            **os.environ, **({"SSL_CERT_FILE": str(AUTHORITIES)} if AUTHORITIES else {})}


def postern(*args, timeout=30, check=None, stdin=None, encoding=None):
    """A command of the binary; check: the exit code it must have."""
    done = subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True, timeout=timeout,
                          env=environment(), input=stdin, encoding=encoding)
    assert not SANITIZER.search(done.stderr), done.stderr
    assert check is None or done.returncode == check, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


class Postern:
    """A relay in a folder of its own. Clients from 127.0.0.2 (zone lan) may relay, all others are strangers. Look-ups
    go nowhere unless dns.servers is set. `changes` are laid over this configuration."""

    binary = BINARY

    def __init__(self, folder, changes=None, start=True):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.process, self.told, self.expected_exit = free_port(), None, None, 0
        self.config_path, self.log_path = folder / "postern.yaml", folder / "log"
        (folder / "data").mkdir(exist_ok=True)
        (folder / "no-anchors").touch()
        self.config = merge({
            "hostname": "mx.postern.example",
            "listeners": [{"address": f"127.0.0.1:{self.port}"}],
            "zones": {"lan": {"networks": [TRUSTED], "trust": "relay"}},
            "dns": {"servers": [f"127.0.0.1:{free_port()}"], "timeout": "1s" if "dns" in (changes or {}) else "100ms",
                    "trust_anchor": str(folder / "no-anchors")},  # whatever the machine has
            # Nothing resolves here.
            "checks": {"sender": {"resolvable": False}, "recipient": {"resolvable": False}, "spf": {"enabled": False},
                       "dkim": {"enabled": False}, "arc": {"enabled": False}, "dmarc": {"enabled": False}},
            "web": {"enabled": False},  # lib/web.py has it
            "spam": {"enabled": False},  # and no processes that look into messages, which take their time to start, unless a test wants them
            # Small segments and no guard: a thousand daemons must not need, nor care for, the disk of the machine.
            "queue": {"retry_first": "1s", "retry_max": "2s", "segment_size": "2M", "free_space": "0%"},
            "system": {"directory": str(folder / "data"), "run_directory": str(folder / "run"), "user": "",
                       "admin_user": "", "auth_user": "", "sign_user": "", "store_user": "", "scan_user": "", "table_user": "", "mail_user": "",
                       "workers": 1, "drain": "5s"},
            "log": {"level": "debug"},
        }, changes or {})
        self.write()
        if start:
            self.start()

    def write(self, changes=None):
        self.config = merge(self.config, changes or {})
        self.config_path.write_text(json.dumps(self.config, indent=2) + "\n")  # which is YAML, too

    def start(self):
        """Returns when it serves, which it tells like a service manager's child. self.told has what it tells after that."""
        if self.told:
            self.told.close()
        (self.folder / "notify").unlink(missing_ok=True)
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(self.folder / "notify"))
        self.told.settimeout(0.02)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(self.binary), "run", "-c", str(self.config_path)], stderr=log, stdout=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True,
                                            env={**environment(), "NOTIFY_SOCKET": str(self.folder / "notify")})
        wait_until(lambda: self.process.poll() is not None or self.is_ready(), lambda: f"the daemon\n{self.log_tail()}", 60, 0)
        assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}\n{self.log_tail()}"
        self.told.settimeout(20)

    def is_ready(self):
        with contextlib.suppress(TimeoutError):
            return self.told.recv(500).startswith(b"READY=1")

    def stop(self, sig=signal.SIGTERM, seconds=30):
        """Stops it. No test passes over a wrong exit code, a sanitizer's report or processes that are left."""
        if self.process:
            if self.process.poll() is None:
                self.process.send_signal(sig)
            try:
                code = wait_exit(self.process, seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the daemon did not stop in {seconds} s\n{self.log_tail()}") from None
            group, self.process = self.process.pid, None
            assert code == self.expected_exit, f"exit code {code}\n{self.log_tail()}"
            wait_until(lambda: not group_alive(group), "its processes to end", 10)
        self.check_log()

    def kill(self):
        """SIGKILL to all of its processes."""
        if self.process:
            with_group(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def restart(self, changes=None):
        self.stop()
        self.write(changes)
        self.start()

    def check_log(self):
        log = self.log()
        report = SANITIZER.search(log)
        assert not report, f"{self.log_path}:\n{log[max(0, report.start() - 500):report.start() + 6000]}"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_log(self, pattern, seconds=20):
        return wait_until(lambda: re.search(pattern, self.log()), lambda: f"{pattern} in the log\n{self.log_tail()}",
                          seconds)

    def processes(self):
        """{pid: name} of those that it has started and that live."""
        found, pid = {}, self.process.pid
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                name, state = re.match(r"\d+ \((.*)\) (\S)", pathlib.Path(f"/proc/{child}/stat").read_text()).groups()
                if state != "Z":
                    found[int(child)] = name
        return found

    @contextlib.contextmanager
    def frozen(self):
        """All of its processes stand still, and none is in a system call."""
        pids = [self.process.pid, *self.processes()]

        def stopped():
            return all(re.search(r"\) T ", pathlib.Path(f"/proc/{pid}/task/{task}/stat").read_text())
                       for pid in pids for task in os.listdir(f"/proc/{pid}/task"))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(stopped, "the processes to stand still")
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def pid(self, name):
        """Of the process with this name, once there is one: "relay-0", "admin", "auth", "fetch"."""
        return wait_until(lambda: next((pid for pid, its in self.processes().items() if its == name), None),
                          lambda: f"a process {name}\n{self.log_tail()}")

    # ---- talking to it

    def client(self, **kw):
        return Smtp(self.port, **kw)

    def trusted(self, **kw):
        return Smtp(self.port, source=TRUSTED, **kw)

    def send(self, to, text="Subject: test\n\ntext\n", sender="sender@client.example", source=TRUSTED):
        """One message from a client that may relay; returns the reply to its text."""
        with Smtp(self.port, source=source) as c:
            c.ehlo()
            reply = c.message(to, text, sender)
            c.quit()
            return reply

    def command(self, *args, check=0):
        return postern(*args, "-c", self.config_path, check=check)

    def ask(self, path):
        """What the control interface answers to GET: "/v1/status". Much cheaper than a command, which is a process with a sanitizer."""
        with contextlib.closing(http.client.HTTPConnection("localhost")) as c:
            c.sock = socket.socket(socket.AF_UNIX)
            c.sock.settimeout(30)
            c.sock.connect(f"{self.config['system']['run_directory']}/control.sock")
            c.request("GET", path)
            answer = c.getresponse()
            text = answer.read().decode()
            assert answer.status == 200, f"{answer.status} {text}\n{self.log_tail()}"
            return json.loads(text)

    def status(self):
        return self.ask("/v1/status")

    def queue(self):
        """The messages in the queue, the first hundred."""
        return self.ask("/v1/queue?limit=100")["messages"]

    def wait_queue_empty(self, seconds=20):
        wait_until(lambda: not self.queue(), lambda: f"an empty queue; there are {self.queue()}", seconds, 0.2)

    def wait_queued(self, n=1, seconds=20):
        return wait_until(lambda: (lambda q: q if len(q) == n else None)(self.queue()),
                          lambda: f"{n} messages in the queue; there are {self.queue()}", seconds, 0.2)


def wait_exit(process, seconds):
    """Its exit code. What subprocess has for this looks only every 50 ms."""
    with contextlib.suppress(ProcessLookupError):  # another thread has just seen its end
        pidfd = os.pidfd_open(process.pid)
        try:
            select.select([pidfd], [], [], seconds)
        finally:
            os.close(pidfd)
    return process.wait(1)


def with_group(pid, sig):
    try:
        os.killpg(pid, sig)
    except ProcessLookupError:
        pass


def group_alive(pid):
    """Is there a process of the group that is not a zombie?"""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == pid and fields[0] != "Z":
            return True
    return False
