# SPDX-License-Identifier: Apache-2.0
"""What attackers with and without an account try at the web administration, beyond the other tests of it: others' channels,
memory and second factors, secrets in answers, leaving while an answer is on its way, requests in odd pieces."""
import concurrent.futures
import contextlib
import http.client
import json
import re
import socket
import sqlite3
import struct
import time

import pytest

from lib.util import wait_until
from lib.web import PASSWORD, Web, code_of, control, fresh, logged_in, make_account, on, serving, wait_web


@pytest.fixture(scope="module")
def relay(shared):
    return serving(shared)


@pytest.fixture(scope="module")
def root(relay):
    return logged_in(relay, "chief")


# ---- others' channels

LARGE = "x" * ((1 << 20) - 40)


def test_a_large_request_ends_no_channel(relay, root):
    """What does not fit into a frame between processes is refused: workers and store stay within reach."""
    operator = logged_in(relay, "olga", "operator")
    user = logged_in(relay, "ulf", "user", addresses=[f"ulf{n}@example.com" for n in range(100)])
    for web, path, body in ((operator, "/v1/queue/hold", {"ids": [LARGE]}), (operator, "/v1/quarantine/delete", {"ids": [LARGE]}),
                            (user, "/v1/own/quarantine/release", {"ids": [LARGE]}), (root, "/v1/webhooks/test", {"url": LARGE})):
        web.post(path, body)
        assert "channel-overflow" not in relay.log(), path
    assert root.get("/v1/queue").json.get("missing", 0) == 0
    assert user.get("/v1/own/quarantine").status == root.get("/v1/trace").status == 200


# ---- memory of strangers

def test_strangers_fill_no_memory(relay, root):
    """What is kept of the bodies of people nobody knows is little, as each may have many connections."""
    def post(web, n):
        return web.request("POST", "/v1/session", b'{"name": "nobody", "password": "' + b"x" * n + b'"}').status
    assert post(fresh(relay), 1000) == 401 and post(fresh(relay), 17000) == 413 and post(fresh(relay, token="pst_" + "x" * 43), 17000) == 413
    assert root.post("/v1/config/check", {"text": "x" * 500000}).status != 413


# ---- secrets

def test_no_part_of_a_broken_body_is_told(relay, root):
    """A quote is forgotten: what was to be a password is in nobody's log."""
    answer = root.request("POST", "/v1/accounts", b'{"name": "n1", "role": "user", "password": hunterhunter}')
    assert answer.status == 400 and "JSON" in answer.json["error"]
    answer = root.request("POST", "/v1/account/password", b'{"old": "a", "new": "b" "hunterhunter": "1"}')
    assert answer.status == 400
    time.sleep(0.6)
    assert "hunter" not in answer.text and "hunter" not in root.get("/v1/audit").text and "hunter" not in relay.log()


def test_a_password_in_the_field_of_the_name(relay, root):
    assert fresh(relay).log_in("Tr0ub4dor & 3", "vera").status == 401
    time.sleep(0.6)
    assert "Tr0ub4dor" not in root.get("/v1/audit", limit=1000).text and "Tr0ub4dor" not in relay.log()


# ---- the audit log

@pytest.mark.slow
def test_no_account_pushes_out_what_others_did(postern):
    """Of more entries than are kept, those of the account go that has most of them."""
    relay = postern(web=on())
    make_account(relay, "mole", "user")
    relay.stop()
    with contextlib.closing(sqlite3.connect(relay.folder / "data" / "admin" / "admin.db")) as db:
        db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200100) INSERT INTO audit (time, who, role, via, action, outcome) "
                   "SELECT strftime('%s')*1000, 'mole', 'user', 'web', 'account', 0 FROM n")
        db.commit()
    relay.start()
    wait_until(lambda: control(relay, "GET", "/v1/audit?who=mole&limit=1&before=5").json["entries"] == [], "the sweep")
    entries = control(relay, "GET", "/v1/audit?action=accounts").json["entries"]
    assert [e["target"] for e in entries] == ["mole"]


# ---- second factors

