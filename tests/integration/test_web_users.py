# SPDX-License-Identifier: Apache-2.0
"""Those who log in to send mail, kept through the API: what it writes counts in AUTH at once, beside the command, and no password of it is anywhere. Who may is in test_web_rights.py."""
import base64
import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import pwd
import smtplib
import ssl
import stat
import tempfile
import urllib.parse

import pytest

from lib.daemon import Postern
from lib.daemon import postern as command
from lib.smtp import Smtp
from lib.util import free_port
from lib.web import Web, administrator, control, on, wait_web

_sources = itertools.count(1)


@pytest.fixture(scope="module")
def relay(module_postern, tmp_path_factory):
    folder = tmp_path_factory.mktemp("users")
    (folder / "users").write_text("#seed:c2VlZA==\n")  # where the API makes none
    port = free_port()
    one = module_postern(listeners=[{"address": f"127.0.0.1:{port}", "role": "submission"}], web=on(),
                         auth={"backend": "users", "users": str(folder / "users"), "failures": 1000, "methods": ["plain", "cram-md5"]})
    one.port, one.users = port, folder / "users"
    wait_web(one)
    return one


@pytest.fixture(scope="module")
def web(relay):
    return administrator(relay)


@contextlib.contextmanager
def tls(relay):
    with Smtp(relay.port, source=f"127.0.4.{next(_sources) % 250 + 1}") as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        yield c


def login(c, name, password, expect):
    return c.cmd("AUTH PLAIN " + base64.b64encode(f"\0{name}\0{password}".encode()).decode(), expect)


def logs_in(relay, name, password, expect=235):
    with tls(relay) as c:
        login(c, name, password, expect)


def path(name):
    return "/v1/users/" + urllib.parse.quote(name, safe="")


def add(web, name, password="first word", **more):
    answer = web.post("/v1/users", {"login": name, "password": password, **more})
    assert answer.status == 200, answer


def names(web, **arguments):
    answer = web.get("/v1/users", limit=1000, **arguments)
    assert answer.status == 200, answer
    return [u["login"] for u in answer.json["users"]]


def refused(answer, status, text):
    assert answer.status == status and text in answer.json["error"], answer


# ---- what it does

@pytest.mark.slow
def test_life_of_a_user(relay, web):
    add(web, "anna@example.com", addresses=["sales@example.com", "@anna.example"])
    with tls(relay) as c:
        login(c, "anna@example.com", "first word", 235)
        for fine in ("anna@example.com", "sales@example.com", "x@anna.example"):
            c.mail(fine)
            c.cmd("RSET", 250)
        c.mail("bert@example.com", expect=553)
    shown = web.get("/v1/users", search="ANNA@ex").json
    assert shown["users"] == [{"login": "anna@example.com", "addresses": ["sales@example.com", "@anna.example"], "locked": False, "cram_md5": False}]
    assert shown["backend"] == "users" and shown["file"] == str(relay.users) and shown["total"] == 1
    # New addresses leave the password alone, a new password the addresses.
    assert web.patch(path("anna@example.com"), {"addresses": ["bert@example.com"]}).status == 200
    with tls(relay) as c:
        login(c, "anna@example.com", "first word", 235)
        c.mail("bert@example.com")
        c.cmd("RSET", 250)
        c.mail("sales@example.com", expect=553)
    assert web.patch(path("anna@example.com"), {"password": "second word"}).status == 200
    logs_in(relay, "anna@example.com", "first word", 535)
    with tls(relay) as c:
        login(c, "ANNA@example.com", "second word", 235)
        c.mail("bert@example.com")
    assert web.patch(path("Anna@Example.com"), {"addresses": []}).status == 200
    with tls(relay) as c:
        login(c, "anna@example.com", "second word", 235)
        c.mail("bert@example.com", expect=553)
    assert web.delete(path("anna@example.com")).status == 200
    logs_in(relay, "anna@example.com", "second word", 535)
    refused(web.delete(path("anna@example.com")), 404, "there is no such user")
    refused(web.patch(path("anna@example.com"), {"password": "x"}), 404, "there is no such user")


