# SPDX-License-Identifier: Apache-2.0
"""Each check that asks the DNS, through the port, for clients of both families: what is let through and what is refused, the edges of
that, a DNS that fails and one that stays silent, and by which line of the configuration. One cell of each kind is tried daily."""
import ipaddress
import json
import time

import pytest

from lib.dns import DnsProxy
from lib.programs import Knot, have
from lib.smtp import Smtp
from lib.util import free_port, wait_until

pytestmark = pytest.mark.skipif(not have("knotd"), reason="knotd is not installed")

PROXY = "127.0.0.9"
NETWORKS = {4: "192.0.2.{}", 6: "2001:db8::{}"}
MAPPED = ".0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20
SOUND = f"2.0.0.127 A 127.0.0.2\ntest A 127.0.0.2\n2{MAPPED} A 127.0.0.2\n"

# Of lists that count 127.0.0.2 to 127.0.0.9: the last number of what they answer, and what becomes of the mail.
LISTED = {"clean": (None, 250), "below": (1, 250), "lowest": (2, 554), "highest": (9, 554), "above": (10, 250), "error": (None, 250),
          "fails": (None, 250), "silent": (None, 250)}
MODES = {"fails": "servfail", "silent": "silent"}

# Names of clients: their PTR records, and what becomes of the mail.
REVERSE = {"confirmed": (["one"], 250), "one of three": (["forged", "one", "good"], 250), "none": ([], 550), "forged": (["forged"], 550),
           "not there": (["nowhere"], 550), "fails": (["one"], 250), "forward fails": (["broken"], 250), "silent": (["one"], 250),
           "forward silent": (["mute"], 250)}

# Domains: what becomes of a sender, and of a recipient.
DOMAINS = {"mx.test": (250, 250), "one.test": (250, 250), "good.test": (250, 250), "alone.test": (250, 250),
           "nowhere.test": ("550 5.1.8", "550 5.1.2"), "text.test": ("550 5.1.8", "550 5.1.2"), "null.test": ("550 5.7.27", "556 5.1.10"),
           "label": ("550 5.1.8", "550 5.1.2"), "broken.test": (250, 250), "mute.test": (250, 250)}


def client(family, n):
    return NETWORKS[family].format(n)


def reversed_of(ip):
    return ipaddress.ip_address(ip).reverse_pointer.rsplit(".", 2)[0]


def number(first, table, name):
    return first + list(table).index(name)


class World:
    """The name server, one in front of it that fails for some names, and two relays behind a proxy that tells who the client is."""

    def __init__(self, folder, postern):
        zones = {"bl.test": SOUND, "dbl.test": SOUND, "wl.test": SOUND, "two.test": SOUND, "in-addr.arpa": "", "ip6.arpa": "",
                 "test": "mx MX 10 good\nalone AAAA 2001:db8::1\nnull MX 0 .\ntext TXT x\n"}
        modes = {}
        for family in NETWORKS:
            kind, arpa = ("A", "in-addr.arpa") if family == 4 else ("AAAA", "ip6.arpa")
            zones["test"] += f"good {kind} {client(family, 1)}\nforged {kind} {client(family, 99)}\n"
            for what, (last, _) in LISTED.items():
                n, name = number(20, LISTED, what), reversed_of(client(family, number(40, LISTED, what)))
                answer = "127.255.255.254" if what == "error" else f"127.0.0.{last}" if last else None
                zones["bl.test"] += f"{reversed_of(client(family, n))} A {answer}\n" if answer else ""
                zones["dbl.test"] += f"{what}.test A {answer}\n" if answer and family == 4 else ""
                zones["test"] += f"{what} {kind} {client(family, n + 20)}\n"
                zones[arpa] += f"{name} PTR {what}.test.\n"
                if what in MODES:
                    modes[f"{reversed_of(client(family, n))}.bl.test"] = modes[f"{what}.test.dbl.test"] = MODES[what]
            for what, (names, _) in REVERSE.items():
                ip = client(family, number(60, REVERSE, what))
                zones[arpa] += "".join(f"{reversed_of(ip)} PTR {name}.test.\n" for name in names)
                zones["test"] += f"one {kind} {ip}\n" if "one" in names else ""
                if what in MODES:
                    modes[f"{reversed_of(ip)}.{arpa}"] = MODES[what]
            zones[arpa] += f"{reversed_of(client(family, 1))} PTR good.test.\n"
            zones["wl.test"] += f"{reversed_of(client(family, 80))} A 127.0.5.1\n"
            zones["two.test"] += f"{reversed_of(client(family, 81))} A 127.0.0.2\n"
        self.knot = Knot(folder, zones)
        self.dns = DnsProxy(self.knot.port)
        self.dns.modes = {**modes, "broken.test": "servfail", "mute.test": "silent"}
        counts = ["127.0.0.2-127.0.0.9"]
        off = {"sender": {"fqdn": False, "resolvable": False}, "recipient": {"fqdn": False, "resolvable": False}}
        self.lists = self.relay(postern, {**off, "dns_lists": {"timeout": "500ms", "lists": [
            {"zone": "bl.test", "answers": counts}, {"zone": "dbl.test", "of": ["reverse", "helo", "sender"], "answers": counts},
            {"zone": "wl.test", "action": "allow"}, {"zone": "two.test", "action": "score", "weight": 3}]}})
        both = {"fqdn": True, "resolvable": True}
        self.names = self.relay(postern, {"reverse_dns": {"enabled": True, "action": "reject"}, "sender": both, "recipient": both})
        wait_until(lambda: all(one["state"] == "up" for one in self.states()), self.lists.log_tail, 10)

    def relay(self, postern, checks):
        port = free_port()
        made = postern(domains=[{"name": "example.com"}], dns={"servers": [self.dns.server], "timeout": "1s"}, checks=checks,
                       zones={"lan": {"networks": ["127.0.0.2", client(4, 2), client(6, 2)]}},
                       listeners=[{"address": f"127.0.0.1:{port}", "proxies": [PROXY]}])
        made.port = port
        return made

    def states(self):
        return json.loads(self.lists.command("dns-lists", "--json").stdout)["lists"]

    def stop(self):
        self.dns.stop()
        self.knot.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory, module_postern):
    made = World(tmp_path_factory.mktemp("dns") / "knot", module_postern)
    yield made
    made.stop()


