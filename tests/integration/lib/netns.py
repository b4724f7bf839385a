# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: machines of their own, with interfaces, routes and rules that nobody else sees. What is started or opened `with` one is in
it; a socket stays there. Nothing that is sent in them leaves them."""
import contextlib
import ctypes
import os
import pathlib
import subprocess
import threading

from lib.programs import have

NEW_NET = 0x40000000  # CLONE_NEWNET
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def run(*command, text=""):
    done = subprocess.run([have(command[0]), *map(str, command[1:])], input=text, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Namespace:
    """`with namespace:` puts the thread into it; not from a thread that another one waits for. Its loopback is up."""

    def __init__(self, name):
        self.name, self.before = name, []
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.unshare(NEW_NET), "unshare")
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _check(_libc.setns(home, NEW_NET), "setns")
            os.close(home)
        self.ip("link", "set", "lo", "up")

    def __enter__(self):
        assert threading.current_thread() is threading.main_thread()
        self.before.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        _check(_libc.setns(self.fd, NEW_NET), "setns")
        return self

    def __exit__(self, *exc):
        home = self.before.pop()
        _check(_libc.setns(home, NEW_NET), "setns")
        os.close(home)

    def run(self, *command, text=""):
        with self:
            return run(*command, text=text)

    def ip(self, *words):
        return self.run("ip", *words)

    def set(self, name, value):
        """A setting below /proc/sys/net."""
        with self:
            (pathlib.Path("/proc/sys/net") / name).write_text(str(value))

    def join(self, interface, other, others_interface):
        """A cable to another namespace."""
        self.ip("link", "add", interface, "type", "veth", "peer", "name", others_interface, "netns", f"/proc/{os.getpid()}/fd/{other.fd}")
        self.ip("link", "set", interface, "up")
        other.ip("link", "set", others_interface, "up")

    def address(self, interface, *addresses):
        for address in addresses:
            self.ip("address", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))

    def stop(self):
        """It goes when nothing is left in it."""
        os.close(self.fd)


def lack():
    """Why there can be no such tests here; None: there can."""
    for program in ("ip", "nft"):
        if not have(program):
            return f"there is no program {program}: scripts/setup.sh test"
    if os.geteuid() != 0:
        return "needs root"
    made = []
    try:
        made += [Namespace("a"), Namespace("b")]
        made[0].join("x0", made[1], "x1")
        made[0].set("ipv4/ip_forward", 1)
        made[0].run("nft", "-f", "-", text="table inet t { chain c { type nat hook prerouting priority dstnat; tcp dport 25 redirect to :25; }; }")
    except (OSError, AssertionError, subprocess.SubprocessError) as e:
        return f"no network namespaces here: {str(e)[:200]}"
    finally:
        for one in made:
            with contextlib.suppress(OSError):
                one.stop()
    return None
