# SPDX-License-Identifier: Apache-2.0
"""Header checks: what tables say is what Postfix's own tables say, and what they do to a message is what Postfix does with it."""
import random
import re
import subprocess

import pytest

from lib.content import now, trace
from lib.programs import Postfix, have
from lib.sink import Sink
from lib.smtp import STRANGER, TRUSTED, Smtp, queued_id
from lib.util import BUILD, wait_until

POSTFIX = pytest.mark.skipif(not have("postmap") or subprocess.run(["/usr/sbin/postconf", "-m"], capture_output=True, text=True).stdout.find("pcre") < 0,
                             reason="Postfix with PCRE tables is not installed")
PROGRAM = BUILD / "tests" / "unit" / "test_rules"


# ---- tables

ATOMS = ["a", "b", "ab", "[a-c]", ".", "(a)", "(b+)", "(a|bc)", "x*", "\\d", "(\\d+)", "\\s", "^Subject:", "^X-", "$", "e\\b", "(?i)z", "Q", "\\/", "\xe9",
         "(c)?", "[^:]+", ": ", "(.*)", "\\$"]
FLAGS = ["", "i", "m", "s", "x", "A", "E", "U", "ii", "im", "isx", "UE", "X"]
ACTIONS = ["REJECT", "reject $1", "WARN", "Warn ${1} and $(1)", "INFO costs $$5", "DUNNO", "OK", "IGNORE", "HOLD", "hold because $1",
           "PREPEND X-Found: $1", "REPLACE X-New: ${1}!", "STRIP", "DISCARD $1$1", "PASS"]
WORDS = ["Subject: ", "X-Test: ", "To: ", "a", "b", "c", "ab", "abc", "bb", "Q", "z", "1", "27", " ", "/", "$", "xx", "e", "\xe9", "mail", ": ", "="]


def a_table(r):
    lines, depth = [], 0
    for _ in range(r.randrange(1, 9)):
        pattern, flags, negated = "".join(r.choices(ATOMS, k=r.randrange(1, 4))), r.choice(FLAGS), r.random() < 0.12
        kind = r.random()
        if kind < 0.15:
            lines.append(f"if {'!' * negated}/{pattern}/{flags}")
            depth += 1
            continue
        if kind < 0.3 and depth:
            lines.append(r.choice(["endif", "ENDIF", "endif  "]))
            depth -= 1
            continue
        if kind < 0.36:
            lines.append(r.choice(["# a comment", "", "   ", "\t# indented"]))
        action = r.choice(ACTIONS)
        if "$1" in action or "{1" in action or "(1" in action:
            pattern, negated = f"({pattern})", False
        if r.random() < 0.2:
            action = action.replace(" ", r.choice(["\n ", "\n# between\n\t", "  "]), 1)
        delimiter = r.choice("//~|;")
        if delimiter != "/":
            pattern = pattern.replace("\\/", "/")
        if delimiter in pattern.replace("\\/", ""):
            delimiter, pattern = "/", re.sub(r"(?<!\\)/", "\\/", pattern)
        lines.append(f"{'!' * negated}{delimiter}{pattern}{delimiter}{flags}{r.choice([' ', '  ', chr(9)])}{action}")
    return "\n".join(lines + ["endif"] * depth) + "\n"


def a_line(r):
    return (r.choice(WORDS[:3]) + "".join(r.choices(WORDS, k=r.randrange(8)))).rstrip() or "X:"


def answers(out):
    return [line for line in out.split(b"\n") if line]


@pytest.mark.daily(1)
@POSTFIX
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_tables_say_what_postmap_says(tmp_path, seed):
    r = random.Random(seed)
    table, hits = tmp_path / "table", 0
    for _ in range(25):
        table.write_text(a_table(r), encoding="latin-1")
        lines = "".join(a_line(r) + "\n" for _ in range(40)).encode("latin-1")
        theirs = subprocess.run(["/usr/sbin/postmap", "-u", "-q", "-", f"pcre:{table}"], input=lines, capture_output=True)
        assert all(b"obsolete" in line for line in answers(theirs.stderr)), theirs.stderr  # the flag X
        ours = subprocess.run([PROGRAM, str(table)], input=lines, capture_output=True)
        assert ours.returncode == 0, (table.read_text("latin-1"), ours.stderr)

        def same(line):  # actions are words in any case, and blanks behind them do not count
            key, _, value = line.partition(b"\t")
            word, _, rest = value.replace(b"\t", b" ").partition(b" ")
            return key, word.upper(), rest.strip()
        assert [same(x) for x in answers(ours.stdout)] == [same(x) for x in answers(theirs.stdout)], table.read_text("latin-1")
        hits += len(answers(ours.stdout))
    assert hits > 300


# ---- messages, through both

