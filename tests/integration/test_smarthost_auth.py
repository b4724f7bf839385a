# SPDX-License-Identifier: Apache-2.0
"""Authentication towards next hops: with Dovecot's and Cyrus's SASL behind Postfix, with OAuth 2 tokens from an HTTPS endpoint, and with servers
that lie (a sink, because no real one can be brought to it)."""
import base64
import json
import re
import ssl

import pytest

from lib.certs import Pair
from lib.programs import have
from lib.sasl import PASSWORD, USER, Dovecot, Smarthost, TokenServer, auth_rule, secrets_in
from lib.sink import Sink
from lib.util import wait_until

pytestmark = pytest.mark.slow

MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
needs_servers = pytest.mark.skipif(not (have("postfix") and have("dovecot")), reason="Postfix or Dovecot is not installed")
needs_cyrus = pytest.mark.skip(reason="Postfix does not find the smtpd.conf of a folder of its own yet")
FAST = {"queue": {"retry_first": "1s", "retry_max": "2s"}, "delivery": {"messages_per_connection": 1, "connections": 1}}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Pair(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def certificate(authority):
    return Pair(authority.cert_file.parent, "smtp.example", ["smtp.example", "127.0.0.1"], by=authority).files


@pytest.fixture(scope="module")
def target():
    sink = Sink()
    yield sink
    sink.stop()


@pytest.fixture(scope="module")
def tokens(certificate):
    server = TokenServer(certificate)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def dovecot(tokens):
    server = Dovecot(" ".join(MECHANISMS + ["xoauth2", "oauthbearer"]).lower(), tokens.introspect_port)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def smarthost(dovecot, target, certificate):
    server = Smarthost(target.hop, certificate, dovecot)
    yield server
    server.stop()


@pytest.fixture
def secret(tmp_path):
    def write(text=PASSWORD, name="isp.secret"):
        path = tmp_path / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)
    return write


@pytest.fixture
def relay(postern):
    """relay(hop, **changes): everything goes to that hop, a connection a message. What it wrote is searched for the password at the end."""
    made = []

    def make(hop, **changes):
        made.append(postern(smarthost={"host": "127.0.0.1", "tls": "encrypt", "user": USER, **hop}, **{**FAST, **changes}))
        return made[-1]
    yield make
    for daemon in made:
        text = daemon.command("queue", "list", "--json").stdout + daemon.command("config", "get", check=None).stdout if daemon.process else ""
        assert not secrets_in(daemon.folder, text)


def tls_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def reasons(daemon):
    return json.dumps(daemon.queue())


def wait_reason(daemon, pattern, seconds=20):
    wait_until(lambda: re.search(pattern, reasons(daemon)), lambda: f"{pattern} in {reasons(daemon)}\n{daemon.log_tail()}", seconds, 0.3)


# ---- real servers

def routes_for(mechanisms, port, password_file):
    return [{"to": f"{m.lower()}.example", "via": {"host": "127.0.0.1", "port": port, "tls": "encrypt", "user": USER,
                                                  "password_file": password_file, "methods": [m.lower()]}} for m in mechanisms]


def all_mechanisms(postern, server, target, mechanisms, password_file, prefix):
    r = postern(routes=routes_for(mechanisms, server.port, password_file))
    for m in mechanisms:
        r.send(f"{prefix}@{m.lower()}.example")
    for m in mechanisms:
        message = wait_until(lambda: target.to(f"{prefix}@{m.lower()}.example"),
                             lambda: f"{m}: {reasons(r)}\n{r.log_tail(30)}\n{server.log()[-2000:]}", 30)[0]
        assert b"Authenticated sender: " + USER.encode() in message.header
        assert re.search(rf"sasl_method={m}, sasl_username={USER}", server.log()), m
    assert not secrets_in(r.folder)


@pytest.mark.root
@needs_servers
def test_each_mechanism_with_dovecot(postern, smarthost, target, secret):
    all_mechanisms(postern, smarthost, target, MECHANISMS, secret(), "dovecot")


@pytest.mark.root
@needs_cyrus
def test_each_mechanism_with_cyrus(postern, target, certificate, secret):
    server = Smarthost(target.hop, certificate, None, " ".join(MECHANISMS))
    try:
        all_mechanisms(postern, server, target, MECHANISMS, secret(), "cyrus")
    finally:
        server.stop()


