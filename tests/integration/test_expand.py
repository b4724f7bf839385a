# SPDX-License-Identifier: Apache-2.0
"""Mapped domains, aliases and names of the system at the door: who may send there, who is refused, and what `postern explain` tells."""
import json
import re

import pytest

from lib.daemon import postern as command
from lib.sink import Sink
from lib.smtp import STRANGER, TRUSTED, Smtp
from lib.util import free_port

HERE = "mx.postern.example"


@pytest.fixture(scope="module")
def relay(module_postern, tmp_path_factory):
    """known.example's recipients are in a list; main.example has only what is in the configuration."""
    sink = Sink()
    groups = tmp_path_factory.mktemp("tables") / "groups"
    groups.write_text("ring-a ring-b\nring-b ring-a\nstaff@known.example anna@known.example, bert@known.example\n")
    r = module_postern(
        main_domain="main.example", postmaster="chief@known.example", system_mail=["root", "abuse", "hostmaster"],
        domains=[{"name": "known.example", "deliver": sink.hop,
                  "recipients": {"verify": "list", "list": ["anna@", "bert@", "chief@"], "reject_code": 550}}],
        smarthost=sink.hop, limits={"errors": 1000}, delivery={"probe": "0s"},
        tables={"groups": {"file": str(groups)}},
        mappings=[{"from": "old.example", "to": "known.example"}, {"from": ".tree.example", "to": "main.example"},
                  {"from": "gone.example", "to": "elsewhere.example"}, {"from": "off.example", "to": "known.example", "enabled": False}],
        aliases=[{"name": "sales", "to": ["anna@known.example", "partner@outside.example"]},
                 {"name": "team@known.example", "to": ["sales@main.example", "bert@known.example"]},
                 {"name": "info@", "to": ["chief@known.example"]}, {"table": "groups"}],
        copies=[{"to": "archive@known.example", "mail": "incoming"}])
    yield r
    sink.stop()


def rcpt(relay, to, source=STRANGER):
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail("someone@client.example")
        return c.rcpt(to, None)


def explain(relay, to, client=STRANGER, *more):
    return json.loads(relay.command("explain", "--json", "--client", client, "--from", "someone@client.example", "--to", to, *more).stdout)


@pytest.mark.parametrize("to", [
    "anna@known.example", "sales@main.example", "SALES+x@Main.Example", "team@known.example", "info@known.example", "info@old.example",
    "anna@old.example", "sales@tree.example", "sales@a.b.tree.example", "whoever@gone.example", "staff@old.example",
    # whom to complain to, and what leads to the administrator
    "postmaster", f"postmaster@{HERE}", "postmaster@main.example", "postmaster@old.example", "root@main.example", "abuse@main.example",
    f"abuse@{HERE}", f"ABUSE@{HERE}", "hostmaster@x.tree.example"])
def test_strangers_may(relay, to):
    assert rcpt(relay, to).code == 250


@pytest.mark.parametrize("to, enhanced", [
    # nobody of these names
    ("nobody@known.example", "5.1.1"), ("nobody@old.example", "5.1.1"), ("nobody@main.example", "5.1.1"), ("nobody@tree.example", "5.1.1"),
    ("team@old.example.main.example", "5.7.1"), ("anna@main.example", "5.1.1"), ("sales@known.example", "5.1.1"),
    # names at hostname are for ourselves
    (f"sales@{HERE}", "5.7.1"), (f"root@{HERE}", "5.7.1"), (f"info@{HERE}", "5.7.1"), (f"nobody@{HERE}", "5.7.1"),
    # no mapping, or one that is off; what is mapped to opens nothing
    ("anna@off.example", "5.7.1"), ("whoever@elsewhere.example", "5.7.1"), ("partner@outside.example", "5.7.1"), ("a@sub.old.example", "5.7.1"),
    # routing by way of us
    ("victim%foreign.example@gone.example", "5.7.1"), ("foreign.example!victim@old.example", "5.7.1"),
    ('"victim@foreign.example"@main.example', "5.7.1"), ("sales%foreign.example@main.example", "5.7.1"),
    ('"sales@main.example"@gone.example', "5.7.1"), ("@main.example:victim@foreign.example", "5.7.1"),
    # by tables round in circles
    ("ring-a@main.example", "5.4.6")])
