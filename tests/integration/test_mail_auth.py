# SPDX-License-Identifier: Apache-2.0
"""What is found out of mail that strangers send: SPF, DKIM, ARC, DMARC, and the field that tells of it."""
import base64
import json
import random
import re
import socket
import struct
import time

import pytest

from lib.content import quarantined
from lib.dns import DnsProxy
from lib.programs import have
from lib.signing import EdKey, RsaKey
from lib.smtp import STRANGER, TRUSTED, Smtp, queued_id
from lib.util import free_port, wait_until
from lib.web import control

pytestmark = pytest.mark.skipif(not have("knotd"), reason="knotd is not installed")
pytest.importorskip("dkim")

OURS = b"mx.postern.example"
RECORDS = """
pass TXT "v=spf1 ip4:127.0.0.1 ip6:::1 -all"
fail TXT "v=spf1 ip4:192.0.2.1 -all exp=why.fail.test"
why.fail TXT "%{i} is none of ours, ask %{o}"
plain TXT "v=spf1 -all"
soft TXT "v=spf1 ~all"
neutral TXT "v=spf1 ?all"
temp TXT "v=spf1 include:broken.example.net -all"
perm TXT "v=spf1 ipv4:1.2.3.4 -all"
helo TXT "v=spf1 ip4:127.0.0.1 -all"
"""
# author domains: what their policy asks for
POLICIES = """
_dmarc.rejecting TXT "v=DMARC1; p=reject; sp=none"
_dmarc.keeping TXT "v=DMARC1; p=quarantine"
_dmarc.watching TXT "v=DMARC1; p=none"
_dmarc.never TXT "v=DMARC1; p=reject; pct=0"
_dmarc.sub.excused TXT "v=DMARC1; p=reject"
_dmarc.excused TXT "v=DMARC1; p=reject"
rejecting TXT "v=spf1 ip4:127.0.0.1 -all"
pass.rejecting TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.half TXT "v=DMARC1; p=reject; pct=50"
_dmarc.few TXT "v=DMARC1; p=reject; pct=20"
_dmarc.most TXT "v=DMARC1; p=quarantine; pct=80"
_dmarc.trial TXT "v=DMARC1; p=reject; t=y"
_dmarc.walk TXT "v=DMARC1; p=reject"
own.walk TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.registry TXT "v=DMARC1; p=reject; psd=y"
one.registry TXT "v=spf1 ip4:127.0.0.1 -all"
two.registry TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.parent TXT "v=DMARC1; p=none; np=reject"
here.parent TXT "v=spf1 -all"
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    return {"rsa": RsaKey(folder, "signer.test"), "big": RsaKey(folder, "big.test", bits=4096),
            "weak": RsaKey(folder, "weak.test", bits=512 * 2),
            "ed": EdKey(folder, "signer.test"), "list": RsaKey(folder, "lists.test"), "other": RsaKey(folder, "otherlists.test"),
            "missing": RsaKey(folder, "nokey.test")}


@pytest.fixture(scope="module")
def names(tmp_path_factory, keys):
    from lib.programs import Knot
    zones = {"test": RECORDS + POLICIES}
    for key in keys.values():
        zones.setdefault(key.domain, '_dmarc TXT "v=DMARC1; p=reject"\n')
    for name, key in keys.items():
        if name != "missing":
            zones[key.domain] += key.line
    # "temp" has an include that answers with SERVFAIL: no zone of ours, and no other server
    knot = Knot(tmp_path_factory.mktemp("dns") / "knot", zones)
    yield knot
    knot.stop()


OFF = {"resolvable": False, "fqdn": False}


@pytest.fixture
def make(postern, sink, names):
    """make(**checks): a relay with all four checks and these."""
    def relay(server=None, **checks):
        on = {name: {"enabled": True} for name in ("spf", "dkim", "arc", "dmarc")}
        for name, options in checks.items():
            on[name] = {**on.get(name, {}), **options} if isinstance(options, dict) else options
        relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                        checks={"sender": OFF, "recipient": OFF, **on}, dns={"servers": [server or names.server], "timeout": "2s"})
        relay.sink = sink
        return relay
    return relay


@pytest.fixture(scope="module")
def plain(module_postern, names):
    """One for all tests that want nothing special; its mail goes to the sink of the module."""
    from lib.sink import Sink
    out = Sink()
    relay = module_postern(domains=[{"name": "example.com", "deliver": out.hop}], smarthost=out.hop, listeners=[
        {"address": "127.0.0.1:" + str(port := free_port())}, {"address": "[::1]:" + str(port6 := free_port())}],
        checks={"sender": OFF, "recipient": OFF, **{n: {"enabled": True} for n in ("spf", "dkim", "arc", "dmarc")}},
        dns={"servers": [names.server], "timeout": "2s"})
    relay.port, relay.port6, relay.sink = port, port6, out
    yield relay
    out.stop()


def text(author="a@nothing.test", body=b"a body\r\n", *fields):
    head = b"".join(f + b"\r\n" for f in fields)
    return head + f"From: A <{author}>\r\nTo: u@example.com\r\nSubject: s\r\nMessage-ID: <{random.random()}@x>\r\n".encode() + \
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n" + body


def on_wire(message):
    """Byte for byte, dots stuffed."""
    return re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"


def unique(n=[0]):
    n[0] += 1
    return f"u{n[0]}@example.com"


def send(relay, message, sender="a@nothing.test", expect=250, source=STRANGER, host="127.0.0.1", helo="client.test", bdat=None, to=None,
         params=""):
    """The reply, and what arrived."""
    to = to or unique()
    with Smtp(relay.port6 if host == "::1" else relay.port, host=host, source=source) as c:
        c.ehlo(helo)
        c.mail(sender, params)
        c.rcpt(to)
        if bdat:
            at = 0
            while at < len(message):
                part = message[at:at + bdat]
                at += bdat
                c.send(b"BDAT %d%s\r\n" % (len(part), b" LAST" if at >= len(message) else b"") + part)
                reply = c.reply(250 if at < len(message) else expect)
        else:
            reply = c.data(on_wire(message), expect, raw=True)
        c.quit()
    return reply, relay.sink.wait_to(to) if expect == 250 and not relay.queue_only(to) else None


@pytest.fixture(autouse=True)
def queue_only(monkeypatch):
    from lib.daemon import Postern
    monkeypatch.setattr(Postern, "queue_only", lambda self, to: to.startswith("held"), raising=False)


def results(got):
    """Our field, unfolded; None: there is none."""
    found = re.match(rb"Authentication-Results: ((?:.*?\r\n)(?:[ \t].*?\r\n)*)", got.data)
    if not found:
        return None
    value = re.sub(r"\s+", " ", found[1].decode())
    assert value.startswith(OURS.decode() + ";"), value
    return value


def trace(relay, reply):
    """{check: entry}"""
    story = json.loads(relay.command("trace", queued_id(reply), "--json").stdout)
    story = story[0] if isinstance(story, list) else story
    found = story.get("trace") or story["messages"][0]["trace"]
    return {one["check"]: one for one in found}


# ---- SPF

@pytest.mark.daily(4)
@pytest.mark.parametrize("domain, result", [("pass", "pass"), ("fail", "fail"), ("soft", "softfail"), ("neutral", "neutral"),
                                            ("perm", "permerror"), ("temp", "temperror"), ("nothing", "none")])
def test_spf_results(plain, domain, result):
    reply, got = send(plain, text(), f"a@{domain}.test", helo="helo.test")
    told = results(got)
    assert f"spf={result}" in told.split("smtp.mailfrom")[0].split(";")[-1], told
    assert f"smtp.mailfrom=a@{domain}.test" in told
    assert re.search(r"spf=pass[^;]* smtp\.helo=helo\.test", told)
    row = trace(plain, reply)["spf"]
    assert result in row["why"] and row["outcome"] == ("pass" if result in ("pass", "fail", "softfail", "neutral") else "skip")


def test_spf_over_ipv6(plain):
    _, got = send(plain, text(), "a@pass.test", source="::1", host="::1")
    assert "spf=pass" in results(got)


@pytest.mark.parametrize("helo, result", [("helo.test", "pass"), ("plain.test", "fail"), ("[127.0.0.1]", "none"), ("nothing.test", "none")])
def test_spf_of_a_null_sender_is_that_of_ehlo(plain, helo, result):
    _, got = send(plain, text(), "", helo=helo)
    told = results(got)
    assert told.count("spf=") == 1 and f"spf={result}" in told and "smtp.mailfrom" not in told


def test_spf_reject(make):
    relay = make(spf={"reject": True})
    with Smtp(relay.port) as c:
        c.ehlo()
        c.mail("a@fail.test")
        reply = c.rcpt("u@example.com", 550)
        assert reply.enhanced == "5.7.23" and "fail.test does not allow 127.0.0.1" in reply.text
        assert "127.0.0.1 is none of ours, ask fail.test" in reply.text
        c.cmd("RSET", 250)
        c.mail("a@soft.test")
        c.rcpt("u@example.com")
        c.cmd("RSET", 250)
        c.mail("a@temp.test")
        c.rcpt("u@example.com")
    relay.wait_log(r"refused.*check=spf")
    row = trace(relay, reply)["spf"]
    assert row["outcome"] == "reject" and row["stage"] == "mail" and row["line"]
    send(relay, text(), "a@fail.test", source=TRUSTED)


def test_spf_unsure(make):
    relay = make(spf={"unsure": "defer"})
    with Smtp(relay.port) as c:
        c.ehlo()
        c.mail("a@temp.test")
        assert c.rcpt("u@example.com", 451).enhanced == "4.7.24"
        c.cmd("RSET", 250)
        c.mail("a@fail.test")
        c.rcpt("u@example.com")


@pytest.mark.parametrize("allow", [{"senders": ["a@fail.test"]}, {"clients": ["127.0.0.1"]}])
def test_who_is_allowed_is_not_refused_but_judged(make, allow):
    relay = make(spf={"reject": True}, dmarc={"honor": True}, allow=allow)
    reply, got = send(relay, text("b@rejecting.test"), "a@fail.test")
    assert "spf=fail" in results(got) and "dmarc=fail" in results(got) and "allow entry" in results(got)
    rows = trace(relay, reply)
    assert rows["spf"]["outcome"] == rows["dmarc"]["outcome"] == "pass" and "spares" in rows["spf"]["why"]


def test_proven_entries(make):
    relay = make(allow={"senders": [{"match": ".test", "proven": True}, "known@fail.test"]}, spf={"reject": True},
                 block={"senders": ["blocked.test", ".pass.test", {"match": "x@pass.test", "proven": True}]},
                 greylist={"enabled": True, "private_exempt": False, "delay": "1m"})
    with Smtp(relay.port) as c:
        c.ehlo()
        for sender, code in [("a@pass.test", 550), ("a@nothing.test", 450), ("a@fail.test", 550), ("known@fail.test", 250),
                             ("x@pass.test", 550)]:
            c.mail(sender)
            c.rcpt("u@example.com", code)
            c.cmd("RSET", 250)
    relay.restart({"checks": {"block": {"senders": []}}})
    with Smtp(relay.port) as c:
        c.ehlo()
        c.mail("a@pass.test")
        c.rcpt("u@example.com", 250)


def test_an_entry_without_its_proof_is_told(make):
    relay = make(allow={"senders": [{"match": "nothing.test", "proven": True}]}, block={"senders": [{"match": "a@soft.test", "proven": True}]})
    for sender, said in (("a@nothing.test", "allow.senders has nothing.test, which counts when SPF proves the sender: here it does not"),
                         ("a@soft.test", "block.senders has a@soft.test, which counts when SPF proves the sender: here it does not"),
                         ("a@pass.test", "in no list")):
        reply, _ = send(relay, text(), sender)
        row = trace(relay, reply)["sender-list"]
        assert (row["outcome"], row["why"]) == ("pass", said)


def test_allowing_who_is_in_the_quarantine(make):
    """Whether SPF proved the sender is said of the message, of its release, and of what an entry that asks for proof would have done."""
    relay = make(dmarc={"honor": True})
    for sender, proven in (("a@pass.test", True), ("a@fail.test", False)):
        send(relay, text("b@keeping.test"), sender, to=f"held-{sender}".replace("@", "-") + "@example.com")
        held = next(m for m in quarantined(relay, 1 if proven else 2) if m["sender"] == sender)
        assert relay.ask(f"/v1/quarantine/{held['id']}")["message"]["proven"] is proven
        allow = {"address": sender, "list": "allow", "message": held["id"]}
        for unproven in (False, True):
            done = control(relay, "POST", "/v1/senders", {**allow, "unproven": unproven}).json
            assert (done["ok"], done["proven"], done["effective"]) == (True, not unproven, proven or unproven), done
        # What was taken off stays off; of an entry that is there as it is meant nothing is written.
        again = control(relay, "POST", "/v1/senders", allow).json
        assert again["unchanged"] and again["proven"] is False and again["effective"] is True, again
        [done] = control(relay, "POST", "/v1/quarantine/release", {"ids": [held["id"]]}).json["done"]
        assert done["proven"] is proven and done["sender"] == sender
    assert control(relay, "POST", "/v1/senders", {**allow, "message": "6gc8m3c580005"}).status == 404
    written = control(relay, "GET", "/v1/config").json["written"]["checks"]["allow"]["senders"]
    assert written == [{"match": "a@pass.test"}, {"match": "a@fail.test"}]


def test_greylisting_spares_the_proven(make):
    relay = make(greylist={"enabled": True, "private_exempt": False, "delay": "1m", "exempt": {"spf_pass": True}})
    with Smtp(relay.port) as c:
        c.ehlo()
        c.mail("a@pass.test")
        c.rcpt("u@example.com")
        c.cmd("RSET", 250)
        c.mail("a@soft.test")
        c.rcpt("u@example.com", 450)


def test_explain(make):
    relay = make(spf={"reject": True})
    told = json.loads(relay.command("explain", "--client", "127.0.0.1", "--from", "a@fail.test", "--to", "u@example.com", "--json").stdout)
    rows = {row["check"]: row for row in told["trace"]}
    assert rows["spf"]["outcome"] == "reject" and "EHLO" not in rows["spf"]["why"]  # of which nothing was said
    told = json.loads(relay.command("explain", "--client", "127.0.0.1", "--from", "a@pass.test", "--to", "u@example.com", "--json").stdout)
    rows = {row["check"]: row for row in told["trace"]}
    assert rows["spf"]["outcome"] == "pass" and rows["dkim"]["stage"] == "content" and rows["dmarc"]["outcome"] == "skip"
    assert told["recipients"][0]["outcome"] == "pass"


# ---- DKIM

BODIES = {"short": b"hello\r\n", "empty": b"", "lines": b"a  b \r\n.dot\r\n..\r\n\r\n\r\n", "8bit": "grüße\r\n".encode() * 3}


@pytest.mark.daily(6)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("canon", [(b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple")])
def test_dkim_pass(plain, keys, body, canon):
    for key in (keys["rsa"], keys["ed"]):
        message = key.sign(text("a@signer.test", BODIES[body]), canon)
        for bdat in (None, 1, 77) if canon[0] == b"simple" and body != "8bit" else (None, 100000):
            reply, got = send(plain, message, bdat=bdat if bdat != 1 or len(message) < 1200 else 50)
            told = results(got)
            assert "dkim=pass" in told and "header.d=signer.test" in told, told
            assert "dmarc=pass" in told and "header.from=signer.test" in told
            assert got.data.endswith(message), "changed"
    row = trace(plain, reply)["dkim"]
    assert row["outcome"] == "pass" and row["why"].startswith("signer.test pass (ed, ed25519)")


@pytest.mark.root
@pytest.mark.skipif(not have("opendkim"), reason="opendkim is not installed")
@pytest.mark.parametrize("canon", ["relaxed/relaxed", pytest.param("simple/simple", marks=pytest.mark.slow),
                                   pytest.param("relaxed/simple", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_dkim_by_opendkim(plain, keys, postfix, canon):
    from lib.opendkim import OpenDkim
    signer = OpenDkim(keys["rsa"], Canonicalization=canon)
    try:
        source = postfix(f"127.0.0.1:{plain.port}", smtpd_milters=signer.milter)
        to = unique()
        with source.client() as c:
            c.ehlo()
            c.message(to, text("a@signer.test", b"body  of\r\n.several lines\r\n\r\n"), "a@signer.test")
        got = plain.sink.wait_to(to)
    finally:
        signer.stop()
    assert b"DKIM-Signature" in got.data and "dkim=pass" in results(got) and "dmarc=pass" in results(got)


def test_dkim_fail(plain, keys):
    good = keys["rsa"].sign(text("a@signer.test", b"body\r\n"))
    for bad, result, why in [(good[:-2] + b"!\r\n", "fail", "body"), (good.replace(b"Subject: s", b"Subject: t"), "fail", "signature"),
                             (keys["missing"].sign(text("a@nokey.test")), "permerror", "key")]:
        reply, got = send(plain, bad)
        assert f"dkim={result}" in results(got), results(got)
        assert "dmarc=fail" in results(got)
        assert why in trace(plain, reply)["dkim"]["why"]


def test_several_signatures(plain, keys):
    message = keys["weak"].sign(keys["rsa"].sign(keys["ed"].sign(text("a@signer.test", b"x\r\n"))))
    message = message.replace(b"d=weak.test", b"d=big.test", 1)
    _, got = send(plain, message)
    told = results(got)
    assert told.count("dkim=pass") == 2 and told.count("dkim=") == 3 and "dmarc=pass" in told


@pytest.mark.parametrize("size", [300_000, pytest.param(12_000_000, marks=pytest.mark.slow)])
def test_large_messages(plain, keys, size):
    body = base64.encodebytes(random.Random(size).randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    message = keys["big"].sign(text("a@big.test", body))
    for bdat in (None, 65537):
        _, got = send(plain, message, bdat=bdat)
        assert "dkim=pass" in results(got) and got.data.endswith(message)


def test_malformed_header(plain, keys):
    message = keys["rsa"].sign(text("a@signer.test", b"x\r\n")).replace(b"Subject: s\r\n", b"no field\r\nSubject: s\r\n")
    _, got = send(plain, message)
    assert "dkim=pass" not in results(got) and "dmarc=pass" not in results(got)
    assert got.data.endswith(message)


@pytest.mark.parametrize("line", [b"no field", b"From a@b Mon Jan  1 00:00:00 2024", b" behind a blank"])
def test_forged_fields_behind_a_line_that_is_no_field(plain, line):
    """Most readers go on there with the header; and a blank makes the first line one of ours."""
    rest = text("a@nothing.test", b"x\r\n")
    for bdat in (None, 100000):
        for message in (b"X: y\r\n" + line + b"\r\n" + FORGED[1] + b"\r\n" + rest, line + b"\r\n" + FORGED[0] + b"\r\n" + rest,
                        line + b"\r\n\x80\r\n" + line + b"\r\nX: y\r\n" + FORGED[3] + b"\r\n\r\n", line + b"\r\n" + FORGED[0] + b"\r\n"):
            if message.startswith(b"X") and line.startswith(b" "):
                continue
            assert send(plain, message, expect=550, bdat=bdat, params="BODY=8BITMIME")[0].enhanced == "5.6.0"
        for message in (line + b"\r\n" + TRUE[0] + b"\r\n" + rest, line + b"\r\n\r\n" + FORGED[0] + b"\r\n"):
            assert send(plain, message, bdat=bdat and 7)[1].data.endswith(message)


# ---- DMARC

def test_dmarc_without_honor(plain):
    for domain, policy in [("rejecting", "reject"), ("keeping", "quarantine"), ("watching", "none")]:
        reply, got = send(plain, text(f"a@{domain}.test"))
        assert re.search(r"dmarc=fail[^;]* header\.from=%s\.test" % domain, results(got))
        row = trace(plain, reply)["dmarc"]
        assert row["outcome"] == "pass" and f"policy {policy}" in row["why"]
    _, got = send(plain, text("a@rejecting.test"), "b@rejecting.test")
    assert "dmarc=pass" in results(got)
    _, got = send(plain, text("a@nothing.test"))
    assert "dmarc=none" in results(got)


def test_dmarc_honored(make):
    relay = make(dmarc={"honor": True})
    reply, _ = send(relay, text("a@rejecting.test"), expect=550)
    assert reply.enhanced == "5.7.1" and "rejecting.test asks to refuse" in reply.text
    row = trace(relay, reply)["dmarc"]
    assert row["outcome"] == "reject" and row["stage"] == "content" and row["line"]
    relay.wait_log(r"refused.*check=dmarc")
    reply, _ = send(relay, text("a@rejecting.test"), expect=550, bdat=50)
    reply, _ = send(relay, text("a@keeping.test"), to="held1@example.com")
    held = quarantined(relay)[0]
    assert "keeping.test" in json.dumps(held) and held["kind"] == "auth"
    send(relay, text("a@watching.test"))
    send(relay, text("a@rejecting.test"), "b@rejecting.test")
    reply, _ = send(relay, text("a@never.test"), to="held2@example.com")
    assert "spared by its rate" in trace(relay, reply)["dmarc"]["why"]
    reply, _ = send(relay, text("a@watching.test", b"x\r\n", b"From: b@nothing.test"), expect=550)
    assert "cannot be told" in reply.text
    send(relay, text("a@rejecting.test"), source=TRUSTED)


def fates(relay, author, n):
    """Of n messages that fail: how many were refused, are held, were passed on."""
    told, to = [], [f"{author}{i}@example.com" for i in range(n)]
    for rcpt in to:
        with Smtp(relay.port) as c:
            c.ehlo("client.test")
            c.mail("a@nothing.test")
            c.rcpt(rcpt)
            told.append(c.data(on_wire(text(f"a@{author}.test")), (250, 550), raw=True))
    refused = [r for r in told if r.code == 550]
    assert all(r.enhanced == "5.7.1" for r in refused)

    def rest():
        return len(relay.ask("/v1/quarantine?limit=200")["messages"]), sum(len(relay.sink.to(rcpt)) for rcpt in to)
    wait_until(lambda: sum(rest()) == n - len(refused), lambda: f"all of {n}: {rest()} and {len(refused)} were refused")
    return len(refused), *rest()


def test_dmarc_rate(make):
    """pct=: some are spared, and get what is next weaker."""
    refused, held, passed = fates(make(dmarc={"honor": True}), "half", 40)
    assert refused > 0 and held > 0 and not passed


@pytest.mark.slow
@pytest.mark.parametrize("author, low, high", [("few", 5, 40), ("most", 60, 95)])
def test_dmarc_rates_are_kept(make, author, low, high):
    refused, held, passed = fates(make(dmarc={"honor": True}), author, 100)
    if author == "few":
        assert low <= refused <= high and not passed
    else:
        assert low <= held <= high and not refused


def test_dmarc_by_tree_walk(make, plain):
    """RFC 9989: what belongs together is in the DNS; pct= is no more, t= and np= are heeded."""
    relay = make(dmarc={"honor": True, "organization": "tree_walk"})
    for author, sender, result in [
            ("walk", "own.walk", "pass"), ("a.b.c.walk", "own.walk", "pass"), ("a.b.c.d.e.f.g.h.i.walk", "own.walk", "pass"),
            ("own.walk", "two.registry", None), ("x.walk", "nothing", None),
            ("mail.one.registry", "one.registry", "pass"), ("one.registry", "two.registry", None),
            ("never", "nothing", None), ("here.parent", "nothing", "fail"), ("gone.parent", "nothing", None),
            ("nothing", "nothing", "none")]:
        reply, got = send(relay, text(f"a@{author}.test"), f"a@{sender}.test", expect=250 if result else 550)
        if result:
            assert f"dmarc={result}" in results(got), (author, results(got))
        else:
            assert reply.enhanced == "5.7.1" and f"{author}.test asks" in reply.text
    reply, _ = send(relay, text("a@trial.test"), to="held4@example.com")
    assert "under test" in trace(relay, reply)["dmarc"]["why"] and quarantined(relay)
    _, got = send(plain, text("a@one.registry.test"), "a@two.registry.test")
    assert "dmarc=pass" in results(got), "by the list both belong to registry.test"


def test_dmarc_overrides(make):
    relay = make(dmarc={"overrides": [{"domain": ".excused.test", "action": "reject"}, {"domain": "sub.excused.test", "action": "none"},
                                      {"domain": "watching.test", "action": "reject"}, {"domain": "keeping.test", "action": "quarantine"}]})
    reply, _ = send(relay, text("a@excused.test"), expect=550)
    assert "excused.test is taken only" in reply.text
    assert trace(relay, reply)["dmarc"]["line"]
    send(relay, text("a@deep.excused.test"), expect=550)
    reply, got = send(relay, text("a@sub.excused.test"))
    assert "override for sub.excused.test" in results(got) and trace(relay, reply)["dmarc"]["line"]
    send(relay, text("a@watching.test"), expect=550)
    for second in (b"From: x@nothing.test\r\n", b"no field\r\n", b"From : y@[127.0.0.1]\r\n"):
        send(relay, text("a@watching.test", b"x\r\n").replace(b"To:", second + b"To:"), expect=550)
        send(relay, second + text("a@watching.test", b"x\r\n"), expect=250 if second.startswith(b"no") else 550)
    send(relay, text("a@keeping.test"), to="held3@example.com")
    quarantined(relay)
    _, got = send(relay, text("a@rejecting.test"))
    assert "not enforced" in results(got)


# ---- ARC

def through_list(key, message, seen, host=b"lists.test"):
    """As a mailing list sends it on: results, a changed body, a seal."""
    header, body = message.split(b"\r\n\r\n", 1)
    field = b"Authentication-Results: " + host + b"; " + seen + b"\r\n"
    return key.seal(field + header + b"\r\n\r\n" + body + b"-- \r\nthe list\r\n", host.decode())


def test_trusted_sealers_excuse(make, keys):
    relay = make(dmarc={"honor": True}, arc={"sealers": ["lists.test"]})
    original = keys["rsa"].sign(text("a@signer.test", b"body\r\n"))
    for seen in (b"dmarc=pass header.from=signer.test", b"dkim=pass header.d=signer.test",
                 b"spf=pass (a; b \\( c) smtp.mailfrom=x@signer.test"):
        reply, got = send(relay, through_list(keys["list"], original, seen))
        assert "arc=pass" in results(got) and "local policy: sealed by lists.test" in results(got), results(got)
        rows = trace(relay, reply)
        assert "excused" in rows["dmarc"]["why"] and "lists.test" in rows["arc"]["why"]
    for seen in (b"dmarc=fail header.from=signer.test", b"dkim=pass header.d=lists.test",
                 b"spf=fail (spf=pass) smtp.mailfrom=x@signer.test", b"dmarc=pass header.from=victim.test",
                 b"dmarc=fail header.from=signer.test; dkim=pass header.d=signer.test"):
        send(relay, through_list(keys["list"], original, seen), expect=550)
    send(relay, through_list(keys["other"], original, b"dmarc=pass header.from=signer.test", b"otherlists.test"), expect=550)
    broken = through_list(keys["list"], original, b"dmarc=pass header.from=signer.test")[:-2] + b"!\r\n"
    reply, _ = send(relay, broken, expect=550)
    assert trace(relay, reply)["arc"]["outcome"] == "skip"


def test_long_chains_and_many_signatures(plain, keys):
    """More than is judged in one turn of the loop."""
    message = text("a@signer.test", b"body\r\n")
    for i in range(8):
        message = keys["ed" if i % 2 else "rsa"].sign(message)
    for i in range(9):
        seen = b"Authentication-Results: h%d.test; arc=%s\r\n" % (i, b"pass" if i else b"none")
        message = keys["list"].seal(seen + message, f"h{i}.test")
    reply, got = send(plain, message)
    told = results(got)
    assert told.count("dkim=pass") == 8 and "arc=pass (9 sets" in told and "dmarc=pass" in told, told
    assert "9 sets" in trace(plain, reply)["arc"]["why"]
    twice = keys["rsa"].sign(message)
    assert results(send(plain, twice)[1]).count("dkim=policy") == 1


# ---- Authentication-Results

FORGED = [b"Authentication-Results: mx.postern.example; spf=pass",
          b"AUTHENTICATION-results:\r\n\tMX.Postern.EXAMPLE; dkim=pass\r\n header.d=x",
          b"Authentication-Results: (a (b) \\) c) \"mx.postern.example\" 1 ; dmarc=pass",
          b"authentication-results : mx.postern.example;none"]
TRUE = [b"Authentication-Results: other.example; spf=pass", b"X-Authentication-Results: mx.postern.example; spf=pass",
        b"ARC-Authentication-Results: i=9; mx.postern.example; spf=pass"]


@pytest.mark.parametrize("body", [b"small\r\n", b".dot\r\n..\r\n.\x2e.\r\n", "grüße\r\n".encode(), b"line of text\r\n" * 60000],
                         ids=["small", "dots", "8bit", "large"])
def test_forged_fields_are_cut_out(plain, body):
    base = text("a@nothing.test", body)
    fields = [TRUE[0], FORGED[0], FORGED[1], TRUE[1], FORGED[2], TRUE[2], FORGED[3]]
    message, clean = base, base
    head, rest = base.split(b"\r\n", 1)
    message = b"\r\n".join([fields[0], fields[1], head, *fields[2:]]) + b"\r\n" + rest
    clean = b"\r\n".join([TRUE[0], head, TRUE[1], TRUE[2]]) + b"\r\n" + rest
    for bdat in (None, 1000 if len(body) < 5000 else 100000):
        _, got = send(plain, message, bdat=bdat, params="BODY=8BITMIME" if b"\xc3" in body else "")
        assert got.data.endswith(b"\r\n" + clean), got.data[:1500]
        ours = got.data[:-len(clean)]
        assert ours.lower().count(b"authentication-results:") == 1 and ours.count(b"Received:") == 1 and results(got)
        assert ours.index(b"Authentication-Results:") < ours.index(b"Received:")


def test_forged_fields_at_the_ends(plain):
    """The first of all, the last of the header, and one without a body behind it."""
    for message, clean in [(FORGED[0] + b"\r\n" + text(), None),
                           (b"From: a@nothing.test\r\n" + FORGED[1] + b"\r\n\r\nbody\r\n", b"From: a@nothing.test\r\n\r\nbody\r\n"),
                           (b"From: a@nothing.test\r\n" + FORGED[0] + b"\r\n", b"From: a@nothing.test\r\n")]:
        clean = clean or message[len(FORGED[0]) + 2:]
        _, got = send(plain, message)
        assert got.data.endswith(b"\r\n" + clean) and got.data.lower().count(b"authentication-results:") == 1, got.data
    _, got = send(plain, b"From: a@nothing.test\r\n" + FORGED[0], bdat=1000)
    assert got.data.lower().count(b"authentication-results:") == 1


def test_signatures_see_the_header_as_it_came(plain, keys):
    message = FORGED[0] + b"\r\n" + text("a@signer.test", b"x\r\n")
    signed = keys["rsa"].sign(message, include_headers=[b"from", b"subject", b"authentication-results"])
    _, got = send(plain, signed)
    assert "dkim=pass" in results(got)
    assert FORGED[0] not in got.data


def test_too_many_forged_fields(plain):
    head, rest = text().split(b"\r\n", 1)
    fields = [x for i in range(64) for x in (FORGED[0], b"X-Between: %d" % i)]
    _, got = send(plain, b"\r\n".join([head, *fields]) + b"\r\n" + rest)
    assert got.data.lower().count(b"authentication-results:") == 1 and got.data.count(b"X-Between") == 64
    _, got = send(plain, b"\r\n".join([head] + [FORGED[0]] * 500) + b"\r\n" + rest)
    assert got.data.lower().count(b"authentication-results:") == 1
    reply, _ = send(plain, b"\r\n".join([head, *fields, FORGED[0]]) + b"\r\n" + rest, expect=550)
    assert reply.enhanced == "5.6.0"


def test_a_field_that_is_too_long_to_be_read(plain):
    head, rest = text().split(b"\r\n", 1)
    long = b"Authentication-Results: (" + b"\r\n ".join([b"x" * 900] * 100) + b") mx.postern.example; spf=pass"
    _, got = send(plain, b"\r\n".join([head, long]) + b"\r\n" + rest)
    assert got.data.endswith(head + b"\r\n" + rest)


def test_trusted_mail_is_left_alone(plain):
    message = FORGED[0] + b"\r\n" + text()
    reply, got = send(plain, message, source=TRUSTED)
    assert got.data.endswith(b"\r\n" + message) and got.data.startswith(b"Received:") and results(got) is None
    assert not {"spf", "dkim", "arc", "dmarc"} & set(trace(plain, reply))


def test_users_mail_is_left_alone(postern, sink, names):
    from lib.daemon import postern as command
    relay = postern(smarthost=sink.hop, domains=[{"name": "example.com", "deliver": sink.hop}], dns={"servers": [names.server]},
                    zones={"old": {"networks": ["127.0.0.5"], "auth_without_tls": True}},
                    listeners=[{"address": f"127.0.0.1:{free_port()}", "auth": True}],
                    auth={"sender_must_match": False, "backend": "users"},
                    checks={"sender": OFF, "recipient": OFF, **{n: {"enabled": True} for n in ("spf", "dkim", "arc")},
                            "dmarc": {"enabled": True, "honor": True}})
    relay.port = int(relay.config["listeners"][0]["address"].rsplit(":", 1)[1])
    assert command("user", "add", "joe", "-c", relay.config_path, stdin="secret-word\n").returncode == 0
    with Smtp(relay.port, source="127.0.0.5") as c:
        c.ehlo()
        c.cmd("AUTH PLAIN " + base64.b64encode(b"\0joe\0secret-word").decode(), 235)
        c.mail("a@fail.test")
        c.rcpt("user@example.com")
        c.data(on_wire(FORGED[0] + b"\r\n" + text("a@rejecting.test")), 250, raw=True)
    got = sink.wait_to("user@example.com")
    assert FORGED[0] in got.data and results(got) is None


def test_all_off(make):
    relay = make(**{n: {"enabled": False} for n in ("spf", "dkim", "arc", "dmarc")})
    _, got = send(relay, FORGED[0] + b"\r\n" + text())
    assert FORGED[0] in got.data and got.data.startswith(b"Received:")


def test_spf_alone(make):
    relay = make(**{n: {"enabled": False} for n in ("dkim", "arc", "dmarc")})
    _, got = send(relay, FORGED[0] + b"\r\n" + text(), "a@pass.test")
    assert "spf=pass" in results(got) and "dkim" not in results(got) and FORGED[0] not in got.data


# ---- DNS that is slow, or gone

@pytest.mark.slow
def test_nobody_is_held_up_before_the_end(make, names, keys):
    proxy = DnsProxy(int(names.server.split(":")[1]))
    relay = make(proxy.server)
    proxy.delay = 0.3
    with Smtp(relay.port) as c:
        c.ehlo()
        began = time.monotonic()
        c.mail("a@pass.test")
        c.rcpt("slow@example.com")
        c.cmd("DATA", 354)
        assert time.monotonic() - began < 0.3
        c.send(on_wire(keys["rsa"].sign(text("a@signer.test"))))
        c.reply(250)
        assert time.monotonic() - began > 0.3
    told = results(relay.sink.wait_to("slow@example.com"))
    assert "spf=pass" in told and "dkim=pass" in told and "dmarc=pass" in told
    proxy.stop()


def test_dead_dns(make, names, keys):
    proxy = DnsProxy(int(names.server.split(":")[1]))
    proxy.mode = "silent"
    relay = make(proxy.server, authentication_timeout="700ms", dmarc={"honor": True})
    began = time.monotonic()
    reply, got = send(relay, keys["rsa"].sign(text("a@signer.test")), "a@pass.test")
    assert time.monotonic() - began < 3
    told = results(got)
    assert "spf=temperror" in told and "dkim=temperror" in told and "dmarc=temperror" in told, told
    assert trace(relay, reply)["dmarc"]["outcome"] == "skip"
    proxy.stop()


@pytest.mark.slow
def test_who_leaves_while_it_is_looked_up(make, names, keys):
    proxy = DnsProxy(int(names.server.split(":")[1]))
    relay = make(proxy.server)
    proxy.delay = 1.5
    for bye in (True, False):
        with Smtp(relay.port) as c:
            c.ehlo()
            c.mail("a@pass.test")
            c.rcpt("gone@example.com")
            c.cmd("DATA", 354)
            c.send(on_wire(keys["rsa"].sign(text("a@signer.test"))) + (b"QUIT\r\n" if bye else b""))
            time.sleep(0.3)
            if bye:
                c.reply(250)
                c.reply(221)
    wait_until(lambda: len(re.findall("disconnect", relay.log())) >= 2, "the end")
    send(relay, text(), "a@pass.test")
    proxy.stop()


@pytest.mark.slow
def test_a_client_that_leaves_before_the_checks_have_answered(make, names, keys):
    """Its message is taken, or it is forgotten and will come again: never both, and the log says which."""
    proxy = DnsProxy(int(names.server.split(":")[1]))
    relay = make(proxy.server)
    proxy.delay = 0.25
    ways = [(how, wait) for how in ("close", "reset", "half", "quit", "drip") for wait in (0, 0.15, 0.3, 0.8)]
    for how, wait in ways:
        with Smtp(relay.port, timeout=5) as c:
            c.ehlo(f"{how}.test")
            c.mail(f"a@{how}{int(wait * 100)}.pass.test")
            c.rcpt(f"{how}{wait}@example.com")
            c.cmd("DATA", 354)
            whole = on_wire(keys["rsa"].sign(text("a@signer.test")))
            c.send(whole[:-1] if how == "drip" else whole + (b"QUIT\r\n" if how == "quit" else b""))
            if how == "half":
                c.sock.shutdown(socket.SHUT_WR)
            time.sleep(wait)
            if how == "drip":
                c.send(whole[-1:])
            if how == "reset":
                c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    def over():
        return {m[1] for m in re.finditer(r" (?:accepted|disconnect) .*?\bsession=(\S+)", relay.log())}
    wait_until(lambda: len(over()) == len(ways), lambda: f"an end of each session: {relay.log_tail()}")
    relay.wait_queue_empty()
    taken = relay.log().count(" accepted ")
    assert 0 < taken < len(ways), "both happen"
    arrived = [len(relay.sink.to(f"{how}{wait}@example.com")) for how, wait in ways]
    assert max(arrived) == 1 and sum(arrived) == taken, dict(zip(ways, arrived))
    send(relay, text(), "a@pass.test")
    proxy.stop()


def test_next_message_of_a_session(plain, keys):
    """Nothing of one is left over for the next."""
    with Smtp(plain.port) as c:
        c.ehlo("helo.test")
        for i, (sender, message, wants) in enumerate([
                ("a@pass.test", keys["rsa"].sign(text("a@signer.test")), ["spf=pass", "dkim=pass", "dmarc=pass"]),
                ("a@fail.test", text("a@rejecting.test"), ["spf=fail", "dkim=none", "dmarc=fail"]),
                ("", text("a@nothing.test"), ["spf=pass", "dkim=none", "dmarc=none"])]):
            c.mail("a@soft.test")
            c.cmd("RSET", 250)
            c.mail(sender)
            c.rcpt(f"next{i}@example.com")
            c.data(on_wire(message), 250, raw=True)
            told = results(plain.sink.wait_to(f"next{i}@example.com"))
            assert all(w in told for w in wants), told


# ---- the configuration

@pytest.mark.parametrize("checks, says", [
    ({"spf": {"enabled": False, "reject": True}}, "SPF is not checked"),
    ({"spf": {"enabled": False, "unsure": "defer"}}, "SPF is not checked"),
    ({"spf": {"enabled": False}, "greylist": {"exempt": {"spf_pass": True}}}, "nobody would be exempt"),
    ({"spf": {"enabled": False}, "allow": {"senders": [{"match": "a@b.example", "proven": True}]}}, "never counts"),
    ({"allow": {"recipients": [{"match": "a@b.example", "proven": True}]}}, "no list of senders"),
    ({"block": {"clients": [{"match": "192.0.2.1", "proven": True}]}}, "no list of senders"),
    ({"dmarc": {"enabled": False, "honor": True}}, "DMARC is not checked"),
    ({"dmarc": {"honor": True}, "spf": {"enabled": False}, "dkim": {"enabled": False}}, "nothing passes DMARC"),
    ({"dmarc": {"overrides": [{"domain": "a.example", "action": "none"}, {"domain": "A.example", "action": "reject"}]}},
     "has an override already"),
    ({"arc": {"enabled": False, "sealers": ["l.example"]}}, "ARC is not checked"),
    ({"arc": {"sealers": ["l.example"]}, "dmarc": {"enabled": False}}, "nothing for a seal to excuse"),
    ({"dmarc": {"suffixes": "/nowhere/list"}}, "/nowhere/list"),
])
@pytest.mark.daily(2)
def test_configurations_that_make_no_sense(tmp_path, checks, says):
    from lib.daemon import postern as command
    path = tmp_path / "postern.yaml"
    path.write_text(json.dumps({"hostname": "mx.example", "checks": checks}))
    done = command("check", "-c", path)
    assert done.returncode and says in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.slow
def test_a_suffix_list_of_ones_own(make, tmp_path):
    """By it "rejecting.test" is a suffix, and pass.rejecting.test somebody's own."""
    path = tmp_path / "suffixes"
    path.write_text("test\nrejecting.test\n")
    relay = make(dmarc={"suffixes": str(path)})
    _, got = send(relay, text("a@rejecting.test"), "a@pass.rejecting.test")
    assert "dmarc=fail" in results(got)
    path.write_text("test\n")
    relay.restart()
    _, got = send(relay, text("a@rejecting.test"), "a@pass.rejecting.test")
    assert "dmarc=pass" in results(got)
    path.write_text("\n")
    assert relay.command("check", check=None).returncode
