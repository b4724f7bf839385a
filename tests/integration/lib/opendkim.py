# SPDX-License-Identifier: Apache-2.0
"""OpenDKIM as a signer: the milter on a port of its own, asked by a server or by miltertest."""
import subprocess

from lib.programs import Program, have

CONVERSATION = """
conn = mt.connect("inet:{port}@127.0.0.1")
mt.conninfo(conn, "localhost", "127.0.0.1")
mt.mailfrom(conn, "<{sender}>")
mt.rcptto(conn, "<bob@example.com>")
{headers}
mt.eoh(conn)
mt.bodystring(conn, {body})
mt.eom(conn)
print(mt.getheader(conn, "DKIM-Signature", 0))
mt.disconnect(conn)
"""


def quoted(text):
    return '"' + "".join(f"\\{ord(c):03d}" for c in text) + '"'


class OpenDkim(Program):
    """A milter that signs all mail of the key's domain. key: its pem, domain and selector; settings: of opendkim.conf."""

    def __init__(self, key, folder=None, **settings):
        super().__init__(folder)
        path = self.write("key.pem", key.pem.decode())
        path.chmod(0o600)
        lines = {"Mode": "s", "Domain": key.domain, "Selector": key.selector, "KeyFile": path, "Socket": f"inet:{self.port}@127.0.0.1",
                 "InternalHosts": "0.0.0.0/0", "SignatureAlgorithm": "rsa-sha256", "RequireSafeKeys": "no", "Syslog": "no",
                 "Background": "no", **settings}
        config = self.write("opendkim.conf", "".join(f"{k} {v}\n" for k, v in lines.items()))
        self.start("opendkim", "-f", "-x", config)

    @property
    def milter(self):
        return f"inet:127.0.0.1:{self.port}"

    def sign(self, message, sender):
        """The message with its signature in front; it must have CRLF line ends and no folded fields."""
        header, body = message.decode().split("\r\n\r\n", 1)
        fields = [line.split(":", 1) for line in header.split("\r\n")]
        script = self.write("conversation.lua", CONVERSATION.format(
            port=self.port, sender=sender, body=quoted(body),
            headers="\n".join(f"mt.header(conn, {quoted(name)}, {quoted(value.lstrip(' '))})" for name, value in fields)))
        done = subprocess.run([have("miltertest"), "-s", str(script)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "b=" in done.stdout, done.stdout + done.stderr + self.log()
        signature = done.stdout.strip().replace("\r\n", "\n").replace("\n", "\r\n")
        return f"DKIM-Signature: {signature}\r\n".encode() + message
