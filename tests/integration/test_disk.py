# SPDX-License-Identifier: Apache-2.0
"""A disk that fills: mail is put off in time, what is in the queue is delivered, and nothing that was acknowledged is
lost."""
import os
import random
import signal
import time

import pytest

from lib.load import Load, SinkProgram, account, children, queued_n, wait_drained
from lib.util import wait_until

pytestmark = pytest.mark.root
SEED = int(os.environ.get("POSTERN_SEED", random.randrange(1 << 32)))
BIG = "Subject: large\n\n" + ("x" * 70 + "\n") * 60000  # 4 MB


@pytest.fixture
def sink(tmp_path):
    program = SinkProgram(tmp_path / "sink")
    yield program
    program.stop()


@pytest.fixture
def relay(postern, sink):
    def make(disk, **changes):
        (disk.path / "data").mkdir()
        daemon = postern(domains=[{"name": "example.com", "deliver": sink.hop}],
                         queue={"segment_size": "1M", "inline_size": "64K", "retry_first": "1s", "retry_max": "1s",
                                "free_space": "10%", **changes},
                         system={"directory": str(disk.path / "data"), "drain": "1s"}, log={"level": "info"})
        daemon.data = disk.path / "data"
        return daemon
    return make


def wait_service(daemon):
    """Until new mail is taken again."""
    def taken():
        with daemon.trusted() as c:
            c.ehlo()
            if c.cmd("MAIL FROM:<a@client.example>").code != 250:
                return False
            c.rcpt("back@example.com")
            return c.data("Subject: back\n\n.\n", expect=None).code == 250
    wait_until(taken, lambda: f"new mail to be taken\n{daemon.log_tail(20)}", 30, 0.3)


