# SPDX-License-Identifier: Apache-2.0
"""The configuration through the API: seen without secrets, checked, changed with its comments, its history; two at a time, crashes, a full disk."""
import fcntl
import gzip
import json
import os
import pathlib
import re
import signal
import threading

import pytest

from lib.daemon import Postern
from lib.disk import Disk
from lib.util import wait_until
from lib.web import Web, administrator, control, logged_in, on

DOMAINS = """\
domains:   # ours
  # the first
  - {name: example.com, deliver: 127.0.0.9}   # A

  # the second
  - name: example.org  # B
    deliver: 127.0.0.9
"""
SMARTHOST = "smarthost: {host: 127.0.0.8, tls: encrypt, user: us, password: \"hidden word\"}  # ISP\n"
ROUTES = """\
routes:
  - {from: one.example, via: {host: 127.0.0.7, tls: encrypt, user: one, password: password one}}
  - {from: two.example, via: {host: 127.0.0.7, tls: encrypt, user: two, password: password two}}
"""
SECRETS = ("hidden word", "password one", "password two", "brand new")


def write(relay, more):
    """A file as people write one: a name a line, comments."""
    text = "# the relay\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in relay.config.items()) + more
    relay.config_path.write_text(text)
    relay.config_path.chmod(0o640)  # it has passwords
    return text


@pytest.fixture
def relay(tmp_path):
    d = Postern(tmp_path / "relay", {"web": on()}, start=False)
    write(d, DOMAINS + SMARTHOST)
    d.start()
    yield d
    d.stop()
    for secret in SECRETS:
        assert secret not in d.log()


def ask(relay, method, path, body=None, status=200):
    a = control(relay, method, path, body)
    assert a.status == status, a
    return a.json


def show(relay):
    return ask(relay, "GET", "/v1/config")


def apply(relay, status=200, version=None, **more):
    return ask(relay, "POST", "/v1/config/apply", {"version": version or show(relay)["version"], **more}, status)


def check(relay, status=200, **more):
    return ask(relay, "POST", "/v1/config/check", more, status)


def text_of(relay):
    return relay.config_path.read_text()


def test_show(relay):
    c = show(relay)
    assert c["values"]["limits"]["message_size"] == "20M"
    assert c["written"]["smarthost"] == {"host": "127.0.0.8", "tls": "encrypt", "user": "us", "password": "***"}
    assert c["written"]["system"]["workers"] == 1 and c["written"]["web"]["enabled"] is True
    assert c["text"] == text_of(relay).replace('"hidden word"', '"***"')
    assert c["file"] == str(relay.config_path) and c["pending"] is False and c["findings"] is not None
    with relay.config_path.open("a") as f:
        f.write("# more\n")
    assert show(relay)["pending"] is True
    with relay.config_path.open("a") as f:
        f.write("nonsense: 1\n")
    c = show(relay)
    assert c["values"] is None and c["findings"][0]["severity"] == "error" and c["findings"][0]["option"] == "nonsense"


