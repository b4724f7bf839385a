# SPDX-License-Identifier: Apache-2.0
"""Tables from files, SQLite, PostgreSQL and LDAP, used by options through the port: what changes there counts, what breaks there does not."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from lib.authservers import Slapd
from lib.daemon import Postern
from lib.disk import Disk
from lib.postgresql import Postgresql, have_postgresql
from lib.programs import have
from lib.smtp import Smtp, STRANGER
from lib.util import wait_until

SECRET = "a word that nobody may read"


# ---- asking

def code_of(relay, to, sender="sender@client.example"):
    """Of RCPT, from a stranger."""
    with Smtp(relay.port, source=STRANGER) as c:
        c.ehlo()
        reply = c.cmd(f"MAIL FROM:<{sender}>", None)
        return reply.code if reply.code != 250 else c.rcpt(to, None).code


def known(relay, to, **kw):
    return code_of(relay, to, **kw) == 250


def becomes(condition, what="what a table says", seconds=15):
    return wait_until(condition, what, seconds, 0.1)


def table(relay, *words, check=0, **kw):
    return relay.command("table", *words, check=check, **kw)


def state(relay, name):
    return next(t for t in relay.ask("/v1/tables")["tables"] if t["name"] == name)


def is_in_state(relay, name, *states):
    return becomes(lambda: (lambda s: s if s["state"] in states and not s["reading"] else None)(state(relay, name)), f"{name} to be {states}")


def people(relay, sink, name="people", **options):
    """A relay whose recipients at example.com are those of a table."""
    return relay(domains=[{"name": "example.com", "deliver": sink.hop, "recipients": {"verify": "list", "list": [{"table": name}]}}],
                 delivery={"probe": "0s"}, tables={name: options})


# ---- SQLite

class Database:
    def __init__(self, path):
        self.path = path
        self.run("CREATE TABLE people (address, note)")

    def run(self, *statements):
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            for s in statements:
                db.execute(*(s if isinstance(s, tuple) else (s,)))
            db.commit()

    def add(self, *addresses):
        self.run(*[("INSERT INTO people (address) VALUES (?)", (a,)) for a in addresses])

    def options(self, **more):
        return {"type": "sqlite", "file": str(self.path), "query": "SELECT address FROM people", "refresh": "1s", **more}


@pytest.fixture
def database(tmp_path):
    return Database(tmp_path / "mail.sqlite")


@pytest.mark.slow
def test_sqlite(postern, sink, database):
    """Used, changed, broken, mended, and known after a restart without it."""
    database.add("anna@example.com")
    relay = people(postern, sink, **database.options())
    becomes(lambda: known(relay, "anna@example.com"))
    assert not known(relay, "bert@example.com")
    database.add("bert@example.com")
    becomes(lambda: known(relay, "bert@example.com"))
    relay.wait_log(r"table-changed table=people use=addresses entries=2 before=1")

    good = database.path.read_bytes()
    database.path.write_bytes(b"this is no database" * 500)
    relay.wait_log(r"table-broken table=people .*not a database.* entries=2 keeps=\"the last good state\"")
    assert known(relay, "anna@example.com") and known(relay, "bert@example.com") and not known(relay, "carl@example.com")
    told = is_in_state(relay, "people", "broken")
    assert told["known"] and told["entries"] == 2
    status = relay.command("status", check=0).stdout
    assert "tables: 1, 1 broken" in status and "table people (addresses): broken: SQLite" in status
    assert "the last good state is in use" in table(relay, "list").stdout

    first = state(relay, "people")["tried"]
    becomes(lambda: state(relay, "people")["tried"] > first + 1500)  # read again, and again
    assert relay.log().count("table-broken") == 1  # told once
    database.path.unlink()
    database.path.write_bytes(good)
    relay.wait_log("table-good table=people")

    shutil.move(database.path, database.path.with_suffix(".away"))
    relay.restart()
    assert known(relay, "anna@example.com") and not known(relay, "carl@example.com")
    is_in_state(relay, "people", "broken")
    shutil.move(database.path.with_suffix(".away"), database.path)
    database.add("carl@example.com")
    becomes(lambda: known(relay, "carl@example.com"))


def test_wrong_rows(postern, sink, database):
    """They are passed over and counted; what is in them does no harm."""
    database.run(*[("INSERT INTO people VALUES (?, ?)", row) for row in [
        (None, None), ("", None), ("a\r\nb@example.com", None), ("x" * 100000, None), (b"\x00\xff\xfe", None), ("no address at all!", None), (17, None),
        (3.5, None), ("anna@example.com", "x" * 100000), ("   bert@example.com ", None), ("\u202eevil@example.com", None)]])
    relay = people(postern, sink, **database.options(query="SELECT address, note FROM people"))
    becomes(lambda: known(relay, "bert@example.com"))
    assert not known(relay, "anna@example.com")
    told = is_in_state(relay, "people", "good")
    assert told["entries"] <= 3 and told["skipped"] >= 8 and told["first"] == "row 1: its entry is NULL"
    relay.wait_log(r'table-rows table=people use=addresses skipped=\d+ first="row 1: its entry is NULL"')
    assert "rows passed over; the first: row 1" in table(relay, "list").stdout


@pytest.mark.slow
def test_more_entries_than_allowed(postern, sink, database):
    database.add("anna@example.com", "bert@example.com")
    relay = people(postern, sink, **database.options(entries=2))
    becomes(lambda: known(relay, "bert@example.com"))
    database.add("carl@example.com")
    relay.wait_log(r"table-broken table=people .*more than 2 entries \(tables.people.entries\)")
    assert known(relay, "bert@example.com") and not known(relay, "carl@example.com")
    database.run("DELETE FROM people WHERE address LIKE 'bert%'")
    becomes(lambda: known(relay, "carl@example.com"))


@pytest.mark.slow
@pytest.mark.parametrize("query, words", [
    ("SELECT address FROM nowhere", "no such table"),
    ("SELECT 1, 2, 3", "gives 3 columns"),
    ("SELECT address FROM people; DROP TABLE people", "must be one statement"),
    ("WITH x AS (SELECT 1) DELETE FROM people", "must be a SELECT"),
])
def test_queries_that_cannot_be(postern, sink, database, query, words):
    database.add("anna@example.com")
    relay = people(postern, sink, **database.options(query=query))
    relay.wait_log(f'table-broken table=people .*({words}).* keeps="nothing')
    assert code_of(relay, "anna@example.com") // 100 == 4  # it is not known whether she exists
    with contextlib.closing(sqlite3.connect(database.path)) as db:
        assert db.execute("SELECT count(*) FROM people").fetchone() == (1,)


@pytest.mark.slow
def test_no_row_can_be_used(postern, sink, database):
    """A column has become something else: nobody is thrown out. That there are none is taken as it is."""
    database.add("anna@example.com", "bert@example.com")
    relay = people(postern, sink, **database.options())
    becomes(lambda: known(relay, "anna@example.com"))
    database.run("UPDATE people SET note = address, address = 'no address at all!'")
    relay.wait_log(r'table-broken table=people .*error="none of its 2 rows can be used; row 1, .* entries=2 keeps="the last good state"')
    assert is_in_state(relay, "people", "broken")["entries"] == 2 and known(relay, "anna@example.com")
    database.run("UPDATE people SET address = note WHERE note LIKE 'anna%'")
    becomes(lambda: not known(relay, "bert@example.com"))
    assert known(relay, "anna@example.com") and is_in_state(relay, "people", "good")["skipped"] == 1
    database.run("DELETE FROM people")
    becomes(lambda: not known(relay, "anna@example.com"))
    relay.wait_log("warning .*table-changed table=people use=addresses entries=0 before=1")


@pytest.mark.slow
def test_a_database_that_somebody_writes_to(postern, sink, database):
    """Who holds it makes nobody wait."""
    database.add("anna@example.com")
    relay = people(postern, sink, **database.options())
    becomes(lambda: known(relay, "anna@example.com"))
    with contextlib.closing(sqlite3.connect(database.path)) as db:
        db.execute("BEGIN EXCLUSIVE")
        relay.wait_log("table-broken table=people .*locked")
        begun = time.monotonic()
        assert known(relay, "anna@example.com") and time.monotonic() - begun < 5
    relay.wait_log("table-good")


@pytest.mark.slow
def test_a_database_that_is_written_ahead(postern, sink, database):
    """WAL: while somebody writes to it, and when nobody does."""
    database.add("anna@example.com")
    database.run("PRAGMA journal_mode=WAL")
    relay = people(postern, sink, **database.options())
    becomes(lambda: known(relay, "anna@example.com"))
    with contextlib.closing(sqlite3.connect(database.path)) as db:
        db.execute("INSERT INTO people VALUES ('bert@example.com', NULL)")
        db.commit()
        becomes(lambda: known(relay, "bert@example.com"))
    database.add("carl@example.com")
    becomes(lambda: known(relay, "carl@example.com"))


# ---- files

@pytest.mark.slow
def test_file(postern, sink, tmp_path):
    """Replaced, wrong, empty, gone, there again."""
    names = tmp_path / "people"
    names.write_text("anna@example.com\n")
    relay = people(postern, sink, type="exact", file=str(names))
    assert known(relay, "anna@example.com")
    (tmp_path / "new").write_text("anna@example.com\nbert@example.com # he is new\n")
    os.rename(tmp_path / "new", names)
    becomes(lambda: known(relay, "bert@example.com"))

    with open(names, "a") as f:
        f.write(".example.org\n")  # which a table of type exact has not
    relay.wait_log(r"table-broken table=people .*people:3: .*exact.* entries=2 keeps=\"the last good state\"")
    assert known(relay, "bert@example.com")
    relay.command("reload", check=78)  # says so, and goes on as it was
    names.write_text("carl@example.com\n")
    becomes(lambda: known(relay, "carl@example.com"))
    relay.wait_log("table-good table=people")
    assert not known(relay, "bert@example.com")

    names.write_text("")
    relay.wait_log("warning .*table-changed table=people .*entries=0 before=1")
    becomes(lambda: not known(relay, "carl@example.com"))
    names.write_text("carl@example.com\n")
    becomes(lambda: known(relay, "carl@example.com"))
    names.unlink()
    relay.wait_log("table-broken table=people .*No such file")
    assert known(relay, "carl@example.com")
    names.write_text("dora@example.com\n")
    becomes(lambda: known(relay, "dora@example.com"))


@pytest.mark.slow
def test_no_room(postern, sink, tmp_path):
    """What could not be written is read again, though nothing has happened to the file."""
    file = tmp_path / "people"
    file.write_text("anna@example.com\n")
    relay = people(postern, sink, type="exact", file=str(file))
    becomes(lambda: known(relay, "anna@example.com"))
    in_the_way = relay.folder / "data/tables" / f".aside-{state(relay, 'people')['id']}-{relay.pid('tables')}"
    in_the_way.mkdir()
    file.write_text("bert@example.com\n")
    relay.wait_log(r"table-broken table=people .*cannot be written")
    in_the_way.rmdir()
    relay.wait_log("table-good table=people", 40)
    becomes(lambda: known(relay, "bert@example.com"))


@pytest.mark.slow
def test_file_of_a_list(postern, sink, tmp_path):
    """Such files are tables, too."""
    blocked = tmp_path / "blocked"
    blocked.write_text("bad@client.example  go away\n")
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], checks={"block": {"senders": [{"file": str(blocked)}]}})
    assert not known(relay, "anna@example.com", sender="bad@client.example") and known(relay, "anna@example.com")
    blocked.write_text("sender@client.example\n")
    becomes(lambda: not known(relay, "anna@example.com"))
    assert known(relay, "anna@example.com", sender="bad@client.example")
    assert table(relay, "query", blocked, "sender@client.example").stdout.strip().endswith(f"sender@client.example  ({blocked}:1)")


# ---- the process

@pytest.mark.slow
def test_it_is_killed(postern, sink, database):
    """Nobody misses it; another one goes on."""
    database.add("anna@example.com")
    relay = people(postern, sink, **database.options())
    becomes(lambda: known(relay, "anna@example.com"))
    pid = relay.pid("tables")
    os.kill(pid, signal.SIGKILL)
    assert known(relay, "anna@example.com") and not known(relay, "bert@example.com")
    database.add("bert@example.com")
    becomes(lambda: known(relay, "bert@example.com"))
    assert relay.pid("tables") != pid


@pytest.mark.slow
def test_reload(postern, sink, database, tmp_path):
    """Another definition is another table: blocks that nobody needs any more go. Without tables there is no process."""
    database.add("anna@example.com")
    relay = people(postern, sink, **database.options())
    blocks = relay.folder / "data/tables"
    becomes(lambda: known(relay, "anna@example.com"))
    before = set(blocks.glob("*.table"))
    assert len(before) == 1
    relay.write({"tables": {"people": database.options(query="SELECT 'bert@example.com'")}})
    relay.command("reload", check=0)
    becomes(lambda: known(relay, "bert@example.com"))
    becomes(lambda: len(set(blocks.glob("*.table"))) == 1 and not before & set(blocks.glob("*.table")))
    relay.wait_log("table-removed file=people-")
    relay.write({"domains": [{"name": "example.com", "deliver": sink.hop}], "tables": None})
    relay.command("reload", check=0)
    becomes(lambda: "tables" not in relay.processes().values())
    assert table(relay, "list").stdout == "no option uses a table or names a file\n"


@pytest.mark.slow
def test_two_generations(postern, sink, database):
    """While sessions of the former one go on, its process keeps still."""
    database.add("anna@example.com")
    relay = people(postern, sink, **database.options())
    relay.restart({"system": {"drain": "60s"}})
    becomes(lambda: known(relay, "anna@example.com"))
    with relay.client() as c:
        c.ehlo()
        c.mail()  # who has begun nothing is sent away after some seconds
        relay.command("reload", check=0)
        becomes(lambda: list(relay.processes().values()).count("tables") == 2)
        database.add("bert@example.com")
        becomes(lambda: known(relay, "bert@example.com"))
        newest = max(pid for pid, name in relay.processes().items() if name == "tables")
        os.kill(newest, signal.SIGKILL)
        database.add("carl@example.com")
        becomes(lambda: known(relay, "carl@example.com"))
        c.cmd("QUIT", 221)


@pytest.mark.daily(1)
@pytest.mark.root
@pytest.mark.parametrize("scan_user", ["", "www-data"])
@pytest.mark.slow
def test_rights(sink, scan_user):
    """Those who look into tables may read them, and nobody else; the process has no more than it needs."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-tables-"))
    folder.chmod(0o755)
    try:
        database = Database(folder / "mail.sqlite")
        database.add("anna@example.com")
        names = folder / "blocked"
        names.write_text("bad@client.example\n")
        options = {"user": "nobody", "admin_user": "daemon", "auth_user": "mail", "table_user": "games", **({"scan_user": scan_user} if scan_user else {})}
        relay = Postern(folder / "relay", {
            "domains": [{"name": "example.com", "deliver": sink.hop, "recipients": {"verify": "list", "list": [{"table": "people"}]}}],
            "checks": {"block": {"senders": [{"file": str(names)}]}}, "tables": {"people": database.options()},
            "system": {k: v for k, v in options.items()}}, start=False)
        if not scan_user:
            del relay.config["system"]["scan_user"]
            relay.write()
        relay.start()
        try:
            becomes(lambda: known(relay, "anna@example.com"))
            assert not known(relay, "anna@example.com", sender="bad@client.example")
            block = next((folder / "relay/data/tables").glob("people-*.table"))
            for user, may in (("nobody", True), ("www-data", bool(scan_user)), ("daemon", False), ("mail", False)):
                done = subprocess.run(["cat", block], capture_output=True, user=user, group=user if user != "nobody" else "nogroup", extra_groups=[])
                assert (done.returncode == 0) == may, (user, done.stderr)
            names.chmod(0o600)
            relay.wait_log("table-broken .*Permission denied: system.table_user must be able to read it")
            assert not known(relay, "anna@example.com", sender="bad@client.example")
            names.chmod(0o644)
            relay.wait_log("table-good")
            status = pathlib.Path(f"/proc/{relay.pid('tables')}/status").read_text()
            assert "NoNewPrivs:\t1" in status
        finally:
            relay.stop()
    finally:
        shutil.rmtree(folder)


