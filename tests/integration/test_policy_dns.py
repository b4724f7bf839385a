# SPDX-License-Identifier: Apache-2.0
"""The checks that ask the DNS: lists, names of clients, domains of senders and recipients, EHLO."""
import json
import re
import threading
import time

import pytest

from lib.daemon import postern as command
from lib.dns import DnsProxy
from lib.programs import have
from lib.smtp import Smtp
from lib.util import wait_until

pytestmark = pytest.mark.skipif(not have("knotd"), reason="knotd is not installed")

MAPPED = ".0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
SOUND = "2.0.0.127 A 127.0.0.2\ntest A 127.0.0.2\n2" + MAPPED + " A 127.0.0.2\n"
LOOP6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
ZONES = {
    "bl.test": SOUND + 'invalid.bad A 127.0.0.2\n11.0.0.127 A 127.0.0.4\n11.0.0.127 TXT "Bad host, see page"\n12.0.0.127 A 127.0.0.11\n'
               "13.0.0.127 A 127.0.0.12\n14.0.0.127 A 127.255.255.254\n15.0.0.127 A 203.0.113.1\n16.0.0.127 A 127.0.0.2\n"
               + LOOP6 + " A 127.0.0.3\n",
    "two.test": SOUND + "11.0.0.127 A 127.0.0.2\n16.0.0.127 A 127.0.0.2\n",
    "wl.test": SOUND + "16.0.0.127 A 127.0.5.1\n",
    "dbl.test": SOUND + "spammer.test A 127.0.1.2\nnamed.test A 127.0.1.2\n",
    "everybody.test": "* A 127.0.0.2\n",
    "127.in-addr.arpa": "21.0.0 PTR good.test.\n22.0.0 PTR forged.test.\n23.0.0 PTR named.test.\n",
    "ip6.arpa": LOOP6 + " PTR six.test.\n",
    "test": "good A 127.0.0.21\nforged A 127.0.0.99\nnamed A 127.0.0.23\nsix AAAA ::1\nmx MX 10 good\nonly6 AAAA 2001:db8::1\n"
            "null MX 0 .\ntext TXT x\nspammer A 127.0.0.1\n",
}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    from lib.programs import Knot
    knot = Knot(tmp_path_factory.mktemp("dns") / "knot", ZONES)
    yield knot
    knot.stop()


@pytest.fixture
def make(postern, sink, names):
    """make(**checks): a relay with these checks; all others that ask the DNS are off."""
    def relay(server=None, **checks):
        off = {"sender": {"fqdn": False, "resolvable": False}, "recipient": {"fqdn": False, "resolvable": False}}
        relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop, checks={**off, **checks},
                        dns={"servers": [server or names.server], "timeout": "3s"})
        relay.sink = sink
        return relay
    return relay


def lists(*entries, **more):
    return {"dns_lists": {"lists": list(entries), "timeout": "1s", **more}}


def states(relay):
    told = json.loads(relay.command("dns-lists", "--json").stdout)
    return {one["zone"]: one for one in told.get("lists", [])}


def wait_state(relay, zone, state):
    return wait_until(lambda: states(relay).get(zone, {}).get("state") == state, f"{zone} to be {state}\n{relay.log_tail()}", 10)


def talk(relay, source, helo="client.test", sender="a@client.test", to="u@example.com", expect=250, host="127.0.0.1"):
    """Up to RCPT; the reply to it."""
    with Smtp(relay.port, host=host, source=source) as c:
        c.ehlo(helo)
        c.mail(sender)
        return c.rcpt(to, expect)


# ---- lists

def test_client_in_a_list(make):
    relay = make(**lists({"zone": "bl.test", "answers": ["127.0.0.2-127.0.0.11"], "home": "https://bl.test/"}))
    wait_state(relay, "bl.test", "up")
    reply = talk(relay, "127.0.0.11", expect=554)
    assert reply.enhanced == "5.7.1"
    assert "127.0.0.11 is listed in bl.test: Bad host, see page; see https://bl.test/" in reply.text
    talk(relay, "127.0.0.12", expect=554)
    for source in ("127.0.0.10", "127.0.0.13", "127.0.0.14", "127.0.0.15"):
        talk(relay, source)
    told = states(relay)["bl.test"]
    assert told["listed"] == 2 and told["failed"] == 2 and told["asked"] == 6
    text = relay.command("dns-lists").stdout
    assert "bl.test" in text and "zen.spamhaus.org" in text