@pytest.mark.root
@needs_servers
def test_the_strongest_by_itself(relay, smarthost, target, secret):
    r = relay({"port": smarthost.port, "password_file": secret()})
    r.send("strongest@foreign.example")
    target.wait_to("strongest@foreign.example")
    assert re.search(r"sasl_method=SCRAM-SHA-256, ", smarthost.log())


@pytest.mark.root
@needs_servers
def test_implicit_tls_with_a_verified_certificate(relay, smarthost, target, secret, authority):
    r = relay({"port": smarthost.tls_port, "implicit_tls": True, "tls": "verify", "ca": str(authority.cert_file), "names": ["smtp.example"],
               "password_file": secret()})
    r.send("implicit@foreign.example")
    target.wait_to("implicit@foreign.example")


@pytest.mark.root
@needs_servers
def test_wrong_password_waits_and_is_read_anew(relay, smarthost, target, secret):
    r = relay({"port": smarthost.port, "password_file": secret("wrong")})
    r.send("wrong@foreign.example")
    wait_reason(r, r"SCRAM-SHA-256 refused.*535")
    r.wait_log(r" error relay-\S+ authentication-refused .*535")
    assert not target.to("wrong@foreign.example")
    secret()
    target.wait_to("wrong@foreign.example")
    r.wait_queue_empty()


@pytest.mark.root
@needs_servers
def test_only_after_tls(relay, smarthost, target, secret):
    r = relay({"port": smarthost.port, "tls": "none", "methods": ["cram-md5"], "password_file": secret()})
    r.send("clear@foreign.example")
    wait_reason(r, "does not offer authentication without TLS")
    r.wait_log("authentication-not-offered")
    assert not target.to("clear@foreign.example")


# ---- tokens

def token_hop(tokens, port, files, **more):
    return {"port": port, "token": {"endpoint": f"https://127.0.0.1:{tokens.port}/token", "client_id": "client & id",
                                    "client_secret_file": files("client-s%cret", "client.secret"),
                                    "refresh_token_file": files("refresh-0", "refresh.secret"), "scope": "smtp send"}, **more}


@pytest.fixture
def fresh(tokens):
    tokens.forms.clear()
    tokens.good.clear()
    tokens.answer, tokens.rotate, tokens.life = None, False, 3600
    return tokens


@pytest.mark.root
@needs_servers
@pytest.mark.parametrize("method", ["oauthbearer", "xoauth2"])
def test_tokens_from_an_endpoint(relay, smarthost, target, fresh, secret, authority, method):
    fresh.rotate = True
    r = relay(token_hop(fresh, smarthost.port, secret, methods=[method]), tls={"ca": str(authority.cert_file)})
    for i in range(2):
        r.send(f"{method}{i}@foreign.example")
        assert USER.encode() in target.wait_to(f"{method}{i}@foreign.example").header
    assert fresh.forms == [{"grant_type": "refresh_token", "client_id": "client & id", "client_secret": "client-s%cret",
                            "refresh_token": "refresh-0", "scope": "smtp send"}]
    assert f"sasl_method={method.upper()}, " in smarthost.log()
    fresh.good.clear()  # all are revoked: another is fetched, nothing waits
    r.send(f"{method}-again@foreign.example")
    target.wait_to(f"{method}-again@foreign.example")
    assert len(fresh.forms) == 2 and fresh.forms[1]["refresh_token"] == "refresh-1"
    with open(r.config["smarthost"]["token"]["refresh_token_file"]) as f:
        assert f.read() == "refresh-2\n"
    assert "authentication-refused" not in r.log()
    for word in ("token-1", "refresh-", "client-s%cret"):
        assert word not in r.log()


@pytest.mark.root
@needs_servers
def test_tokens_from_a_command(relay, smarthost, target, fresh, tmp_path):
    fresh.good.add("token-of-command")
    r = relay({"port": smarthost.port, "token": {"command": f"echo x >>{tmp_path}/runs; echo token-of-command; echo noise >&2"}})
    for i in range(2):
        r.send(f"command{i}@foreign.example")
        target.wait_to(f"command{i}@foreign.example")
    assert (tmp_path / "runs").read_text() == "x\n" and "noise" not in r.log() and "token-of-command" not in r.log()


