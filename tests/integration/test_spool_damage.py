# SPDX-License-Identifier: Apache-2.0
"""Torn writes, flipped bytes and missing files in the spool of a stopped daemon: it starts, delivers all that is not
damaged, delivers nothing that is, and says what it found; `postern spool` tells the same."""
import json
import os
import random
import re
import shutil

import pytest

from lib.daemon import Postern, postern as command
from lib.util import free_port

SEED = int(os.environ.get("POSTERN_SEED", random.randrange(1 << 32)))
SMALL, LARGE = 12, 2  # messages in the spool
SLOW = pytest.mark.slow
HEAD = 56             # bytes of a record before the envelope


def text_of(n):
    """Each message is told apart by its text, and any change to it shows."""
    lines = 3000 if n >= SMALL else 30
    return f"Subject: message {n}\n\n" + "".join(f"message {n} line {i} .\n" for i in range(lines))


@pytest.fixture(scope="module")
def templates(shared_folder):
    """Two spools with the same messages: closed by a clean stop, and left behind by SIGKILL."""
    made = {}
    for how in ("stopped", "killed"):
        daemon = Postern(shared_folder / how, settings(f"127.0.0.1:{free_port()}"))
        for n in range(SMALL + LARGE):
            daemon.send(f"user{n}@example.com", text_of(n))
        daemon.wait_queued(SMALL + LARGE)
        if how == "killed":
            daemon.kill()
        daemon.stop()
        made[how] = shared_folder / how / "data"
    return made


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("templates")


def settings(hop):
    return {"domains": [{"name": "example.com", "deliver": hop}], "queue": {"inline_size": "16K", "segment_size": "1M"},
            "log": {"level": "info"}}


class Spool:
    """A copy of a spool to do harm to."""

    def __init__(self, data):
        self.folder = data / "spool" / "0"
        self.records = self.dump()
        self.messages = {r["recipients"][0]: r for r in self.records if r["type"] == "message"}

    def dump(self):
        return json.loads(command("spool", "dump", "--json", self.folder, check=0).stdout)

    def verify(self, check=None):
        done = command("spool", "verify", "--json", self.folder, check=check)
        return json.loads(done.stdout)

    def cat(self, ident, check=None):
        """Decoded byte by byte, as damage is."""
        return command("spool", "cat", self.folder, ident, check=check, encoding="latin-1")

    def segment(self, number=None):
        names = sorted(p for p in self.folder.iterdir() if p.name.startswith("seg-"))
        return names[0] if number is None else self.folder / f"seg-{number:016x}"

    def record(self, n):
        return self.messages[f"user{n}@example.com"]

    def big(self, n):
        return self.folder / f"big-{self.record(n)['id']}"

    def change(self, path, offset, change):
        """change: bytes to write there, or a function of the byte that is there."""
        with open(path, "r+b") as f:
            f.seek(offset)
            data = change if isinstance(change, bytes) else bytes([change(f.read(1)[0])])
            f.seek(offset)
            f.write(data)

    def flip(self, record, at, bit=0x10):
        self.change(self.segment(record["segment"]), record["offset"] + at, lambda b: b ^ bit)

    def aside(self):
        return sorted(p.name for p in self.folder.iterdir() if p.name.startswith("damaged-"))


@pytest.fixture
def harm(templates, tmp_path):
    def make(how):
        data = tmp_path / "postern0" / "data"
        data.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(templates[how], data)
        return Spool(data)
    return make


@pytest.fixture
def deliver(postern, sink):
    """Starts the daemon on the harmed spool. All messages but those in `lost` must come, each once and unchanged, and
    those in `maybe` may."""
    def run(spool, lost=(), maybe=(), held=0):
        daemon = postern(**settings(sink.hop))
        expected = [n for n in range(SMALL + LARGE) if n not in lost and n not in maybe]
        for n in expected:
            sink.wait_to(f"user{n}@example.com", seconds=30)
        if held == 0:
            daemon.wait_queue_empty(30)
        elif held:
            assert daemon.wait_queued(held, 30)[0]["state"] == "held"
        for n in range(SMALL + LARGE):
            got = sink.to(f"user{n}@example.com")
            assert len(got) <= 1
            if n in lost:
                assert not got, f"message {n} is damaged and was delivered"
            for message in got:
                text = text_of(n).replace("\n", "\r\n").encode()
                assert message.data.startswith(b"Received: "), f"message {n} was changed"
                assert message.data.endswith(b"\r\n" + text), f"message {n} was changed"
        daemon.send("after@example.com")
        sink.wait_to("after@example.com")
        return daemon
    return run


@pytest.mark.daily(1)
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_nothing_is_wrong(harm, deliver, how):
    spool = harm(how)
    found = spool.verify(check=0)
    assert found["messages"] == SMALL + LARGE and found["damaged"] == 0 and not found["reports"]
    assert how == "killed" or (spool.records[-1]["type"] == "end" and spool.records[-1]["closed"])
    for n in (0, SMALL):
        shown = spool.cat(spool.record(n)["id"], check=0).stdout
        assert shown.startswith("Received: ") and shown.replace("\r\n", "\n").endswith(text_of(n))
    daemon = deliver(spool)
    assert "damaged=0" in daemon.log() and "spool-damaged" not in daemon.log() and not spool.aside()


