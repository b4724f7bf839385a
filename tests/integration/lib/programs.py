# SPDX-License-Identifier: Apache-2.0
"""Real programs beside the relay, each in a temporary folder on loopback: Postfix, Knot DNS, swaks."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

from lib.smtp import Smtp
from lib.util import free_port, listens, wait_until


def have(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


class Program:
    """A program that stays in the foreground. Without a folder it gets one that any user can reach and that goes with it; `log` and `output` in
    there are read when it fails."""

    def __init__(self, folder=None):
        self.temporary = folder is None
        self.folder = folder or pathlib.Path(tempfile.mkdtemp(prefix=f"postern-{type(self).__name__.lower()}-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.temporary:
            self.folder.chmod(0o755)
        self.port, self.process = free_port(), None

    @property
    def hop(self):
        return f"127.0.0.1:{self.port}"

    def write(self, name, text):
        """A file in its folder; the path."""
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, *command, ready=None, **how):
        """Returns when it listens on its port or is `ready`. how: what subprocess.Popen takes."""
        with open(self.folder / "output", "ab") as out:
            self.process = subprocess.Popen([have(command[0]), *map(str, command[1:])], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True, **how)
        ready = ready or (lambda: listens(self.port))
        try:
            wait_until(lambda: self.process.poll() is not None or ready(), lambda: f"{command[0]}\n{self.log()}", 30)
            assert self.process.poll() is None, f"{command[0]} ended with {self.process.returncode}\n{self.log()}"
        except AssertionError:
            self.stop()
            raise

    def log(self):
        return "".join(p.read_text(errors="replace") for p in [*sorted(self.folder.glob("*log")), self.folder / "output"] if p.exists())

    def stop(self):
        if self.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.terminate()
                self.process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # what is left of it
            self.process.wait()
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)


MASTER_CF = """
{listen} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Program):
    """An instance of its own that passes on everything it takes to `relayhost` ("127.0.0.1:2525"). Needs root."""

    def __init__(self, relayhost, **settings):
        super().__init__()
        self.config, self.maillog = self.folder / "etc", self.folder / "maillog"
        queue, data = self.folder / "queue", self.folder / "data"
        for folder in (self.config, queue, data):
            folder.mkdir()
        shutil.chown(data, "postfix")
        host, port = relayhost.rsplit(":", 1)
        lines = {
            "compatibility_level": "3.6", "queue_directory": queue, "data_directory": data,
            "maillog_file": self.maillog,
            "maillog_file_prefixes": self.folder, "myhostname": "postfix.example", "mydestination": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4", "mynetworks": "127.0.0.0/8", "relayhost": f"[{host}]:{port}",
            "smtp_host_lookup": "native",
            "smtp_dns_support_level": "disabled", "local_transport": "error:no local mail", "alias_maps": "",
            "biff": "no",
            "minimal_backoff_time": "2s", "maximal_backoff_time": "3s", "queue_run_delay": "2s",
            "smtpd_relay_restrictions": "permit_mynetworks,reject",
            "smtpd_recipient_restrictions": "permit_mynetworks,reject", "smtpd_tls_security_level": "none", **settings,
        }
        (self.config / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in lines.items()))
        (self.config / "master.cf").write_text(MASTER_CF.format(listen=f"127.0.0.1:{self.port}"))
        # Each of its programs waits, up to two seconds, for a file that has just been written to stay as it is.
        os.utime(self.config / "main.cf", (1e9, 1e9))
        self.run("start")
        wait_until(lambda: listens(self.port), lambda: f"Postfix\n{self.log()}", 30)

    def run(self, command):
        done = subprocess.run([have("postfix"), "-c", str(self.config), command], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, f"postfix {command}: {done.stdout}{done.stderr}{self.log()}"

    def more(self, services):
        """More lines of master.cf, in force at once. A server's line: smtpd_line()."""
        with open(self.config / "master.cf", "a") as f:
            f.write("".join(line + "\n" for line in services))
        self.run("reload")

    @staticmethod
    def smtpd_line(port, **settings):
        return f"127.0.0.1:{port} inet n - n - - smtpd" + "".join(f" -o {k}={v}" for k, v in settings.items())

    def client(self, **kw):
        return Smtp(self.port, **kw)

    def stop(self):
        try:
            self.run("stop")
        finally:
            super().stop()


class Knot(Program):
    """An authoritative server; zones: {"test": "@ SOA ... lines of a zone file"}. SOA and NS are put in front."""

    def __init__(self, folder, zones):
        super().__init__(folder)
        for name, records in zones.items():
            self.write_zone(name, records)
        first = next(iter(zones))
        self.start("knotd", "-c", self.write("knot.conf", self.configuration(zones)), ready=lambda: self.answers(first))

    def configuration(self, zones):
        listed = "".join(f"  - domain: {name}\n    file: {self.folder}/{name}.zone\n" for name in zones)
        return (f"server:\n  rundir: {self.folder}\n  listen: 127.0.0.1@{self.port}\n"
                "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
                f"log:\n  - target: stderr\n    any: info\ndatabase:\n  storage: {self.folder}\n"
                f"template:\n  - id: default\n    storage: {self.folder}\n    zonefile-sync: -1\n    journal-content: none\n"
                f"zone:\n{listed}")

    @property
    def server(self):
        return f"127.0.0.1:{self.port}"

    def write_zone(self, name, records):
        self.write(f"{name}.zone",
            f"$ORIGIN {name}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n{records}\n")

    def answers(self, name):
        question = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0" + struct.pack("!HH", 6, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.3)
            try:
                s.sendto(struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + question, ("127.0.0.1", self.port))
                answer = s.recv(1000)
            except OSError:
                return False
        return answer[3] & 15 == 0 and answer[7] > 0


def swaks(port, to, *options, sender="swaks@client.example", source="127.0.0.2", check=0):
    """Sends with swaks; the finished process. check: its exit code, None for any."""
    done = subprocess.run([have("swaks"), "--server", f"127.0.0.1:{port}", "--from", sender, "--to", to,
                           "--local-interface", source,
                           "--helo", "swaks.client.example", "--timeout", "20", *options], capture_output=True,
                          text=True, timeout=60)
    assert check is None or done.returncode == check, done.stdout + done.stderr
    return done