class Mail:
    def __init__(self, relay, ip, helo="good.test", sender="a@good.test", to="u@example.com"):
        self.relay, self.ip, self.helo, self.sender, self.to = relay, ip, helo, sender, to

    def said(self):
        """The reply to RCPT, and the seconds it took from the beginning."""
        began = time.monotonic()
        with Smtp(self.relay.port, source=PROXY, greet=False) as c:
            c.send("PROXY {} {} {} 40000 25\r\n".format(*(("TCP6", self.ip, "::1") if ":" in self.ip else ("TCP4", self.ip, "127.0.0.1"))))
            c.reply(220)
            c.ehlo(self.helo)
            c.mail(self.sender)
            return c.rcpt(self.to, None), time.monotonic() - began

    def explained(self, check):
        told = json.loads(self.relay.command("explain", "--json", "--client", self.ip, "--helo", self.helo, "--from", self.sender,
                                             "--to", self.to).stdout)
        return next(e for e in told["trace"] if e["check"] == check)

    def line(self, entry):
        """Of the configuration that decided, and the next, where a list's entry or a group of options goes on."""
        lines = self.relay.config_path.read_text().splitlines()
        return "".join(lines[entry["line"] - 1:entry["line"] + 1])


def cells(table, daily):
    """(name, family) of all of the table; those not in daily are for the long run."""
    return [pytest.param(name, family, marks=[] if (name, family) in daily else pytest.mark.slow, id=f"{name}-{family}".replace(" ", "-"))
            for name in table for family in NETWORKS]


def check_cell(mail, check, outcome, why, line):
    entry = mail.explained(check)
    assert (entry["outcome"], why in entry["why"]) == (outcome, True), entry
    assert not line or line in mail.line(entry), (entry, mail.line(entry))
    return entry


# ---- lists

SUBJECTS = {"client": lambda family, what: {"ip": client(family, number(20, LISTED, what))},
            "reverse": lambda family, what: {"ip": client(family, number(40, LISTED, what))},
            "helo": lambda family, what: {"ip": client(family, 1), "helo": f"{what}.test"},
            "sender": lambda family, what: {"ip": client(family, 1), "sender": f"a@{what}.test"}}
DAILY = {"client": [("highest", 6), ("above", 6), ("fails", 4)], "reverse": [("lowest", 6)], "helo": [("lowest", 4), ("silent", 6)],
         "sender": [("highest", 4), ("above", 4)]}


@pytest.mark.daily(3)
@pytest.mark.parametrize("subject, what, family", [pytest.param(subject, *cell.values, marks=cell.marks, id=f"{subject}-{cell.id}")
                                                   for subject in SUBJECTS for cell in cells(LISTED, DAILY[subject])])
