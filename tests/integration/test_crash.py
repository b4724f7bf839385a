# SPDX-License-Identifier: Apache-2.0
"""SIGKILL under load: to workers, to the master, to all of them at random moments, and at each named step of the spool.
Every message whose 250 was read must arrive; some may arrive twice, and are counted."""
import os
import random
import signal
import time

import pytest

from lib.daemon import group_alive
from lib.load import Load, SinkProgram, account, children, wait_drained
from lib.util import wait_until

SEED = int(os.environ.get("POSTERN_SEED", random.randrange(1 << 32)))
STEPS = ["draft-first", "draft-big", "commit-queued", "write-before", "write-after", "flush-after", "commit-callback",
         "done-queued", "done-written", "state-written", "segment-new", "segment-removed", "compact-copied"]


@pytest.fixture
def make_sinks(tmp_path):
    """One that takes everything, and one that does not at once: make_sinks(options of the latter)."""
    made = []

    def make(*options):
        made.extend((SinkProgram(tmp_path / "good"), SinkProgram(tmp_path / "moody", *options)))
        return made
    yield make
    for sink in made:
        sink.stop()


@pytest.fixture
def sinks(make_sinks):
    return make_sinks("--fail", "rcpt=451%30", "--fail", "dot=452%10")


@pytest.fixture
def relay(postern):
    """Small segments, so that all that can happen to one does happen."""
    def make(sinks, workers=1, retry="1s"):
        return postern(domains=[{"name": "example.com", "deliver": sinks[0].hop},
                                {"name": "moody.example", "deliver": sinks[1].hop}],
                       queue={"segment_size": "1M", "inline_size": "16K", "retry_first": retry, "retry_max": retry},
                       system={"drain": "1s", "workers": workers}, log={"level": "info"})
    return make


def start_loads(folder, daemon, small=2000, large=60, rate=400):
    """Small ones, large ones, ones with many recipients, and ones that are put off."""
    share = max(1, rate // 20)
    return [Load(folder, daemon.port, "small", "--sessions", 8, "--rate", f"{rate}/s", messages=small,
                 to="a@example.com"),
            Load(folder, daemon.port, "large", "--sessions", 4, "--size", "150K", "--rate", f"{share}/s",
                 messages=large, to="b@example.com"),
            Load(folder, daemon.port, "many", "--sessions", 2, "--size", "3K", "--pipeline", "--rate", f"{share}/s",
                 messages=large, recipients=20, to="c@moody.example"),
            Load(folder, daemon.port, "moody", "--sessions", 4, "--reconnect", "--rate", f"{share * 2}/s",
                 messages=large * 2, to="d@moody.example")]


def kill_all(daemon):
    daemon.kill()
    daemon.start()


def kill_worker(daemon, rng):
    pids = children(daemon, "relay-")
    if pids:
        os.kill(rng.choice(pids), signal.SIGKILL)


def kill_master(daemon):
    """The others find that it is gone, and go as well; a new master starts beside them meanwhile."""
    old = daemon.process.pid
    daemon.process.kill()
    daemon.process.wait()
    daemon.start()
    return old


def torture(daemon, loads, rng, rounds, pause):
    """Restarts count their failures, so between two deaths of everything there are at most two of a worker."""
    old, killed = [], 0
    for n in range(rounds):
        time.sleep(rng.uniform(*pause))
        if not any(load.running() for load in loads):
            break
        killed += 1
        if n % 4 == 3:
            old.append(kill_master(daemon))
        elif n % 4 == 1:
            kill_all(daemon)
        else:
            kill_worker(daemon, rng)
    for pid in old:
        wait_until(lambda: not group_alive(pid), "orphaned workers to end", 30)
    print(f"{killed} kills")
    return killed


def finish(daemon, loads, sinks, what, seconds=120):
    for load in loads:
        load.wait(seconds)
    wait_drained(daemon, seconds)
    return account(loads, sinks, what)


@pytest.mark.slow
def test_kill_at_random_moments(relay, sinks, tmp_path):
    print(f"POSTERN_SEED={SEED}")
    rng = random.Random(SEED)
    daemon = relay(sinks, workers=2)
    loads = start_loads(tmp_path, daemon, small=400, large=4, rate=200)
    torture(daemon, loads, rng, 4, (0.3, 0.7))
    finish(daemon, loads, sinks, "random kills")


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(3))
def test_kill_at_random_moments_for_long(relay, sinks, tmp_path, turn):
    print(f"POSTERN_SEED={SEED}")
    rng = random.Random(SEED + 1 + turn)
    daemon = relay(sinks, workers=1 + turn)
    loads = start_loads(tmp_path, daemon, small=8000, large=300, rate=rng.choice((200, 400, 800)))
    assert torture(daemon, loads, rng, 30, (0.05, 1.2)) > 5
    finish(daemon, loads, sinks, f"random kills, {1 + turn} workers")


