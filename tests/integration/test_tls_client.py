# SPDX-License-Identifier: Apache-2.0
"""TLS towards next hops: what each level makes of each fault, DANE with zones that are signed, and what is told of it."""
import re
import ssl
import subprocess

import pytest

from lib.programs import have
from lib.signed import FailingNames
from lib.sink import CLOSE, Sink
from lib.util import wait_until
from lib.world import World, outcome

LEVELS = ("none", "may", "dane", "encrypt", "verify", "dane-only")

# Each fault: what comes of it at each level, in the order of LEVELS, in the letters of outcome(); and why it was deferred.
MATRIX = {
    "good": ("p v d v v d", None),
    "goodbare": ("p v v v v -", "no TLSA records"),
    "notls": ("p p p - - -", "does not offer STARTTLS|no TLSA records"),
    "stripped": ("p p - - - -", "does not offer STARTTLS"),
    "refused": ("p p p - - -", r"refuses STARTTLS \(454|no TLSA records"),
    "refuseddane": ("p p - - - -", r"refuses STARTTLS \(454 4\.7\.0 TLS is broken today\)"),
    "broken": ("p p p - - -", "TLS handshake|no TLSA records"),
    "expired": ("p e e e - -", "the certificate has expired|no TLSA records"),
    "wrongname": ("p e e e - -", r"the certificate is for another\.example, not for|no TLSA records"),
    "selfsigned": ("p e e e - -", "the certificate is self-signed|no TLSA records"),
    "expiredee": ("p e d e - d", "the certificate has expired"),       # RFC 7671 §5.1: DANE-EE is about the key alone
    "wrongnameee": ("p e d e - d", "the certificate is for another.example"),
    "anchor": ("p v d v v d", None),                                   # DANE-TA
    "anchorname": ("p e - e - -", r"the certificate is for another\.example, not for anchorname"),
    "anchorexpired": ("p e - e - -", "the certificate has expired"),
    "nomatch": ("p v - v v -", "none of the TLSA records matches"),
    "unusable": ("p v v v v -", "none of its TLSA records is usable"),
    "unusablenotls": ("p p - - - -", "does not offer STARTTLS|none of its TLSA records is usable"),
    "servfail": ("p v - v v -", "TLSA records at servfail.* could not be looked up"),
    "bogustlsa": ("p v - v v -", "TLSA records at bogustlsa.* could not be looked up: DNSSEC validation failed"),
    "bogusaddress": ("- - - - - -", "DNSSEC validation failed"),
    "bogusmx": ("- - - - - -", "DNSSEC validation failed"),
    "insecuremx": ("p e e e - -", "MX records that name it are not signed|the certificate is for"),
    "alias": ("p v d v v d", None),                                    # the records are at the alias' end
    "aliasname": ("p v d v v d", None),                                # and here at the alias itself
    "aliasplain": ("p v d v v d", None),                               # its end is not signed, the alias is
}
SINKS = {"good": {}, "goodbare": {}, "notls": {"tls": False}, "stripped": {"tls": False}, "refused": {}, "refuseddane": {}, "broken": {},
         "expired": {"age": 60}, "wrongname": {"names": ["another.example"]}, "selfsigned": {"by": None}, "expiredee": {"age": 60},
         "wrongnameee": {"names": ["another.example"]}, "anchor": {}, "anchorname": {"names": ["another.example"]},
         "anchorexpired": {"age": 60}, "nomatch": {}, "unusable": {}, "unusablenotls": {"tls": False}, "servfail": {}, "bogustlsa": {},
         "bogusaddress": {}, "insecuremx": {}, "alias": {"names": ["alias.signed.test", "end.signed.test"]},
         "aliasname": {"names": ["aliasname.signed.test"]}, "aliasplain": {"names": ["aliasplain.signed.test"]}}


def no_tls(session, _):
    session.sock.sendall(b"220 go on\r\n")
    session.sock.recv(5)
    session.sock.sendall(b"421 this is not TLS\r\n")
    return CLOSE


