# SPDX-License-Identifier: Apache-2.0
"""Opportunistic TLS on both sides: from clients to the relay, and from the relay to next hops, whatever they do to it."""
import contextlib
import os
import re
import socket
import ssl
import subprocess
import time

import pytest

from lib.daemon import postern as command
from lib.programs import have, swaks
from lib.sink import CLOSE, RESET, Delay
from lib.smtp import Closed, queued_id
from lib.util import wait_until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # old TLS is what some of these are about
LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%077d\r\n" % i if i % 9 else b".%076d\r\n" % i for i in range(30000))


def make_certificate(folder, name="mx.postern.example"):
    folder.mkdir(exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    (folder / "key.pem").chmod(0o600)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def client_context(low=None, high=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if low:
        context.minimum_version = low
    if high:
        context.maximum_version = high
    return context


@pytest.fixture(scope="module")
def relay(shared):
    return shared()


# ---- clients

def starttls(c, context):
    c.cmd("STARTTLS", 220)
    c.sock = context.wrap_socket(c.sock, server_hostname="mx.postern.example")
    return c.sock


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLSv1.2", "TLSv1.3"])
def test_versions(relay, version):
    with relay.client() as c:
        assert "STARTTLS" in c.ehlo()
        sock = starttls(c, client_context(version, version))
        assert "STARTTLS" not in c.ehlo()
        c.message(f"{version.name}@example.com")
        spoken = sock.version()
    header = relay.sink.wait_to(f"{version.name}@example.com").header
    assert spoken == version.name.replace("_", ".") and b"with ESMTPS" in header and spoken.encode() in header


@pytest.mark.parametrize("low,offered", [("1.2", ssl.TLSVersion.TLSv1_1), ("1.3", ssl.TLSVersion.TLSv1_2)], ids=["1.1", "1.2"])
def test_old_versions_are_refused(postern, sink, low, offered):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], tls={"min_version": low})
    with relay.client() as c:
        c.ehlo()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            starttls(c, client_context(ssl.TLSVersion.TLSv1, offered))
    with relay.client() as c:
        c.ehlo()
        starttls(c, client_context())
        c.ehlo()


def test_openssl_s_client(relay):
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{relay.port}", "-crlf", "-ign_eof",
                           "-name", "client.example"], input="QUIT\n", capture_output=True, text=True, timeout=30)
    assert "221 " in done.stdout and "CN = mx.postern.example" in done.stdout, done


@pytest.mark.skipif(not have("swaks"), reason="swaks is not installed")
def test_swaks_insists(relay):
    done = swaks(relay.port, "swaks-tls@example.com", "--tls", "--header", "Subject: s", check=None)
    if "not available" in done.stdout + done.stderr:
        pytest.skip("swaks has no TLS module")
    assert done.returncode == 0
    assert b"ESMTPS" in relay.sink.wait_to("swaks-tls@example.com").header


def test_a_large_message_over_tls(relay):
    with relay.client() as c:
        c.ehlo()
        starttls(c, client_context())
        c.ehlo()
        c.message("large@example.com", LARGE)
    assert relay.sink.wait_to("large@example.com").data.endswith(LARGE)


def test_tls_records_of_any_size(relay):
    """One byte a record, and many commands in one."""
    with relay.client() as c:
        c.ehlo()
        starttls(c, client_context())
        c.send_slowly(b"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<records@example.com>\r\nDATA\r\n")
        assert [c.reply().code for _ in range(4)] == [250, 250, 250, 354]
        c.send_slowly(b"Subject: x\r\n\r\n..x\r\n.\r\n")
        c.reply(250)
        c.sock.sendall(b"NOOP\r\n" * 3000 + b"QUIT\r\n")
        assert [r.code for r in c.drain()] == [250] * 3000 + [221]
    assert relay.sink.wait_to("records@example.com").body == b".x\r\n"


@pytest.mark.parametrize("before", [b"", b"MAIL FROM:<a@client.example>\r\nRCPT TO:<before@example.com>\r\n"], ids=["fresh", "in a transaction"])
@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"MAIL FROM:<injected@client.example>\r\nRCPT TO:<injected@example.com>\r\nDATA\r\n",
                                      b"\r\n", b" ", b"EHLO injected.example"], ids=["noop", "transaction", "line", "blank", "half"])
