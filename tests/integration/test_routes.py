# SPDX-License-Identifier: Apache-2.0
"""Which way mail goes by sender and recipient, and which address it comes from."""
import json

import pytest

from lib.certs import Pair
from lib.sasl import PASSWORD, USER, auth_rule
from lib.sink import Sink
from lib.smtp import STRANGER, TRUSTED
from lib.util import free_port, wait_until

NEWS4, VIP4, MAIN4, SMART4, OWN4 = "127.0.0.24", "127.0.0.26", "127.0.0.31", "127.0.0.8", "127.0.0.27"


@pytest.fixture(scope="module")
def hops():
    """Next hops, each on an address of its own."""
    all_ = {name: Sink(host=f"127.0.1.{i + 1}", port=free_port()) for i, name in enumerate(["main", "secondary", "boss", "smart", "inner", "login"])}
    all_["six"] = Sink(host="::1", port=free_port())
    yield all_
    for sink in all_.values():
        sink.stop()


@pytest.fixture(scope="module")
def relay(module_postern, hops):
    return module_postern(
        smarthost={"host": hops["smart"].host, "port": hops["smart"].port, "source": SMART4},
        domains=[{"name": "known.example", "deliver": hops["inner"].hop}, {"name": "own.example", "deliver": hops["inner"].hop}],
        delivery={"probe": "0s"}, limits={"errors": 1000},
        routes=[{"from": ".mydomain.example", "via": hops["main"].hop, "source": MAIN4},
                {"to": ".example.org", "via": hops["secondary"].hop},
                {"from": "boss@mydomain.example", "via": hops["boss"].hop},
                {"from": "news.example", "source": NEWS4},
                {"to": "vip@example.org", "source": VIP4},
                {"to": "own.example", "source": OWN4},
                {"to": "six.example", "via": hops["six"].hop, "source": "::1"},
                {"to": "both.example", "via": hops["six"].hop, "source": [NEWS4, "::1"]}])


def arrived(sink, to):
    """The message, and the address it came from."""
    message = sink.wait_to(to)
    return message, message.session.peer[0]


def explain(relay, sender, to, client=TRUSTED):
    told = json.loads(relay.command("explain", "--json", "--client", client, "--from", sender, "--to", to).stdout)
    return told["recipients"][0]["to"][0]


@pytest.mark.parametrize("sender, to, hop, why, source", [
    # the manual's example: two rules fit, the recipient's wins as a whole
    ("anna@foo.mydomain.example", "bert@bar.example.org", "secondary", "route to", "127.0.0.1"),
    ("anna@foo.mydomain.example", "bert@elsewhere.example", "main", "route from", MAIN4),
    ("anna@other.example", "carl@bar.example.org", "secondary", "route to", "127.0.0.1"),
    ("Boss@MyDomain.example", "dora@elsewhere.example", "boss", "route from", "127.0.0.1"),
    ("boss@mydomain.example", "emil@example.org", "secondary", "route to", "127.0.0.1"),
    # neither: the smarthost, from its own address, or another one for one sender
    ("anna@other.example", "frieda@elsewhere.example", "smart", "smarthost", SMART4),
    ("letter@news.example", "gustav@elsewhere.example", "smart", "smarthost", NEWS4),
    # a relay domain's mail, whoever sends it
    ("letter@news.example", "hans@known.example", "inner", "domain", "127.0.0.1"),
    ("boss@mydomain.example", "ida@known.example", "inner", "domain", "127.0.0.1"),
    ("boss@mydomain.example", "jens@own.example", "inner", "domain", OWN4),
    # what says only an address leaves the rest to the wider route
    ("anna@foo.mydomain.example", "vip@example.org", "secondary", "route to", VIP4),
    ("anna@other.example", "karl@six.example", "six", "route to", "::1"),
    ("anna@other.example", "lena@both.example", "six", "route to", "::1"),
    # the null sender has no routes
    ("", "maria@elsewhere.example", "smart", "smarthost", SMART4)])
