# SPDX-License-Identifier: Apache-2.0
"""Does the recipient exist? Asked of a list, of the inner server and of a directory; what is remembered, and who is told what."""
import json
import os
import re
import socket
import threading
import time

import pytest

from lib.authservers import Slapd
from lib.programs import Postfix, have
from lib.sink import CLOSE, Delay
from lib.smtp import Smtp, STRANGER, TRUSTED
from lib.util import free_port, merge, wait_until

NOBODY = "550 5.1.1 no such user in secret-host.internal"


@pytest.fixture
def relay(postern, sink):
    """relay(verify="smtp", ...): those of example.com are verified so; other.example's are not."""
    def make(deliver=None, **recipients):
        relay = postern(domains=[{"name": "example.com", "deliver": deliver or sink.hop, "recipients": recipients},
                                 {"name": "other.example", "deliver": sink.hop}],
                        delivery={"probe": "0s"})  # no connections but ours
        return relay
    return make


@pytest.fixture
def usual(sink):
    """An inner server that knows its users: nobody@ is none, and what nobody has ever heard of is none either."""
    sink.on("rcpt", NOBODY, match="nobody")
    sink.on("rcpt", NOBODY, match="no-such-user-")
    return sink


def rcpt(relay, to, source=STRANGER, expect=None):
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail()
        return c.rcpt(to, expect)


def asked(sink, address):
    return sum(f"<{address}>" in command for s in list(sink.sessions) for command in list(s.commands) if command.startswith("RCPT"))


def explain(relay, to, client=STRANGER):
    """What the check found."""
    told = json.loads(relay.command("explain", "--json", "--client", client, "--from", "a@client.example", "--to", to, check=None).stdout)
    return next(e for e in told["trace"] if e["check"] == "recipient-exists")


# ---- lists

def test_list(relay, tmp_path, sink):
    (tmp_path / "users").write_text("# more of them\nfile-user@example.com\n/^team-[0-9]+@example\\.com$/\n")
    r = relay(verify="list", list=["Anna@example.com", "info@", {"match": "/^test\\+.*@example\\.com$/"}, {"file": str(tmp_path / "users")}])
    for known in ("anna@example.com", "ANNA@Example.COM", '"anna"@example.com', "info@example.com", "test+1@example.com",
                  "file-user@example.com", "team-7@example.com"):
        rcpt(r, known, expect=250)
    for unknown in ("bob@example.com", "team-x@example.com", "xtest+1@example.com", "annax@example.com"):
        for source in (STRANGER, TRUSTED):
            reply = rcpt(r, unknown, source, expect=450)
            assert reply.enhanced == "4.1.1" and f"<{unknown}> is not known here" in reply.text, reply
    r.wait_log(r'refused .*check=recipient-exists why="unknown: not in recipients.list"')
    # whom to complain to, and domains whose recipients nobody verifies
    for known in ("postmaster@example.com", "PostMaster@example.com", "postmaster", "bob@other.example"):
        rcpt(r, known, expect=250)
    assert explain(r, "anna@example.com")["why"] == "known: Anna@example.com in recipients.list"
    assert explain(r, "x@other.example")["outcome"] == "skip"
    assert not sink.sessions


def test_list_sure(relay):
    reply = rcpt(relay(verify="list", list=["anna@example.com"], reject_code=550), "bob@example.com", expect=550)
    assert reply.enhanced == "5.1.1", reply


# ---- the inner server

def test_inner_server(relay, usual):
    r = relay(verify="smtp", reject_code=550)
    rcpt(r, "anna@example.com", expect=250)
    reply = rcpt(r, "nobody@example.com", expect=550)
    assert reply.enhanced == "5.1.1" and "<nobody@example.com> is not known here" in reply.text, reply
    assert "secret" not in reply.text and "sink" not in reply.text and "127.0.0.1" not in reply.text, reply
    r.wait_log(r'refused .*why="unknown: 127.0.0.1\[127.0.0.1\]: 550 5.1.1 no such user in secret-host')
    commands = [c for s in usual.sessions for c in s.commands]
    assert set(c for c in commands if c.startswith("MAIL")) == {"MAIL FROM:<>"} and not any(c.startswith("DATA") for c in commands)
    assert len(usual.sessions) == 1, usual.sessions  # all over one connection
    # mail itself goes its usual way
    with r.client() as c:
        c.ehlo()
        c.message("anna@example.com")
    usual.wait_to("anna@example.com")