def test_lists(world, subject, what, family):
    zone = "bl.test" if subject == "client" else "dbl.test"
    check = f"dns-lists-{'client' if subject == 'reverse' else subject}"
    Mail(world.lists, client(family, 1)).said()  # a sound answer: five failures in a row would switch the list off
    mail = Mail(world.lists, **SUBJECTS[subject](family, what))
    reply, seconds = mail.said()
    assert reply.code == LISTED[what][1], reply
    assert seconds < 3  # whoever stays silent
    if reply.code == 554:
        assert reply.enhanced == "5.7.1" and f" is listed in {zone}" in reply.text, reply
        check_cell(mail, check, "reject", f"listed in {zone}: 127.0.0.{LISTED[what][0]}", f'"zone": "{zone}"')
    else:
        asked = what in ("clean", "below", "above")  # else nobody said that it is not listed
        alone = subject in ("helo", "sender")  # the only list of its stage
        entry = check_cell(mail, check, "skip" if alone and not asked else "pass", "" if asked else f"no answer of {zone}", None)
        assert ("not listed in" in entry["why"]) == (asked or not alone), entry


@pytest.mark.parametrize("n, family", [(80, 4), pytest.param(80, 6, marks=pytest.mark.slow), pytest.param(81, 4, marks=pytest.mark.slow), (81, 6)])
def test_lists_that_do_not_refuse(world, n, family):
    mail = Mail(world.lists, client(family, n))
    assert mail.said()[0].code == 250
    if n == 80:
        check_cell(mail, "dns-lists-client", "allow", "listed in wl.test: 127.0.5.1", '"zone": "wl.test"')
    else:
        assert check_cell(mail, "dns-lists-client", "score", "listed in two.test: 127.0.0.2 (weight 3)", '"zone": "two.test"')["score"] == 3


def test_a_name_too_long_to_ask(world):
    """254 octets are an address's most: there is room for the name, and not for the zone behind it."""
    mail = Mail(world.lists, client(4, 1), sender="a@" + ".".join(["x" * 60] * 4) + "." + "y" * 7)
    assert mail.said()[0].code == 250
    assert not any(name.startswith("x" * 60) for name in world.dns.asked)
    check_cell(mail, "dns-lists-sender", "skip", "no list could be asked, the name is too long to ask dbl.test", None)


# ---- names of clients

@pytest.mark.daily(2)
@pytest.mark.parametrize("what, family", cells(REVERSE, [("confirmed", 6), ("one of three", 4), ("none", 6), ("forged", 6), ("fails", 4),
                                                         ("forward silent", 4)]))
def test_names(world, what, family):
    mail = Mail(world.names, client(family, number(60, REVERSE, what)))
    reply, seconds = mail.said()
    assert reply.code == REVERSE[what][1], reply
    assert seconds < 4
    if reply.code == 550:
        assert reply.enhanced == "5.7.25", reply
        check_cell(mail, "reverse-dns", "reject", "has no name" if what == "none" else "does not lead back", '"reverse_dns"')
    else:
        unknown = "fails" in what or "silent" in what
        check_cell(mail, "reverse-dns", "skip" if unknown else "pass", "could not be looked up" if unknown else ".test", None)


# ---- domains

def check_domain(mail, check, domain, expected):
    reply, seconds = mail.said()
    assert f"{reply.code} {reply.enhanced}".startswith(str(expected)), reply
    assert seconds < 4
    if reply.code != 250:
        check_cell(mail, check, "reject", domain, f'"{check}"')
    else:
        unknown = domain in ("broken.test", "mute.test")
        check_cell(mail, check, "skip" if unknown else "pass", "MX: " if unknown else domain, None)


@pytest.mark.daily(2)
@pytest.mark.parametrize("domain, family", cells(DOMAINS, [("mx.test", 6), ("nowhere.test", 6), ("null.test", 4), ("label", 4),
                                                           ("broken.test", 6)]))
def test_senders(world, domain, family):
    check_domain(Mail(world.names, client(family, 1), sender=f"a@{domain}"), "sender", domain, DOMAINS[domain][0])


@pytest.mark.parametrize("domain, family", cells(DOMAINS, [("alone.test", 6), ("text.test", 6), ("null.test", 6), ("mute.test", 4)]))
def test_recipients(world, domain, family):
    check_domain(Mail(world.names, client(family, 2), to=f"a@{domain}"), "recipient", domain, DOMAINS[domain][1])


@pytest.mark.parametrize("family", NETWORKS)
def test_literals(world, family):
    """A sender in the domain of his own address."""
    tag = "IPv6:" if family == 6 else ""
    assert Mail(world.names, client(family, 1), sender=f"a@[{tag}{client(family, 1)}]").said()[0].code == 250
    assert Mail(world.names, client(family, 1), sender=f"a@[{tag}{client(family, 3)}]").said()[0].enhanced == "5.1.8"
