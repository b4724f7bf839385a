# SPDX-License-Identifier: Apache-2.0
"""TLS as a server, met by real clients: certificates by name, chains that are refused, versions, client certificates, session tickets."""
import contextlib
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from lib.authority import Authority
from lib.daemon import postern as command
from lib.load import children
from lib.programs import have, swaks
from lib.smtp import Closed, Smtp, TRUSTED, queued_id
from lib.util import free_port, wait_until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NAME = "mx.postern.example"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    ca = Authority(tmp_path_factory.mktemp("authority"))
    ca.mx = ca.make("mx", NAME)
    ca.rsa = ca.make("rsa", NAME, key="rsa:2048")
    ca.other = ca.make("other", "mail.example.org")
    ca.wild = ca.make("wild", "*.wild.example")
    ca.client = ca.make("client", usage="clientAuth", subject="client one")
    return ca


@pytest.fixture(scope="module")
def relay(shared, ca):
    """Port: STARTTLS; implicit: TLS at once; require; asks and requires: client certificates. Clients from 127.0.0.3 are old."""
    ports = [free_port() for _ in range(5)]
    client = {"client_ca": str(ca.root)}
    relay = shared(listeners=[{"address": f"127.0.0.1:{ports[0]}"}, {"address": f"127.0.0.1:{ports[1]}", "tls": "implicit"},
                              {"address": f"127.0.0.1:{ports[2]}", "tls": "require"},
                              {"address": f"127.0.0.1:{ports[3]}", "client_certificate": "ask", **client},
                              {"address": f"127.0.0.1:{ports[4]}", "client_certificate": "require", **client}],
                   zones={"old": {"networks": ["127.0.0.3"], "trust": "relay", "min_version": "1.0"}},
                   tls={**ca.mx.option, "certificates": [ca.rsa.option, ca.other.option, ca.wild.option]}, system={"workers": 2})
    relay.port, relay.implicit, relay.require, relay.asks, relay.requires = ports
    return relay