def test_ways(relay, hops, sender, to, hop, why, source):
    assert relay.send(to, sender=sender).code == 250
    message, peer = arrived(hops[hop], to)
    assert (message.sender, peer) == (sender, source)
    if sender:
        told = explain(relay, sender, to)
        assert (told["route"], told["next_hop"].split(",")[0]) == (why, f"host:{hops[hop].hop}")
        assert source in ("127.0.0.1", told.get("source4"), told.get("source6"))


def test_many_recipients(relay, hops):
    """One message, four ways: each recipient by what decides for it."""
    to = ["many1@example.org", "many2@known.example", "many3@own.example", "many4@elsewhere.example", "many5@elsewhere.example", "vip@example.org"]
    hops["secondary"].clear()
    relay.send(to, sender="many@news.example")
    assert arrived(hops["secondary"], to[0])[1] == "127.0.0.1"
    assert arrived(hops["secondary"], to[5])[1] == VIP4
    assert arrived(hops["inner"], to[1])[1] == "127.0.0.1"
    assert arrived(hops["inner"], to[2])[1] == OWN4
    message, peer = arrived(hops["smart"], to[3])
    assert peer == NEWS4 and message.rcpts == to[3:5]


def test_connections_are_not_shared(relay, hops):
    """Two senders, one smarthost, two addresses: and each connection is used again by whom it belongs to."""
    for i in range(3):
        relay.send(f"news{i}@shared.example", sender="a@news.example")
        relay.send(f"plain{i}@shared.example", sender="a@plain.example")
    peers = {name: [arrived(hops["smart"], f"{name}{i}@shared.example")[1] for i in range(3)] for name in ("news", "plain")}
    assert peers == {"news": [NEWS4] * 3, "plain": [SMART4] * 3}
    for session in {m.session for m in hops["smart"].messages}:
        assert len({m.sender == "a@news.example" for m in hops["smart"].messages if m.session is session and "shared" in m.rcpts[0]}) < 2


def test_a_bounce_goes_its_own_way(relay, hops):
    """It is from nobody: no route for senders is looked at, and its recipient has none."""
    hops["boss"].on("rcpt", "550 5.1.1 nobody", match="refused@")
    relay.send("refused@elsewhere.example", sender="boss@mydomain.example")
    message, peer = arrived(hops["smart"], "boss@mydomain.example")
    assert (message.sender, peer) == ("", SMART4) and b"refused@elsewhere.example" in message.data


def test_deferred_by_sender(relay, hops):
    """A next hop that is down holds up only those whose mail goes there; the queue names it."""
    hops["main"].pause()
    relay.send("waits@elsewhere.example", sender="slow@mydomain.example")
    relay.send("runs@elsewhere.example", sender="quick@other.example")
    hops["smart"].wait_to("runs@elsewhere.example")
    listed = wait_until(lambda: [m for m in relay.queue() if m["sender"] == "slow@mydomain.example" and m.get("reason")], "it to wait")[0]
    assert f"host:{hops['main'].hop},source={MAIN4}" in json.dumps(listed)
    found = json.loads(relay.command("queue", "list", "--json", "--destination", hops["main"].hop).stdout)
    assert "slow@mydomain.example" in json.dumps(found)
    hops["main"].start()
    hops["main"].wait_to("waits@elsewhere.example")


def test_explained(relay, hops):
    told = explain(relay, "letter@news.example", "any@elsewhere.example")
    assert told["source4"] == NEWS4 and told["source_line"] > told["line"] > 0 and told["next_hop"].endswith(f",source={NEWS4}")
    told = explain(relay, "letter@news.example", "hans@known.example", STRANGER)
    assert told["route"] == "domain" and "source4" not in told and "source_line" not in told
    text = relay.command("explain", "--client", TRUSTED, "--from", "letter@news.example", "--to", "any@elsewhere.example").stdout
    text = " ".join(text.split())  # lines are as wide as the terminal
    assert "(smarthost, " in text and f"from the address {NEWS4}, " in text


