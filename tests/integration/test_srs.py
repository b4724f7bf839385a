# SPDX-License-Identifier: Apache-2.0
"""Rewritten senders: mail that goes on to other domains gets one at srs.domain, what comes back to it is led to the original sender, and what
is forged or too old leads nowhere."""
import json
import re
import subprocess
import time

import pytest

from lib.programs import have
from lib.smtp import STRANGER, TRUSTED, Smtp, queued_id
from lib.util import wait_until

SECRET = "a-secret-of-24-characters"
FORM = re.compile(r"^SRS0=[A-Za-z0-9+/]{8}=[A-Z2-7]{2}=client\.example=sender@srs\.example$")


@pytest.fixture
def secrets(tmp_path):
    path = tmp_path / "secrets"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def make(postern, sink, secrets):
    def relay(**changes):
        relay = postern(**{"domains": [{"name": "example.com", "deliver": sink.hop, "rewrite_sender": True},
                                       {"name": "inner.example", "deliver": sink.hop, "subdomains": True}],
                           "routes": [{"to": "routed.test", "via": sink.hop, "rewrite_sender": True}, {"to": "plain.test", "via": sink.hop}],
                           "smarthost": sink.hop, "srs": {"domain": "srs.example", "secrets_file": str(secrets)}, **changes})
        relay.sink = sink
        return relay
    return relay


@pytest.fixture
def relay(make):
    return make()


def rewritten(relay, sender="sender@client.example", to="u@example.com"):
    relay.sink.messages.clear()
    relay.send(to, sender=sender)
    return relay.sink.wait_to(to).sender


def ask(relay, to, sender="", expect=250, source=STRANGER, params=""):
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail(sender, params)
        return c.rcpt(to, expect)


# ---- on the way out

def test_who_is_rewritten(relay):
    assert FORM.match(rewritten(relay))
    for sender in ("", "a@inner.example", "a@deep.inner.example", "a@example.com", "a@mx.postern.example", "a@srs.example"):
        assert rewritten(relay, sender) == sender
    assert FORM.match(rewritten(relay, to="u@routed.test"))
    for to in ("u@inner.example", "u@plain.test", "u@elsewhere.test"):
        assert rewritten(relay, to=to) == "sender@client.example"


def test_recipients_of_both_kinds(relay):
    """One message, one next hop: those who are rewritten are a transaction of their own."""
    to = [f"u{i}@{d}" for i in range(40) for d in ("example.com", "inner.example", "routed.test")]
    relay.send(to)
    relay.wait_queue_empty()
    by = {}
    for m in relay.sink.messages:
        for rcpt in m.rcpts:
            by.setdefault(rcpt, []).append(m.sender)
    assert set(by) == set(to) and all(len(senders) == 1 for senders in by.values())
    for rcpt, senders in by.items():
        assert bool(FORM.match(senders[0])) == ("inner" not in rcpt)
    assert len(relay.sink.messages) <= 3


def test_after_it_was_deferred(relay):
    """A part that is tried again, split and joined by others stays what it is."""
    relay.sink.on("rcpt", "451 4.3.0 later", times=3)
    relay.send(["u1@example.com", "u2@inner.example", "u3@example.com", "u4@inner.example"])
    relay.wait_queue_empty(40)
    for m in relay.sink.messages:
        for rcpt in m.rcpts:
            assert bool(FORM.match(m.sender)) == ("inner" not in rcpt)
    assert sum(len(m.rcpts) for m in relay.sink.messages) == 4


def test_odd_senders(relay):
    long = "bounce-" + "x" * 55 + "@mail.news.example"
    got = rewritten(relay, long)
    assert got.startswith("SRS0=") and len(got.rsplit("@")[0]) > 64
    ask(relay, got)
    too_long = "x" * 64 + "@" + ".".join(["y" * 54] * 3) + ".example"
    assert rewritten(relay, too_long) == too_long, "it would be no address"
    for sender in ('"a b"@client.example', "a+b=c@client.example", "SRS0=abcd=AA=a.example=b@forwarder.example",
                   "SRS1=abcd=a.example==abcd=AA=a.example=b@forwarder.example"):
        got = rewritten(relay, sender)
        assert got != sender and got.endswith("@srs.example")
        ask(relay, got)


# ---- on the way back