@pytest.mark.parametrize("answer,reason", [
    (lambda form: (400, {}, '{"error": "invalid_grant", "error_description": "revoked"}'), "answered 400: it says invalid_grant: revoked"),
    (lambda form: (302, {"Location": "https://127.0.0.1:1/"}, ""), "answered 302"),
    (lambda form: (200, {}, "x" * 70000), "more than 64 KiB"),
    (lambda form: (200, {}, '{"access_token": "a b"}'), "no access_token"),
    (lambda form: (500, {}, "<html>"), "answered 500"),
], ids=["invalid_grant", "redirect", "large", "broken token", "500"])
def test_endpoint_trouble_defers_and_is_not_hammered(relay, make_sink, certificate, fresh, secret, authority, answer, reason):
    sink = make_sink(tls=tls_context(certificate), extensions=["AUTH XOAUTH2"])
    fresh.answer = answer
    r = relay(token_hop(fresh, sink.port, secret), tls={"ca": str(authority.cert_file)})
    r.send("trouble@foreign.example")
    wait_reason(r, reason)
    sink.wait_command("EHLO", 5)
    assert len(fresh.forms) == 1 and not sink.messages


def test_endpoint_of_an_unknown_authority(relay, make_sink, certificate, fresh, secret):
    sink = make_sink(tls=tls_context(certificate), extensions=["AUTH XOAUTH2"])
    r = relay(token_hop(fresh, sink.port, secret))
    r.send("unknown@foreign.example")
    wait_reason(r, "token.endpoint: .*certificate")
    assert not fresh.forms


def test_a_long_token_goes_after_the_challenge(relay, make_sink, certificate):
    """RFC 4954 §4: the command line stays below 512 bytes."""
    seen, token = [], "t" * 3000
    sink = make_sink(tls=tls_context(certificate), extensions=["AUTH XOAUTH2"])
    sink.on("auth", auth_rule(["334 ", "235 2.7.0 ok"], seen))
    r = relay({"port": sink.port, "token": {"command": f"printf %s {token}"}})
    r.send("long@foreign.example")
    sink.wait_to("long@foreign.example")
    assert seen == [("XOAUTH2", [f"user={USER}\x01auth=Bearer {token}\x01\x01".encode()])]


@pytest.mark.parametrize("script", [["334 ", "535 5.7.8 expired"], ["535 5.7.8 expired"]], ids=["behind the challenge", "at once"])
def test_a_long_token_that_ended_is_replaced_by_another(relay, make_sink, certificate, tmp_path, script):
    """The second one is sent alone, whatever became of the first."""
    seen = []
    rules = [auth_rule(script), auth_rule(["334 ", "235 2.7.0 ok"], seen)]
    sink = make_sink(tls=tls_context(certificate), extensions=["AUTH XOAUTH2"])
    sink.on("auth", lambda session, argument: rules.pop(0)(session, argument))
    r = relay({"port": sink.port, "token": {"command": f"echo x >>{tmp_path}/runs; printf %03000d $(wc -l <{tmp_path}/runs)"}})
    r.send("ended@foreign.example")
    sink.wait_to("ended@foreign.example")
    assert seen == [("XOAUTH2", [f"user={USER}\x01auth=Bearer {'2'.zfill(3000)}\x01\x01".encode()])]


# ---- servers that lie, or cannot

@pytest.mark.parametrize("tls", [True, False])
def test_no_auth_offered(relay, make_sink, certificate, secret, tls):
    sink = make_sink(tls=tls_context(certificate) if tls else None)
    r = relay({"port": sink.port, "tls": "encrypt" if tls else "may", "password_file": secret()})
    r.send("none@foreign.example")
    wait_reason(r, "does not offer authentication" if tls else "does not offer STARTTLS")
    assert not sink.messages and not any(c.upper().startswith("MAIL") for s in sink.sessions for c in s.commands)


