# SPDX-License-Identifier: Apache-2.0
"""`postern send` and `postern sink`: against each other, against a scripted server, and with swaks and s-nail."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from lib.util import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
POSTERN = os.path.join(os.environ.get("POSTERN_BUILD", str(ROOT / "build")), "postern")


class Sink:
    """A running sink; `totals` are there after `stop`."""

    def __init__(self, directory, *options):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.ledger = directory / "sink.ledger"
        self.process = subprocess.Popen(
            [POSTERN, "sink", "--listen", self.address, "--json", "--quiet", "--ledger", str(self.ledger), *options],
            stdout=subprocess.PIPE, text=True)
        wait_for(self.port)

    def stop(self):
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            out, _ = self.process.communicate(timeout=20)
            assert self.process.returncode == 0
            self.totals = json.loads(out.splitlines()[-1])
            assert self.totals["final"] is True
            self.totals["connections"] -= 1  # wait_for's own
        return self.totals

    def lines(self):
        return [line.split(" ") for line in self.ledger.read_text().splitlines()]


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the sink does not listen")


@pytest.fixture
def sink(tmp_path):
    running = []

    def start(*options):
        running.append(Sink(tmp_path, *options))
        return running[-1]
    yield start
    for s in running:
        if s.process.poll() is None:
            s.process.kill()
            s.process.wait()


def send(address, *options, stdin=None):
    return subprocess.run([POSTERN, "send", *options, address], input=stdin, capture_output=True, text=True, timeout=60)


def load(address, *options):
    r = send(address, "--json", *options)
    return r.returncode, json.loads(r.stdout)


def talk(port, *commands):
    """Says the commands one by one and returns the last line of each answer, the greeting first."""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        f = s.makefile("rwb")

        def answer():
            while True:
                line = f.readline().decode()
                if len(line) < 4 or line[3] != "-":
                    return line.rstrip("\r\n")
        answers = [answer()]
        for c in commands:
            f.write(c if isinstance(c, bytes) else c.encode() + b"\r\n")
            f.flush()
            answers.append(answer())
        return answers


# ---- one message

def test_single_message_shows_answers(sink):
    s = sink()
    r = send(s.address, "--from", "a@example.com", "--to", "b@example.com")
    assert r.returncode == 0
    assert "<- 220 sink" in r.stdout and r.stdout.endswith("accepted\n")
    assert "-> " not in r.stdout
    r = send(s.address, "--verbose")
    assert "-> MAIL FROM:<sender@example.net>" in r.stdout and "-> RCPT TO:<test@example.com>" in r.stdout
    assert s.stop()["messages"] == 2


def test_refused_is_said_and_coded(sink):
    s = sink("--fail", "rcpt=550/bad@*:no such user", "--fail", "rcpt=451/later@*")
    r = send(s.address, "--to", "bad@example.com")
    assert r.returncode == 69 and "not accepted: 550 no such user" in r.stdout
    r = send(s.address, "--to", "later@example.com")
    assert r.returncode == 75 and "451" in r.stdout
    r = send(s.address, "--to", "bad@example.com", "--to", "good@example.com")
    assert r.returncode == 75 and "accepted, but not for all" in r.stdout
    assert s.stop()["messages"] == 1 and s.totals["recipients"] == 1 and s.totals["refused"] == 3


def test_nobody_listens():
    r = send(f"127.0.0.1:{free_port()}")
    assert r.returncode == 75 and "cannot connect" in r.stdout


def test_control_characters_of_a_server_are_escaped():
    with ScriptedServer([b"220 \x1b[31mred\r\n", b"250 ok\r\n", b"554 \x07no\r\n", b"221 bye\r\n"]) as s:
        r = send(s.address)
    assert "\x1b" not in r.stdout and "\\x1b[31mred" in r.stdout and "\\x07no" in r.stdout and r.returncode == 69


def test_file_is_sent_faithfully(sink, tmp_path):
    s = sink("--store", str(tmp_path / "store"))
    text = "Subject: dots\n\n.\n..two\nend"
    (tmp_path / "mail").write_text(text)
    assert send(s.address, "--file", str(tmp_path / "mail")).returncode == 0
    assert send(s.address, "--file", "-", "--subject", "made", stdin="no header here\n").returncode == 0
    s.stop()
    first, second = sorted((tmp_path / "store").iterdir())
    head, _, body = first.read_bytes().partition(b"Subject: dots\r\n")
    assert b"X-Envelope-From: <sender@example.net>\r\n" in head and b"X-Envelope-To: <test@example.com>\r\n" in head
    assert body == b"\r\n.\r\n..two\r\nend\r\n"
    stored = second.read_text()
    assert "\nSubject: made\n" in stored and "Message-ID: <" in stored and stored.endswith("\n\nno header here\n")


def test_raw_file_is_not_touched(tmp_path):
    (tmp_path / "mail").write_bytes(b"A: b\n\n.\nbare\r\n")
    script = [b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250 x\r\n", b"221 x\r\n"]
    with ScriptedServer(script) as s:
        assert send(s.address, "--file", str(tmp_path / "mail"), "--raw").returncode == 0
    assert s.got.endswith(b"DATA\r\nA: b\n\n.\nbare\r\n.\r\nQUIT\r\n")


@pytest.mark.daily(2)
@pytest.mark.parametrize("size", [1, 260, 300, 377, 378, 379, 380, 381, 1024, 5000, 262144, 1000003])
def test_size_is_exact(sink, tmp_path, size):
    s = sink("--store", str(tmp_path / "store"))
    assert send(s.address, "--size", str(size), "--quiet").returncode == 0
    total = s.stop()["bytes"]
    stored = next((tmp_path / "store").iterdir()).read_bytes()
    assert not re.search(rb"[^\r]\n|\r[^\n]", stored) and stored.endswith(b"\r\n")
    assert total == size if size >= 1024 else total >= size


# ---- load, and exact accounting

@pytest.mark.daily(2)
@pytest.mark.parametrize("how", [[], ["--pipeline"], ["--reconnect"], ["--pipeline", "--reconnect", "--distinct"],
                                 ["--pipeline", "--recipients", "50"], ["--recipients", "7", "--distinct"]])
def test_every_message_is_accounted_for(sink, tmp_path, how):
    s, ledger = sink(), tmp_path / "send.ledger"
    code, sums = load(s.address, "--messages", "300", "--sessions", "20", "--size", "2K", "--run", "acc",
                      "--ledger", str(ledger), *how)
    totals = s.stop()
    assert code == 0 and sums["accepted"] == totals["messages"] == 300 and totals["broken"] == 0
    assert sums["connections"] == totals["connections"] == (300 if "--reconnect" in how else 20)
    assert sorted(map(int, ledger.read_text().split())) == list(range(1, 301))
    assert sorted(int(line[0].removeprefix("acc-")) for line in s.lines()) == list(range(1, 301))
    recipients = [r for line in s.lines() for r in line[1:]]
    assert len(recipients) == totals["recipients"]
    if "--distinct" in how:
        assert len(set(recipients)) == len(recipients)
    if "50" in how:
        assert set(recipients) == {f"test-{i}@example.com" for i in range(1, 51)}
    assert totals["bytes"] == 300 * 2048 == sums["bytes"]


@pytest.mark.daily(3)
@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("how", [[], ["--pipeline"], ["--reconnect", "--pipeline"]])
def test_failures_at_each_stage_are_counted(sink, stage, how):
    s = sink("--fail", f"{stage}=451%40", "--fail", f"{stage}=554#5")
    code, sums = load(s.address, "--messages", "100", "--sessions", "4", *how)
    totals = s.stop()
    assert sums["accepted"] == totals["messages"] and sums["accepted"] + sums["refused"] == 100
    assert sums["lost"] == 0 and set(sums["refused_by"]) <= {"451", "554"}
    if stage not in ("connect", "helo"):  # where a kept connection passes only once
        assert sums["refused_by"]["554"] == 5 and code == 69


@pytest.mark.daily(3)
@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "rcpt", "data", "text", "dot"])
@pytest.mark.parametrize("how", [[], ["--pipeline"]])
def test_drops_at_each_stage_are_counted(sink, stage, how):
    s = sink("--drop", f"{stage}#7")
    code, sums = load(s.address, "--messages", "60", "--sessions", "3", *how)
    totals = s.stop()
    assert sums["accepted"] == totals["messages"] and sums["accepted"] + sums["lost"] == 60
    assert totals["dropped"] == 7 and (code == 75) == (sums["lost"] > 0)


def test_421_between_messages_means_a_new_connection(sink):
    s = sink("--fail", "mail=421%30")
    code, sums = load(s.address, "--messages", "200", "--sessions", "4", "--retry", "20")
    assert code == 0 and sums["accepted"] == 200 == s.stop()["messages"] and sums["connections"] > 20


def test_retry_survives_a_server_that_comes_late(tmp_path):
    port = free_port()
    client = subprocess.Popen([POSTERN, "send", "--json", "--messages", "20", "--sessions", "5", "--retry", "30",
                               f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    server = subprocess.Popen([POSTERN, "sink", "--quiet", "--once", "20", f"127.0.0.1:{port}"])
    out, _ = client.communicate(timeout=40)
    assert client.returncode == 0 and json.loads(out)["accepted"] == 20
    assert server.wait(10) == 0


def test_acknowledged_is_received_when_the_server_is_killed(tmp_path):
    """What the crash tests of the relay rest on: every number in the client's ledger is in the server's."""
    port, ledger = free_port(), tmp_path / "sink.ledger"

    def start():
        p = subprocess.Popen([POSTERN, "sink", "--quiet", "--ledger", str(ledger), f"127.0.0.1:{port}"])
        wait_for(port)
        return p
    server = start()
    client = subprocess.Popen([POSTERN, "send", "--json", "--messages", "4000", "--sessions", "10", "--retry", "30", "--rate",
                               "3000/s", "--ledger", str(tmp_path / "ack"), f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        time.sleep(0.25)
        server.kill()
        server.wait()
        server = start()
    out, _ = client.communicate(timeout=40)
    server.terminate()
    server.wait()
    acknowledged = {int(n) for n in (tmp_path / "ack").read_text().split()}
    received = {int(line.split()[0].rpartition("-")[2]) for line in ledger.read_text().splitlines()}
    sums = json.loads(out)
    assert client.returncode == 0 and sums["accepted"] == 4000 and sums["retries"] > 0
    assert acknowledged == set(range(1, 4001)) == received


@pytest.mark.daily(3)
@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "rcpt", "data", "text", "dot"])
@pytest.mark.parametrize("how", [["--abort", "reset"], ["--abort", "close", "--pipeline"]])
def test_vanishing(sink, stage, how):
    s = sink()
    code, sums = load(s.address, "--vanish", stage, "--messages", "20", "--sessions", "4", "--size", "100K", *how)
    assert code == 75 and sums["vanished"] == 20 and sums["accepted"] == 0
    time.sleep(0.2)
    totals = s.stop()
    assert totals["messages"] == 0 or stage == "dot"
    assert totals["connections"] == 20


@pytest.mark.slow
def test_a_server_that_is_gone_without_a_word():
    """A server that is killed while a client connects to it can leave the client's end of the connection behind, which hears of
    nothing. TCP_REPAIR closes a connection that way."""
    script = [b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250 x\r\n", b"221 x\r\n"]

    class Dying(ScriptedServer):
        def converse(self, c):
            if self.connections == 1:
                c.setsockopt(socket.IPPROTO_TCP, 19, 1)  # TCP_REPAIR
                c.close()
            else:
                super().converse(c)
    with socket.socket() as trial:
        try:
            trial.setsockopt(socket.IPPROTO_TCP, 19, 1)
        except PermissionError:
            pytest.skip("needs CAP_NET_ADMIN")
    with Dying(script) as s:
        code, sums = load(s.address, "--retry", "30")
    assert code == 0 and sums["retries"] == 1 and s.connections == 2 and sums["seconds"] < 20


def test_vanishing_in_silence(sink):
    s = sink()
    start = time.monotonic()
    code, sums = load(s.address, "--vanish", "data", "--abort", "silent", "--timeout", "1")
    assert code == 75 and sums["vanished"] == 1 and 0.9 < time.monotonic() - start < 5


def test_slow_client_and_rate(sink):
    s = sink()
    start = time.monotonic()
    assert send(s.address, "--slow", "1", "--size", "500", "--quiet").returncode == 0
    assert time.monotonic() - start > 0.5
    code, sums = load(s.address, "--messages", "40", "--sessions", "4", "--rate", "50/s")
    assert code == 0 and 0.6 < sums["seconds"] < 3


def test_slow_server(sink):
    s = sink("--slow", "mail=200", "--slow", "dot=300", "--slow", "text=200")
    code, sums = load(s.address, "--pipeline", "--messages", "2", "--sessions", "2")
    assert code == 0 and sums["seconds"] > 0.65 and sums["latency_ms"]["median"] > 280
    assert s.stop()["messages"] == 2


@pytest.mark.slow
def test_slow_reader(sink):
    s = sink("--slow-read", "20K")
    code, sums = load(s.address, "--size", "30K")
    assert code == 0 and sums["seconds"] > 1


def test_silent_session_is_closed(sink):
    s = sink("--timeout", "1")
    with socket.create_connection(("127.0.0.1", s.port), 5) as c:
        c.recv(100)
        start = time.monotonic()
        assert c.recv(100) == b"" and time.monotonic() - start < 4


def test_too_many_sessions(sink):
    s = sink("--sessions", "2")
    time.sleep(0.2)
    with socket.create_connection(("127.0.0.1", s.port)) as a, socket.create_connection(("127.0.0.1", s.port)) as b:
        assert a.recv(100).startswith(b"220") and b.recv(100).startswith(b"220")
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            assert c.recv(100).startswith(b"421")


# ---- the sink's protocol

def test_end_of_text_is_only_crlf_dot_crlf(sink, tmp_path):
    s = sink("--store", str(tmp_path / "store"))
    text = (b"a\n.\nb\n.\r\nc\r\n.\nd\r.\re\r\n..\r\n.f\r\n\r\n.\r\r\n.\r\n")
    for step in (1, 2, 3, 1000):  # however it is cut into pieces
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            c.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n")
            time.sleep(0.05)
            for i in range(0, len(text), step):
                c.sendall(text[i:i + step])
                time.sleep(0.002)
            c.sendall(b"QUIT\r\n")
            c.settimeout(5)
            answers = b""
            while piece := c.recv(4096):
                answers += piece
        assert answers.count(b"\r\n250 2.0.0 received\r\n221 ") == 1
    assert s.stop()["messages"] == 4
    want = b"a\n.\nb\n.\r\nc\r\n\nd\r.\re\r\n.\r\nf\r\n\r\n\r\r\n"
    for f in (tmp_path / "store").iterdir():
        assert f.read_bytes().endswith(b"X-Envelope-To: <a@b>\r\n" + want)


def test_sequence_and_grammar(sink):
    s = sink("--size", "1000")
    codes = [a[:3] for a in talk(s.port, "MAIL FROM:<a@b>", "HELO x", "RCPT TO:<a@b>", "MAIL FROM:<a@b> SIZE=2000",
                                 "MAIL FROM: <a@b>", "MAIL FROM:<c@d>", "DATA", "RCPT TO:<>", "RCPT TO:x", "NOOP",
                                 "VRFY x", "HELP", "NONSENSE", b"NOOP\n", "RSET", "STARTTLS", "QUIT")]
    assert codes == ["220", "503", "250", "503", "552", "250", "503", "503", "501", "501", "250", "252", "214", "500",
                     "500", "250", "502", "221"]
    assert send(s.address, "--size", "1500").returncode == 69


def test_once_ends_by_itself(sink):
    s = sink("--once", "3")
    assert load(s.address, "--messages", "3")[0] == 0
    out, _ = s.process.communicate(timeout=10)
    assert s.process.returncode == 0 and json.loads(out.splitlines()[-1])["messages"] == 3


def test_lines_for_people(tmp_path):
    port = free_port()
    s = subprocess.Popen([POSTERN, "sink", "--once", "200", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True)
    wait_for(port)
    assert load(f"127.0.0.1:{port}", "--messages", "200", "--subject", "hello there")[0] == 0
    out, _ = s.communicate(timeout=10)
    lines = out.splitlines()
    assert lines[0] == f"listening on 127.0.0.1:{port}"
    assert lines[1] == "received 1024 bytes from <sender@example.net> to <test@example.com>: hello there"
    shown = sum(line.startswith("received") for line in lines)
    more = sum(int(m[1]) for line in lines if (m := re.match(r"\.\.\. and (\d+) more", line)))
    assert shown + more == 200 and "total: 200 messages" in lines[-1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    d = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=sink.test", "-keyout", d / "key.pem", "-out", d / "cert.pem", "-days", "2"],
                   check=True, capture_output=True)
    return f"{d}/cert.pem,{d}/key.pem"


def test_tls(sink, certificate):
    s = sink("--tls", certificate)
    r = send(s.address, "--tls", "--verbose", "--pipeline")
    assert r.returncode == 0 and "-> STARTTLS" in r.stdout and r.stdout.count("-> EHLO") == 2
    code, sums = load(s.address, "--tls", "--messages", "50", "--sessions", "5", "--size", "300K", "--pipeline")
    assert code == 0 and sums["accepted"] == 50
    assert s.stop()["messages"] == 51


def test_tls_that_is_not_offered(sink):
    s = sink()
    r = send(s.address, "--tls")
    assert r.returncode == 75 and "STARTTLS" in r.stdout


def test_commands_before_tls_are_not_taken_over(sink, certificate):
    import ssl
    s = sink("--tls", certificate)
    with socket.create_connection(("127.0.0.1", s.port), 5) as c:
        c.recv(200)
        c.sendall(b"EHLO x\r\n")
        c.recv(500)
        c.sendall(b"STARTTLS\r\nMAIL FROM:<injected@example.com>\r\n")
        assert c.recv(100).startswith(b"220 ")
        ctx = ssl.create_default_context()
        ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
        with ctx.wrap_socket(c) as t:
            t.sendall(b"RCPT TO:<a@b>\r\n")
            assert t.recv(100).startswith(b"503 ")


# ---- the client against a server that follows a script

class ScriptedServer:
    """Answers each line (or, after 354, each text) with the next piece of its script; an empty piece closes."""

    def __init__(self, script):
        self.script, self.got, self.connections = script, b"", 0

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def serve(self):
        try:
            while True:
                c, _ = self.listener.accept()
                self.connections += 1
                self.converse(c)
        except OSError:
            pass

    def converse(self, c):
        with c:
            f, script = c.makefile("rb"), list(self.script)
            last = script.pop(0)
            c.sendall(last)
            while script:
                line = f.readline()
                if not line:
                    return
                self.got += line
                while last.startswith(b"354") and line != b".\r\n":
                    line = f.readline()
                    if not line:
                        return
                    self.got += line
                last = script.pop(0)
                if not last:
                    return
                c.sendall(last)


def test_helo_when_ehlo_is_unknown():
    script = [b"220 old\r\n", b"502 what\r\n", b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 ok\r\n",
              b"221 bye\r\n"]
    with ScriptedServer(script) as s:
        assert send(s.address, "--helo", "me.example").returncode == 0
    assert s.got.startswith(b"EHLO me.example\r\nHELO me.example\r\nMAIL FROM:<sender@example.net>\r\n")


def test_no_text_for_nobody_when_pipelined():
    """RFC 2920 3.1: 354 although every recipient was refused."""
    script = [b"220 x\r\n", b"250-x\r\n250 PIPELINING\r\n", b"250 ok\r\n", b"550 no\r\n", b"354 go\r\n", b"554 none\r\n",
              b"250 ok\r\n", b"221 bye\r\n"]
    with ScriptedServer(script) as s:
        assert send(s.address, "--pipeline").returncode == 69
    assert b"DATA\r\n.\r\n" in s.got and b"Subject" not in s.got


@pytest.mark.parametrize("reply", [b"hello\r\n", b"99 x\r\n", b"250-a\r\n550 b\r\n", b"2" * 100000, b"220 a\r\n" * 5, b""])
def test_replies_that_are_none(reply):
    with ScriptedServer([reply or b"", b"250 x\r\n", b""]) as s:
        r = send(s.address, "--timeout", "1")
    assert r.returncode in (69, 75) and "not accepted" in r.stdout


def test_a_server_that_closes_between_messages():
    script = [b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250 x\r\n", b""]
    with ScriptedServer(script) as s:
        code, sums = load(s.address, "--messages", "3")
    assert code == 0 and sums["accepted"] == 3 and s.connections == 3


# ---- options

@pytest.mark.parametrize("options, text", [
    (["send", "--size", "0"], "--size takes a number from 1"), (["send", "--what"], 'no option "--what"'),
    (["send", "--vanish", "lunch"], "--vanish takes"), (["send", "--to"], "needs a value"),
    (["send", "--subject", "a\nb"], "one line"), (["send", "a:25", "b:25"], "one word too many"),
    (["send", "--keep", "--reconnect"], "exclude"), (["send", "127.0.0.1:99999"], "is not HOST:PORT"),
    (["sink", "--fail", "rcpt"], "a code from 400 to 599"), (["sink", "--fail", "rcpt=250"], "a code from 400 to 599"),
    (["sink", "--fail", "lunch=450"], "is no stage"), (["sink", "--fail", "text=450"], "no answer at"),
    (["sink", "--fail", "rcpt=450%101"], "a percentage"), (["sink", "--slow", "dot"], "milliseconds"),
    (["sink", "--tls", "a"], "CERT,KEY"), (["sink", "--listen", "127.0.0.1:1x"], "is not HOST:PORT"),
])
@pytest.mark.daily(6)
def test_usage_errors(options, text):
    r = subprocess.run([POSTERN, *options], capture_output=True, text=True, timeout=10)
    assert r.returncode == 64 and text in r.stderr


@pytest.mark.parametrize("command", ["send", "sink"])
def test_help(command):
    r = subprocess.run([POSTERN, command, "--help"], capture_output=True, text=True, timeout=10)
    assert r.returncode == 0 and r.stdout.startswith("usage:") and len(r.stdout.splitlines()) > 25


# ---- other people's clients

@pytest.mark.skipif(not shutil.which("swaks"), reason="swaks is not installed")
def test_swaks(sink, tmp_path, certificate):
    s = sink("--store", str(tmp_path / "store"), "--tls", certificate)
    for more in ([], ["--tls"], ["--pipeline"]):
        r = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(s.port), "--from", "a@example.com", "--to",
                            "b@example.com,c@example.com", "--body", "one\n.two\n", *more], capture_output=True, text=True)
        assert r.returncode == 0, r.stdout
    totals = s.stop()
    assert totals["messages"] == 3 and totals["recipients"] == 6
    for f in (tmp_path / "store").iterdir():
        assert b"\r\n.two\r\n" in f.read_bytes()


@pytest.mark.skipif(not shutil.which("s-nail"), reason="s-nail is not installed")
def test_s_nail(sink, tmp_path):
    s = sink("--store", str(tmp_path / "store"))
    r = subprocess.run(["s-nail", "-:/", "-Sv15-compat", f"-Smta=smtp://127.0.0.1:{s.port}", "-Ssmtp-auth=none",
                        f"-SDEAD={tmp_path}/dead", "-r", "a@example.com", "-s", "from s-nail", "b@example.com"],
                       input="hello\n.dot\n", capture_output=True, text=True, timeout=30,
                       env={**os.environ, "HOME": str(tmp_path), "MAILRC": "/dev/null"})
    assert r.returncode == 0, r.stderr
    assert s.stop()["messages"] == 1
    assert b"Subject: from s-nail\r\n" in next((tmp_path / "store").iterdir()).read_bytes()