def test_injection_before_tls(relay, before, injected):
    """What was sent in clear behind STARTTLS is not taken for what came encrypted (CVE-2011-0411)."""
    with relay.client() as c:
        c.ehlo()
        if before:
            c.send(before)
            c.reply(250), c.reply(250)
        c.send(b"STARTTLS\r\n" + injected)
        first = c.reply((220, 5))
        if first.code == 220:
            with contextlib.suppress(ssl.SSLError, ConnectionError, Closed):
                c.sock = client_context().wrap_socket(c.sock, server_hostname="x")
                c.sock.settimeout(1)
                c.cmd("MAIL FROM:<x@client.example>", 503)  # nothing before was kept, nothing of it was taken
                c.sock.settimeout(0.3)
                with pytest.raises(socket.timeout):
                    assert c.sock.recv(100) == b"", "an answer to what was injected"
                    raise socket.timeout
    assert not relay.sink.to("injected@example.com")


def test_text_goes_on_as_if_new_after_tls(relay):
    with relay.client() as c:
        c.ehlo("one.example")
        c.mail("in-clear@client.example")
        c.rcpt("clear@example.com")
        c.cmd("STARTTLS x", 501)
        reply = c.cmd("STARTTLS")
        if reply.code == 220:
            c.sock = client_context().wrap_socket(c.sock, server_hostname="x")
            c.cmd("RCPT TO:<clear@example.com>", 503)
            c.cmd("DATA", 503)
            c.cmd("MAIL FROM:<a@client.example>", 503)
        else:
            assert reply.code == 503


@pytest.mark.parametrize("what", [b"\x16\x03\x01\x00\x50\x01\x00\x00\x4c" + b"\xff" * 300, b"GET / HTTP/1.1\r\n\r\n", b"EHLO client.example\r\n",
                                  b"\x80\x2e\x01\x00\x02" + b"\0" * 60, b"\x15\x03\x01\x00\x02\x02\x28", b""],
                         ids=["hello", "http", "clear", "ssl2", "alert", "gone"])
def test_broken_handshakes_harm_nobody(relay, what):
    """Garbage, an alert, or nothing and gone, where a handshake is due."""
    for _ in range(3):
        with relay.client() as c:
            c.ehlo()
            c.cmd("STARTTLS", 220)
            with contextlib.suppress(ConnectionError):
                c.sock.sendall(what)
            if what:
                with contextlib.suppress(ConnectionError, socket.timeout):
                    c.sock.settimeout(5)
                    rest = b""
                    while more := c.sock.recv(1000):
                        rest += more
                    assert b"250" not in rest
    with relay.client() as c:
        c.ehlo()
        starttls(c, client_context())
        c.ehlo()


def test_a_slow_handshake_is_given_up(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], timeouts={"command": "1s"})
    with relay.client() as c:
        c.ehlo()
        c.cmd("STARTTLS", 220)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in b"\x16\x03\x01\x02\x00" + b"\x01" * 95:
                c.sock.sendall(bytes([byte]))
                time.sleep(0.1)
            c.sock.recv(100)
        assert time.monotonic() - began < 9


def test_the_end_of_a_text_must_come_encrypted_whole(relay):
    """A connection cut off within TLS is no end of a message."""
    with relay.client() as c:
        c.ehlo()
        starttls(c, client_context())
        c.ehlo()
        c.mail()
        c.rcpt("cut@example.com")
        c.cmd("DATA", 354)
        c.send(b"Subject: x\r\n\r\nx\r\n.\r")
        raw = socket.socket(fileno=os.dup(c.sock.fileno()))
        raw.shutdown(socket.SHUT_WR)
        raw.close()
    relay.send("after-cut@example.com")
    relay.sink.wait_to("after-cut@example.com")
    assert not relay.sink.to("cut@example.com")


def test_listener_without_tls(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    relay.config["listeners"] = [{"address": f"127.0.0.1:{relay.port}", "tls": "none"}]
    relay.restart()
    with relay.client() as c:
        assert "STARTTLS" not in c.ehlo()
        assert c.cmd("STARTTLS").code in (500, 502, 503)
        c.message("plain@example.com")
    assert b"with ESMTP " in sink.wait_to("plain@example.com").header


# ---- certificates

def shown_name(relay):
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{relay.port}"], input="QUIT\n",
                          capture_output=True, text=True, timeout=30)
    found = re.search(r"subject=.*CN = (\S+)", done.stdout)
    return found and found[1]


