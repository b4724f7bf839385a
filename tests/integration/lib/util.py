# SPDX-License-Identifier: Apache-2.0
"""Ports, waiting, paths."""
import contextlib
import os
import pathlib
import random
import socket
import struct
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("POSTERN_BUILD", ROOT / "build-test"))
BINARY = BUILD / "postern"

# Each of the processes that run tests side by side has ports of its own: what one has chosen and not yet bound another does not take.
PORTS = 18000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
FIRST_PORT = 12000 + PORTS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_taken = set()


def free_port():
    """A port below the range from which the system gives out ports by itself, so that nobody takes it meanwhile."""
    while True:
        port = random.randrange(FIRST_PORT, FIRST_PORT + PORTS)
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


def listening():
    """The local TCP ports on which somebody listens, by sock_diag(7): the tables in /proc/net cost the kernel a walk over all it
    could have connections in, milliseconds for each look."""
    ports = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as s:  # NETLINK_SOCK_DIAG
        s.settimeout(10)
        for family in (socket.AF_INET, socket.AF_INET6):
            # SOCK_DIAG_BY_FAMILY, request and dump; TCP, sockets in the state LISTEN, whichever
            s.send(struct.pack("=IHHII BBBxI", 72, 20, 0x301, 1, 0, family, socket.IPPROTO_TCP, 0, 1 << 10) + bytes(48))
            kind = 0
            while kind not in (2, 3):  # NLMSG_ERROR, NLMSG_DONE
                answer = s.recv(65536)
                while answer and kind not in (2, 3):
                    length, kind = struct.unpack_from("=IH", answer)
                    if kind == 20:
                        ports.add(struct.unpack_from(">H", answer, 20)[0])
                    answer = answer[(length + 3) & ~3:]
    return ports


def listens(*ports):
    """Does somebody listen on all of them? Asks the system, without connecting."""
    return listening().issuperset(ports)


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
