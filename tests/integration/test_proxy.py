# SPDX-License-Identifier: Apache-2.0
"""A relay or load balancer in front speaks for its clients: PROXY headers and XCLIENT, by hand, from HAProxy and swaks."""
import re
import socket
import ssl
import struct
import time

import pytest

from lib.daemon import postern as command
from lib.haproxy import Haproxy
from lib.nginx import Nginx
from lib.programs import have, swaks
from lib.smtp import Smtp
from lib.util import free_port, wait_until

PROXY = "127.0.0.9"      # listed
INSIDE = "127.0.0.8"     # listed, and in the zone that may relay
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ZONES = {"lan": {"networks": ["127.0.0.2", INSIDE, "10.1.0.0/16", "2001:db8:1::/48"], "trust": "relay"},
         "closed": {"networks": ["10.2.0.0/16"], "mode": "inactive"},
         "narrow": {"networks": ["10.3.0.0/16"], "max_connections": 1},
         "balancer": {"networks": [PROXY], "max_connections": 1}}


def v1(client, port=40000):
    family = "TCP6" if ":" in client else "TCP4"
    local = "::1" if ":" in client else "127.0.0.1"
    return f"PROXY {family} {client} {local} {port} 25\r\n".encode()


def v2(client, port=40000, command=0x21, tlvs=b""):
    v6 = ":" in client
    kind = socket.AF_INET6 if v6 else socket.AF_INET
    body = socket.inet_pton(kind, client) + socket.inet_pton(kind, "::1" if v6 else "127.0.0.1")
    body += struct.pack("!HH", port, 25) + tlvs
    return SIGNATURE + struct.pack("!BBH", command, 0x21 if v6 else 0x11, len(body)) + body


@pytest.fixture(scope="module")
def relay(shared):
    port, implicit = free_port(), free_port()
    r = shared(zones=ZONES, limits={"connections_per_client": 3}, listeners=[
        {"address": f"127.0.0.1:{port}", "proxies": [PROXY, INSIDE], "xclient": ["127.0.0.7", "10.9.0.1"]},
        {"address": f"127.0.0.1:{implicit}", "proxies": [PROXY], "tls": "implicit"}])
    r.port, r.implicit = port, implicit
    return r


def through(relay, header, source=PROXY, greet=True):
    c = Smtp(relay.port, source=source, greet=False)
    c.send(header)
    if greet:
        c.greeting = c.reply(220)
    return c


def may_relay(c):
    c.ehlo()
    c.mail()
    reply = c.rcpt("somebody@elsewhere.example", expect=(250, 550))
    c.cmd("RSET", 250)
    return reply.code == 250


# ---- PROXY

@pytest.mark.parametrize("make", [v1, v2])
@pytest.mark.parametrize("client, trusted", [("10.1.2.3", True), ("192.0.2.7", False), ("2001:db8:1::5", True),
                                             ("2001:db8:2::5", False), ("127.0.0.2", True), ("127.0.0.8", True)])
def test_rights_follow_the_named_client(relay, make, client, trusted):
    with through(relay, make(client)) as c:
        assert may_relay(c) == trusted
        c.message("a@example.com")
        c.quit()
    assert re.search(rf"connect session=\w+ client={re.escape(client)} port=40000 zone=\w+ peer={PROXY}", relay.log())


def test_header_in_the_mail(relay):
    with through(relay, v1("192.0.2.77")) as c:
        c.ehlo("spike.example")
        c.message("header@example.com")
    header = relay.sink.wait_to("header@example.com").header.decode()
    assert "from spike.example ([192.0.2.77])" in header and PROXY not in header


@pytest.mark.parametrize("header", [v1("10.1.2.3"), v2("10.1.2.3", tlvs=b"\x04\0\x02ab")])
def test_header_in_pieces_and_with_what_follows(relay, header):
    with through(relay, b"", greet=False) as c:
        c.send_slowly(header + b"NOOP\r\n", pause=0.01)
        c.reply(220)
        c.reply(250)
        assert may_relay(c)
    with through(relay, header + b"NOOP\r\nNOOP\r\n") as c:
        c.reply(250)
        c.reply(250)


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 10.1.2.3 127.0.0.1 1 2\r\n",
                                    SIGNATURE + b"\x20\0\0\0", v2("10.1.2.3", command=0x20)])
@pytest.mark.parametrize("source", [PROXY, INSIDE])
def test_who_is_not_named_is_not_trusted(relay, header, source):
    with through(relay, header, source=source) as c:
        assert not may_relay(c)
        c.message("local@example.com")