def context(low=None, high=None, ca=None, client=None, ciphers="DEFAULT:@SECLEVEL=0"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = ca is not None
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
    context.set_ciphers(ciphers)
    if low:
        context.minimum_version = low
    if high:
        context.maximum_version = high
    if client:
        context.load_cert_chain(client.cert, client.key)
    return context


def wrapped(port, context, name=NAME, source="127.0.0.1", implicit=False, session=None):
    c = Smtp(port, source=source, greet=not implicit)
    if not implicit:
        c.ehlo()
        c.cmd("STARTTLS", 220)
    c.sock = context.wrap_socket(c.sock, server_hostname=name, session=session)
    if implicit:
        c.reply(220)
    return c


def s_client(port, *args, starttls=True, source="127.0.0.1"):
    done = subprocess.run(["openssl", "s_client", *(["-starttls", "smtp"] if starttls else []), "-connect", f"127.0.0.1:{port}", "-bind",
                           f"{source}:0", "-crlf", "-ign_eof", *map(str, args)], input="QUIT\n", capture_output=True,
                          text=True, timeout=30)
    return done.stdout + done.stderr


# ---- certificates by name

@pytest.mark.daily(3)
@pytest.mark.parametrize("asked,subject", [("mail.example.org", "other"), ("MAIL.EXAMPLE.org", "other"), ("a.wild.example", "wild"),
                                           ("a.b.wild.example", "mx"), ("unknown.example", "mx"), (NAME, "mx"), (None, "mx")])
def test_certificate_by_name(relay, ca, asked, subject):
    out = s_client(relay.port, *(["-servername", asked] if asked else ["-noservername"]), "-CAfile", ca.root)
    assert f"subject=CN = {subject}\n" in out and "Verify return code: 0 (ok)" in out and "221 2.0.0" in out, out


def test_both_kinds_of_key_for_one_name(relay, ca):
    for version in ("-tls1_2", "-tls1_3"):
        for sigalgs, subject in (("RSA-PSS+SHA256", "rsa"), ("ECDSA+SHA256", "mx")):
            for name in (["-servername", NAME], ["-noservername"]):
                out = s_client(relay.port, version, "-sigalgs", sigalgs, *name, "-CAfile", ca.root)
                assert f"subject=CN = {subject}\n" in out and "Verify return code: 0" in out, out


def test_verified_by_python(relay, ca):
    with wrapped(relay.port, context(ca=ca.root)) as c:
        c.ehlo()
        c.message("python@example.com")
    with wrapped(relay.implicit, context(ca=ca.root), "x.wild.example", implicit=True) as c:
        assert "STARTTLS" not in c.ehlo()
        c.cmd("STARTTLS", 503)
        c.message("implicit@example.com")
    assert b"with ESMTPS" in relay.sink.wait_to("implicit@example.com").header


@pytest.mark.skipif(not have("swaks"), reason="swaks is not installed")
@pytest.mark.parametrize("how", ["--tls", "--tls-on-connect"])
def test_swaks(relay, ca, how):
    port = relay.implicit if how == "--tls-on-connect" else relay.require
    done = swaks(port, f"swaks{how}@example.com", how, "--tls-verify", "--tls-ca-path", str(ca.root), "--tls-sni", NAME, check=None)
    if "not available" in done.stdout + done.stderr:
        pytest.skip("swaks has no TLS module")
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"with ESMTPS" in relay.sink.wait_to(f"swaks{how}@example.com").header


def test_require(relay):
    with Smtp(relay.require) as c:
        c.ehlo()
        assert c.mail(expect=530).enhanced == "5.7.0"
    with wrapped(relay.require, context()) as c:
        c.ehlo()
        c.message("required@example.com")


# ---- chains that are refused

WORDS = {"key": ("tls.key", "belongs to another certificate"), "name": ("tls.certificates[0].certificate", "is for mail.example.org, not for"),
         "chain": ("tls.certificate", "intermediate certificate is missing or in the wrong order"), "order": ("tls.certificate", "wrong order"),
         "expired": ("tls.certificate", "has expired on"), "garbage": ("tls.certificate", "there is no certificate in"),
         "encrypted": ("tls.key", "is encrypted"), "authority": ("listeners[0].client_ca", "reading certificates")}


def broken(ca, what, folder, port):
    """The part of a configuration that must be refused."""
    folder.mkdir(exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    shutil.copy(ca.mx.cert, cert)
    shutil.copy(ca.mx.key, key)
    changes = {"tls": {"certificate": str(cert), "key": str(key), "certificates": []}}
    if what == "key":
        shutil.copy(ca.other.key, key)
    elif what == "name":
        changes["tls"]["certificates"] = [{**ca.other.option, "names": [NAME]}]
    elif what == "chain":
        cert.write_text(ca.make("bare", NAME, chain=False).cert.read_text() + ca.root.read_text())
        shutil.copy(ca.folder / "bare.key", key)
    elif what == "order":
        cert.write_text(ca.middle.cert.read_text() + ca.make("bare", NAME, chain=False).cert.read_text())
        shutil.copy(ca.folder / "bare.key", key)
    elif what == "expired":
        pair = ca.make("expired", NAME)
        request = folder / "request"
        subprocess.run(["openssl", "x509", "-x509toreq", "-in", pair.cert, "-signkey", pair.key, "-out", request], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", ca.middle.cert, "-CAkey", ca.middle.key, "-days", "-1", "-out", cert,
                        "-set_serial", "77"], check=True, capture_output=True)
        shutil.copy(pair.key, key)
    elif what == "garbage":
        cert.write_text("nonsense\n")
    elif what == "encrypted":
        subprocess.run(["openssl", "pkey", "-in", ca.mx.key, "-aes128", "-passout", "pass:x", "-out", key], check=True)
    elif what == "authority":
        (folder / "ca.pem").write_text("nonsense\n")
        changes["listeners"] = [{"address": f"127.0.0.1:{port}", "client_certificate": "ask", "client_ca": str(folder / "ca.pem")}]
    key.chmod(0o600)
    return changes


@pytest.fixture(scope="module")
def steady(module_postern, ca):
    return module_postern(tls=ca.mx.option)


@pytest.mark.daily(1)
@pytest.mark.parametrize("what", WORDS)
def test_a_pair_that_does_not_fit_changes_nothing(steady, ca, tmp_path, what):
    option, words = WORDS[what]
    before = dict(steady.config)
    steady.write(broken(ca, what, tmp_path, steady.port))
    checked = steady.command("check", check=78)
    assert f"error: {option}: " in checked.stdout and words in checked.stdout, checked.stdout
    place = re.search(r"postern\.yaml:(\d+):\d+: error: " + re.escape(option), checked.stdout)
    assert place and option.rsplit(".", 1)[-1] in steady.config_path.read_text().splitlines()[int(place[1]) - 1], checked.stdout
    reloaded = steady.command("reload", check=78)
    assert words in reloaded.stderr + reloaded.stdout and "stays in force" in reloaded.stderr, reloaded
    assert words in steady.log()
    steady.config = before
    steady.write()
    assert "CN = mx" in s_client(steady.port) and "221 2.0.0" in s_client(steady.port)


@pytest.mark.daily(2)
@pytest.mark.parametrize("what", WORDS)
def test_no_start_with_a_pair_that_does_not_fit(ca, tmp_path, steady, what):
    from lib.daemon import Postern
    daemon = Postern(tmp_path / "d", broken(ca, what, tmp_path / "files", 29997), start=False)
    done = command("run", "-c", daemon.config_path)
    option, words = WORDS[what]
    assert done.returncode == 78 and option in done.stderr and words in done.stderr, done.stderr


def test_warnings(ca, tmp_path, steady):
    from lib.daemon import Postern
    for pair, words in ((ca.make("soon", NAME, days=5), "expires on"), (ca.other, f"is not for {NAME} (hostname)"),
                        (ca.make("weak", NAME, key="rsa:1024"), "is weak: RSA with 1024 bits"), (ca.root_pair, "is signed by itself"),
                        (ca.make("lone", NAME, chain=False), "add the certificates between")):
        daemon = Postern(tmp_path / pair.cert.stem, {"tls": pair.option}, start=False)
        done = daemon.command("check", check=0)
        assert words in done.stdout and "warning: tls.certificate" in done.stdout, done.stdout
    daemon.port = free_port()


@pytest.mark.daily(1)
@pytest.mark.parametrize("key", ["rsa:1024", "P-384", "ed25519"])
def test_keys_of_other_kinds(postern, ca, key):
    if key == "ed25519":
        pair = ca.make("edwards", NAME)
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", pair.key], check=True, capture_output=True)
        subprocess.run(["openssl", "req", "-x509", "-new", "-key", pair.key, "-subj", "/CN=kind", "-out", pair.cert], check=True, capture_output=True)
    else:
        pair = ca.make("kind", NAME, key=key)
    daemon = postern(tls=pair.option)
    for version in ("-tls1_2", "-tls1_3"):
        assert "221 2.0.0" in s_client(daemon.port, version, "-cipher", "DEFAULT:@SECLEVEL=0")


# ---- a new certificate while sessions are open

def test_reload_with_a_new_certificate(postern, sink, ca):
    daemon = postern(domains=[{"name": "example.com", "deliver": sink.hop}], tls=ca.mx.option)
    with wrapped(daemon.port, context(ca=ca.root)) as before:
        before.ehlo()
        daemon.write({"tls": ca.rsa.option})
        daemon.command("reload")
        wait_until(lambda: "CN = rsa" in s_client(daemon.port), "the new certificate")
        before.message("before@example.com", expect=(250, 421))
    daemon.write({"tls": {"key": str(ca.mx.key)}})
    assert "belongs to another certificate" in daemon.command("reload", check=78).stderr
    assert "CN = rsa" in s_client(daemon.port)


def test_self_signed_one_follows_the_hostname(postern):
    daemon = postern()
    one = s_client(daemon.port)
    pem = (daemon.folder / "data/tls/certificate.pem")
    text = subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-ext", "subjectAltName"], capture_output=True, text=True).stdout
    assert f"CN = {NAME}" in one and f"DNS:{NAME}" in text
    daemon.write({"hostname": "other.postern.example"})
    daemon.command("reload")
    wait_until(lambda: "CN = other.postern.example" in s_client(daemon.port), "a certificate for the new name")


# ---- versions

@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_in_old_zones_only(relay, version):
    old = ["-cipher", "ALL:@SECLEVEL=0", version]
    assert "221 2.0.0" in s_client(relay.port, *old, source="127.0.0.3")
    assert "221 2.0.0" in s_client(relay.port, *old, "-cipher", "AES128-SHA:@SECLEVEL=0", source="127.0.0.3")
    for source in ("127.0.0.1", TRUSTED):
        out = s_client(relay.port, *old, source=source)
        assert "221 2.0.0" not in out and "protocol version" in out, out


def test_an_old_device_delivers(relay):
    with wrapped(relay.port, context(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1), source="127.0.0.3") as c:
        assert c.sock.version() == "TLSv1"
        c.ehlo()
        c.message("old-device@elsewhere.example")
    assert b"TLSv1 " in relay.sink.wait_to("old-device@elsewhere.example").header


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES256-GCM-SHA384", "DHE-RSA-AES256-GCM-SHA384"])
def test_old_suites_in_old_zones_only(relay, cipher):
    args = ["-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0"]
    assert "221 2.0.0" not in s_client(relay.port, *args)
    assert f"Cipher is {cipher}" in s_client(relay.port, *args, source="127.0.0.3")


@pytest.mark.skipif(not have("sslscan"), reason="sslscan is not installed")
def test_sslscan(relay):
    out = subprocess.run(["sslscan", "--no-colour", "--starttls-smtp", f"127.0.0.1:{relay.port}"], capture_output=True, text=True, timeout=120).stdout
    for off in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
        assert re.search(rf"{re.escape(off)} +disabled", out), out
    for on in ("TLSv1.2", "TLSv1.3"):
        assert re.search(rf"{re.escape(on)} +enabled", out), out
    assert "Session renegotiation not supported" in out and "vulnerable" not in out.replace("not vulnerable", "")
    accepted = re.findall(r"(?:Preferred|Accepted) +TLSv1\.\d +\d+ bits +(\S+)", out)
    assert accepted and all(re.match(r"TLS_|ECDHE-(RSA|ECDSA)-(AES(128|256)-GCM|CHACHA20)", name) for name in accepted), accepted
    assert not re.search(r"bits +(secp521|sect|brainpool|ffdhe|x448)", out), out


def test_no_renegotiation(relay):
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-tls1_2", "-connect", f"127.0.0.1:{relay.port}", "-crlf"],
                          input="R\nNOOP\n", capture_output=True, text=True, timeout=30)
    assert "no renegotiation" in done.stderr, done


