# SPDX-License-Identifier: Apache-2.0
"""AUTH (RFC 4954): mechanisms with independent clients, what is refused, the brake, and each back end with a real server."""
import base64
import itertools
import json
import os
import re
import signal
import smtplib
import ssl
import subprocess

import pytest

from lib.authservers import Dovecot, Slapd
from lib.daemon import postern as command
from lib.programs import have, swaks
from lib.sink import Sink
from lib.smtp import Smtp
from lib.util import free_port, wait_until

METHODS = ["plain", "login", "cram-md5", "scram-sha-256", "scram-sha-256-plus"]


def b64(*parts):
    return base64.b64encode(b"\0".join(p.encode() if isinstance(p, str) else p for p in parts)).decode()


def plain(name, password):
    return b64("", name, password)


def add_user(file, name, password, *options):
    command("user", "add", name, "--file", file, *options, stdin=password + "\n", check=0)


def settings(port, sink, file, **auth):
    return {"listeners": [{"address": f"127.0.0.1:{port}", "role": "submission", "tls": "offer"}],
            "zones": {"open": {"networks": ["127.0.0.8/32"], "auth_without_tls": True}},
            "domains": [{"name": "example.com", "deliver": sink.hop}],
            "smarthost": sink.hop,
            "system": {"auth_user": ""},
            "auth": {"backend": "users", "users": str(file), "methods": METHODS, "failures": 1000, **auth}}


def make_users(folder):
    file = folder / "users"
    add_user(file, "anna@example.com", "secret word", "--addresses", "sales@example.com,@anna.example", "--cram-md5")
    add_user(file, "bert", "b:e\"r\\t", "--addresses", "bert@example.com")
    return file


@pytest.fixture
def users(tmp_path):
    return make_users(tmp_path)


@pytest.fixture
def relay(postern, sink, users):
    def make(**auth):
        port = free_port()
        daemon = postern(**settings(port, sink, users, **auth))
        daemon.port, daemon.sink = port, sink
        return daemon
    return make


@pytest.fixture(scope="module")
def common(module_postern, tmp_path_factory):
    """One relay for the tests that only say things to it: fresh() is a session of a client that has done nothing wrong so far."""
    sink, port = Sink(), free_port()
    daemon = module_postern(**settings(port, sink, make_users(tmp_path_factory.mktemp("users"))))
    daemon.port, clients = port, itertools.count(1)
    daemon.fresh = lambda: session(daemon, source=f"127.0.3.{next(clients)}")
    yield daemon
    sink.stop()


def session(relay, tls=True, source="127.0.0.1"):
    c = Smtp(relay.port, source=source)
    c.ehlo()
    if tls:
        c.starttls()
        c.offers = c.ehlo()
    return c


# ---- real clients

@pytest.mark.daily(1)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks(relay, mechanism):
    r = relay()
    options = ["--auth", mechanism, "--auth-user", "anna@example.com", "--auth-password", "secret word", "--tls"]
    swaks(r.port, "to@other.example", *options, sender="sales@example.com", source="127.0.0.1")
    wait_until(lambda: r.sink.messages, "the message")
    assert re.search(rf"auth-ok .*account=anna@example.com mechanism={mechanism}$", r.log(), re.M)
    swaks(r.port, "to@other.example", *options[:4], "--auth-password", "wrong", "--tls", sender="sales@example.com", source="127.0.0.1", check=28)
    assert "secret word" not in r.log() and plain("anna@example.com", "secret word") not in r.log()


def test_smtplib(relay):
    r = relay()
    for mechanism in ("plain", "login", "cram_md5"):
        with smtplib.SMTP("127.0.0.1", r.port, timeout=20) as c:
            c.starttls(context=ssl._create_unverified_context())
            c.ehlo()
            c.user, c.password = "anna@example.com", "secret word"
            code, _ = c.auth(mechanism.upper().replace("_", "-"), getattr(c, "auth_" + mechanism))
            assert code == 235
            c.sendmail("x@anna.example", ["to@other.example"], "Subject: x\nFrom: x@anna.example\n\ntext\n")