def test_ipv6_client_in_a_list(postern, sink, names):
    from lib.util import free_port
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], dns={"servers": [names.server], "timeout": "3s"},
                    listeners=[{"address": f"[::1]:{port}"}],
                    checks={**lists("bl.test"), "sender": {"resolvable": False}, "reverse_dns": {"enabled": True, "action": "score"}})
    relay.port = port
    wait_state(relay, "bl.test", "up")
    talk(relay, "::1", expect=554, host="::1")


def test_trusted_clients_are_not_looked_up(make):
    relay = make(**lists("everybody.test", "bl.test"))
    wait_state(relay, "bl.test", "up")
    talk(relay, "127.0.0.2")


def test_allow_list_spares(make):
    relay = make(**lists("bl.test", {"zone": "wl.test", "action": "allow"}, {"zone": "dbl.test", "of": ["sender"]}))
    for zone in ("bl.test", "wl.test", "dbl.test"):
        wait_state(relay, zone, "up")
    talk(relay, "127.0.0.16", sender="a@spammer.test")
    talk(relay, "127.0.0.11", expect=554)
    talk(relay, "127.0.0.10", sender="a@spammer.test", expect=554)


@pytest.mark.daily(1)
@pytest.mark.parametrize(("threshold", "code"), [(0, 250), (5, 554), (6, 250)])
def test_weights(make, threshold, code):
    relay = make(**lists({"zone": "bl.test", "action": "score", "weight": 3}, {"zone": "two.test", "action": "score", "weight": 2},
                         threshold=threshold))
    wait_state(relay, "bl.test", "up")
    wait_state(relay, "two.test", "up")
    talk(relay, "127.0.0.11", expect=code)


def test_names_in_lists(make):
    relay = make(**lists({"zone": "dbl.test", "of": ["helo", "sender", "reverse"]}))
    wait_state(relay, "dbl.test", "up")
    talk(relay, "127.0.0.10", helo="SPAMMER.test", expect=554)
    talk(relay, "127.0.0.10", sender="a@Spammer.Test", expect=554)
    talk(relay, "127.0.0.23", expect=554)
    talk(relay, "127.0.0.10", helo="[127.0.0.10]", sender="")


def test_a_list_of_everybody_is_off(make):
    relay = make(**lists("everybody.test", off_for="1h"))
    relay.wait_log(r"dns-list-off zone=everybody\.test .*no list may")
    talk(relay, "127.0.0.10")
    assert "no list may" in states(relay)["everybody.test"]["reason"]


@pytest.mark.slow
def test_slow_and_failing_lists(make, names):
    proxy = DnsProxy(names.port)
    try:
        relay = make(server=proxy.server, **lists("bl.test", off_for="1s"))
        wait_state(relay, "bl.test", "up")
        proxy.mode = "silent"
        began = time.monotonic()
        talk(relay, "127.0.0.12")
        assert 0.5 < time.monotonic() - began < 3
        proxy.mode = "servfail"
        for last in range(30, 36):
            talk(relay, f"127.0.0.{last}")
        relay.wait_log(r"dns-list-off zone=bl\.test")
        proxy.mode = "pass"
        relay.wait_log(r"dns-list-on zone=bl\.test", 60)
        # Not 127.0.0.12, about which the resolver may still remember for seconds that the name servers failed.
        talk(relay, "127.0.0.11", expect=554)
    finally:
        proxy.stop()


@pytest.mark.slow
def test_a_bad_ehlo_does_not_hide_a_bad_client(make, names):
    """Who says something that is refused, while the lists are still being asked, and then says it better, has hidden nothing."""
    proxy = DnsProxy(names.port)
    try:
        relay = make(server=proxy.server, **lists({"zone": "bl.test", "answers": ["127.0.0.2-127.0.0.11"]}),
                     helo={"reject_invalid": True}, reverse_dns={"enabled": True, "action": "score"}, greeting_pause={"enabled": False})
        wait_state(relay, "bl.test", "up")
        proxy.delay = 0.3  # the client's name comes first, the lists are asked after it
        with Smtp(relay.port, source="127.0.0.11") as c:
            c.ehlo("127.0.0.11")
            time.sleep(2)
            c.ehlo("client.test")
            c.mail("a@client.test")
            reply = c.rcpt("u@example.com", 554)
        assert "is listed in bl.test" in reply.text, reply
    finally:
        proxy.stop()


