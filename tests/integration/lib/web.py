# SPDX-License-Identifier: Apache-2.0
"""The web administration as a browser or a program meets it: HTTPS, cookies, CSRF.

    relay = postern(web=on())                     # a free port
    web = Web(relay)                              # nobody
    web = administrator(relay)                    # an account that was made through the control socket, logged in
    answer = web.get("/v1/queue?limit=5")         # .status, .headers, .json, .text
    web.post("/v1/queue/retry", {"all": True})
"""
import base64
import contextlib
import hashlib
import hmac
import http.client
import http.cookies
import itertools
import json
import socket
import ssl
import struct
import time
import urllib.parse

from lib.util import free_port, wait_until

PASSWORD = "correct horse battery"
_addresses = itertools.count()

# One for all, and without the system's authorities, which take thirty milliseconds to read: nobody is verified.
ANYBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ANYBODY.check_hostname, ANYBODY.verify_mode = False, ssl.CERT_NONE


def on(**more):
    """The option `web` for a daemon."""
    return {"enabled": True, "listen": f"127.0.0.1:{free_port()}", **more}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


def control(relay, method, path, body=None):
    """A request on the control socket, where one is an administrator."""
    with contextlib.closing(http.client.HTTPConnection("localhost")) as c:
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.settimeout(90)  # the longest request is ended after 60
        c.sock.connect(f"{relay.config['system']['run_directory']}/control.sock")
        c.request(method, path, json.dumps(body) if isinstance(body, dict) else body)
        a = c.getresponse()
        return Answer(a.status, a.headers, a.read())


class Web:
    """cookies: name → value. Each request has a connection of its own, unless keep. `host` is what Host says."""

    def __init__(self, relay, source=None, token=None, keep=False):
        self.relay, self.source, self.token, self.keep = relay, source, token, keep
        self.cookies, self.csrf, self.connection = {}, None, None
        self.address, port = relay.config["web"]["listen"].rsplit(":", 1)
        self.port = int(port)
        self.host = f"{self.address}:{self.port}"

    @property
    def origin(self):
        return f"https://{self.host}"

    # ---- one request

    def connect(self, timeout=90):
        """A TLS connection, as far as the handshake."""
        s = socket.create_connection((self.address, self.port), timeout, (self.source, 0) if self.source else None)
        return ANYBODY.wrap_socket(s, server_hostname=self.relay.config["hostname"])

    def headers(self, method, more):
        headers = {"Host": self.host}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if method not in ("GET", "HEAD") and not self.token:
            headers.update({"Origin": self.origin, "Sec-Fetch-Site": "same-origin"})
            if self.csrf:
                headers["X-Postern-CSRF"] = self.csrf
        headers.update(more or {})
        return {k: v for k, v in headers.items() if v is not None}  # None takes one away

    def request(self, method, path, body=None, headers=None):
        """body: a dict is sent as JSON."""
        c = self.connection or http.client.HTTPConnection(self.address, self.port)
        if not c.sock:
            c.sock = self.connect()
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        more = {"Content-Type": "application/json", **(headers or {})} if isinstance(body, (dict, list)) else headers
        try:
            c.request(method, path, data, self.headers(method, more))
            a = c.getresponse()
            answer = Answer(a.status, a.headers, a.read())
        finally:
            if self.keep:
                self.connection = c
            else:
                c.close()
        self.take_cookies(answer)
        return answer

    def take_cookies(self, answer):
        for text in answer.headers.get_all("Set-Cookie") or []:
            for name, one in http.cookies.SimpleCookie(text).items():
                if one["max-age"] == "0" or not one.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = one.value

    def get(self, path, headers=None, **arguments):
        if arguments:
            path += "?" + urllib.parse.urlencode(arguments)
        return self.request("GET", path, headers=headers)

    def post(self, path, body=None, headers=None):
        return self.request("POST", path, {} if body is None else body, headers)

    def put(self, path, body=None):
        return self.request("PUT", path, body or {})

    def patch(self, path, body=None):
        return self.request("PATCH", path, body or {})

    def delete(self, path, body=None):
        return self.request("DELETE", path, body)

    # ---- sessions

    def log_in(self, name, password=PASSWORD, code=None):
        """The answer; with 200 the session is this object's from here on."""
        answer = self.post("/v1/session", {"name": name, "password": password, **({"code": code} if code else {})})
        if answer.status == 200:
            self.csrf = answer.json["csrf"]
        return answer

    def log_out(self):
        answer = self.delete("/v1/session")
        self.csrf = None
        return answer

    # ---- events

    @contextlib.contextmanager
    def events(self, headers=None):
        """Yields an iterator of (event, data) of GET /v1/events."""
        c = http.client.HTTPConnection(self.address, self.port)
        c.sock = self.connect(30)
        with contextlib.closing(c):
            c.request("GET", "/v1/events", headers=self.headers("GET", headers))
            a = c.getresponse()
            assert a.status == 200, (a.status, a.read())

            def read():
                event = {}
                for line in iter(a.readline, b""):
                    line = line.decode().rstrip("\n")
                    if line:
                        key, _, value = line.partition(": ")
                        event[key] = value
                    elif event:
                        if "data" in event:
                            yield event.get("event", "message"), json.loads(event["data"])
                        event = {}
            yield read()


def make_account(relay, name, role="administrator", password=PASSWORD, **more):
    answer = control(relay, "POST", "/v1/accounts", {"name": name, "role": role, "password": password, **more})
    assert answer.status == 200, answer


def wait_web(relay, seconds=20):
    """Until HTTPS is there: the master hands it over when the relay serves already."""
    host, port = relay.config["web"]["listen"].rsplit(":", 1)

    def there():
        with contextlib.suppress(OSError):
            Web(relay).get("/v1/health")
            return True
    wait_until(there, lambda: f"HTTPS on {host}:{port}\n{relay.log_tail()}", seconds)


def serving(make, **changes):
    """A relay that `make` makes, with HTTPS that is there."""
    relay = make(**{"web": on(), **changes})
    wait_web(relay)
    return relay


def logged_in(relay, name, role="administrator", **more):
    """A new account with this role, and a session of it."""
    make_account(relay, name, role, **more)
    wait_web(relay)
    web = Web(relay)

    def attempt():
        answer = web.log_in(name)
        return answer if answer.status != 429 else None  # failed logins of a test before this one have put a brake on

    answer = wait_until(attempt, "the brake to be off", pause=0.5)
    assert answer.status == 200, answer
    return web


def administrator(relay, name="root"):
    return logged_in(relay, name)


def fresh(relay, **more):
    """A client from an address that nobody had: the brake is of addresses."""
    n = next(_addresses)
    return Web(relay, source=f"127.1.{n // 250}.{n % 250 + 1}", **more)


def code_of(secret, steps=0):
    """The second factor now, or so many half minutes later: RFC 6238, without our code."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30 + steps), hashlib.sha1).digest()
    at = mac[19] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7FFFFFFF) % 1000000:06d}"


def story(web, key, fits):
    """What is told of this message, once it is so."""
    def there():
        found = web.get("/v1/trace", id=key).json["messages"]
        return found[0] if found and fits(found[0]) else None
    return wait_until(there, lambda: f"{key}: {web.get('/v1/trace', id=key).text}", 20)