def test_known_are_remembered(relay, usual):
    r = relay(verify="smtp")
    for _ in range(3):
        rcpt(r, "anna@example.com", expect=250)
        rcpt(r, '"Anna"@EXAMPLE.com', expect=250)
        rcpt(r, "nobody@example.com", expect=450)
    assert asked(usual, "anna@example.com") == 1 and asked(usual, "nobody@example.com") == 1
    probes = [c for s in usual.sessions for c in s.commands if "no-such-user-" in c]
    assert len(probes) == 1, probes
    # over a restart, from the store
    r.restart()
    for _ in range(2):
        rcpt(r, "anna@example.com", expect=250)
        reply = rcpt(r, "nobody@example.com", expect=450)
    assert "secret" not in reply.text
    rcpt(r, "bob@example.com", expect=250)
    assert asked(usual, "anna@example.com") == 1 and asked(usual, "nobody@example.com") == 1 and asked(usual, "bob@example.com") == 1
    assert len([c for s in usual.sessions for c in s.commands if "no-such-user-" in c]) == 1
    assert "no such user" in explain(r, "nobody@example.com")["why"]


@pytest.mark.slow
def test_another_server_is_asked_anew(relay, usual, make_sink):
    r = relay(verify="smtp")
    rcpt(r, "nobody@example.com", expect=450)
    other = make_sink()
    other.on("rcpt", NOBODY, match="no-such-user-")
    r.restart({"domains": [{"name": "example.com", "deliver": other.hop, "recipients": {"verify": "smtp"}}]})
    rcpt(r, "nobody@example.com", expect=250)


def test_unknown_are_forgotten(relay, usual):
    r = relay(verify="smtp", keep_unknown="1s")
    rcpt(r, "nobody@example.com", expect=450)
    usual.rules.pop(0)
    rcpt(r, "nobody@example.com", expect=450)
    time.sleep(1.1)
    rcpt(r, "nobody@example.com", expect=250)


@pytest.mark.slow
def test_known_are_refreshed(relay, usual):
    r = relay(verify="smtp", keep_known="12s")
    began = time.monotonic()
    rcpt(r, "anna@example.com", expect=250)
    r.restart()  # what the worker itself remembers is gone
    time.sleep(max(0.0, began + 9.5 - time.monotonic()))
    usual.on("rcpt", NOBODY, match="anna")
    rcpt(r, "anna@example.com", expect=250)  # the old answer counts once more
    wait_until(lambda: asked(usual, "anna@example.com") == 2, "the question in the background")
    wait_until(lambda: rcpt(r, "anna@example.com").code == 450, "the new answer")


def test_an_address_without_local_part_is_not_its_domain(relay, sink):
    """What kind of server it is stands under "@domain"; nobody's address may."""
    r = relay(verify="smtp")
    rcpt(r, "anna@example.com", expect=250)  # the server takes anybody, as is known now
    rcpt(r, '""@example.com', expect=250)
    assert "the server accepts any recipient" in explain(r, "bob@example.com")["why"]


def test_server_that_takes_anybody(relay, sink):
    r = relay(verify="smtp")
    rcpt(r, "anna@example.com", expect=250)
    assert "the server accepts any recipient" in explain(r, "anna@example.com")["why"]
    r.restart()
    sink.on("rcpt", NOBODY, match="anna")
    rcpt(r, "anna@example.com", expect=450)  # it was not believed for days
    assert asked(sink, "anna@example.com") == 2


def test_server_that_refuses_everybody(relay, sink):
    sink.on("rcpt", NOBODY)
    r = relay(verify="smtp")
    rcpt(r, "anna@example.com", expect=450)
    r.wait_log(r'refused .*why="unknown: .*; the server refuses even postmaster')
    rcpt(r, "postmaster@example.com", expect=250)


@pytest.mark.parametrize("unsure, code", [("pass", 250), ("defer", 450)])
@pytest.mark.parametrize("stage, answer, why", [
    ("rcpt", "450 4.2.0 greylisted", "450 4.2.0 greylisted"),
    ("rcpt", "554 5.7.1 relaying denied", "554 5.7.1 relaying denied"),
    ("rcpt", "552 5.2.2 mailbox full", "552 5.2.2 mailbox full"),
    ("mail", "550 5.7.1 no bounces here", "the null sender is refused"),
    ("connect", "554 5.3.2 not you", "554 5.3.2 not you"),
    ("rcpt", CLOSE, "closed"),
    ("rcpt", "221 2.0.0 bye", "does not fit"),
])
@pytest.mark.daily(2)
def test_no_answer(relay, sink, stage, answer, why, unsure, code):
    sink.on(stage, answer)
    r = relay(verify="smtp", unsure=unsure, reject_code=550)
    reply = rcpt(r, "anna@example.com", expect=code)
    assert code == 250 or (reply.enhanced == "4.4.1" and "cannot be checked at the moment" in reply.text), reply
    assert "greylisted" not in reply.text and "denied" not in reply.text
    told = explain(r, "bob@example.com")
    assert told["outcome"] == ("skip" if code == 250 else "defer") and why in told["why"], told


