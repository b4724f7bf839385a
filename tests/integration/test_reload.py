# SPDX-License-Identifier: Apache-2.0
"""Reload and restart under load: no connection refused or broken, no message lost or sent twice, and a bad
configuration changes nothing."""
import signal
import time

import pytest

from lib.load import Load, SinkProgram, account, children, spool_folders, wait_drained
from lib.smtp import Closed, Smtp
from lib.util import free_port, listens, wait_until


@pytest.fixture
def target(tmp_path):
    program = SinkProgram(tmp_path / "sink")
    yield program
    program.stop()


@pytest.fixture
def relay(postern, target):
    def make(workers=2, drain="20s", **changes):
        return postern(domains=[{"name": "example.com", "deliver": target.hop}],
                       system={"workers": workers, "drain": drain}, log={"level": "info"}, **changes)
    return make


def reload(daemon, **changes):
    daemon.write(changes)
    daemon.command("reload")


def reloads(daemon):
    return daemon.log().count(" reloaded ")


def start_loads(folder, daemon, messages):
    """One connects for each message and accepts no failure at all; the other keeps its connections, which may get a 421
    between two messages."""
    return [Load(folder, daemon.port, "brief", "--sessions", 6, "--reconnect", "--rate", "150/s", messages=messages,
                 retry=0, to="a@example.com"),
            Load(folder, daemon.port, "kept", "--sessions", 4, "--rate", "100/s", messages=messages * 2 // 3,
                 to="b@example.com")]


def finish(daemon, loads, target, what):
    brief, kept = loads[0].wait(), loads[1].wait()
    assert brief["lost"] == 0 and brief["refused"] == 0 and kept["lost"] == 0, (brief, kept)
    wait_drained(daemon)
    assert account(loads, [target], what) == 0, "some came twice"