def test_bounces_come_back(relay):
    address = rewritten(relay)
    for sender, source in (("", STRANGER), ("robot@elsewhere.test", STRANGER), ("", TRUSTED)):
        with Smtp(relay.port, source=source) as c:
            c.ehlo()
            c.message(address, sender=sender)
        got = relay.sink.wait_to("sender@client.example")
        assert got.sender == sender
        relay.sink.messages.clear()
    ask(relay, address.lower())
    ask(relay, address.replace("@srs.example", "@SRS.Example"))
    with Smtp(relay.port) as c:  # once, however often it is named
        c.ehlo()
        c.message([address, address.lower()], sender="")
    assert relay.sink.wait_to("sender@client.example").rcpts == ["sender@client.example"]


def test_a_chain_of_forwarders(relay):
    address = rewritten(relay, "SRS0=abcd=AA=a.example=b@forwarder.example")
    assert address.startswith("SRS1=")
    with Smtp(relay.port) as c:
        c.ehlo()
        c.message(address, sender="")
    relay.sink.wait_to("SRS0=abcd=AA=a.example=b@forwarder.example")


def test_what_leads_nowhere(relay):
    address = rewritten(relay)
    mark = address[5:13]
    other = "".join("B" if c in "Aa" else "A" for c in mark)
    forged = [address.replace(mark, other), address.replace(mark, mark[:7]), address.replace("sender@", "victim@"),
              address.replace("client.example", "victim.example"), "SRS0=AAAAAAAA=AA=victim.example=u@srs.example",
              "SRS1=AAAAAAAA=victim.example==AAAA=AA=x.example=u@srs.example", "SRS1=victim.example=AAAA=AA=x.example=u@srs.example",
              address.replace(mark, mark + "AAAA"), address.replace("SRS0=", "SRS0=="), "srs0+AAAA=AA=victim.example=u@srs.example"]
    for source in (STRANGER, TRUSTED):
        for to in forged:
            reply = ask(relay, to, expect=550, source=source)
            assert reply.enhanced in ("5.7.1", "5.1.1"), (to, reply)
        assert ask(relay, forged[0], expect=550, source=source).enhanced == "5.7.1"
        for to in ("joe@srs.example", "SRS0@srs.example", "SRS0=x@srs.example", "srs@srs.example", "victim%example.net@srs.example"):
            assert ask(relay, to, expect=550, source=source).enhanced == "5.1.1"
    for to in ("SRS0=AAAAAAAA=AA=victim.example=u@sub.srs.example", "SRS0=AAAAAAAA=AA=victim.example=u@elsewhere.test",
               address.replace("@srs.example", "@evil.test")):
        assert ask(relay, to, expect=550).enhanced == "5.7.1"
    ask(relay, "postmaster@srs.example")
    assert not relay.queue()


def test_borders_cannot_be_moved(relay):
    """Who gets an address of his own rewritten has none of somebody else by that."""
    address = rewritten(relay, "mjoe@victim.co")
    assert "=victim.co=mjoe@" in address
    ask(relay, address)
    assert ask(relay, address.replace("=victim.co=mjoe@", "=victim.com=joe@"), expect=550).enhanced == "5.7.1"
    again = rewritten(relay, "SRS0=abcd=AA=a.example=b@victim.co")
    assert ask(relay, again.replace("=victim.co==", "=victim.c=o="), expect=550).code == 550


def test_guesses_relay_nothing(relay):
    """A thousand hashes, none of which is right; the session's own brakes count in."""
    address, refused = rewritten(relay), 0
    for start in range(0, 100, 10):
        with Smtp(relay.port) as c:
            c.ehlo()
            c.mail("")
            for i in range(start, start + 5):
                refused += c.rcpt(f"SRS0={i:08d}" + address[13:], 550).code == 550
    assert refused == 50 and not relay.queue()