# ---- the commands

@pytest.mark.slow
def test_commands(postern, sink, database):
    database.run(*[("INSERT INTO people VALUES (?, ?)", (f"user{i}@example.com", "no reason")) for i in range(1500)],
                 ("INSERT INTO people VALUES ('example.org', NULL)",), ("INSERT INTO people VALUES ('/^team-.*@example[.]com$/', NULL)",))
    relay = people(postern, sink, **database.options(query="SELECT address, note FROM people", refresh="1h"))
    becomes(lambda: known(relay, "user7@example.com"))
    listed = table(relay, "list").stdout
    assert listed.startswith("NAME") and "people" in listed and "sqlite" in listed and "1502" in listed
    head, row = listed.splitlines()
    assert len(row) <= 80 and [row.find(w) for w in ("sqlite", "addresses")] == [head.find(w) for w in ("TYPE", "USE")]
    assert row.find("1502") + 4 == head.find("ENTRIES") + 7
    shown = table(relay, "show", "people").stdout.splitlines()
    assert len(shown) == 101 and shown[0] == "user0@example.com  reason: no reason" and shown[-1] == "... 100 of 1502; --limit shows more"
    assert len(table(relay, "show", "people", "--limit", "0").stdout.splitlines()) == 1502
    assert len(json.loads(table(relay, "show", "people", "--limit=3", "--json").stdout)["entries"]) == 3

    for key, words in (("user7@EXAMPLE.com", "user7@example.com, reason: no reason"), ("team-x@example.com", "/^team-.*@example[.]com$/"),
                       ("anybody@example.org", "example.org"), ("nobody@example.com", "no entry"), ("<script>", "it cannot be looked for")):
        assert words in table(relay, "query", "people", key).stdout, key
    found = json.loads(table(relay, "query", "people", "user7@example.com", "--json").stdout)["tables"][0]["found"]
    assert found == {"entry": "user7@example.com", "reason": "no reason"}

    database.add("late@example.com")
    assert not known(relay, "late@example.com")
    assert "1503" in table(relay, "refresh", "people").stdout
    becomes(lambda: known(relay, "late@example.com"))
    database.run("ALTER TABLE people RENAME TO others")
    assert "no such table" in table(relay, "refresh", check=75).stdout
    for words in (("show", "nothing"), ("query", "nothing", "x"), ("refresh", "nothing")):
        assert "there is no table with this name" in table(relay, *words, check=None).stderr
    for words in ((), ("list", "x"), ("query", "x"), ("eat",), ("list", "--what")):
        table(relay, *words, check=64)
    assert "usage" in table(relay, "--help").stdout


