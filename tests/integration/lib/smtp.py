# SPDX-License-Identifier: Apache-2.0
"""An SMTP client that says exactly what it is told, byte by byte, and remembers the conversation."""
import re
import socket
import ssl
import time

STRANGER = "127.0.0.1"  # in no zone of the tests' configuration
TRUSTED = "127.0.0.2"   # in zone lan


class Reply:
    def __init__(self, lines):
        self.lines = lines
        self.code = int(lines[0][:3])
        self.text = "\n".join(line[4:] for line in lines)
        enhanced = re.match(r"([245]\.\d{1,3}\.\d{1,3})( |$)", self.text)
        self.enhanced = enhanced[1] if enhanced else None

    def __repr__(self):
        return "\n".join(self.lines)


class Closed(Exception):
    """The server closed the connection where a reply was due."""


class Smtp:
    """Replies are checked where they are expected: expect=250, or (250, 251), or "2" for a class; None takes any."""

    def __init__(self, port, host="127.0.0.1", source=STRANGER, greet=True, timeout=20):
        self.conversation, self._in = [], b""
        self.sock = socket.create_connection((host, port), timeout, (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if greet:
            self.greeting = self.reply(220)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def story(self):
        return "\n".join(self.conversation)

    # ---- bytes

    def send(self, data):
        """Bytes as they are."""
        data = data.encode("latin-1") if isinstance(data, str) else data
        shown = data if len(data) < 400 else data[:400] + b"..."
        self.conversation.append("C: " + repr(shown)[2:-1])
        self.sock.sendall(data)

    def send_slowly(self, data, piece=1, pause=0.0):
        for at in range(0, len(data), piece):
            self.sock.sendall(data[at:at + piece])
            time.sleep(pause)
        self.conversation.append("C: (in pieces) " + repr(data[:400])[2:-1])

    def read_line(self):
        while b"\n" not in self._in:
            try:
                more = self.sock.recv(65536)
            except socket.timeout:
                raise AssertionError(f"no reply came\n{self.story()}") from None
            except ConnectionError:
                more = b""
            if not more:
                raise Closed(f"closed with {self._in!r} unread\n{self.story()}")
            self._in += more
        line, self._in = self._in.split(b"\n", 1)
        assert line.endswith(b"\r"), f"a reply line that does not end in CRLF: {line!r}"
        assert len(line) <= 511, f"a reply line of {len(line) + 1} bytes"
        text = line[:-1].decode("ascii")
        self.conversation.append("S: " + text)
        return text

    # ---- replies and commands

    def reply(self, expect=None):
        lines = []
        while True:
            line = self.read_line()
            assert re.match(r"[2-5]\d\d(-| |$)", line), f"no reply line: {line!r}\n{self.story()}"
            lines.append(line)
            assert line[:3] == lines[0][:3], f"the code changes\n{self.story()}"
            if line[3:4] != "-":
                break
        reply = Reply(lines)
        self.check(reply, expect)
        return reply

    def check(self, reply, expect):
        if expect is None:
            return
        wanted = expect if isinstance(expect, (tuple, list)) else (expect,)
        ok = any(str(reply.code).startswith(str(w)) for w in wanted)
        assert ok, f"expected {expect}, got {reply!r}\n{self.story()}"

    def cmd(self, line, expect=None):
        self.send(line.encode("latin-1") + b"\r\n" if isinstance(line, str) else line + b"\r\n")
        return self.reply(expect)

    def ehlo(self, name="client.example", expect=250):
        """Returns the extensions, as {"SIZE": "1000"}."""
        lines = self.cmd(f"EHLO {name}", expect).lines[1:]
        return dict((line[4:].split(" ", 1) + [""])[:2] for line in lines)

    def mail(self, sender="sender@client.example", params="", expect=250):
        return self.cmd(f"MAIL FROM:<{sender}>{' ' + params if params else ''}", expect)

    def rcpt(self, to, expect=250):
        return self.cmd(f"RCPT TO:<{to}>", expect)

    def data(self, text, expect=250, raw=False):
        """A message's text; line ends become CRLF and dots are stuffed unless raw."""
        self.cmd("DATA", 354)
        self.send(text if raw else stuffed(text))
        return self.reply(expect)

    def message(self, to, text="Subject: test\n\ntext\n", sender="sender@client.example", expect=250):
        """One whole transaction; returns the reply to the text. The id is in `queued_id(reply)`."""
        self.mail(sender)
        for one in [to] if isinstance(to, str) else to:
            self.rcpt(one)
        return self.data(text, expect)

    def quit(self):
        self.cmd("QUIT", 221)
        self.expect_closed()

    def expect_closed(self):
        """Nothing more comes but the end."""
        rest = self._in
        try:
            while True:
                more = self.sock.recv(65536)
                if not more:
                    break
                rest += more
        except socket.timeout:
            raise AssertionError(f"the connection stays open\n{self.story()}") from None
        except ConnectionError:
            pass
        assert not rest, f"more came than expected: {rest!r}\n{self.story()}"

    def drain(self):
        """All replies up to the end of the connection."""
        out = []
        try:
            while True:
                out.append(self.reply())
        except Closed:
            return out

    def expect_silence(self, seconds=0.5):
        self.sock.settimeout(seconds)
        try:
            more = self.sock.recv(1000)
        except socket.timeout:
            return
        finally:
            self.sock.settimeout(20)
        raise AssertionError(f"expected nothing, got {more!r}\n{self.story()}")

    def starttls(self):
        self.cmd("STARTTLS", 220)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, server_hostname="mx.postern.example")


def stuffed(text):
    """Message text for the wire, with the final dot."""
    data = text.encode("utf-8") if isinstance(text, str) else text
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


def queued_id(reply):
    """The message's id in the answer to its text."""
    found = re.search(r"\b[0-9a-hjkmnp-tv-z]{13}\b", reply.text)
    assert found, reply
    return found[0]


def refused(relay, *recipients):
    """A stranger asks for what he does not get."""
    with relay.client() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@client.example>")
        for to in recipients:
            assert c.cmd(f"RCPT TO:<{to}>").code == 550
        c.quit()
