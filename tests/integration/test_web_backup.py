# SPDX-License-Identifier: Apache-2.0
"""A backup as a download: it is what the command writes and restores, for administrators in person alone, one at a time, and nothing of it stays behind."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import tempfile
import time

import pytest

from lib.daemon import postern as command
from lib.quarantine import fill, listed, mail, wait_held
from lib.util import wait_until
from lib.web import Web, administrator, control, logged_in, on, wait_web

SECRET = "correct-horse-battery-staple-4711"


def leftovers(relay):
    """Files and folders of a backup that have names."""
    return [str(p) for p in (relay.folder / "data").rglob("*postern-backup-*")]


def processes(relay):
    """Names of the children of the master."""
    with open(f"/proc/{relay.process.pid}/task/{relay.process.pid}/children") as f:
        pids = f.read().split()
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            found[int(pid)] = open(f"/proc/{pid}/comm").read().strip()
    return found


def nameless(relay):
    """Open files without a name below the data, of all its processes."""
    found = []
    for pid in [relay.process.pid, *processes(relay)]:
        with contextlib.suppress(OSError):
            for fd in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    where = os.readlink(fd.path)
                    if where.startswith(f"{relay.folder}/data/#"):
                        found.append((pid, where))
    return found


@pytest.fixture
def relay(postern, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    one = postern(web=on(), webhooks=[{"url": "https://127.0.0.1:9/", "secret_file": str(secret)}],
                  domains=[{"name": "example.com", "deliver": "127.0.0.1:1"}])
    wait_web(one)
    return one


def bulk(relay, megabytes):
    """Data that cannot be packed."""
    with open(relay.folder / "data/bulk", "wb") as f:
        for _ in range(megabytes):
            f.write(os.urandom(1 << 20))


@pytest.mark.slow
def test_a_machine_comes_back(postern, sink, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    relay = postern(web=on(), domains=[{"name": "example.com", "deliver": sink.hop}], webhooks=[{"url": "https://127.0.0.1:9/", "secret_file": str(secret)}])
    relay.stop()
    ids = fill(relay, [mail(), mail(kind="virus")])
    relay.start()
    wait_held(relay, 2)
    web = administrator(relay, "anna")
    answer = web.post("/v1/backup")
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/zstd" and answer.headers["Cache-Control"] == "no-store"
    name = re.fullmatch(r'attachment; filename="(postern-mx\.postern\.example-\d{4}-\d\d-\d\d\.backup)"', answer.headers["Content-Disposition"])
    assert name and int(answer.headers["Content-Length"]) == len(answer.body)
    file = tmp_path / name[1]
    file.write_bytes(answer.body)
    shown = command("restore", file, "--list", check=0).stdout
    assert "configuration" in shown and str(secret) in shown and "store/memory.db" in shown and "admin/admin.db" in shown
    assert "spool" not in shown and shown.count("store/quarantine/") >= 2
    # The same as the command's, but for what has happened meanwhile.
    relay.command("backup", tmp_path / "other")
    paths = [sorted(line.split()[-1] for line in command("restore", f, "--list", check=0).stdout.splitlines()[3:]) for f in (file, tmp_path / "other")]
    assert paths[0] == paths[1]
    small = web.post("/v1/backup", {"quarantine": False})
    (tmp_path / "small").write_bytes(small.body)
    assert "store/quarantine/" not in command("restore", tmp_path / "small", "--list", check=0).stdout
    # Who did it, and how much that was.
    entries = [e for e in web.get("/v1/audit", action="backup").json["entries"] if e["outcome"] == "ok"]
    assert [e["who"] for e in entries] == ["anna", "anna"] and entries[1]["target"] == name[1]
    assert f"{len(answer.body)} bytes" in entries[1]["detail"] and "without the quarantine" in entries[0]["detail"]
    assert re.search(r"backup\b.*files=", relay.log())
    assert SECRET not in relay.log() and SECRET not in json.dumps(entries)
    before = relay.config_path.read_text()
    relay.stop()
    for path in (relay.folder / "data", relay.folder / ".postern-revisions"):
        shutil.rmtree(path, ignore_errors=True)
    relay.config_path.unlink()
    secret.unlink()
    done = command("restore", file, "--outside")
    assert done.returncode == 0, done.stdout + done.stderr
    assert relay.config_path.read_text() == before and secret.read_text() == SECRET + "\n"
    relay.start()
    wait_web(relay)
    assert sorted(m["id"] for m in listed(relay)) == sorted(ids)
    again = Web(relay)
    assert again.log_in("anna").status == 200 and again.get("/v1/session").json["role"] == "administrator"
    assert relay.send("bob@example.com").code == 250


def test_rights(relay):
    for role in ("operator", "auditor", "user"):
        assert logged_in(relay, role, role).post("/v1/backup").status == 403
    admin = administrator(relay)
    token = admin.post("/v1/account/tokens", {"name": "all", "scopes": ["accounts", "configure", "self"]}).json["token"]
    assert Web(relay, token=token).post("/v1/backup").status == 403
    assert Web(relay).post("/v1/backup").status == 401
    assert admin.request("POST", "/v1/backup", {}, {"X-Postern-CSRF": None}).status == 403
    assert admin.request("POST", "/v1/backup", {}, {"Origin": "https://elsewhere.example"}).status == 403
    assert admin.get("/v1/backup").status == 405
    assert control(relay, "POST", "/v1/backup", {}).body[:4] == b"\x28\xb5\x2f\xfd"  # zstd


@pytest.mark.daily(1)
@pytest.mark.parametrize("body, word", [({"quarantine": "yes"}, "quarantine"), ({"queue": 1}, "queue"), ({"file": "/etc/passwd"}, "file"), ([], "object")])
def test_bad_bodies(relay, body, word):
    answer = administrator(relay).post("/v1/backup", body)
    assert answer.status == 400 and word in answer.json["error"]


def test_the_queue_is_not_for_a_relay_that_runs(relay):
    answer = administrator(relay).post("/v1/backup", {"queue": True})
    assert answer.status == 409 and "--with-queue" in answer.json["error"]
    assert administrator(relay, "other").post("/v1/backup", {"queue": False}).status == 200


def begun(web, body=b"{}"):
    """The request is sent; its answer is not read. A small window: not all of the answer is on its way."""
    s = web.connect()
    head = {"Content-Length": str(len(body)), "Content-Type": "application/json", **web.headers("POST", None)}
    s.sendall(b"POST /v1/backup HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()).encode() + b"\r\n" + body)
    return s


@pytest.mark.slow
def test_one_at_a_time(relay):
    bulk(relay, 12)
    web = administrator(relay)
    with contextlib.closing(begun(web)) as s:
        s.recv(1000)  # it is made, and goes out
        second = web.post("/v1/backup")
        assert second.status == 409 and "one at a time" in second.json["error"]
        # Others are served meanwhile, the configuration among it.
        began = time.monotonic()
        assert web.get("/v1/config").status == 200
        assert time.monotonic() - began < 10
        while s.recv(1 << 16):
            if not nameless(relay):
                break
    wait_until(lambda: web.post("/v1/backup").status == 200, "the next one", 30)


def test_the_client_goes_away(relay):
    bulk(relay, 12)
    web = administrator(relay)
    s = begun(web)
    s.recv(1000)
    assert nameless(relay)
    s.close()
    wait_until(lambda: not nameless(relay), lambda: nameless(relay), 20)
    assert not leftovers(relay)
    assert web.post("/v1/backup").status == 200


def making(relay):
    return [pid for pid, name in processes(relay).items() if name == "backup"]


@contextlib.contextmanager
def held_up(relay, web):
    """A backup is made that waits for a database, of which somebody holds a lock. Gives the connection that asked for it, and the lock."""
    with contextlib.closing(sqlite3.connect(relay.folder / "data/admin/slow.db", isolation_level=None)) as lock:
        lock.execute("create table t (x)")
        lock.execute("begin exclusive")
        with contextlib.closing(begun(web)) as s:
            wait_until(lambda: making(relay), "its process")
            yield s, lock


@pytest.mark.slow
def test_while_it_is_made(relay):
    """It waits for a database; meanwhile the configuration can be changed. Who goes away ends it, at once."""
    web = administrator(relay)
    with held_up(relay, web) as (s, _):
        began = time.monotonic()
        version = web.get("/v1/config").json["version"]
        assert web.post("/v1/config/apply", {"version": version, "changes": [{"path": "limits.message_size", "value": "12M"}]}).status == 200
        assert time.monotonic() - began < 15 and making(relay)
        assert web.post("/v1/backup").status == 409
        s.close()
        wait_until(lambda: not making(relay), "its end", 15)
    wait_until(lambda: not leftovers(relay) and not nameless(relay), lambda: leftovers(relay) + nameless(relay))
    wait_until(lambda: web.post("/v1/backup").status == 200, "the next one")


def gone(pid):
    """It has ended, though nobody may have asked how."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return "Z" in f.read().split()[2]
    except OSError:
        return True


