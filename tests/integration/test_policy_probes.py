# SPDX-License-Identifier: Apache-2.0
"""The classic probes for open relays, by a stranger whom every list allows that there is: what spares a client checks never lets it relay."""
import pytest

from lib.sink import Sink
from lib.smtp import STRANGER, Closed, Smtp

OURS, HOST, FOREIGN = "example.com", "mx.postern.example", "foreign.example"
SENDERS = ["spam@evil.example", "user@example.com", "", "postmaster@mx.postern.example"]
ANY = ["/.*/", "foreign.example", ".foreign.example", "victim@", "victim@foreign.example"]

ALLOWED = {
    "nothing": {},
    "clients": {"checks": {"allow": {"clients": [STRANGER, "127.0.0.0/8", "::1"]}}},
    "senders": {"checks": {"allow": {"senders": [*ANY, "<>", "evil.example", "user@example.com", "spam@"]}}},
    "recipients": {"checks": {"allow": {"recipients": ANY}}},
    "ok": {"relaying": [{"match": STRANGER, "action": "ok"}, {"match": "evil.example", "on": "from", "action": "ok"},
                        {"match": FOREIGN, "on": ["from", "to"], "action": "ok"}, {"match": OURS, "on": "any", "action": "ok"}]},
    "a domain": {"relaying": [{"match": "partner.example", "on": "to", "action": "relay"}]},
    "exceptions": {"checks": {
        "greylist": {"enabled": True, "exempt": {"clients": [STRANGER], "senders": ANY, "recipients": ANY}},
        "greeting_pause": {"enabled": True, "pause": "50ms", "exempt": [STRANGER]},
        "client_limits": {"enabled": True, "connections": 1, "rate": 1, "exempt": [STRANGER]},
        "reverse_dns": {"enabled": True, "action": "reject", "exempt": [STRANGER]}}},
}
ALLOWED["all"] = {"checks": {"allow": {kind: ALLOWED[kind]["checks"]["allow"][kind] for kind in ("clients", "senders", "recipients")},
                             **ALLOWED["exceptions"]["checks"]},
                  "relaying": [*ALLOWED["ok"]["relaying"], *ALLOWED["a domain"]["relaying"]]}

PROBES = {  # the path of RCPT; what comes behind it
    "plain": "<victim@foreign.example>",
    "below": "<victim@mail.foreign.example>",
    "mixed case": "<Victim@FOREIGN.Example>",
    "our domain below theirs": "<victim@example.com.foreign.example>",
    "our domain as the end of theirs": "<victim@notexample.com>",
    "trailing dot": "<victim@foreign.example.>",
    "trailing dot of ours": "<victim%foreign.example@example.com.>",
    "percent": "<victim%foreign.example@example.com>",
    "percent, twice": "<victim%foreign.example%example.com@example.com>",
    "percent, by our name": "<victim%foreign.example@mx.postern.example>",
    "percent, by our address": "<victim%foreign.example@[127.0.0.1]>",
    "percent, below a wide domain": "<victim%foreign.example@sub.wide.example>",
    "percent, by a listed domain": "<victim%foreign.example@partner.example>",
    "percent without a domain": "<victim%foreign.example>",
    "percent, quoted": '<"victim%foreign.example"@example.com>',
    "bang": "<foreign.example!victim>",
    "bang, by us": "<foreign.example!victim@example.com>",
    "bang, by way of us": "<example.com!foreign.example!victim@mx.postern.example>",
    "bang, by our address": "<foreign.example!victim@[127.0.0.1]>",
    "bang and percent": "<foreign.example!victim%other.example@example.com>",
    "bang, quoted": '<"foreign.example!victim"@example.com>',
    "at, twice": "<victim@foreign.example@example.com>",
    "at, at our address": "<victim@foreign.example@[127.0.0.1]>",
    "at, quoted": '<"victim@foreign.example"@example.com>',
    "at, quoted, by our name": '<"victim@foreign.example"@mx.postern.example>',
    "at, quoted, by a listed domain": '<"victim@foreign.example"@partner.example>',
    "at, a quoted pair": r'<"victim\@foreign.example"@example.com>',
    "all of it quoted": '<"victim@foreign.example">',
    "source route": "<@example.com:victim@foreign.example>",
    "source route, two of ours": "<@example.com,@mx.postern.example:victim@foreign.example>",
    "source route, our address": "<@[127.0.0.1]:victim@foreign.example>",
    "source route and percent": "<@example.com:victim%foreign.example@example.com>",
    "source route to one of ours that asks": '<@foreign.example:"victim@foreign.example"@example.com>',
    "our address": "<victim@[127.0.0.1]>",
    "our address, IPv6": "<victim@[IPv6:::1]>",
    "a foreign address": "<victim@[192.0.2.1]>",
    "a bare address": "<victim@127.0.0.1>",
    "without a domain": "<victim>",
    "localhost": "<victim@localhost>",
    "our host": "<victim@mx.postern.example>",
    "their postmaster": "<postmaster@foreign.example>",
    "postmaster, percent": "<postmaster%foreign.example@mx.postern.example>",
    "postmaster, quoted": '<"postmaster@foreign.example">',
    "postmaster, by our name in theirs": "<postmaster@mx.postern.example.foreign.example>",
    "postmaster, source route": "<@mx.postern.example:postmaster@foreign.example>",
    "without brackets": "victim@foreign.example",
    "two paths": "<user@example.com> <victim@foreign.example>",
    "two in one": "<user@example.com,victim@foreign.example>",
    "a parameter": "<victim@foreign.example> ORCPT=rfc822;user@example.com",
    "a parameter that asks": "<victim@foreign.example> RELAY=YES",
    "a comment": "<victim@foreign.example(@example.com)>",
    "a null byte": "<victim@foreign.example\0@example.com>",
    "a bare line end": "<user@example.com>\nRCPT TO:<victim@foreign.example>",
    "UTF-8": "<victim@försign.example>",
    "UTF-8, like ours": "<victim@exаmple.com>",  # a Cyrillic а
    "UTF-8, a wide at": "<victim＠foreign.example>",
    "UTF-8, A-labels": "<victim@xn--frsign-xxa.example>",
    "UTF-8, a zero-width end": "<victim@foreign.example\u200b.example.com>",
}