# ---- PostgreSQL

@pytest.fixture(scope="module")
def server():
    if not have_postgresql():
        pytest.skip("PostgreSQL is not installed")
    s = Postgresql()
    yield s
    s.stop()


@pytest.fixture
def postgresql(server, tmp_path):
    """The server with a user that may read the table of people alone."""
    if not server.process:
        server.begin()
    server.sql("DROP VIEW IF EXISTS slow; DROP TABLE IF EXISTS people; CREATE TABLE people (address text, note text)")
    server.sql(f"DROP ROLE IF EXISTS postern; CREATE ROLE postern LOGIN PASSWORD '{SECRET}'; GRANT SELECT ON people TO postern")
    server.secret = tmp_path / "secret"
    server.secret.write_text(SECRET + "\n")
    server.secret.chmod(0o600)
    server.options = lambda **more: {"type": "postgresql", "connection": server.connection("postern"), "password_file": str(server.secret),
                                     "query": "SELECT address FROM people", "refresh": "1s", **more}
    yield server
    server.sql("DROP OWNED BY postern") if server.process else None


@pytest.mark.slow
def test_postgresql(postern, sink, postgresql):
    """Used, changed, away, there again; known after a restart without it."""
    postgresql.sql("INSERT INTO people VALUES ('anna@example.com', NULL), (NULL, 'x'), (E'a\\tb@example.com', NULL), (repeat('x', 100000), NULL)")
    relay = people(postern, sink, **postgresql.options())
    becomes(lambda: known(relay, "anna@example.com"))
    assert is_in_state(relay, "people", "good")["skipped"] == 3
    postgresql.sql("INSERT INTO people VALUES ('bert@example.com', NULL)")
    becomes(lambda: known(relay, "bert@example.com"))
    postgresql.end()
    relay.wait_log("table-broken table=people .*PostgreSQL, .*keeps=\"the last good state\"")
    assert known(relay, "bert@example.com") and not known(relay, "carl@example.com")
    relay.restart()
    assert known(relay, "bert@example.com") and not known(relay, "carl@example.com")
    postgresql.begin()
    postgresql.sql("INSERT INTO people VALUES ('carl@example.com', NULL)")
    becomes(lambda: known(relay, "carl@example.com"))


