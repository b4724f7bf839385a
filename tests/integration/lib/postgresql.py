# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: a server of its own in a temporary folder, on loopback and a Unix socket there, with passwords (SCRAM)."""
import os
import pathlib
import shutil
import signal
import subprocess

from lib.programs import Program
from lib.util import listens

PROGRAMS = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), default=None)
SUPERUSER, PASSWORD = "postgres", "the superuser's"


def have_postgresql():
    return PROGRAMS is not None


class Postgresql(Program):
    """`sql` runs statements as its superuser in the database "mail"."""

    def __init__(self):
        super().__init__()
        self.data = self.folder / "data"
        self.user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
        if self.user:
            shutil.chown(self.folder, self.user)
        secret = self.write("password", PASSWORD + "\n")
        self.run("initdb", "-D", self.data, "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "-A", "scram-sha-256", f"--pwfile={secret}", "-N")
        self.begin()
        self.sql("CREATE DATABASE mail", database="postgres")

    def run(self, program, *arguments):
        done = subprocess.run([PROGRAMS / program, *map(str, arguments)], capture_output=True, text=True, timeout=60, user=self.user,
                              cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr

    def begin(self):
        self.start(PROGRAMS / "postgres", "-D", self.data, "-p", self.port, "-k", self.folder, "-c", "listen_addresses=127.0.0.1",
                   "-c", "fsync=off", "-c", "shared_buffers=8MB", "-c", "max_connections=20", "-c", "max_wal_senders=0", "-c", "wal_level=minimal",
                   ready=self.answers, user=self.user, cwd=self.folder)

    def psql(self, text, database):
        return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-At", "-c", text,
                               f"host=127.0.0.1 port={self.port} user={SUPERUSER} dbname={database} connect_timeout=5"],
                              capture_output=True, text=True, timeout=60, env={**os.environ, "PGPASSWORD": PASSWORD})

    def answers(self):
        return listens(self.port) and self.psql("SELECT 1", "postgres").returncode == 0

    def sql(self, text, database="mail"):
        done = self.psql(text, database)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def connection(self, user, **more):
        """As the option `connection` takes it."""
        return " ".join(f"{k}={v}" for k, v in {"host": "127.0.0.1", "port": self.port, "dbname": "mail", "user": user, **more}.items())

    def end(self):
        """At once, and for everybody who is connected."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
            self.process = None

    def stop(self):
        self.end()
        super().stop()