@pytest.mark.slow
def test_codes_are_not_guessed_from_many_addresses(relay):
    """Who has the password, and many addresses, still gets only a few codes an hour; the owner's recovery codes work meanwhile."""
    web = logged_in(relay, "vera", "operator")
    secret = web.post("/v1/account/totp").json["secret"]
    recovery = web.put("/v1/account/totp", {"code": code_of(secret)}).json["recovery"]
    wrong = "000000" if code_of(secret) != "000000" else "111111"
    statuses = [fresh(relay).log_in("vera", code=wrong).status for _ in range(16)]
    assert statuses[0] == 401 and statuses[-1] == 429, statuses
    assert fresh(relay).log_in("vera").json["code_needed"]
    assert fresh(relay).log_in("vera", code=recovery[0]).status == 200
    assert web.get("/v1/account").status == 200


# ---- the brake

@pytest.mark.slow
def test_an_account_that_goes_while_its_password_is_looked_at(relay):
    """...counts as an attempt under way no longer: the address is not shut out."""
    source = fresh(relay).source
    for n in range(4):
        make_account(relay, f"gone{n}", "user")
        web = Web(relay, source=source, keep=True)
        assert web.log_in(f"gone{n}").status == 200
        others = [fresh(relay, keep=True) for _ in range(5)]  # so that it has to wait for its turn
        for other in others:
            other.get("/v1/health")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for other in others:
                pool.submit(other.log_in, "nobody")
            time.sleep(0.02)
            answer = pool.submit(web.post, "/v1/account/password", {"old": PASSWORD, "new": "another " + PASSWORD})
            time.sleep(0.05)
            control(relay, "DELETE", f"/v1/accounts/gone{n}")
            assert answer.result().status in (200, 401, 409)
    make_account(relay, "stays", "user")
    assert Web(relay, source=source).log_in("stays").status == 200


# ---- other sites

def test_refusals_of_other_sites_tell_the_address(relay, root):
    web = fresh(relay)
    web.cookies = dict(root.cookies)
    for origin in ("https://evil.example", "null", f"http://{web.host}", f"https://{web.host}.evil.example", f"https://evil@{web.host}", ""):
        answer = web.post("/v1/queue/retry", {"all": True}, {"Origin": origin, "Sec-Fetch-Site": None, "X-Postern-CSRF": root.csrf})
        assert answer.status == 403, origin
    entries = root.get("/v1/audit", action="queue.retry").json["entries"]
    assert entries and all(e["address"] == web.source for e in entries)


@pytest.mark.daily(5)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json", None])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_every_way_to_forge(relay, root, method, kind):
    """The cookie alone changes nothing, by whatever method and type, nor with one that is overridden."""
    web = fresh(relay)
    web.cookies = dict(root.cookies)
    path = {"POST": "/v1/accounts", "PUT": "/v1/account/totp", "PATCH": "/v1/accounts/chief", "DELETE": "/v1/accounts/chief"}[method]
    body = b'{"name": "forged", "role": "administrator", "password": "forged forged"}' if method == "POST" else b'{"code": "1"}' if method == "PUT" else b"{}"
    headers = {"Content-Type": kind, "Origin": None, "Sec-Fetch-Site": None}
    assert web.request(method, path, body, headers).status == 403
    for real in ("GET", "HEAD", "POST"):
        answer = web.request(real, path, None, {**headers, "X-HTTP-Method-Override": method, "X-HTTP-Method": method})
        assert answer.status in (200, 403, 405), answer
    assert "forged" not in root.get("/v1/accounts").text and "chief" in root.get("/v1/accounts").text


# ---- paths

def test_paths_in_disguise(relay):
    """A slash that is written otherwise leads to the same route with the same right, or nowhere."""
    user = logged_in(relay, "paul", "user")
    for path in ("/v1/accounts/chief%2Flink", "/v1%2Faccounts%2Fchief%2Flink", "/v1/accounts/chief/link"):
        assert user.post(path).status == 403, path
    for path in ("//v1/accounts", "/v1//accounts", "/v1/./accounts", "/v1/own/../accounts", "/V1/accounts", "/v1/accounts/", "/v1/accounts%00", "/v1/accounts;a",
                 "/v1/own/quarantine/..%2f..%2f..%2faccounts"):
        answer = user.get(path)
        assert b'"accounts"' not in answer.body and (answer.status in (403, 404) or answer.headers["Content-Type"].startswith("text/html")), (path, answer)
    assert user.get("/v1/own/quarantine/%2e%2e").status in (400, 404)


