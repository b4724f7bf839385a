# SPDX-License-Identifier: Apache-2.0
"""IPv6 clients, and what is told of refusals: at which stage, by which line of the configuration, and to whoever asks later."""
import base64
import json
import re
import time

import pytest

from lib.daemon import postern as command
from lib.smtp import Closed, Smtp
from lib.util import free_port, wait_until

PROXY, XCLIENT = "127.0.0.9", "127.0.0.7"
NAMED = "198.51.100.77"  # mx.named.example


@pytest.fixture
def make(postern, sink, knot):
    """make(**checks): a relay behind a proxy that names its clients, and where but one has no name in the DNS."""
    dns = knot({"ip6.arpa": "", "in-addr.arpa": "77.100.51.198 PTR mx.named.example.", "named.example": f"mx A {NAMED}"})

    def relay(relaying=(), recipients=None, **checks):
        port = free_port()
        made = postern(domains=[{"name": "example.com", "deliver": sink.hop, "recipients": recipients or {}}],
                       dns={"servers": [dns.server]}, relaying=list(relaying),
                       listeners=[{"address": f"127.0.0.1:{port}", "proxies": [PROXY], "xclient": [XCLIENT]}], checks=checks)
        made.port = port
        return made
    return relay


def connect(relay, client, greet=True):
    family, local = ("TCP6", "::1") if ":" in client else ("TCP4", "127.0.0.1")
    c = Smtp(relay.port, source=PROXY, greet=False)
    c.send(f"PROXY {family} {client} {local} 40000 25\r\n")
    if greet:
        c.reply(220)
    return c


def attempt(relay, client, to="u@example.com", sender="a@b.example", data=False, helo="mx.b.example"):
    with connect(relay, client) as c:
        c.ehlo(helo)
        c.mail(sender)
        reply = c.rcpt(to, expect=None)
        if data and reply.code == 250:
            c.data("Subject: x\r\n\r\nx\r\n")
        c.quit()
        return reply


# ---- IPv6

def test_lists(make):
    relay = make(block={"clients": ["2001:db8:5::/48", "2001:db8::7"]}, allow={"clients": ["2001:db8:5:1::/64"]},
                 relaying=[{"match": "2001:db8:6::/64", "action": "relay"}, {"match": "2001:db8:6::9", "action": "reject"}])
    for client, code in (("2001:db8:5::1", 554), ("2001:db8:5:ffff:ffff:ffff:ffff:ffff", 554), ("2001:db8:4:ffff:ffff:ffff:ffff:ffff", 250),
                         ("2001:db8:6::1", 250), ("2001:db8:5:1::1", 250), ("2001:DB8:0::7", 554), ("2001:db8::8", 250),
                         ("2001:db8:6::9", 550)):
        assert attempt(relay, client).code == code, client
    assert attempt(relay, "2001:db8:6::1", "x@far.example").code == 250
    assert attempt(relay, "2001:db8:6:1::1", "x@far.example").code == 550


@pytest.mark.parametrize("mapped", ["::ffff:192.0.2.9", "::ffff:c000:209"])
def test_mapped_addresses_are_ipv4(make, mapped):
    assert attempt(make(block={"clients": ["192.0.2.0/24"]}), mapped).code == 554


def test_greylist_by_network(make):
    relay = make(greylist={"enabled": True, "delay": "1s"})
    assert attempt(relay, "2001:db8:1:1::1").code == 450
    time.sleep(1.1)
    assert attempt(relay, "2001:db8:1:2::1").code == 450                # another /64
    assert attempt(relay, "2001:db8:1:1:ffff::2", data=True).code == 250  # the same
    assert attempt(relay, "2001:db8:1:1::3", "v@example.com").code == 250
    assert attempt(relay, "fd00::1").code == 250                        # private


def test_client_limits_by_network(make):
    relay = make(client_limits={"enabled": True, "connections": 1, "rate": 0})
    with connect(relay, "2001:db8:1:1::1"):
        with connect(relay, "2001:db8:1:1:8000::2", greet=False) as c:
            assert c.reply(421).enhanced == "4.7.0"
        with connect(relay, "2001:db8:1:2::1"), connect(relay, "192.0.2.1"):
            pass


