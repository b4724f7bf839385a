# SPDX-License-Identifier: Apache-2.0
"""Where mail is kept: LMTP servers that misbehave when told to, and Dovecot with LMTP, IMAP and Maildirs."""
import imaplib
import os
import socket
import threading

from lib.programs import Program
from lib.sink import Received, Session, Sink
from lib.util import free_port, listens


class LmtpSession(Session):
    """Stage "text" has the recipient as its argument, once for each that was accepted."""

    def command(self, text):
        verb, _, argument = text.partition(" ")
        if verb.lower() in ("ehlo", "helo"):
            self.sock.sendall(b"500 5.5.1 this is LMTP\r\n")
            return 500
        return super().command("EHLO " + argument if verb.lower() == "lhlo" else text)

    def default(self, stage):
        return "503 5.5.1 no recipients" if stage == "data" and not self.rcpts else super().default(stage)

    def take_text(self):
        self.buffer = b"\r\n" + self.buffer
        text = self.read_until(b"\r\n.\r\n")
        if text is None:
            return 0
        text, code = text[2:-3], 250
        if not self.rcpts:
            self.sink.complaints.append("a text that is for nobody")
        for rcpt in self.rcpts:
            message = Received(self.sender, self.params, [rcpt], text, self)
            code = self.answer("text", rcpt, lambda code, message=message: (self.sink.messages if code // 100 == 2 else self.sink.refused).append(message))
            if not code or code == 421:
                return 0
        self.reset()
        return code or 250


class LmtpSink(Sink):
    """On TCP, or with a path on a Unix socket."""

    session_class = LmtpSession

    def __init__(self, path=None, **kw):
        self.path = path
        super().__init__(**kw)

    @property
    def hop(self):
        return f"lmtp:{self.path}" if self.path else f"lmtp:{super().hop}"

    def start(self):
        if not self.path:
            return super().start()
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(200)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return None


DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = {protocols}
ssl = no
listen = 127.0.0.1
disable_plaintext_auth = no
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
mail_location = maildir:{mail}
auth_username_format = %Lu
recipient_delimiter = +
lmtp_rcpt_check_quota = yes
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
  override_fields = uid={uid} gid={gid} home={folder}/home/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
}}
service lmtp {{
  user = root
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    port = {port}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0600
  }}
}}
"""


class Mailboxes(Program):
    """Dovecot. Needs root. users: addresses, all with the password "secret"; mail: where their Maildirs are (%d, %n as Dovecot has them)."""

    def __init__(self, users, mail=None, lmtp=True, uid=65534, gid=65534):
        super().__init__()
        (self.folder / "run").mkdir()
        (self.folder / "home").mkdir()
        os.chown(self.folder / "home", uid, gid)
        self.imap_port = free_port()
        self.write("users", "".join(f"{user}:{{PLAIN}}secret::::::\n" for user in users))
        config = self.write("dovecot.conf", DOVECOT.format(folder=self.folder, mail=mail or f"{self.folder}/home/%u", uid=uid, gid=gid, imap=self.imap_port,
                                                           port=self.port, protocols="imap lmtp" if lmtp else "imap"))
        self.start("dovecot", "-F", "-c", config, ready=lambda: listens(self.imap_port) and (not lmtp or (self.folder / "lmtp").exists()))

    @property
    def path(self):
        return self.folder / "lmtp"

    def read(self, user):
        """The messages in his inbox, as bytes."""
        with imaplib.IMAP4("127.0.0.1", self.imap_port) as box:
            box.login(user, "secret")
            box.select("INBOX", readonly=True)
            numbers = box.search(None, "ALL")[1][0].split()
            return [box.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in numbers]


def replies(*lines):
    """An answer of several replies at once."""
    return "".join(line + "\r\n" for line in lines).encode()