@pytest.mark.slow
@pytest.mark.skipif(not have("msmtp"), reason="msmtp is not installed")
@pytest.mark.parametrize("mechanism", ["plain", "cram-md5", "scram-sha-256"])
def test_msmtp(relay, tmp_path, mechanism):
    r = relay()

    def send(password):
        return subprocess.run(["msmtp", "-C", "/dev/null", "--host=127.0.0.1", f"--port={r.port}", "--tls=on", "--tls-starttls=on", "--tls-certcheck=off",
                               f"--auth={mechanism}", "--user=anna@example.com", f"--passwordeval=echo {password}",
                               "--from=anna@example.com", "to@other.example"], input="From: anna@example.com\n\ntext\n", capture_output=True, text=True, timeout=60)
    done = send("secret word")
    assert done.returncode == 0, done.stderr + r.log_tail()
    assert send("wrong").returncode == 77


@pytest.mark.daily(1)
@pytest.mark.parametrize("version,password", [("TLSv1.3", "secret word"), ("TLSv1.3", "wrong"), ("TLSv1.2", "secret word")])
def test_channel_binding(relay, postern, tmp_path, monkeypatch, version, password):
    """libgsasl, in another relay's hands, binds SCRAM to the TLS connection."""
    r = relay()
    openssl = tmp_path / "openssl.cnf"
    openssl.write_text(f"openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = {version}\n")
    monkeypatch.setenv("OPENSSL_CONF", str(openssl))
    secret = tmp_path / "password"
    secret.write_text(password + "\n")
    secret.chmod(0o600)
    sender = postern(smarthost={"host": "127.0.0.1", "port": r.port, "tls": "encrypt", "user": "anna@example.com",
                                "password_file": str(secret), "methods": ["scram-sha-256-plus"]}, system={"auth_user": ""})
    sender.send("to@other.example", sender="anna@example.com", text="From: anna@example.com\n\ntext\n")
    r.wait_log(f"auth-{'failed' if password == 'wrong' else 'ok'} .*account=anna@example.com .*mechanism=SCRAM-SHA-256-PLUS")
    if password != "wrong":
        wait_until(lambda: r.sink.messages, "the message")
        assert re.search(rf"tls={version}|{version}", sender.log() + r.log())


# ---- the command's words

def test_offer_and_order(relay):
    r = relay()
    with Smtp(r.port) as c:
        c.cmd("AUTH PLAIN " + plain("a", "b"), 538)
        assert "AUTH" not in c.ehlo()  # not before TLS
        c.starttls()
        c.cmd("AUTH PLAIN " + plain("a", "b"), 503)  # EHLO first
        offer = c.ehlo()["AUTH"].split()
        assert {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"} == set(offer)
        c.cmd("AUTH GSSAPI", 504)
        c.cmd("AUTH", 501)
        c.cmd("AUTH PLAIN", 334)
        assert c.cmd("*", 501).enhanced == "5.7.0"
        c.cmd("AUTH PLAIN =", 535)
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 235)
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 503)
        c.cmd("RSET", 250)
        c.ehlo()
        c.mail("anna@example.com")


@pytest.mark.slow
def test_not_within_a_transaction(relay):
    with session(relay()) as c:
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 235)
    with session(relay(), tls=False, source="127.0.0.8") as c:
        assert "SCRAM-SHA-256-PLUS" not in c.ehlo()["AUTH"]
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 235)


@pytest.mark.parametrize("message", [
    b64("", "anna@example.com"), b64("anna"), b64("", "anna@example.com", "secret word", "x"), b64("", "", "secret word"),
    b64("", "anna@example.com", ""), b64("other", "anna@example.com", "secret word"), b64("", "anna@example.com\r\n", "secret word"),
    b64("", b"\xff\xfe", "x"), b64("", "a" * 300, "x"), b64("", "anna@example.com", "p" * 2000), b64("", "anna@example.com", b"\xff")])
def test_plain_malformed(common, message):
    with common.fresh() as c:
        c.cmd("AUTH PLAIN " + message, 535)
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 235)


@pytest.mark.parametrize("text", ["!", "AAA", "AA==AA==", "QQ=", "QR==", "A A=", "====", "\xe4"])
def test_base64_is_strict(common, text):
    with common.fresh() as c:
        c.cmd("AUTH PLAIN", 334)
        c.cmd(text, 501)
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 235)


@pytest.mark.slow
def test_long_lines(relay):
    with session(relay()) as c:
        c.cmd("AUTH PLAIN", 334)
        c.cmd("A" * 12288, 535)  # as long as it may be
        c.cmd("AUTH PLAIN", 334)
        assert c.cmd("A" * 13000, 500).enhanced == "5.5.6"
        c.cmd("NOOP", 250)  # the exchange is over