@pytest.mark.slow
def test_postgresql_wrong_password(postern, sink, postgresql):
    """It is nowhere to be read; the right one counts without a restart."""
    postgresql.sql("INSERT INTO people VALUES ('anna@example.com', NULL)")
    postgresql.secret.write_text("another word\n")
    relay = people(postern, sink, **postgresql.options())
    relay.wait_log("table-broken table=people .*password authentication failed")
    assert code_of(relay, "anna@example.com") // 100 == 4
    postgresql.secret.write_text(SECRET + "\n")
    becomes(lambda: known(relay, "anna@example.com"))
    everything = relay.log() + table(relay, "list", "--json").stdout + relay.command("status", "--json").stdout
    assert SECRET not in everything and "another word" not in everything


@pytest.mark.slow
def test_postgresql_slow(postern, sink, postgresql):
    """It answers when it likes; mail does not wait. It is only read from."""
    postgresql.sql("INSERT INTO people VALUES ('anna@example.com', NULL); CREATE VIEW slow AS SELECT address FROM people; GRANT SELECT ON slow TO postern")
    relay = people(postern, sink, **postgresql.options(query="SELECT address FROM slow"))
    becomes(lambda: known(relay, "anna@example.com"))
    postgresql.sql("CREATE OR REPLACE VIEW slow AS SELECT address FROM people, pg_sleep(60)")
    becomes(lambda: state(relay, "people")["reading"])
    begun = time.monotonic()
    assert known(relay, "anna@example.com") and not known(relay, "bert@example.com")
    relay.send("anna@example.com")
    assert time.monotonic() - begun < 5
    relay.stop()  # it waits for nobody either


