# SPDX-License-Identifier: Apache-2.0
"""What tests of content have in common: messages, a scanner for viruses that is a program, rules with known scores."""
import email
import email.policy
import json

from lib.scanners import EICAR
from lib.util import wait_until

HEADER = ("From: Ann <ann@client.example>\r\nTo: bob@example.com\r\nSubject: hello\r\nDate: {date}\r\nMessage-ID: <1@client.example>\r\n")

# Scores of their own, far apart from what else is found in so short a message.
RULES = """
rule T_TAG
    text   /XTAGX/
    score  3.5
    about  The word of the test for a tag

rule T_MARK
    text   /XMARKX/
    score  6.5
    about  The word of the test for a mark: <naïve>

rule T_HIGH
    text   /XHIGHX/
    score  15
    about  The word of the test for the quarantine
"""


def now():
    return email.utils.format_datetime(email.utils.localtime())


def plain(text="some text\r\n", extra=""):
    return (HEADER + extra + "\r\n").format(date=now()) + text


def multipart(*files, kind="mixed", extra="", text="first text"):
    """files: (name, type, text); a text comes first."""
    parts = [f"Content-Type: text/plain\r\n\r\n{text}\r\n"]
    parts += [f'Content-Type: {mime}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n\r\n{data}' for name, mime, data in files]
    body = "".join(f"--b1\r\n{p}\r\n" for p in parts) + "--b1--\r\n"
    return plain("This is MIME.\r\n" + body, f'MIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary="b1"\r\n{extra}')


PROGRAM = ("run me.exe", "application/octet-stream", "not really a program\r\n")


def virus(name="invoice.com"):
    return multipart((name, "application/octet-stream", EICAR.decode() + "\r\n"))


def virus_scanner(folder, found="Test.Eicar", broken=False, **more):
    """A scanner of type command that knows EICAR; broken: it always fails."""
    path = folder / f"scan{len(list(folder.glob('scan*.sh')))}.sh"
    path.write_text("#!/bin/sh\n" + ("exit 9\n" if broken else f"if grep -q EICAR-STANDARD -; then echo {found}; exit 1; fi; exit 0\n"))
    path.chmod(0o755)
    return {"name": "scanner", "type": "command", "command": str(path), **more}


def spam(folder, **more):
    """The configuration `spam` with the rules above and nothing that learns."""
    path = folder / "test.rules"
    path.write_text(RULES)
    return {"enabled": True, "rules": [str(path)], "bayes": {"enabled": False}, "dns": False, **more}


def parsed(received):
    """What a reader makes of a message that arrived; it must be well-formed."""
    m = email.message_from_bytes(received.data, policy=email.policy.default)
    for part in m.walk():
        assert not part.defects, (part.defects, received.data)
    assert all(len(line) <= 998 for line in received.data.split(b"\r\n")), received.data
    assert received.data.endswith(b"\r\n") and b"\n" not in received.data.replace(b"\r\n", b"")
    return m


def texts(m):
    return [p.get_content() for p in m.walk() if p.get_content_type() == "text/plain"]


def quarantined(relay, n=1):
    """What the quarantine holds, once it is n messages."""
    return wait_until(lambda: (lambda a: a if len(a) == n else None)(relay.ask("/v1/quarantine")["messages"]),
                      lambda: f"{n} messages in the quarantine\n{relay.log_tail()}", 20)


def told(relay, to, n=1):
    """Notices that were sent to somebody."""
    sink = relay.sink
    return wait_until(lambda: (lambda a: a if len(a) == n else None)(sink.to(to)),
                      lambda: f"{n} for {to}: {sink.messages}\n{relay.log_tail()}", 20)


def trace(relay, reply_or_ref):
    """{check: entry} of a message's trace."""
    found = json.loads(relay.command("trace", "--json", reply_or_ref, check=None).stdout)["messages"]
    return {e["check"]: e for e in found[0]["trace"]} if found else {}
