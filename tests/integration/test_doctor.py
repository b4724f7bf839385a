# SPDX-License-Identifier: Apache-2.0
"""The set-up check: each finding over right and wrong records of a real name server; connections tried; mail explained as a picture needs it."""
import base64
import contextlib
import ipaddress
import json
import re
import socket
import threading
import time

import pytest
import yaml

from lib.certs import Pair
from lib.daemon import postern as command
from lib.dns import DnsProxy
from lib.programs import Knot
from lib.sink import Sink
from lib.sts import Page, PolicyServer, policy, port_443
from lib.util import free_port, wait_until
from lib.web import Web, administrator, control, on

V4, V6, HOST = "192.0.2.10", "2001:db8::10", "mx.postern.example"
DOMAINS = ["good.example", "bad.example", "none.example", "worse.example", "sub.good.example", "slip.example"]


def reversed_zone(ip, prefix):
    """(zone, name in it) of an address."""
    labels = ipaddress.ip_address(ip).reverse_pointer.split(".")
    return ".".join(labels[prefix:]), ".".join(labels[:prefix])


def new_key(folder, domain):
    conf = folder / "keys.yaml"
    conf.write_text(yaml.safe_dump({"hostname": HOST, "domains": [{"name": d, "deliver": "192.0.2.1"} for d in DOMAINS],
                                    "system": {n: "" for n in ("user", "admin_user", "auth_user", "sign_user", "store_user", "scan_user", "table_user", "mail_user")}}))
    return json.loads(command("dkim", "new", domain, "--selector", "s1", "-c", conf, "--json", check=0).stdout)


def zones(keys):
    v4, v4_name = reversed_zone(V4, 1)
    v6, v6_name = reversed_zone(V6, 24)
    return {
        "example": "x A 192.0.2.1",
        "postern.example": f"mx A {V4}\nmx AAAA {V6}",
        v4: f"{v4_name} PTR {HOST}.\n11 PTR liar.bad.example.\n13 PTR other.bad.example.",
        v6: f"{v6_name} PTR {HOST}.",
        "good.example": f'@ MX 10 {HOST}.\n@ TXT "v=spf1 ip4:{V4} ip6:{V6} -all"\n_dmarc TXT "v=DMARC1; p=reject; rua=mailto:d@good.example"\n'
                        '_mta-sts TXT "v=STSv1; id=20260101"\n_smtp._tls TXT "v=TLSRPTv1; rua=mailto:t@good.example"\n'
                        f"{keys['good.example']['bind']}\nsub MX 5 {HOST}.\nsub MX 1 mail.bad.example.\ntwo A 127.0.0.2\ntwo A 127.0.0.3",
        "bad.example": '@ MX 10 mail\nmail A 198.51.100.9\n@ TXT "something else"\n@ TXT "v=spf1 ip4:198.51.100.9 ~all"\n'
                       '_dmarc TXT "v=DMARC1; p=none"\n_smtp._tls TXT "v=TLSRPTv1;"\n'
                       f"{keys['good.example']['bind'].replace('good.example', 'bad.example')}\nliar A 198.51.100.9\nother A 192.0.2.13",
        "none.example": "x A 192.0.2.1",
        "worse.example": '@ MX 0 .\n@ TXT "v=spf1 ' + " ".join(f"include:i{i}.worse.example" for i in range(11)) + ' -all"\n'
                         '_dmarc TXT "v=DMARC1; p=reject"\n_dmarc TXT "v=DMARC1; p=none"\n_mta-sts TXT "v=STSv1; nonsense"\n'
                         + "\n".join(f'i{i} TXT "v=spf1 ip4:192.0.2.200 -all"' for i in range(11)),
        "slip.example": f"@ MX 10 {HOST}.\n@ MX 20 gone.slip.example.\n{keys['slip.example']['bind'].replace('slip.example.', 'slip.example.slip.example.')}",
        "bl.example": "2.0.0.127 A 127.0.0.2\n10.2.0.192 A 127.0.0.3",
        "white.example": "2.0.0.127 A 127.0.0.2\n10.2.0.192 A 127.0.0.2",
    }


class Names:
    """Knot, and a proxy in front of it that can fall silent."""

    def __init__(self, folder):
        self.keys = {d: new_key(folder, d) for d in ("good.example", "bad.example", "slip.example")}
        self.knot = Knot(folder / "knot", zones(self.keys))
        self.proxy = DnsProxy(self.knot.port)

    def stop(self):
        self.proxy.stop()
        self.knot.stop()


