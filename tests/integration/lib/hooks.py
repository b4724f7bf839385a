# SPDX-License-Identifier: Apache-2.0
"""Somebody whom webhooks tell."""
import http.server
import json
import threading

from lib.util import wait_until


class Receiver:
    """events: what came, in order; status: what it answers, or a function of an event; hold: it answers when this is set."""

    def __init__(self):
        self.events, self.tries, self.status, self.hold = [], 0, 200, None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.tries += 1
                if outer.hold:
                    outer.hold.wait(60)
                event = json.loads(body)
                status = outer.status(event) if callable(outer.status) else outer.status
                if status < 300:
                    outer.events.append({**event, "signature": self.headers["X-Postern-Signature"], "type": self.headers["Content-Type"], "body": body})
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, event):
        return [e for e in self.events if e["event"] == event]

    def wait(self, event, n=1, seconds=30):
        wait_until(lambda: len(self.of(event)) >= n, lambda: f"{n} {event}, there are {self.events}", seconds)
        return self.of(event)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