def test_nothing_is_shown_without_tls(relay, make_sink, secret):
    sink = make_sink(extensions=["AUTH PLAIN LOGIN XOAUTH2"])
    r = relay({"port": sink.port, "tls": "may", "password_file": secret()})
    r.send("plain@foreign.example")
    wait_reason(r, "does not offer STARTTLS|no mechanism in common")
    assert not any(c.upper().startswith(("AUTH", "MAIL")) for s in sink.sessions for c in s.commands)


def test_the_old_form(relay, make_sink, certificate, secret):
    seen = []
    sink = make_sink(tls=tls_context(certificate), extensions=["AUTH=LOGIN PLAIN"])
    sink.on("auth", auth_rule(["235 2.7.0 ok"], seen))
    r = relay({"port": sink.port, "password_file": secret()})
    r.send("old@foreign.example")
    sink.wait_to("old@foreign.example")
    assert seen == [("PLAIN", [f"\0{USER}\0{PASSWORD}".encode()])]


CHALLENGE = "334 " + base64.b64encode(b"r=abc,s=QSXCR+Q6sek8bf92,i=4096").decode()


@pytest.mark.parametrize("mechanism,script,reason", [
    ("SCRAM-SHA-256", ["235 2.7.0 come in"], "did not prove"),
    ("SCRAM-SHA-256", [CHALLENGE, "535 5.7.8 no"], "SCRAM-SHA-256 failed"),
    ("SCRAM-SHA-256", ["334 !!!", "535 no"], "challenge is not one"),
    ("SCRAM-SHA-256", ["334 " + "QUJD" * 3060, "535 no"], "does not belong"),
    ("SCRAM-SHA-256", ["334 " + "QUJD" * 3200, "535 no"], "too long"),
    ("SCRAM-SHA-256", ["334-QUJD\r\n334 QUJD", "535 no"], "challenge is not one"),
    ("PLAIN", ["334 QUJD", "235 ok"], "does not belong to PLAIN"),
    ("LOGIN", ["334 VXNlcg==", "334 UGFzcw==", "334 QWdhaW4=", "235 ok"], "LOGIN was over"),
    ("LOGIN", ["235 ok"], "before the exchange was over"),
    ("CRAM-MD5", ["334 PGFAYj4=", "454 4.7.0 later"], "CRAM-MD5 refused.*454 4.7.0"),
    ("PLAIN", [f"535 5.7.8 Error: the password {PASSWORD} is wrong"], "PLAIN refused: 535 5.7.8 .its words are left out"),
    ("LOGIN", ["334 VXNlcg==", "334 UGFzcw==", f"535 {base64.b64encode(PASSWORD.encode()).decode()}"], "LOGIN refused: 535 .its words are left"),
    ("PLAIN", [f"535 5.7.139 {USER}: disabled for the tenant"], f"PLAIN refused: 535 5.7.139 {USER}: disabled for the tenant"),
    ("PLAIN", ["235 ok\r\n250 more"], "ahead of|nobody asked"),
    ("PLAIN", ["421 4.3.2 down"], "421"),
], ids=range(15))
def test_hostile_servers(relay, make_sink, certificate, secret, mechanism, script, reason):
    sink = make_sink(tls=tls_context(certificate), extensions=[f"AUTH {mechanism}"])
    sink.on("auth", auth_rule(script))
    r = relay({"port": sink.port, "password_file": secret()})
    r.send("hostile@foreign.example")
    wait_reason(r, reason)
    assert not sink.messages and not any(c.upper().startswith("MAIL") for s in sink.sessions for c in s.commands)
    assert "s3cret" not in r.log() and "s3cret" not in reasons(r)


def test_another_server_serves_meanwhile(postern, make_sink, certificate, secret, sink):
    """A hop with a wrong password holds up its own mail only."""
    bad = make_sink(tls=tls_context(certificate), extensions=["AUTH PLAIN"])
    bad.on("auth", auth_rule(["535 5.7.8 no"]))
    r = postern(smarthost=sink.hop, routes=[{"to": "bad.example", "via": {"host": "127.0.0.1", "port": bad.port, "tls": "encrypt", "user": USER,
                                                                         "password_file": secret()}}])
    r.send("x@bad.example")
    r.send("y@good.example")
    sink.wait_to("y@good.example")
    wait_reason(r, "PLAIN refused")
