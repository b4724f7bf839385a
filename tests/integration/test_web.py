# SPDX-License-Identifier: Apache-2.0
"""HTTPS of the web administration: TLS, headers, files, events; strangers, other sites, hostile and slow clients; and that the relay never cares."""
import contextlib
import gzip
import os
import pathlib
import re
import signal
import socket
import ssl
import tempfile
import threading
import time

import pytest

from lib.certs import Pair
from lib.daemon import Postern
from lib.util import wait_until
from lib.web import ANYBODY, Web, administrator, control, on, serving, wait_web

HEADERS = {
    "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.fixture(scope="module")
def relay(shared):
    return serving(shared, web=on(url="https://mail.example.com"))


@pytest.fixture(scope="module")
def root(relay):
    return administrator(relay)


# ---- TLS, headers, files

def test_tls(relay):
    with Web(relay).connect() as s:
        assert s.version() == "TLSv1.3"
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", Web(relay).port)) as s, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(s)


@pytest.mark.parametrize("path", ["/", "/v1/health", "/v1/nothing", "/v1/queue", "/nothing.js"])
def test_headers(relay, path):
    answer = Web(relay).get(path)
    for name, value in HEADERS.items():
        assert answer.headers.get_all(name) == [value], (name, answer.headers)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.headers["Strict-Transport-Security"] and "Set-Cookie" not in answer.headers
    if path.startswith("/v1"):
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Content-Type"] == "application/json"


def test_files(relay):
    web = Web(relay)
    page = web.get("/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html") and b"<html" in page.body.lower()
    assert page.headers["Cache-Control"] == "no-cache" and "Content-Encoding" not in page.headers
    packed = web.get("/", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == page.body
    again = web.get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status == 304 and not again.body and again.headers["ETag"] == page.headers["ETag"]
    assert web.get("/queue").body == page.body  # a path that the UI makes
    assert web.request("HEAD", "/").status == 200
    for name in re.findall(rb'(?:src|href)="\.?(/[^"]+)"', page.body):
        if name.startswith(b"/v1"):
            continue
        one = web.get(name.decode())
        assert one.status == 200 and "immutable" in one.headers["Cache-Control"], name
    for path in ("/nothing.js", "/../../etc/passwd.txt", "/%2e%2e/%2e%2e/etc/x.y", "/index.html%00.js"):
        assert web.get(path).status in (400, 404), path
    assert web.post("/").status in (403, 404, 405)


def test_no_strict_transport_on_a_port(shared):
    """It holds for all ports of a host: only where ours is the one that people mean."""
    relay = serving(shared)
    assert "Strict-Transport-Security" not in Web(relay).get("/").headers


# ---- where requests come from

@pytest.mark.parametrize("host, status", [
    ("evil.example", 421), ("mail.example.com.evil.example", 421), ("127.0.0.1.evil.example:9443", 421), (":9443", 421), ("", 421),
    ("mail.example.com", 200), ("MAIL.example.com:9443", 200), ("localhost:1", 200), ("[::1]:9443", 200), ("mx.postern.example", 200),
    ("10.1.2.3", 200),
])
def test_host(relay, host, status):
    web = Web(relay)
    web.host = host
    for path in ("/", "/v1/health"):
        assert web.get(path).status == status


@pytest.mark.parametrize("headers, status", [
    ({}, 200),
    ({"Origin": None, "Sec-Fetch-Site": None}, 200),
    ({"Origin": "https://mail.example.com"}, 200),
    ({"X-Postern-CSRF": None}, 403),
    ({"X-Postern-CSRF": "x" * 43}, 403),
    ({"X-Postern-CSRF": ""}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://127.0.0.1"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": None, "Sec-Fetch-Site": "cross-site"}, 403),
])
def test_other_sites(root, headers, status):
    assert root.post("/v1/queue/retry", {"all": True}, headers=headers).status == status


def test_login_from_another_site(relay):
    answer = Web(relay).post("/v1/session", {"name": "root", "password": "x"}, headers={"Origin": "https://evil.example"})
    assert answer.status == 403


def routes(relay):
    for path, methods in Web(relay).get("/v1/openapi.json").json["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path.replace("{id}", "1"), operation


@pytest.mark.slow
def test_strangers_get_nothing(relay):
    """With nothing, with a cookie that is none, with a token that is none."""
    for credentials in ({}, {"Cookie": "__Host-postern=" + "A" * 43}, {"Authorization": "Bearer pst_" + "A" * 43},
                        {"Authorization": "Basic cm9vdDpyb290"}):
        web = Web(relay, keep=True)
        for method, path, operation in routes(relay):
            if operation["x-right"] == "open":
                continue
            answer = web.request(method, path, {} if method != "GET" else None, credentials)
            assert answer.status == 401 and set(answer.json) <= {"error", "setup"}, (method, path, answer)


def test_networks(shared):
    relay = shared(web=on(networks=["127.0.0.7"]))
    wait_until(lambda: re.search(r" web .*listen=", relay.log()), "HTTPS")
    assert Web(relay, source="127.0.0.7").get("/v1/health").status == 200
    with pytest.raises(OSError):
        Web(relay).get("/v1/health")
    relay.wait_log("web-refused .*127.0.0.1")


@pytest.mark.slow
def test_networks_hold_for_those_who_are_there(shared):
    relay = shared(web=on())
    web = administrator(relay)
    web.keep = True
    assert web.get("/v1/status").status == 200
    relay.command("config", "set", "web.networks", "127.0.0.7")
    relay.command("reload")

    def ended():
        try:
            web.connection.sock.settimeout(20)
            return web.get("/v1/health") and False
        except OSError:
            return True
    wait_until(ended, "the end of the connection", 30)


# ---- what is asked for

def test_arguments(root):
    for query, text in {"nothing=1": "nothing: an argument is unknown", "limit=x": "limit: ", "limit=1&limit=2": "limit: an argument is there twice",
                        "sender=%FF": "sender: ", "limit=-1": "limit: ", "sender=a%00b": "sender: "}.items():
        answer = root.get("/v1/queue?" + query)
        assert answer.status == 400 and answer.json["error"].startswith(text), (query, answer)
    for body, text in [({"all": True, "x\n": 1}, r"x\x0a: a member is unknown"), ({"all": 1}, "all: "), ({"ids": ["a", 1]}, "ids: "),
                       ({"sender": 5}, "sender: "), ({}, "expected a JSON object with ids")]:
        answer = root.post("/v1/queue/retry", body)
        assert answer.status == 400 and answer.json["error"].startswith(text), (body, answer)
    answer = root.post("/v1/quarantine/train", {"all": True})
    assert answer.status == 400 and answer.json["error"] == "as: this is needed"
    answer = root.post("/v1/quarantine/train", {"all": True, "as": "eggs"})
    assert answer.status == 400 and "spam ham forget" in answer.json["error"]
    for body in (b"[]", b"{", b'{"all": true, "all": false}', b"\xff", b'"x"', b"[" * 60000):
        assert root.post("/v1/queue/retry", body).status == 400, body[:20]
    answer = root.put("/v1/queue")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"
    assert root.get("/v1/nothing").status == 404 and root.get("/v1/queue/a/b").status == 404
    assert root.request("HEAD", "/v1/queue").status == 200


def test_openapi(relay):
    """It says what is there: each path is, each field has a type, and 3.1's rules hold."""
    document = Web(relay).get("/v1/openapi.json").json
    assert document["openapi"] == "3.1.0" and document == control(relay, "GET", "/v1/openapi.json").json
    ids = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["operationId"] not in ids, where
            ids.add(operation["operationId"])
            assert operation["summary"] and operation["x-right"] in operation["description"], where
            names = [p["name"] for p in operation["parameters"]]
            assert len(set(names)) == len(names) and all(p["in"] == "query" or p["required"] for p in operation["parameters"]), where
            assert ("{id}" in path) == ("id" in [p["name"] for p in operation["parameters"] if p["in"] == "path"]), where
            assert {"200", "400"} <= set(operation["responses"]), where
            assert ("401" in operation["responses"]) == (operation["x-right"] != "open") == bool(operation["security"]), where
            for scheme in operation["security"]:
                assert set(scheme) <= set(document["components"]["securitySchemes"])
            for status, response in operation["responses"].items():
                for media in response["content"].values():
                    assert media["schema"].get("type") in ("object", "string") or "$ref" in media["schema"], (where, status)
                    for name, one in media["schema"].get("properties", {}).items():
                        assert one.get("type", "any") in ("string", "integer", "number", "boolean", "array", "object", "any"), (where, name)


# ---- events

@pytest.mark.slow
def test_events(relay, root):
    with root.events() as first, root.events() as second:
        event, before = next(first)
        assert event == "status" and before["workers"] == 1 and before["queue"]["messages"] == 0
        assert next(second)[0] == "status"
        relay.send("nobody@nowhere.example")
        for events in (first, second):
            event, data = next(e for e in events if e[1].get("server", {}).get("messages", 0) > before["server"]["messages"])
            assert {"rates", "counts", "spool", "time", "live"} <= set(data)
            live = next(e[1]["live"] for e in events if e[1].get("live", {}).get("counts", {}).get("accepted"))
            assert live["ms"] == 300000 and live["hour"]["accepted"] >= 1 and any(c["stage"] == "rcpt" for c in live["checks"])
        with contextlib.ExitStack() as more:
            for _ in range(6):
                more.enter_context(root.events())
            assert root.get("/v1/events").status == 503  # no more than eight for one account
        relay.command("reload")
        assert next(e for e in first if e[0] == "changed")[1] == {"what": "config"}


def test_processes_are_told(relay, root):
    helpers = {h["role"]: h for h in root.get("/v1/status").json["helpers"]}
    assert {"admin", "store"} <= set(helpers)
    assert all(h["state"] == "ready" and h["pid"] > 0 and h["age"] >= 0 for h in helpers.values()), helpers


def test_stop_with_listeners(postern):
    relay = postern(web=on())
    web = administrator(relay)
    with web.events() as events, Web(relay).connect():
        next(events)
        relay.stop()


# ---- certificates, and that the relay never cares

def certificate_of(relay):
    with Web(relay).connect() as s:
        return s.getpeercert(binary_form=True)


@pytest.mark.slow
def test_other_addresses(postern):
    """Who is connected to the former address keeps its daemon for a while; its end closes nobody else's sockets."""
    relay = serving(postern)
    idle = [socket.create_connection(("127.0.0.1", Web(relay).port)) for _ in range(3)]
    for _ in range(2):
        time.sleep(0.5)  # no other connection is left
        relay.write({"web": on()})
        relay.command("reload", check=0)
        relay.wait_log(rf" web listen=\S*:{Web(relay).port} ")
    held = [Web(relay).connect() for _ in range(8)]  # which get the numbers that are free now
    for s in idle:
        s.close()
    time.sleep(6)  # those that are left are swept every five seconds
    for s in held:
        s.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 200 ")
        s.close()


def test_reload_of_certificates(postern, tmp_path):
    one = Pair(tmp_path, "one", ["mx.postern.example"])
    relay = postern(web=on(certificate=str(one.cert_file), key=str(one.key_file)))
    web = administrator(relay)
    first = certificate_of(relay)
    with web.events() as events:  # ends, and the browser comes back
        next(events)
        two = Pair(tmp_path, "two", ["mx.postern.example"])
        one.cert_file.write_bytes(two.cert_file.read_bytes())
        one.key_file.write_bytes(two.key_file.read_bytes())
        relay.command("reload")
        wait_until(lambda: certificate_of(relay) != first, "the new certificate")
        list(events)
    second = certificate_of(relay)
    assert web.get("/v1/session").status == 200
    one.cert_file.write_bytes(Pair(tmp_path, "three", ["x.example"]).cert_file.read_bytes())  # the key does not fit
    relay.command("reload", check=None)
    relay.wait_log("web-failed .*fit each other")
    assert certificate_of(relay) == second
    new = on(certificate=None, key=None)
    relay.write({"web": new})
    relay.command("reload")
    wait_web(relay)
    assert certificate_of(relay) not in (first, second)
    relay.write({"web": {"enabled": False}})
    relay.command("reload")
    wait_until(lambda: not can_connect(Web(relay)), "HTTPS to end")
    relay.send("nobody@nowhere.example")


def can_connect(web):
    with contextlib.suppress(OSError):
        web.connect().close()
        return True


@pytest.mark.slow
def test_port_is_taken(postern):
    """The relay serves, and HTTPS comes when the port is free."""
    options = on()
    with socket.socket() as s:
        s.bind(("127.0.0.1", int(options["listen"].rsplit(":")[-1])))
        s.listen()
        relay = postern(web=options)
        relay.wait_log("web-failed .*web.listen")
        relay.send("nobody@nowhere.example")
    wait_web(relay)
    assert relay.log().count("web-failed") == 1


def test_restart_of_the_process(postern):
    """Its socket outlives it, and sessions do."""
    relay = postern(web=on())
    web = administrator(relay)
    old = relay.pid("admin")
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: old not in relay.processes() and "admin" in relay.processes().values(), "another admin process")
    wait_web(relay)
    assert web.get("/v1/queue").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_without_privileges():
    """A key that only root may read, users of their own: the process that serves HTTPS is nobody, and takes a new certificate at a reload."""
    with tempfile.TemporaryDirectory(prefix="postern-web-") as folder, contextlib.ExitStack() as stop:
        os.chmod(folder, 0o755)
        pair = Pair(pathlib.Path(folder), "one", ["mx.postern.example"])
        relay = Postern(pathlib.Path(folder) / "relay", {"web": on(certificate=str(pair.cert_file), key=str(pair.key_file)),
                                                         "system": {"user": "nobody", "admin_user": "daemon"}}, start=False)
        stop.callback(relay.stop)
        relay.start()
        web = administrator(relay)
        assert web.get("/v1/session").json["role"] == "administrator"
        with web.events() as events:
            assert next(events)[0] == "status"
        first = certificate_of(relay)
        pair.key_file.unlink()
        Pair(pathlib.Path(folder), "one", ["mx.postern.example"])
        relay.command("reload")
        wait_until(lambda: certificate_of(relay) != first, "the new certificate")
        assert web.get("/v1/queue").status == 200
        assert "no-landlock" not in relay.log()


# ---- hostile and slow clients

def exchange(web, data, seconds=10):
    """What comes back for raw bytes, until the other side closes."""
    with web.connect(seconds) as s:
        got = b""
        with contextlib.suppress(OSError):
            s.sendall(data)
            while chunk := s.recv(65536):
                got += chunk
                if b"\r\n\r\n" in got and re.search(rb"Connection: close", got, re.I) is None and got.count(b"HTTP/1.1") and len(got) > 20:
                    break
        return got


HOSTILE = {
    "garbage": bytes(range(256)) * 10,
    "long line": b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20000)) + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "old": b"GET /\r\n\r\n",
    "odd method": b"BREW /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "negative length": b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n{}",
    "length and chunks": b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                         b"GET / HTTP/1.1\r\n\r\n",
    "bad chunk": b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "nul": b"GET /v1/\0health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bare line feeds": b"GET /v1/queue HTTP/1.1\nHost: localhost\n\n",
    "connect": b"CONNECT evil.example:25 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "absolute": b"GET http://evil.example/v1/queue HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "large login": b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3000000,
    "large, refused": b"POST /v1/learn/spam HTTP/1.1\r\nHost: localhost\r\nContent-Length: 80000000\r\n\r\n" + b"x" * 3000000,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile(relay, what):
    got = exchange(Web(relay), HOSTILE[what])
    status = re.match(rb"HTTP/1\.[01] (\d+)", got)
    assert not got or (status and status[1][:1] in b"4"), got[:500]
    assert Web(relay).get("/v1/health").json == {"ok": True}
    assert "admin-failed" not in relay.log() and "runtime error" not in relay.log()


def test_plain_http(relay):
    with socket.create_connection(("127.0.0.1", Web(relay).port), 10) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP" not in s.recv(1000)


def test_many_who_say_nothing(relay):
    """Connections without a handshake, with half a request, with half a body: others are served meanwhile."""
    with contextlib.ExitStack() as all_of_them:
        for n in range(48):
            raw = socket.create_connection(("127.0.0.1", Web(relay).port), 10, (f"127.0.1.{n % 3 + 1}", 0))
            all_of_them.enter_context(raw)
            if n % 3:
                raw = all_of_them.enter_context(ANYBODY.wrap_socket(raw))
                raw.sendall(b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\n" + (b"Content-Length: 100\r\n\r\n{" if n % 3 == 2 else b"X-"))
        began = time.monotonic()
        assert Web(relay).get("/").status == 200
        assert time.monotonic() - began < 5


def test_one_address_cannot_take_all(relay):
    with contextlib.ExitStack() as all_of_them:
        for _ in range(200):
            with contextlib.suppress(OSError):
                all_of_them.enter_context(socket.create_connection(("127.0.0.1", Web(relay).port), 10, ("127.0.1.9", 0)))
        assert Web(relay).get("/v1/health").status == 200


@pytest.mark.slow
def test_slow_clients_are_ended(relay):
    """A byte every second keeps nobody here for longer than a minute."""
    with Web(relay).connect(100) as s:
        began, ended = time.monotonic(), None
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        while time.monotonic() - began < 90 and not ended:
            try:
                s.sendall(b"a")
                s.settimeout(1)
                ended = not s.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                ended = True
        assert ended and 50 < time.monotonic() - began < 80


@pytest.mark.slow
def test_many_at_once(relay, root):
    """Requests from many threads: each gets its own answer."""
    wrong = []

    def ask(n):
        web = Web(relay, keep=True)
        web.cookies, web.csrf = dict(root.cookies), root.csrf
        for k in range(20):
            text = f"n{n}-{k}@example.com"
            answer = web.get("/v1/queue", sender=text)
            if answer.status != 200 or answer.json["messages"]:
                wrong.append(answer)
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
