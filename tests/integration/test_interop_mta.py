# SPDX-License-Identifier: Apache-2.0
"""Exim and Postfix as users of our submission ports, and as servers that we log in to, with and without each extension."""
import itertools
import re

import pytest

from lib.certs import Pair
from lib.daemon import postern as command
from lib.exim import CLIENT, SERVER, Exim, why_not
from lib.programs import have
from lib.sink import Sink
from lib.smtp import Smtp
from lib.util import free_port, listens, wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]
USER, PASSWORD = "anna@example.com", "s3cretPassword"
METHODS = ["plain", "login", "cram-md5", "scram-sha-256", "scram-sha-256-plus"]
needs_exim = pytest.mark.skipif(bool(why_not()), reason=f"Exim: {why_not()}")
needs_postfix = pytest.mark.skipif(not have("postfix"), reason="Postfix is not installed")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    authority = Pair(tmp_path_factory.mktemp("authority"), "authority")
    pair = Pair(authority.cert_file.parent, "localhost", ["localhost", "127.0.0.1"], by=authority).files
    for path in (authority.cert_file, *pair):
        path.chmod(0o644 if path.suffix != ".key" else 0o600)
        for folder in path.parents[:3]:  # other programs' users must come through
            folder.chmod(folder.stat().st_mode | 0o011)
    return {"ca": authority.cert_file, "pair": pair}


@pytest.fixture(scope="module")
def submission(module_postern, certificate, tmp_path_factory):
    """A relay whose users log in; all its mail goes to its sink."""
    users = tmp_path_factory.mktemp("users") / "users"
    command("user", "add", USER, "--file", users, "--cram-md5", "--addresses", "*", stdin=PASSWORD + "\n", check=0)
    sink = Sink(extensions=["PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"])
    ports = [free_port(), free_port()]
    cert, key = certificate["pair"]
    daemon = module_postern(
        listeners=[{"address": f"127.0.0.1:{ports[0]}", "role": "submission", "tls": "require"},
                   {"address": f"127.0.0.1:{ports[1]}", "role": "submission", "tls": "implicit"}],
        tls={"certificate": str(cert), "key": str(key)}, smarthost=sink.hop,
        auth={"backend": "users", "users": str(users), "failures": 1000, "methods": METHODS})
    daemon.ports, daemon.sink = dict(zip(["starttls", "implicit"], ports)), sink
    yield daemon
    sink.stop()


@pytest.fixture
def exim(certificate):
    things = []

    def make(next_port, tls=True, **kw):
        things.append(Exim(next_port, certificate["pair"] if tls else None, **kw))
        return things[-1]
    yield make
    for thing in things:
        thing.stop()


def octets(text):
    """What Smtp writes and the sink reads: a character for each byte of UTF-8."""
    return text.encode().decode("latin-1")


def check_arrived(sink, to, body=None):
    message = sink.wait_to(to, seconds=40)
    if body:
        assert message.body == body
    return message


# ---- Exim logs in to us