def test_names_with_case_and_signs(relay):
    with session(relay()) as c:
        c.cmd("AUTH LOGIN " + b64("BERT"), 334)
        c.cmd(b64("b:e\"r\\t"), 235)
        c.mail("bert@example.com")


@pytest.mark.slow
def test_three_failures_end_it(relay):
    with session(relay()) as c:
        for _ in range(3):
            c.cmd("AUTH PLAIN " + plain("anna@example.com", "wrong"), 535)
        c.expect_closed()


def test_sender_must_belong(relay):
    with session(relay()) as c:
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 235)
        for fine in ("anna@example.com", "ANNA@EXAMPLE.COM", "sales@example.com", "anybody@anna.example", ""):
            c.mail(fine)
            c.cmd("RSET", 250)
        for foreign in ("bert@example.com", "x@sub.anna.example", "anna@example.org"):
            c.mail(foreign, expect=553)


@pytest.mark.slow
def test_an_account_named_like_a_domain_is_no_domain(relay, users):
    add_user(users, "@example.com", "secret word")
    with session(relay()) as c:
        c.cmd("AUTH PLAIN " + plain("@example.com", "secret word"), 235)
        c.mail("anna@example.com", expect=553)


@pytest.mark.slow
def test_unknown_users_look_like_known_ones(common):
    """The same replies to a wrong password, and a salt that stays the same."""
    replies, salts = [], []
    for name in ("anna@example.com", "nobody@example.com", "nobody@example.com"):
        with common.fresh() as c:
            replies.append(repr(c.cmd("AUTH PLAIN " + plain(name, "wrong"), 535)))
        with common.fresh() as c:
            first = c.cmd("AUTH SCRAM-SHA-256 " + b64(f"n,,n={name},r=abcdefgh"), 334)
            fields = dict(f.split("=", 1) for f in base64.b64decode(first.text).decode().split(","))
            salts.append((fields["s"], fields["i"]))
            final = f"c=biws,r={fields['r']},p=" + base64.b64encode(b"\0" * 32).decode()
            replies.append(repr(c.cmd(b64(final), 535)))
    assert len(set(replies)) == 1
    assert salts[0][1] == salts[1][1] and salts[1] == salts[2] and len(salts[0][0]) == len(salts[1][0])


@pytest.mark.parametrize("first", ["", "n,,", "y,,n=anna@example.com,r=abc", "p=tls-unique,,n=a,r=b", "n,a=bert,n=anna@example.com,r=abc", "n,,n=,r=a",
                                   "n,,n=a=b,r=c", "n,,m=x,n=a,r=c", "n,,n=a,r=", "n,,n=a\0b,r=c"])
def test_scram_malformed(common, first):
    """"y" is the mark of a client whose list of mechanisms was cut short on the way: we do offer -PLUS."""
    with common.fresh() as c:
        c.cmd("AUTH SCRAM-SHA-256", 334)
        c.cmd(b64(first), 535)


@pytest.mark.slow
def test_brake(relay):
    r = relay(failures=2, window="1m", block="2s")
    with session(r) as c:
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "wrong"), 535)
        c.cmd("AUTH PLAIN " + plain("bert", "wrong"), 535)
        assert c.cmd("AUTH PLAIN " + plain("bert", "b:e\"r\\t"), 454).enhanced == "4.7.0"
        c.expect_closed()
    wait_until(lambda: try_login(r, "bert", "b:e\"r\\t") == 235, "the end of the block", 20, 0.5)


@pytest.mark.slow
def test_brake_on_exchanges_side_by_side(relay):
    """Who begins many before the first fails is not judged in all of them."""
    r = relay(failures=2, window="1m", block="1m")
    sessions, finals = [session(r) for _ in range(6)], []
    for c in sessions:
        first = c.cmd("AUTH SCRAM-SHA-256 " + b64("n,,n=anna@example.com,r=abcdefgh"), 334)
        nonce = base64.b64decode(first.text).decode().split(",")[0]
        finals.append(b64(f"c=biws,{nonce},p=" + base64.b64encode(b"\0" * 32).decode()))
    assert [c.cmd(final).code for c, final in zip(sessions, finals)] == [535, 535, 454, 454, 454, 454]
    for c in sessions:
        c.close()


def try_login(r, name, password):
    with session(r) as c:
        return c.cmd("AUTH PLAIN " + plain(name, password)).code


