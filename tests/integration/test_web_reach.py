# SPDX-License-Identifier: Apache-2.0
"""Administrators of the web are not root: what root does for them reaches no file of the system, waits for nobody, and is done for those alone who still may."""
import contextlib
import fcntl
import os
import time

import pytest

from lib.daemon import postern as command
from lib.web import administrator, serving
from test_web_backup import held_up


@pytest.fixture
def relay(postern):
    return serving(postern, auth={"backend": "users"})


def set_options(web, **options):
    changes = [{"path": k.replace("__", "."), "value": v} for k, v in options.items()]
    answer = web.post("/v1/config/apply", {"version": web.get("/v1/config").json["version"], "changes": changes})
    assert answer.status == 200, answer


def user(web, name):
    return web.post("/v1/users", {"login": name, "password": "x"})


@pytest.mark.slow
def test_no_users_in_files_of_the_system(relay, tmp_path):
    web = administrator(relay)
    keys = tmp_path / "ssh/authorized_keys"
    keys.parent.mkdir()
    keys.write_text("ssh-ed25519 AAAAOLD root@here\n")
    for file in (keys, tmp_path / "ssh/new", relay.folder / "data/link/authorized_keys"):
        if file.parent.name == "link":
            file.parent.symlink_to(keys.parent)
        set_options(web, auth__users=str(file))
        answer = user(web, "ssh-ed25519 AAAANEW evil")
        assert answer.status == 500 and "postern user add" in answer.json["error"], answer
        assert web.delete("/v1/users/nobody").status == 500
    assert keys.read_text() == "ssh-ed25519 AAAAOLD root@here\n" and [p.name for p in keys.parent.iterdir()] == ["authorized_keys"]
    # Nor in others of the relay's own, of which only a users file is one.
    (relay.folder / "data/words").write_text("some words\n")
    for file in (relay.folder / "data/words", relay.config_path):
        set_options(web, auth__users=str(file))
        before = file.read_bytes()
        answer = user(web, "bert")
        assert answer.status == 500 and "no users file" in answer.json["error"] and file.read_bytes() == before, answer
    relay.config_path.write_bytes(before + b"#seed:x\n")
    assert user(web, "bert").status == 500 and relay.config_path.read_bytes() == before + b"#seed:x\n"
    # What the command has made is a users file, wherever it is; and so is what lies beside the configuration.
    mine = tmp_path / "mine"
    command("user", "add", "anna", "--file", mine, stdin="some words\n", check=0)
    for file in (mine, relay.folder / "logins"):
        set_options(web, auth__users=str(file))
        assert user(web, "bert").status == 200
    assert "bert:" in mine.read_text()


@pytest.mark.root
@pytest.mark.parametrize("option", ["auth.users", "notices.templates"])
def test_no_files_of_root_in_a_download(relay, tmp_path, option):
    web = administrator(relay)
    path = tmp_path / "link"
    path.symlink_to("/etc/shadow" if option == "auth.users" else "/etc/ssh")
    set_options(web, **{option.replace(".", "__"): str(path)})
    answer = web.post("/v1/backup")
    if option == "auth.users" or os.path.isdir("/etc/ssh"):
        assert answer.status == 503 and str(path) in answer.json["error"] and "postern backup" in answer.json["error"], answer
    relay.command("backup", tmp_path / "backup")


@pytest.mark.slow
def test_a_pipe_and_a_lock(relay):
    """In the place of the users file, and of its folder: by anybody who may read that."""
    web = administrator(relay)
    users = relay.folder / "data/users"
    os.mkfifo(users)
    began = time.monotonic()
    for answer in (web.get("/v1/users"), user(web, "anna")):
        assert answer.status == 500 and "no regular file" in answer.json["error"]
    users.unlink()
    folder = os.open(users.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    answer = user(web, "anna")
    assert answer.status == 500 and "locking" in answer.json["error"] and time.monotonic() - began < 30
    os.close(folder)
    assert user(web, "anna").status == 200


def shut_out(relay, name="evil"):
    assert administrator(relay, "other").patch(f"/v1/accounts/{name}", {"disabled": True}).status == 200


def test_an_empty_body_that_comes_late(relay):
    web = administrator(relay, "evil")
    assert user(web, "anna").status == 200
    with contextlib.closing(web.connect()) as s:
        head = {"Transfer-Encoding": "chunked", **web.headers("DELETE", None)}
        s.sendall(b"DELETE /v1/users/anna HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()).encode() + b"\r\n")
        shut_out(relay)
        s.sendall(b"0\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 401 ")
    assert "anna" in (relay.folder / "data/users").read_text()


def test_shut_out_while_it_is_made(relay):
    web = administrator(relay, "evil")
    with held_up(relay, web) as (s, lock):
        shut_out(relay)
        lock.execute("rollback")
        assert s.recv(100).startswith(b"HTTP/1.1 401 ")
    assert administrator(relay, "third").post("/v1/backup").status == 200


def test_trouble_that_is_no_text(relay):
    """A name that is not UTF-8 is told, too, and at once."""
    (relay.folder / "data").joinpath(os.fsdecode(b"b\xff\xfe.db")).write_bytes(b"no database " * 100)
    began = time.monotonic()
    answer = administrator(relay).post("/v1/backup")
    assert answer.status == 503 and "a copy cannot be made" in answer.json["error"] and time.monotonic() - began < 20, answer


@pytest.mark.slow
def test_bodies_that_cost_memory(relay):
    """Twelve megabytes that would become two thousand."""
    web = administrator(relay)
    body = b'{"files": {"main.cf": [' + b"{}," * 3_900_000 + b"{}]}}"
    began = time.monotonic()
    answer = web.request("POST", "/v1/import/postfix", body, {"Content-Type": "application/json"})
    assert answer.status == 413 and time.monotonic() - began < 10, answer
    # In a text they are nothing.
    text = 'myhostname = mx.example.com\nmydestination =\n# \\",[{' + "[{,\n#\\" * 500_000
    assert web.post("/v1/import/postfix", {"files": {"main.cf": text}}).status == 200
    status = open(f"/proc/{relay.pid('admin')}/status").read()
    assert int(status.split("VmHWM:")[1].split()[0]) < 500_000, status


@pytest.mark.slow
def test_an_import_that_takes_too_long(relay):
    """It is ended, and the configuration can be changed again."""
    web = administrator(relay)
    networks = "".join(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(400000))
    main = "myhostname = mx.example.com\nmynetworks = /etc/postfix/networks\n"
    answer = web.post("/v1/import/postfix", {"files": {"main.cf": main, "networks": networks}})
    assert answer.status == 503 and "nothing was changed" in answer.json["error"], answer
    assert web.get("/v1/config").status == 200