@pytest.fixture(scope="module")
def names(make_world, tmp_path_factory):
    return make_world(Names, tmp_path_factory.mktemp("names"))


def settings(names, **more):
    hop = f"127.0.0.1:{free_port()}"
    keys = [{"domain": k["domain"], "selector": k["selector"], "file": k["key"]} for k in names.keys.values()]
    return {"domains": [{"name": d, "deliver": hop} for d in DOMAINS], "dns": {"servers": [names.proxy.server], "timeout": "2s"},
            "delivery": {"public_addresses": [V4, V6]}, "dkim": {"keys": keys},
            "checks": {"dns_lists": {"lists": [{"zone": "bl.example"}, {"zone": "white.example", "action": "allow"}]}}, **more}


@pytest.fixture(scope="module")
def relay(names, module_postern):
    r = module_postern(**settings(names, web=on()))
    return r


def ask(relay, what="doctor", **arguments):
    query = "&".join(f"{k}={v}" for k, v in arguments.items())
    return relay.ask(f"/v1/{what}" + (f"?{query}" if query else ""))


def findings(relay, **arguments):
    return ask(relay, **arguments)["findings"]


def states(all_findings, key="subject"):
    """{id: {subject: state}}"""
    out = {}
    for f in all_findings:
        out.setdefault(f["id"], {})[f[key]] = f["state"]
    return out


def one(all_findings, id, subject):
    return next(f for f in all_findings if f["id"] == id and f["subject"] == subject)


@pytest.fixture(scope="module")
def checked(relay):
    wait_until(lambda: {l["state"] for l in relay.status()["figures"][0]["policy"]["dns_lists"]} == {"up"}, "the lists to pass their tests")
    return findings(relay)


# ---- the machine

def test_own_name_and_addresses(checked):
    s = states(checked)
    assert s["addresses"] == {HOST: "ok"} and s["a"] == {HOST: "ok"} and s["helo"] == {HOST: "ok"}
    assert s["ptr"] == {V4: "ok", V6: "ok"}


def test_each_domain(checked):
    s = states(checked)
    assert s["mx"] == {"good.example": "ok", "bad.example": "warning", "none.example": "error", "worse.example": "error",
                       "sub.good.example": "warning", "slip.example": "warning"}
    assert s["spf"] == {"good.example": "ok", "bad.example": "error", "none.example": "error", "worse.example": "error",
                        "sub.good.example": "error", "slip.example": "error"}
    assert s["dmarc"] == {"good.example": "ok", "bad.example": "warning", "none.example": "warning", "worse.example": "error",
                          "sub.good.example": "ok", "slip.example": "warning"}
    assert s["mta-sts"] == {"good.example": "ok", "bad.example": "skipped", "none.example": "skipped", "worse.example": "error",
                            "sub.good.example": "skipped", "slip.example": "skipped"}
    assert s["tls-rpt"]["good.example"] == "ok" and s["tls-rpt"]["bad.example"] == "warning" and s["tls-rpt"]["none.example"] == "skipped"
    dkim = s["dkim"]
    assert dkim["s1._domainkey.good.example"] == "ok" and dkim["s1._domainkey.bad.example"] == "error"
    assert dkim["s1._domainkey.slip.example"] == "error" and dkim["none.example"] == "warning"


def test_texts_say_what_is_wrong(checked):
    assert "mail.bad.example" in one(checked, "mx", "bad.example")["text"]
    assert "no mail at all" in one(checked, "mx", "worse.example")["text"]
    assert "gone.slip.example" in one(checked, "mx", "slip.example")["text"]
    assert "10 look-ups" in one(checked, "spf", "worse.example")["text"]
    assert "another key" in one(checked, "dkim", "s1._domainkey.bad.example")["text"]
    assert "twice" in one(checked, "dkim", "s1._domainkey.slip.example")["text"]
    assert "several" in one(checked, "dmarc", "worse.example")["text"]
    assert one(checked, "dkim", "none.example")["option"] == "dkim.keys" and "option" not in one(checked, "mx", "none.example")
    for f in checked:
        assert "option" not in f or f["state"] not in ("ok", "skipped"), f
        assert f["text"] and (f["mend"] or f["state"] in ("ok", "skipped", "unknown")), f


