# SPDX-License-Identifier: Apache-2.0
"""An SMTP server that keeps what it gets and misbehaves when told to.

    sink.on("rcpt", "550 5.1.1 no such user", match="nobody@")     every RCPT with that in it
    sink.on("mail", "451 4.3.0 later", times=2)                    the first two
    sink.on("text", CLOSE)                                         hang up instead of answering
    sink.on("connect", Delay(3, "220 late"))

Stages: connect, ehlo, helo, mail, rcpt, data, text (after the final dot), rset, noop, quit, starttls, auth. Rules are looked
at in the order they were made; the first that fits decides."""
import contextlib
import re
import socket
import threading
import time

from lib.util import free_port, wait_until

CLOSE = object()  # close the connection without an answer
RESET = object()  # the same with a TCP reset


class Delay:
    """Wait, then do `then` (an answer, CLOSE; None: what would have come without the rule)."""

    def __init__(self, seconds, then=None):
        self.seconds, self.then = seconds, then


class Received:
    """A message as it came: raw is the text on the wire with the dots stuffed, data without."""

    def __init__(self, sender, mail_params, rcpts, raw, session):
        self.sender, self.mail_params, self.rcpts, self.raw, self.session = sender, mail_params, rcpts, raw, session
        self.data = re.sub(rb"(?m)^\.", b"", raw)
        self.at = time.monotonic()
        self.tls = session.tls

    @property
    def header(self):
        return self.data.split(b"\r\n\r\n", 1)[0]

    @property
    def body(self):
        return self.data.split(b"\r\n\r\n", 1)[1]

    def __repr__(self):
        return f"<{self.sender} -> {self.rcpts}: {self.data[:200]!r}>"


class Rule:
    def __init__(self, stage, action, match, times):
        self.stage, self.action, self.match, self.times = stage, action, match, times


