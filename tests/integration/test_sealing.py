# SPDX-License-Identifier: Apache-2.0
"""ARC: mail of strangers that is passed on gets a seal, others find the chain right, and the next relay goes on with it."""
import json
import os
import re
import signal
import subprocess

import pytest

from lib.programs import Knot, have
from lib.signing import RelayKey, answers, signatures
from lib.smtp import STRANGER, TRUSTED
from test_signing import send, text

dkim = pytest.importorskip("dkim")
pytestmark = pytest.mark.skipif(not have("knotd"), reason="knotd is not installed")
MAILAUTH = have("node") and subprocess.run(["node", "-e", "require('mailauth')"], capture_output=True).returncode == 0  # by NODE_PATH


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {"author": RelayKey(folder, "signer.test", "s"), "first": RelayKey(folder, "first.test", "arc"),
            "second": RelayKey(folder, "second.test", "arc"), "third": RelayKey(folder, "third.test", "arc"),
            "other": RelayKey(folder, "other.test", "arc")}


@pytest.fixture(scope="module")
def names(tmp_path_factory, keys):
    knot = Knot(tmp_path_factory.mktemp("dns") / "knot", {k.domain: k.line + '_dmarc TXT "v=DMARC1; p=reject"\n' for k in keys.values()})
    yield knot
    knot.stop()


@pytest.fixture
def make(postern, sink, names):
    def relay(key, hop=None, **changes):
        on = {name: {"enabled": True} for name in ("spf", "dkim", "arc", "dmarc")}
        relay = postern(**{"hostname": f"mx.{key.domain}", "domains": [{"name": "example.com", "deliver": hop or sink.hop}],
                           "checks": {"sender": {"resolvable": False, "fqdn": False}, "recipient": {"resolvable": False}, **on},
                           "arc": {"seal": True, "domain": key.domain, "selector": key.selector, "file": str(key.path)},
                           "dns": {"servers": [names.server], "timeout": "2s"}, **changes})
        relay.sink = sink
        return relay
    return relay


def chain(message, keys):
    """What dkimpy says of it, and its instances."""
    cv, results, why = dkim.arc_verify(message, dnsfunc=answers(keys.values()))
    return cv, sorted(int(i) for i in re.findall(rb"(?mi)^ARC-Seal: i=(\d+)", message))