# ---- XCLIENT: the checks judge the client that it names, and those of connections run anew

def become(c, client, expect=220):
    return c.cmd(f"XCLIENT ADDR={'IPV6:' if ':' in client else ''}{client}", expect)


def asked_as(c, client, to="u@example.com", sender="a@b.example"):
    become(c, client)
    c.ehlo("mx.b.example")
    c.mail(sender)
    code = c.rcpt(to, expect=None).code
    c.cmd("RSET", 250)
    return code


@pytest.fixture
def front():
    opened = []

    def connect(relay):
        opened.append(Smtp(relay.port, source=XCLIENT))
        opened[-1].ehlo("front.example")
        return opened[-1]
    yield connect
    for c in opened:
        c.close()


def test_xclient_names_whom_lists_judge(make, front):
    relay = make(block={"clients": ["192.0.2.0/24", "2001:db8:5::/48", XCLIENT, ".named.example"]}, allow={"clients": ["192.0.2.7"]},
                 relaying=[{"match": "2001:db8:6::/64", "action": "relay"}])
    c = front(relay)
    c.mail()
    c.rcpt("u@example.com", expect=554)  # as itself
    c.cmd("RSET", 250)
    for client, code in (("198.51.100.1", 250), ("192.0.2.1", 554), ("192.0.2.7", 250), ("2001:db8:5::1", 554), ("2001:db8:4::1", 250),
                         (NAMED, 554), (XCLIENT, 554), ("198.51.100.1", 250)):
        assert asked_as(c, client) == code, client
    assert asked_as(c, "2001:db8:6::1", "x@far.example") == 250
    assert asked_as(c, "2001:db8:7::1", "x@far.example") == 550
    relay.wait_log(rf"refused .*client={NAMED} .*check=client-names")
    with connect(relay, NAMED) as named:  # by a PROXY header, too
        named.ehlo()
        named.mail()
        named.rcpt("u@example.com", expect=554)


def test_xclient_names_whom_greylisting_knows(make, front):
    relay = make(greylist={"enabled": True, "delay": "1s"}, allow={"clients": ["192.0.2.7"]})
    c = front(relay)
    for client, code in ((XCLIENT, 250), ("192.0.2.7", 250), ("192.0.2.1", 450), ("192.0.2.2", 450), ("2001:db8:1:1::1", 450)):
        assert asked_as(c, client) == code, client
    time.sleep(1.1)
    for client, code in (("192.0.2.1", 250), ("192.0.2.3", 450), ("2001:db8:1:1:8::1", 250), ("2001:db8:1:2::1", 450)):
        assert asked_as(c, client) == code, client
    assert attempt(relay, "192.0.2.2").code == 250  # the same client, named by a PROXY header


def test_xclient_begins_the_checks_of_connections_anew(make, front):
    relay = make(client_limits={"enabled": True, "rate": 2, "exempt": [XCLIENT]},
                 greeting_pause={"enabled": True, "pause": "600ms", "exempt": [XCLIENT]})

    def timed(c, client, expect=220):
        begin = time.monotonic()
        reply = become(c, client, expect)
        c.took = time.monotonic() - begin
        return reply
    c = front(relay)
    timed(c, "192.0.2.1")
    assert c.took > 0.55, c.took
    timed(c, "192.0.2.1")
    assert c.took < 0.5, c.took  # it waited lately
    timed(c, "192.0.2.2")
    assert c.took > 0.55, c.took
    reply = timed(c, "192.0.2.1", (220, 421))
    if reply.code == 220:  # a minute just began, in which those of the one before count a little less
        reply = timed(c, "192.0.2.1", 421)
    assert reply.enhanced == "4.7.0"
    relay.wait_log(r"check=client-limits why=\"3 connections within 60 s, 2 are allowed\"")
    front(relay)  # who names them is not limited


# ---- who logs in late

