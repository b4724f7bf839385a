# SPDX-License-Identifier: Apache-2.0
"""Ports, waiting, paths."""
import contextlib
import os
import pathlib
import random
import socket
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", ROOT / "build-test"))
BINARY = BUILD / "postern"

_taken = set()


def free_port():
    """A port below the range from which the system gives out ports by itself, so that nobody takes it meanwhile."""
    while True:
        port = random.randrange(12000, 30000)
        if port in _taken:
            continue
        with contextlib.closing(socket.socket()) as s, contextlib.closing(socket.socket(socket.AF_INET,
                                                                                        socket.SOCK_DGRAM)) as u:
            try:
                s.bind(("127.0.0.1", port))
                u.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port


def wait_until(condition, what, seconds=20, pause=0.02):
    """Calls condition until it gives something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what() if callable(what) else what}")
        time.sleep(pause)


def listens(port, host="127.0.0.1"):
    """Does somebody listen there? Asks the system, without connecting."""
    want = f"{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as f:
            for line in f.readlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[1].rsplit(":", 1)[1] == want:
                    return True
    return False


def merge(base, changes):
    """A copy of base with changes laid over it, group by group; None removes."""
    out = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merge(out[key], value)
        elif value is None:
            out.pop(key, None)
        else:
            out[key] = value
    return out
