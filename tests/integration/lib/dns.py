# SPDX-License-Identifier: Apache-2.0
"""A name server in front of another that can be slow, silent, broken or gone."""
import contextlib
import socket
import threading
import time

from lib.util import free_port


class DnsProxy:
    """Passes questions over UDP on to `upstream` (a port on 127.0.0.1). mode: "pass", "silent" (takes questions, never
    answers), "servfail", "refused", "garbage"; modes: {name: its own mode}; delay: seconds before each answer. stop() closes the
    port, start() opens it again. `asked` has the names asked for."""

    def __init__(self, upstream):
        self.upstream, self.port = upstream, free_port()
        self.mode, self.modes, self.delay, self.asked, self.sock = "pass", {}, 0, [], None
        self.start()

    @property
    def server(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        if self.sock:
            return
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=(self.sock,), daemon=True).start()

    def stop(self):
        if self.sock:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
            self.sock.close()
            self.sock = None

    def _serve(self, sock):
        with contextlib.suppress(OSError):
            while True:
                question, peer = sock.recvfrom(4096)
                if not question:
                    return
                self.asked.append(name_of(question))
                threading.Thread(target=self._answer, args=(sock, question, peer), daemon=True).start()

    def _answer(self, sock, question, peer):
        mode, delay = self.modes.get(name_of(question), self.mode), self.delay
        time.sleep(delay)
        if mode == "silent":
            return
        if mode == "garbage":
            answer = question[:2] + b"\x84\x00\xff\xff\xff\xff\xff\xff\xff\xff" + b"\xc0\x0c" * 40
        elif mode in ("servfail", "refused"):
            answer = question[:2] + bytes([0x80 | question[2], 0x80 | (2 if mode == "servfail" else 5)]) + question[4:]
        else:
            with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as up:
                up.settimeout(3)
                up.sendto(question, ("127.0.0.1", self.upstream))
                answer = up.recv(65536)
        with contextlib.suppress(OSError, UnboundLocalError):
            sock.sendto(answer, peer)


def name_of(question):
    """The name in a question, lower case."""
    labels, at = [], 12
    while at < len(question) and 0 < question[at] < 64:
        labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1").lower())
        at += 1 + question[at]
    return ".".join(labels)