class Faults(World):
    """A sink at an address of its own for each fault, all on one port, in zones that are signed, bogus and plain."""

    def __init__(self, folder, make):
        super().__init__(folder)
        for number, (name, how) in enumerate(SINKS.items()):
            self.host(name, f"127.0.1.{number + 1}", **{"names": [f"{name}.signed.test"], **how})
        for name in ("refused", "refuseddane"):
            self.sinks[name].on("starttls", "454 4.7.0 TLS is broken today")
        self.sinks["broken"].on("starttls", no_tls)
        self.serve({"signed.test": self.signed(), "bogus.test": self.bogus(), "plain.test": self.plain()}, ["signed.test", "bogus.test"],
                   ["bogus.test"])
        self.more.append(FailingNames(self.names.port, "_tcp.servfail"))
        self.dnssec, self.make = self.dns(self.more[0]), make

    def tlsa(self, name, record, at=None):
        return f"_{self.port}._tcp.{at or name} TLSA {record}\n"

    def signed(self):
        p = self.pairs
        out = "".join(f"{name} A {ip}\n" for name, ip in self.ip.items() if name not in ("alias", "aliasname", "aliasplain", "bogusaddress"))
        out += "".join(f"{fault}-{level} MX 10 {fault}{'.bogus.test.' if fault == 'bogusaddress' else ''}\n"
                       for fault in MATRIX for level in LEVELS)
        for name in ("good", "stripped", "refuseddane", "expiredee", "wrongnameee"):
            out += self.tlsa(name, p[name].tlsa(3))
        for name in ("anchor", "anchorname", "anchorexpired"):
            out += self.tlsa(name, self.ca.tlsa(2, 0))
        out += self.tlsa("nomatch", p["good"].tlsa(3)) + self.tlsa("servfail", p["servfail"].tlsa(3))
        for name in ("unusable", "unusablenotls"):  # usage 1, an unknown selector, a digest of the wrong length
            out += self.tlsa(name, p[name].tlsa(1)) + self.tlsa(name, p[name].tlsa(3, 0).replace("3 0", "3 7"))
            out += self.tlsa(name, "3 1 1 abcd")
        out += f"_{self.port}._tcp.bogustlsa CNAME record.bogus.test.\n"
        out += self.tlsa("insecuremx", p["good"].tlsa(3))  # would not match, and must not be looked at
        out += f"alias CNAME end\nend A {self.ip['alias']}\n" + self.tlsa("end", p["alias"].tlsa(3))
        out += self.tlsa("alias", p["good"].tlsa(3))  # the end's come first
        out += f"aliasname CNAME end2\nend2 A {self.ip['aliasname']}\n" + self.tlsa("aliasname", p["aliasname"].tlsa(3), "aliasname2")
        out = out.replace("._tcp.aliasname2 ", "._tcp.end2x ") + f"_{self.port}._tcp.aliasname.signed.test. CNAME _{self.port}._tcp.end2x\n"
        return out + "aliasplain CNAME end.plain.test.\n" + self.tlsa("aliasplain", p["aliasplain"].tlsa(3))

    def bogus(self):
        return f"record TLSA {self.pairs['bogustlsa'].tlsa(3)}\nbogusaddress A {self.ip['bogusaddress']}\n" + \
            "".join(f"bogusmx-{level} MX 10 good.signed.test.\n" for level in LEVELS)

    def plain(self):
        return f"end A {self.ip['aliasplain']}\n" + "".join(f"insecuremx-{level} MX 10 insecuremx.signed.test.\n" for level in LEVELS)

    def domain(self, fault, level):
        zone = {"bogusmx": "bogus.test", "insecuremx": "plain.test"}.get(fault, "signed.test")
        return f"{fault}-{level}.{zone}"

    def route(self, to, via=None, **more):
        return {"to": to, "via": {"host": via or to, "mx": not via, "port": self.port, **more}}

    def relay(self, routes, **changes):
        return self.make(routes=routes, dns=self.dnssec, tls={"ca": str(self.ca.cert_file)}, timeouts={"connect": "3s"},
                         queue={"retry_first": "30s", "retry_max": "60s"}, **changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory, module_postern, make_world):
    return make_world(Faults, tmp_path_factory.mktemp("tls"), module_postern)


@pytest.fixture(scope="module")
def matrix(world):
    """All of it sent at once; the relay."""
    cells = [(fault, level) for fault in MATRIX for level in LEVELS]
    relay = world.relay([world.route(world.domain(f, l), tls=l) for f, l in cells])
    for fault in MATRIX:
        for level in LEVELS:
            relay.send(f"u@{world.domain(fault, level)}")
    return relay


@pytest.mark.slow
@pytest.mark.parametrize("fault", MATRIX)
def test_matrix(world, matrix, fault):
    letters, why = MATRIX[fault]
    got = {}
    for level in LEVELS:
        rcpt = f"u@{world.domain(fault, level)}"
        got[level] = wait_until(lambda: outcome(matrix, rcpt), lambda: f"an end for {rcpt}", 15, 0.3)
        delivered = [m for s in world.sinks.values() for m in s.to(rcpt)]
        assert len(delivered) == (got[level] != "-")
        assert got[level] == "-" or delivered[0].tls == (got[level] != "p")
    assert " ".join(got.values()) == letters
    waiting = [m for m in matrix.queue() if f"mx:{fault}-" in str(m)]
    assert len(waiting) == letters.count("-")
    for message in waiting:
        shown = matrix.command("queue", "show", message["id"]).stdout
        assert re.search(why, shown), shown
        assert "bounced" not in shown


