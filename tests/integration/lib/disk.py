# SPDX-License-Identifier: Apache-2.0
"""Small file systems that only this process and its children see; they vanish with it. Needs root."""
import contextlib
import ctypes
import fcntl
import os
import struct
import subprocess

from lib.util import wait_until

CLONE_NEWNS = 0x20000
EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
_private = False


def _unshare_mounts():
    global _private
    if _private:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "no mounts of our own")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    _private = True


class Disk:
    """kind: "tmpfs" or "ext4" (in an image, by a loop device; options go to mkfs)."""

    def __init__(self, folder, kind, megabytes, *options):
        self.path, self.mounted = folder / "disk", False
        self.path.mkdir(parents=True)
        _unshare_mounts()
        if kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", self.path]
        else:
            image = folder / "image"
            with open(image, "wb") as f:
                f.truncate(megabytes << 20)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", *options, image], check=True,
                           env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"})
            command = ["mount", "-o", "loop", image, self.path]
        self.command, self.ballast = command, self.path / "ballast"
        self.mount()

    def mount(self):
        done = subprocess.run(self.command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(done.stderr)
        self.mounted = True

    def power_cut(self):
        """ext4 only: nothing that was not flushed will ever be on the disk; all access fails from now on. No fdatasync may be
        under way: for one of a file that grows the kernel may then report success though the write is lost, which no power cut
        would live to say (a program that only writes, flushes and counts loses a record in about one of ten cuts)."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def frozen(self):
        """ext4 only: whoever writes waits. Nothing else may be done with it meanwhile."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FIFREEZE, struct.pack("i", 0))
            try:
                yield
            finally:
                fcntl.ioctl(fd, FITHAW, struct.pack("i", 0))
        finally:
            os.close(fd)

    def power_on(self):
        """Those who used it must have been killed before."""
        def unmounted():
            return subprocess.run(["umount", self.path], capture_output=True).returncode == 0
        wait_until(unmounted, "the disk to be free")
        self.mounted = False
        self.mount()

    def free(self):
        s = os.statvfs(self.path)
        return s.f_bavail * s.f_frsize

    def fill(self, leave=0):
        """Takes all space but so much."""
        size = self.free() - leave
        with contextlib.suppress(OSError), open(self.ballast, "ab") as f:
            os.posix_fallocate(f.fileno(), f.tell(), max(size, 1))
        block = b"\0" * 4096
        with contextlib.suppress(OSError), open(self.ballast, "ab", buffering=0) as f:
            while self.free() > leave and f.write(block):
                pass

    def relieve(self):
        self.ballast.unlink(missing_ok=True)

    def stop(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], check=True)
            self.mounted = False