def test_schema(relay):
    schema = ask(relay, "GET", "/v1/schema")
    packed = administrator(relay).get("/v1/schema", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and json.loads(gzip.decompress(packed.body)) == schema and len(packed.body) < 50_000
    assert packed.headers["Cache-Control"] == "no-store" and packed.headers["Content-Type"] == "application/json"
    size = schema["properties"]["limits"]["properties"]["message_size"]
    assert size["x-type"] == "size" and size["x-unit"] == "bytes" and size["minimum"] >= 0 and size["description"]
    assert schema["properties"]["domains"]["x-type"] == "records"
    assert [p["x-place"] for p in schema["properties"].values()] == list(range(len(schema["properties"])))


def test_apply_keeps_comments(relay):
    before = text_of(relay)
    was = show(relay)
    changes = [{"path": "domains[+]", "value": {"name": "new.example", "deliver": "127.0.0.9"}},
               {"path": "limits.message_size", "value": "30M"}, {"path": "domains[0]", "unset": True}]
    checked = check(relay, changes=changes)
    assert checked["ok"] and "+  - {name: new.example, deliver: 127.0.0.9}\n" in checked["diff"] and text_of(relay) == before
    done = apply(relay, changes=changes, comment="a customer more")
    assert done["ok"] and done["revision"] == 1 and done["reload"]["ok"], done
    now = text_of(relay)
    assert now == before.replace("  # the first\n  - {name: example.com, deliver: 127.0.0.9}   # A\n", "").replace(
        "    deliver: 127.0.0.9\n", "    deliver: 127.0.0.9\n  - {name: new.example, deliver: 127.0.0.9}\n") + "limits:\n  message_size: 30M\n"
    c = show(relay)
    assert c["version"] == done["version"] != was["version"] and c["pending"] is False
    assert [d["name"] for d in c["values"]["domains"]] == ["example.org", "new.example"]
    [r] = ask(relay, "GET", "/v1/config/history")["revisions"]
    assert r["revision"] == 1 and r["user"].startswith("socket:") and r["before"].startswith("a customer more (set domains[+] {name: new.example")
    assert relay.status()["generation"] == 2
    relay.wait_log('config-changed by="socket:')


def test_lists_move_insert_merge(relay):
    apply(relay, changes=[{"path": "domains[1]", "move": 0}])
    assert "domains:   # ours\n  # the second\n  - name: example.org  # B\n    deliver: 127.0.0.9\n  # the first\n" in text_of(relay)
    apply(relay, changes=[{"path": "domains[1]", "insert": {"name": "mid.example", "deliver": "127.0.0.9"}}])
    assert "  - {name: mid.example, deliver: 127.0.0.9}\n  # the first\n" in text_of(relay)
    domains = show(relay)["written"]["domains"]
    domains[2]["deliver"] = "127.0.0.10"
    del domains[1]
    apply(relay, changes=[{"path": "domains", "value": domains}])  # as a whole: what stays the same keeps its comments
    assert DOMAINS.splitlines()[4] in text_of(relay) and "mid.example" not in text_of(relay)
    assert "  # the first\n  - {name: example.com, deliver: 127.0.0.10}   # A\n" in text_of(relay)
    assert apply(relay, changes=[{"path": "domains", "value": domains}])["unchanged"] is True


def test_findings(relay):
    before = text_of(relay)
    for asked in ({"changes": [{"path": "limits.message_size", "value": "1 mile"}]}, {"text": before + "limits: {message_size: 1 mile}\n"}):
        c = check(relay, **asked)
        assert not c["ok"]
        f = next(f for f in c["findings"] if f["severity"] == "error")
        line = c["text"].splitlines()[f["line"] - 1]
        assert f["option"] == "limits.message_size" and line[f["column"] - 1:].startswith("1 mile") and f["text"]
        refused = apply(relay, 400, **asked)
        assert "findings" in refused and refused["error"]
    c = check(relay, text=before + "a: [\n")
    assert not c["ok"] and c["findings"][0]["line"] > 1
    c = check(relay, changes=[{"path": "tls.certificate", "value": "/nowhere.pem"}, {"path": "tls.key", "value": "/nowhere.key"}])  # beyond the text
    assert not c["ok"] and any("nowhere" in f["text"] for f in c["findings"])
    for bad in ({}, {"changes": []}, {"changes": [{"path": "a"}]}, {"changes": [{"path": "a", "value": 1, "unset": True}]},
                {"changes": [{"path": "a..b", "value": 1}]}, {"changes": [{"path": "a..b", "unset": True}]}, {"changes": [{"path": "hostname.x", "value": 1}]}, {"changes": [7]},
                {"changes": [{"path": "a", "else": 1}]}, {"changes": [{"path": "domains[9]", "value": 1}]}):
        assert check(relay, 400, **bad)["error"]
    ask(relay, "POST", "/v1/config/apply", {"changes": [{"path": "limits.hops", "value": 60}]}, 400)  # no version
    assert text_of(relay) == before


def test_version(relay):
    version = show(relay)["version"]
    apply(relay, version=version, changes=[{"path": "limits.hops", "value": 60}])
    assert "meanwhile" in apply(relay, 409, version=version, changes=[{"path": "limits.hops", "value": 61}])["error"]
    assert "hops: 60" in text_of(relay)


def test_two_at_a_time(relay):
    """Of many that saw the same version one is first."""
    version, results = show(relay)["version"], []

    def one(n):
        results.append(control(relay, "POST", "/v1/config/apply", {"version": version, "changes": [{"path": "limits.hops", "value": 50 + n}]}).status)
    threads = [threading.Thread(target=one, args=(n,)) for n in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(results) == [200] + [409] * 5
    assert len(ask(relay, "GET", "/v1/config/history")["revisions"]) == 1


def test_secrets(relay):
    c = show(relay)
    everything = json.dumps(c)
    assert all(s not in everything for s in SECRETS)
    # the text as it was shown, with one change
    done = apply(relay, text=c["text"].replace("127.0.0.8", "127.0.0.18"))
    assert done["reload"]["ok"] and 'host: 127.0.0.18, tls: encrypt, user: us, password: hidden word}' in text_of(relay)
    # a form that sends back what it was shown
    hop = {**show(relay)["written"]["smarthost"], "user": "them"}
    apply(relay, changes=[{"path": "smarthost", "value": hop}])
    assert "user: them, password: hidden word}  # ISP\n" in text_of(relay)
    checked = check(relay, changes=[{"path": "smarthost.password", "value": "brand new"}])
    assert checked["ok"] and "brand new" not in json.dumps(checked) and "a secret is another one" in checked["diff"]
    done = apply(relay, changes=[{"path": "smarthost.password", "value": "brand new"}])
    assert "brand new" not in json.dumps(done) and "password: brand new" in text_of(relay)
    answers = [ask(relay, "GET", p) for p in ("/v1/config", "/v1/config/history", "/v1/config/diff?from=1", "/v1/config/diff?from=1&to=2", "/v1/config/revision?revision=1")]
    assert all(s not in json.dumps(answers) for s in SECRETS)
    # what comes back when there was none
    assert "smarthost.password" in apply(relay, 400, text=text_of(relay).replace("smarthost:", "inner_host:").replace("brand new", '"***"'))["error"].replace("inner_host", "smarthost")
    with relay.config_path.open("a") as f:
        f.write("bad: [\n")  # the file has errors: its secrets are hidden all the same
    assert all(s not in json.dumps(show(relay)) for s in SECRETS)


def test_secrets_of_lists(relay):
    before = text_of(relay) + ROUTES
    relay.config_path.write_text(before)
    routes = show(relay)["written"]["routes"]
    assert [r["via"]["password"] for r in routes] == ["***", "***"]
    done = apply(relay, changes=[{"path": "routes", "value": routes[::-1]}])
    assert done["ok"], done
    assert re.search(r"two\.example.*password two.*\n.*one\.example.*password one", text_of(relay))
    lost = apply(relay, 400, changes=[{"path": "routes", "value": [{"from": "three.example", "via": {**routes[0]["via"], "user": "three"}}]}])
    assert "routes[0].via.password" in lost["error"]


def test_rollback_and_history(relay):
    first = text_of(relay)
    apply(relay, changes=[{"path": "limits.hops", "value": 60}])
    second = text_of(relay)
    apply(relay, changes=[{"path": "limits.hops", "value": 70}])
    diff = ask(relay, "GET", "/v1/config/diff?from=1&to=2")["diff"]
    assert "+limits:\n+  hops: 60\n" in diff and "hops: 70" in ask(relay, "GET", "/v1/config/diff?from=2")["diff"]
    assert ask(relay, "GET", "/v1/config/revision?revision=2")["text"] == second.replace('"hidden word"', '"***"')
    version = show(relay)["version"]
    done = ask(relay, "POST", "/v1/config/rollback", {"revision": 1, "version": version})
    assert done["reload"]["ok"] and done["revision"] == 3 and text_of(relay) == first
    ask(relay, "POST", "/v1/config/rollback", {"revision": 1, "version": version}, 409)
    ask(relay, "POST", "/v1/config/rollback", {"revision": 99, "version": show(relay)["version"]}, 404)
    ask(relay, "GET", "/v1/config/revision?revision=99", status=404)
    assert [r["before"] for r in ask(relay, "GET", "/v1/config/history")["revisions"]] == ["rollback 1", "set limits.hops 70", "set limits.hops 60"]


def test_the_command_sees_the_same(relay):
    apply(relay, changes=[{"path": "limits.hops", "value": 60}])
    [r] = json.loads(relay.command("config", "history", "--json").stdout)
    assert r["user"].startswith("socket:") and r["before"] == "set limits.hops 60"
    relay.command("config", "set", "limits.hops", "61")
    assert show(relay)["pending"] is True
    assert ask(relay, "GET", "/v1/config/history")["revisions"][0]["before"] == "set limits.hops 61"


def test_senders(relay):
    done = ask(relay, "POST", "/v1/senders", {"address": "Bad@spam.example", "list": "block", "comment": "asked by sales"})
    assert done["reload"]["ok"]
    ask(relay, "POST", "/v1/senders", {"address": ".good.example", "list": "allow"})
    written = show(relay)["written"]["checks"]
    assert written["block"]["senders"] == [{"match": "Bad@spam.example", "comment": "asked by sales"}]
    assert written["allow"]["senders"] == [{"match": ".good.example"}]
    again = ask(relay, "POST", "/v1/senders", {"address": "bad@spam.example", "list": "block"})
    assert again["unchanged"] is True and again["proven"] is False
    for bad in ("", "*", "/.*/", "a b@c.example", "user@", "@", "localhost", "<>", "a@b", "10.0.0.0/8", ".", "x@.example"):
        assert ask(relay, "POST", "/v1/senders", {"address": bad, "list": "allow"}, 400)["error"]


def test_senders_and_proof(relay):
    """An entry asks for proof where SPF can give it; without proof only where that is said, and that holds for one that is there, too."""
    apply(relay, changes=[{"path": "checks.spf.enabled", "value": True}])
    good = {"address": "good@good.example", "list": "allow", "comment": "a partner"}

    def written():
        return show(relay)["written"]["checks"]["allow"]["senders"]
    done = ask(relay, "POST", "/v1/senders", good)
    assert done["proven"] is True and "effective" not in done
    assert written() == [{"match": "good@good.example", "comment": "a partner", "proven": True}]
    assert ask(relay, "POST", "/v1/senders", good)["unchanged"] is True
    assert ask(relay, "POST", "/v1/senders", {**good, "unproven": True})["proven"] is False
    assert written() == [{"match": "good@good.example", "comment": "a partner"}]
    assert ask(relay, "GET", "/v1/config/history")["revisions"][0]["before"] == "a partner (allow the sender good@good.example without proof)"
    assert ask(relay, "POST", "/v1/senders", {"address": "other.example", "list": "allow", "unproven": True})["proven"] is False
    assert ask(relay, "POST", "/v1/senders", {"address": "bad.example", "list": "block", "unproven": True})["proven"] is False
    assert written()[1] == {"match": "other.example"}
    ask(relay, "POST", "/v1/senders", {**good, "unproven": "yes"}, 400)


def revisions_of(relay):
    return sorted((relay.config_path.parent / ".postern-revisions").glob("*.yaml"))


@pytest.mark.daily(1)
@pytest.mark.parametrize("step", ["config-kept", "config-written", "config-replaced"])
def test_crash(tmp_path, step, monkeypatch):
    """The process that writes is killed: the file is whole, and the text that it had before is a revision."""
    monkeypatch.setenv("POSTERN_CRASH_AT", step)
    d = Postern(tmp_path / "relay", {}, start=False)
    before = write(d, DOMAINS)
    d.start()
    answer = apply(d, 503, changes=[{"path": "limits.hops", "value": 60}])
    now, written = text_of(d), step == "config-replaced"
    assert now == (before + "limits:\n  hops: 60\n" if written else before)
    assert ("is written" in answer["error"]) == written
    [kept] = revisions_of(d)
    assert kept.read_text().split("\n", 1)[1] == before
    wait_until(lambda: d.status()["generation"] == (2 if written else 1), "the reload")
    assert check(d, changes=[{"path": "limits.hops", "value": 61}])["ok"]  # the next one is served
    d.command("check")
    d.stop()


def waits_for_lock(pid):
    """Within flock(2)."""
    return any(str(pid) in line.split() and "->" in line for line in pathlib.Path("/proc/locks").read_text().splitlines())


def test_killed(relay):
    """One that hangs is killed by somebody; others behind it are served."""
    apply(relay, changes=[{"path": "limits.hops", "value": 60}])
    lock = os.open(relay.config_path.parent / ".postern-revisions", os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    results, version = [], show(relay)["version"]
    t = threading.Thread(target=lambda: results.append(control(relay, "POST", "/v1/config/apply", {"version": version, "changes": [{"path": "limits.hops", "value": 61}]})))
    t.start()
    waits = wait_until(lambda: next((pid for pid, name in relay.processes().items() if name == "config" and waits_for_lock(pid)), None), "it to wait for the lock")
    os.kill(waits, signal.SIGKILL)
    t.join()
    os.close(lock)
    assert results[0].status == 503 and "nothing was changed" in results[0].json["error"]
    assert apply(relay, changes=[{"path": "limits.hops", "value": 62}])["ok"]


@pytest.mark.root
def test_disk_full(tmp_path):
    disk = Disk(tmp_path, "tmpfs", 1)
    d = Postern(tmp_path / "relay", {}, start=False)
    d.config_path = disk.path / "postern.yaml"
    before = write(d, DOMAINS)
    d.start()
    try:
        disk.fill()
        answer = apply(d, 500, changes=[{"path": "limits.hops", "value": 60}])
        assert "cannot" in answer["error"] and text_of(d) == before and not revisions_of(d)
        disk.relieve()
        assert apply(d, changes=[{"path": "limits.hops", "value": 60}])["ok"]
    finally:
        d.stop()
        disk.stop()


def test_confined(relay):
    """It writes beside the configuration, and nowhere else, whoever it is."""
    outside = relay.folder.parent / "outside"
    outside.mkdir()
    (relay.config_path.parent / "keys").symlink_to(outside)
    answer = control(relay, "POST", "/v1/keys/dkim", {"domain": "example.com", "type": "ed25519"})
    if "no-landlock" in relay.log():
        pytest.skip("the kernel has no Landlock")
    assert answer.status == 400 and "cannot make" in answer.json["error"] and not list(outside.iterdir())


# ---- keys and certificates

def test_keys(relay):
    made = ask(relay, "POST", "/v1/keys/dkim", {"domain": "example.com", "type": "ed25519", "selector": "s1"})
    assert made["record"]["host"] == "s1._domainkey.example.com" and made["record"]["value"].startswith("v=DKIM1; k=ed25519; p=")
    assert made["apply"]["reload"]["ok"] and not made["key"]["active"]
    keys = ask(relay, "GET", "/v1/keys")
    [k] = keys["dkim"]
    assert (k["selector"], k["type"], k["active"], k["record"]) == ("s1", "ed25519", False, made["record"])
    assert "PRIVATE" not in json.dumps(keys) and pathlib.Path(k["file"]).stat().st_mode & 0o777 == 0o600
    [c] = [c for c in keys["certificates"] if c["name"] == "tls.certificate"]
    assert c["self_signed"] and "mx.postern.example" in c["names"] and c["not_after"] > c["not_before"]
    assert "selector" in ask(relay, "POST", "/v1/keys/dkim", {"domain": "example.com", "type": "ed25519", "selector": "s1"}, 400)["error"]
    assert len(list((relay.config_path.parent / "keys").iterdir())) == 1
    for bad in ({"domain": "no domain"}, {"domain": "a.example", "selector": "../x"}, {"domain": "a.example", "bits": 12}, {"domain": "a.example", "type": "dsa"}):
        ask(relay, "POST", "/v1/keys/dkim", bad, 400)
    ask(relay, "POST", "/v1/keys/dkim/rotate", {"domain": "example.net"}, 404)


def test_key_that_cannot_be_written(relay):
    """A key that did not get into the configuration leaves no file."""
    with relay.config_path.open("a") as f:
        f.write("limits: {hops: many}\n")
    assert ask(relay, "POST", "/v1/keys/dkim", {"domain": "example.com", "type": "ed25519"}, 400)["error"]
    assert not list((relay.config_path.parent / "keys").glob("*"))


# ---- rights

def test_rights(relay):
    """An administrator changes, an auditor sees, an operator allows senders, all without secrets, over HTTPS."""
    admin = administrator(relay)
    version = admin.get("/v1/config").json["version"]
    done = admin.post("/v1/config/apply", {"version": version, "changes": [{"path": "limits.hops", "value": 60}], "comment": "by web"})
    assert done.status == 200 and done.json["reload"]["ok"], done
    [r] = admin.get("/v1/config/history").json["revisions"]
    assert r["user"] == "web:" + admin.get("/v1/session").json["name"] and r["before"] == "by web (set limits.hops 60)"


@pytest.mark.slow
def test_roles(relay):
    """What each may: (show, check, apply, senders, keys, a new key). Nobody sees a secret."""
    matrix = {"administrator": "111111", "operator": "000100", "auditor": "100010", "user": "000000"}
    for n, (role, may) in enumerate(matrix.items()):
        web = logged_in(relay, f"{role}1", role, **({"addresses": ["a@example.com"]} if role == "user" else {}))
        version = show(relay)["version"]
        answers = [web.get("/v1/config"), web.post("/v1/config/check", {"changes": [{"path": "limits.hops", "value": 50 + n}]}),
                   web.post("/v1/config/apply", {"version": version, "changes": [{"path": "limits.hops", "value": 50 + n}]}),
                   web.post("/v1/senders", {"address": f"{role}@spam.example", "list": "block"}),
                   web.get("/v1/keys"), web.post("/v1/keys/dkim", {"domain": "example.com", "type": "ed25519"})]
        assert [a.status for a in answers] == [200 if c == "1" else 403 for c in may], (role, answers)
        assert not any(s in a.text for a in answers for s in SECRETS)
    stranger = Web(relay)
    assert stranger.get("/v1/config").status == 401 and stranger.post("/v1/config/apply", {}).status == 401


# ---- from one key to the next

@pytest.mark.slow
def test_rotate(tmp_path, knot):
    """prepared → waiting → switched → retire → retired, with a name server that learns the records."""
    server = knot({"example.com": "@ A 127.0.0.9"})
    d = Postern(tmp_path / "relay", {"dns": {"servers": [server.server], "timeout": "5s"}}, start=False)
    write(d, DOMAINS)
    d.start()

    def rotate():
        return ask(d, "POST", "/v1/keys/dkim/rotate", {"domain": "example.com"})

    def publish(*records):
        path = server.folder / "example.com.zone"
        serial = int(path.read_text().split(" hostmaster ")[1].split()[0]) + 1
        path.write_text(f"$ORIGIN example.com.\n$TTL 1\n@ SOA ns hostmaster {serial} 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n"
                        + "".join(r["bind"] + "\n" for r in records))
        server.process.send_signal(signal.SIGHUP)

    def check_keys():
        return {r["selector"]: r for r in ask(d, "POST", "/v1/keys/dkim/check", {"domain": "example.com"})["results"]}

    first = ask(d, "POST", "/v1/keys/dkim", {"domain": "example.com", "type": "ed25519"})
    assert rotate()["step"] == "waiting"
    [r] = check_keys().values()
    assert r["state"] == "missing" and not r["published"]
    publish(first["record"])
    d.command("reload")  # which knows nothing from before
    wait_until(lambda: check_keys()[first["key"]["selector"]]["matches"], "the record to be seen")
    step = rotate()
    assert step["step"] == "switched" and step["apply"]["reload"]["ok"], step
    assert [k["active"] for k in ask(d, "GET", "/v1/keys")["dkim"]] == [True]
    second = rotate()
    assert second["step"] == "prepared" and second["record"]["host"] != first["record"]["host"] and second["key"]["selector"]
    publish(first["record"], second["record"])
    wait_until(lambda: rotate()["step"] == "switched", "the second one to be seen", 30)
    assert [k["active"] for k in ask(d, "GET", "/v1/keys")["dkim"]] == [False, True]
    assert rotate()["step"] == "retire"
    publish(second["record"])
    d.command("reload")
    wait_until(lambda: rotate()["step"] == "retired", "the first one to be gone")
    [k] = ask(d, "GET", "/v1/keys")["dkim"]
    assert k["selector"] == second["key"]["selector"] and k["active"]
    for selector, status in (("none", 404), (k["selector"], 409)):
        ask(d, "POST", "/v1/keys/dkim/rotate", {"domain": "example.com", "selector": selector}, status)
    beside = ask(d, "POST", "/v1/keys/dkim", {"domain": "example.com", "type": "rsa", "selector": "beside"})
    one = {"domain": "example.com", "selector": "beside"}
    assert ask(d, "POST", "/v1/keys/dkim/rotate", one)["step"] == "waiting"
    publish(second["record"], beside["record"])
    d.command("reload")
    wait_until(lambda: ask(d, "POST", "/v1/keys/dkim/rotate", one)["step"] == "switched", "the third one to be seen")
    assert [k["active"] for k in ask(d, "GET", "/v1/keys")["dkim"]] == [True, True]
    d.stop()