# ---- client certificates

def answered(port, ctx):
    """Whether a session came about: with TLS 1.3 a refusal shows only with the first reply."""
    try:
        with wrapped(port, ctx) as c:
            c.ehlo()
            c.quit()
            return True
    except (ssl.SSLError, ConnectionError, Closed):
        return False


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_client_certificates(relay, ca, tmp_path, version):
    stranger = Authority(tmp_path / "stranger").make("client", usage="clientAuth")
    for client, good in ((None, False), (ca.client, True), (stranger, False), (ca.mx, True)):
        ctx = context(version, version, client=client)
        assert answered(relay.asks, ctx), client
        assert answered(relay.requires, ctx) == good, client


def test_client_certificate_in_the_log(relay, ca, tmp_path):
    stranger = Authority(tmp_path / "stranger").make("client", usage="clientAuth", subject="stranger")
    for client, shown in ((ca.client, True), (stranger, False), (None, False)):
        with wrapped(relay.asks, context(client=client)) as c:
            c.ehlo()
            ident = queued_id(c.message("shown@example.com"))
        line = relay.wait_log(rf"accepted id={ident}.*")[0]
        assert ("certificate=" in line) == shown and ("client one" in line) == shown, line


def test_no_way_around_a_required_certificate(relay):
    """tls is "offer" there."""
    with Smtp(relay.requires) as c:
        c.ehlo()
        c.mail(expect=530)