@pytest.mark.slow
def test_names_with_signs(relay, web):
    """Whatever may stand in the file can be changed and removed, too."""
    odd = ["a/b/c", "50% #1?&+ 2", "müller@example.com", "a\\b\"c'"]
    for name in odd:
        add(web, name)
        assert web.patch(path(name), {"password": "other word", "addresses": ["*"]}).status == 200, name
        logs_in(relay, name, "other word")
        assert web.get("/v1/users", search=name).json["total"] == 1
    for name in odd:
        assert web.delete(path(name)).status == 200, name
    assert not set(odd) & set(names(web))


def test_pages(relay, web):
    before = relay.users.read_text()
    relay.users.write_text(before + "".join(f"{'P' if i % 2 else 'p'}age{i}@example.com:$y$x:::findme@example.com\n" for i in (3, 1, 2, 5, 4)))
    seen, after = [], {}
    while True:
        answer = web.get("/v1/users", search="findme", limit=2, **after).json
        assert answer["total"] == 5 and len(answer["users"]) <= 2
        seen += [u["login"] for u in answer["users"]]
        if "after" not in answer:
            break
        after = {"after": answer["after"]}
    assert [s.lower() for s in seen] == [f"page{i}@example.com" for i in range(1, 6)]
    relay.users.write_text(before)
    assert web.get("/v1/users", search="findme").json["users"] == []


@pytest.mark.slow
def test_beside_the_command(relay, web):
    relay_user = ["user", "--file", str(relay.users)]
    command(*relay_user, "add", "carl", "--cram-md5", "--addresses", "carl@example.com", stdin="by command\n", check=0)
    assert [(u["addresses"], u["cram_md5"]) for u in web.get("/v1/users", search="carl").json["users"]] == [(["carl@example.com"], True)]
    refused(web.post("/v1/users", {"login": "CARL", "password": "x"}), 409, "there is such a user already")
    assert web.patch(path("carl"), {"password": "by page"}).status == 200
    logs_in(relay, "carl", "by page")
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=20) as c:
        c.starttls(context=ssl._create_unverified_context())
        c.ehlo()
        c.user, c.password = "carl", "by page"
        assert c.auth("CRAM-MD5", c.auth_cram_md5)[0] == 235
    assert [u["cram_md5"] for u in web.get("/v1/users", search="carl").json["users"]] == [True]  # of the new one
    add(web, "dora", cram_md5=True)
    shown = command(*relay_user, "list", check=0).stdout
    assert "dora" in shown and shown.count("(CRAM-MD5)") == 2
    command(*relay_user, "password", "dora", stdin="by command\n", check=0)
    logs_in(relay, "dora", "by command")
    # A lock by hand, as in a crypt file: no mechanism takes it, and a new password takes it away.
    text = relay.users.read_text()
    relay.users.write_text(text.replace("\ndora:", "\ndora:!"))
    assert [u["locked"] for u in web.get("/v1/users", search="dora").json["users"]] == [True]
    logs_in(relay, "dora", "by command", 535)
    assert web.patch(path("dora"), {"password": "again"}).status == 200
    logs_in(relay, "dora", "again")
    for name in ("carl", "dora"):
        command(*relay_user, "delete", name, check=0)
    assert not {"carl", "dora"} & set(names(web))


@pytest.mark.slow
def test_side_by_side(relay, web):
    """Many at once, by both ways: none is lost, and the file is whole."""
    many = [f"many{i}@example.com" for i in range(8)]

    def one(i, name):
        if i % 4 == 3:
            command("user", "add", name, "--file", relay.users, stdin="many words\n", check=0)
            return 200
        return Web(relay, token=token).post("/v1/users", {"login": name, "password": "many words"}).status
    token = web.post("/v1/account/tokens", {"name": "users", "scopes": ["accounts"]}).json["token"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(len(many)), many)) == {200}
        assert set(many) <= set(names(web))
        same = list(pool.map(lambda i: Web(relay, token=token).post("/v1/users", {"login": "once", "password": f"word {i}"}).status, range(5)))
        assert sorted(same) == [200, 409, 409, 409, 409]
        assert set(pool.map(lambda n: Web(relay, token=token).delete(path(n)).status, [*many, "once"])) == {200}
    assert not (relay.users.parent / "users.new").exists()


