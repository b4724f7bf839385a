# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the conversations. All listen on loopback only, and all are stopped and checked at the end of their scope."""
import collections
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = sys.pycache_prefix is None  # scripts/test.sh has a folder for it; none is left in the tree

from lib.daemon import Postern  # noqa: E402
from lib.disk import Disk  # noqa: E402
from lib.programs import Knot, Postfix, have  # noqa: E402
from lib.sink import Sink  # noqa: E402
from lib.util import BINARY  # noqa: E402

_running = []  # daemons whose log belongs to a failure


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out of the daily run")
    config.addinivalue_line("markers", "daily(n): of its cases only n, spread over all, are in the daily run")
    config.addinivalue_line("markers", "root: needs root")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: -item.path.stat().st_size)  # the largest files first, so that none of them is left over at the end
    cases = collections.defaultdict(list)
    for item in items:
        if item.get_closest_marker("daily") and not item.get_closest_marker("slow"):
            cases[item.parent.nodeid, item.originalname].append(item)
    for those in cases.values():
        n = those[0].get_closest_marker("daily").args[0]
        for i, item in enumerate(those):
            if i and i * n // len(those) == (i - 1) * n // len(those):
                item.add_marker("slow")
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for daemon in _running:
            report.sections.append((f"log of {daemon.folder}", daemon.log_tail(80)))


def _stop_all(things):
    """Stops in reverse order; one that fails does not keep the others running, and the first failure is told."""
    failures = []
    for thing in reversed(things):
        try:
            thing.stop()
        except Exception as e:  # noqa: BLE001
            failures.append(e)
        if thing in _running:
            _running.remove(thing)
    if failures:
        raise failures[0]


def _maker(folder_of, things):
    def make(**changes):
        assert BINARY.exists(), f"{BINARY} is not built: make test-build"
        daemon = Postern(folder_of(), changes, start=False)
        things.append(daemon)
        _running.append(daemon)
        daemon.start()
        return daemon
    return make


@pytest.fixture
def postern(tmp_path):
    """Makes relays: postern(domains=[...]) starts one with that laid over the configuration in lib/daemon.py."""
    things = []
    yield _maker(lambda: tmp_path / f"postern{len(things)}", things)
    _stop_all(things)


@pytest.fixture(scope="module")
def module_postern(tmp_path_factory):
    """The same for a whole module."""
    things = []
    yield _maker(lambda: tmp_path_factory.mktemp("postern"), things)
    _stop_all(things)


@pytest.fixture
def make_sink():
    """Makes sinks: make_sink(port=..., host=..., extensions=[...])."""
    things = []

    def make(*args, **kw):
        things.append(Sink(*args, **kw))
        return things[-1]
    yield make
    _stop_all(things)


@pytest.fixture
def sink(make_sink):
    return make_sink()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """shared(**changes): one relay for all tests of a module, with its sink as relay.sink. The tests tell their mail apart
    by the recipient."""
    things, daemons = [], []
    make = _maker(lambda: tmp_path_factory.mktemp("shared"), daemons)

    def make_shared(**changes):
        sink = Sink()
        things.append(sink)
        relay = make(domains=[{"name": "example.com", "deliver": sink.hop},
                              {"name": "wide.example", "subdomains": True, "deliver": sink.hop}],
                     smarthost=sink.hop, **changes)
        relay.sink = sink
        return relay
    yield make_shared
    _stop_all(things + daemons)


@pytest.fixture
def knot(tmp_path):
    """Makes name servers: knot({"test": "a MX 10 mx1\\nmx1 A 127.0.0.11"})."""
    if not have("knotd"):
        pytest.skip("knotd is not installed")
    things = []

    def make(zones):
        things.append(Knot(tmp_path / f"knot{len(things)}", zones))
        return things[-1]
    yield make
    _stop_all(things)


@pytest.fixture(scope="module")
def make_world():
    """Makes what the tests of a module share: make_world(World, arguments ...), skipped without Knot or for the reason `lacks`."""
    things = []

    def make(kind, *args, lacks=None):
        if lacks or not have("knotd"):
            pytest.skip(lacks or "knotd is not installed")
        things.append(kind(*args))
        return things[-1]
    yield make
    _stop_all(things)


@pytest.fixture
def disk(tmp_path):
    """disk("tmpfs", 1): a lib.disk.Disk; where nothing can be mounted the test is skipped."""
    made = []

    def make(kind="ext4", megabytes=32, *options):
        try:
            made.append(Disk(tmp_path / f"disk{len(made)}", kind, megabytes, *options))
        except OSError as e:
            pytest.skip(f"cannot mount: {e}")
        return made[-1]
    yield make
    for d in made:
        d.stop()


@pytest.fixture
def postfix():
    """Makes Postfix instances: postfix(relayhost)."""
    if not have("postfix"):
        pytest.skip("Postfix is not installed")
    things = []

    def make(relayhost, **settings):
        things.append(Postfix(relayhost, **settings))
        return things[-1]
    yield make
    _stop_all(things)


@pytest.fixture
def c(relay):
    """A client of the relay that the test's file defines."""
    with relay.client() as client:
        yield client


@pytest.fixture
def ready(c):
    """The same, after EHLO."""
    c.ehlo()
    return c