def test_an_end_while_something_is_explained(make, names):
    proxy = DnsProxy(names.port)
    try:
        relay = make(server=proxy.server, sender={"fqdn": True, "resolvable": True})
        proxy.mode = "silent"
        asking = threading.Thread(target=lambda: relay.command("explain", "--client", "127.0.0.11", "--from", "a@client.test", "--to",
                                                               "u@example.com", check=None))
        asking.start()
        time.sleep(1)
        relay.stop()
        asking.join()
        assert not re.search(r"worker-ended .*by=signal", relay.log()), relay.log_tail()
    finally:
        proxy.stop()


def test_what_the_configuration_may_not_say(tmp_path):
    def check(entry):
        path = tmp_path / "postern.yaml"
        path.write_text(json.dumps({"hostname": "mx.test", "domains": [{"name": "a.test", "deliver": "10.0.0.1"}],
                                    "checks": {"dns_lists": {"lists": [entry]}}}))
        done = command("check", "-c", path)
        return done.returncode, done.stdout + done.stderr
    assert check("zen.spamhaus.org")[0] == 0
    assert check({"zone": "list.dnswl.org", "action": "allow"})[0] == 0
    code, text = check("list.dnswl.org")
    assert code != 0 and "good" in text
    code, text = check({"zone": "zen.spamhaus.org", "action": "allow"})
    assert code != 0
    code, text = check("dnsbl.sorbs.net")
    assert code == 0 and "no more" in text
    for answer in ("192.0.2.1", "127.0.0.5-127.0.0.2", "127.255.255.254", "x"):
        assert check({"zone": "bl.test", "answers": [answer]})[0] != 0


def test_the_catalogue_needs_no_daemon(tmp_path):
    told = json.loads(command("dns-lists", "--json", "--socket", tmp_path / "none", check=0).stdout)
    assert "lists" not in told and any(one["zone"] == "zen.spamhaus.org" for one in told["catalogue"])


# ---- names of clients

@pytest.mark.daily(1)
@pytest.mark.parametrize(("source", "action", "code"), [
    ("127.0.0.21", "reject", 250), ("127.0.0.22", "reject", 550), ("127.0.0.24", "reject", 550),
    ("127.0.0.24", "defer", 450), ("127.0.0.24", "score", 250), ("127.0.0.2", "reject", 250)])
def test_reverse_name(make, source, action, code):
    relay = make(reverse_dns={"enabled": True, "action": action})
    reply = talk(relay, source, expect=code)
    assert code == 250 or reply.enhanced == f"{code // 100}.7.25"


def test_reverse_name_exempt(make):
    talk(make(reverse_dns={"enabled": True, "exempt": ["127.0.0.24"]}), "127.0.0.24")


