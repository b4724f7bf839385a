# SPDX-License-Identifier: Apache-2.0
"""Accounts of the web administration through the real port: the first start, logging in, the brake, second factors, tokens, links, the audit log, and what a
crash or a damaged database leaves."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import sqlite3
import stat
import time

import pytest

from lib.util import wait_until
from lib.web import PASSWORD, Web, administrator, code_of, control, fresh, logged_in, make_account, on, serving, wait_web

LINK = re.compile(r"setup-link link=\S*/#/setup/([A-Za-z0-9_-]{43})")


@pytest.fixture(scope="module")
def relay(module_postern):
    return serving(module_postern)


@pytest.fixture(scope="module")
def root(relay):
    return administrator(relay)


def token_in(answer):
    return answer.json["link"].rsplit("/", 1)[1]


def tried(audit, **wanted):
    return [e for e in audit.json["entries"] if all(e[k] == v for k, v in wanted.items())]


# ---- the first start

def test_first_start(postern):
    relay = serving(postern)
    link = relay.wait_log(LINK.pattern).group(1)
    web = Web(relay)
    answer = web.get("/v1/session")
    assert answer.status == 401 and answer.json["setup"] is True
    assert web.post("/v1/setup", {"link": "A" * 43, "name": "root", "password": PASSWORD}).status == 401
    assert web.post("/v1/setup", {"link": link, "password": PASSWORD}).status == 400  # no name
    assert web.post("/v1/setup", {"link": link, "name": "root", "password": "short"}).status == 400
    relay.restart()  # a link that nobody used stays good, and is not told again
    wait_web(relay)
    answer = web.post("/v1/setup", {"link": link, "name": "Root", "password": PASSWORD})
    assert answer.status == 200 and answer.json["name"] == "root" and answer.json["role"] == "administrator"
    cookie = answer.headers["Set-Cookie"]
    assert re.fullmatch(r"__Host-postern=[A-Za-z0-9_-]{43}; Path=/; Secure; HttpOnly; SameSite=Strict", cookie)
    assert web.get("/v1/session").status == 200
    other = fresh(relay)
    assert other.post("/v1/setup", {"link": link, "name": "me", "password": PASSWORD}).status == 401  # once
    assert other.get("/v1/session").json["setup"] is False
    relay.restart()
    wait_web(relay)
    assert web.get("/v1/session").status == 200 and len(LINK.findall(relay.log())) == 1
    folder = relay.folder / "data" / "admin"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and stat.S_IMODE((folder / "admin.db").stat().st_mode) == 0o600


def test_one_of_two_at_once(postern):
    relay = serving(postern)
    link = relay.wait_log(LINK.pattern).group(1)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda name: fresh(relay).post("/v1/setup", {"link": link, "name": name, "password": PASSWORD}), ["one", "two"]))
    assert sorted(a.status for a in answers) == [200, 401]
    assert len(control(relay, "GET", "/v1/accounts").json["accounts"]) == 1


def test_no_link_without_the_web(postern):
    relay = postern(web={"enabled": False})
    time.sleep(0.5)
    assert not LINK.search(relay.log())


# ---- logging in

def test_log_in_and_out(relay):
    make_account(relay, "alice", "operator", addresses=["Alice@Example.com", "alice@example.com"])
    web = fresh(relay)
    answer = web.log_in("ALICE")
    assert answer.status == 200
    me = web.get("/v1/session").json
    assert me["name"] == "alice" and me["totp"] is False and me["addresses"] == ["alice@example.com"] and me["hostname"] == "mx.postern.example"
    assert me["csrf"] == web.csrf and me["version"]
    cookie = dict(web.cookies)
    assert web.log_out().status == 200 and not web.cookies
    web.cookies = cookie
    assert web.get("/v1/session").status == 401 and web.get("/v1/account").status == 401


def test_wrong_is_wrong(relay, root):
    """A name that is none, a wrong password, a disabled account, one without a password: the same answer."""
    make_account(relay, "off")
    assert control(relay, "PATCH", "/v1/accounts/off", {"disabled": True}).status == 200
    assert control(relay, "POST", "/v1/accounts", {"name": "new", "role": "user"}).status == 200
    answers = [fresh(relay).log_in(*who) for who in
               [("nobody", PASSWORD), ("root", "wrong horse"), ("off", PASSWORD), ("new", ""), ("new", "anything at all"), ("a/b", PASSWORD), ("", "")]]
    assert {a.status for a in answers} == {401} and len({a.text for a in answers}) == 1
    assert all("Set-Cookie" not in a.headers for a in answers)
    assert tried(root.get("/v1/audit", action="login"), outcome="refused", target="nobody", who=None)


def cpu_ticks(pid):
    return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[11:13]))


def test_unknown_names_take_as_long(relay, root):
    def took(name):  # of the processor: what the clock says is about other processes, too
        began = cpu_ticks(relay.pid("admin"))
        for _ in range(5):
            fresh(relay).log_in(name, "wrong horse")
        return cpu_ticks(relay.pid("admin")) - began
    known, unknown = took("root"), took("nobody-at-all")
    assert 0.4 < known / unknown < 2.5


@pytest.mark.slow
def test_brake(relay, root):
    make_account(relay, "target", "user")
    guesser = fresh(relay)
    for _ in range(5):
        assert guesser.log_in("target", "guess guess").status == 401
    waits = []
    while not waits or waits[-1] < 4:  # on a slow machine a second is over before the next try
        answer = guesser.log_in("target", "guess guess")
        assert answer.status in (401, 429)
        if answer.status == 429:
            waits.append(answer.json["retry_after"])
            time.sleep(waits[-1])
    assert waits == sorted(waits)  # longer each time
    assert guesser.log_in("target", "guess guess").status == 401
    answer = guesser.log_in("target")
    assert answer.status == 429 and 4 < answer.json["retry_after"] <= 8
    assert guesser.log_in("root").status == 429  # it is the address that waits
    assert fresh(relay).log_in("target").status == 200  # and nobody else
    assert tried(root.get("/v1/audit", action="login"), outcome="refused", target="target")


@pytest.mark.slow
def test_many_addresses(relay):
    """Guessing from many addresses: each has one try in the end, and the account is not locked."""
    make_account(relay, "crowd", "user")
    for _ in range(21):
        assert fresh(relay).log_in("crowd", "guess guess").status == 401
    late = fresh(relay)
    assert late.log_in("crowd", "guess guess").status == 401 and late.log_in("crowd").status == 429
    assert fresh(relay).log_in("crowd").status == 200


def test_crowd_at_once(relay, root):
    """More than can be looked at: some are told to come back, all are answered, and the rest goes on."""
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        source = fresh(relay).source
        answers = list(pool.map(lambda _: Web(relay, source=source).log_in("root", "guess guess").status, range(24)))
    assert set(answers) <= {401, 429, 503} and 429 in answers
    assert root.get("/v1/session").status == 200


# ---- other sites, stolen things

def test_stolen_cookie(relay):
    """A page of another site, and a cookie without what goes with it, change nothing."""
    web = logged_in(relay, "carol", "administrator")
    assert web.request("PATCH", "/v1/account", {"theme": "dark"}, {"X-Postern-CSRF": None}).status == 403
    assert web.request("PATCH", "/v1/account", {"theme": "dark"}, {"X-Postern-CSRF": "0" * 42}).status == 403
    assert web.request("PATCH", "/v1/account", {"theme": "dark"}, {"Origin": "https://evil.example"}).status == 403
    assert web.request("PATCH", "/v1/account", {"theme": "dark"}, {"Origin": "null"}).status == 403
    assert web.request("PATCH", "/v1/account", {"theme": "dark"}, {"Origin": None, "Sec-Fetch-Site": "cross-site"}).status == 403
    assert web.request("POST", "/v1/session", {"name": "carol", "password": PASSWORD}, {"Origin": "https://evil.example"}).status == 403
    assert web.get("/v1/account").json["theme"] == ""
    other = logged_in(relay, "dave", "administrator")
    assert web.request("PATCH", "/v1/account", {"theme": "dark"}, {"X-Postern-CSRF": other.csrf}).status == 403
    assert web.patch("/v1/account", {"theme": "dark", "language": "de"}).status == 200
    me = web.get("/v1/account").json
    assert me["theme"] == "dark" and me["language"] == "de"


def test_cookie_of_nothing(relay):
    for value in ["", "x", "A" * 43, "A" * 5000, "'; DROP TABLE accounts; --"]:
        web = fresh(relay)
        web.cookies["__Host-postern"] = value
        assert web.get("/v1/account").status in (401, 431), value


# ---- one's own account

def test_password(relay):
    here, there = logged_in(relay, "erin", "user"), fresh(relay)
    assert there.log_in("erin").status == 200
    assert len(here.get("/v1/account").json["sessions"]) == 2
    assert here.post("/v1/account/password", {"old": "wrong horse", "new": "another password"}).status == 403
    assert here.post("/v1/account/password", {"old": PASSWORD, "new": "short"}).status == 400
    assert here.post("/v1/account/password", {"old": PASSWORD, "new": "another password"}).status == 200
    assert here.get("/v1/account").status == 200 and there.get("/v1/account").status == 401
    assert fresh(relay).log_in("erin").status == 401 and fresh(relay).log_in("erin", "another password").status == 200


def test_sessions(relay):
    here, there = logged_in(relay, "frank", "user"), fresh(relay)
    there.log_in("frank")
    all_ = here.get("/v1/account").json["sessions"]
    mine = next(s for s in all_ if s["current"])
    other = next(s for s in all_ if not s["current"])
    assert other["address"] == there.source and mine["address"] == "127.0.0.1"
    grace = logged_in(relay, "grace", "user")
    assert grace.delete(f"/v1/account/sessions/{other['id']}").status == 404  # not hers
    assert here.delete(f"/v1/account/sessions/{other['id']}").status == 200
    assert there.get("/v1/account").status == 401 and here.get("/v1/account").status == 200
    assert here.delete("/v1/account/sessions/x").status == 404


def second_factor(web):
    begun = web.post("/v1/account/totp").json
    assert begun["uri"].startswith("otpauth://totp/") and f"secret={begun['secret']}" in begun["uri"]
    wrong = f"{(int(code_of(begun['secret'])) + 1) % 1000000:06d}"
    assert web.put("/v1/account/totp", {"code": wrong}).status == 400
    used = code_of(begun["secret"])
    done = web.put("/v1/account/totp", {"code": used})
    assert done.status == 200 and len(set(done.json["recovery"])) == 10
    return begun["secret"], done.json["recovery"], used


@pytest.mark.slow
def test_second_factor(relay, root):
    web = logged_in(relay, "heidi", "operator")
    assert web.put("/v1/account/totp", {"code": "123456"}).status == 409
    secret, recovery, used = second_factor(web)
    assert web.post("/v1/account/totp").status == 409
    assert web.get("/v1/session").json["totp"] is True
    answer = fresh(relay).log_in("heidi")
    assert answer.status == 401 and answer.json["code_needed"] is True
    answer = fresh(relay).log_in("heidi", "wrong horse", code_of(secret, 1))
    assert answer.status == 401 and "code_needed" not in answer.json
    assert fresh(relay).log_in("heidi", code="000000x").status == 401
    assert fresh(relay).log_in("heidi", code=used).status == 401  # to set it up
    code = code_of(secret, 1)
    assert fresh(relay).log_in("heidi", code=code).status == 200
    assert fresh(relay).log_in("heidi", code=code).status == 401  # not twice
    assert fresh(relay).log_in("heidi", code=recovery[0].upper().replace("-", " ")).status == 200
    assert fresh(relay).log_in("heidi", code=recovery[0]).status == 401
    assert web.get("/v1/account").json["recovery"] == 9
    assert any("second factor" in (e["detail"] or "") for e in tried(root.get("/v1/audit", action="login"), outcome="refused", target="heidi"))
    assert web.delete("/v1/account/totp", {"password": "wrong horse"}).status == 403
    assert web.delete("/v1/account/totp", {"password": PASSWORD}).status == 200
    assert fresh(relay).log_in("heidi").status == 200
    assert fresh(relay).log_in("heidi", code=recovery[1]).status == 200  # a code too many does no harm


def test_second_factor_demanded(postern):
    relay = postern(web=on(second_factor=True))
    web = administrator(relay)
    me = web.get("/v1/session").json
    assert me["second_factor_needed"] is True and me["rights"] == ["self"]
    assert web.get("/v1/status").status == 403 and "second factor" in web.get("/v1/status").json["error"]
    assert web.post("/v1/account/tokens", {"name": "t", "scopes": ["status"]}).status == 400
    second_factor(web)
    assert web.get("/v1/status").status == 200 and "second_factor_needed" not in web.get("/v1/session").json
    assert logged_in(relay, "op", "operator").get("/v1/status").status == 200  # only administrators must


# ---- tokens

def test_tokens(relay):
    web = logged_in(relay, "ivan", "operator")
    made = web.post("/v1/account/tokens", {"name": "monitoring", "scopes": ["status", "mail"], "days": 30})
    assert made.status == 200 and re.fullmatch(r"pst_[A-Za-z0-9_-]{43}", made.json["token"])
    one = web.get("/v1/account/tokens").json["tokens"][0]
    assert one["name"] == "monitoring" and one["scopes"] == ["status", "mail"] and "token" not in one and "used" not in one
    assert abs(one["expires"] - one["created"] - 30 * 86400000) < 1000
    program = Web(relay, token=made.json["token"])
    assert program.get("/v1/status").status == 200 and program.get("/v1/queue").status == 200
    assert program.post("/v1/queue/retry", {"all": True}).status == 403
    assert program.get("/v1/session").json["rights"] == ["status", "mail"]
    assert program.get("/v1/account/tokens").status == 403
    assert web.get("/v1/account/tokens").json["tokens"][0]["used"]
    assert Web(relay, token=made.json["token"] + "x").get("/v1/status").status == 401
    for wrong in [{"name": "", "scopes": ["status"]}, {"name": "x", "scopes": []}, {"name": "x", "scopes": ["all"]}, {"name": "x", "scopes": ["accounts"]},
                  {"name": "x", "scopes": ["status"], "days": 0}, {"name": "x", "scopes": ["status"], "days": 9999}, {"name": "x", "scopes": "status"}]:
        assert web.post("/v1/account/tokens", wrong).status == 400, wrong
    judy = logged_in(relay, "judy", "user")
    assert judy.delete(f"/v1/account/tokens/{made.json['id']}").status == 404
    assert web.delete(f"/v1/account/tokens/{made.json['id']}").status == 200
    assert program.get("/v1/status").status == 401


def test_token_ends_with_its_account(relay):
    logged_in(relay, "kevins-boss", "administrator")  # the last one could not be disabled
    web = logged_in(relay, "kevin", "administrator")
    program = Web(relay, token=web.post("/v1/account/tokens", {"name": "t", "scopes": ["config", "status"]}).json["token"])
    assert program.get("/v1/tables").status == 200
    assert control(relay, "PATCH", "/v1/accounts/kevin", {"role": "operator"}).status == 200
    assert program.get("/v1/tables").status == 403 and program.get("/v1/status").status == 200
    assert control(relay, "PATCH", "/v1/accounts/kevin", {"disabled": True}).status == 200
    assert program.get("/v1/status").status == 401 and web.get("/v1/account").status == 401
    assert control(relay, "PATCH", "/v1/accounts/kevin", {"disabled": False}).status == 200
    assert program.get("/v1/status").status == 200 and web.get("/v1/account").status == 401  # sessions have ended
    assert control(relay, "DELETE", "/v1/accounts/kevin").status == 200
    assert program.get("/v1/status").status == 401


# ---- administrators

def test_last_administrator(postern):
    relay = postern(web=on())
    web = administrator(relay)
    control(relay, "POST", "/v1/accounts", {"name": "later", "role": "administrator"})  # has no password yet: nobody can log in with it
    for method, body in [("DELETE", None), ("PATCH", {"role": "operator"}), ("PATCH", {"disabled": True})]:
        answer = web.request(method, "/v1/accounts/root", body)
        assert answer.status == 409 and "last administrator" in answer.json["error"]
    assert web.patch("/v1/accounts/root", {"addresses": ["root@example.com"]}).status == 200
    make_account(relay, "second")
    assert web.patch("/v1/accounts/root", {"role": "auditor"}).status == 200
    assert web.get("/v1/accounts").status == 403  # at once
    assert control(relay, "PATCH", "/v1/accounts/second", {"disabled": True}).status == 409


def test_accounts_are_checked(relay):
    def add(**body):
        return control(relay, "POST", "/v1/accounts", {"name": "laura", "role": "user", **body}).status
    assert add(name="") == add(name="a b") == add(name="-a") == add(name="a" * 65) == add(role="root") == 400
    assert add(addresses=["x"]) == add(addresses=["a@b@c"]) == add(addresses=["@b"]) == add(addresses=["a b@c"]) == add(addresses="a@b") == 400
    assert add(addresses=[f"a{i}@b.example" for i in range(101)]) == add(password="short") == add(password="laura" * 300) == add(extra=1) == 400
    assert add() == 200 and add() == 409 and add(name="LAURA") == 409
    assert control(relay, "PATCH", "/v1/accounts/laura", {"totp": True}).status == 400
    assert control(relay, "PATCH", "/v1/accounts/nobody", {"role": "user"}).status == 404
    assert control(relay, "GET", "/v1/account").status == 409  # the control socket has no account


def test_link(relay):
    web = logged_in(relay, "mallory", "user")
    second_factor(web)
    old = token_in(control(relay, "POST", "/v1/accounts/mallory/link"))
    link = token_in(control(relay, "POST", "/v1/accounts/mallory/link"))
    stranger = fresh(relay)
    assert stranger.post("/v1/setup", {"link": old, "password": "yet another one"}).status == 401  # there is a newer one
    assert web.get("/v1/account").status == 200  # nothing has happened yet
    answer = stranger.post("/v1/setup", {"link": link, "password": "yet another one"})
    assert answer.status == 200 and answer.json["name"] == "mallory" and answer.json["totp"] is False
    assert web.get("/v1/account").status == 401 and fresh(relay).log_in("mallory", "yet another one").status == 200
    assert fresh(relay).post("/v1/setup", {"link": link, "password": "yet another one"}).status == 401
    gone = token_in(control(relay, "POST", "/v1/accounts/mallory/link"))
    control(relay, "PATCH", "/v1/accounts/mallory", {"disabled": True})
    assert fresh(relay).post("/v1/setup", {"link": gone, "password": "yet another one"}).status == 401
    assert control(relay, "POST", "/v1/accounts/mallory/link").status == 409


def test_guessing_links_is_braked(relay):
    web = fresh(relay)
    answers = [web.post("/v1/setup", {"link": f"{i}" * 43, "password": PASSWORD}).status for i in range(7)]
    assert answers[:5] == [401] * 5 and 429 in answers


# ---- the audit log

def test_audit(relay, root):
    make_account(relay, "nancy", "operator")
    root.patch("/v1/accounts/nancy", {"role": "auditor"})
    newest = root.get("/v1/audit", who="root", action="accounts").json["entries"][0]
    assert newest["action"] == "accounts.change" and newest["target"] == "nancy" and newest["outcome"] == "ok" and '"auditor"' in newest["detail"]
    assert newest["role"] == "administrator" and newest["via"] == "web" and newest["address"] == "127.0.0.1"
    assert abs(newest["time"] / 1000 - time.time()) < 30
    fresh(relay).log_in("evil\x1b[31m\nname\u202e", "x" * 20)  # no name can be so: it may be a password, and is not told
    entry = root.get("/v1/audit", action="login").json["entries"][0]
    assert entry["who"] is entry["target"] is None and entry["outcome"] == "refused"
    root.post("/v1/account/tokens", {"name": "evil\x1b[31m\nname\u202e", "scopes": ["status"]})
    entry = next(e for e in root.get("/v1/audit", action="account.tokens").json["entries"] if (e["target"] or "").startswith("evil"))
    assert not re.search(r"[\x00-\x1f\u202e]", entry["target"])
    made = control(relay, "PATCH", "/v1/accounts/nancy", {"role": "user"})
    assert made.status == 200
    entry = root.get("/v1/audit", action="accounts.change").json["entries"][0]
    assert entry["via"] == "socket" and entry["who"].startswith("uid ")
    first = root.get("/v1/audit", limit=2).json
    then = root.get("/v1/audit", limit=2, before=first["before"]).json
    ids = [e["id"] for e in first["entries"] + then["entries"]]
    assert len(ids) == 4 and ids == sorted(ids, reverse=True)
    assert not root.get("/v1/audit", until=1000).json["entries"]
    assert root.get("/v1/audit", nonsense=1).status == 400


def test_strangers_do_not_fill_the_audit_log(relay, root):
    def count():
        return len([e for e in root.get("/v1/audit", limit=1000).json["entries"] if e["who"] is None])
    before = count()
    web = fresh(relay, token="pst_" + "x" * 43, keep=True)
    for _ in range(150):
        assert web.get("/v1/status").status == 401
    assert count() - before < 110


def test_no_secrets_anywhere(relay, root):
    """Neither the log nor the database holds what somebody could log in with."""
    web = logged_in(relay, "oscar", "operator")
    token = web.post("/v1/account/tokens", {"name": "t", "scopes": ["status"]}).json["token"]
    secret, recovery, _ = second_factor(web)
    link = token_in(control(relay, "POST", "/v1/accounts/oscar/link"))
    web.log_in("oscar", "a wrong password", "1")
    secrets = [PASSWORD, "a wrong password", token, token[4:], web.cookies["__Host-postern"], web.csrf, link, recovery[0], recovery[9]]
    time.sleep(0.6)
    files = [p.read_bytes() for p in (relay.folder / "data" / "admin").iterdir()] + [relay.log_path.read_bytes()]
    for one in secrets:
        assert not any(one.encode() in f for f in files), one
    assert secret.encode() not in files[-1]
    audit = json.dumps(root.get("/v1/audit", limit=1000).json)
    assert not [one for one in [*secrets, secret] if one in audit]


# ---- crashes, damage

def test_killed_admin_keeps_sessions(postern):
    relay = postern(web=on())
    web = administrator(relay)
    token = web.post("/v1/account/tokens", {"name": "t", "scopes": ["status"]}).json["token"]
    ended = logged_in(relay, "peggy", "user")
    assert ended.log_out().status == 200
    os.kill(relay.pid("admin"), signal.SIGKILL)
    relay.wait_log("admin-ended")
    wait_web(relay)
    assert web.get("/v1/account").status == 200 and Web(relay, token=token).get("/v1/status").status == 200
    assert ended.get("/v1/account").status == 401
    assert web.patch("/v1/account", {"theme": "dark"}).status == 200  # its CSRF value, too


@pytest.mark.daily(1)
@pytest.mark.parametrize("how", ["no database", "torn", "another's"])
def test_damaged_database(postern, sink, how):
    """It is put aside and a new one is begun: with a link for a new administrator in the log. The relay does not care."""
    relay = postern(web=on(), domains=[{"name": "example.com", "deliver": sink.hop}])
    web = administrator(relay)
    relay.stop()
    path = relay.folder / "data" / "admin" / "admin.db"
    if how == "no database":
        path.write_bytes(b"this is no database" * 500)
    elif how == "torn":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 3000)
    else:
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE x (y)")
    relay.start()
    wait_web(relay)
    relay.wait_log("store-damaged.*admin.db")
    link = wait_until(lambda: LINK.findall(relay.log())[1:], "another link")[0]  # the first is from the first start
    assert web.get("/v1/session").status == 401 and path.with_suffix(".db.damaged").exists()
    assert fresh(relay).post("/v1/setup", {"link": link, "name": "root", "password": PASSWORD}).status == 200
    assert relay.send("a@example.com").code == 250
    sink.wait_to("a@example.com")


def test_deleted_while_running(relay, root):
    """A session whose account goes away in the middle of a request gets nothing."""
    web = logged_in(relay, "quentin", "administrator")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        change = pool.submit(lambda: web.post("/v1/account/password", {"old": PASSWORD, "new": "another password"}).status)
        assert control(relay, "DELETE", "/v1/accounts/quentin").status == 200
        assert change.result() in (200, 401, 409, 503)
    assert web.get("/v1/account").status == 401 and fresh(relay).log_in("quentin", "another password").status == 401


# ---- the command

@pytest.mark.slow
def test_command(postern):
    relay = serving(postern)
    link = relay.command("account", "add", "rita", "--role", "operator", "--addresses", "rita@example.com, r@example.com").stdout.strip()
    assert link.startswith(f"https://{relay.config['web']['listen']}/#/setup/")
    assert "waits for its link" in relay.command("account", "list").stdout
    web = Web(relay)
    web.csrf = web.post("/v1/setup", {"link": link.rsplit("/", 1)[1], "password": PASSWORD}).json["csrf"]
    one = json.loads(relay.command("account", "list", "--json").stdout)["accounts"][0]
    assert one["name"] == "rita" and one["role"] == "operator" and one["addresses"] == ["rita@example.com", "r@example.com"] and one["last_login"]
    relay.command("account", "role", "rita", "auditor")
    relay.command("account", "addresses", "rita", "")
    assert web.get("/v1/account").json["role"] == "auditor" and web.get("/v1/account").json["addresses"] == []
    second_factor(web)
    relay.command("account", "reset-totp", "rita")
    assert web.get("/v1/account").json["totp"] is False
    relay.command("account", "disable", "rita")
    assert "disabled" in relay.command("account", "list").stdout and Web(relay).log_in("rita").status == 401
    relay.command("account", "enable", "rita")
    assert Web(relay).log_in("rita").status == 200
    assert json.loads(relay.command("account", "link", "rita", "--json").stdout)["link"].startswith("https://")
    relay.command("account", "delete", "rita")
    wait_until(lambda: "no such account" in relay.command("account", "delete", "rita", check=None).stderr, "the account to be gone")
    assert relay.command("account", "role", "a/../b?x", "user", check=None).returncode != 0
    for wrong in [[], ["add", "x"], ["add"], ["link"], ["frob", "x"], ["list", "--role", "user"], ["role", "x"], ["delete", "x", "y"]]:
        relay.command("account", *wrong, check=64)