TABLE = r"""
# Patterns of all kinds, with what a message shows of them.
/^X-Ignore:/            IGNORE
/^X-Strip:/             STRIP not for everybody
/^X-Secret-(\w+): (.*)/ REPLACE X-Was-$1: $2
/^X-Mark: (\w+)/        PREPEND X-Marked: <$1>
if /^X-If/
/one/                   PREPEND X-Inner: 1
/^X-If-Two/             REPLACE X-Two: yes
endif
if !/^(X-|Content-|Subject)/
/unwanted/              IGNORE
endif
/^X-Fold:.*second/      REPLACE X-Folded: found
/^X-Last.*\n\s+(\S+)/   REPLACE X-Last: $1
/name="?bad\.txt/       REPLACE Content-Type: text/plain; name=good.txt
/^X-Inside: (.*)/       REPLACE X-Inside: <$1>
/^X-Both: (.*)/         PREPEND X-Both: first
/^X-Both/               IGNORE
/\xE9/                  PREPEND X-8bit: yes
/^Subject: refuse (\S+) (.*)/     REJECT $1 $2
/^Subject: refuse/      REJECT
/^Subject: drop/        DISCARD
/^Subject: elsewhere (.*)/        REDIRECT $1@elsewhere.example
/^Subject: copy/        BCC archive@elsewhere.example
/^Subject: x$/          DUNNO
/^Subject:/             WARN seen
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "header_checks"
    path.write_text(TABLE)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    for folder in path.parents:
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    return path


@pytest.fixture(scope="module")
def both(module_postern, table):
    """The relay and Postfix with the same table, each with its sink."""
    sinks = [Sink(), Sink()]
    relay = module_postern(domains=[{"name": "example.com", "deliver": sinks[0].hop}], smarthost=sinks[0].hop, header_checks=[{"file": str(table)}])
    postfix = Postfix(sinks[1].hop, header_checks=f"pcre:{table}", local_header_rewrite_clients="", smtpd_relay_restrictions="permit")
    relay.sink, postfix.sink = sinks
    yield relay, postfix
    postfix.stop()
    for sink in sinks:
        sink.stop()


def message(subject="x", extra="", body="text\r\n"):
    return f"From: a@client.example\r\nTo: b@example.com\r\nSubject: {subject}\r\nDate: {now()}\r\nMessage-ID: <1@client.example>\r\n{extra}\r\n{body}"


def sent_by(server, text, source, to):
    with Smtp(server.port, source=source) as c:
        c.ehlo()
        return c.message(to, text.encode("latin-1") if isinstance(text, str) else text, "a@client.example", expect=None)


def comparable(got):
    """Without the fields that a relay adds."""
    data = re.sub(rb"\A(?:(?:Received|Authentication-Results|X-Postern-[\w-]+): .*\r\n(?:[ \t].*\r\n)*)+", b"", got.data)
    return data


FIELDS = [
    "X-Ignore: 1\r\nX-Keep: 2\r\n", "X-Keep: 1\r\nX-Ignore: 2\r\n more\r\n\tand more\r\nX-Keep: 3\r\n", "X-Strip: a\r\nX-Strip: b\r\n",
    "X-Secret-Code: 4711 and more\r\n", "X-Mark: word and\r\n folded\r\n", "X-If: one\r\n", "X-If-Two: 2\r\nX-If: two\r\n", "Comments: unwanted\r\n",
    "X-Comments: unwanted\r\n", "X-Fold: first\r\n second\r\n", "X-Fold: first\r\nX-Other: second\r\n", "X-Last: a\r\n b\r\n", "X-Both: 1\r\nX-Both: 2\r\n",
    "X-Eight: caf\xe9\r\n", "x-ignore: lower\r\n", "X-Ignored: not the same\r\n", "X-Mark:\r\n\tempty first line\r\n", "X-Mark:nothing between\r\n",
]


@pytest.mark.daily(7)
@POSTFIX
@pytest.mark.parametrize("extra", FIELDS + ["".join(FIELDS[:9]), "".join(reversed(FIELDS))], ids=str)
def test_fields_are_changed_as_postfix_does(both, extra):
    relay, postfix = both
    text = message(extra=extra)
    for server, source in ((relay, STRANGER), (postfix, TRUSTED)):
        server.sink.messages.clear()
        assert sent_by(server, text, source, "b@example.com").code == 250
        server.got = server.sink.wait_to("b@example.com")
    assert comparable(relay.got) == comparable(postfix.got)


@POSTFIX
def test_mime_and_nested_headers_as_postfix_does(both):
    relay, postfix = both
    inner = "From: i@client.example\r\nX-Inside: deep\r\nX-Ignore: 1\r\nSubject: inner\r\nDate: x\r\n\r\nX-Ignore: body\r\n"
    parts = ["Content-Type: text/plain;\r\n\tname=\"bad.txt\"\r\n\r\nX-Ignore: text\r\n", f"Content-Type: message/rfc822\r\n\r\n{inner}",
             "X-Ignore: of a part\r\nContent-Type: text/plain\r\n\r\nlast\r\n"]
    text = message("x", 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n', "".join(f"--b\r\n{p}" for p in parts) + "--b--\r\n")
    for server, source in ((relay, STRANGER), (postfix, TRUSTED)):
        server.sink.messages.clear()
        assert sent_by(server, text, source, "b@example.com").code == 250
        server.got = server.sink.wait_to("b@example.com")
    assert comparable(relay.got) == comparable(postfix.got)
    assert b"X-Inside: <deep>\r\n" in relay.got.data and relay.got.data.count(b"X-Ignore") == 2


@POSTFIX
@pytest.mark.parametrize("subject, code, enhanced", [("refuse", 550, "5.7.1"), ("refuse 5.7.9 because of this", 550, "5.7.9"), ("refuse no codes", 550, "5.7.1")])
def test_refusals_as_postfix(both, subject, code, enhanced):
    replies = [sent_by(server, message(subject), source, "b@example.com") for server, source in zip(both, (STRANGER, TRUSTED))]
    for reply in replies:
        assert reply.code == code and reply.enhanced == enhanced
    if "because" in subject:
        assert all("because of this" in str(reply) for reply in replies)


@POSTFIX
@pytest.mark.parametrize("subject, to", [("drop", []), ("elsewhere x", ["x@elsewhere.example"]), ("copy", ["b@example.com", "archive@elsewhere.example"])])
def test_recipients_as_postfix(both, subject, to):
    for server, source in zip(both, (STRANGER, TRUSTED)):
        server.sink.messages.clear()
        assert sent_by(server, message(subject), source, "b@example.com").code == 250
        assert sent_by(server, message("x"), source, "last@example.com").code == 250
        server.sink.wait_to("last@example.com")
        wait_until(lambda: all(server.sink.to(x) for x in to), lambda: f"{to}: {server.sink.messages}")
        assert sorted(a for m in server.sink.messages for a in m.rcpts) == sorted(to + ["last@example.com"])


# ---- what is ours

@pytest.fixture
def relay(postern, make_sink):
    def one(*checks, **changes):
        sink = make_sink()
        relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, header_checks=list(checks), **changes)
        relay.sink = sink
        return relay
    return one


def test_hold_and_its_release(relay):
    r = relay("/^Subject: (wait)/ HOLD it says $1")
    reply = sent_by(r, message("wait"), STRANGER, "b@example.com")
    assert reply.code == 250
    queue = r.wait_queued()
    assert len(queue) == 1 and not r.sink.messages
    r.command("queue", "release", queue[0]["id"])
    r.sink.wait_to("b@example.com")


def test_deferral_with_4(relay):
    r = relay("/^Subject: later/ REJECT 4.7.5 come again")
    reply = sent_by(r, message("later"), STRANGER, "b@example.com")
    assert reply.code == 451 and reply.enhanced == "4.7.5" and "come again" in str(reply)


def test_trace_and_scan_tell(relay, tmp_path):
    r = relay("/^X-Odd: (.*)/ WARN odd: $1", "/^X-Gone:/ IGNORE")
    text = message(extra="X-Odd: \x01 thing\r\nX-Gone: 1\r\n")
    reply = sent_by(r, text, STRANGER, "b@example.com")
    r.sink.wait_to("b@example.com")
    wait_until(lambda: trace(r, queued_id(reply)), "its trace")
    said = trace(r, queued_id(reply))["rules"]["why"]
    assert "warn by header check line" in said and "thing" in said and "remove-header by header check" in said
    path = tmp_path / "m.eml"
    path.write_text(text)
    shown = r.command("scan", path).stdout
    assert re.search(r"warn by header check line \d+: odd: ", shown) and re.search(r"remove-header by header check line \d+: X-Gone", shown)


def test_check_tells_the_place(relay, tmp_path):
    bad = tmp_path / "bad"
    bad.write_text("/a/ WARN\nif /b/\n/c/ NOTHING\nendif\n")
    config = tmp_path / "postern.yaml"
    for entry, said in ((f"{{file: {bad}}}", f"{bad}:3: \"NOTHING\" is no action"), ("/(x/ REJECT", "missing closing parenthesis"),
                        ("/x/ FILTER a:b", "FILTER is not known here")):
        config.write_text(f"hostname: mx.example.com\ndomains: [{{name: example.com, deliver: 192.0.2.1}}]\nheader_checks:\n  - /a/ WARN\n  - {entry}\n")
        done = subprocess.run([BUILD / "postern", "check", "-c", str(config)], capture_output=True, text=True)
        assert done.returncode == 78 and said in done.stdout + done.stderr and f"{config}:5:5" in done.stdout + done.stderr


def test_reload_refuses_a_broken_table(relay, tmp_path):
    table = tmp_path / "checks"
    table.write_text("/^Subject: no/ REJECT first\n")
    table.chmod(0o644)
    r = relay({"file": str(table)})
    assert "first" in str(sent_by(r, message("no"), STRANGER, "b@example.com"))
    table.write_text("/^Subject: no/ REJCT second\n")
    assert "REJCT" in str(r.command("reload", check=None))
    assert "first" in str(sent_by(r, message("no"), STRANGER, "b@example.com"))
    table.write_text("/^Subject: no/ REJECT second\n")
    r.command("reload")
    wait_until(lambda: "second" in str(sent_by(r, message("no"), STRANGER, "b@example.com")), "the new table")