# ---- what it refuses

@pytest.mark.parametrize("body,member", [
    ({"login": "", "password": "x"}, "login"), ({"login": "a:b", "password": "x"}, "login"), ({"login": "#a", "password": "x"}, "login"),
    ({"login": "a\nroot:x", "password": "x"}, "login"), ({"login": "a\u200bb\x7f", "password": "x"}, "login"), ({"login": "a" * 256, "password": "x"}, "login"),
    ({"login": " a", "password": "x"}, "login"), ({"login": "a"}, "password"), ({"password": "x"}, "login"), ({"login": 1, "password": "x"}, "login"),
    ({"login": "a", "password": ""}, "password"), ({"login": "a", "password": "x" * 1025}, "password"), ({"login": "a", "password": "x\ny"}, "password"),
    ({"login": "a", "password": "x", "addresses": ["no address"]}, "addresses"), ({"login": "a", "password": "x", "addresses": [""]}, "addresses"),
    ({"login": "a", "password": "x", "addresses": ["a@b.example,c@d.example"]}, "addresses"),
    ({"login": "a", "password": "x", "addresses": ["a@b.example\nroot:$y$:::"]}, "addresses"),
    ({"login": "a", "password": "x", "addresses": ["\"a\nb\"@b.example"]}, "addresses"), ({"login": "a", "password": "x", "addresses": "a@b.example"}, "addresses"),
    ({"login": "a", "password": "x", "addresses": ["@"]}, "addresses"), ({"login": "a", "password": "x", "addresses": ["a@b.example"] * 1001}, "addresses"),
    ({"login": "a", "password": "x", "secret": "x::"}, "secret")])
def test_bad_input(relay, web, body, member):
    before = relay.users.read_text()
    answer = web.post("/v1/users", body)
    assert answer.status == 400 and answer.json["error"].startswith(f"{member}:"), answer
    assert before == relay.users.read_text()


def test_bad_changes(relay, web):
    add(web, "emil")
    assert web.patch(path("emil"), {}).status == 400
    assert web.patch(path("emil"), {"login": "fritz"}).json["error"].startswith("login:")
    assert web.patch(path("emil"), {"addresses": ["x"]}).json["error"].startswith("addresses:")
    assert web.patch(path("emil"), {"password": ""}).json["error"].startswith("password:")
    assert web.patch("/v1/users/%00", {"password": "x"}).status == 404
    assert web.patch("/v1/users/a%3Ab", {"password": "x"}).status == 404
    assert web.patch("/v1/users/%ff", {"password": "x"}).status == 404
    logs_in(relay, "emil", "first word")
    assert web.delete(path("emil")).status == 200


def test_file_in_trouble(relay, web, tmp_path):
    """What is said when the file cannot be read or written; nothing is lost."""
    add(web, "greta")
    folder = relay.users.parent
    kept = tmp_path / "users"
    relay.users.rename(kept)
    relay.users.symlink_to(kept)
    refused(web.post("/v1/users", {"login": "hans", "password": "x"}), 500, "symbolic link")
    relay.users.unlink()
    relay.users.mkdir()
    refused(web.get("/v1/users"), 500, "no regular file")
    refused(web.post("/v1/users", {"login": "hans", "password": "x"}), 500, "auth.users")
    relay.users.rmdir()
    aside = folder.rename(folder.parent / "aside")
    assert web.get("/v1/users").json["users"] == []  # a file that is not there has none
    refused(web.post("/v1/users", {"login": "hans", "password": "x"}), 500, str(folder))
    aside.rename(folder)
    kept.rename(relay.users)
    assert names(web) == ["greta"] and web.delete(path("greta")).status == 200