def test_openssl_with_a_client_certificate(relay, ca):
    with_it = ["-cert", ca.client.cert, "-cert_chain", ca.client.cert, "-key", ca.client.key]
    out = s_client(relay.requires, *with_it)
    assert "221 2.0.0" in out and "Acceptable client certificate CA names\nCN = root" in out, out
    assert "221 2.0.0" not in s_client(relay.requires)
    assert "221 2.0.0" in s_client(relay.asks)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_no_session_stands_in_for_a_client_certificate(relay, ca, tmp_path, version):
    session = tmp_path / "session"
    assert "221 2.0.0" in s_client(relay.port, version, "-sess_out", session)
    assert "221 2.0.0" not in s_client(relay.requires, version, "-sess_in", session)
    out = s_client(relay.requires, version, "-cert", ca.client.cert, "-cert_chain", ca.client.cert, "-key", ca.client.key, "-sess_out", session)
    assert "221 2.0.0" in out
    if session.exists():
        assert "221 2.0.0" not in s_client(relay.requires, version, "-sess_in", session)


# ---- session tickets

def resume(port, version, session):
    """Reused or New, and keeps the session for the next."""
    out = s_client(port, version, *(["-sess_in", session] if session.exists() else []), "-sess_out", session)
    assert "221 2.0.0" in out, out
    assert "Early data was not sent" in out or version == "-tls1_2"
    return re.search(r"^(New|Reused), ", out, re.M)[1]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumption_with_any_worker_and_after_its_end(postern, tmp_path, version):
    daemon = postern(system={"workers": 3})
    session = tmp_path / "session"
    assert resume(daemon.port, version, session) == "New"
    assert [resume(daemon.port, version, session) for _ in range(12)] == ["Reused"] * 12
    for worker in children(daemon, "relay-"):
        subprocess.run(["kill", "-KILL", str(worker)], check=True)
    daemon.wait_log("worker-started")
    wait_until(lambda: resume_or_not(daemon.port, version, session), "a session to go on after the workers' end")
    daemon.command("reload")
    daemon.wait_log(" reloaded ")
    assert resume(daemon.port, version, session) == "Reused"
    daemon.restart()
    assert resume(daemon.port, version, session) == "New"  # keys are in memory only