@pytest.mark.slow
def test_workers_that_die_again_and_again(relay, sinks, tmp_path):
    """The pause before the next start grows, mail keeps flowing through the other worker, and what is in the spools of
    the dead is delivered."""
    rng = random.Random(SEED)
    daemon = relay(sinks, workers=2)
    loads = start_loads(tmp_path, daemon, small=3000, large=100, rate=200)
    for _ in range(8):
        time.sleep(rng.uniform(0.3, 1.5))
        kill_worker(daemon, rng)
    assert "restart-pause" in daemon.log()
    finish(daemon, loads, sinks, "dying workers")


def step_loads(folder, daemon, step):
    """Enough to get there: segments have 1 MiB."""
    if not step.startswith(("segment", "compact")):
        return start_loads(folder, daemon, 60, 6, rate=1000)
    full, moody = (1600, 80) if step.startswith("compact") else (400, 40)  # segments that hold little, again and again
    return [Load(folder, daemon.port, "full", "--sessions", 8, "--size", "12K", messages=full, to="a@example.com"),
            Load(folder, daemon.port, "moody", "--sessions", 1, "--rate", "50/s", messages=moody, to="d@moody.example")]


def crash_at(relay, make_sinks, folder, monkeypatch, step, count):
    """The worker dies at that step, and so do those started after it, until all is started without the variable."""
    put_off = step.startswith(("state", "compact")) or count > 1
    moods = ("--fail", "rcpt=451%60#200" if count > 2 else "rcpt=451#40" if step.startswith("compact") else "rcpt=451#9", "--fail", "dot=452#3")
    sinks = make_sinks(*(moods if put_off else ()))
    monkeypatch.setenv("POSTERN_CRASH_AT", f"{step}:{count}")
    daemon = relay(sinks, retry="3s" if step.startswith("compact") else "1s")
    monkeypatch.delenv("POSTERN_CRASH_AT")
    loads = step_loads(folder, daemon, step)
    daemon.wait_log(r"worker-ended .*by=signal code=9", 120)
    if count % 2:
        kill_all(daemon)
    else:
        daemon.restart()
    finish(daemon, loads, sinks, f"{step}:{count}")
    assert "spool-damaged" not in daemon.log()


@pytest.mark.daily(1)
@pytest.mark.parametrize("step", STEPS[:-1] + [pytest.param(STEPS[-1], marks=pytest.mark.slow)])
def test_kill_at_each_step(relay, make_sinks, tmp_path, monkeypatch, step):
    crash_at(relay, make_sinks, tmp_path, monkeypatch, step, 2 if step == "segment-new" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("step, count", [(s, n) for s in STEPS for n in (2, 3, 6)
                                         if n < 6 or not s.startswith(("segment", "draft-big", "compact"))])
def test_kill_at_each_step_later(relay, make_sinks, tmp_path, monkeypatch, step, count):
    crash_at(relay, make_sinks, tmp_path, monkeypatch, step, count)