@pytest.mark.daily(1)
@pytest.mark.parametrize("mode", ["servfail", pytest.param("silent", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("action", "code"), [("reject", 250), ("defer", 450), ("score", 250)])
def test_reverse_name_while_the_dns_fails(make, names, action, code, mode):
    proxy = DnsProxy(names.port)
    proxy.mode = mode
    try:
        began = time.monotonic()
        talk(make(server=proxy.server, reverse_dns={"enabled": True, "action": action}), "127.0.0.21", expect=code)
        assert time.monotonic() - began < 8
    finally:
        proxy.stop()


# ---- domains

@pytest.fixture(scope="module")
def domains(module_postern, names):
    both = {"fqdn": True, "resolvable": True}
    return module_postern(domains=[{"name": "example.com"}], dns={"servers": [names.server], "timeout": "3s"},
                          checks={"sender": both, "recipient": both})


@pytest.mark.parametrize(("sender", "code", "status"), [
    ("", 250, None), ("a@mx.test", 250, None), ("a@good.test", 250, None), ("a@only6.test", 250, None),
    ("a@text.test", 550, "5.1.8"), ("a@nowhere.test", 550, "5.1.8"), ("a@null.test", 550, "5.7.27"), ("a@localhost", 550, "5.1.8"),
    ("a@[127.0.0.30]", 250, None), ("a@[192.0.2.1]", 550, "5.1.8"), ("a@example.com", 250, None)])
def test_sender_domain(domains, sender, code, status):
    reply = talk(domains, "127.0.0.30", sender=sender, expect=code)
    assert status is None or reply.enhanced == status


@pytest.mark.parametrize(("to", "code", "status"), [
    ("a@mx.test", 250, None), ("a@good.test", 250, None), ("a@nowhere.test", 550, "5.1.2"), ("a@text.test", 550, "5.1.2"),
    ("a@null.test", 556, "5.1.10"), ("a@localhost", 550, "5.1.2"), ("a@example.com", 250, None), ("postmaster", 250, None)])
def test_recipient_domain(domains, to, code, status):
    reply = talk(domains, "127.0.0.2", to=to, expect=code)
    assert status is None or reply.enhanced == status


@pytest.mark.daily(1)
@pytest.mark.parametrize("mode", [pytest.param("silent", marks=pytest.mark.slow), "servfail", "refused", "garbage"])
def test_domains_while_the_dns_fails(make, names, mode):
    proxy = DnsProxy(names.port)
    proxy.mode = mode
    try:
        relay = make(server=proxy.server, sender={"resolvable": True}, recipient={"resolvable": True})
        talk(relay, "127.0.0.30", sender="a@nowhere.test")
        talk(relay, "127.0.0.2", to="a@nowhere.test")
    finally:
        proxy.stop()


def test_slow_dns_delays_rcpt_only(make, names):
    proxy = DnsProxy(names.port)
    proxy.delay = 0.3  # the resolver asks again when it takes longer
    try:
        relay = make(server=proxy.server, sender={"resolvable": True})
        with Smtp(relay.port, source="127.0.0.30") as c:
            c.ehlo()
            began = time.monotonic()
            c.mail("a@nowhere.test")
            mailed = time.monotonic()
            c.rcpt("u@example.com", 550)
            assert mailed - began < 0.3 <= time.monotonic() - began
    finally:
        proxy.stop()


# ---- EHLO

@pytest.mark.daily(1)
@pytest.mark.parametrize(("helo", "invalid", "short"), [
    ("mail.client.test", 250, 250), ("[127.0.0.30]", 250, 250), ("127.0.0.30", 550, 250), ("mypc", 250, 550)])
def test_helo(make, helo, invalid, short):
    relay = make(helo={"reject_invalid": True})
    talk(relay, "127.0.0.30", helo=helo, expect=invalid)
    talk(relay, "127.0.0.2", helo=helo)
    relay = make(helo={"reject_non_fqdn": True})
    talk(relay, "127.0.0.30", helo=helo, expect=short)


def test_mail_without_helo(make):
    relay = make(helo={"required": False})
    with relay.client() as c:
        c.cmd("MAIL FROM:<a@client.test>", 250)
        c.cmd("RSET", 250)
        c.cmd("AUTH PLAIN", (502, 503))
        c.cmd("MAIL FROM:<a@client.test>", 250)
        c.rcpt("nohelo@example.com")
        c.data("Subject: x\n\nx\n")
    message = relay.sink.wait_to("nohelo@example.com")
    assert b"from unknown ([127.0.0." in bytes(message.data)
    relay = make()
    with relay.client() as c:
        c.cmd("MAIL FROM:<a@client.test>", 503)


@pytest.mark.parametrize("domain, said", [("nowhere.test", "does not exist"), ("null.test", "takes no mail (null MX)"),
                                          ("text.test", "has neither MX nor address records")])
def test_why_is_not_told_twice(make, domain, said):
    """What the sender is told says it all: the reason, which stands in the trace, adds nothing to it."""
    relay = make(sender={"fqdn": True, "resolvable": True})
    told = json.loads(relay.command("explain", "--json", "--client", "192.0.2.1", "--from", f"a@{domain}", "--to", "u@example.com").stdout)
    [one] = told["recipients"]
    assert one["text"] == f"the sender's domain {domain} {said}" and "why" not in one, one
    assert [row["why"] for row in told["trace"] if row["check"] == "sender"] == [f"{domain} {said}"]