KINDS = ["ext4", pytest.param("tmpfs", marks=pytest.mark.slow)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_new_mail_is_put_off_before_the_disk_is_full(disk, relay, sink, tmp_path, kind):
    small = disk(kind, 24)
    daemon = relay(small)
    sink.stop()
    load = Load(tmp_path, daemon.port, "fill", "--size", "30K", "--sessions", 4, retry=0, messages=1500,
                to="a@example.com")
    summary = load.wait(complete=False)
    assert summary["accepted"] > 200 and summary["refused"] > 0 and summary["lost"] == 0, summary
    assert set(summary["refused_by"]) == {"452"}, summary
    assert small.free() > 0
    with daemon.trusted() as c:
        c.ehlo()
        reply = c.mail(expect=452)
        assert reply.enhanced == "4.3.1"
        c.quit()
    assert queued_n(daemon) == summary["accepted"]
    sink.start()
    wait_drained(daemon)
    wait_service(daemon)
    account([load], [sink], f"{kind}, filled by mail")


@pytest.mark.slow
def test_starts_do_not_use_up_what_is_kept_free(disk, relay, sink, tmp_path):
    """Each start needs a new segment; what became of messages must still find room, or none would be made again."""
    small = disk("ext4", 24)
    daemon = relay(small)
    sink.stop()
    load = Load(tmp_path, daemon.port, "fill", "--size", "30K", "--sessions", 4, retry=0, messages=1500,
                to="a@example.com")
    load.wait(complete=False)
    for _ in range(5):
        daemon.kill()
        daemon.start()
    assert small.free() > 100_000
    sink.start()
    wait_drained(daemon)
    wait_service(daemon)
    account([load], [sink], "five starts with little space")


@pytest.mark.parametrize("kind", KINDS)
def test_no_space_in_the_middle_of_a_message(disk, relay, sink, tmp_path, kind):
    """The guard is off: writing fails."""
    small = disk(kind, 24)
    daemon = relay(small, free_space="0%")
    before = Load(tmp_path, daemon.port, "before", messages=20, to="a@example.com")
    before.wait()
    small.fill(leave=2 << 20)
    for _ in range(2):
        with daemon.trusted() as c:
            c.ehlo()
            c.mail()
            c.rcpt("big@example.com")
            assert c.data(BIG, expect=452).enhanced == "4.3.1"
            c.mail(expect=(250, 452))  # the session goes on
            c.quit()
        time.sleep(1.1)  # the relay has asked the disk anew
    assert not [f for f in os.listdir(daemon.data / "spool" / "0") if f.startswith(("draft-", "big-"))]
    small.relieve()
    wait_service(daemon)
    with daemon.trusted() as c:
        c.ehlo()
        c.message("big@example.com", BIG)
    wait_drained(daemon)
    assert sum(rcpt == "big@example.com" for _, rcpt in sink.arrived()) == 1
    account([before], [sink], f"{kind}, no space in a message")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_delivery_goes_on_with_a_full_disk(disk, relay, sink, tmp_path, kind):
    """Not a byte is left, so not even what became of a message can be written; it is once there is room."""
    small = disk(kind, 24)
    daemon = relay(small)
    sink.stop()
    load = Load(tmp_path, daemon.port, "queued", "--size", "30K", messages=100, to="a@example.com")
    big = Load(tmp_path, daemon.port, "big", "--size", "300K", messages=5, to="b@example.com")
    load.wait(), big.wait()
    small.fill()
    time.sleep(1.1)  # the relay asks for the space that is left once a second
    sink.start()
    wait_until(lambda: len(sink.arrived()) == 105, lambda: f"all to arrive\n{daemon.log_tail(20)}", 60)
    with daemon.trusted() as c:
        c.ehlo()
        c.mail(expect=452)
    small.relieve()
    wait_drained(daemon)
    wait_service(daemon)
    account([load, big], [sink], f"{kind}, full while delivering")


@pytest.mark.slow
def test_a_worker_dies_with_a_full_disk(disk, relay, sink, tmp_path):
    small = disk()
    daemon = relay(small)
    sink.stop()
    load = Load(tmp_path, daemon.port, "queued", "--size", "30K", messages=100, to="a@example.com")
    load.wait()
    small.fill()
    os.kill(children(daemon, "relay-")[0], signal.SIGKILL)
    daemon.wait_log("worker-ended .*by=signal")
    time.sleep(1.5)
    small.relieve()
    sink.start()
    wait_drained(daemon)
    wait_service(daemon)
    account([load], [sink], "died on a full disk")


@pytest.mark.slow
def test_restart_with_a_full_disk(disk, relay, sink, tmp_path):
    """It starts, delivers what it has and puts off what is new; what it delivered does not come again."""
    small = disk()
    daemon = relay(small)
    sink.stop()
    load = Load(tmp_path, daemon.port, "queued", "--size", "30K", messages=100, to="a@example.com")
    load.wait()
    small.fill()
    daemon.stop()
    daemon.start()
    sink.start()
    wait_until(lambda: len(sink.arrived()) == 100, lambda: f"all to arrive\n{daemon.log_tail(20)}", 60)
    with daemon.trusted() as c:
        c.ehlo()
        c.mail(expect=452)
    small.relieve()
    wait_service(daemon)
    wait_drained(daemon)
    daemon.restart()
    assert account([load], [sink], "restarted on a full disk") == 0


@pytest.mark.slow
def test_no_inodes_left(disk, relay, sink, tmp_path):
    """Room there is, but no file can be made."""
    small = disk("ext4", 32, "-N", "64")
    daemon = relay(small)
    daemon.wait_log(" ready ")
    (small.path / "many").mkdir()
    n = 0
    try:
        while True:
            (small.path / "many" / str(n)).touch()
            n += 1
    except OSError:
        pass
    with daemon.trusted() as c:
        c.ehlo()
        c.mail()
        c.rcpt("big@example.com")
        assert c.data("Subject: large\n\n" + "x" * 70 + ("\n" + "x" * 70) * 3000 + "\n", expect=4).code == 452
        if c.cmd("MAIL FROM:<a@client.example>").code == 250:
            c.rcpt("small@example.com")
            c.data("Subject: small\n\n.\n", expect=(250, 452))
    for i in range(n):
        (small.path / "many" / str(i)).unlink()
    wait_service(daemon)
    load = Load(tmp_path, daemon.port, "after", "--size", "300K", messages=5, to="b@example.com")
    load.wait()
    wait_drained(daemon)
    account([load], [sink], "no inodes")


def cut_power(relay, disk, sink, folder, rounds, small, large):
    """Under load: what was not flushed is lost, also what the kernel had taken. The relay goes on for a while with a
    disk that fails."""
    print(f"POSTERN_SEED={SEED}")
    rng = random.Random(SEED)
    drive = disk("ext4", 64)
    daemon = relay(drive, segment_size=rng.choice(("1M", "4M")))
    loads = [Load(folder, daemon.port, "small", "--sessions", 6, "--rate", f"{small // 4}/s", "--size", "5K",
                  messages=small, to="a@example.com"),
             Load(folder, daemon.port, "large", "--sessions", 3, "--rate", f"{large // 4 + 1}/s", "--size", "200K",
                  messages=large, to="b@example.com")]
    for n in range(rounds):
        if n % 2 == 0:
            sink.stop()  # so that much is in the queue
        time.sleep(rng.uniform(0.2, 1.5))
        with daemon.frozen():  # see Disk.power_cut
            drive.power_cut()
        time.sleep(rng.choice((0, 0, 0.3, 1.5)))
        daemon.kill()
        drive.power_on()
        daemon.start()
        if n % 2 == 0:
            sink.start()
    for load in loads:
        load.wait(120)
    wait_drained(daemon)
    account(loads, [sink], f"{rounds} power cuts")
    assert "spool-damaged" not in daemon.log()


def test_power_cuts(disk, relay, sink, tmp_path):
    cut_power(relay, disk, sink, tmp_path, 2, 400, 20)


@pytest.mark.slow
def test_many_power_cuts(disk, relay, sink, tmp_path):
    cut_power(relay, disk, sink, tmp_path, 20, 6000, 300)


@pytest.mark.slow
def test_stop_with_a_disk_that_fails(disk, relay, sink, tmp_path):
    """Nothing is acknowledged any more, and it ends in time."""
    drive = disk("ext4", 32)
    daemon = relay(drive)
    before = Load(tmp_path, daemon.port, "before", messages=20, to="a@example.com")
    before.wait()
    drive.power_cut()
    after = Load(tmp_path, daemon.port, "after", messages=20, retry=0, to="a@example.com")
    summary = after.wait(complete=False)
    assert summary["accepted"] == 0 and summary["lost"] == 0, summary
    daemon.stop()
    drive.power_on()
    daemon.start()
    wait_service(daemon)
    wait_drained(daemon)
    account([before, after], [sink], "a disk that fails")


def flap(daemon, small, loads, rng, rounds, kill):
    """The disk is full, then it is not; sometimes with a SIGKILL in between."""
    for n in range(rounds):
        time.sleep(rng.uniform(0.1, 0.8))
        small.fill(leave=rng.choice((0, 0, 4096, 100_000, 900_000, 3_000_000)))
        time.sleep(rng.uniform(0.1, 1.5))
        if kill and n % 3 == 2:
            daemon.kill()
            small.relieve()
            daemon.start()
        small.relieve()
        if not any(load.running() for load in loads):
            return


@pytest.mark.slow
@pytest.mark.parametrize("free_space", ["0%", "10%"])
@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_a_disk_that_fills_again_and_again(disk, relay, sink, tmp_path, kind, free_space):
    print(f"POSTERN_SEED={SEED}")
    rng = random.Random(SEED)
    small = disk(kind, 32)
    daemon = relay(small, free_space=free_space)
    loads = [Load(tmp_path, daemon.port, "small", "--sessions", 4, "--rate", "300/s", "--size", "6K", messages=6000,
                  to="a@example.com"),
             Load(tmp_path, daemon.port, "large", "--sessions", 2, "--rate", "10/s", "--size", "500K", messages=200,
                  to="b@example.com")]
    flap(daemon, small, loads, rng, 25, kill=True)
    for load in loads:
        load.wait(120)
    wait_drained(daemon)
    account(loads, [sink], f"{kind}, {free_space} kept free, full again and again")
    assert "spool-damaged" not in daemon.log()