def test_tools_refuse_nonsense(harm, tmp_path):
    spool = harm("stopped")
    command("spool", "verify", tmp_path / "nothing", check=66)
    command("spool", "dump", tmp_path / "nothing", check=66)
    command("spool", "verify", check=64)
    command("spool", "cat", spool.folder, "not-an-id", check=64)
    assert spool.cat("0000000000000").returncode in (65, 66)
    assert "no such message" in spool.cat("0000000000000").stderr
    assert command("spool", "dump", spool.folder, check=0).stdout.count("\n") == len(spool.records)


# ---- torn tails

def last_message(spool):
    return max(spool.messages.values(), key=lambda r: (r["segment"], r["offset"]))


def number_of(record):
    return int(re.match(r"user(\d+)@", record["recipients"][0])[1])


def cut(spool, record, at):
    """The segment as if nothing behind that byte had ever been written."""
    path = spool.segment(record["segment"])
    size = path.stat().st_size
    os.truncate(path, record["offset"] + at)
    os.truncate(path, size)


@pytest.mark.daily(2)
@pytest.mark.parametrize("place", ["one byte", "in the head", "behind the head", "in the envelope", "in the text",
                                   "last byte"])
@pytest.mark.parametrize("short", [True, pytest.param(False, marks=SLOW)])
def test_a_torn_tail(harm, deliver, place, short):
    """The last message was being written when the power went: it can have been acknowledged only if it was on disk, so
    it is cut. short: the file ends there."""
    spool = harm("killed")
    record = max((r for n, r in ((number_of(r), r) for r in spool.messages.values()) if n < SMALL),
                 key=lambda r: (r["segment"], r["offset"]))
    gone = [number_of(r) for r in spool.messages.values()
            if (r["segment"], r["offset"]) >= (record["segment"], record["offset"])]
    at = {"one byte": 1, "in the head": 20, "behind the head": HEAD, "in the envelope": HEAD + 30,
          "in the text": record["bytes"] - 200, "last byte": record["bytes"] - 9}[place]
    cut(spool, record, at)
    if short:
        os.truncate(spool.segment(record["segment"]), record["offset"] + at)
    found = spool.verify()
    assert found["messages"] == SMALL + LARGE - len(gone)
    daemon = deliver(spool, lost=gone)
    assert place == "one byte" or re.search(r"spool-tail-cut|spool-damaged", daemon.log())  # one byte is nothing begun


def test_a_segment_that_was_begun(harm, deliver):
    """An empty segment file, one with only a head, and one with garbage behind the head."""
    spool = harm("killed")
    head = spool.segment().read_bytes()[:8192]
    (spool.folder / "seg-00000000000000f0").write_bytes(b"")
    (spool.folder / "seg-00000000000000f1").write_bytes(head)
    (spool.folder / "seg-00000000000000f2").write_bytes(b"\0" * 100000)
    assert spool.verify(check=65)["messages"] == SMALL + LARGE
    deliver(spool)


# ---- flipped bytes

@pytest.mark.daily(1)
@pytest.mark.parametrize("at", [0, 12, 24] + [pytest.param(n, marks=SLOW) for n in (5, 8, 9, 16, 33, 37, 45, 53)])
@pytest.mark.parametrize("how", ["stopped", pytest.param("killed", marks=SLOW)])
def test_a_flipped_byte_in_a_head(harm, deliver, how, at):
    spool = harm(how)
    spool.flip(spool.record(4), at)
    found = spool.verify(check=65)
    assert found["messages"] == SMALL + LARGE - 1 and found["damaged"] == 1, found
    daemon = deliver(spool, lost=[4])
    assert "spool-damaged" in daemon.log() and spool.aside()


@pytest.mark.parametrize("how", ["stopped", pytest.param("killed", marks=SLOW)])
def test_a_flipped_byte_in_an_envelope(harm, deliver, how):
    spool = harm(how)
    spool.flip(spool.record(4), HEAD + 20)
    found = spool.verify(check=65)
    assert found["messages"] == SMALL + LARGE - 1
    daemon = deliver(spool, lost=[4])
    assert "spool-damaged" in daemon.log() and spool.aside()
    assert any(b"message 4 line 7" in (spool.folder / name).read_bytes() for name in spool.aside()), "the text is kept"


@pytest.mark.daily(1)
@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_flipped_byte_in_a_text(harm, deliver, how):
    """Where the log was closed in order texts are not read at the start: such a message is held when its turn comes."""
    spool = harm(how)
    spool.flip(spool.record(4), spool.record(4)["bytes"] - 100)
    found = spool.verify(check=65)
    assert found["damaged"] == 1 and spool.record(4)["id"] in json.dumps(found)
    assert "damaged" in spool.cat(spool.record(4)["id"], check=65).stderr
    daemon = deliver(spool, lost=[4], held=1 if how == "stopped" else 0)
    assert re.search(rf"damaged.*{spool.record(4)['id']}", daemon.log())
    assert any(b"message 4 line 3" in (spool.folder / name).read_bytes() for name in spool.aside())