@pytest.mark.slow
@pytest.mark.parametrize("query, words", [
    ("SELECT address FROM nowhere", "relation .*nowhere.* does not exist"),
    ("WITH x AS (DELETE FROM people RETURNING address) SELECT address FROM x", "read-only transaction|permission denied"),
    ("SELECT 'a@example.com'; SELECT 'b@example.com'", "multiple commands"),
    ("SELECT generate_series(1, 100000)::text || '@example.com'", r"more than 1000 entries"),
])
def test_postgresql_queries(postern, sink, postgresql, query, words):
    relay = people(postern, sink, **postgresql.options(query=query, entries=1000))
    relay.wait_log(f"table-broken table=people .*({words})")


@pytest.mark.slow
def test_postgresql_as_aliases(postern, sink, postgresql):
    """Several rows with one key are one with several values."""
    postgresql.sql("INSERT INTO people VALUES ('sales', 'anna@example.org'), ('sales', 'bert@example.org'), ('boss', 'no address at all!')")
    relay = postern(domains=[{"name": "example.org", "deliver": sink.hop}], main_domain="example.com", aliases=[{"table": "groups"}],
                    tables={"groups": postgresql.options(query="SELECT address, note FROM people ORDER BY 2")})
    is_in_state(relay, "groups", "good")
    becomes(lambda: state(relay, "groups")["entries"] == 1)
    assert "sales -> anna@example.org, bert@example.org" in table(relay, "query", "groups", "sales").stdout
    relay.send("sales@example.com")
    wait_until(lambda: sorted(r for m in sink.messages for r in m.rcpts) == ["anna@example.org", "bert@example.org"],
               lambda: f"both, not {[m.rcpts for m in sink.messages]}")