def test_strangers_may_not(relay, to, enhanced):
    reply = rcpt(relay, to)
    assert (reply.code, reply.enhanced) == (550, enhanced), reply


def test_the_trusted(relay):
    """They get to names at hostname, too; who is nobody at main_domain is nobody for them."""
    for to in (f"sales@{HERE}", f"root@{HERE}", f"info@{HERE}", "whoever@elsewhere.example", "anna@off.example"):
        assert rcpt(relay, to, TRUSTED).code == 250, to
    for to in ("nobody@main.example", "nobody@old.example", "nobody@x.tree.example"):
        reply = rcpt(relay, to, TRUSTED)
        assert (reply.code, reply.enhanced) == (550, "5.1.1") and f"<{to}> is not known here" in reply.text, reply


def test_refusals_say_what_not(relay):
    """Not what a name stands for."""
    for to in ("nobody@old.example", "ring-a@main.example", "nobody@tree.example"):
        text = rcpt(relay, to).text
        assert "known.example" not in text.replace(to, "") and "ring-b" not in text and "chief" not in text, text
    relay.wait_log(r'refused .*check=rewriting why="ring-a -> ring-b@main\.example \(table groups\); ring-b -> ring-a')


# ---- what is explained

def test_explained_steps(relay):
    told = explain(relay, "team@known.example")
    r = told["recipients"][0]
    assert r["outcome"] == "pass" and r["rewriting"]["status"] == "done" and r["rewriting"]["line"] > 0
    assert r["rewriting"]["steps"].startswith("team@known.example -> sales@main.example, bert@known.example (line ")
    assert "; sales -> anna@known.example, partner@outside.example (line " in r["rewriting"]["steps"]
    assert [t["recipient"] for t in r["to"]] == ["anna@known.example", "partner@outside.example", "bert@known.example"]
    assert [t.get("forwarded", False) for t in r["to"]] == [False, True, False]
    assert [t["route"] for t in r["to"]] == ["domain", "smarthost", "domain"] and all(t["next_hop"] for t in r["to"])
    rewriting = next(e for e in told["trace"] if e["check"] == "rewriting")
    assert rewriting["outcome"] == "pass" and rewriting["line"] == r["rewriting"]["line"]
    assert [(c["recipient"], c["route"]) for c in told["copies"]] == [("archive@known.example", "domain")] and told["copies"][0]["copy_line"] > 0


def test_explained_plainly(relay):
    r = explain(relay, "anna@known.example", TRUSTED)
    assert "rewriting" not in r["recipients"][0] and [t["recipient"] for t in r["recipients"][0]["to"]] == ["anna@known.example"]
    assert r["copies"] == []  # of incoming mail alone
    r = explain(relay, "anna@old.example")["recipients"][0]
    assert r["rewriting"]["steps"].startswith("old.example -> known.example (line ") and r["to"][0]["recipient"] == "anna@known.example"
    r = explain(relay, "postmaster")["recipients"][0]
    assert r["rewriting"]["steps"] == "postmaster -> chief@known.example (system_mail)" and "line" not in r["rewriting"]


def test_explained_refusals(relay):
    r = explain(relay, "ring-a@main.example")["recipients"][0]
    assert r["outcome"] == "reject" and r["rewriting"]["status"] == "loop" and "to" not in r
    r = explain(relay, "nobody@old.example")["recipients"][0]
    assert r["check"] == "recipient-exists" and r["rewriting"]["steps"].startswith("old.example -> known.example") and "to" not in r


def test_explained_in_words(relay):
    text = relay.command("explain", "--client", STRANGER, "--from", "someone@client.example", "--to", "team@known.example",
                         "--to", "nobody@main.example").stdout
    assert "goes to partner@outside.example" in text and "copies:\n    to archive@known.example" in text
    assert "neither an alias nor a name of the system" in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines() if str(relay.config_path) not in line), text


