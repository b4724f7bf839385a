# SPDX-License-Identifier: Apache-2.0
"""Scanners beside the relay, each with a configuration of its own in a folder, without network: clamd, spamd, Rspamd, c-icap, milters; and peers that lie."""
import contextlib
import hashlib
import os
import pathlib
import pwd
import shutil
import socket
import struct
import tempfile
import threading
import time

from lib.programs import Program, have
from lib.util import free_port, listens, wait_until

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
TESTFILES = pathlib.Path("/usr/share/clamav-testfiles")
EXE = TESTFILES / "clam.exe"
MODULES = next(iter(pathlib.Path("/usr/lib").glob("*/c_icap")), None)


def ready_socket(path):
    """Somebody listens on that Unix socket."""
    with socket.socket(socket.AF_UNIX) as s:
        with contextlib.suppress(OSError):
            s.connect(str(path))
            return True
    return False


def virus_database(folder):
    """Signatures of the EICAR file ("Test.Eicar") and of clamav-testfiles' clam.exe ("Test.Clam")."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test.ndb").write_text(f"Test.Eicar:0:*:{EICAR.hex()}\n")
    if EXE.exists():
        data = EXE.read_bytes()
        (folder / "test.hdb").write_text(f"{hashlib.md5(data).hexdigest()}:{len(data)}:Test.Clam\n")
    return folder


class Clamd(Program):
    """With `unix` (a path) and `hop` (127.0.0.1:port). Settings of clamd.conf: Clamd(StreamMaxLength="1M")."""

    def __init__(self, folder=None, **settings):
        super().__init__(folder)
        database = virus_database(self.folder / "db")
        self.unix = self.folder / "clamd.sock"
        lines = {"LocalSocket": self.unix, "TCPSocket": self.port, "TCPAddr": "127.0.0.1", "DatabaseDirectory": database, "Foreground": "yes",
                 "TemporaryDirectory": self.folder, "LogFile": self.folder / "clamd.log", "MaxThreads": 4, "SelfCheck": 3600,
                 "AlertExceedsMax": "yes", **settings}
        self.start("clamd", "--config-file", self.write("clamd.conf", "".join(f"{k} {v}\n" for k, v in lines.items())),
                   ready=lambda: ready_socket(self.unix))


class Spamd(Program):
    """SpamAssassin without the network; the word XSPAMTESTX in a body is worth 8 points, the client's name spammer.example 3."""

    RULES = ("body TEST_WORD /XSPAMTESTX/\nscore TEST_WORD 8\ndescribe TEST_WORD The word of the test\n"
             "header TEST_CLIENT X-Spam-Relays-External =~ /^\\[ ip=192\\.0\\.2\\.7 rdns=spammer\\.example helo=h\\.spammer\\.example /\n"
             "score TEST_CLIENT 3\nuse_bayes 0\nrequired_score 5\n")

    def __init__(self, folder=None, rules=RULES):
        super().__init__(folder)
        etc, home = self.folder / "etc", self.folder / "home"
        for path in (etc, home):
            path.mkdir()
            path.chmod(0o777)
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        for name in ("init.pre", "v320.pre"):
            if (pathlib.Path("/etc/spamassassin") / name).exists():
                shutil.copy(pathlib.Path("/etc/spamassassin") / name, etc)
        (etc / "local.cf").write_text(rules)
        # Where it may not write to /tmp it takes the folder it is in.
        self.folder.chmod(0o777)
        self.start("env", "-C", self.folder, have("spamd"), "-L", "-x", "-u", self.user, "-i", "127.0.0.1", "-p", self.port, "-m", 2, "--min-children=1", "-H", home,
                   "--siteconfigpath", etc, "--configpath", "/usr/share/spamassassin", "-s", "stderr")