def test_records_to_enter(checked, names):
    spf = one(checked, "spf", "bad.example")["records"][0]
    assert spf["value"] == f"v=spf1 ip4:198.51.100.9 ip4:{V4} ip6:{V6} ~all" and spf["host"] == "bad.example" and spf["type"] == "TXT"
    assert one(checked, "spf", "none.example")["records"][0]["value"] == f"v=spf1 ip4:{V4} ip6:{V6} ~all"
    # What somebody has to put together himself is not offered ready: it would shut others out.
    assert "records" not in one(checked, "spf", "worse.example") and "records" not in one(checked, "dmarc", "worse.example")
    mx = one(checked, "mx", "none.example")["records"][0]
    assert mx["value"] == f"10 {HOST}" and mx["bind"] == f"none.example. IN MX 10 {HOST}."
    dkim = one(checked, "dkim", "s1._domainkey.bad.example")["records"][0]
    assert dkim["value"] == names.keys["bad.example"]["value"]
    strings = re.findall(r'"([^"]*)"', dkim["bind"])
    assert "".join(strings) == dkim["value"] and max(map(len, strings)) <= 255
    assert not [f for f in checked if f["state"] == "ok" and "records" in f]


def test_records_of_one_domain(relay):
    records = {r["id"] + " " + r["type"]: r for r in ask(relay, "records", domain="Good.Example.")["records"]}
    assert {k: r["state"] for k, r in records.items()} == {
        "a A": "ok", "a AAAA": "ok", "ptr PTR": "ok", "mx MX": "ok", "spf TXT": "ok", "dkim TXT": "ok", "dmarc TXT": "ok", "mta-sts TXT": "ok",
        "tls-rpt TXT": "ok"}
    assert records["mx MX"]["found"] == [f"10 {HOST}"] and records["spf TXT"]["value"].startswith("v=spf1 ip4")
    bad = {r["id"]: r["state"] for r in ask(relay, "records", domain="bad.example")["records"]}
    assert bad == {"a": "ok", "ptr": "ok", "mx": "different", "spf": "different", "dkim": "different", "dmarc": "ok", "mta-sts": "missing",
                   "tls-rpt": "different"}
    none = {r["id"]: r["state"] for r in ask(relay, "records", domain="none.example")["records"]}
    assert none["mx"] == none["spf"] == none["dmarc"] == "missing"


def test_a_domain_that_is_not_configured_yet(relay):
    found = states(findings(relay, domain="later.good.example"))
    assert found["mx"] == {"later.good.example": "error"} and "open-relay" not in found
    with pytest.raises(AssertionError, match="400"):
        ask(relay, domain="not%20a%20domain")
    with pytest.raises(AssertionError, match="400"):
        ask(relay, nonsense="x")


def test_block_lists(checked):
    listed = [f for f in checked if f["id"] == "dns-list" and f["subject"] == V4]
    assert sorted((f["state"], "bl.example" in f["text"]) for f in listed) == [("error", True), ("ok", False)]


def test_certificate_relay_and_health(checked):
    s = states(checked)
    assert s["certificate"] == {HOST: "warning"}  # signed by itself
    assert s["open-relay"] == {"internet": "ok"}
    assert s["queue"] == {HOST: "ok"} and set(s["disk"].values()) == {"ok"}
    assert set(s["resolver"].values()) == {"warning"}  # Knot knows nothing of the internet


def test_kept_for_a_minute_and_fresh(relay, names, checked):
    names.proxy.asked.clear()
    assert findings(relay) == checked and not names.proxy.asked
    findings(relay, domain="good.example", fresh="true")
    assert findings(relay, domain="good.example")
    begin = time.monotonic()
    findings(relay, domain="good.example", fresh="true")
    assert time.monotonic() - begin < 5


def test_open_relay_is_found(names, postern):
    relay = postern(**settings(names, relaying=[{"match": "relay-test.example.org", "on": ["to"], "action": "relay"}],
                               zones={"lan": {"networks": ["127.0.0.2"], "trust": "relay"}, "guests": {"networks": ["10.9.0.0/16"]}}))
    all_findings = findings(relay)
    s = states(all_findings)["open-relay"]
    assert s["internet"] == "error" and s["guests"] == "error"
    assert "victim@relay-test.example.org" in one(all_findings, "open-relay", "internet")["text"]