def test_a_hole_over_several_records(harm, deliver):
    spool = harm("stopped")
    first, last = spool.record(3), spool.record(6)
    if first["segment"] == last["segment"]:
        spool.change(spool.segment(first["segment"]), first["offset"] + 10,
                     b"\0" * (last["offset"] + 40 - first["offset"] - 10))
    spool.verify(check=65)
    daemon = deliver(spool, lost=[3, 4, 5, 6])
    assert "spool-damaged" in daemon.log() and spool.aside()


@pytest.mark.parametrize("copy", [0, pytest.param(4096, marks=SLOW)])
def test_one_copy_of_a_segments_head(harm, deliver, copy):
    spool = harm("stopped")
    spool.change(spool.segment(), copy + 20, lambda b: b ^ 1)
    assert spool.verify(check=65)["messages"] == SMALL + LARGE
    daemon = deliver(spool)
    assert "one copy of the head" in daemon.log()


def test_both_copies_of_a_segments_head(harm, deliver):
    spool = harm("stopped")
    number = spool.record(0)["segment"]
    lost = [number_of(r) for r in spool.messages.values() if r["segment"] == number]
    for copy in (0, 4096):
        spool.change(spool.segment(number), copy, b"garbage")
    spool.verify(check=65)
    daemon = deliver(spool, lost=lost)
    assert "spool-damaged" in daemon.log() and any(name.endswith("-segment") for name in spool.aside())


# ---- large messages

@pytest.mark.parametrize("harm_done", ["missing", "short"] + [pytest.param(x, marks=SLOW)
                                                              for x in ("empty", "long", "directory")])
def test_the_file_of_a_large_message(harm, deliver, harm_done):
    spool = harm("stopped")
    big = spool.big(SMALL)
    size = big.stat().st_size
    if harm_done in ("missing", "directory"):
        big.unlink()
    if harm_done == "directory":
        big.mkdir()
    elif harm_done != "missing":
        os.truncate(big, {"empty": 0, "short": size - 1, "long": size + 1}[harm_done])
    found = spool.verify(check=65)
    assert found["messages"] == SMALL + LARGE - 1
    assert spool.cat(spool.record(SMALL)["id"]).returncode != 0 or harm_done == "long"
    daemon = deliver(spool, lost=[SMALL])
    assert re.search(rf"spool-damaged.*id={spool.record(SMALL)['id']}.*large message", daemon.log()) and spool.aside()


def test_a_flipped_byte_in_a_large_message(harm, deliver):
    spool = harm("stopped")
    spool.change(spool.big(SMALL), 40000, lambda b: b ^ 1)
    spool.verify(check=65)
    daemon = deliver(spool, lost=[SMALL], held=1)
    assert re.search(rf"damaged.*{spool.record(SMALL)['id']}", daemon.log())


def test_files_of_others(harm, deliver):
    """What is not the spool's own does not disturb it."""
    spool = harm("stopped")
    for name in ("seg-", "seg-1", "seg-00000000000000zz", "big-x", "spare-0", "README", "draft-0000000000000001",
                 "big-0000000000001", "damaged-0000000000000001-00000000"):
        (spool.folder / name).write_text("x")
    (spool.folder / "seg-00000000000000aa").mkdir()
    (spool.folder / "seg-00000000000000ab").symlink_to("/etc/passwd")
    (spool.folder / "spare-00000000000000ac").mkdir()
    os.mkfifo(spool.folder / "seg-00000000000000ad")
    spool.verify()
    deliver(spool)
    assert "x" == (spool.folder / "README").read_text()


# ---- at random

def random_harm(spool, rng):
    """Flips bytes here and there; the numbers of messages that were hit, and of those whose state was."""
    hit = set()
    for _ in range(rng.randrange(1, 6)):
        path = spool.segment(rng.choice(spool.records)["segment"])
        used = max(r["offset"] + r["bytes"] for r in spool.records if spool.segment(r["segment"]) == path)
        offset = rng.randrange(8192, used)
        length = rng.choice((1, 1, 1, 8, 300, 5000))
        with open(path, "r+b") as f:
            f.seek(offset)
            before = f.read(length)
            after = bytes(b ^ rng.randrange(1, 256) for b in before)
            f.seek(offset)
            f.write(after)
        hit |= {number_of(r) for r in spool.messages.values() if spool.segment(r["segment"]) == path
                and r["offset"] < offset + length and offset < r["offset"] + r["bytes"]}
    return hit


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(30))
def test_random_damage(harm, deliver, turn):
    print(f"POSTERN_SEED={SEED}")
    rng = random.Random(SEED + turn)
    spool = harm(rng.choice(("stopped", "killed")))
    hit = random_harm(spool, rng)
    found = spool.verify()
    for record in spool.messages.values():
        spool.cat(record["id"])
    spool.dump()
    daemon = deliver(spool, maybe=hit, held=None)
    print(f"hit {sorted(hit)}, {found['damaged']} damaged places")
    assert not found["damaged"] or "damaged" in daemon.log()