@pytest.mark.slow
def test_a_login_undoes_no_block_by_name(postern, sink, knot, tmp_path):
    """A refusal for strangers settles nothing for who logs in: what it had passed over is asked then."""
    bad, good = "127.0.0.8", "127.0.0.10"
    dns = knot({"0.0.127.in-addr.arpa": "8 PTR pc.bad.example.\n10 PTR pc.good.example.", "bad.example": f"pc A {bad}",
                "good.example": f"pc A {good}"})
    users, port = tmp_path / "users", free_port()
    command("user", "add", "joe@example.com", "--file", users, stdin="secret enough\n", check=0)
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, dns={"servers": [dns.server]},
                    listeners=[{"address": f"127.0.0.1:{port}", "auth": True, "tls": "offer"}],
                    zones={"clear": {"networks": ["127.0.0.8/30"], "auth_without_tls": True}},
                    auth={"backend": "users", "users": str(users)},
                    checks={"greeting_pause": {"enabled": True, "pause": "500ms"}, "block": {"clients": [".bad.example"]}})
    login = base64.b64encode(b"\0joe@example.com\0secret enough").decode()

    def talk(source, early, auth, expect):
        with Smtp(port, source=source, greet=False) as c:
            if early:
                c.send("EHLO quick.example\r\n")
                c.reply(220)
                c.reply(250)
            else:
                c.reply(220)
                c.ehlo()
            if auth:
                c.cmd(f"AUTH PLAIN {login}", 235)
            c.mail("joe@example.com")
            return c.rcpt("x@far.example" if auth else "u@example.com", expect=expect)
    assert "protocol error" in talk(bad, True, False, 550).text
    assert "not accepted here" in talk(bad, True, True, 554).text
    relay.wait_log(r"refused .*check=client-names why=\"block.clients has .bad.example\"")
    talk(bad, False, True, 554)
    talk(good, True, False, 550)
    talk(good, True, True, 250)  # what strangers are refused for does not concern a user


# ---- reputation

def explained(relay, client="192.0.2.1", to="u@example.com", sender="a@b.example", helo="mx.b.example"):
    return json.loads(relay.command("explain", "--json", "--client", client, "--from", sender, "--to", to, "--helo", helo).stdout)


def finding(relay, check, **kw):
    return next(e for e in explained(relay, **kw)["trace"] if e["check"] == check)


@pytest.mark.daily(1)
@pytest.mark.parametrize("first, neighbour, stranger", [("192.0.2.1", "192.0.2.200", "192.0.3.1"),
                                                        ("2001:db8:1:1::1", "2001:db8:1:1:8::1", "2001:db8:1:2::1")])
@pytest.mark.slow
def test_reputation(make, first, neighbour, stranger):
    relay = make(reputation={"reject_below": "50%"}, block={"senders": ["bad.example"]})
    for _ in range(4):
        assert attempt(relay, first, sender="x@bad.example").code == 550
    assert "little is known" in finding(relay, "reputation", client=neighbour)["why"]
    for _ in range(15):
        attempt(relay, first, sender="x@bad.example")
    relay.restart()  # worker's memory is gone, the store's is not
    wait_until(lambda: "0 % of 19" in finding(relay, "reputation", client=neighbour)["why"],
               lambda: finding(relay, "reputation", client=neighbour), 10, 0.3)
    assert explained(relay, neighbour)["score"] == 5
    assert attempt(relay, neighbour).code == 250  # 20 are needed
    for _ in range(3):
        attempt(relay, first, sender="x@bad.example")
    relay.restart()
    wait_until(lambda: attempt(relay, neighbour).code == 554, relay.log_tail, 10, 0.3)
    assert attempt(relay, stranger).code == 250
    relay.wait_log(r"check=reputation why=\"[0-9]+ % of 2[0-9] verdicts on its network were good, 50 % are wanted\"")


# ---- at which stage

STAGES = [("connect", {"block": {"clients": ["192.0.2.1"]}}, 554), ("helo", {"helo": {"reject_non_fqdn": True}}, 550),
          ("mail", {"block": {"senders": ["b.example"]}}, 550), ("rcpt", {"block": {"recipients": ["u@example.com"]}}, 550)]