# ---- LDAP

ADMIN = "cn=admin,dc=example,dc=com"


@pytest.fixture
def directory(tmp_path):
    if not have("slapd"):
        pytest.skip("slapd is not installed")
    made = []

    def make(users):
        made.append(Slapd(users))
        made[0].secret = tmp_path / "directory-secret"
        made[0].secret.write_text("admin\n")
        made[0].secret.chmod(0o600)
        return made[0]
    yield make
    for d in made:
        d.stop()


def of_directory(d, bound=True, ldap=None, **more):
    return {"type": "ldap", "refresh": "1s", **({"password_file": str(d.secret)} if bound else {}), **more,
            "ldap": {"url": d.url, "base": "dc=example,dc=com", "filter": "(mail=*)", "key": "mail", **({"user_dn": ADMIN} if bound else {}), **(ldap or {})}}


def modify(d, ldif):
    subprocess.run(["ldapmodify", "-x", "-H", d.url, "-D", ADMIN, "-w", "admin"], input=ldif, text=True, check=True, capture_output=True)


@pytest.mark.slow
def test_ldap(postern, sink, directory):
    """More than one page; used, changed, away, there again."""
    d = directory({f"u{i}": ("secret", [f"smtp:u{i}@example.com", f"x500:u{i}", f"SMTP:other{i}@example.com"]) for i in range(1200)})
    relay = people(postern, sink, **of_directory(d))
    becomes(lambda: known(relay, "u1199@example.com"))
    told = is_in_state(relay, "people", "good")
    assert told["entries"] == 2400 and told["skipped"] == 0
    assert not known(relay, "new@example.com") and known(relay, "other7@example.com")
    modify(d, "dn: uid=u7,ou=people,dc=example,dc=com\nchangetype: modify\nadd: mail\nmail: new@example.com\n")
    becomes(lambda: known(relay, "new@example.com"))
    d.process.terminate()
    d.process.wait()
    relay.wait_log("table-broken table=people .*LDAP ldap://")
    assert known(relay, "new@example.com") and not known(relay, "never@example.com")
    d.begin()
    relay.wait_log("table-good table=people")


