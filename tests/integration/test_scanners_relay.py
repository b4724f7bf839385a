# SPDX-License-Identifier: Apache-2.0
"""Scanners of every kind behind a relay with its sandbox: what they say is what becomes of the mail."""
import json
import struct

import pytest

from lib import scanners
from lib.scanners import EICAR, MilterPeer

TEXT = "From: ann@client.example\nSubject: hello\nX-Gone: 1\n\nHello.\n"
INFECTED = TEXT + EICAR.decode() + "\n"


@pytest.fixture(scope="module")
def clamd():
    if not scanners.installed("clamd"):
        pytest.skip("clamd is not installed")
    thing = scanners.Clamd()
    yield thing
    thing.stop()


@pytest.fixture
def peer():
    things = []

    def make(*args, kind=MilterPeer, **kw):
        things.append(kind(*args, **kw))
        return things[-1]
    yield make
    for thing in things:
        thing.stop()


def relay_with(postern, sink, *listed, **changes):
    return postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, scanners=list(listed), **changes)


def test_clamd(postern, sink, clamd):
    relay = relay_with(postern, sink, {"name": "clamav", "type": "clamd", "address": f"unix:{clamd.unix}"})
    with relay.client() as c:
        c.ehlo()
        c.message("bob@example.com", TEXT)
        reply = c.message("bob@example.com", INFECTED, expect=550)
        assert "5.7.1" in str(reply)
    sink.wait_to("bob@example.com")
    assert len(sink.to("bob@example.com")) == 1


@pytest.mark.slow
def test_icap_and_spamd(postern, sink, clamd):
    if not scanners.installed("c-icap", "spamd"):
        pytest.skip("c-icap or spamd is not installed")
    icap, spamd = scanners.CIcap(clamd=clamd), scanners.Spamd()
    try:
        relay = relay_with(postern, sink, {"name": "av", "type": "icap", "address": icap.hop, "service": "avscan"},
                           {"name": "sa", "type": "spamd", "address": spamd.hop}, spam={"enabled": True, "builtin": False, "action": "reject"})
        with relay.client() as c:
            c.ehlo()
            c.message("bob@example.com", INFECTED, expect=550)
            c.message("bob@example.com", TEXT + "XSPAMTESTX\n", expect=550)
            c.message("bob@example.com", TEXT)
        sink.wait_to("bob@example.com")
    finally:
        icap.stop()
        spamd.stop()


def test_a_command(postern, sink, tmp_path):
    program = tmp_path / "scan.sh"
    program.write_text('#!/bin/sh\ngrep -q EICAR "$1" && echo "$1: Test.Eicar FOUND" && exit 3\nexit 0\n')
    program.chmod(0o755)
    relay = relay_with(postern, sink, {"name": "own", "type": "command", "command": f"{program} {{}}", "infected_code": 3})
    with relay.client() as c:
        c.ehlo()
        c.message("bob@example.com", TEXT)
        sink.wait_to("bob@example.com")
        c.message("bob@example.com", INFECTED, expect=550)
        program.write_text("#!/bin/sh\nexit 9\n")
        reply = c.message("bob@example.com", TEXT, expect=451)
        assert "4.7.1" in str(reply) or "4.3" in str(reply)
    assert len(sink.to("bob@example.com")) == 1
    assert not list((relay.folder / "data").glob("**/scan-*/*"))


def number(n):
    return struct.pack("!I", n)


def test_a_milter_changes_the_message(postern, sink, peer):
    milter = peer({"E": [b"hX-Added\0by a milter\0", b"m" + number(1) + b"Subject\0[x] hello\0", b"m" + number(1) + b"X-Gone\0\0",
                         b"i" + number(0) + b"X-Top\0first\0", b"+<carbon@example.com>\0", b"-<cid@example.com>\0", b"e<new@client.example>\0",
                         b"bHello,\r\nworld.\r\n", b"c"]})
    relay = relay_with(postern, sink, {"name": "policy", "type": "milter", "address": milter.address})
    with relay.client() as c:
        c.ehlo()
        c.mail("ann@client.example")
        c.rcpt("bob@example.com")
        c.rcpt("cid@example.com")
        c.data(TEXT)
    mail = sink.wait_to("bob@example.com")
    raw = mail.raw.decode()
    assert raw.endswith("From: ann@client.example\r\nSubject: [x] hello\r\nX-Added: by a milter\r\n\r\nHello,\r\nworld.\r\n")
    assert "X-Top: first\r\n" in raw and "X-Gone" not in raw and mail.sender == "new@client.example"
    sink.wait_to("carbon@example.com")
    assert not sink.to("cid@example.com")


def test_a_milter_refuses(postern, sink, peer):
    milter = peer({"B": lambda data: [b"y554 5.7.99 no 100%% thanks\0" if b"bad" in data else b"t" if b"later" in data else b"c"]})
    relay = relay_with(postern, sink, {"name": "policy", "type": "milter", "address": milter.address})
    with relay.client() as c:
        c.ehlo()
        reply = c.message("bob@example.com", TEXT + "bad\n", expect=554)
        assert "5.7.99" in str(reply) and "no 100% thanks" in str(reply)
        c.message("bob@example.com", TEXT + "later\n", expect=451)
        c.message("bob@example.com", TEXT)
    sink.wait_to("bob@example.com")


@pytest.mark.daily(2)
@pytest.mark.parametrize("kind", ["clamd", "icap", "spamd", "rspamd", "milter"])
def test_nobody_there(postern, sink, tmp_path, kind):
    spam = {"enabled": kind in ("spamd", "rspamd"), "builtin": False}
    one = {"name": "away", "type": kind, "address": f"unix:{tmp_path}/away.ctl", **({"service": "x"} if kind == "icap" else {})}
    relay = relay_with(postern, sink, one, spam=spam)
    with relay.client() as c:
        c.ehlo()
        c.message("bob@example.com", TEXT, expect=451)
    relay.wait_log("No such file or directory")


def test_postern_scan_asks_them(postern, sink, clamd, tmp_path):
    from lib.daemon import postern as command
    relay = relay_with(postern, sink, {"name": "clamav", "type": "clamd", "address": clamd.hop})
    (tmp_path / "m").write_text(INFECTED)
    done = command("scan", "-c", relay.config_path, "--json", tmp_path / "m", check=0)
    report = json.loads(done.stdout)
    assert [v["name"] for v in report["viruses"]] == ["Test.Eicar.UNOFFICIAL"]
    assert command("scan", "-c", relay.config_path, tmp_path / "m", check=0).stdout.startswith("block")