def test_wrong_reverse_names_and_no_address(names, postern):
    relay = postern(**settings(names, hostname="nowhere.good.example", delivery={"public_addresses": ["192.0.2.11", "192.0.2.12", "192.0.2.13"]}))
    all_findings = findings(relay, domain="good.example")
    s = states(all_findings)
    assert s["a"] == {"nowhere.good.example": "error"} and s["helo"] == {"nowhere.good.example": "error"}
    assert s["ptr"] == {"192.0.2.11": "error", "192.0.2.12": "error", "192.0.2.13": "warning"}
    assert "does not lead back" in one(all_findings, "ptr", "192.0.2.11")["text"] and "no name" in one(all_findings, "ptr", "192.0.2.12")["text"]
    assert {r["type"] for r in one(all_findings, "a", "nowhere.good.example")["records"]} == {"A"}


def test_private_addresses_are_said_to_be_that(names, postern):
    relay = postern(**settings(names, delivery={"source4": "127.0.0.1", "family": "ipv4"}))
    found = one(findings(relay, domain="good.example"), "addresses", HOST)
    assert found["state"] == "warning" and "public_addresses" in found["mend"]


def test_by_a_smarthost(names, postern):
    relay = postern(**settings(names, smarthost="127.0.0.1:2525"))
    s = states(findings(relay, domain="bad.example"))
    assert s["spf"] == {"bad.example": "ok"}


@pytest.mark.slow
def test_silent_name_servers_do_not_hold_it_up(names, postern):
    proxy = DnsProxy(names.knot.port)
    proxy.mode = "silent"
    try:
        changes = settings(names)
        changes["dns"] = {"servers": [proxy.server], "timeout": "60s"}
        relay = postern(**changes)
        begin = time.monotonic()
        answer = {}
        asking = threading.Thread(target=lambda: answer.update(ask(relay)))
        asking.start()
        time.sleep(1)
        with relay.trusted() as c:  # its loop goes on
            c.ehlo()
            c.quit()
        assert time.monotonic() - begin < 10
        asking.join()
        assert 15 < time.monotonic() - begin < 28
        s = states(answer["findings"])
        assert s["mx"]["good.example"] == "unknown" and s["spf"]["good.example"] == "unknown" and s["a"] == {HOST: "unknown"}
        assert set(s["resolver"].values()) == {"error"}
    finally:
        proxy.stop()


@pytest.mark.slow
def test_scanners_and_tables_in_trouble(names, postern, tmp_path, sink):
    people = tmp_path / "people"
    people.write_text("a@good.example\n")
    relay = postern(**settings(names, scanners=[{"name": "away", "type": "clamd", "address": f"127.0.0.1:{free_port()}"}],
                               tables={"people": {"file": str(people)}}, domains=[{"name": "good.example", "deliver": sink.hop, "recipients": {
                                   "verify": "list", "list": [{"table": "people"}]}}]))
    with pytest.raises(AssertionError, match="expected 250, got 451"):  # it cannot be scanned
        relay.send("a@good.example")
    people.write_text("/(/\n")
    wait_until(lambda: relay.status()["figures"][0]["tables"]["broken"], "the table to be broken", 30)
    wait_until(lambda: "scanner" in states(findings(relay)), "the scanner to be known")
    s = states(findings(relay))
    assert s["scanner"] == {"away": "error"} and s["tables"] == {"people": "error"} and set(s["scan"].values()) == {"ok"}, s


@pytest.mark.daily(1)
@pytest.mark.parametrize("state, text, how", [
    ("ok", "an authority vouches", {}), ("warning", "ends on", {"life": 10}), ("warning", "not for the name", {"names": ["other.example"]}),
    ("warning", "leads to no authority", {"other": True})])
def test_certificates(names, postern, tmp_path, state, text, how):
    ca = Pair(tmp_path, "authority", life=300)
    pair = Pair(tmp_path, "mx", how.get("names", [HOST]), by=Pair(tmp_path, "stranger", life=300) if how.get("other") else ca, life=how.get("life", 90))
    relay = postern(**settings(names, tls={"certificate": str(pair.cert_file), "key": str(pair.key_file), "ca": str(ca.cert_file)}))
    found = one(findings(relay), "certificate", HOST)
    assert found["state"] == state and text in found["text"], found