@pytest.mark.parametrize("header", [
    b"EHLO client.example\r\n", b"PROXY TCP4 10.1.2.3 10.1.2.4 1\r\n", b"PROXY TCP4 10.1.2.3 10.1.2.4 1 2\n",
    b"proxy TCP4 10.1.2.3 10.1.2.4 1 2\r\n", b"PROXY UNKNOWN " + b"x" * 200, b"\x16\x03\x01\x02\x00\x01",
    SIGNATURE + b"\x21\x11\xff\xff", SIGNATURE + b"\x31\x11\0\x0c" + b"x" * 12, v1("0.0.0.0"), v2("255.255.255.255"),
    v2("10.1.2.3", tlvs=b"\x03\0\x04abcd"), v2("10.1.2.3", tlvs=b"\x04\0\x09a")])
def test_bad_header(relay, header):
    before = relay.log().count("no-proxy-header")
    with through(relay, header, greet=False) as c:
        started = time.monotonic()
        c.expect_closed()
        assert time.monotonic() - started < 4
    wait_until(lambda: relay.log().count("no-proxy-header") > before, "a line in the log")


@pytest.mark.slow
def test_header_that_does_not_come(relay):
    with through(relay, b"PROXY TCP4 10.", greet=False) as c:
        started = time.monotonic()
        c.expect_closed()  # without a greeting
        assert 4 < time.monotonic() - started < 9
    relay.wait_log(r'warning relay-0 no-proxy-header proxy=127.0.0.9 port=\d+ error="it did not come in time" got="PROXY TCP4')


@pytest.mark.parametrize("header", [v1("10.1.2.3"), v2("10.1.2.3")])
def test_nobody_else_may_send_one(relay, header):
    with through(relay, header, source="127.0.0.5") as c:  # greeted as everybody
        replies = c.drain()
        assert replies[-1].code in (500, 521), replies
    assert "client=10.1.2.3 port=40000 zone=lan peer=127.0.0.5" not in relay.log()
    with Smtp(relay.port, source="127.0.0.5") as c:
        assert not may_relay(c)
        assert c.cmd("PROXY TCP4 10.1.2.3 10.1.2.4 1 2").code == 521
        c.expect_closed()


def test_a_second_header_is_a_bad_command(relay):
    with through(relay, v1("192.0.2.7") + v1("10.1.2.3")) as c:
        assert c.reply().code == 521
        c.expect_closed()


def test_limits_are_the_clients(relay):
    kept = [through(relay, v1("192.0.2.50")) for _ in range(3)]
    with through(relay, v1("192.0.2.50"), greet=False) as c:
        assert "from you" in c.reply(421).text
        c.expect_closed()
    kept.append(through(relay, v1("192.0.2.51")))   # another client of the same proxy
    kept.append(through(relay, v1("10.3.0.1")))
    with through(relay, v2("10.3.0.2"), greet=False) as c:
        assert "from your network" in c.reply(421).text
    with through(relay, v1("10.2.0.1"), greet=False) as c:
        c.reply(554)
        c.expect_closed()
    for c in kept:
        c.quit()
    with through(relay, v1("192.0.2.50")) as c:     # all were given back
        c.quit()
    with through(relay, v2("10.3.0.2")) as c:
        c.quit()


def test_connections_that_wait_for_their_header_count_for_nobody(relay):
    waiting = [through(relay, b"", greet=False) for _ in range(8)]
    for c in waiting[1:]:
        c.close()
    with through(relay, v1("192.0.2.60")) as c:
        c.quit()
    waiting[0].send(v1("192.0.2.61"))
    waiting[0].reply(220)
    waiting[0].quit()


def test_before_implicit_tls(relay):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with socket.create_connection(("127.0.0.1", relay.implicit), 10, (PROXY, 0)) as s:
        def step(what):
            while True:
                try:
                    return what()
                except ssl.SSLWantReadError:
                    s.sendall(outgoing.read())
                    more = s.recv(65536)
                    assert more, "closed"
                    incoming.write(more)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        s.sendall(v2("10.1.2.3") + outgoing.read())  # header and ClientHello in one piece
        step(tls.do_handshake)
        assert step(lambda: tls.read(1000)).startswith(b"220 ")
        tls.write(b"EHLO x\r\n")
        assert b"250" in step(lambda: tls.read(1000))


def test_reload_while_a_header_is_awaited(postern, sink):
    port = free_port()
    r = postern(domains=[{"name": "example.com", "deliver": sink.hop}],
                listeners=[{"address": f"127.0.0.1:{port}", "proxies": [PROXY]}])
    with Smtp(port, source=PROXY, greet=False) as c:
        c.send(b"PROXY ")
        time.sleep(0.3)
        r.command("reload")
        c.send(v1("192.0.2.7")[6:])
        c.reply(220)
        c.ehlo()
        c.message("reload@example.com")
    sink.wait_to("reload@example.com")


needs_haproxy = pytest.mark.skipif(not have("haproxy"), reason="HAProxy is not installed")


