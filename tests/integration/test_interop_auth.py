# SPDX-License-Identifier: Apache-2.0
"""Mail programs that log in to send: swaks, msmtp, s-nail, curl, Python's smtplib, nodemailer. Each over STARTTLS and over TLS from the
first byte, each with every method it knows, and each checks our certificate."""
import base64
import json
import os
import smtplib
import ssl
import subprocess
from email.message import EmailMessage

import pytest

from lib.certs import Pair
from lib.daemon import postern as command
from lib.programs import have, swaks
from lib.sink import Sink
from lib.util import free_port

pytestmark = pytest.mark.slow

USER, PASSWORD = "anna@example.com", "s3cret,Pass word!"
UTF8_USER = "jörg@example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Pair(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def relay(module_postern, authority, tmp_path_factory):
    users = tmp_path_factory.mktemp("users") / "users"
    for name in (USER, UTF8_USER):
        command("user", "add", name, "--file", users, "--cram-md5", stdin=PASSWORD + "\n", check=0)
    certificate, key = Pair(authority.cert_file.parent, "localhost", ["localhost", "127.0.0.1"], by=authority).files
    sink = Sink(extensions=["PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"])
    ports = [free_port(), free_port()]
    daemon = module_postern(
        listeners=[{"address": f"127.0.0.1:{ports[0]}", "role": "submission", "tls": "require"},
                   {"address": f"127.0.0.1:{ports[1]}", "role": "submission", "tls": "implicit"}],
        tls={"certificate": str(certificate), "key": str(key)}, domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop,
        auth={"backend": "users", "users": str(users), "failures": 1000,
              "methods": ["plain", "login", "cram-md5", "scram-sha-256", "scram-sha-256-plus"]})
    daemon.ports, daemon.sink, daemon.ca = dict(zip(["starttls", "implicit"], ports)), sink, str(authority.cert_file)
    yield daemon
    sink.stop()


@pytest.fixture(params=["starttls", "implicit"])
def way(request):
    return request.param