@pytest.mark.slow
def test_ldap_trouble(postern, sink, directory):
    """Part of a directory is no table; passwords are told to nobody."""
    d = directory({f"u{i}": ("secret", [f"u{i}@example.com"]) for i in range(600)})
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}],
                    checks={"block": {"senders": [{"table": t} for t in ("part", "stranger", "filter")]}},
                    tables={"part": of_directory(d, bound=False), "stranger": of_directory(d, password_file=str(d.folder / "wrong")),
                            "filter": of_directory(d, ldap={"filter": "((broken"})})
    (d.folder / "wrong").write_text("wrong-word\n")
    relay.wait_log("table-broken table=part .*raise that for tables.part.ldap.user_dn")
    relay.wait_log("table-broken table=stranger .*(password_file|Invalid credentials)")
    relay.wait_log("table-broken table=filter .*Bad search filter")
    relay.wait_log("table-broken table=stranger .*Invalid credentials")
    assert "wrong-word" not in relay.log()
    assert known(relay, "anna@example.com")


@pytest.mark.slow
def test_ldap_with_tls_and_values(postern, sink, directory):
    """A certificate that leads nowhere is refused; with the right authority its entries are domains."""
    d = directory({"a": ("secret", ["customer.example"]), "b": ("secret", [".wide.example"])})
    relay = postern(domains=[{"table": "customers", "deliver": sink.hop}],
                    tables={"customers": of_directory(d, ldap={"url": d.tls_url, "ca": str(d.certificate)})})
    becomes(lambda: known(relay, "anna@customer.example"))
    assert known(relay, "anna@sub.wide.example") and not known(relay, "anna@elsewhere.example")
    relay.write({"tables": {"customers": of_directory(d, ldap={"url": d.tls_url, "ca": None, "base": "ou=people,dc=example,dc=com"})}})
    relay.command("reload", check=0)
    relay.wait_log("table-broken table=customers .*(ertificate|contact LDAP)")