@pytest.fixture(scope="module")
def sinks():
    both = Sink(), Sink()
    yield both
    for one in both:
        one.stop()


# Daily with all lists at once; one by one in the long run.
SITUATIONS = [name if name == list(ALLOWED)[-1] else pytest.param(name, marks=pytest.mark.slow) for name in ALLOWED]


@pytest.fixture(scope="module", params=SITUATIONS, ids=[name.replace(" ", "-") for name in ALLOWED])
def relay(request, module_postern, sinks):
    inner, outer = sinks
    relay = module_postern(domains=[{"name": OURS, "deliver": inner.hop}, {"name": "wide.example", "subdomains": True, "deliver": inner.hop}],
                           routes=[{"to": "partner.example", "via": inner.hop}], smarthost=outer.hop, limits={"errors": 1000},
                           dns={"timeout": "100ms"}, **ALLOWED[request.param])
    relay.inner, relay.outer = inner, outer
    return relay


def refused(c, line):
    """Nothing of what follows is taken; the connection may end."""
    try:
        c.send(line + b"\r\nNOOP\r\n")
        replies = [c.reply()]
        while replies[-1].code != 250:  # that to NOOP; were it another's, there are too few, or DATA is taken
            replies.append(c.reply())
    except Closed:
        return True
    assert all(r.code >= 500 for r in replies[:-1]) and len(replies) > 1, (line, replies)
    c.cmd("DATA", (503, 554))
    return False


@pytest.mark.parametrize("probe", PROBES, ids=[name.replace(" ", "-").replace(",", "") for name in PROBES])
def test_probe(relay, probe):
    path, c = PROBES[probe], None
    try:
        for sender in SENDERS:
            for utf8 in ([" SMTPUTF8"] if not path.isascii() else ["", " SMTPUTF8"]):
                c = c or Smtp(relay.port, timeout=8)
                c.ehlo("example.com")
                c.cmd(f"MAIL FROM:<{sender}>{utf8}", 250)
                if refused(c, f"RCPT TO:{path}".encode()):
                    c.close()
                    c = None
    finally:
        if c:
            c.close()


def test_what_was_let_through(relay):
    """The lists do allow: mail for our own domains passes, and it alone."""
    relay.inner.clear()
    with Smtp(relay.port) as c:
        c.ehlo()
        c.mail("spam@evil.example")
        c.rcpt("victim@foreign.example", 550)
        c.rcpt("victim@example.com")
        c.data("Subject: x\r\n\r\nx\r\n")
    relay.inner.wait_to("victim@example.com")
    relay.wait_queue_empty()
    assert not relay.outer.messages
