# SPDX-License-Identifier: Apache-2.0
"""Makes another process do a system call, as somebody would who has taken it over: what its confinement is worth shows then.
Needs root and x86-64."""
import contextlib
import ctypes
import os
import platform
import signal
import time

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
PEEKDATA, POKEDATA, SINGLESTEP, GETREGS, SETREGS, SEIZE, INTERRUPT, DETACH = 2, 5, 9, 12, 13, 0x4206, 0x4207, 17
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs "
         "gs").split()
available = platform.machine() == "x86_64" and os.geteuid() == 0
CALLS = {"socket": 41, "execve": 59, "kill": 62, "mkdir": 83, "unlink": 87, "ptrace": 101, "setuid": 105, "mount": 165, "openat": 257,
         "unshare": 272, "bpf": 321}


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


class Ended(Exception):
    """The process is gone; signal says by what."""

    def __init__(self, number):
        super().__init__(number)
        self.signal = number


def _ptrace(request, pid, address=0, data=0):
    ctypes.set_errno(0)
    result = LIBC.ptrace(request, pid, address, data)
    if result == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return result


def _wait(pid):
    _, status = os.waitpid(pid, 0x40000000)  # __WALL
    if os.WIFSIGNALED(status):
        raise Ended(os.WTERMSIG(status))
    if os.WIFEXITED(status):
        raise Ended(0)
    return os.WSTOPSIG(status)


def system_call(pid, name, *args):
    """The result, negative for an error. Arguments are numbers or bytes (a string, put on the stack). The process must wait in
    a system call, as one with an event loop mostly does."""
    _ptrace(SEIZE, pid)
    try:
        _ptrace(INTERRUPT, pid)
        _wait(pid)
        before, now = Registers(), Registers()
        _ptrace(GETREGS, pid, 0, ctypes.addressof(before))
        ctypes.memmove(ctypes.addressof(now), ctypes.addressof(before), ctypes.sizeof(now))
        assert _ptrace(PEEKDATA, pid, before.rip - 2) & 0xFFFF == 0x050F, "not in a system call"
        values, room = [], before.rsp - 1024
        for arg in args:
            if isinstance(arg, bytes):
                arg += b"\0" * (8 - len(arg) % 8)
                for at in range(0, len(arg), 8):
                    _ptrace(POKEDATA, pid, room + at, int.from_bytes(arg[at:at + 8], "little"))
                arg, room = room, room - 512
            values.append(arg & 0xFFFFFFFFFFFFFFFF)
        for register, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), values + [0] * (6 - len(values))):
            setattr(now, register, value)
        now.rax, now.orig_rax, now.rip = CALLS[name], 0xFFFFFFFFFFFFFFFF, before.rip - 2
        _ptrace(SETREGS, pid, 0, ctypes.addressof(now))
        _ptrace(SINGLESTEP, pid)
        while (stopped := _wait(pid)) != signal.SIGTRAP:
            assert stopped != signal.SIGSEGV
            _ptrace(SINGLESTEP, pid, 0, stopped)
        _ptrace(GETREGS, pid, 0, ctypes.addressof(now))
        _ptrace(SETREGS, pid, 0, ctypes.addressof(before))
        return ctypes.c_longlong(now.rax).value
    finally:
        with contextlib.suppress(OSError):
            _ptrace(DETACH, pid)


def in_a_system_call(pid, seconds=10):
    """Waits until the process sleeps."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with open(f"/proc/{pid}/stat") as f:
            if f.read().rsplit(")", 1)[1].split()[0] == "S":
                return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} does not come to rest")