@pytest.mark.slow
def test_users_file_changes_at_once(relay, users):
    r = relay()
    assert try_login(r, "carl", "x") == 535
    add_user(users, "carl", "x")
    assert try_login(r, "carl", "x") == 235
    command("user", "password", "carl", "--file", users, stdin="y\n", check=0)
    assert (try_login(r, "carl", "x"), try_login(r, "carl", "y")) == (535, 235)
    command("user", "delete", "carl", "--file", users, check=0)
    assert try_login(r, "carl", "y") == 535
    listed = json.loads(command("user", "list", "--file", users, "--json", check=0).stdout)
    assert [u["name"] for u in listed] == ["anna@example.com", "bert"]
    shown = command("user", "list", "--file", users, check=0).stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["anna@example.com", "bert"] and not any(s.endswith(" ") for s in shown)
    assert users.stat().st_mode & 0o777 == 0o640
    command("user", "add", "anna@example.com", "--file", users, stdin="x\n", check=65)
    command("user", "add", "a:b", "--file", users, stdin="x\n", check=65)
    command("user", "add", "z", "--addresses", "no address", "--file", users, stdin="x\n", check=65)
    users.unlink()
    with session(r) as c:
        c.cmd("AUTH PLAIN " + plain("bert", "x"), 454)
    r.wait_log("auth-backend .*users")


def test_auth_process_killed(relay):
    r = relay()
    with session(r) as c:
        c.cmd("AUTH LOGIN", 334)
        pid = r.pid("auth")
        os.kill(pid, signal.SIGKILL)
        r.wait_log("helper-ended")
        c.cmd(b64("anna@example.com"), 454)
        wait_until(lambda: r.pid("auth") != pid, "another auth process")
        assert try_login(r, "anna@example.com", "secret word") == 235
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 235)


@pytest.mark.slow
def test_reload_takes_auth_away_and_brings_it(relay, users):
    r = relay()
    r.write({"auth": {"methods": ["plain"]}})
    r.command("reload")
    with session(r) as c:
        assert c.offers["AUTH"] == "PLAIN"
    wait_until(lambda: sum(h["role"] == "auth" for h in r.status()["helpers"]) == 1, "the old auth process to end")


def test_client_leaves_in_the_middle(relay):
    r = relay()
    for _ in range(5):
        c = session(r)
        c.send("AUTH PLAIN " + plain("anna@example.com", "wrong") + "\r\n")
        c.close()
    assert try_login(r, "anna@example.com", "secret word") == 235


# ---- back ends

@pytest.fixture
def dovecot(tmp_path):
    if not have("dovecot"):
        pytest.skip("Dovecot is not installed")
    server = Dovecot({"anna@example.com": "secret word"})
    yield server
    server.stop()


@pytest.mark.slow
def test_dovecot_socket(relay, dovecot):
    r = relay(backend="dovecot", dovecot={"socket": str(dovecot.socket)}, methods=["plain", "login", "cram-md5", "scram-sha-256"])
    assert try_login(r, "anna@example.com", "secret word") == 235
    assert try_login(r, "anna@example.com", "wrong") == 535
    assert try_login(r, "nobody", "x\ty") == 535
    for mechanism in ("LOGIN", "CRAM-MD5"):
        swaks(r.port, "to@other.example", "--auth", mechanism, "--auth-user", "anna@example.com", "--auth-password", "secret word", "--tls",
              sender="anna@example.com", source="127.0.0.1")
    with session(r) as c:  # the account is known to the brake where the mechanism is Dovecot's, too
        c.cmd("AUTH CRAM-MD5", 334)
        c.cmd(b64("anna@example.com " + "0" * 32), 535)
        c.cmd("AUTH SCRAM-SHA-256", 334)
        c.cmd(b64("n,,n=anna@example.com,r=abcdefgh"), 334)
        c.cmd(b64("c=biws,r=x,p=" + base64.b64encode(b"\0" * 32).decode()), 535)
    r.wait_log("auth-failed .*account=anna@example.com .*mechanism=SCRAM-SHA-256")
    assert len(re.findall(r"auth-failed .*account=anna@example.com .*mechanism=(?:CRAM-MD5|SCRAM-SHA-256)", r.log())) == 2
    dovecot.stop()
    with session(r) as c:
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 454)
    r.wait_log("auth-backend .*Dovecot")