# ---- leaving, and odd pieces

ASYNCHRONOUS = [
    ("GET", "/v1/status", None), ("GET", "/v1/queue", None), ("GET", "/v1/queue/groups?by=reason", None), ("GET", "/v1/trace", None), ("GET", "/v1/tables", None),
    ("GET", "/v1/quarantine", None), ("GET", "/v1/statistics", None), ("GET", "/v1/config", None), ("GET", "/v1/config/history", None), ("GET", "/v1/keys?fresh=true", None),
    ("GET", "/metrics", None), ("GET", "/v1/events", None), ("HEAD", "/v1/events", None), ("HEAD", "/v1/status", None), ("GET", "/v1/own/quarantine", None),
    ("POST", "/v1/config/check", {"changes": []}), ("POST", "/v1/explain", {"client": "192.0.2.1", "to": ["a@example.com"]}),
    ("POST", "/v1/queue/retry", {"ids": ["0000000000000"]}), ("POST", "/v1/quarantine/release", {"ids": ["0000000000000", "1"]}),
    ("POST", "/v1/account/password", {"old": "wrong", "new": "wrong wrong wrong"}), ("POST", "/v1/session", {"name": "nobody", "password": "x"}),
    ("POST", "/v1/accounts", {"name": "left", "role": "user", "password": "left left left"}), ("POST", "/v1/webhooks/test", {}),
]


def raw(web, method, path, body=None):
    data = b"" if body is None else json.dumps(body).encode()
    headers = {**web.headers(method, None), "Content-Length": str(len(data))}
    return f"{method} {path} HTTP/1.1\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items()) + b"\r\n" + data


@pytest.mark.slow
def test_leaving_before_the_answer(relay, root):
    """Whoever is asked answers somebody who is gone: by a close, by a reset, and before others come."""
    pid = relay.pid("admin")
    for turn in range(3):
        for method, path, body in ASYNCHRONOUS:
            s = Web(relay).connect()
            s.sendall(raw(root, method, path, body) * (turn + 1))
            if turn:
                s.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset
            s.close()
    wait_until(lambda: root.get("/v1/status").status == 200, "the status", 60)
    assert relay.pid("admin") == pid and root.get("/v1/queue").status == 200


def test_a_slow_body_does_not_outlive_its_session(relay, root):
    """Who has lost his session, or his role, while a body of his is on its way, does nothing with it."""
    web = logged_in(relay, "slow", "operator")
    for change, status in (({"role": "user"}, b"403"), ({"disabled": True}, b"401")):
        assert root.patch("/v1/accounts/slow", {"role": "operator"}).status == 200
        whole = raw(web, "POST", "/v1/queue/hold", {"all": True})
        with web.connect() as s:
            s.sendall(whole[:-3])
            time.sleep(0.3)
            assert root.patch("/v1/accounts/slow", change).status == 200
            s.sendall(whole[-3:])
            got = read_answers(s, 1)
        assert got.startswith(b"HTTP/1.1 " + status), got
    assert not [e for e in root.get("/v1/audit", action="queue.hold", who="slow").json["entries"] if e["outcome"] == "ok"]


def test_what_was_meant_and_what_was_done_is_told(relay, root):
    meant = {"sender": "@x.example", "state": "held", "recipients": ["a@y.example", "b@y.example"], "delete": False}
    assert root.post("/v1/quarantine/release", {"ids": ["0000000000000"]}).json["failed"]
    assert root.post("/v1/quarantine/release", meant).status == 200
    assert root.post("/v1/quarantine/train", {"all": True, "as": "ham", "limit": 3}).status == 200
    told = [(e["action"], e["target"], e["detail"]) for e in root.get("/v1/audit", action="quarantine", who="chief", limit=3).json["entries"]]
    assert told == [("quarantine.train", "all as=ham limit=3", "0 done, 0 failed"),
                    ("quarantine.release", "sender=@x.example state=held recipients=a@y.example b@y.example delete=false", "0 done, 0 failed"),
                    ("quarantine.release", "0000000000000", "0 done, 1 failed")], told