@pytest.mark.daily(1)
@pytest.mark.parametrize("who", ["backup", "admin", "master"])
def test_kill(relay, who):
    with held_up(relay, administrator(relay)) as (s, _):
        pid = making(relay)[0]
        copies = wait_until(lambda: open(f"/proc/{pid}/task/{pid}/children").read().split(), "the process that copies")
        everybody = processes(relay)
        victim = {"backup": pid, "master": relay.process.pid}.get(who) or next(p for p, name in everybody.items() if name == "admin")
        os.kill(victim, signal.SIGKILL)
        if who == "backup":
            assert b" 503 " in s.recv(4096)
        for one in [pid, *map(int, copies)]:
            wait_until(lambda: gone(one), f"the end of {one}", 15)
    if who == "master":
        relay.process.wait(10)
        wait_until(lambda: all(map(gone, everybody)), "the others' end", 20)
        relay.start()
    wait_web(relay)
    again = Web(relay)
    wait_until(lambda: again.log_in("root").status == 200, "the admin process", 20)
    assert again.post("/v1/backup").status == 200
    wait_until(lambda: not leftovers(relay) and not nameless(relay), lambda: leftovers(relay) + nameless(relay))


def test_what_was_left_goes(relay):
    """An empty folder, or one with an empty copy, is of somebody who was killed; what has content is not touched."""
    data = relay.folder / "data"
    for name in ("abcdef", "ghijkl", "mnopqr"):
        (data / f"postern-backup-{name}").mkdir(mode=0o700)
    (data / "postern-backup-ghijkl/copy").touch()
    (data / "postern-backup-mnopqr/copy").write_text("somebody's")
    assert administrator(relay).post("/v1/backup").status == 200
    assert leftovers(relay) == [str(data / "postern-backup-mnopqr")]
    assert (data / "postern-backup-mnopqr/copy").read_text() == "somebody's"