def by_mailauth(message, keys, tmp_path):
    path = tmp_path / "message"
    path.write_bytes(message)
    script = """const { authenticate } = require('mailauth'); const records = JSON.parse(process.argv[2]);
        const resolver = async (name, type) => { if (type === 'TXT' && records[name]) return [[records[name]]];
            const e = new Error('none'); e.code = 'ENOTFOUND'; throw e; };
        authenticate(require('fs').readFileSync(process.argv[1]), { ip: '127.0.0.1', helo: 'x.test', sender: 'a@x.test', mta: 'y.test', resolver,
            disableBimi: true }).then(r => console.log(JSON.stringify({ arc: r.arc.status.result, dkim: r.dkim.results.map(d => d.status.result) })));"""
    records = {k.name: k.record for k in keys.values()}
    done = subprocess.run([have("node"), "-e", script, "--", str(path), json.dumps(records)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mail(keys, body=b"a body\r\n", *fields):
    return keys["author"].sign(text("a@signer.test", body, *fields))


BODIES = {"small": b"a body\r\n", "dots": b".\r\n..\r\n", "blank": b" x \t y \r\n\r\n\r\n", "none": b"", "large": b"a line of text\r\n" * 80000}


@pytest.mark.daily(1)
@pytest.mark.parametrize("body", BODIES)
def test_one_hop(make, keys, tmp_path, body):
    relay = make(keys["first"])
    for bdat in (None, 50000):
        got = send(relay, mail(keys, BODIES[body]), source=STRANGER, bdat=bdat)
        assert chain(got, keys) == (b"pass", [1]), got[:2000]
        seal, message = signatures(got, b"ARC-Seal")[0], signatures(got, b"ARC-Message-Signature")[0]
        assert (seal["cv"], seal["d"], seal["s"], message["d"]) == ("none", "first.test", "arc", "first.test")
        assert not {"authentication-results", "arc-seal", "arc-authentication-results", "received"} & set(message["h"].lower().split(":"))
        head = got.split(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ")
        results = re.search(rb"(?m)^ARC-Authentication-Results: i=1; (.*?)\r?$", head)[1]
        assert b"mx.first.test" in results and b"dkim=pass" in results and b"dmarc=pass" in results
        assert [line.split(b":")[0] for line in head.split(b"\r\n")[:5]] == [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results",
                                                                              b"Authentication-Results", b"Received"]
        if MAILAUTH:
            assert by_mailauth(got, keys, tmp_path) == {"arc": "pass", "dkim": ["pass"]}


def test_three_hops(make, keys, tmp_path):
    """Each of the relays goes on with the chain; the last one's word is what the mailbox's server sees."""
    third = make(keys["third"])
    second = make(keys["second"], f"127.0.0.1:{third.port}")
    first = make(keys["first"], f"127.0.0.1:{second.port}")
    got = send(first, mail(keys), source=STRANGER)
    assert chain(got, keys) == (b"pass", [1, 2, 3])
    assert [s["cv"] for s in signatures(got, b"ARC-Seal")] == ["pass", "pass", "none"]
    assert b"arc=pass" in got.split(b"Received:")[0]
    if MAILAUTH:
        assert by_mailauth(got, keys, tmp_path)["arc"] == "pass"


def test_after_another_sealer(make, keys):
    """A chain that dkimpy began, with a list's change in between."""
    message = b"Authentication-Results: lists.other.test; dkim=pass header.d=signer.test\r\n" + mail(keys)
    message = keys["other"].seal(message.replace(b"a body", b"[list] a body"), "lists.other.test")
    relay = make(keys["first"])
    got = send(relay, message, source=STRANGER, expect=(250, 550))
    assert chain(got, keys) == (b"pass", [1, 2]) and [s["cv"] for s in signatures(got, b"ARC-Seal")] == ["pass", "none"]


def test_a_broken_chain(make, keys):
    """It is sealed once with cv=fail, and not touched after that (RFC 8617 §5.1.2)."""
    second = make(keys["second"])
    first = make(keys["first"])
    sealed = send(first, mail(keys), source=STRANGER)
    broken = sealed.replace(b"a body", b"another")
    got = send(second, broken, source=STRANGER)
    assert [s["cv"] for s in signatures(got, b"ARC-Seal")] == ["fail", "none"]
    assert b"arc=fail" in got.split(b"Received:")[0] and chain(got, keys)[0] != b"pass"
    again = send(first, got, source=STRANGER)
    assert [s["cv"] for s in signatures(again, b"ARC-Seal")] == ["fail", "none"]


def test_not_sealed(make, keys):
    relay = make(keys["first"], dkim={"keys": [keys["author"].entry]})
    got = send(relay, text("a@signer.test"), source=TRUSTED)
    assert signatures(got, b"ARC-Seal") == [] and len(signatures(got)) == 1
    got = send(relay, text("a@nothing.test"), source=STRANGER)
    assert len(signatures(got, b"ARC-Seal")) == 1 and signatures(got) == [], "strangers are never signed"
    relay.write({"arc": {"seal": False}})
    relay.command("reload")
    assert signatures(send(relay, mail(keys), source=STRANGER), b"ARC-Seal") == []


def test_forged_results_are_not_sealed(make, keys):
    relay = make(keys["first"])
    forged = b"Authentication-Results: mx.first.test; dmarc=pass header.from=bank.test"
    got = send(relay, mail(keys, b"x\r\n", forged), source=STRANGER)
    assert b"bank.test" not in got and chain(got, keys) == (b"pass", [1])


def test_the_signer_is_away(make, keys):
    relay = make(keys["first"], dkim={"timeout": "300ms"})
    pid = relay.pid("signer")
    os.kill(pid, signal.SIGSTOP)
    assert send(relay, mail(keys), source=STRANGER, expect=451).enhanced == "4.7.0"
    os.kill(pid, signal.SIGCONT)
    assert chain(send(relay, mail(keys), source=STRANGER), keys) == (b"pass", [1])


def test_by_the_hostname(make, keys):
    """Without arc.domain."""
    relay = make(keys["first"])
    relay.config["arc"].pop("domain")
    relay.config["hostname"] = "first.test"
    relay.write()
    relay.command("reload")
    got = send(relay, mail(keys), source=STRANGER)
    assert chain(got, keys) == (b"pass", [1])


@pytest.mark.daily(1)
@pytest.mark.parametrize("changes,says", [
    ({"arc": {"file": "/nowhere"}}, "/nowhere"), ({"checks": {"arc": {"enabled": False}}}, "what is not validated cannot be sealed")])
def test_configurations_that_make_no_sense(make, keys, changes, says):
    relay = make(keys["first"])
    relay.write(changes)
    assert says in relay.command("check", check=78).stdout
    relay.config["arc"].pop("selector")
    relay.write({"arc": {"file": str(keys["first"].path)}})
    assert "sealing needs selector and file" in relay.command("check", check=78).stdout
