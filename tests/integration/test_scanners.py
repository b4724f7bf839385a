# SPDX-License-Identifier: Apache-2.0
"""Scanners beside the relay: the real ones, and peers that are slow, close, flood, lie or say nothing."""
import base64
import itertools
import json
import socket
import struct
import subprocess
import time
import types

import pytest

from lib import scanners
from lib.opendkim import OpenDkim
from lib.scanners import EICAR, EXE, MilterPeer, Peer, Raw, drip, read_until, swallow
from lib.util import BUILD, free_port

ASK = BUILD / "tests/content/scanner_ask"
HEADER = (b"From: Ann <ann@mail.test>\r\nTo: bob@example.com\r\nSubject: On Monday\r\nX-Twice: one\r\nX-Folded: a\r\n\tb\r\nx-twice: two\r\n"
          b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <12345678901@mail.test>\r\n")
BODY = b"Hello Bob,\r\n\r\nsee you.\r\n"
MESSAGE = HEADER + b"\r\n" + BODY
INFECTED = MESSAGE + EICAR + b"\r\n"
CLIENT = {"client": "192.0.2.7", "client_name": "spammer.example", "helo": "h.spammer.example", "sender": "ann@mail.test",
          "rcpt": ["bob@example.com", "cid@example.com"]}
REJECT, DEFER, DISCARD, QUARANTINE, COPY, REMOVE_RCPT, CHANGE_SENDER = 1, 2, 3, 4, 9, 13, 14


def ask(tmp_path, message=MESSAGE, check=0, **keys):
    """The answer, with `took` (seconds)."""
    path = tmp_path / "message"
    path.write_bytes(message)
    words = [f"{k}={x}" for k, v in keys.items() for x in (v if isinstance(v, list) else [v])]
    begin = time.monotonic()
    done = subprocess.run([ASK, *words, path], capture_output=True, timeout=120)
    assert done.returncode == check, done.stderr.decode(errors="replace")
    if check:
        return done.stderr.decode()
    answer = json.loads(done.stdout)
    answer["took"] = time.monotonic() - begin
    return answer


@pytest.fixture
def peer():
    """Makes peers: peer(talk, kind=Peer)."""
    things = []

    def make(*args, kind=Peer, **kw):
        things.append(kind(*args, **kw))
        return things[-1]
    yield make
    for thing in things:
        thing.stop()


def real(make, *programs):
    @pytest.fixture(scope="module")
    def fixture(request):
        if not scanners.installed(*programs):
            pytest.skip(f"{programs[0]} is not installed")
        thing = make(request)
        yield thing
        thing.stop()
    return fixture


clamd = real(lambda r: scanners.Clamd(StreamMaxLength="1M"), "clamd")
spamd = real(lambda r: scanners.Spamd(), "spamd")
rspamd = real(lambda r: scanners.Rspamd(), "rspamd")
icap = real(lambda r: scanners.CIcap(clamd=r.getfixturevalue("clamd")), "c-icap")


@pytest.fixture(scope="module", params=["clamd", "icap", "spamd", "rspamd", "milter"])
def protocol(request):
    return request.param


# ---- trouble, of all protocols alike

def test_nobody_there(tmp_path, protocol):
    socket_path = tmp_path / "away.ctl"
    answer = ask(tmp_path, type=protocol, address=f"unix:{socket_path}")
    assert (answer["state"], answer["text"]) == ("down", f"cannot connect to unix:{socket_path}: No such file or directory")
    port = free_port()
    answer = ask(tmp_path, type=protocol, address=f"127.0.0.1:{port}")
    assert (answer["state"], answer["text"]) == ("down", f"cannot connect to 127.0.0.1:{port}: Connection refused")


def test_a_name_is_looked_up(tmp_path, protocol):
    port = free_port()
    answer = ask(tmp_path, type=protocol, address=f"localhost:{port}")
    assert (answer["state"], answer["text"]) == ("down", f"cannot connect to localhost:{port}: Connection refused")


def test_says_nothing(tmp_path, peer, protocol):
    p = peer(lambda s, n: time.sleep(5))
    answer = ask(tmp_path, type=protocol, address=p.address, timeout=700)
    assert (answer["state"], answer["text"]) == ("timeout", f"no answer from {p.address} in time")
    assert 0.6 < answer["took"] < 3


def test_the_deadline_of_the_message_counts(tmp_path, peer, protocol):
    p = peer(lambda s, n: time.sleep(5))
    assert ask(tmp_path, type=protocol, address=p.address, timeout=60000, deadline=400)["state"] == "timeout"


@pytest.mark.daily(2)
def test_takes_nothing(tmp_path, peer, protocol):
    """More than the buffers of both sides hold, and nobody reads."""
    p = peer(lambda s, n: time.sleep(5), unix=tmp_path / "s")
    answer = ask(tmp_path, MESSAGE + b"x" * 8_000_000, type=protocol, address=p.address, timeout=700)
    assert answer["state"] == "timeout" and answer["took"] < 4


def test_a_full_queue_of_connections(tmp_path, protocol):
    """Nobody accepts: the connect itself waits, and ends in time."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        held = []
        for _ in range(3):
            s = socket.socket(socket.AF_UNIX)
            s.setblocking(False)
            held.append(s)
            try:
                s.connect(str(tmp_path / "s"))
            except BlockingIOError:
                pass
        answer = ask(tmp_path, type=protocol, address=f"unix:{tmp_path}/s", timeout=500)
        assert answer["state"] == "timeout" and "no connection to" in answer["text"] and answer["took"] < 3
        for s in held:
            s.close()


@pytest.mark.parametrize("after", [0, 0.2])
def test_hangs_up(tmp_path, peer, protocol, after):
    def talk(s, n):
        time.sleep(after)
    p = peer(talk)
    answer = ask(tmp_path, type=protocol, address=p.address)
    assert answer["state"] == "down" and "closed the connection without an answer" in answer["text"]


BEGINNINGS = {"clamd": b"1: stre", "icap": b"ICAP/1.0 200 OK\r\nEncaps", "spamd": b"SPAMD/1.1 0 EX_OK\r\nContent-length: 100\r\nSpam: True ; 9 / 5\r\n\r\nx",
              "rspamd": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "milter": struct.pack("!I", 13) + b"O\0\0"}


def test_hangs_up_in_the_middle(tmp_path, peer, protocol):
    def talk(s, n):
        swallow(s)
        s.sendall(BEGINNINGS[protocol])
    p = peer(talk)
    answer = ask(tmp_path, type=protocol, address=p.address)
    assert (answer["state"], answer["text"]) == ("down", f"{p.address} closed the connection in the middle of its answer")


def test_a_byte_at_a_time(tmp_path, peer, protocol):
    def talk(s, n):
        read_until(s, b"\n") if protocol not in ("clamd", "milter") else s.recv(10)
        drip(s, BEGINNINGS[protocol] + b" " * 100)
    p = peer(talk)
    answer = ask(tmp_path, type=protocol, address=p.address, timeout=1000)
    assert (answer["state"], answer["text"]) == ("timeout", f"{p.address} did not come to an end with its answer in time")
    assert answer["took"] < 4


@pytest.mark.parametrize("byte", [b"A", b"\0", b"\xff", b"0", b"\r\n"])
def test_floods(tmp_path, peer, protocol, byte):
    def talk(s, n):
        while True:
            s.sendall(byte * 65536)
    p = peer(talk)
    answer = ask(tmp_path, type=protocol, address=p.address, timeout=20000)
    assert answer["state"] == "nonsense" and p.address in answer["text"] and answer["took"] < 10


def test_resets(tmp_path, peer, protocol):
    def talk(s, n):
        s.recv(10)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    p = peer(talk)
    answer = ask(tmp_path, MESSAGE + b"x" * 3_000_000, type=protocol, address=p.address)
    assert answer["state"] == "down"


# ---- clamd

@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_clamd(tmp_path, clamd, way):
    address = f"unix:{clamd.unix}" if way == "unix" else clamd.hop
    answer = ask(tmp_path, type="clamd", address=address)
    assert answer["state"] == "fine" and not answer["viruses"]
    answer = ask(tmp_path, INFECTED, type="clamd", address=address)
    assert answer["state"] == "fine" and answer["viruses"] == [{"name": "Test.Eicar.UNOFFICIAL", "part": ""}]


@pytest.mark.skipif(not EXE.exists(), reason="clamav-testfiles is not installed")
def test_clamd_names_the_file(tmp_path, clamd):
    answer = ask(tmp_path, type="clamd", address=clamd.hop, part=[f"setup.exe:{EXE}", f"other.bin:{__file__}"])
    assert answer["viruses"] == [{"name": "Test.Clam.UNOFFICIAL", "part": "setup.exe"}]
    mime = (HEADER + b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=setup.exe\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(EXE.read_bytes()).replace(b"\n", b"\r\n"))
    assert ask(tmp_path, mime, type="clamd", address=clamd.hop)["viruses"] == [{"name": "Test.Clam.UNOFFICIAL", "part": ""}]
    answer = ask(tmp_path, mime, type="clamd", address=clamd.hop, part=f"setup.exe:{EXE}")
    assert answer["viruses"] == [{"name": "Test.Clam.UNOFFICIAL", "part": "setup.exe"}]


def test_clamd_size_limit(tmp_path, clamd):
    for address in (clamd.hop, f"unix:{clamd.unix}"):
        answer = ask(tmp_path, MESSAGE + b"x" * 5_000_000, type="clamd", address=address)
        assert answer["state"] == "too-large" and "StreamMaxLength" in answer["text"]
    answer = ask(tmp_path, MESSAGE + b"x" * 5_000, type="clamd", address=clamd.hop, max_size=1000)
    assert (answer["state"], answer["text"]) == ("too-large", f"the message has {len(MESSAGE) + 5000} bytes, and max_size is 1000")


def clamd_says(reply):
    def talk(s, n):
        swallow(s)
        s.sendall(reply)
        time.sleep(0.3)
    return talk


@pytest.mark.parametrize("reply, state, text", [
    (b"1: stream: \x1b[31mEvil\n FOUND\0", "fine", None),
    (b"stream: OK\0", "fine", None),
    (b"2: stream: OK\0", "nonsense", "makes no sense: OK"),
    (b"1: stream: FOUND\0", "nonsense", None),
    (b"1: UNKNOWN COMMAND\0", "nonsense", "makes no sense: UNKNOWN COMMAND"),
    (b"1: Can't allocate memory ERROR\0", "down", "says: Can't allocate memory ERROR"),
    (b"1: INSTREAM size limit exceeded. ERROR\0", "too-large", None),
    (b"\0", "nonsense", None),
    (b"1: stream: OK", "down", "closed the connection in the middle of its answer"),
    (b"x" * 5000, "nonsense", "makes no sense: a reply without an end"),
], ids=itertools.count())
def test_clamd_says(tmp_path, peer, reply, state, text):
    p = peer(clamd_says(reply))
    answer = ask(tmp_path, type="clamd", address=p.address)
    assert answer["state"] == state, answer
    assert not text or text in answer["text"]
    if b"Evil" in reply:
        assert answer["viruses"] == [{"name": "\\x1b[31mEvil", "part": ""}]


def test_clamd_speaks_first(tmp_path, peer):
    """An answer that came before the file was sent is none."""
    def talk(s, n):
        s.sendall(b"1: stream: OK\0")
        time.sleep(1)
    p = peer(talk, unix=tmp_path / "s")
    message = MESSAGE + b"x" * 3_000_000
    answer = ask(tmp_path, message, type="clamd", address=p.address)
    assert (answer["state"], answer["text"]) == ("nonsense", f"{p.address} makes no sense: OK")


# ---- spamd

def test_spamd(tmp_path, spamd):
    answer = ask(tmp_path, type="spamd", address=spamd.hop, **CLIENT)
    assert answer["state"] == "fine" and answer["judged"] and "TEST_WORD" not in answer["symbols"]
    assert answer["symbols"]["TEST_CLIENT"]["score"] == 300  # who brought it is told
    answer = ask(tmp_path, MESSAGE + b"XSPAMTESTX\r\n", type="spamd", address=spamd.hop, **CLIENT)
    assert answer["symbols"]["TEST_WORD"] == {"score": 800, "text": "BODY: The word of the test"}
    assert abs(sum(s["score"] for s in answer["symbols"].values()) - answer["score"]) <= 20
    low = ask(tmp_path, MESSAGE + b"XSPAMTESTX\r\n", type="spamd", address=spamd.hop, mark=300, **CLIENT)
    assert low["score"] == round(answer["score"] * 0.6) and low["symbols"]["TEST_WORD"]["score"] == 480
    assert ask(tmp_path, type="spamd", address=spamd.hop, max_size=10)["state"] == "not-asked"


SPAMD = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; %s\r\n\r\n%s"


@pytest.mark.parametrize("reply, state, score", [
    (SPAMD % (b"15.0 / 5.0", b"pts\n---\n 15.0 RULE_A why\n"), "fine", 1500),
    (SPAMD % (b"-3.5 / 5.0", b""), "fine", -350),
    (SPAMD % (b"15.0 / 10.0", b""), "fine", 750),
    (SPAMD % (b"15.0 / 0.0", b""), "fine", 1500),
    (SPAMD % (b"9999999999999999 / 5.0", b""), "fine", 100000),
    (SPAMD % (b"1e99 / 5.0", b""), "nonsense", 0),
    (SPAMD % (b"nan / 5.0", b""), "nonsense", 0),
    (SPAMD % (b"", b""), "nonsense", 0),
    (b"SPAMD/1.1 0 EX_OK\r\nContent-length: 5\r\n\r\nhello", "nonsense", 0),
    (b"SPAMD/1.1 0 EX_OK\r\nContent-length: 99999999999\r\nSpam: True ; 1 / 5\r\n\r\n", "nonsense", 0),
    (b"SPAMD/1.1 0 EX_OK\r\nContent-length: -1\r\nSpam: True ; 1 / 5\r\n\r\n", "nonsense", 0),
    (b"SPAMD/1.0 76 Bad header line: x\r\n", "down", 0),
    (b"SPAMD/1.1 74 EX_IOERR\r\n\r\n", "down", 0),
    (b"HTTP/1.1 200 OK\r\n\r\n", "nonsense", 0),
    (SPAMD % (b"1.0 / 5.0", b"x" * 400_000), "nonsense", 0),
], ids=itertools.count())
def test_spamd_says(tmp_path, peer, reply, state, score):
    def talk(s, n):
        swallow(s)
        s.sendall(reply)
    answer = ask(tmp_path, type="spamd", address=peer(talk).address)
    assert (answer["state"], answer["score"]) == (state, score), answer["text"]


# ---- Rspamd

def test_rspamd(tmp_path, rspamd):
    answer = ask(tmp_path, type="rspamd", address=rspamd.hop, account="bob", **CLIENT)
    assert answer["state"] == "fine" and answer["judged"] and answer["text"] == "no action" and answer["score"] < 500
    assert answer["symbols"]["TEST_KNOWN"]["text"] == "ann@mail.test, 192.0.2.7, h.spammer.example, spammer.example, bob, 00000000004k7, 2"
    answer = ask(tmp_path, MESSAGE + b"XSPAMTESTX\r\n", type="rspamd", address=rspamd.hop, **CLIENT)
    assert answer["text"] == "reject" and answer["score"] >= 1250 and answer["symbols"]["TEST_WORD"]["score"] == 1667


def http(body, status=b"200 OK", head=b""):
    return b"HTTP/1.1 " + status + b"\r\n" + (head or b"Content-Length: %d\r\n" % len(body)) + b"\r\n" + body


@pytest.mark.parametrize("reply, state, score", [
    (http(b'{"score": 6, "required_score": 15, "action": "add header", "symbols": {"A": {"score": 6, "options": ["x", 1, "\\u0007"]}}}'), "fine", 500),
    (http(b'{"score": 6, "required_score": 15, "thresholds": {"add header": 12, "reject": 20}}'), "fine", 250),
    (http(b'{"score": 1, "required_score": 15, "action": "rewrite subject"}'), "fine", 500),
    (http(b'{"score": 14, "required_score": 15, "action": "no action"}'), "fine", 499),
    (http(b'{"score": 1e308, "required_score": 1}'), "fine", 100000),
    (http(b'{"score": 5, "required_score": -1, "symbols": 7}'), "fine", 500),
    (http(b'{"is_skipped": true, "score": 0}'), "fine", 0),
    (http(b"7\r\n{\"score\r\n12\r\n\": 5, \"required_sc\r\n0d\r\nore\": 12.5}  \r\n0\r\n\r\n", head=b"Transfer-Encoding: chunked\r\n"), "fine", 500),
    (http(b'{"score": 5, "required_score": 12.5}', head=b"Connection: close\r\n"), "fine", 500),
    (http(b'{"score": "5"}'), "nonsense", 0),
    (http(b'{"score": NaN}'), "nonsense", 0),
    (http(b"[" * 100_000), "nonsense", 0),
    (http(b"\xff\xfe"), "nonsense", 0),
    (http(b""), "nonsense", 0),
    (http(b"", b"403 Forbidden"), "down", 0),
    (http(b'{"error":"x\\u0007"}', b"500 Oops"), "down", 0),
    (http(b"", b"413 Too large"), "too-large", 0),
    (http(b"x", head=b"Content-Length: 18446744073709551616\r\n"), "nonsense", 0),
    (http(b"x", head=b"Content-Length: -1\r\n"), "nonsense", 0),
    (http(b"ffffffff\r\nx", head=b"Transfer-Encoding: chunked\r\n"), "down", 0),
    (http(b"fffffffff\r\nx", head=b"Transfer-Encoding: chunked\r\n"), "nonsense", 0),
    (http(b"1\r\nxy\r\n", head=b"Transfer-Encoding: chunked\r\n"), "nonsense", 0),
    (b"HTTP/1.1 OK\r\n\r\n", "nonsense", 0),
    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000, "nonsense", 0),
], ids=itertools.count())
def test_rspamd_says(tmp_path, peer, reply, state, score):
    def talk(s, n):
        swallow(s)
        s.sendall(reply)
    answer = ask(tmp_path, type="rspamd", address=peer(talk).address)
    assert (answer["state"], answer["score"]) == (state, score), answer["text"]


def test_rspamd_gets_no_headers_from_the_envelope(tmp_path, peer):
    heard = []

    def talk(s, n):
        heard.append(swallow(s))
        s.sendall(http(b'{"score": 0, "required_score": 15}'))
    (tmp_path / "password").write_text("geheim\n")
    ask(tmp_path, type="rspamd", address=peer(talk).address, password_file=tmp_path / "password", helo="x\r\nPassword: y", sender="a\nb@c", client="::1")
    head, body = heard[0].split(b"\r\n\r\n", 1)
    lines = head.split(b"\r\n")
    assert b"Helo: xPassword: y" in lines and b"From: <ab@c>" in lines and b"IP: ::1" in lines and lines.count(b"Password: geheim") == 1
    assert body == MESSAGE and b"Content-Length: %d" % len(MESSAGE) in lines
    assert "none: No such file" in ask(tmp_path, check=78, type="rspamd", address="127.0.0.1:1", password_file=tmp_path / "none")


# ---- ICAP

def test_icap_echo(tmp_path, icap):
    for size in (0, 300_000, 3_000_000):
        answer = ask(tmp_path, MESSAGE + b"x" * size, type="icap", address=icap.hop, service="echo")
        assert answer["state"] == "fine" and not answer["viruses"], answer
    assert "has no service nothing" in ask(tmp_path, type="icap", address=icap.hop, service="nothing")["text"]


def test_icap_virus(tmp_path, icap):
    assert not ask(tmp_path, type="icap", address=icap.hop, service="avscan", twice=1)["viruses"]
    for message in (INFECTED, INFECTED + b"x" * 500_000, MESSAGE + b"x\r\n" * 100_000 + EICAR):
        answer = ask(tmp_path, message, type="icap", address=icap.hop, service="avscan")
        assert answer["state"] == "fine" and [v["name"] for v in answer["viruses"]] == ["Test.Eicar.UNOFFICIAL"], answer
    if EXE.exists():
        answer = ask(tmp_path, type="icap", address=icap.hop, service="avscan", part=f"a.exe:{EXE}")
        assert answer["viruses"] == [{"name": "Test.Clam.UNOFFICIAL", "part": "a.exe"}]


OPTIONS = b"ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nEncapsulated: null-body=0\r\n\r\n"


def icap_answer(head, http_head=b"HTTP/1.1 200 OK\r\n\r\n", body=None):
    if http_head is None:
        return b"ICAP/1.0 " + head + b"\r\n\r\n"
    kind = b"null-body" if body is None else b"res-body"
    chunks = b"" if body is None else (b"%x\r\n" % len(body) + body + b"\r\n" if body else b"") + b"0\r\n\r\n"
    return b"ICAP/1.0 " + head + b"\r\nEncapsulated: res-hdr=0, " + kind + b"=%d\r\n\r\n" % len(http_head) + http_head + chunks


@pytest.mark.parametrize("reply, state, virus", [
    (icap_answer(b"204 No Content", None), "fine", None),
    (icap_answer(b"204 No Content\r\nX-Infection-Found: Type=0; Resolution=0; Threat=W32/X;", None), "fine", "W32/X"),
    (icap_answer(b"200 OK", body=MESSAGE), "fine", None),
    (icap_answer(b"200 OK", body=MESSAGE + b"!"), "fine", "changed"),
    (icap_answer(b"200 OK", body=MESSAGE[:-1]), "fine", "changed"),
    (icap_answer(b"200 OK", body=b""), "fine", "changed"),
    (icap_answer(b"200 OK"), "fine", "changed"),
    (icap_answer(b"200 OK", b"HTTP/1.1 403 Forbidden\r\n\r\n", b"no"), "fine", "blocked"),
    (icap_answer(b"200 OK", b"HTTP/1.1 403 Forbidden\r\nX-Virus-ID: \x1bEvil\r\n\r\n", b"no"), "fine", "\\x1bEvil"),
    (icap_answer(b"200 OK", b"HTTP/1.1 500 Oops\r\n\r\n", b"no"), "down", None),
    (icap_answer(b"200 OK", None), "nonsense", None),
    (icap_answer(b"100 Continue", None), "nonsense", None),
    (icap_answer(b"503 Busy", None), "down", None),
    (icap_answer(b"404 No", None), "down", None),
    (icap_answer(b"413 Big", None), "too-large", None),
    (icap_answer(b"200 OK\r\nEncapsulated: res-hdr=0, res-body=99999999", None), "nonsense", None),
    (icap_answer(b"200 OK\r\nEncapsulated: res-hdr=9, res-body=3", None), "nonsense", None),
    (icap_answer(b"200 OK\r\nEncapsulated: res-hdr=x", None), "nonsense", None),
    (icap_answer(b"200 OK\r\nEncapsulated: res-hdr=0, res-body=4", None) + b"oops0\r\n\r\n", "nonsense", None),
    (icap_answer(b"200 OK", body=MESSAGE)[:-5] + b"zz\r\n", "nonsense", None),
    (b"HTTP/1.1 204 OK\r\n\r\n", "nonsense", None),
], ids=itertools.count())
def test_icap_says(tmp_path, peer, reply, state, virus):
    def talk(s, n):
        swallow(s)
        s.sendall(OPTIONS if n == 1 else reply)
    answer = ask(tmp_path, type="icap", address=peer(talk).address, service="x")
    assert answer["state"] == state, answer["text"]
    assert [v["name"] for v in answer["viruses"]] == ([virus] if virus else [])


def test_icap_preview(tmp_path, peer):
    heard = []

    def talk(s, n):
        if n == 1:
            swallow(s)
            s.sendall(OPTIONS.replace(b"Methods", b"Preview: 10\r\nMethods"))
            return
        heard.append(swallow(s))
        s.sendall(icap_answer(b"100 Continue", None))
        heard.append(swallow(s))
        s.sendall(icap_answer(b"204 No", None))
    p = peer(talk)
    assert ask(tmp_path, type="icap", address=p.address, service="x")["state"] == "fine"
    assert b"\r\nPreview: 10\r\n" in heard[0] and heard[0].endswith(b"\r\n\r\na\r\n" + MESSAGE[:10] + b"\r\n0\r\n\r\n")
    rest = MESSAGE[10:]
    assert heard[1] == b"%x\r\n" % len(rest) + rest + b"\r\n0\r\n\r\n"
    heard.clear()
    assert "ICAP 100" in ask(tmp_path, b"A: b\r\n\r\n", type="icap", address=p.address, service="x")["text"] or heard[0].endswith(b"0; ieof\r\n\r\n")


# ---- a command

def command(tmp_path, script, message=MESSAGE, arguments="{}", **keys):
    program = tmp_path / "scan.sh"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)
    answer = ask(tmp_path, message, type="command", command=f"{program} {arguments}".strip(), directory=folder, **keys)
    assert list(folder.iterdir()) == []
    return answer


def test_command_clean_and_infected(tmp_path):
    by_file = 'grep -q EICAR "$1" && echo "$1: Eicar FOUND" && exit 1; exit 0'
    by_input = "grep -q EICAR && echo Eicar && exit 1; exit 0"
    for script, arguments in ((by_file, "{}"), (by_input, "")):
        assert command(tmp_path, script, arguments=arguments)["viruses"] == []
        assert command(tmp_path, script, INFECTED, arguments=arguments)["viruses"] == [{"name": "Eicar", "part": ""}]
    assert command(tmp_path, "exit 3", infected_code=3)["viruses"] == [{"name": "unnamed", "part": ""}]
    assert command(tmp_path, "cmp $1 " + str(tmp_path / "message"))["state"] == "fine"


def test_command_gets_each_file(tmp_path):
    (tmp_path / "evil").write_bytes(EICAR)
    answer = command(tmp_path, 'grep -q EICAR "$1" && echo "Eicar" && exit 1; exit 0', part=[f"a b;rm.exe:{tmp_path / 'evil'}"])
    assert answer["viruses"] == [{"name": "Eicar", "part": "a b;rm.exe"}]


def test_command_in_trouble(tmp_path):
    answer = command(tmp_path, "echo one; echo 'no\033 database' >&2; exit 2")
    assert (answer["state"], answer["text"]) == ("down", f"{tmp_path}/scan.sh ended with exit code 2: no\\x1b database")
    answer = command(tmp_path, "kill -9 $$")
    assert (answer["state"], answer["text"]) == ("down", f"{tmp_path}/scan.sh was killed by signal 9")
    answer = ask(tmp_path, type="command", command="/nowhere/scan {}")
    assert (answer["state"], answer["text"]) == ("down", "cannot run /nowhere/scan: No such file or directory")
    assert "absolute path" in ask(tmp_path, check=78, type="command", command="scan {}")
    answer = ask(tmp_path, type="command", command="/bin/true {}", directory="/nowhere")
    assert answer["state"] == "down" and "/nowhere" in answer["text"]


@pytest.mark.parametrize("script", ["sleep 60", "exec >&- 2>&-; sleep 60", "trap '' TERM; while :; do :; done", "sleep 60 & sleep 61 & wait"])
def test_command_is_slow(tmp_path, script):
    mark = f"sleep {60000 + hash(script) % 10000}"
    answer = command(tmp_path, script.replace("sleep 60", mark, 1), timeout=700)
    assert (answer["state"], answer["text"]) == ("timeout", f"{tmp_path}/scan.sh did not end in time") and answer["took"] < 4
    assert mark not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout  # the whole group is gone


def test_command_prints_without_end(tmp_path):
    answer = command(tmp_path, "yes")
    assert answer["state"] == "nonsense" and "8 MiB" in answer["text"]
    assert command(tmp_path, "yes | head -c 1000000; exit 0")["state"] == "fine"


def test_command_leaves_things_behind(tmp_path):
    assert command(tmp_path, 'mkdir -p "$TMPDIR/a/b"; echo x >"$TMPDIR/a/b/c"; ln -s / "$TMPDIR/root"; exit 0')["state"] == "fine"


def test_command_has_nothing_of_ours(tmp_path):
    """Neither descriptors nor the environment."""
    answer = command(tmp_path, 'ls /proc/self/fd | tr "\\n" " "; env | cut -d= -f1 | sort | tr "\\n" " "; exit 1')
    assert answer["viruses"][0]["name"].split() == ["0", "1", "2", "3", "LC_ALL", "PATH", "PWD", "TMPDIR"]


def test_clamscan(tmp_path):
    if not scanners.installed("clamscan"):
        pytest.skip("clamscan is not installed")
    database = scanners.virus_database(tmp_path / "db")
    for last in ("{}", "-"):
        words = f"/usr/bin/clamscan --no-summary -d {database} {last}"
        assert ask(tmp_path, type="command", command=words, timeout=60000)["viruses"] == []
        assert ask(tmp_path, INFECTED, type="command", command=words, timeout=60000)["viruses"] == [{"name": "Test.Eicar.UNOFFICIAL", "part": ""}]
    answer = ask(tmp_path, type="command", command="/usr/bin/clamscan --no-summary -d /nowhere {}", timeout=60000)
    assert answer["state"] == "down" and "exit code 2" in answer["text"]


# ---- milters

def test_milter_clamav(tmp_path, clamd):
    if not scanners.installed("clamav-milter"):
        pytest.skip("clamav-milter is not installed")
    for action, expected in (("Reject", [REJECT]), ("Defer", [DEFER]), ("Blackhole", [DISCARD]), ("Quarantine", [QUARANTINE]), ("Accept", [])):
        milter = scanners.ClamavMilter(clamd, OnInfected=action, **({} if action == "Reject" else {"RejectMsg": None}))
        try:
            answer = ask(tmp_path, type="milter", address=f"unix:{milter.unix}", **CLIENT)
            assert answer["state"] == "fine" and not answer["actions"] and b"X-Virus-Status: Clean\r\n" in answer["message"].encode()
            answer = ask(tmp_path, INFECTED, type="milter", address=f"unix:{milter.unix}", **CLIENT)
            assert answer["state"] == "fine" and [a["action"] for a in answer["actions"]] == expected, answer
            if action == "Reject":
                assert answer["actions"][0] == {"action": REJECT, "code": 550, "enhanced": "5.7.1", "text": "Test.Eicar.UNOFFICIAL is not wanted",
                                                "address": ""}
        finally:
            milter.stop()


@pytest.mark.slow
def test_milter_opendkim_signs(tmp_path):
    """The signature holds for what is sent on: it saw the same bytes as a next hop does."""
    pytest.importorskip("dkim")
    if not scanners.installed("opendkim"):
        pytest.skip("OpenDKIM is not installed")
    from lib.signing import RsaKey, verified
    key = RsaKey(tmp_path, "mail.test")
    signer = OpenDkim(key, Canonicalization="simple/simple")
    try:
        answer = ask(tmp_path, type="milter", address=signer.hop, **{**CLIENT, "client": "127.0.0.1"})
    finally:
        signer.stop()
    message = answer["message"].encode()
    assert answer["state"] == "fine" and b"DKIM-Signature:" in message and message.endswith(MESSAGE.split(b"\r\n", 1)[1])
    assert verified(message, [types.SimpleNamespace(name="s._domainkey.mail.test", record=key.record)])


def milter(tmp_path, peer, answers, message=MESSAGE, keys=(), **offer):
    p = peer(answers, kind=MilterPeer, **offer)
    answer = ask(tmp_path, message, type="milter", address=p.address, **{**CLIENT, **dict(keys)})
    answer["peer"] = p
    return answer


def test_milter_hears_the_session(tmp_path, peer):
    body = b"x\r\n" * 50_000
    answer = milter(tmp_path, peer, {}, HEADER + b"\r\n" + body, {"account": "ann", "tls": 1})
    p = answer["peer"]
    assert answer["state"] == "fine" and answer["edits"] == 0 and answer["actions"] == [] and answer["text"] == ""
    assert p.said("C") == [b"spammer.example\0" b"4\0\0" b"192.0.2.7\0"]
    assert p.said("H") == [b"h.spammer.example\0"] and p.said("M") == [b"<ann@mail.test>\0"]
    assert p.said("R") == [b"<bob@example.com>\0", b"<cid@example.com>\0"] and p.said("T") == [b""]
    assert p.said("L") == [b"From\0Ann <ann@mail.test>\0", b"To\0bob@example.com\0", b"Subject\0On Monday\0", b"X-Twice\0one\0", b"X-Folded\0a\n\tb\0",
                           b"x-twice\0two\0", b"Date\0Sun, 22 Nov 2026 10:00:00 +0000\0", b"Message-ID\0<12345678901@mail.test>\0"]
    assert b"".join(p.said("B")) == body and [len(x) for x in p.said("B")] == [65535, 65535, 150_000 - 131_070]
    macros = b"\0".join(p.said("D"))
    for macro in (b"j\0relay.test\0", b"{client_addr}\x00192.0.2.7\0", b"i\0" b"00000000004k7\0", b"{auth_authen}\0ann\0",
                  b"{rcpt_addr}\0cid@example.com\0", b"_\0spammer.example [192.0.2.7]\0"):
        assert macro in macros
    assert [c for c, _ in p.heard][-1] in "EQ"


def test_milter_leaves_steps_out(tmp_path, peer):
    answer = milter(tmp_path, peer, {}, steps=0x1 | 0x4 | 0x10 | 0x20)
    said = {c for c, _ in answer["peer"].heard}
    assert answer["state"] == "fine" and not said & set("CMLB") and said >= set("HRTNE")
    quiet = 0x80 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x40000 | 0x80000
    silent = {c: [] for c in "CHMRTLNB"}
    answer = milter(tmp_path, peer, silent, steps=quiet | 0x100000)
    assert answer["state"] == "fine" and len(answer["peer"].said("L")) == 8 and answer["peer"].said("L")[4] == b"X-Folded\0 a\n\tb\0"
    answer = milter(tmp_path, peer, {"B": [b"s"]}, HEADER + b"\r\n" + b"x" * 200_000, steps=0x400)
    assert answer["state"] == "fine" and len(answer["peer"].said("B")) == 1
    answer = milter(tmp_path, peer, {}, version=2)
    assert answer["state"] == "fine" and not answer["peer"].said("T")


@pytest.mark.daily(12)
@pytest.mark.parametrize("command", list("CHMRTLNBE"))
@pytest.mark.parametrize("reply, action, code, enhanced, text", [
    (b"r", REJECT, 0, "", ""), (b"t", DEFER, 0, "", ""), (b"4", DEFER, 0, "", ""), (b"d", DISCARD, 0, "", ""),
    (b"y550 5.7.1 100%% no\0", REJECT, 550, "5.7.1", "100% no"),
    (b"y451-4.7.1 later\r\n451 4.7.1 please\0", DEFER, 451, "4.7.1", "later please"),
    (b"y554\0", REJECT, 554, "", ""),
])
def test_milter_refuses(tmp_path, peer, command, reply, action, code, enhanced, text):
    answer = milter(tmp_path, peer, {command: [reply]}, keys={"rcpt": "bob@example.com"})
    assert answer["state"] == "fine", answer["text"]
    assert answer["actions"] == [{"action": action, "code": code, "enhanced": enhanced, "text": text, "address": ""}]


def test_milter_refuses_one_of_many(tmp_path, peer):
    answer = milter(tmp_path, peer, {"R": lambda data: [b"y550 5.1.1 unknown\0" if b"cid" in data else b"c"]})
    assert answer["actions"] == [{"action": REJECT, "code": 550, "enhanced": "5.1.1", "text": "<cid@example.com>: unknown", "address": ""}]


def test_milter_accepts_early(tmp_path, peer):
    answer = milter(tmp_path, peer, {"H": [b"a"]})
    assert answer["state"] == "fine" and answer["text"] == "accept" and not answer["peer"].said("M")


def number(n):
    return struct.pack("!I", n)


def test_milter_changes_headers(tmp_path, peer):
    answer = milter(tmp_path, peer, {"E": [
        b"p", b"hX-Added\0yes\n and more\0", b"hX-Evil\0a\n\nBcc: x\r\n\r\nbody\0", b"i" + number(0) + b"X-First\0" b"1\0",
        b"i" + number(0) + b"X-Top\0" b"2\0", b"i" + number(3) + b"X-Third\0here\0", b"i" + number(999) + b"X-Far\0away\0",
        b"m" + number(2) + b"X-Twice\0changed\0", b"m" + number(1) + b"x-folded\0\0", b"m" + number(5) + b"X-Twice\0new\0",
        b"m" + number(1) + b"Subject\0one\0", b"m" + number(1) + b"Subject\0[x] On Monday\0", b"c"]})
    assert answer["state"] == "fine", answer["text"]
    expected = (HEADER.replace(b"x-twice: two", b"X-Twice: changed").replace(b"X-Folded: a\r\n\tb\r\n", b"")
                .replace(b"Subject: On Monday", b"Subject: [x] On Monday").replace(b"Subject:", b"X-Third: here\r\nSubject:"))
    assert answer["message"].encode() == (
        b"X-Top: 2\r\nX-First: 1\r\n" + expected + b"X-Added: yes\r\n and more\r\nX-Evil: a\r\n\tBcc: x\r\n\tbody\r\nX-Far: away\r\nX-Twice: new\r\n"
        + b"\r\n" + BODY)


@pytest.mark.parametrize("message, before", [
    (MESSAGE, HEADER + b"X: y\r\n\r\n"), (HEADER, HEADER + b"X: y\r\n\r\n"), (HEADER + b"\r\n", HEADER + b"X: y\r\n\r\n"), (b"", b"X: y\r\n\r\n"),
    (b"\r\nBody\r\n", b"X: y\r\n\r\n"),
])
def test_milter_replaces_the_body(tmp_path, peer, message, before):
    answer = milter(tmp_path, peer, {"E": [b"bone\r", b"b\ntwo\nthree", b"hX\0y\0", b"c"]}, message)
    assert answer["message"].encode() == before + b"one\r\ntwo\r\nthree\r\n"


def test_milter_changes_the_envelope(tmp_path, peer):
    answer = milter(tmp_path, peer, {"E": [b"+<new@example.com>\0", b"2<par@example.com>\0NOTIFY=NEVER\0", b"-<cid@example.com>\0",
                                           b"e<other@mail.test>\0", b"e<>\0", b"qsmells \x1b\0", b"c"]})
    assert [(a["action"], a["address"], a["text"]) for a in answer["actions"]] == [
        (COPY, "new@example.com", ""), (COPY, "par@example.com", ""), (REMOVE_RCPT, "cid@example.com", ""), (CHANGE_SENDER, "other@mail.test", ""),
        (CHANGE_SENDER, "", ""), (QUARANTINE, "", "smells \\x1b")]


@pytest.mark.daily(8)
@pytest.mark.parametrize("answers, text", [
    ({"O": [b"c"]}, "does not negotiate"), ({"O": [b"O" + number(6)]}, "does not negotiate"),
    ({"O": [b"O" + number(7) + number(0) + number(0)]}, "version 7"), ({"O": [b"O" + number(6) + number(0x1000) + number(0)]}, "not offered"),
    ({"O": [b"O" + number(6) + number(0) + number(0x800)]}, "not offered"),
    ({"C": [b"Z"]}, "the answer 'Z' to 'C'"), ({"H": [b"s"]}, "the answer 's' to 'H'"), ({"H": [b"\x01"]}, "the answer '?' to 'H'"),
    ({"C": [Raw(number(0))]}, "the length"), ({"C": [Raw(number(0xFFFFFFFF) + b"c")]}, "the length"),
    ({"C": [Raw((number(1) + b"c") * 2)]}, "was not asked"),
    ({"M": [b"hX\0y\0"]}, "the answer 'h' to 'M'"), ({"M": [b"y250 fine\0"]}, "the reply"), ({"M": [b"y\0"]}, "the reply"),
    ({"M": [b"y5x0 fine\0"]}, "the reply"),
    ({"E": [b"hX\0y", b"c"]}, "ends too early"), ({"E": [b"h", b"c"]}, "ends too early"), ({"E": [b"i\0\0X\0", b"c"]}, "ends too early"),
    ({"E": [b"hX Y\0z\0", b"c"]}, "name is none"), ({"E": [b"h\0z\0", b"c"]}, "name is none"), ({"E": [b"hX:\0z\0", b"c"]}, "name is none"),
    ({"E": [b"hX\0" + b"y" * 70_000 + b"\0", b"c"]}, "64 KiB"), ({"E": [b"b" + b"x" * 65_000] * 2 + [b"c"]}, "64 KiB"),
    ({"E": [b"i" + number(0) + b"X\0" + b"y" * 20_000 + b"\0", b"c"]}, "16 KiB"),
    ({"E": [b"+\0", b"c"]}, "an address"), ({"E": [b"+a@b\nRCPT\0", b"c"]}, "an address"), ({"E": [b"+" + b"a" * 400 + b"\0", b"c"]}, "an address"),
    ({"E": [b"p"] * 1000 + [b"Z"]}, "the answer 'Z' to 'E'"), ({"E": [b"hX\0y\0"] * 300 + [b"c"]}, "too many changes"),
    ({"E": [b"+a@b\0"] * 100 + [b"c"]}, "too many changes"),
])
def test_milter_lies(tmp_path, peer, answers, text):
    answer = milter(tmp_path, peer, answers)
    assert answer["state"] == "nonsense" and text in answer["text"], answer["text"]
    assert answer["edits"] == 0 and answer["actions"] == [] and answer["prepend"] == ""


def test_milter_did_not_announce_it(tmp_path, peer):
    for change in (b"hX\0y\0", b"m" + number(1) + b"X\0y\0", b"bx", b"+a@b\0", b"-a@b\0", b"ea@b\0", b"qx\0", b"2a@b\0\0", b"i" + number(0) + b"X\0y\0"):
        answer = milter(tmp_path, peer, {"E": [change, b"c"]}, actions=0)
        assert answer["state"] == "nonsense" and "had not announced" in answer["text"]


def test_milter_makes_progress_for_ever(tmp_path, peer):
    def progress():
        end = time.monotonic() + 5
        while time.monotonic() < end:
            time.sleep(0.1)
            yield b"p"
    answer = milter(tmp_path, peer, {"E": lambda data: progress()}, keys={"timeout": 800})
    assert answer["state"] == "timeout" and answer["took"] < 4


def test_milter_without_a_client(tmp_path, peer):
    p = peer({}, kind=MilterPeer)
    assert ask(tmp_path, type="milter", address=p.address)["state"] == "fine"
    assert p.said("C") == [b"localhost\0U"] and p.said("M") == [b"<>\0"] and p.said("R") == []
    assert ask(tmp_path, type="milter", address=p.address, client="2001:db8::7")["state"] == "fine"
    assert p.said("C")[1] == b"[2001:db8::7]\0" b"6\0\0IPv6:2001:db8::7\0"