@pytest.mark.parametrize("unsure, code", [("pass", 250), ("defer", 450)])
def test_server_down(relay, sink, unsure, code):
    r = relay(deliver=f"127.0.0.1:{free_port()}", verify="smtp", unsure=unsure)
    for name in "abc":
        rcpt(r, f"{name}@example.com", expect=code)
    assert r.log().count("connection-failed") == 1, r.log_tail()  # it is left alone for some seconds


@pytest.mark.slow
def test_server_comes_back(relay, usual):
    r = relay(verify="smtp", unsure="defer")
    usual.pause()
    rcpt(r, "anna@example.com", expect=450)
    usual.start()
    wait_until(lambda: rcpt(r, "anna@example.com").code == 250, "the server to be asked again", 20, 0.5)
    rcpt(r, "nobody@example.com", expect=450)


@pytest.mark.daily(1)
@pytest.mark.parametrize("stage", ["connect", "ehlo", "rcpt"])
def test_slow_server(relay, sink, stage):
    sink.on(stage, Delay(8))
    r = relay(verify="smtp", unsure="defer", timeout="700ms")
    began = time.monotonic()
    rcpt(r, "anna@example.com", expect=450)
    assert 0.6 < time.monotonic() - began < 4
    with r.client() as c:  # others do not wait for it
        c.ehlo()
        c.message("x@other.example") if stage == "rcpt" else c.mail()
    r.stop()


def test_port_that_says_nothing(relay):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        r = relay(deliver=f"127.0.0.1:{silent.getsockname()[1]}", verify="smtp", timeout="500ms")
        rcpt(r, "anna@example.com", expect=250)
        began = time.monotonic()
        rcpt(r, "bob@example.com", expect=250)  # nobody waits for it again so soon
        assert time.monotonic() - began < 0.45


def test_connections_that_end(relay, usual):
    """A server that hangs up whenever it has answered: the next question goes over a new connection."""
    usual.on("rset", CLOSE)
    r = relay(verify="smtp", unsure="defer")
    for n in range(4):
        rcpt(r, f"user{n}@example.com", expect=250)
        rcpt(r, f"nobody{n}@example.com", expect=450)


def test_a_server_that_says_farewell(relay, usual):
    usual.on("mail", "421 4.4.2 too long idle", times=1)
    r = relay(verify="smtp", unsure="defer")
    rcpt(r, "anna@example.com", expect=450)  # on a new connection it is an answer
    rcpt(r, "anna@example.com", expect=250)
    usual.on("mail", "421 4.4.2 too long idle", times=1)
    assert rcpt(r, "nobody@example.com", expect=450).enhanced == "4.1.1"