@pytest.mark.parametrize("how", ["command", pytest.param("signal", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_reload_under_load(relay, target, tmp_path, how):
    daemon = relay()
    loads = start_loads(tmp_path, daemon, 300)
    for n in range(3):
        time.sleep(0.4)
        done = reloads(daemon)
        if how == "command":
            daemon.command("reload")
        else:
            daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: reloads(daemon) > done, "the reload", 30)
    finish(daemon, loads, target, f"reload by {how}")


@pytest.mark.slow
def test_many_reloads_with_more_and_fewer_workers(relay, target, tmp_path):
    daemon = relay(workers=1)
    loads = start_loads(tmp_path, daemon, 4000)
    for workers in (2, 1, 3, 1, 1, 4, 2, 1, 2, 3):
        time.sleep(1)
        reload(daemon, system={"workers": workers})
        assert len(children(daemon, "relay-")) >= workers
    finish(daemon, loads, target, "more and fewer workers")


@pytest.mark.slow
def test_a_burst_of_reloads(relay, target, tmp_path):
    daemon = relay()
    loads = start_loads(tmp_path, daemon, 1500)
    for _ in range(30):
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
    finish(daemon, loads, target, "a burst")


def test_a_session_outlives_a_reload(relay, target):
    """What is in the middle of a message ends it with the old worker; what is new goes to the new one."""
    daemon = relay(workers=1)
    with daemon.trusted() as c, daemon.trusted() as idle:
        c.ehlo(), idle.ehlo()
        c.mail()
        c.rcpt("long@example.com")
        c.cmd("DATA", 354)
        c.send("Subject: long\r\n\r\nfirst half\r\n")
        reload(daemon, limits={"message_size": "100K"})
        with daemon.client() as new:
            assert new.ehlo()["SIZE"] == str(100 << 10)
        c.send("second half\r\n.\r\n")
        c.reply(250)
        try:
            idle.mail(expect=(250, 421))
        except (Closed, OSError):
            pass
    wait_until(lambda: ("-", "long@example.com") in target.arrived(), "the message", 20)
    wait_until(lambda: len(children(daemon, "relay-")) == 1, "the old worker to end", 30)


@pytest.mark.slow
def test_what_waits_is_taken_over(relay, target):
    """Deferred messages of the old workers are adopted by the new ones."""
    daemon = relay()
    target.stop()
    for n in range(10):
        daemon.send(f"wait{n}@example.com")
    daemon.wait_queued(10)
    daemon.command("reload")
    daemon.wait_queued(10)
    daemon.command("reload")
    target.start()
    wait_until(lambda: sum(n for n in target.arrived().values()) == 10, lambda: f"10 messages: {target.arrived()}", 40)
    wait_drained(daemon)
    assert sum(target.arrived().values()) == 10


def test_a_bad_configuration_changes_nothing(relay, target, tmp_path):
    daemon = relay()
    loads = start_loads(tmp_path, daemon, 150)
    daemon.wait_log(" ready ")
    good, pids = daemon.config_path.read_text(), sorted(children(daemon, "relay-"))
    for bad in ("hostname: [", good.replace('"hostname"', '"hostnam"'), good.replace('"relay"', '"rely"'), ""):
        daemon.config_path.write_text(bad)
        assert daemon.command("reload", "--socket", daemon.folder / "run" / "control.sock", check=None).returncode != 0
    daemon.config_path.write_text(good)
    assert sorted(children(daemon, "relay-")) == pids and reloads(daemon) == 0
    daemon.command("reload")
    finish(daemon, loads, target, "bad configurations")


def test_ports_come_and_go(relay, target):
    daemon = relay()
    first, second = daemon.port, free_port()
    both = [{"address": f"127.0.0.1:{first}"}, {"address": f"127.0.0.1:{second}"}]
    with daemon.trusted() as old:
        old.ehlo()
        reload(daemon, listeners=both)
        for port in (first, second):
            with Smtp(port) as c:
                c.ehlo()
        reload(daemon, listeners=both[1:])
        wait_until(lambda: not listens(first), "the port to close", 20)
        with Smtp(second) as c:
            c.ehlo()
    daemon.port = second


def test_a_port_that_is_taken(relay, target, tmp_path, make_sink):
    """The reload fails as a whole; the old workers go on."""
    other = make_sink()
    daemon = relay()
    listeners = daemon.config["listeners"]
    daemon.write({"listeners": listeners + [{"address": other.hop}]})
    done = daemon.command("reload", check=None)
    assert done.returncode != 0 and "in use" in (done.stdout + done.stderr).lower(), done
    daemon.write({"listeners": listeners})
    daemon.send("still@example.com")
    wait_until(lambda: ("-", "still@example.com") in target.arrived(), "the message", 20)


def test_stop_lets_a_message_end(relay, target):
    daemon = relay(workers=1)
    with daemon.trusted() as c:
        c.ehlo()
        c.mail()
        c.rcpt("last@example.com")
        c.cmd("DATA", 354)
        c.send("Subject: last\r\n\r\nfirst half\r\n")
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(daemon.port), "the port to close", 20)
        assert daemon.process.poll() is None
        c.send("second half\r\n.\r\n")
        c.reply(250)
    daemon.process.wait(20)
    daemon.stop()
    daemon.start()
    wait_until(lambda: ("-", "last@example.com") in target.arrived(), "the message", 20)


@pytest.mark.slow
def test_restarts_under_load(relay, target, tmp_path):
    """Orderly ones: what was acknowledged arrives, exactly once."""
    daemon = relay(drain="3s")
    loads = [Load(tmp_path, daemon.port, "brief", "--sessions", 6, "--reconnect", "--rate", "300/s", messages=4000,
                  to="a@example.com"),
             Load(tmp_path, daemon.port, "large", "--sessions", 3, "--size", "300K", "--rate", "20/s", messages=250,
                  to="b@example.com")]
    for _ in range(6):
        time.sleep(1)
        daemon.restart()
    for load in loads:
        load.wait()
    wait_drained(daemon)
    assert account(loads, [target], "restarts") == 0, "some came twice"
    assert all(not any(f.name.startswith(("big-", "draft-", "damaged-")) for f in folder.iterdir())
               for folder in spool_folders(daemon)), "files are left behind"