@pytest.mark.slow
def test_nothing_is_bounced(world, matrix):
    assert "bounced" not in matrix.log()


# ---- next hops that are hosts

@pytest.fixture
def relay(world, postern):
    def make(routes, **changes):
        world.make, old = postern, world.make
        try:
            return world.relay(routes, **changes)
        finally:
            world.make = old
    return make


def tls_of(relay, rcpt):
    relay.wait_log(rf"delivered id=\S+ to={re.escape(rcpt)} ")
    return re.search(rf"delivered id=\S+ to={re.escape(rcpt)} .*?tls=(\S+) tls_proof=(\S+)", relay.log()).groups()


def test_hosts(world, relay):
    r = relay([world.route("a.test", "good.signed.test", tls="dane"), world.route("b.test", "good.signed.test", tls="verify"),
               world.route("c.test", world.ip["good"], tls="verify", names=["good.signed.test"]),
               world.route("d.test", world.ip["good"], tls="verify"), world.route("e.test", "end.plain.test", tls="dane"),
               world.route("f.test", "selfsigned.signed.test", tls="verify", ca=str(world.pairs["selfsigned"].cert_file)),
               world.route("g.test", "good.signed.test", tls="verify", ca=str(world.pairs["selfsigned"].cert_file))])
    for domain in "abcdefg":
        r.send(f"h@{domain}.test")
    assert tls_of(r, "h@a.test")[1] == "dane"
    assert tls_of(r, "h@b.test")[1] == "verified"
    assert tls_of(r, "h@c.test")[1] == "verified"
    assert tls_of(r, "h@e.test")[1] == "none"
    assert tls_of(r, "h@f.test")[1] == "verified"
    r.wait_log(rf"certificate is for good.signed.test, not for {re.escape(world.ip['good'])}")
    r.wait_log("not issued by a trusted authority")
    assert len(r.wait_queued(2)) == 2


@pytest.mark.parametrize("chosen", [True, False])
def test_authorities_of_the_system(world, postern, monkeypatch, chosen):
    """$SSL_CERT_FILE in place of the system's; the system's, where that cannot be read."""
    monkeypatch.setattr("lib.daemon.AUTHORITIES", world.ca.cert_file if chosen else "/nonexistent")
    r = postern(routes=[world.route("a.test", "good.signed.test", tls="encrypt")], dns=world.dnssec)
    r.send("s@a.test")
    assert tls_of(r, "s@a.test")[1] == ("verified" if chosen else "none")
    assert "no-authorities" not in r.log()


def test_policies(world, relay):
    """The stronger of hop and policy holds; the longest name decides."""
    r = relay([world.route("a.test", "selfsigned.signed.test", tls="may"), world.route("b.test", "good.signed.test", tls="may"),
               world.route("c.test", "notls.signed.test", tls="may"), world.route("d.test", "wrongname.signed.test", tls="may")],
              tls_policies=[{"to": ".signed.test", "tls": "encrypt"}, {"to": "selfsigned.signed.test", "tls": "verify"},
                            {"to": "wrongname.signed.test", "tls": "verify", "names": ["another.example"]}])
    for domain in "abcd":
        r.send(f"p@{domain}.test")
    assert tls_of(r, "p@b.test")[1] == "verified"
    assert tls_of(r, "p@d.test")[1] == "verified"
    r.wait_log(r'connection-failed destination=\S?host:selfsigned.*self-signed \(tls: verify\)')
    r.wait_log(r'connection-failed destination=\S?host:notls.*does not offer STARTTLS \(tls: encrypt\)')
    assert not world.sinks["notls"].to("p@c.test")


def test_next_host(world, relay, tmp_path):
    """A host that cannot prove who it is is passed over for one that can."""
    world.names.write_zone("plain.test", world.plain() + "two MX 5 notls.signed.test.\ntwo MX 10 selfsigned.signed.test.\n"
                           "two MX 20 good.signed.test.\n")
    subprocess.run([have("knotc"), "-s", str(world.names.folder / "knot.sock"), "zone-reload", "plain.test"], check=True, capture_output=True)
    r = relay([world.route("two.plain.test", tls="verify", names=["good.signed.test"])])
    r.send("n@two.plain.test")
    world.sinks["good"].wait_to("n@two.plain.test")
    assert len(re.findall(r"connection-failed destination=\S?mx:two.plain.test", r.log())) == 2