def test_a_thousand_are_explained_in_part(postern, sink, tmp_path):
    everybody = [f"user{i}@example.com" for i in range(1000)]
    r = postern(domains=[{"name": "example.com", "deliver": sink.hop}],
                aliases=[{"name": "all@example.com", "to": everybody}, {"name": "both@example.com", "to": ["all@example.com"]}])
    told = json.loads(r.command("explain", "--json", "--client", STRANGER, "--to", "all@example.com", "--to", "both@example.com").stdout)
    first, second = told["recipients"]
    assert len(first["to"]) == 1000 and second["to"] == [] and second["more"] == 1000
    assert " and 995 more" in first["rewriting"]["steps"]


# ---- tables that were never read

def test_a_table_to_come(postern, sink, tmp_path):
    """Mail waits for it; what it may not say is not refused for good."""
    base = {"type": "sqlite", "file": str(tmp_path / "missing.db"), "query": "SELECT a, b FROM c"}
    r = postern(main_domain="main.example", domains=[{"name": "known.example", "deliver": sink.hop}], smarthost=sink.hop,
                tables={"names": base}, aliases=[{"table": "names"}, {"name": "out@known.example", "to": ["anna@elsewhere.example"]}])
    assert rcpt(r, "out@known.example").code == 250
    for to in ("other@main.example", "other@known.example", "root@main.example"):
        reply = rcpt(r, to)
        assert (reply.code, reply.enhanced) == (451, "4.3.5"), reply
    assert rcpt(r, "other@foreign.example").code == 550
    assert rcpt(r, "other@foreign.example", TRUSTED).code == 250
    told = explain(r, "other@main.example")["recipients"][0]
    assert told["rewriting"]["status"] == "later" and told["outcome"] == "defer"
    r.restart({"mappings": [{"table": "names"}]})
    for source in (STRANGER, TRUSTED):
        reply = rcpt(r, "other@foreign.example", source)
        assert (reply.code, reply.enhanced) == (451, "4.3.5"), reply


# ---- what is wrong in a configuration

@pytest.mark.parametrize("changes, text", [
    ({"aliases": [{"name": "a", "to": ["b"]}, {"name": "b", "to": ["a"]}]}, "aliases loop: a (line {0}) -> b (line {1}) -> a"),
    ({"mappings": [{"from": "a.example", "to": "b.example"}, {"from": "b.example", "to": "a.example"}]},
     "mappings loop: a.example (line {0}) -> b.example (line {1}) -> a.example"),
    ({"aliases": [{"name": "a", "to": [f"u{i}@known.example" for i in range(1001)]}]}, "it stands for too many addresses"),
])
def test_loops_are_found_by_check(tmp_path, changes, text):
    config = {"hostname": HERE, "main_domain": "main.example", "listeners": [{"address": f"127.0.0.1:{free_port()}"}],
              "domains": [{"name": "known.example", "deliver": "127.0.0.1:25"}], **changes,
              "system": {"directory": str(tmp_path), "run_directory": str(tmp_path / "run")}}
    path = tmp_path / "postern.yaml"
    path.write_text(json.dumps(config, indent=1))
    lines = path.read_text().splitlines()
    places = [i for i, line in enumerate(lines)  # of the brace before it
              if '"name": "a"' in line or '"name": "b"' in line or '"from":' in line]
    done = command("check", "-c", path)
    assert done.returncode != 0 and text.format(*places) in done.stderr + done.stdout, done.stderr + done.stdout
    if "loop" in text: assert f"postern.yaml:{places[0]}:3: error: " in done.stdout and "hint: " in done.stdout


def test_reload_says_in_which_file(postern):
    relay = postern(main_domain="main.example")
    relay.write({"aliases": [{"name": "a", "to": ["b"]}, {"name": "b", "to": ["a"]}]})
    done = relay.command("reload", check=None)
    assert done.returncode and re.search(r"/postern\.yaml:[0-9]+: aliases loop: a ", done.stdout + done.stderr), done
