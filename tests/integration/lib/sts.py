# SPDX-License-Identifier: Apache-2.0
"""What publishes MTA-STS policies and takes TLS reports: an HTTPS server for many names at once."""
import contextlib
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lib.certs import Pair
from lib.dns import DnsProxy, name_of


def policy(mode, *hosts, age=604800, end="\r\n"):
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), f"max_age: {age}", ""]
    return end.join(lines).encode()


class Page:
    """An answer: status, content type, body, more header fields; slow: seconds between its bytes."""

    def __init__(self, body, status=200, kind="text/plain", fields=(), slow=0):
        self.body, self.status, self.kind, self.fields, self.slow = body, status, kind, fields, slow


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        host = self.headers["Host"].split(":")[0]
        self.server.owner.asked.append((host, self.path))
        page = self.server.owner.pages.get((host, self.path), Page(b"", 404))
        self.send_response(page.status)
        for name, value in (("Content-Type", page.kind), ("Content-Length", str(len(page.body))), *page.fields):
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            if not page.slow:
                self.wfile.write(page.body)
            for i in range(len(page.body) if page.slow else 0):
                self.wfile.write(page.body[i:i + 1])
                time.sleep(page.slow)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.owner.posts.append((self.headers["Host"], self.path, self.headers, body))
        self.send_response(self.server.owner.post_status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that do not like a certificate


class PolicyServer:
    """On port 443 of an address of its own. pages: {(host, path): Page}; names not in `pairs` get a good certificate."""

    def __init__(self, folder, ca):
        self.folder, self.ca, self.pages, self.asked, self.posts, self.post_status = folder, ca, {}, [], [], 201
        self.contexts, self.lock, self.server = {}, threading.Lock(), None
        self.ip = f"127.0.{random.randrange(100, 250)}.{random.randrange(1, 250)}"
        self.pair("unnamed.test")
        self.start()

    def start(self):
        context = self.contexts["unnamed.test"]
        context.sni_callback = self.choose
        server = Quiet((self.ip, 443), Handler, bind_and_activate=False)
        server.allow_reuse_address = True
        server.server_bind()
        server.server_activate()
        server.owner, self.server = self, server
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def pair(self, name, **how):
        """A certificate for this name: Pair's arguments."""
        made = Pair(self.folder, name, how.pop("names", [name]), how.pop("by", self.ca), **how)
        self.contexts[name] = made.context()

    def choose(self, sock, name, _):
        with self.lock:
            if name and name not in self.contexts:
                self.pair(name)
        sock.context = self.contexts[name or "unnamed.test"]

    def publish(self, domain, page):
        page = page if isinstance(page, Page) else Page(page)
        self.pages[(f"mta-sts.{domain}", "/.well-known/mta-sts.txt")] = page

    def asked_for(self, domain):
        return sum(host == f"mta-sts.{domain}" for host, _ in self.asked)


class HidingNames(DnsProxy):
    """Says of names that begin with one of `hidden` that they do not exist; `failing` ones get SERVFAIL."""

    def __init__(self, upstream):
        self.hidden, self.failing = set(), set()
        super().__init__(upstream)

    def _answer(self, sock, question, peer):
        name = name_of(question)
        code = 3 if name in self.hidden else 2 if name in self.failing else None
        if code is None:
            super()._answer(sock, question, peer)
            return
        end = 12 + len(name) + 2 + 4  # without EDNS
        with contextlib.suppress(OSError):
            sock.sendto(question[:2] + bytes([0x84 | question[2], 0x80 | code]) + question[4:6] + bytes(6) + question[12:end], peer)


def port_443():
    """None when it may be bound here, else the reason."""
    with contextlib.closing(socket.socket()) as s:
        try:
            s.bind(("127.0.99.99", 443))
        except OSError as e:
            return f"port 443 cannot be bound: {e}"
    return None