def resume_or_not(port, version, session):
    with contextlib.suppress(AssertionError):
        return resume(port, version, session) == "Reused"


@pytest.mark.parametrize("version", [pytest.param("-tls1_2", marks=pytest.mark.slow), "-tls1_3"])
@pytest.mark.slow
def test_old_keys_are_forgotten(postern, tmp_path, version):
    daemon = postern(tls={"ticket_life": "3s"})
    session, kept = tmp_path / "session", tmp_path / "kept"
    resume(daemon.port, version, session)
    assert resume(daemon.port, version, session) == "Reused"
    shutil.copy(session, kept)
    wait_until(lambda: "New, " in s_client(daemon.port, version, "-sess_in", kept), "the key to be forgotten", 20, 0.5)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_no_tickets(postern, version):
    daemon = postern(tls={"ticket_life": 0})
    out = s_client(daemon.port, version, "-reconnect") if version == "-tls1_2" else s_client(daemon.port, version)
    assert "221 2.0.0" in out and "TLS session ticket:" not in out and "Post-Handshake New Session Ticket" not in out


def test_python_resumes(relay):
    ctx = context(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    with wrapped(relay.port, ctx) as c:
        session = c.sock.session
    with wrapped(relay.port, ctx, session=session) as c:
        assert c.sock.session_reused
        c.ehlo()
        c.message("resumed@example.com")


def test_tickets_are_not_in_the_admin_process(relay):
    """The keys' memory, and that of what they count together, is mapped by the workers and the master alone."""
    def shared_maps(pid):
        return open(f"/proc/{pid}/maps").read().count("/dev/zero (deleted)")
    admin = children(relay, "admin")
    workers = children(relay, "relay-")
    assert admin and workers
    assert all(shared_maps(pid) == shared_maps(workers[0]) for pid in workers)
    assert shared_maps(admin[0]) == shared_maps(workers[0]) - 2


# ---- what comes in clear before the handshake

INJECTED = b"MAIL FROM:<injected@client.example>\r\nRCPT TO:<injected@example.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"


@pytest.mark.parametrize("split", [False, True], ids=["one packet", "two"])
def test_pipelined_plaintext_is_no_command(relay, split):
    with Smtp(relay.port) as c:
        c.ehlo()
        if split:
            c.send(b"STARTTLS\r\n")
            first = c.reply(220)
            c.send(INJECTED)
        else:
            c.send(b"STARTTLS\r\n" + INJECTED)
            first = c.reply((220, 554))  # seen at once, it is refused at once
        c.sock.settimeout(3)
        with contextlib.suppress(ssl.SSLError, ConnectionError, socket.timeout, Closed):
            c.sock = context().wrap_socket(c.sock, server_hostname=NAME)
            c.cmd("RSET", (250, 503))
            c.cmd("RCPT TO:<injected@example.com>", 503)
            c.expect_silence(0.3)
            assert first.code == 220
    relay.send(f"after-injection-{split}@example.com")
    relay.sink.wait_to(f"after-injection-{split}@example.com")
    assert not relay.sink.to("injected@example.com")


def test_plaintext_at_an_implicit_port(relay):
    for text in (b"EHLO client.example\r\n" + INJECTED, INJECTED, b"STARTTLS\r\n" + INJECTED):
        with Smtp(relay.implicit, greet=False) as c:
            c.send(text)
            with contextlib.suppress(ConnectionError):
                while more := c.sock.recv(1000):
                    assert b"220" not in more and b"250" not in more
    assert not relay.sink.to("injected@example.com")