@needs_haproxy
@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy(relay, tmp_path, options):
    front, to = Haproxy(tmp_path / "haproxy", f"127.0.0.1:{relay.port}", options), f"{len(options)}@example.com"
    try:
        for source, trusted in (("127.0.0.2", True), ("127.0.0.3", False)):
            with Smtp(front.port, source=source) as c:
                assert may_relay(c) == trusted
                c.message(to)
                c.quit()
            relay.wait_log(rf"connect session=\w+ client={source} port=\d+ zone=\w+ peer={PROXY}")
        relay.sink.wait_to(to, 2)
    finally:
        front.stop()


@needs_haproxy
@pytest.mark.parametrize("options", ["send-proxy check inter 200", "send-proxy-v2 check inter 200"])
def test_haproxy_health_checks(relay, tmp_path, options):
    front = Haproxy(tmp_path / "haproxy", f"127.0.0.1:{relay.port}", options,
                    check="option smtpchk EHLO balancer.example")
    try:
        wait_until(lambda: "UP" in front.log() or "DOWN" in front.log() or time.sleep(1.5) or True, "checks")
        assert "DOWN" not in front.log(), front.log()
        with Smtp(front.port) as c:
            c.ehlo()
    finally:
        front.stop()


# ---- XCLIENT

XCLIENT = "127.0.0.7"


@pytest.fixture
def x(relay):
    with Smtp(relay.port, source=XCLIENT) as c:
        c.offered = c.ehlo("front.example")
        yield c


def test_xclient_is_for_listed_clients(relay, x):
    assert x.offered["XCLIENT"].split() == ["NAME", "ADDR", "PORT", "PROTO", "HELO", "DESTADDR", "DESTPORT", "REVERSE_NAME"]
    with Smtp(relay.port, source="127.0.0.2") as c:
        assert "XCLIENT" not in c.ehlo()
        assert c.cmd("XCLIENT ADDR=10.1.2.3", 550).enhanced == "5.7.0"
        assert may_relay(c)  # as itself
    with through(relay, v1("10.9.0.1")) as c:  # a PROXY header names one that may
        assert "XCLIENT" in c.ehlo()
    with through(relay, v1(XCLIENT.replace(".7", ".6"))) as c:
        assert "XCLIENT" not in c.ehlo()


def test_xclient_rights_follow_the_address(x):
    assert not may_relay(x)
    for addr, trusted in (("10.1.2.3", True), ("192.0.2.7", False), ("IPV6:2001:db8:1::9", True), ("[UNAVAILABLE]", False),
                          ("10.1.2.4", True)):
        x.cmd(f"XCLIENT ADDR={addr} PORT=4711", 220)
        x.cmd("MAIL FROM:<a@b.example>", 503)  # as after the greeting
        assert may_relay(x) == trusted, addr


def test_xclient_in_the_mail(relay, x):
    x.cmd("XCLIENT NAME=spike.example ADDR=192.0.2.78 PORT=4711", 220)
    x.ehlo("helo.example")
    x.message("xname@example.com")
    assert "from helo.example (spike.example [192.0.2.78])" in relay.sink.wait_to("xname@example.com").header.decode()
    x.cmd("XCLIENT HELO=other.example PROTO=SMTP NAME=[TEMPUNAVAIL]", 220)
    x.message("xhelo@example.com")  # HELO need not be said again
    header = relay.sink.wait_to("xhelo@example.com").header.decode()
    assert "from other.example ([192.0.2.78])" in header and "with SMTP id" in header
    relay.wait_log(r"xclient session=\w+ client=192.0.2.78 port=4711 zone=internet peer=127.0.0.7 name=spike.example")


def test_xclient_order(x):
    x.mail()
    assert x.cmd("XCLIENT ADDR=10.1.2.3").code == 503
    x.cmd("RSET", 250)
    x.send("XCLIENT ADDR=10.1.2.3\r\nNOOP\r\n")
    x.reply(554)
    x.expect_closed()


@pytest.mark.parametrize("bad", ["", " ", "ADDR", "ADDR=", "ADDR=10.1.2", "ADDR=2001:db8::1", "ADDR=0.0.0.0", "WHO=x", "PORT=0",
                                 "HELO=a+20b", "HELO=+0D+0A", "NAME=a..b", "PROTO=X", "LOGIN=joe@example.com",
                                 "ADDR=10.1.2.3 ADDR=10.1.2.4", "ADDR=10.1.2.3  PORT=1"])
def test_xclient_bad_values(x, bad):
    assert x.cmd(f"XCLIENT {bad}").code == 501
    assert not may_relay(x)