class Rspamd(Program):
    """Rspamd's normal worker alone, no Redis, no DNS; the word XSPAMTESTX in a body is worth 20 points, and TEST_KNOWN tells what it knows of the
    message."""

    LUA = ("config.regexp['TEST_WORD'] = {re = '/XSPAMTESTX/{sa_body}', score = 20.0, description = 'The word of the test', group = 'test'}\n"
           "rspamd_config.TEST_KNOWN = {callback = function(task)\n"
           "  local from, ip = task:get_from('smtp'), task:get_ip()\n"
           "  return true, 1.0, from and from[1].addr or '-', ip and ip:to_string() or '-', task:get_helo() or '-', task:get_hostname() or '-',\n"
           "    task:get_user() or '-', task:get_queue_id() or '-', tostring(#(task:get_recipients('smtp') or {}))\n"
           "end, score = 0.1, group = 'test'}\n")
    OFF = ("rbl", "surbl", "spf", "dkim", "dmarc", "arc", "asn", "mx_check", "phishing", "fuzzy_check", "dkim_signing", "greylist", "ratelimit",
           "history_redis", "bayes_expiry", "neural", "replies", "reputation", "url_redirector", "known_senders")

    def __init__(self, folder=None):
        super().__init__(folder)
        local = self.folder / "local.d"
        local.mkdir()
        self.folder.chmod(0o777)
        silent = free_port()  # nobody answers there
        cache = pathlib.Path(tempfile.gettempdir()) / f"postern-test-rspamd-{os.geteuid()}"  # what it compiles at its first start takes long
        cache.mkdir(mode=0o700, exist_ok=True)
        files = {
            "worker-normal.inc": f'bind_socket = "127.0.0.1:{self.port}";\ncount = 1;\n',
            "worker-controller.inc": "enabled = false;\n", "worker-proxy.inc": "enabled = false;\n", "worker-fuzzy.inc": "enabled = false;\n",
            "options.inc": f'dns {{ nameserver = ["127.0.0.1:{silent}"]; timeout = 0.2s; retransmits = 1; }}\nhs_cache_dir = "{cache}";\n',
            "logging.inc": 'type = "console";\nlevel = "warning";\n', **{f"{module}.conf": "enabled = false;\n" for module in self.OFF},
        }
        for name, text in files.items():
            (local / name).write_text(text)
        (self.folder / "rspamd.local.lua").write_text(self.LUA)
        self.start("rspamd", "-f", "--insecure", "-c", "/etc/rspamd/rspamd.conf",
                   *(f"--var={k}={self.folder}" for k in ("LOCAL_CONFDIR", "DBDIR", "RUNDIR", "LOGDIR")), ready=lambda: True)
        try:  # seconds of work before it listens
            wait_until(lambda: self.process.poll() is not None or listens(self.port), self.log, 120)
        except AssertionError:
            self.stop()
            raise


class CIcap(Program):
    """c-icap with its echo service and, when there is a clamd, virus_scan asking it ("avscan")."""

    def __init__(self, folder=None, clamd=None):
        super().__init__(folder)
        self.folder.chmod(0o777)
        lines = [f"PidFile {self.folder}/pid", f"CommandsSocket {self.folder}/ctl", f"Port 127.0.0.1:{self.port}", "StartServers 1", "MaxServers 2",
                 "ThreadsPerChild 5", "MinSpareThreads 2", "MaxSpareThreads 5", "ServerAdmin a@b.test", "ServerName icap.test", f"TmpDir {self.folder}",
                 f"ModulesDir {MODULES}", f"ServicesDir {MODULES}", "TemplateDir /usr/share/c_icap/templates/", "TemplateDefaultLanguage en",
                 "LoadMagicFile /etc/c-icap/c-icap.magic", f"ServerLog {self.folder}/server.log", f"AccessLog {self.folder}/access.log",
                 "Service echo srv_echo.so"]
        if clamd:
            lines += ["Module common clamd_mod.so", f"clamd_mod.ClamdSocket {clamd.unix}", "Service antivirus_module virus_scan.so",
                      "ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple", "virus_scan.DefaultEngine clamd",
                      "virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE", "virus_scan.MaxObjectSize 50M"]
        self.start("c-icap", "-N", "-f", self.write("c-icap.conf", "\n".join(lines) + "\n"))