def test_what_the_hop_of_the_sender_takes(relay, hops):
    """SIZE is that of the next hop that the sender's mail goes to: known as mail has been there."""
    hops["main"].pause()  # connections that stand are of an older greeting
    hops["main"].start()
    hops["main"].extensions = ["PIPELINING", "SIZE 2000", "8BITMIME", "ENHANCEDSTATUSCODES"]
    relay.send("learn@elsewhere.example", sender="big@mydomain.example")
    hops["main"].wait_to("learn@elsewhere.example")
    with relay.trusted() as c:
        c.ehlo()
        c.mail("big@mydomain.example", "SIZE=5000")
        assert c.rcpt("large@elsewhere.example", None).code == 552
        c.cmd("RSET")
        c.mail("big@other.example", "SIZE=5000")
        c.rcpt("large@elsewhere.example", 250)
    hops["main"].extensions[1] = "SIZE 50000000"


def test_a_smarthost_with_login_by_sender(postern, hops, tmp_path):
    import ssl
    authority = Pair(tmp_path / "ca", "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Pair(tmp_path / "ca", "login.example", ["login.example"], by=authority).files)
    seen = []
    login = Sink(host="127.0.1.20", port=free_port(), tls=context, extensions=["PIPELINING", "AUTH PLAIN"])
    login.on("auth", auth_rule(["235 2.7.0 welcome"], seen))
    relay = postern(smarthost=hops["smart"].hop, routes=[
        {"from": "paying.example", "via": {"host": login.host, "port": login.port, "tls": "encrypt", "user": USER, "password": PASSWORD},
         "source": "127.0.0.40"}])
    relay.send("login@elsewhere.example", sender="a@paying.example")
    relay.send("plain@elsewhere.example", sender="a@free.example")
    assert arrived(login, "login@elsewhere.example")[1] == "127.0.0.40"
    assert hops["smart"].wait_to("plain@elsewhere.example").session.tls is False
    assert seen == [("PLAIN", [b"\0" + USER.encode() + b"\0" + PASSWORD.encode()])]
    login.stop()


@pytest.mark.root
def test_addresses_towards_mx_hosts(postern, knot, make_sink):
    """What a route says of addresses holds for each domain's own hosts; with an address of one family only that one is used."""
    names = knot({"two.test": "@ MX 10 mx\nmx A 127.0.0.111\nmx AAAA ::1", "six.test": "@ MX 10 mx\nmx AAAA ::1"})
    four, six = make_sink(host="127.0.0.111", port=25), make_sink(host="::1", port=25)
    relay = postern(dns={"servers": [names.server]},
                    routes=[{"from": "four.example", "source": "127.0.0.41"}, {"from": "six.example", "source": "::1"},
                            {"from": "both.example", "source": ["127.0.0.42", "::1"]}])
    relay.send("a@two.test", sender="x@four.example")
    relay.send("b@two.test", sender="x@six.example")
    relay.send("c@two.test", sender="x@both.example")
    relay.send("d@six.test", sender="x@four.example")
    relay.send("e@six.test", sender="x@both.example")
    assert arrived(four, "a@two.test")[1] == "127.0.0.41"
    assert arrived(six, "b@two.test")[1] == "::1"
    assert arrived(six, "c@two.test")[1] == "::1"
    assert arrived(six, "e@six.test")[1] == "::1"
    relay.wait_log(r"bounced .*to=d@six\.test .*source=127\.0\.0\.41.* none of the MX hosts of six\.test has a usable IPv4 address")


@pytest.mark.daily(2)
@pytest.mark.parametrize("route, says", [
    ({"from": "a.example", "source": "192.0.2.77"}, "192.0.2.77 is no address of this machine"),
    ({"to": "a.example", "source": ["127.0.0.1", "2001:db8::77"]}, "2001:db8::77 is no address of this machine"),
    ({"to": "a.example", "via": "192.0.2.1", "source": "192.0.2.78"}, "192.0.2.78 is no address of this machine"),
    ({"from": "a.example"}, "neither via nor source"), ({"from": "a.example", "to": "b.example", "source": "127.0.0.1"}, "not both")])
def test_refused_at_check_time(tmp_path, route, says):
    from lib.daemon import Postern
    relay = Postern(tmp_path / "p", {"routes": [route]}, start=False)
    done = relay.command("check", check=None)
    assert done.returncode and says in done.stdout + done.stderr
