# SPDX-License-Identifier: Apache-2.0
"""Many clients, idle clients, slow clients, clients that vanish or do not listen: they cost little and harm nobody."""
import contextlib
import pathlib
import re
import resource
import socket
import struct
import threading
import time

import pytest

from lib.daemon import Postern
from lib.smtp import Closed, stuffed
from lib.util import ROOT, wait_until

RELEASE = ROOT / "build/postern"


@pytest.fixture(scope="module", autouse=True)
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 20000), hard), hard))
    yield


def limited(postern, sink, **changes):
    return postern(domains=[{"name": "example.com", "deliver": sink.hop}], **changes)


def sessions(relay):
    told = relay.status()
    return sum(f["server"]["sessions"] for f in told["figures"])


def alive(relay, sink, to):
    """A client like any other is served, soon."""
    began = time.monotonic()
    relay.send(to)
    sink.wait_to(to)
    assert time.monotonic() - began < 10


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# ---- how many

def test_connections_per_client(postern, sink):
    relay = limited(postern, sink, limits={"connections_per_client": 5})
    some = [relay.client() for _ in range(5)]
    with relay.client(greet=False) as c:
        assert c.reply(421).enhanced == "4.7.0"
        c.expect_closed()
    with relay.client(source="127.0.0.9") as c:  # others are not meant
        c.ehlo()
    some.pop().close()
    wait_until(lambda: sessions(relay) == 4, lambda: sessions(relay))
    with relay.client() as c:
        c.ehlo()
        c.message("a@example.com")
    for c in some:
        c.ehlo()
        c.close()
    assert "refused" in relay.log()


def test_connections_in_all(postern, sink):
    relay = limited(postern, sink, limits={"connections": 6})
    some = [relay.client(source=f"127.0.0.{10 + i}") for i in range(6)]
    with relay.client(source="127.0.0.30", greet=False) as c:
        c.reply(421)
        c.expect_closed()
    some.pop().quit()
    wait_until(lambda: sessions(relay) == 5, lambda: sessions(relay))
    relay.client(source="127.0.0.30").close()
    for c in some:
        c.close()


def test_connections_of_a_zone(postern, sink):
    """Strangers cannot take the places of our own."""
    relay = limited(postern, sink, zones={"internet": {"max_connections": 3}})
    some = [relay.client(source=f"127.0.0.{10 + i}") for i in range(3)]
    with relay.client(source="127.0.0.30", greet=False) as c:
        c.reply(421)
        c.expect_closed()
    alive(relay, sink, "own@example.com")
    for c in some:
        c.close()


def test_messages_per_connection(postern, sink):
    relay = limited(postern, sink, limits={"messages_per_connection": 3})
    with relay.client() as c:
        c.ehlo()
        for i in range(3):
            c.message(f"m{i}@example.com")
        c.mail(expect=421)
        c.expect_closed()
    alive(relay, sink, "next@example.com")


def test_an_inactive_zone(postern, sink):
    relay = limited(postern, sink, zones={"internet": {"mode": "inactive"}})
    with relay.client(greet=False) as c:
        assert c.reply((421, 554))
    alive(relay, sink, "own@example.com")