@pytest.mark.daily(1)
@pytest.mark.parametrize("delay", [True, False], ids=["delayed", "at-once"])
@pytest.mark.parametrize("stage, checks, code", STAGES, ids=[s[0] for s in STAGES])
def test_refused_at(make, stage, checks, code, delay):
    relay = make(delay_reject=delay, **checks)
    said, where = {}, None
    with connect(relay, "192.0.2.1", greet=False) as c:
        try:
            said["connect"] = c.reply()
            for name, line in (("helo", "EHLO mypc"), ("mail", "MAIL FROM:<a@b.example>"), ("rcpt", "RCPT TO:<u@example.com>")):
                if any(r.code >= 400 for r in said.values()):
                    break
                said[name] = c.cmd(line)
        except Closed:
            pass
    where = next(name for name, reply in said.items() if reply.code >= 400)
    assert where == ("rcpt" if delay else stage), said
    assert said[where].code == code and said[where].enhanced[0] == "5" and "(ref " in said[where].text, said
    reference = re.search(r"\(ref (\w{13})\)", " ".join(said[where].lines))[1]

    def found():
        done = relay.command("trace", "--json", reference, check=None)
        return json.loads(done.stdout)["messages"] if done.returncode == 0 else None
    story = wait_until(found, relay.log_tail, 10, 0.2)[0]
    assert story["id"] == reference and story["state"] == "refused" and story["client"] == "192.0.2.1"
    relay.restart()
    assert found()[0]["id"] == reference
    shown = relay.command("trace", reference).stdout
    assert {"connect": "client-list", "helo": "helo", "mail": "sender-list", "rcpt": "recipient-list"}[stage] in shown, shown
    if delay:
        assert story["recipients"] == ["u@example.com"] and story["sender"] == "a@b.example"


# ---- by which line

LINES = [({"block": {"clients": ["192.0.2.0/28"]}}, "client-list", '"192.0.2.0/28"'),
         ({"allow": {"clients": ["192.0.2.0/28"]}}, "client-list", '"192.0.2.0/28"'),
         ({"block": {"senders": ["b.example"]}}, "sender-list", '"b.example"'),
         ({"block": {"recipients": ["u@example.com"]}}, "recipient-list", '"u@example.com"'),
         ({"allow": {"senders": ["b.example"]}}, "sender-list", '"b.example"'),
         ({"allow": {"recipients": ["u@example.com"]}}, "recipient-list", '"u@example.com"'),
         ({"block": {"clients": [".named.example"]}}, "client-names", '".named.example"'),
         ({"allow": {"clients": [".named.example"]}}, "client-names", '".named.example"'),
         ({}, "relay", '"name": "example.com"'),
         ({}, "relaying-client", '"2001:db8:6::/64"'),
         ({"greylist": {"enabled": True}}, "greylist", '"greylist"')]


@pytest.mark.daily(2)
@pytest.mark.parametrize("checks, check, text", LINES, ids=[f"{line[1]}-{n}" for n, line in enumerate(LINES)])
def test_the_line_that_decides(make, checks, check, text):
    relay = make([{"match": "2001:db8:6::/64", "action": "relay"}], **checks)
    lines = relay.config_path.read_text().splitlines()
    entry = finding(relay, check, client={"relaying-client": "2001:db8:6::1", "client-names": NAMED}.get(check, "192.0.2.1"))
    assert entry.get("line") and text in "".join(lines[entry["line"] - 1:entry["line"] + 1]), (entry, lines[entry.get("line", 0) - 1])


def test_the_line_that_decides_on_a_recipient(make):
    relay = make(recipients={"verify": "list", "list": ["anna@example.com", "/^team-.*/"]})
    lines = relay.config_path.read_text().splitlines()
    for to, outcome, text in (("anna@example.com", "pass", '"anna@example.com"'), ("team-7@example.com", "pass", '"/^team-.*/"'),
                              ("bob@example.com", "defer", '"name": "example.com"')):
        entry = finding(relay, "recipient-exists", to=to)
        assert entry["outcome"] == outcome and text in "".join(lines[entry["line"] - 1:entry["line"] + 1]), (entry, lines[entry["line"] - 1])