@pytest.mark.slow
def test_own_certificate_and_a_new_one_by_reload(postern, tmp_path):
    cert, key = make_certificate(tmp_path / "one", "one.example")
    relay = postern(tls={"certificate": str(cert), "key": str(key)})
    assert shown_name(relay) == "one.example"
    old = relay.client()
    old.ehlo()
    make_certificate(tmp_path / "one", "two.example")
    assert shown_name(relay) == "one.example"
    relay.command("reload")
    wait_until(lambda: shown_name(relay) == "two.example", "the new certificate")
    old.close()
    key.write_text("nonsense")
    done = relay.command("reload", check=None)
    assert done.returncode != 0 and "key" in done.stderr and shown_name(relay) == "two.example"


def test_self_signed_pair_is_kept(postern):
    """Clients that remember it see the same after a restart; the key is for root alone."""
    relay = postern()
    pair = [(relay.folder / "data/tls" / name).read_bytes() for name in ("certificate.pem", "key.pem")]
    assert shown_name(relay) == "mx.postern.example"
    relay.restart()
    assert pair == [(relay.folder / "data/tls" / name).read_bytes() for name in ("certificate.pem", "key.pem")]


@pytest.mark.slow
def test_certificates_that_cannot_be(tmp_path, certificate):
    other = make_certificate(tmp_path / "other", "other.example")
    (tmp_path / "empty").write_text("")
    cert, key = certificate
    for c, k, option in ((cert, other[1], "tls.key"), (tmp_path / "empty", key, "tls.certificate"), (key, key, "tls.certificate"),
                         (cert, cert, "tls.key"), (tmp_path / "none", key, "tls.certificate"), (cert, tmp_path, "tls.key")):
        file = tmp_path / "postern.yaml"
        file.write_text(f"hostname: mx.example.com\nlisteners: [{{address: '127.0.0.1:29998'}}]\n"
                        f"tls: {{certificate: {c}, key: {k}}}\nsystem: {{directory: data, run_directory: run, user: '', admin_user: ''}}\n")
        done = command("run", "-c", file, timeout=20)
        assert done.returncode in (69, 78) and option in done.stderr, (c, k, done.stderr)


# ---- next hops

@pytest.fixture
def towards(postern, make_sink, server_context):
    """A relay and the sink it delivers to, which offers STARTTLS."""
    def make(tls=server_context, changes=None, **kw):
        sink = make_sink(tls=tls, **kw)
        relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}], **(changes or {}))
        relay.sink = sink
        return relay
    return make


def commands(message):
    return [c.split(" ")[0].upper() for c in message.session.commands]