@needs_exim
@pytest.mark.parametrize("way", ["starttls", "implicit"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_exim_logs_in(submission, exim, certificate, mechanism, way):
    e = exim(submission.ports[way], authenticators=CLIENT[mechanism].format(user=USER, password=PASSWORD),
             transport=f"  hosts_require_auth = *\n  hosts_require_tls = *\n  tls_verify_certificates = {certificate['ca']}\n  tls_verify_hosts = *\n"
                       "  tls_verify_cert_hostnames =\n" + ("  protocol = smtps\n" if way == "implicit" else ""))
    to = f"exim-{mechanism.lower()}-{way}@other.example"
    text = "From: anna@example.com\nSubject: by Exim\n\n" + "".join(f".line {i} {'x' * (i % 200)}\n" for i in range(2000))
    with e.client() as c:
        c.ehlo()
        for i in range(3):
            c.message([f"{i}-{to}", f"other-{i}-{to}"], text, sender=USER)
    for i in range(3):
        message = check_arrived(submission.sink, f"{i}-{to}", text.split("\n\n")[1].replace("\n", "\r\n").encode())
        assert len(message.rcpts) == 2 and b"ESMTPSA" in message.header
    line = re.search(rf"accepted .* to=0-{to} .*", submission.log())[0]
    assert f"account={USER}" in line
    assert " A=one" in e.log() and "C=\"250" in e.log()
    assert re.search(r"=> .* K ", e.log()), e.log()  # it used BDAT


@needs_exim
def test_exim_passes_on_dsn_and_utf8(submission, exim):
    e = exim(submission.ports["starttls"], authenticators=CLIENT["PLAIN"].format(user=USER, password=PASSWORD),
             transport="  hosts_require_auth = *\n  hosts_require_tls = *\n  tls_verify_certificates =\n")
    with e.client() as c:
        c.ehlo()
        c.mail(octets("jörg@example.com"), "SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=abc")
        c.cmd(octets("RCPT TO:<δοκιμή@other.example> NOTIFY=FAILURE ORCPT=utf-8;δοκιμή@other.example"), 250)
        c.data("From: jörg@example.com\nSubject: Grüße\n\nGrüße\n")
    message = check_arrived(submission.sink, octets("δοκιμή@other.example"))
    assert "SMTPUTF8" in message.mail_params and "ENVID=abc" in message.mail_params and "RET=HDRS" in message.mail_params
    assert any("NOTIFY=FAILURE" in x for x in message.session.commands)
    assert "Grüße".encode() in message.body


@needs_exim
def test_exim_with_a_wrong_password_keeps_its_mail(submission, exim):
    e = exim(submission.ports["starttls"], authenticators=CLIENT["PLAIN"].format(user=USER, password="wrong"),
             transport="  hosts_require_auth = *\n  hosts_require_tls = *\n  tls_verify_certificates =\n")
    with e.client() as c:
        c.ehlo()
        c.message("kept@other.example", "From: anna@example.com\n\ntext\n", sender=USER)
    submission.wait_log("auth-failed .*account=anna@example.com")
    assert not submission.sink.to("kept@other.example")


# ---- we log in to Exim

@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "password.secret"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


@needs_exim
@pytest.mark.parametrize("method", ["plain", "cram-md5"])
@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_exim_as_smarthost(postern, sink, exim, certificate, secret, method, way):
    e = exim(sink.port, acl="  accept authenticated = *\n", authenticators=SERVER.format(user=USER, password=PASSWORD),
             main="tls_on_connect_ports = PORT\n" if way == "implicit" else "")
    relay = postern(smarthost={"host": "127.0.0.1", "port": e.port, "tls": "verify", "ca": str(certificate["ca"]), "names": ["localhost"],
                               "implicit_tls": way == "implicit", "user": USER, "password_file": str(secret), "methods": [method]})
    body = b"".join(b"..line %d\r\n" % i for i in range(2000))
    with relay.trusted() as c:
        c.ehlo()
        for i in range(3):
            c.message([f"{i}@other.example", f"other{i}@other.example"], b"Subject: x\r\n\r\n" + body)
    for i in range(3):
        assert check_arrived(sink, f"{i}@other.example", body).rcpts
    relay.wait_queue_empty()
    assert f" A={'plain' if method == 'plain' else 'cram'}:{USER}" in e.log()
    assert relay.wait_log("delivered .*tls=TLSv1.3 tls_proof=verified")


@needs_exim
def test_exim_without_extensions(postern, sink, exim):
    """No 8BITMIME, no CHUNKING, no PIPELINING."""
    e = exim(sink.port, tls=False, main="accept_8bitmime = false\npipelining_advertise_hosts =\nchunking_advertise_hosts =\n")
    relay = postern(domains=[{"name": "example.com", "deliver": e.hop}])
    with relay.trusted() as c:
        c.ehlo()
        c.mail(params="BODY=8BITMIME RET=FULL")
        c.cmd("RCPT TO:<plain@example.com> NOTIFY=SUCCESS", 250)
        c.data("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\n")
    message = check_arrived(sink, "plain@example.com")
    assert b"quoted-printable" in message.header and b"Gr=C3=BC=C3=9Fe" in message.body


# ---- Postfix logs in to us

SASL = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"]


@needs_postfix
@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_postfix_logs_in(submission, postfix, certificate, way):
    pf = postfix(f"127.0.0.1:{submission.ports[way]}", smtp_sasl_auth_enable="yes", smtp_sasl_security_options="noanonymous",
                 smtp_sasl_password_maps=f"static:{USER}:{PASSWORD}", smtp_tls_security_level="verify", smtp_tls_CAfile=certificate["ca"],
                 smtp_tls_verify_cert_match="localhost", smtp_tls_wrappermode="yes" if way == "implicit" else "no",
                 transport_maps="inline:{" + ", ".join(f"{m.lower()}.example=by-{m.lower()}:[127.0.0.1]:{submission.ports[way]}" for m in SASL) + "}")
    pf.more(f"by-{m.lower()} unix - - n - - smtp -o smtp_sasl_mechanism_filter={m.lower()}" for m in SASL)
    for mechanism in SASL:
        to = f"postfix-{way}@{mechanism.lower()}.example"
        text = "From: anna@example.com\nSubject: by Postfix\n\n" + "".join(f".line {i}\n" for i in range(1000))
        with pf.client() as c:
            c.ehlo()
            c.message(to, text, sender=USER)
        message = check_arrived(submission.sink, to, text.split("\n\n")[1].replace("\n", "\r\n").encode())
        assert b"ESMTPSA" in message.header
        submission.wait_log(f"auth-ok .*mechanism={mechanism}")


# ---- Postfix as server, with and without extensions

FEWER = {"all": "", "no-chunking": "chunking", "no-dsn": "dsn", "no-pipelining": "pipelining", "no-size": "size",
         "no-codes": "enhancedstatuscodes", "nothing": "chunking,dsn,pipelining,size,enhancedstatuscodes,8bitmime,smtputf8"}


@needs_postfix
def test_postfix_with_fewer_extensions(postern, sink, postfix):
    sink.extensions += ["DSN", "SMTPUTF8"]
    pf = postfix(sink.hop)
    ports = {name: free_port() for name in FEWER}
    pf.more(pf.smtpd_line(port, smtpd_discard_ehlo_keywords=FEWER[name]) for name, port in ports.items())
    wait_until(lambda: all(map(listens, ports.values())), pf.log)
    relay = postern(domains=[{"name": f"{name}.example", "deliver": f"127.0.0.1:{port}"} for name, port in ports.items()], smarthost=sink.hop)
    body = "".join(f".line {i}\n" for i in range(500))
    for name, words in FEWER.items():
        with relay.trusted() as c:
            c.ehlo()
            c.mail(params="RET=HDRS ENVID=e1")
            c.cmd(f"RCPT TO:<to@{name}.example> NOTIFY=SUCCESS,FAILURE", 250)
            c.data(f"Subject: {name}\n\n{body}")
        message = check_arrived(sink, f"to@{name}.example", body.replace("\n", "\r\n").encode())
        if "dsn" in words:  # RFC 3461 §6.2.1: we tell the sender that nothing more will be known
            assert any(b"relayed" in m.data.lower() for m in wait_report(sink, name))
        else:
            assert "ENVID=e1" in message.mail_params
    relay.wait_queue_empty()


def wait_report(sink, name):
    return wait_until(lambda: [m for m in sink.to("sender@client.example") if f"to@{name}.example".encode() in m.data],
                      f"the report about {name}")


def learned(c, command, status):
    """The first client that wants it makes the relay ask the next hop, without waiting for it; soon after it is known."""
    numbers = itertools.count()  # a recipient given twice is one, and not looked at again
    wait_until(lambda: c.cmd(command.format(next(numbers))).enhanced == status, lambda: f"a refusal with {status}\n{c.story()}", pause=0.2)


@needs_postfix
def test_postfix_without_smtputf8(postern, sink, postfix):
    pf = postfix(sink.hop, smtputf8_enable="no")
    relay = postern(domains=[{"name": "example.com", "deliver": pf.hop}], smarthost=sink.hop)
    with relay.trusted() as c:
        c.ehlo()
        c.mail(octets("jörg@client.example"), "SMTPUTF8")
        learned(c, octets("RCPT TO:<δοκιμή{}@example.com>"), "5.6.7")
        assert c.cmd("RCPT TO:<ascii@example.com>").enhanced == "5.6.7"  # the sender is not ASCII
        c.cmd("RSET", 250)
        c.message("ascii@example.com")
    check_arrived(sink, "ascii@example.com")


@needs_postfix
def test_postfix_with_smtputf8(postern, sink, postfix):
    sink.extensions += ["SMTPUTF8"]
    pf = postfix(sink.hop, smtputf8_enable="yes")
    relay = postern(domains=[{"name": "example.com", "deliver": pf.hop}])
    with relay.trusted() as c:
        c.ehlo()
        c.mail(octets("jörg@client.example"), "SMTPUTF8")
        c.rcpt(octets("δοκιμή@example.com"))
        c.data("Subject: Grüße\n\ntext\n")
    message = check_arrived(sink, octets("δοκιμή@example.com"))
    assert "SMTPUTF8" in message.mail_params and "Grüße".encode() in message.header


@needs_postfix
def test_postfix_lacks_requiretls(postern, sink, postfix, certificate):
    cert, key = certificate["pair"]
    pf = postfix(sink.hop, smtpd_tls_security_level="may", smtpd_tls_cert_file=cert, smtpd_tls_key_file=key)
    relay = postern(domains=[{"name": "example.com", "deliver": {"host": "127.0.0.1", "port": pf.port, "tls": "verify", "names": ["localhost"],
                                                                 "ca": str(certificate["ca"])}}], smarthost=sink.hop)
    with Smtp(relay.port, source="127.0.0.2") as c:
        c.ehlo()
        c.starttls()
        assert "REQUIRETLS" in c.ehlo()
        c.mail(params="REQUIRETLS")
        learned(c, "RCPT TO:<anybody{}@example.com>", "5.7.30")