def test_crowd(relay, usual):
    """Many at once share few connections."""
    usual.on("rcpt", Delay(0.05))
    r = relay(verify="smtp", unsure="defer", timeout="30s")
    codes = {}

    def one(n):
        codes[n] = rcpt(r, f"{'nobody' if n % 3 == 0 else 'user'}{n}@example.com").code
    threads = [threading.Thread(target=one, args=(n,)) for n in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert codes == {n: 450 if n % 3 == 0 else 250 for n in range(24)}
    assert len(usual.sessions) <= 4, usual.sessions


def test_client_leaves(relay, usual):
    """Somebody hangs up while his recipient is asked for."""
    usual.on("rcpt", Delay(1), match="anna")
    r = relay(verify="smtp")
    c = Smtp(r.port)
    c.ehlo()
    c.mail()
    c.send("RCPT TO:<anna@example.com>\r\n")
    usual.wait_command("RCPT TO:<anna@example.com>")
    c.close()
    rcpt(r, "bob@example.com", expect=250)
    rcpt(r, "nobody@example.com", expect=450)


def test_without_pipelining(relay, make_sink):
    sink = make_sink(extensions=())
    sink.on("rcpt", NOBODY, match="nobody")
    sink.on("rcpt", NOBODY, match="no-such-user-")
    r = relay(deliver=sink.hop, verify="smtp")
    rcpt(r, "anna@example.com", expect=250)
    rcpt(r, "nobody@example.com", expect=450)
    sink.on("mail", "550 5.7.1 no", times=1)
    assert "null sender" in explain(r, "carl@example.com")["why"]
    rcpt(r, "dora@example.com", expect=250)


def test_tls_as_for_mail(relay, usual):
    r = relay(deliver={"host": usual.host, "port": usual.port, "tls": "encrypt"}, verify="smtp", unsure="defer")
    rcpt(r, "anna@example.com", expect=450)
    assert "does not offer STARTTLS" in explain(r, "anna@example.com")["why"]
    assert not asked(usual, "anna@example.com")


@pytest.mark.slow
def test_explain_remembers_nothing(relay, usual):
    r = relay(verify="smtp")
    for n in range(1, 3):
        told = explain(r, "nobody@example.com")
        assert told["outcome"] == "defer" and "550 5.1.1 no such user" in told["why"] and told["line"], told
        assert asked(usual, "nobody@example.com") == n
    told = explain(r, "anna@example.com")
    assert told["outcome"] == "pass" and told["why"].startswith("known: 127.0.0.1[127.0.0.1]: 250"), told


def test_internationalized(postern, usual, make_sink):
    """The domain is asked for as the inner server can read it; a local part that it cannot have is nobody's knowledge."""
    able = make_sink(extensions=("SMTPUTF8", "8BITMIME", "PIPELINING"))
    able.on("rcpt", NOBODY, match="no-such-user-")
    verify = {"verify": "smtp", "unsure": "defer"}
    r = postern(domains=[{"name": "xn--bcher-kva.example", "subdomains": True, "deliver": usual.hop, "recipients": verify},
                         {"name": "able.example", "deliver": able.hop, "recipients": verify}], delivery={"probe": "0s"})

    def ask(to):
        with r.client() as c:
            c.ehlo()
            c.mail("a@client.example", "SMTPUTF8")
            return c.rcpt(to.encode().decode("latin-1"), None)
    assert ask("anna@bücher.example").code == 250
    assert ask("anna@BÜCHER.example").code == 250
    assert ask("nobody@bücher.example").enhanced == "4.1.1"
    assert ask("anna@x.bücher.example").code == 250
    assert asked(usual, "anna@xn--bcher-kva.example") == 1 and asked(usual, "anna@x.xn--bcher-kva.example") == 1
    assert ask("jürgen@bücher.example").enhanced == "4.4.1"
    assert ask("jürgen@able.example").code == 250
    assert asked(able, "jürgen@able.example".encode().decode("latin-1")) == 1


@pytest.mark.slow
def test_store_gone(relay, usual):
    r = relay(verify="smtp")
    os.kill(r.pid("store"), 19)  # SIGSTOP
    try:
        rcpt(r, "anna@example.com", expect=250)
        rcpt(r, "nobody@example.com", expect=450)
    finally:
        os.kill(r.pid("store"), 18)


def test_hostile_reply(relay, usual):
    """What the inner server says gets into a trace as printable text only."""
    usual.rules.insert(0, type(usual.rules[0])("rcpt", b"550 5.1.1 \x1b[31mred\xff\r\n", "evil", None))
    r = relay(verify="smtp")
    rcpt(r, "evil@example.com", expect=450)
    why = explain(r, "evil@example.com")["why"]
    assert "red" in why and re.fullmatch(r"[\x20-\x7e]*", why), why


# ---- real Postfix

@pytest.fixture
def postfix(sink, tmp_path):
    if not have("postfix"):
        pytest.skip("Postfix is not installed")
    users = tmp_path / "users"
    users.write_text("anna@example.com x\npostmaster@example.com x\n")
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.owner() == tmp_path.owner() and folder.name.startswith("pytest"):
            folder.chmod(0o755)
    things = []

    def make(**settings):
        things.append(Postfix(sink.hop, relay_domains="example.com", **settings))
        things[0].known = {"relay_recipient_maps": f"texthash:{users}"}
        return things[-1]
    yield make
    for one in things:
        one.stop()


@pytest.mark.root
@pytest.mark.slow
def test_postfix(relay, postfix, tmp_path):
    inner = postfix(relay_recipient_maps=f"inline:{{ {{anna@example.com=x}}, {{postmaster@example.com=x}} }}")
    r = relay(deliver=inner.hop, verify="smtp", reject_code=550)
    rcpt(r, "anna@example.com", expect=250)
    reply = rcpt(r, "bob@example.com", expect=550)
    assert "postfix" not in reply.text.lower() and "table" not in reply.text, reply
    assert "User unknown in relay recipient table" in explain(r, "bob@example.com")["why"]
    assert "any recipient" not in explain(r, "anna@example.com")["why"]
    inner.run("stop")
    rcpt(r, "anna@example.com", expect=250)  # remembered
    rcpt(r, "carl@example.com", expect=250)  # nobody knows
    inner.run("start")


@pytest.mark.root
@pytest.mark.parametrize("settings, outcome, why", [
    ({}, "pass", "the server accepts any recipient"),
    ({"smtpd_recipient_restrictions": "defer"}, "skip", "450 4.3.2"),
    ({"smtpd_recipient_restrictions": "check_sender_access inline:{ {<>=REJECT} },permit_mynetworks,reject"}, "skip", "554 5.7.1"),
])
@pytest.mark.slow
def test_postfix_otherwise(relay, postfix, settings, outcome, why):
    r = relay(deliver=postfix(**settings).hop, verify="smtp")
    rcpt(r, "bob@example.com", expect=250)
    told = explain(r, "bob@example.com")
    assert told["outcome"] == outcome and why in told["why"], told


# ---- directories

SEARCHER = "cn=search,dc=example,dc=com"


@pytest.fixture
def slapd():
    if not have("slapd"):
        pytest.skip("slapd is not installed")
    server = Slapd({"anna": ("x", ["anna@example.com", "sales@example.com"])}, (SEARCHER, "search word"))
    yield server
    server.stop()


@pytest.fixture
def directory(relay, slapd, tmp_path):
    def make(how="starttls", unsure="pass", **ldap):
        secret = tmp_path / "secret"
        secret.write_text("search word\n")
        secret.chmod(0o600)
        url = {"url": slapd.url, "starttls": True} if how == "starttls" else {"url": slapd.tls_url}
        return relay(verify="ldap", timeout="3s", unsure=unsure,
                     ldap=merge({**url, "ca": str(slapd.certificate), "base": "dc=example,dc=com", "filter": "(mail=%s)",
                                 "user_dn": SEARCHER, "password_file": str(secret)}, ldap))
    return make


@pytest.mark.daily(1)
@pytest.mark.parametrize("how, ldap", [("starttls", {}), ("ldaps", {"filter": "(&(objectClass=person)(mail=%n@%d))"})])
def test_directory(directory, slapd, sink, how, ldap):
    r = directory(how, **ldap)
    for known in ("anna@example.com", "Sales@EXAMPLE.com", '"anna"@example.com'):
        rcpt(r, known, expect=250)
    for unknown in ("bob@example.com", "*@example.com", '"a*"@example.com', '")(mail=*"@example.com', '"\\\\2a"@example.com'):
        reply = rcpt(r, unknown, expect=450)
        assert reply.enhanced == "4.1.1" and "not known here" in reply.text, reply
    assert "no entry" in explain(r, "carl@example.com")["why"]
    assert not sink.sessions
    slapd.process.kill()
    slapd.process.wait()
    rcpt(r, "anna@example.com", expect=250)  # remembered
    rcpt(r, "bob@example.com", expect=450)
    rcpt(r, "dora@example.com", expect=250)  # nobody knows
    r.restart({})
    rcpt(r, "anna@example.com", expect=250)
    rcpt(r, "bob@example.com", expect=450)


@pytest.mark.daily(1)
@pytest.mark.parametrize("ldap, why", [({"base": "dc=nowhere,dc=com"}, "searching"), ({"ca": None}, "STARTTLS"),
                                       ({"user_dn": "cn=somebody,dc=example,dc=com"}, "binding to search")])
def test_directory_that_cannot_be_asked(directory, ldap, why):
    r = directory(unsure="defer", **ldap)
    reply = rcpt(r, "anna@example.com", expect=450)
    assert reply.enhanced == "4.4.1" and "LDAP" not in reply.text, reply
    told = explain(r, "anna@example.com")
    assert told["outcome"] == "defer" and why in told["why"], told


def test_directory_while_the_auth_process_is_gone(directory):
    r = directory()
    rcpt(r, "bob@example.com", expect=450)
    os.kill(r.pid("auth"), 9)
    wait_until(lambda: rcpt(r, "carl@example.com").code == 450, "a new auth process")