def test_expired(relay, secrets):
    """Made with the same secret 22 days ago."""
    import base64
    import hashlib
    import hmac
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

    def made(days, secret=SECRET):
        day = (int(time.time()) // 86400 - days) % 1024
        stamp = letters[day >> 5] + letters[day & 31]
        mark = base64.b64encode(hmac.new(secret.encode(), f"{stamp}\nold.example\nuser\n".lower().encode(), hashlib.sha1).digest()).decode()[:8]
        return f"SRS0={mark}={stamp}=old.example=user@srs.example"
    for days in (0, 1, 20, 21):
        ask(relay, made(days))
    for days in (22, 100, 1000):
        reply = ask(relay, made(days), expect=550)
        assert reply.enhanced == "5.1.1" and "too old" in reply.text
    assert ask(relay, made(0, "another-secret-of-24-char"), expect=550).enhanced == "5.7.1"
    # rotation
    secrets.write_text("the-next-secret-24-chars\n" + SECRET + "\n")
    relay.command("reload")
    ask(relay, made(0))
    ask(relay, made(0, "the-next-secret-24-chars"))
    secrets.write_text("the-next-secret-24-chars\n")
    relay.command("reload")
    ask(relay, made(0), expect=550)
    relay.write({"srs": {"keep": "30d"}})
    relay.command("reload")
    ask(relay, made(25, "the-next-secret-24-chars"))


def test_a_relay_domain_that_has_them_too(make, secrets):
    relay = make(srs={"domain": "inner.example", "secrets_file": str(secrets)})
    address = rewritten(relay)
    assert address.endswith("@inner.example")
    ask(relay, address)
    ask(relay, "joe@inner.example")
    assert ask(relay, address.replace("sender@", "victim@"), expect=550).enhanced == "5.7.1"


def test_explain_and_trace(relay):
    address = rewritten(relay)

    def explain(to):
        done = relay.command("explain", "--json", "--from", "", "--to", to, "--client", "192.0.2.1", check=None)
        return json.loads(done.stdout)
    told = explain(address)
    assert "leads back to sender@client.example" in json.dumps(told)
    told = json.dumps(explain(address.replace("sender@", "victim@")))
    assert "its hash is wrong" in told and "5.7.1" in told
    with Smtp(relay.port) as c:
        c.ehlo()
        reply = c.message(address, sender="")
    wait_until(lambda: "leads back to sender@client.example" in " ".join(relay.command("trace", queued_id(reply), check=None).stdout.split()),
               "the trace")


def test_dsn_goes_the_original_way(relay):
    """Our own bounces go to the sender, not to what stands for him."""
    relay.sink.on("rcpt", "550 5.1.1 no", match="bad@example.com")
    relay.send("bad@example.com")
    relay.sink.wait_to("sender@client.example")


@pytest.mark.skipif(not have("perl"), reason="perl is not installed")
def test_by_mail_srs(make, secrets):
    """Mail::SRS with the same secret takes it apart."""
    relay = make(srs={"domain": "srs.example", "secrets_file": str(secrets), "shared": True})
    if subprocess.run(["perl", "-MMail::SRS", "-e1"], capture_output=True).returncode:
        pytest.skip("Mail::SRS is not installed")
    script = "use Mail::SRS; print Mail::SRS->new(Secret => $ARGV[0], MaxAge => 21, HashLength => 8, HashMin => 8)->reverse($ARGV[1])"
    done = subprocess.run(["perl", "-e", script, SECRET, rewritten(relay)], capture_output=True, text=True)
    assert done.stdout == "sender@client.example", done.stderr


@pytest.mark.root
def test_who_has_the_secrets(make, tmp_path):
    """The master, which reads them, and the workers, which need them; not who looks into databases or speaks with web servers."""
    from lib.signing import RelayKey
    from test_auth_process import memory_has, processes
    relay = make(dkim={"keys": [RelayKey(tmp_path, "x.test", kind="ed25519").entry]})
    rewritten(relay)
    own = processes(relay)
    assert {"admin", "store", "signer", "relay-0", "master"} <= set(own)
    for name, pids in own.items():
        assert bool(memory_has(pids[0], [SECRET])) == (name in ("master", "relay-0")), name


# ---- the configuration

@pytest.mark.daily(2)
@pytest.mark.parametrize("content,says", [
    ("", "holds no secret"), ("\n\n", "holds no secret"), ("zzz\n", "line 1: a secret has 16 to 1024 characters"),
    (SECRET + "\nzzz\n", "line 2"), ("x" * 2000, "line 1"), (("y" * 20 + "\n") * 17, "more than 16 secrets"), ("y\n" * 40000, "no file of secrets")],
    ids=["empty", "blank", "short", "second", "long", "many", "large"])
def test_bad_secrets(relay, secrets, content, says):
    secrets.write_text(content)
    for done in (relay.command("check", check=78), relay.command("reload", check=None)):
        told = done.stdout + done.stderr
        assert done.returncode and says in told and "zzz" not in told, told
    assert FORM.match(rewritten(relay))


def test_configurations_that_make_no_sense(relay, secrets):
    secrets.chmod(0o644)
    assert "everybody on this machine can read" in relay.command("check", check=78).stdout
    secrets.chmod(0o600)
    relay.config["srs"] = {}
    relay.write()
    told = relay.command("check", check=78).stdout
    assert "domains[0].rewrite_sender" in told and "routes[0].rewrite_sender" in told and "add srs.domain" in told
    relay.config["srs"] = {"domain": "srs.example"}
    relay.write()
    assert "rewriting needs secrets" in relay.command("check", check=78).stdout