class ClamavMilter(Program):
    """clamav-milter on a Unix socket, asking a clamd. Settings of its configuration file."""

    def __init__(self, clamd, folder=None, **settings):
        super().__init__(folder)
        self.unix = self.folder / "milter.sock"
        lines = {"MilterSocket": f"unix:{self.unix}", "ClamdSocket": f"unix:{clamd.unix}", "Foreground": "yes", "OnInfected": "Reject", "AddHeader": "Add",
                 "RejectMsg": '"%v is not wanted"', "LogFile": self.folder / "milter.log", "LogInfected": "Basic",
                 "TemporaryDirectory": self.folder, "PidFile": self.folder / "pid", **settings}
        self.start("clamav-milter", "-c", self.write("clamav-milter.conf", "".join(f"{k} {v}\n" for k, v in lines.items() if v)),
                   ready=lambda: ready_socket(self.unix))

    def stop(self):
        self.process.kill()  # it takes seconds to see that it is to end
        super().stop()


class Peer:
    """A server whose connections are handled by talk(socket, number of the connection, from 1), which may raise OSError when the other side goes."""

    def __init__(self, talk, unix=None):
        self.talk, self.connections, self.unix = talk, 0, unix
        self.listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = 0 if unix else free_port()
        self.listener.bind(str(unix) if unix else ("127.0.0.1", self.port))
        self.listener.listen(8)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"unix:{self.unix}" if self.unix else f"127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=(s, self.connections), daemon=True).start()

    def _run(self, s, number):
        with s, contextlib.suppress(OSError):
            s.settimeout(30)
            self.talk(s, number)

    def stop(self):
        self.stopped.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


def read_until(s, end):
    """Bytes up to and with `end`, or what came before the other side closed."""
    data = b""
    while end not in data:
        more = s.recv(65536)
        if not more:
            break
        data += more
    return data


def swallow(s, seconds=0.2):
    """All that comes until it has been quiet for so long."""
    data, before = b"", s.gettimeout()
    s.settimeout(seconds)
    with contextlib.suppress(TimeoutError):
        while more := s.recv(65536):
            data += more
    s.settimeout(before)
    return data


def drip(s, data, pause=0.2):
    """A byte at a time."""
    for i in range(len(data)):
        s.sendall(data[i:i + 1])
        time.sleep(pause)


class MilterPeer(Peer):
    """A milter in a few lines: answers[command] is a list of frames (command byte and data) or a function of the data that returns one; the rest is
    continued. `heard` is what it was told: (command, data)."""

    def __init__(self, answers=None, version=6, actions=0xFF, steps=0, unix=None):
        self.answers, self.offer, self.heard = answers or {}, struct.pack("!III", version, actions, steps), []
        super().__init__(self.converse, unix)

    @staticmethod
    def frame(data):
        return struct.pack("!I", len(data)) + data

    @staticmethod
    def exactly(s, n):
        data = b""
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more:
                raise OSError("closed")
            data += more
        return data

    def converse(self, s, number):
        while True:
            n, = struct.unpack("!I", self.exactly(s, 4))
            data = self.exactly(s, n)
            command, data = chr(data[0]), data[1:]
            self.heard.append((command, data))
            answer = self.answers.get(command, [b"O" + self.offer] if command == "O" else [b"c"])
            if callable(answer):
                answer = answer(data)
            if command in "DAQ":
                continue
            for one in answer:
                s.sendall(self.frame(one) if isinstance(one, bytes) else one.raw)

    def said(self, command):
        return [data for c, data in self.heard if c == command]


class Raw:
    """Bytes that a MilterPeer sends as they are, without a length."""

    def __init__(self, raw):
        self.raw = raw


def installed(*programs):
    return all(have(p) for p in programs)