@pytest.fixture
def policies(names, postern, tmp_path):
    """A relay that fetches policies, and the server of those of right, wrong, slow and gone.example."""
    if port_443():
        pytest.skip(port_443())
    ca, all_names = Pair(tmp_path, "authority", life=300), ("right", "wrong", "slow", "gone")
    server = PolicyServer(tmp_path, ca)
    knot = Knot(tmp_path / "names", {f"{name}.example": f'@ MX 10 {HOST}.\n_mta-sts TXT "v=STSv1; id=1"\nmta-sts A {server.ip}' for name in all_names})
    server.pages = {(f"mta-sts.{name}.example", "/.well-known/mta-sts.txt"): page for name, page in (
        ("right", Page(policy("enforce", HOST))), ("wrong", Page(policy("enforce", "old.wrong.example"))), ("slow", Page(policy("enforce", HOST), slow=1)))}
    for name in all_names:
        server.pair(f"mta-sts.{name}.example")
    changes = settings(names, tls={"ca": str(ca.cert_file)})
    changes.update(dns={"servers": [knot.server], "timeout": "2s"}, delivery={"mta_sts": True, "public_addresses": [V4]})
    yield postern(**changes)
    server.stop()
    knot.stop()


def test_policies_are_fetched(policies):
    for domain, state, text in (("right.example", "ok", "enforced"), ("wrong.example", "error", f"does not name the MX host {HOST}"),
                                ("gone.example", "error", "404")):
        found = one(findings(policies, domain=domain), "mta-sts", domain)
        assert found["state"] == state and text in found["text"], found


@pytest.mark.slow
def test_what_takes_too_long_is_not_waited_for(policies):
    begin = time.monotonic()
    all_findings = findings(policies, domain="slow.example")
    assert 19 < time.monotonic() - begin < 26
    found = one(all_findings, "mta-sts", "slow.example")
    assert (found["state"], found["text"]) == ("unknown", "its policy did not come in time") and states(all_findings)["mx"]["slow.example"] == "ok"


# ---- the command

def test_command(relay):
    done = relay.command("doctor", check=1)
    assert "error    spf: bad.example" in done.stdout and "Records to enter:" in done.stdout and "=> enter the record below" in done.stdout
    before = done.stdout.split("Records to enter")[0]
    assert max(map(len, before.splitlines())) <= 80, before
    assert "ok       mx: good.example" not in done.stdout and "ok       mx: good.example" in relay.command("doctor", "--all", check=1).stdout
    records = relay.command("doctor", "records", "good.example").stdout
    assert f"  MX    good.example\n        10 {HOST}\n" in records
    bind = relay.command("doctor", "records", "good.example", "--bind").stdout
    assert f"good.example. IN MX 10 {HOST}." in bind and "s1._domainkey.good.example. IN TXT (" in bind
    assert json.loads(relay.command("doctor", "good.example", "--json", check=0).stdout)["findings"]
    relay.command("doctor", "--nonsense", check=64)


# ---- probes

def probe(relay, status=200, **body):
    a = control(relay, "POST", "/v1/probe", body)
    assert a.status == status, a
    return a.json


def steps(answer):
    return [(s["step"], s["ok"]) for s in answer["steps"]]


@pytest.fixture(scope="module")
def tls_sink(tmp_path_factory):
    sink = Sink(tls=Pair(tmp_path_factory.mktemp("pair"), "sink", ["127.0.0.1", "sink.example"]).context(), extensions=["PIPELINING", "STARTTLS", "SIZE 1000"])
    yield sink
    sink.stop()


def test_probe(relay, sink):
    answer = probe(relay, host="127.0.0.1", port=sink.port, recipient="somebody@good.example", sender="us@good.example")
    assert answer["ok"] and steps(answer) == [("resolve", True), ("connect", True), ("greeting", True), ("ehlo", True), ("starttls", True), ("recipient", True)]
    assert "in the clear" in answer["steps"][4]["text"] and "SIZE 50000000" in answer["extensions"] and all(s["ms"] >= 0 for s in answer["steps"])
    assert sink.sessions[0].commands[1:3] == ["MAIL FROM:<us@good.example>", "RCPT TO:<somebody@good.example>"] and not sink.messages
    sink.on("rcpt", "550 5.1.1 no such user")
    answer = probe(relay, host="127.0.0.1", port=sink.port, recipient="nobody@good.example")
    assert not answer["ok"] and answer["steps"][-1]["text"] == "550 5.1.1 no such user"