@pytest.fixture
def to(request):
    """A recipient of this test's own."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name).lower().strip("-") + "@other.example"


def arrived(relay, to, mechanism=None, user=USER):
    message = relay.sink.wait_to(to)
    line = relay.wait_log(rf"accepted .* to={to} .*").group(0)
    assert f"account={user}" in line, line
    if mechanism:
        assert f"account={user} mechanism={mechanism}" in relay.log() or f"mechanism={mechanism}" in relay.log()
    assert b"\r\nmessage-id:" in message.header.lower() and b"\r\nDate:" in message.header  # RFC 6409 §8
    assert b"ESMTPSA" in message.header  # RFC 3848
    assert PASSWORD not in relay.log()
    return message


@pytest.mark.skipif(not have("swaks"), reason="swaks is not installed")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks(relay, way, to, mechanism):
    options = ["--auth", mechanism, "--auth-user", USER, "--tls-ca-path", relay.ca, "--tls-verify",
               "-tls" if way == "starttls" else "--tls-on-connect", "--h-From", USER]
    swaks(relay.ports[way], to, *options, "--auth-password", PASSWORD, sender=USER, source="127.0.0.1")
    arrived(relay, to, mechanism)
    done = swaks(relay.ports[way], to, *options, "--auth-password", "wrong", sender=USER, source="127.0.0.1", check=28)
    assert "535 5.7.8" in done.stdout


@pytest.mark.skipif(not have("msmtp"), reason="msmtp is not installed")
@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5", "scram-sha-256", "on"])
def test_msmtp(relay, way, to, mechanism):
    def send(password):
        return subprocess.run(
            ["msmtp", "-C", "/dev/null", "--host=localhost", f"--port={relay.ports[way]}", "--tls=on", f"--tls-trust-file={relay.ca}",
             f"--tls-starttls={'on' if way == 'starttls' else 'off'}", f"--auth={mechanism}", f"--user={USER}",
             f"--passwordeval=echo '{password}'", f"--from={USER}", "--dsn-notify=success,failure", "--dsn-return=headers", to],
            input=f"From: {USER}\nTo: {to}\n\ntext\n", capture_output=True, text=True, timeout=60)
    done = send(PASSWORD)
    assert done.returncode == 0, done.stderr + relay.log_tail()
    message = arrived(relay, to, None if mechanism == "on" else mechanism.upper())
    assert "RET=HDRS" in message.mail_params
    assert any(f"RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE" in c for c in message.session.commands)
    assert send("wrong").returncode == 77


@pytest.mark.skipif(not have("s-nail"), reason="s-nail is not installed")
@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_s_nail(relay, way, to, mechanism, tmp_path):
    scheme = "submission" if way == "starttls" else "submissions"
    rc = tmp_path / "rc"
    rc.write_text(f"set v15-compat smtp-use-starttls tls-verify=strict tls-ca-file={relay.ca} tls-ca-no-defaults smtp-auth={mechanism}\n"
                  f"set hostname=client.example from={USER} user={USER} password='{PASSWORD}' mta={scheme}://localhost:{relay.ports[way]}\n")
    done = subprocess.run(["s-nail", "-:u", "-s", "by s-nail", to], input="hello\n.\nthere\n", capture_output=True, text=True, timeout=30,
                          env={**os.environ, "MAILRC": str(rc), "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert b"by s-nail" in arrived(relay, to, mechanism.upper()).header


@pytest.mark.skipif(not have("curl"), reason="curl is not installed")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "*"])
def test_curl(relay, way, to, mechanism, tmp_path):
    (tmp_path / "mail").write_bytes(f"From: {USER}\r\nSubject: by curl\r\n\r\ntext\r\n".encode())
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--url", f"{'smtp' if way == 'starttls' else 'smtps'}://localhost:{relay.ports[way]}/client.example", "--ssl-reqd",
         "--cacert", relay.ca, "--user", f"{USER}:{PASSWORD}", "--login-options", f"AUTH={mechanism}", "--mail-from", USER, "--mail-rcpt", to,
         "--upload-file", str(tmp_path / "mail")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr + relay.log_tail()
    assert b"by curl" in arrived(relay, to).header


# ---- Python

def python_client(relay, way, user=USER):
    context = ssl.create_default_context(cafile=relay.ca)
    if way == "implicit":
        c = smtplib.SMTP_SSL("localhost", relay.ports[way], timeout=20, context=context)
    else:
        c = smtplib.SMTP("localhost", relay.ports[way], timeout=20)
        c.starttls(context=context)
    c.ehlo()
    if user == USER:
        c.login(USER, PASSWORD)
    return c


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram_md5"])
def test_smtplib_methods(relay, way, to, mechanism):
    name = mechanism.upper().replace("_", "-")
    with python_client(relay, way, user=None) as c:
        c.user, c.password = USER, PASSWORD
        assert c.auth(name, getattr(c, "auth_" + mechanism))[0] == 235
        c.sendmail(USER, [to], f"Subject: x\nFrom: {USER}\n\ntext\n")
    arrived(relay, to, name)


def internationalized(to):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = UTF8_USER, to, "Grüße aus Köln"
    message.set_content("Schöne Grüße\n")
    return message


def test_smtplib_internationalized(relay, way):
    to = f"δοκιμή-{way}@παράδειγμα.example"
    with python_client(relay, way, user=None) as c:
        c.user, c.password = UTF8_USER, PASSWORD
        c.docmd("AUTH", "PLAIN " + plain_utf8())
        c.send_message(internationalized(to))
    message = relay.sink.wait_to(to.encode().decode("latin-1"))
    assert "SMTPUTF8" in message.mail_params
    assert message.sender == UTF8_USER.encode().decode("latin-1")
    assert "Grüße aus Köln".encode() in message.header and b"UTF8SMTPSA" in message.header  # RFC 6531 §3.7.3, RFC 3848
    assert "Schöne Grüße".encode() in message.body


def plain_utf8():
    return base64.b64encode(f"\0{UTF8_USER}\0{PASSWORD}".encode()).decode()


def test_smtplib_dsn_options(relay, way, to):
    with python_client(relay, way) as c:
        assert c.has_extn("dsn") and c.has_extn("smtputf8") and c.has_extn("chunking") and c.has_extn("8bitmime")
        c.sendmail(USER, [to], f"From: {USER}\n\ntext\n", mail_options=["RET=HDRS", "ENVID=here+2B1"],
                   rcpt_options=["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;first@other.example"])
    message = arrived(relay, to)
    assert "RET=HDRS" in message.mail_params and "ENVID=here+2B1" in message.mail_params
    assert any("NOTIFY=SUCCESS,DELAY" in c and "ORCPT=rfc822;first@other.example" in c for c in message.session.commands)


def test_smtplib_foreign_sender_is_refused(relay, way, to):
    with python_client(relay, way) as c:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            c.sendmail("boss@example.com", [to], "text\n")
        assert refused.value.smtp_code == 553
        with pytest.raises(smtplib.SMTPDataError):
            c.sendmail(USER, [to], "From: boss@example.com\n\ntext\n")


def test_smtplib_without_login(relay, way, to):
    with python_client(relay, way, user=None) as c, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        c.sendmail(USER, [to], "text\n")
    assert refused.value.smtp_code == 530


# ---- nodemailer

NODEMAILER = """
const [settings, mail] = JSON.parse(require('fs').readFileSync(0))
if (settings.tls) settings.tls.ca = require('fs').readFileSync(settings.tls.ca)
const transport = require('nodemailer').createTransport(settings)
Promise.all(mail.map((m) => transport.sendMail(m))).then((sent) => {
  console.log(JSON.stringify(sent.map((s) => s.response))); transport.close()
}, (error) => { console.log(JSON.stringify({ error: error.message, code: error.code })); process.exit(1) })
"""
ENVIRONMENT = {**os.environ, "NODE_PATH": os.environ.get("NODE_PATH", "/usr/share/nodejs:/usr/lib/nodejs")}


def nodemailer(settings, mail, check=0):
    done = subprocess.run(["node", "-e", NODEMAILER], input=json.dumps([settings, mail]), capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert done.returncode == check, done.stdout + done.stderr
    return json.loads(done.stdout)


def has_nodemailer():
    return have("node") and subprocess.run(["node", "-e", "require('nodemailer')"], capture_output=True, env=ENVIRONMENT).returncode == 0


needs_nodemailer = pytest.mark.skipif(not has_nodemailer(), reason="node-nodemailer is not installed")


def node_settings(relay, way, **more):
    return {"host": "localhost", "port": relay.ports[way], "secure": way == "implicit", "requireTLS": True, "tls": {"ca": relay.ca},
            "auth": {"user": USER, "pass": PASSWORD}, **more}


@needs_nodemailer
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_nodemailer(relay, way, to, mechanism):
    nodemailer(node_settings(relay, way, authMethod=mechanism), [{"from": USER, "to": to, "subject": "by nodemailer", "text": "ä\n.\n"}])
    assert b"by nodemailer" in arrived(relay, to, mechanism).header
    error = nodemailer(node_settings(relay, way, authMethod=mechanism, auth={"user": USER, "pass": "wrong"}), [{"from": USER, "to": to}], check=1)
    assert error["code"] == "EAUTH" and "535" in error["error"]


@needs_nodemailer
def test_nodemailer_pool(relay, way, to):
    """Many messages over few kept connections."""
    mail = [{"from": USER, "to": f"{i}-{to}", "text": f"number {i}\n" * 500} for i in range(30)]
    assert all("queued as" in r for r in nodemailer(node_settings(relay, way, pool=True, maxConnections=3), mail))
    for i in range(30):
        assert f"number {i}\r\n".encode() * 500 in arrived(relay, f"{i}-{to}").body


@needs_nodemailer
def test_nodemailer_internationalized_with_dsn(relay, way):
    to = f"用户-{way}@例え.example"
    nodemailer(node_settings(relay, way), [{"from": USER, "to": to, "subject": "日本語", "text": "本文",
                                            "dsn": {"id": "id-1", "return": "headers", "notify": ["failure", "delay"], "recipient": USER}}])
    message = relay.sink.wait_to(f"用户-{way}@xn--r8jz45g.example".encode().decode("latin-1"))
    assert "SMTPUTF8" in message.mail_params and "ENVID=id-1" in message.mail_params
    assert any("NOTIFY=FAILURE,DELAY" in c for c in message.session.commands)


@needs_nodemailer
def test_nodemailer_distrusts_another_authority(relay, way, to, tmp_path):
    other = Pair(tmp_path, "another authority")
    error = nodemailer({**node_settings(relay, way), "tls": {"ca": str(other.cert_file)}}, [{"from": USER, "to": to}], check=1)
    assert "certificate" in error["error"]