def test_xclient_limits(relay, x):
    x.cmd("XCLIENT ADDR=10.3.0.9", 220)
    with Smtp(relay.port, source=XCLIENT) as c:
        assert "from your network" in c.cmd("XCLIENT ADDR=10.3.0.8", 421).text
        c.expect_closed()
    with Smtp(relay.port, source=XCLIENT) as c:
        c.cmd("XCLIENT ADDR=10.2.0.1", 554)
        c.expect_closed()
    x.cmd("XCLIENT ADDR=10.3.0.7", 220)  # its own place is free for it
    x.cmd("XCLIENT ADDR=192.0.2.1", 220)
    with Smtp(relay.port, source=XCLIENT) as c:
        c.cmd("XCLIENT ADDR=10.3.0.8", 220)


def test_xclient_swaks(relay):
    if not have("swaks"):
        pytest.skip("swaks is not installed")
    out = swaks(relay.port, "swaks@elsewhere.example", "--xclient-addr", "10.1.2.9", "--xclient-name", "inner.example",
                "--xclient-delim", "--xclient-helo", "x.example", "--xclient-proto", "ESMTP", source=XCLIENT).stdout
    assert out.count("XCLIENT ") >= 2
    assert "(inner.example [10.1.2.9])" in relay.sink.wait_to("swaks@elsewhere.example").header.decode()
    swaks(relay.port, "no@elsewhere.example", "--xclient-addr", "192.0.2.9", source=XCLIENT, check=24)


def test_xclient_nobody_after_somebody(relay):
    """Who cannot be named has the address of the one who speaks, not that of the one spoken for before."""
    with Smtp(relay.port, source="127.0.0.7") as c:
        c.ehlo()
        c.cmd("XCLIENT ADDR=10.1.2.3", 220)
        assert may_relay(c)
        c.cmd("XCLIENT ADDR=[UNAVAILABLE]", 220)
        assert not may_relay(c)
        c.message("nobody-named@example.com")
    header = relay.sink.wait_to("nobody-named@example.com").header
    assert b"[127.0.0.7]" in header and b"10.1.2.3" not in header


def test_xclient_login(postern, sink):
    port = free_port()
    r = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                auth={"backend": "users"}, listeners=[{"address": f"127.0.0.1:{port}", "auth": True, "xclient": [XCLIENT]}])
    with Smtp(port, source=XCLIENT) as c:
        assert "LOGIN" in c.ehlo()["XCLIENT"].split()
        c.cmd("XCLIENT ADDR=192.0.2.5 LOGIN=joe@example.com", 220)
        r.wait_log(r"xclient .*account=joe@example.com")
        c.cmd("XCLIENT LOGIN=[UNAVAILABLE]", 220)
        assert not may_relay(c)
        c.cmd("XCLIENT LOGIN=joe@example.com", 220)
        c.ehlo()
        c.mail("joe@example.com")
        c.rcpt("somebody@elsewhere.example")
        c.cmd("RSET", 250)
        c.mail("mary@example.com", expect="5")  # it may send as itself alone
        c.cmd("XCLIENT ADDR=192.0.2.6", 220)  # another client is not logged in
        assert not may_relay(c)




# ---- nginx speaks both

@pytest.mark.skipif(not have("nginx"), reason="nginx is not installed")
@pytest.mark.parametrize("options, option", [("xclient on;", "xclient"), ("xclient off; proxy_protocol on;", "proxies")])
def test_nginx(postern, sink, tmp_path, options, option):
    port = free_port()
    r = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
                listeners=[{"address": f"127.0.0.1:{port}", option: ["127.0.0.1"]}])
    front = Nginx(tmp_path / "nginx", port, options)
    try:
        for source, trusted in (("127.0.0.2", True), ("127.0.0.3", False)):
            with Smtp(front.port, source=source) as c:
                c.ehlo("spike.example")
                c.mail()
                assert (c.rcpt("far@elsewhere.example", expect=(250, 550)).code == 250) == trusted
                if trusted:
                    c.data("Subject: by nginx\n\ntext\n")
            r.wait_log(rf"(connect|xclient) session=\w+ client={source} port=\d+ zone=\w+ peer=127.0.0.1")
        header = sink.wait_to("far@elsewhere.example").header.decode()
        assert "[127.0.0.2])" in header
        assert option == "proxies" or "from spike.example (" in header
    finally:
        front.stop()


@pytest.mark.parametrize("option", ["proxies", "xclient"])
def test_no_trust_for_all_that_a_proxy_speaks_for(tmp_path, option):
    (tmp_path / "postern.yaml").write_text(
        f"hostname: mx.example.com\nlisteners:\n  - {{address: '127.0.0.1:2525', zone: lan, {option}: [127.0.0.1]}}\n"
        "zones: {lan: {networks: [10.0.0.0/8], trust: relay}}\n")
    done = command("check", "-c", tmp_path / "postern.yaml")
    assert done.returncode != 0 and "whom a proxy speaks for" in done.stdout + done.stderr