def test_probe_with_tls(relay, tls_sink):
    answer = probe(relay, host="127.0.0.1", port=tls_sink.port, tls="encrypt")
    hello = next(s["text"] for s in answer["steps"] if s["step"] == "ehlo")  # several lines on one
    assert ", PIPELINING" in hello and "\\" not in hello
    assert answer["ok"] and answer["tls"]["version"] == "TLSv1.3" and answer["tls"]["names"] == ["sink.example"], answer
    assert not answer["tls"]["verified"] and answer["tls"]["failure"] and "SIZE 1000" in answer["extensions"]
    answer = probe(relay, host="127.0.0.1", port=tls_sink.port, tls="verify")
    assert not answer["ok"] and steps(answer)[-1] == ("starttls", False)
    assert probe(relay, host="127.0.0.1", port=tls_sink.port, tls="none")["ok"]


def test_probe_without_starttls_where_it_must_be(relay, sink):
    answer = probe(relay, host="127.0.0.1", port=sink.port, tls="encrypt")
    assert not answer["ok"] and steps(answer)[-1] == ("starttls", False)


def test_probe_verifies(postern, tmp_path, make_sink):
    ca = Pair(tmp_path, "authority")
    pair = Pair(tmp_path, "sink", ["127.0.0.1"], by=ca)
    sink = make_sink(tls=pair.context(), extensions=["STARTTLS"])
    relay = postern(tls={"ca": str(ca.cert_file)})
    answer = probe(relay, host="127.0.0.1", port=sink.port, tls="verify")
    assert answer["ok"] and answer["tls"]["verified"], answer


def test_probe_names_and_what_is_refused(relay):
    assert steps(probe(relay, host="nothing.good.example")) == [("resolve", False)]
    assert steps(probe(relay, host="mx:worse.example")) == [("resolve", False)]
    answer = probe(relay, host="127.0.0.1", port=free_port())
    assert steps(answer) == [("resolve", True), ("connect", False)]
    for wrong in ({"host": "a b"}, {"host": "127.0.0.1", "port": 0}, {"host": "127.0.0.1", "port": 65536}, {"host": "127.0.0.1", "tls": "so"},
                  {"host": "127.0.0.1", "recipient": "x@y.example>\r\nDATA"}, {"host": "127.0.0.1", "recipient": "no address"}, {}, {"host": "x", "more": 1}):
        probe(relay, 400, **wrong)


@contextlib.contextmanager
def server(act):
    """Runs act(socket) for each connection."""
    def run():
        with contextlib.suppress(OSError):
            while True:
                conn, _ = listener.accept()
                threading.Thread(target=one_connection, args=(conn,), daemon=True).start()

    def one_connection(conn):
        with contextlib.suppress(OSError), conn:
            act(conn)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=run, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def endless_line(conn):
    conn.sendall(b"220 ")
    while True:
        conn.sendall(b"x" * 65536)


def endless_lines(conn):
    while True:
        conn.sendall(b"220-more\r\n" * 1000)


def rubbish(conn):
    conn.sendall(bytes(range(256)) * 4 + b"\r\n")
    conn.recv(1000)


def broken_tls(conn):
    conn.sendall(b"220 x\r\n")
    conn.recv(1000)
    conn.sendall(b"250-x\r\n250 STARTTLS\r\n")
    conn.recv(1000)
    conn.sendall(b"220 go\r\n")
    conn.sendall(b"this is no handshake at all, and never will be\r\n" * 10)
    conn.recv(1000)


def injected(conn):
    conn.sendall(b"220 x\r\n")
    conn.recv(1000)
    conn.sendall(b"250-x \x1b[31m\xff\xfe\r\n250 \x1b]0;bad\x07\r\n")
    conn.recv(1000)


@pytest.mark.parametrize("act", [endless_line, endless_lines, rubbish, broken_tls])
def test_probe_of_hostile_servers(relay, act):
    with server(act) as port:
        begin = time.monotonic()
        answer = probe(relay, host="127.0.0.1", port=port)
        assert not answer["ok"] and time.monotonic() - begin < 20, answer


def test_probe_shows_nothing_raw(relay):
    with server(injected) as port:
        answer = probe(relay, host="127.0.0.1", port=port)
        assert "\x1b" not in json.dumps(answer, ensure_ascii=False)