# ---- a server that shouts

def test_what_a_database_shouts_is_not_in_the_log(postern, sink):
    """Neither raw nor with the password that it was told: the relay's standard error is the log."""
    server = socket.create_server(("127.0.0.1", 0))

    def play():
        with contextlib.suppress(OSError):
            while True:
                c, _ = server.accept()
                with c:
                    c.recv(4096)
                    c.sendall(b"R" + struct.pack(">II", 8, 3))  # the password, please
                    c.recv(4096)
                    notice = b"SNOTICE\0C00000\0M\x1b]0;evil\n2026-01-01 error postern forged\0\0"
                    error = b"SFATAL\0C28P01\0Mno, \x1b[31m\"" + SECRET.encode() + b"\" is wrong\nforged\0\0"
                    c.sendall(b"R" + struct.pack(">II", 8, 0) + b"N" + struct.pack(">I", len(notice) + 4) + notice +
                              b"E" + struct.pack(">I", len(error) + 4) + error)

    threading.Thread(target=play, daemon=True).start()
    with tempfile.NamedTemporaryFile("w") as password, server:
        password.write(SECRET + "\n")
        password.flush()
        relay = people(postern, sink, type="postgresql", connection=f"host=127.0.0.1 port={server.getsockname()[1]} dbname=x user=y sslmode=disable",
                       password_file=password.name, query="SELECT a FROM b", refresh="1s")
        relay.wait_log("table-broken table=people .*is wrong")
        assert "\x1b" not in relay.log() and "\n2026-01-01" not in relay.log() and "\nforged" not in relay.log()
        assert SECRET not in relay.log() and SECRET not in table(relay, "list").stdout + relay.command("status", check=0).stdout
        server.shutdown(socket.SHUT_RDWR)


# ---- nothing can be kept

@pytest.mark.slow
@pytest.mark.root
def test_no_room_for_blocks(postern, sink, database, tmp_path):
    """What was read before stays in use and whole, the log says why, and all goes on when there is room."""
    database.add("anna@example.com")
    relay = people(postern, sink, **database.options())
    becomes(lambda: known(relay, "anna@example.com"))
    relay.stop()
    disk = Disk(tmp_path / "small", "tmpfs", 1)
    blocks = pathlib.Path(relay.config["system"]["directory"]) / "tables"
    subprocess.run(["mount", "--bind", disk.path, blocks], check=True)
    try:
        relay.start()
        becomes(lambda: known(relay, "anna@example.com"))
        disk.fill()
        database.add(*[f"user{i}@example.com" for i in range(200)])
        relay.wait_log(r"table-broken table=people .*cannot be written: No space left on device.* keeps=\"the last good state\"")
        assert known(relay, "anna@example.com") and not known(relay, "user7@example.com")
        assert not [f for f in os.listdir(blocks) if f.startswith(".aside")]
        disk.relieve()
        becomes(lambda: known(relay, "user7@example.com"))
        relay.wait_log("table-good table=people")
        relay.stop()
    finally:
        subprocess.run(["umount", "-l", blocks], check=False)
        disk.stop()