def test_another_backend(postern, tmp_path):
    relay = postern(web=on(), auth={"users": str(tmp_path / "users")})
    web = administrator(relay)
    assert web.get("/v1/users").json["backend"] == "off"
    refused(web.post("/v1/users", {"login": "a", "password": "x"}), 409, "auth.backend is off: nobody can log in to send. Set it to users")
    relay.write({"auth": {"backend": "imap", "imap": {"host": "127.0.0.1"}}})
    relay.command("reload")
    assert web.get("/v1/users").json["backend"] == "imap"
    refused(web.delete(path("a")), 409, "auth.backend is imap: logins are kept there")
    assert not (tmp_path / "users").exists()


# ---- what is kept of it

def test_audit_and_secrets(relay, web):
    secret = "a-word-that-is-nowhere"
    add(web, "inge@example.com", secret, addresses=["i@example.com"])
    refused(web.post("/v1/users", {"login": "inge@example.com", "password": secret}), 409, "already")
    assert web.patch(path("inge@example.com"), {"password": secret + "-2"}).status == 200
    assert web.delete(path("inge@example.com")).status == 200
    entries = [(e["action"], e["target"], e["outcome"], e.get("detail")) for e in web.get("/v1/audit", action="users").json["entries"] if e["target"] == "inge@example.com"]
    assert entries[::-1] == [("users", "inge@example.com", "ok", "addresses: i@example.com"),
                             ("users", "inge@example.com", "refused", "there is such a user already"), ("users.change", "inge@example.com", "ok", "new password"), ("users.delete", "inge@example.com", "ok", None)], entries
    relay.wait_log(r"users-changed .*by=web:root .*user=inge@example.com .*change=deleted")
    log, answers = relay.log(), web.get("/v1/users").text + web.get("/v1/audit").text
    assert secret not in log and secret not in answers and "$y$j" not in answers and "$y$j" not in log
    assert not any(secret.encode() in p.read_bytes() for p in pathlib.Path(relay.config["system"]["directory"]).rglob("*") if p.is_file())


def test_control_socket(relay):
    assert control(relay, "POST", "/v1/users", {"login": "karl", "password": "of the socket"}).status == 200
    logs_in(relay, "karl", "of the socket")
    assert control(relay, "DELETE", path("karl")).status == 200


@pytest.mark.root
def test_without_privileges():
    """Processes with users of their own: root writes the file, the group of the auth process reads it, and an older file keeps whose it is."""
    with tempfile.TemporaryDirectory(prefix="postern-users-") as folder, contextlib.ExitStack() as stop:
        os.chmod(folder, 0o755)
        relay = Postern(pathlib.Path(folder) / "relay", {"web": on(), "auth": {"backend": "users"},
                                                         "system": {"user": "nobody", "admin_user": "daemon", "auth_user": "mail"}}, start=False)
        relay.write({"listeners": [{"address": f"127.0.0.1:{relay.port}", "role": "submission"}]})
        stop.callback(relay.stop)
        relay.start()
        web = administrator(relay)
        add(web, "anna")
        file = pathlib.Path(relay.config["system"]["directory"]) / "users"
        group = pwd.getpwnam("mail").pw_gid
        s = file.stat()
        assert (s.st_uid, s.st_gid, stat.S_IMODE(s.st_mode)) == (0, group, 0o640)
        logs_in(relay, "anna", "first word")
        os.chown(file, 1, 12)
        os.chmod(file, 0o600)
        assert web.patch(path("anna"), {"password": "second word"}).status == 200
        s = file.stat()
        assert (s.st_uid, s.st_gid, stat.S_IMODE(s.st_mode)) == (1, 12, 0o600)
        os.chown(file, 0, group)
        os.chmod(file, 0o640)
        logs_in(relay, "anna", "second word")
        assert "no-landlock" not in relay.log()