@pytest.mark.slow
def test_probe_of_a_silent_server_and_how_many_at_once(relay):
    with server(lambda conn: conn.recv(10)) as port:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(control(relay, "POST", "/v1/probe", {"host": "127.0.0.1", "port": port}))) for _ in range(6)]
        begin = time.monotonic()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert 10 < time.monotonic() - begin < 25
        assert sorted(a.status for a in answers) == [200] * 4 + [400] * 2
        assert all(not a.json["ok"] and "no answer in time" in a.json["steps"][-1]["text"] for a in answers if a.status == 200)


@pytest.mark.slow
def test_probe_goes_on_to_the_next_address(relay):
    """As delivery does, in whichever order they come."""
    with contextlib.ExitStack() as close:
        full = close.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
        address = full.getsockname()
        for _ in range(2):  # the queue is full then, and more are not answered
            s = close.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex(address)
        answer = probe(relay, host="two.good.example", port=address[1])
    assert steps(answer) == [("resolve", True), ("connect", False), ("connect", False)]
    told = {s["text"].split()[0]: s["text"] for s in answer["steps"][1:]}
    assert told["127.0.0.2"].endswith("no answer in time") and "refused" in told["127.0.0.3"], told


@pytest.mark.slow
def test_probe_of_postfix(relay, postfix):
    fix = postfix("127.0.0.1:1")
    answer = probe(relay, host="127.0.0.1", port=fix.port, recipient="somebody@good.example")
    assert answer["ok"] and "PIPELINING" in answer["extensions"] and "ESMTP" in answer["steps"][2]["text"]


# ---- explaining

def explain(relay, status=200, **body):
    a = control(relay, "POST", "/v1/explain", {"client": "192.0.2.99", "from": "a@b.example", **body})
    assert a.status == status, a
    return a.json


def test_explain_has_a_path(relay):
    answer = explain(relay, to=["x@good.example", "y@elsewhere.test"])
    assert [s["stage"] for s in answer["stages"]] == ["connect", "helo", "mail", "rcpt", "data", "content"]
    rcpt = answer["stages"][3]
    assert rcpt["reached"] and rcpt["outcome"] == "reject"
    assert [c["check"] for c in rcpt["checks"] if c.get("decides")] == ["relay"]
    taken, refused = answer["recipients"]
    assert taken["to"][0]["next_hop"] and refused["stage"] == "rcpt" and refused["check"] == "relay"


def test_explain_takes_a_message_as_text(relay):
    text = "From: a@b.example\nSubject: hello\n\ntext\n"
    for message in (text, base64.b64encode(text.encode()).decode()):
        answer = explain(relay, to=["x@good.example"], message=message)
        assert answer["recipients"][0]["outcome"] == "pass", answer
    explain(relay, 400, to=["x@good.example"], message="!!!")
    explain(relay, 413, to=["x@good.example"], message=text + "x" * 700_000)
    assert explain(relay, to=["x@good.example"], message=text + ("x" * 70 + "\n") * 9800)["recipients"]
    explain(relay, 413, to=["x@good.example"], account="\x01" * 190_000)  # larger between processes than it came
    assert relay.status()["missing"] == 0


def test_explain_for_a_zone(relay):
    assert explain(relay, to=["y@elsewhere.test"], zone="lan")["recipients"][0]["outcome"] == "pass"
    explain(relay, 400, to=["y@elsewhere.test"], zone="none")


# ---- over HTTPS

def test_over_https_and_who_may(relay):
    web = administrator(relay)
    answer = web.get("/v1/doctor?domain=good.example")
    assert answer.status == 200 and states(answer.json["findings"])["mx"] == {"good.example": "ok"} and answer.json["running"] is False
    assert web.get("/v1/records?domain=good.example").json["records"]
    assert web.post("/v1/probe", {"host": "127.0.0.1", "port": free_port()}).json["ok"] is False
    probes = [e for e in web.get("/v1/audit").json["entries"] if "probe" in e["action"]]
    assert probes and probes[0]["target"] == "127.0.0.1", web.get("/v1/audit").text[:800]
    assert web.post("/v1/explain", {"client": "192.0.2.9", "to": ["x@good.example"]}).status == 200
    assert Web(relay).get("/v1/doctor").status == 401