@pytest.mark.parametrize("op,body", [
    ("release", {}), ("release", {"ids": []}), ("release", {"all": False}), ("release", {"all": True, "recipients": []}), ("release", {"limit": 1}),
    ("release", {"all": True, "limit": 0}), ("release", {"ids": ["0000000000000"], "limit": 1}), ("release", {"before": "0000000000000"}),
    ("release", {"all": True, "recipients": ["a@b.example"] * 1001}), ("release", {"all": True, "recipients": ["a@b.example"], "delete": True}),
    ("release", {"all": True, "as": "ham"}), ("delete", {"all": True, "delete": True}), ("train", {"all": True}), ("train", {"all": True, "as": "x"}),
    ("train", {"all": True, "as": "ham", "recipients": ["a@b.example"]}), ("release", {"ids": [1]}), ("release", {"all": 1})])
def test_nothing_is_done_that_was_not_meant(root, op, body):
    assert root.post(f"/v1/quarantine/{op}", body).status == 400


def read_answers(s, n, seconds=30):
    got = b""
    s.settimeout(seconds)
    while got.count(b"HTTP/1.1 ") < n or not got.rstrip().endswith((b"}", b">")):
        data = s.recv(65536)
        if not data:
            break
        got += data
    return got


def test_pipelined(relay, root):
    """Requests in one piece are answered in order, each with its own rights."""
    nobody = Web(relay)
    with nobody.connect() as s:
        s.sendall(raw(root, "GET", "/v1/status") + raw(nobody, "GET", "/v1/accounts") + raw(root, "GET", "/v1/queue") + raw(nobody, "GET", "/v1/audit"))
        got = read_answers(s, 4)
    assert re.findall(rb"HTTP/1\.1 (\d+)", got) == [b"200", b"401", b"200", b"401"], got


def test_chunks_and_expectations(relay, root):
    body = b'{"ids": ["0000000000000"]}'
    head = raw(root, "POST", "/v1/queue/retry").replace(b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n")
    with root.connect() as s:
        s.sendall(head)
        s.settimeout(20)
        assert b" 100 " in s.recv(1000)
        for n in range(len(body)):
            s.sendall(b"1;x=y\r\n")
            s.sendall(body[n:n + 1] + b"\r\n")
        s.sendall(b"0\r\nX-Trailer: 1\r\nCookie: a=b\r\n\r\n")
        got = read_answers(s, 1)
    assert got.startswith(b"HTTP/1.1 200"), got


def test_the_control_socket_while_all_places_are_taken(relay):
    """...of HTTPS, and logins fill the threads that look at passwords."""
    with contextlib.ExitStack() as all_of_them, concurrent.futures.ThreadPoolExecutor(16) as pool:
        for n in range(560):
            with contextlib.suppress(OSError):
                s = all_of_them.enter_context(socket.create_connection(("127.0.0.1", Web(relay).port), 10, (f"127.7.{n // 100}.1", 0)))
                s.sendall(b"\x16\x03\x01\x02\x00\x01")
        began = time.monotonic()
        assert control(relay, "GET", "/v1/status").status == 200
        assert time.monotonic() - began < 5
    wait_web(relay)


def test_stop_in_the_middle(postern):
    """Passwords that are looked at, and questions whose answers ask the next: all end with the process, without a trace of a fault."""
    relay = postern(web=on())
    webs = [logged_in(relay, f"busy{n}") for n in range(4)]

    def ask(web, method, path, body):
        with contextlib.suppress(OSError, http.client.HTTPException):
            web.request(method, path, body)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for web in webs:
            pool.submit(ask, web, "POST", "/v1/account/password", {"old": PASSWORD, "new": "another " + PASSWORD})
            pool.submit(ask, web, "POST", "/v1/keys/dkim/rotate", {"domain": "example.com"})
            pool.submit(ask, web, "GET", "/v1/status", None)
            pool.submit(ask, web, "GET", "/metrics", None)
        time.sleep(0.15)
        relay.stop()
    assert "runtime error" not in relay.log() and "AddressSanitizer" not in relay.log()