def test_implicit_tls(world, relay, make_sink):
    context = world.pairs["good"].context()

    class Implicit(Sink):
        def _accept(self, listener):
            super()._accept(context.wrap_socket(listener, server_side=True))

    sink = Implicit(host=world.ip["good"])
    try:
        r = relay([{"to": "i.test", "via": {"host": "good.signed.test", "port": sink.port, "implicit_tls": True, "tls": "verify"}}])
        r.send("x@i.test")
        sink.wait_to("x@i.test")
        assert tls_of(r, "x@i.test")[1] == "verified"
        assert not any("STARTTLS" in c for s in sink.sessions for c in s.commands)
    finally:
        sink.stop()


def test_minimum_version(world, relay, make_sink):
    old = make_sink(tls=world.pairs["good"].context(ssl.TLSVersion.TLSv1_2))
    routes = [{"to": "m.test", "via": {"host": "127.0.0.1", "port": old.port, "tls": "encrypt"}}]
    r = relay(routes)
    r.send("one@m.test")
    assert tls_of(r, "one@m.test")[0] == "TLSv1.2"
    r.restart({"tls": {"min_version": "1.3"}})
    r.send("two@m.test")
    r.wait_log("connection-failed.*TLS handshake.*protocol")
    assert not old.to("two@m.test")


def test_sessions_are_resumed(world, relay, make_sink):
    sink = make_sink(tls=world.pairs["good"].context())
    r = relay([{"to": "s.test", "via": {"host": "127.0.0.1", "port": sink.port, "tls": "verify", "names": ["good.signed.test"]}}],
              delivery={"messages_per_connection": 1})
    for i in range(4):
        r.send(f"r{i}@s.test")
        sink.wait_to(f"r{i}@s.test")
    assert [s.sock.session_reused for s in sink.sessions if s.tls] == [False, True, True, True]


def test_limits(world, relay, make_sink):
    """RFC 9422: MAILMAX is kept to."""
    sink = make_sink(extensions=["PIPELINING", "LIMITS RCPTMAX=100 MAILMAX=2"])
    r = relay([{"to": "l.test", "via": sink.hop}], delivery={"connections": 1})
    r.send([f"l{i}@l.test" for i in range(3)])
    for i in range(4):
        r.send(f"m{i}@l.test")
    for i in range(4):
        sink.wait_to(f"m{i}@l.test")
    counts = [sum(c.upper().startswith("MAIL") for c in s.commands) for s in sink.sessions]
    assert max(counts) == 2 and sum(counts) == 5


@pytest.mark.slow
def test_postfix_takes_it(world, relay, postfix, make_sink):
    behind, pair = make_sink(), world.pairs["good"]
    server = postfix(behind.hop, smtpd_tls_security_level="encrypt", smtpd_tls_cert_file=pair.cert_file, smtpd_tls_key_file=pair.key_file,
                     smtpd_tls_received_header="yes", smtpd_tls_loglevel="1", tls_random_source="dev:/dev/urandom")
    r = relay([{"to": "pf.test", "via": {"host": "127.0.0.1", "port": server.port, "tls": "verify", "names": ["good.signed.test"]}}])
    r.send("x@pf.test")
    message = behind.wait_to("x@pf.test")
    assert b"using TLSv1.3" in message.header
    assert tls_of(r, "x@pf.test") == ("TLSv1.3", "verified")


def test_requiretls(world, relay, make_sink):
    """RFC 8689: on to a server that is proven and offers it; else back to the sender."""
    extensions = ["PIPELINING", "REQUIRETLS"]
    proven = make_sink(tls=world.pairs["good"].context(), extensions=extensions)
    unproven = make_sink(tls=world.pairs["wrongname"].context(), extensions=extensions)
    without = make_sink(tls=world.pairs["good"].context())
    r = relay([{"to": f"{name}.test", "via": {"host": "127.0.0.1", "port": sink.port, "names": ["good.signed.test"]}}
               for name, sink in (("proven", proven), ("unproven", unproven), ("without", without))])
    for name in ("proven", "unproven", "without"):
        with r.trusted() as c:
            c.ehlo()
            c.starttls()
            c.ehlo()
            c.mail(params="REQUIRETLS")
            c.rcpt(f"q@{name}.test")
            c.data("Subject: q\n\nq\n")
    assert "REQUIRETLS" in proven.wait_to("q@proven.test").mail_params
    r.wait_log(r"bounced id=\S+ to=q@unproven.test .*5\.7\.10 ")
    r.wait_log(r"bounced id=\S+ to=q@without.test .*5\.7\.30 ")
    assert not unproven.messages and not without.messages