def test_no_room(postern):
    """What mail needs is left free."""
    relay = postern(web=on(), queue={"free_space": "90%"})
    wait_web(relay)
    free = os.statvfs(relay.folder)
    if free.f_bavail > 0.89 * free.f_blocks:
        pytest.skip("a disk that is all but empty")
    answer = administrator(relay).post("/v1/backup")
    assert answer.status == 507 and "room" in answer.json["error"]
    assert not leftovers(relay) and not nameless(relay)


@pytest.mark.root
@pytest.mark.slow
def test_full_disk(disk, postern):
    data = disk("tmpfs", 48).path / "data"
    data.mkdir()
    relay = postern(web=on(), system={"directory": str(data)}, domains=[{"name": "example.com", "deliver": "127.0.0.1:1"}])
    wait_web(relay)
    (data / "bulk").write_bytes(os.urandom(28 << 20))
    web = administrator(relay)
    answer = web.post("/v1/backup")
    assert answer.status == 507 and "room" in answer.json["error"], answer
    assert relay.send("bob@example.com").code == 250  # mail was not in need
    (data / "bulk").unlink()
    assert web.post("/v1/backup").status == 200


def test_errors_in_the_file(relay):
    """What the file has at the moment is what is backed up; one with errors is none."""
    web = administrator(relay)
    text = relay.config_path.read_text()
    relay.config_path.write_text("hostname: [\n")
    answer = web.post("/v1/backup")
    assert answer.status == 503 and "errors" in answer.json["error"]
    relay.config_path.write_text(text)
    assert web.post("/v1/backup").status == 200


def test_stopped_meanwhile(relay):
    with held_up(relay, administrator(relay)):
        began = time.monotonic()
        relay.stop()
        assert time.monotonic() - began < 15


@pytest.mark.root
def test_with_users_of_their_own(postern):
    """Each database is copied with its owner's rights; the archive is root's until it is given away."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="postern-test-", dir="/var/tmp"))  # a folder that others may enter
    base.chmod(0o755)
    try:
        (base / "no-anchors").touch()
        (base / "secret").write_text(SECRET + "\n")
        (base / "secret").chmod(0o600)
        relay = postern(web=on(), dns={"trust_anchor": str(base / "no-anchors")}, webhooks=[{"url": "https://127.0.0.1:9/", "secret_file": str(base / "secret")}],
                        system={"directory": str(base / "data"), "run_directory": str(base / "run"), "user": "games", "admin_user": "news", "auth_user": "mail",
                                "sign_user": "proxy", "store_user": "uucp", "scan_user": "irc", "table_user": "list", "mail_user": "man"})
        wait_web(relay)
        answer = administrator(relay).post("/v1/backup")
        assert answer.status == 200, answer
        (base / "came").write_bytes(answer.body)
        shown = command("restore", base / "came", "--list", check=0).stdout
        owners = {line.split()[-1]: line.split()[2] for line in shown.splitlines() if line.startswith("data")}
        assert owners["admin/admin.db"] == "news" and owners["store/memory.db"] == "uucp"
        (base / "root").mkdir()
        command("restore", base / "came", "--to", base / "root", "--outside", check=0)
        for file in (base / "root").rglob("*.db"):
            with contextlib.closing(sqlite3.connect(file)) as db:
                assert db.execute("pragma integrity_check").fetchall() == [("ok",)] and db.execute("pragma journal_mode").fetchall() == [("delete",)]
        assert not list(base.rglob("*postern-backup-*"))
        relay.stop()
    finally:
        shutil.rmtree(base)