def test_tls_is_used_when_offered(towards):
    relay = towards()
    id = queued_id(relay.send("tls@example.com"))
    message = relay.sink.wait_to("tls@example.com")
    assert message.tls and commands(message)[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
    relay.wait_log(rf"delivered id={id} .*tls=TLSv1\.3")


@pytest.mark.slow
def test_many_and_large_messages_over_tls(towards):
    relay = towards(changes={"queue": {"inline_size": "64K"}})
    with relay.trusted() as c:
        c.ehlo()
        for i in range(40):
            c.message(f"m{i}@example.com")
        c.message("large@example.com", LARGE)
        c.message("larger@example.com", LARGE * 3)
    for i in range(40):
        assert relay.sink.wait_to(f"m{i}@example.com").tls
    assert relay.sink.wait_to("large@example.com").data.endswith(LARGE)
    assert relay.sink.wait_to("larger@example.com", seconds=30).data.endswith(LARGE * 3)
    assert len(relay.sink.sessions) < 30


def test_extensions_are_those_after_tls(towards):
    """What was said before the handshake is forgotten (RFC 3207 §4.2)."""
    relay = towards()
    relay.sink.on("ehlo", lambda session, argument: None if not session.tls else "250 sink.example")
    with relay.trusted() as c:
        c.ehlo()
        c.mail(params="SIZE=100")
        c.rcpt("plainer@example.com")
        c.data("Subject: x\n\nx\n")
    message = relay.sink.wait_to("plainer@example.com")
    assert message.tls and not message.mail_params and message.session.pipelined <= 1


def breaks(data, linger=0.0):
    """Says 220, waits for the first bytes of the handshake, and answers with something else."""
    def action(session, argument):
        session.sock.sendall(b"220 go on\r\n")
        session.sock.recv(1000)
        session.sock.sendall(data)
        time.sleep(linger)
        return CLOSE
    return action


BROKEN = {"garbage": breaks(b"250 what do you want?\r\n"), "alert": breaks(b"\x15\x03\x03\x00\x02\x02\x28"), "gone": breaks(b""),
          "half a record": breaks(b"\x16\x03\x03\x10\x00" + b"\2" * 100), "454": "454 4.7.0 not now", "500": "500 what?",
          "502": "502 no", "close": CLOSE, "reset": RESET, "nonsense": b"nonsense\r\n", "421": "421 4.3.2 bye", "code": b"220-go\r\n454 no\r\n"}


@pytest.mark.daily(2)
@pytest.mark.parametrize("how", BROKEN)
def test_starttls_that_fails_is_done_without(towards, how):
    """Opportunistic: mail is not kept because of a broken handshake; it is delivered in clear, at once or with the next try."""
    relay = towards(changes={"timeouts": {"reply": "3s"}})
    relay.sink.on("starttls", BROKEN[how])
    id = queued_id(relay.send("clear@example.com"))
    message = relay.sink.wait_to("clear@example.com", seconds=25)
    assert not message.tls
    relay.wait_log(rf"delivered id={id} .*tls=none")


def test_handshake_that_fails_is_logged(towards):
    """And not tried again with each message."""
    relay = towards()
    relay.sink.on("starttls", BROKEN["alert"])
    for i in range(5):
        relay.send(f"clear{i}@example.com")
        assert not relay.sink.wait_to(f"clear{i}@example.com").tls
    assert re.search(r"tls-failed-trying-without destination=\S+ reply=\"[^\"]*127.0.0.1", relay.log()), relay.log_tail()
    tries = [c for s in relay.sink.sessions for c in s.commands if c.upper() == "STARTTLS"]
    assert 1 <= len(tries) <= 3
    relay.wait_queue_empty()
    assert len(relay.sink.messages) == 5


@pytest.mark.slow
def test_handshake_that_hangs(towards):
    relay = towards(changes={"timeouts": {"reply": "1s", "connect": "2s", "greeting": "2s"}})
    relay.sink.on("starttls", Delay(30, CLOSE), times=1)
    relay.sink.on("starttls", breaks(b"", 30))
    relay.send("patience@example.com")
    assert not relay.sink.wait_to("patience@example.com", seconds=30).tls
    relay.sink.rules.pop(0)
    relay.restart()  # what was learned is forgotten
    relay.send("again@example.com")
    assert not relay.sink.wait_to("again@example.com", seconds=30).tls


def test_a_server_that_wants_a_certificate(towards, certificate):
    """With TLS 1.3 it says so only after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate[0])
    relay = towards(tls=context)
    relay.send("anonymous@example.com")
    assert not relay.sink.wait_to("anonymous@example.com", seconds=30).tls


def test_old_tls_only(towards, certificate):
    """A server that speaks only what is too old for us."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    relay = towards(tls=context)
    relay.send("old@example.com")
    assert not relay.sink.wait_to("old@example.com", seconds=25).tls


def test_replies_injected_before_tls(towards):
    """A reply in clear behind the 220 is not the reply to the EHLO sent encrypted."""
    relay = towards()
    relay.sink.on("starttls", b"220 go on\r\n250-evil\r\n250-SIZE 1\r\n250 PIPELINING\r\n")
    relay.send("inject@example.com")
    relay.sink.wait_to("inject@example.com", seconds=25)  # else it were too large, and returned
    relay.wait_queue_empty()


@pytest.mark.daily(1)
@pytest.mark.parametrize("where", ["delivery", "route", "domain"])
def test_tls_none(postern, make_sink, server_context, where):
    sink = make_sink(tls=server_context)
    host, port = sink.hop.split(":")
    hop = {"host": host, "port": int(port), "tls": "none"}
    relay = postern(domains=[{"name": "example.com", "deliver": hop if where == "domain" else sink.hop}],
                    routes=[{"to": "example.com", "via": sink.hop, "tls": "none"}] if where == "route" else [],
                    delivery={"tls": "none" if where == "delivery" else "may"})
    relay.send("none@example.com")
    message = sink.wait_to("none@example.com")
    assert not message.tls and "STARTTLS" not in commands(message)


def test_end_to_end_between_two_relays(postern, make_sink, server_context):
    """Both ends are ours."""
    sink = make_sink(tls=server_context)
    inner = postern(hostname="inner.postern.example", domains=[{"name": "example.com", "deliver": sink.hop}])
    outer = postern(domains=[{"name": "example.com", "deliver": f"127.0.0.1:{inner.port}"}])
    for i in range(10):
        outer.send(f"both{i}@example.com", LARGE if i == 5 else "Subject: x\n\nx\n")
    for i in range(10):
        message = sink.wait_to(f"both{i}@example.com", seconds=30)
        assert message.tls and message.header.count(b"with ESMTPS") >= 1
    assert sink.wait_to("both5@example.com").data.endswith(LARGE)