@pytest.mark.slow
def test_two_thousand_idle_sessions(postern, sink, tmp_path):
    """They cost memory only, and little of that; whoever else comes is served."""
    relay = Postern(tmp_path / "crowd", {"domains": [{"name": "example.com", "deliver": sink.hop}],
                                         "limits": {"connections_per_client": 5000}}, start=False)
    relay.binary = RELEASE if RELEASE.exists() else relay.binary
    relay.start()
    try:
        pid = relay.pid("relay-0")
        alive(relay, sink, "before@example.com")

        def memory():
            return sum(int(x) for x in re.findall(r"Private_\w+: +(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()))
        before = memory()
        crowd = []
        for i in range(2000):
            c = relay.client(source=f"127.0.0.{10 + i % 100}")
            c.ehlo()
            crowd.append(c)
        assert sessions(relay) == 2000
        each = (memory() - before) / len(crowd)
        if RELEASE.exists():
            assert each <= 30, f"{each:.1f} KB each"
        alive(relay, sink, "among@example.com")
        crowd[0].message("first@example.com")
        for c in crowd[:1000]:
            c.close()
        for c in crowd[1000:]:
            reset(c.sock)
        wait_until(lambda: sessions(relay) == 0, lambda: sessions(relay))
        alive(relay, sink, "after@example.com")
    finally:
        relay.stop()


# ---- how they end

@pytest.mark.parametrize("how", ["close", "reset"])
def test_vanishing_at_every_step(postern, sink, how):
    relay = limited(postern, sink)
    steps = [b"", b"EH", b"EHLO a.example\r\n", b"MAIL FROM:<a@a.example>\r\n", b"RCPT TO:<a@example.com>\r\n", b"DATA\r\n", b"Subject: x\r\n",
             b"\r\nx\r\n", b"y" * 100000, b"\r\n.\r", b"\n"]
    for n in range(len(steps)):
        for pause in (0, 0.01):
            sock = socket.create_connection(("127.0.0.1", relay.port))
            with contextlib.suppress(ConnectionError):
                for step in steps[:n + 1]:
                    sock.sendall(step)
                    time.sleep(pause)
            if how == "reset":
                reset(sock)
            else:
                sock.close()
    alive(relay, sink, "after@example.com")
    wait_until(lambda: sessions(relay) == 0, lambda: sessions(relay), 20, 0.1)
    relay.wait_queue_empty()  # those whose text was whole may have come; none in part
    assert all(m.body == b"x\r\n" + b"y" * 100000 + b"\r\n" for m in sink.to("a@example.com"))


def test_scanners_that_connect_and_go(postern, sink):
    relay = limited(postern, sink)
    for i in range(500):
        sock = socket.create_connection(("127.0.0.1", relay.port))
        if i % 2:
            reset(sock)
        else:
            sock.close()
    alive(relay, sink, "after@example.com")
    wait_until(lambda: sessions(relay) == 0, lambda: sessions(relay))


# ---- who does not listen

@pytest.mark.parametrize("flood", [b"HELP\r\n", *(pytest.param(f, marks=pytest.mark.slow)
                                                for f in (b"NOOP " + b"x" * 400 + b"\r\n", b"BOGUS\r\n"))], ids=["help", "noop", "bogus"])
def test_replies_that_nobody_reads(postern, sink, flood):
    """The relay holds no more than a little for such a client, however many there are, and does not work for them for ever."""
    relay = limited(postern, sink, limits={"errors": 10000}, timeouts={"command": "2s"})
    socks = []
    for _ in range(10):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", relay.port))
        sock.settimeout(0.1)
        sent, piece = 0, flood * (65536 // len(flood))
        with contextlib.suppress(TimeoutError, ConnectionError):
            sock.sendall(b"EHLO client.example\r\n")
            time.sleep(0.05)
            while sent < 20 << 20:
                sent += sock.send(piece)
        socks.append(sock)
    alive(relay, sink, "others@example.com")
    wait_until(lambda: sessions(relay) == 0, lambda: sessions(relay), 30, 0.2)  # before they let go themselves
    for sock in socks:
        sock.close()


def test_commands_all_at_once_and_then_silence(postern, sink):
    """Thousands of commands in one go: all are answered to whoever still reads, and there is an end of it."""
    relay = limited(postern, sink)
    with relay.client() as c:
        c.ehlo()
        got = []
        reader = threading.Thread(target=lambda: got.extend(c.drain()))
        reader.start()
        c.sock.sendall(b"RSET\r\nNOOP\r\n" * 4900 + b"QUIT\r\n")
        reader.join(60)
    assert len(got) == 9801 and got[-1].code == 221
    with relay.client() as c:
        c.ehlo()
        c.sock.sendall(b"NOOP\r\n" * 20000)
        got = c.drain()
    assert 9000 < len(got) < 11000 and got[-1].code == 421 and "too many commands" in got[-1].text


def test_hundred_transactions_in_one_go(postern, sink):
    """Pipelined over DATA: the text of each is sent with the next commands behind it, as a client may that was told 354."""
    relay = limited(postern, sink)
    with relay.client() as c:
        c.ehlo()
        for i in range(100):
            c.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<p%d@example.com>\r\nDATA\r\n" % i)
            assert [c.reply().code for _ in range(3 if i == 0 else 4)][-1] == 354
            c.send(stuffed(f"Subject: {i}\n\n{i}\n"))
        c.reply(250)
        c.quit()
    for i in range(100):
        assert sink.wait_to(f"p{i}@example.com").body == b"%d\r\n" % i


# ---- who is slow

@pytest.mark.slow
def test_hundred_slow_clients(postern, sink):
    """One byte at a time each, for longer than they may: all are let go, others do not notice."""
    relay = limited(postern, sink, timeouts={"command": "2s", "data": "2s", "message": "10s"})
    socks = [socket.create_connection(("127.0.0.1", relay.port)) for _ in range(100)]
    closed = set()
    end = time.monotonic() + 12
    while len(closed) < 100 and time.monotonic() < end:
        for i, sock in enumerate(socks):
            if i in closed:
                continue
            try:
                sock.send(b"N")
                sock.setblocking(False)
                if b"421" in sock.recv(1000):
                    closed.add(i)
            except BlockingIOError:
                pass
            except ConnectionError:
                closed.add(i)
        time.sleep(0.1)
    assert len(closed) == 100
    alive(relay, sink, "quick@example.com")
    for sock in socks:
        sock.close()


@pytest.mark.slow
def test_a_message_that_takes_too_long(postern, sink):
    """A line now and then keeps timeouts.data quiet, not timeouts.message."""
    relay = limited(postern, sink, timeouts={"data": "5s", "message": "10s"})
    with relay.client() as c:
        c.ehlo()
        c.mail()
        c.rcpt("drip@example.com")
        c.cmd("DATA", 354)
        began = time.monotonic()
        with pytest.raises((ConnectionError, Closed)):
            while time.monotonic() - began < 40:
                c.sock.sendall(b"X: y\r\n")
                c.sock.settimeout(0.5)
                with contextlib.suppress(socket.timeout):
                    assert c.sock.recv(1000)[:3] in (b"421", b"451")
                    raise Closed
        assert 5 < time.monotonic() - began < 30
    assert not sink.to("drip@example.com")


def test_session_limit(postern, sink):
    relay = limited(postern, sink, timeouts={"session": "1s", "command": "1s"})
    with relay.client() as c:
        began = time.monotonic()
        with pytest.raises((ConnectionError, Closed, AssertionError)):
            while time.monotonic() - began < 20:
                c.cmd("NOOP", 250)
                time.sleep(0.2)
        assert 0.5 < time.monotonic() - began < 12


@pytest.mark.slow
def test_slow_readers_get_all_of_it(postern, sink):
    """Slow is no crime within the time-outs."""
    relay = limited(postern, sink)
    with relay.client() as c:
        c.ehlo()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sender = threading.Thread(target=lambda: c.sock.sendall(b"HELP\r\n" * 1000 + b"QUIT\r\n"))
        sender.start()
        got = b""
        while more := c.sock.recv(3000):
            got += more
            if len(got) < 20000:
                time.sleep(0.005)
        sender.join(20)
    assert len(re.findall(rb"^214[ ]", got, re.M)) == 1000 and got.rstrip().split(b"\r\n")[-1].startswith(b"221")


def test_many_large_messages_half_sent(postern, sink):
    """Memory for texts under way is bounded: large ones go to files of their own, and leave none behind."""
    relay = limited(postern, sink, limits={"message_size": "10M"}, queue={"inline_size": "64K"})
    clients = []
    for i in range(50):
        c = relay.client()
        c.ehlo()
        c.mail()
        c.rcpt(f"half{i}@example.com")
        c.cmd("DATA", 354)
        c.sock.sendall(b"Subject: x\r\n\r\n" + (b"x" * 78 + b"\r\n") * 4000)
        clients.append(c)
    alive(relay, sink, "whole@example.com")
    for c in clients[1:]:
        reset(c.sock)
    clients[0].send(b".\r\n")
    clients[0].reply(250)
    assert len(sink.wait_to("half0@example.com").data) > 320000
    wait_until(lambda: sessions(relay) <= 1, lambda: sessions(relay))
    relay.wait_queue_empty()
    clients[0].close()

    def large_files():
        return [p for p in (relay.folder / "data/spool/0").rglob("*") if p.is_file() and 64 << 10 < p.stat().st_size < 64 << 20
                and not re.search(r"seg|\.log", p.name)]
    wait_until(lambda: not large_files(), large_files)