class Session:
    """One connection, in a thread of its own."""

    defaults = {"connect": "220 sink.example ESMTP", "helo": "250 sink.example", "mail": "250 2.1.0 ok",
                "rcpt": "250 2.1.5 ok",
                "data": "354 go on", "text": "250 2.0.0 taken", "rset": "250 2.0.0 ok", "noop": "250 2.0.0 ok",
                "quit": "221 2.0.0 bye", "starttls": "220 2.0.0 go on",
                "auth": "503 5.5.1 not here"}

    def __init__(self, sink, sock, peer, number):
        self.sink, self.sock, self.peer, self.number = sink, sock, peer, number
        self.commands, self.tls, self.buffer = [], False, b""
        self.pipelined = 0  # most commands that waited at once
        self.reset()

    def reset(self):
        self.sender, self.params, self.rcpts = None, "", []

    def read_until(self, end):
        """Bytes up to and with `end`; None at the end of the connection."""
        while end not in self.buffer:
            more = self.sock.recv(65536)
            if not more:
                return None
            self.buffer += more
        at = self.buffer.index(end) + len(end)
        out, self.buffer = self.buffer[:at], self.buffer[at:]
        return out

    def answer(self, stage, argument="", noted=lambda code: None):
        """Answers as the rules say; returns the code, 0 when the connection is to be closed. `noted` gets it before the other side gets the reply,
        upon which a test may look."""
        action = self.sink.action(stage, argument)
        if isinstance(action, Delay):
            time.sleep(action.seconds)
            action = action.then
        if callable(action):
            action = action(self, argument)
        if action is None:
            action = self.default(stage)
        if action is RESET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if action in (CLOSE, RESET):
            noted(0)
            return 0
        reply = action if isinstance(action, bytes) else action.encode() + b"\r\n"
        code = int(reply[:3]) if reply[:3].isdigit() else 500
        noted(code)
        self.sock.sendall(reply)
        return code

    def default(self, stage):
        if stage == "ehlo":
            return self.sink.ehlo_reply(self)
        if stage == "rcpt" and self.sender is None:
            return "503 5.5.1 no sender"
        return "554 5.5.1 no recipients" if stage == "data" and not self.rcpts else self.defaults[stage]

    def run(self):
        with contextlib.suppress(OSError), contextlib.closing(self.sock):
            code = self.answer("connect")
            while code and code != 221:
                line = self.read_until(b"\n")
                if line is None:
                    return
                assert_line(self.sink, line)
                text = line.rstrip(b"\r\n").decode("latin-1")
                self.pipelined = max(self.pipelined, 1 + self.buffer.count(b"\n"))
                self.commands.append(text)
                code = self.command(text)

    def command(self, text):
        verb, _, argument = text.partition(" ")
        verb = verb.lower()
        if verb not in ("ehlo", "helo", "mail", "rcpt", "data", "rset", "noop", "quit", "starttls", "auth"):
            self.sock.sendall(b"500 5.5.2 what?\r\n")
            return 500
        code = self.answer(verb, argument)
        if code // 100 == 2:
            self.note(verb, argument)
        return self.take_text() if verb == "data" and code == 354 else code

    def note(self, verb, argument):
        path = re.match(r"(?:FROM|TO):<(.*?)>(?: (.*))?$", argument)
        if verb == "mail":
            self.reset()
            self.sender, self.params = path[1], path[2] or ""
        elif verb == "rcpt":
            self.rcpts.append(path[1])
        elif verb in ("rset", "ehlo", "helo"):
            self.reset()
        elif verb == "starttls":
            self.sock = self.sink.tls.wrap_socket(self.sock, server_side=True)
            self.tls = True
            self.buffer = b""

    def take_text(self):
        self.buffer = b"\r\n" + self.buffer  # so that a dot at the very start ends the text as well
        text = self.read_until(b"\r\n.\r\n")
        if text is None:
            return 0
        text = text[2:-3]
        if not self.rcpts and text:
            self.sink.complaints.append("text sent though there are no recipients")
        if re.search(rb"\r(?!\n)|(?<!\r)\n", text):
            self.sink.complaints.append("bare CR or LF in a message")
        message = Received(self.sender, self.params, list(self.rcpts), text, self)
        if not self.rcpts:
            self.sock.sendall(b"554 5.5.1 no recipients\r\n")
            return 554
        code = self.answer("text", text.decode("latin-1"),
                           lambda code: (self.sink.messages if code // 100 == 2 else self.sink.refused).append(message))
        self.reset()
        return code


def assert_line(sink, line):
    if not line.endswith(b"\r\n") or line.count(b"\r") != 1 or len(line) > 1000:
        sink.complaints.append(f"a command line that is not one: {line!r}")


class Sink:
    """complaints: what a relay must not do, found on the way; stop() asserts there are none."""

    session_class = Session

    def __init__(self, port=0, host="127.0.0.1", extensions=("PIPELINING", "SIZE 50000000", "8BITMIME",
                                                             "ENHANCEDSTATUSCODES"), tls=None):
        self.host, self.port, self.extensions, self.tls = host, port or free_port(), list(extensions), tls
        self.rules, self.messages, self.refused, self.sessions, self.complaints = [], [], [], [], []
        self.lock, self.listener = threading.Lock(), None
        self.start()

    @property
    def hop(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def start(self):
        self.listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.host, self.port))
        self.listener.listen(200)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                sock, peer = listener.accept()
                session = self.session_class(self, sock, peer, len(self.sessions))
                self.sessions.append(session)
                threading.Thread(target=session.run, daemon=True).start()

    def pause(self):
        """The port is closed; connections that stand are broken off."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for session in self.sessions:
            with contextlib.suppress(OSError):
                session.sock.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.pause()
        assert not self.complaints, self.complaints

    def on(self, stage, action, match="", times=None):
        self.rules.append(Rule(stage, action, match, times))

    def clear(self):
        """No rules, nothing received: for the next test."""
        with self.lock:
            self.rules.clear()
        self.messages.clear()
        self.refused.clear()

    def action(self, stage, argument):
        with self.lock:
            for rule in self.rules:
                if rule.stage != stage or rule.match.lower() not in argument.lower() or rule.times == 0:
                    continue
                if rule.times:
                    rule.times -= 1
                return rule.action
        return None

    def ehlo_reply(self, session):
        words = ["sink.example"] + self.extensions + (["STARTTLS"] if self.tls and not session.tls else [])
        return "\r\n".join(f"250{'-' if i + 1 < len(words) else ' '}{word}" for i, word in enumerate(words))

    # ---- looking at what came

    def to(self, rcpt):
        return [m for m in list(self.messages) if rcpt in m.rcpts]

    def wait_to(self, rcpt, n=1, seconds=20):
        """The n messages for rcpt; exactly n."""
        wait_until(lambda: len(self.to(rcpt)) >= n, lambda: f"{n} messages to {rcpt}; came: {self.messages}", seconds)
        got = self.to(rcpt)
        assert len(got) == n, got
        return got[0] if n == 1 else got

    def wait_command(self, pattern, n=1, seconds=20):
        """Until n commands that match came, over all sessions."""
        def count():
            return sum(bool(re.match(pattern, c, re.I)) for s in list(self.sessions) for c in list(s.commands))
        wait_until(lambda: count() >= n, lambda: f"{n} times {pattern}; came {count()}", seconds)