@pytest.mark.slow
@pytest.mark.parametrize("implicit", [True, False])
def test_imap(relay, dovecot, implicit):
    port = dovecot.imaps_port if implicit else dovecot.imap_port
    r = relay(backend="imap", methods=["plain", "login"],
              imap={"host": "localhost", "port": port, "implicit_tls": implicit, "verify": True, "ca": str(dovecot.certificate)})
    assert try_login(r, "anna@example.com", "secret word") == 235
    assert try_login(r, "anna@example.com", "wrong") == 535
    assert try_login(r, "x\" \"y", "z") == 535
    r.write({"auth": {"imap": {"ca": None}}})
    r.command("reload")
    with session(r) as c:
        c.cmd("AUTH PLAIN " + plain("anna@example.com", "secret word"), 454)
    r.wait_log("auth-backend .*certificate")


@pytest.fixture
def slapd(tmp_path):
    if not have("slapd"):
        pytest.skip("slapd is not installed")
    server = Slapd({"anna": ("secret word", ["anna@example.com", "sales@example.com"]), "a*b": ("star", [])})
    yield server
    server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["template", "search"])
def test_ldap(relay, slapd, how):
    by = {"bind_dn": "uid=%n,ou=people,dc=example,dc=com"} if how == "template" else \
        {"base": "ou=people,dc=example,dc=com", "filter": "(uid=%n)"}
    r = relay(backend="ldap", methods=["plain", "login"], ldap={"url": slapd.url, **by})
    with session(r) as c:
        c.cmd("AUTH PLAIN " + plain("anna", "secret word"), 235)
        c.mail("sales@example.com")
        c.cmd("RSET", 250)
        c.mail("other@example.com", expect=553)
    assert try_login(r, "anna", "wrong") == 535
    assert try_login(r, "an*", "secret word") == 535
    assert try_login(r, "anna)(uid=*", "secret word") == 535
    assert try_login(r, "anna,ou=people", "secret word") == 535
    assert try_login(r, "a*b", "star") == 235
    assert try_login(r, "anna ", "secret word") == 535  # the same entry to the directory, another name to the brake
    slapd.stop()
    with session(r) as c:
        c.cmd("AUTH PLAIN " + plain("anna", "secret word"), 454)
    r.wait_log("auth-backend .*LDAP")


@pytest.mark.slow
def test_ldap_name_that_makes_no_dn(relay, slapd):
    """An empty DN with a password is an anonymous bind, which some servers let in."""
    r = relay(backend="ldap", methods=["plain"], ldap={"url": slapd.url, "bind_dn": "%n"})
    assert try_login(r, "@example.com", "anything") == 535


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ldaps", "starttls", "folder"])
def test_ldap_tls_and_a_searcher(relay, tmp_path, how):
    if not have("slapd"):
        pytest.skip("slapd is not installed")
    searcher, secret = "cn=postern,dc=example,dc=com", tmp_path / "ldap.secret"
    secret.write_text("search word\n")
    secret.chmod(0o600)
    slapd = Slapd({"anna": ("secret word", ["anna@example.com"])}, (searcher, "search word"))
    try:
        where = {"ca": str(slapd.certificate)}
        if how == "folder":  # tls.ca may be one
            ca, where = tmp_path / "authorities", {}
            ca.mkdir()
            (ca / "one.pem").write_bytes(slapd.certificate.read_bytes())
            subprocess.run(["openssl", "rehash", str(ca)], check=True)
        url = {"url": slapd.url, "starttls": True} if how == "starttls" else {"url": slapd.tls_url}
        r = relay(backend="ldap", methods=["plain"], ldap={**url, **where, "base": "ou=people,dc=example,dc=com", "filter": "(mail=%u)",
                                                           "user_dn": searcher, "password_file": str(secret)})
        if how == "folder":
            assert try_login(r, "anna@example.com", "secret word") == 454
            r.write({"tls": {"ca": str(ca)}})
            r.command("reload")
        assert try_login(r, "anna@example.com", "secret word") == 235
        assert try_login(r, "anna@example.com", "wrong") == 535
        assert try_login(r, "nobody@example.com", "secret word") == 535
        secret.write_text("wrong\n")
        assert try_login(r, "anna@example.com", "secret word") == 454
        r.wait_log("auth-backend .*binding to search")
        secret.write_text("search word\n")
        if how == "ldaps":  # another name, then an authority that is not known
            for change in ({"url": url["url"].replace("127.0.0.1", "127.0.0.2")}, {**url, "ca": None}):
                r.write({"auth": {"ldap": change}})
                r.command("reload")
                assert try_login(r, "anna@example.com", "secret word") == 454
                assert "contact LDAP server" in r.log_tail(5)
    finally:
        slapd.stop()
    assert "search word" not in r.log() and "secret word" not in r.log()
