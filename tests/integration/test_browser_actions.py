# SPDX-License-Identifier: Apache-2.0
"""Everything that can be done in the web pages, done in a real browser with real mail: see tests/web."""
import json
import smtplib
import ssl

import pytest

from lib.browser import drive, needs_browser
from lib.daemon import postern as command
from lib.quarantine import mail, refill, wait_held
from lib.util import free_port, wait_until
from lib.web import control, make_account, on, wait_web

pytestmark = [needs_browser, pytest.mark.slow]


def make(postern, sink, web=None, **more):
    relay = postern(web=web or on(), domains=[{"name": "example.com", "deliver": sink.hop}, {"name": "down.example", "deliver": "127.0.0.1:9"}],
                    **{"queue": {"retry_first": "20m", "retry_max": "1h"}, **more})
    wait_web(relay)
    make_account(relay, "root")
    return relay


def waiting(relay, n):
    """So many wait for a server that is not there."""
    with relay.trusted() as c:
        c.ehlo()
        for i in range(n):
            c.message(f"eve{i}@down.example", f"From: ann@client.example\nSubject: waits {i}\n\ntext\n", f"sender{i}@client.example")
    wait_until(lambda: len([m for m in relay.queue() if m["state"] == "deferred"]) == n, lambda: str(relay.queue())[:2000], 30)


def refused(relay, n=2):
    for _ in range(n):
        with relay.client() as c:
            c.ehlo()
            c.mail("stranger@elsewhere.example")
            c.rcpt("nobody@elsewhere.example", "5")


def test_mail(postern, sink, tmp_path):
    relay = make(postern, sink, spam={"enabled": True, "dns": False})
    refill(relay, [*(mail("bob@example.com", subject=f"Win now {i}") for i in range(4)), mail("ann@example.com", kind="virus", subject="a virus")])
    wait_web(relay)
    wait_held(relay, 5)
    relay.send("bob@example.com", "From: ann@offers.example\nSubject: Quarterly figures\n\ntext\n", sender="ann@offers.example")
    refused(relay)
    waiting(relay, 12)
    drive("mail", relay, tmp_path, queue=12, held=5, subject="Quarterly figures", sender="ann@offers.example")
    assert len(sink.to("bob@example.com")) == 1 + 4  # what was released came
    with relay.client() as c:
        c.ehlo()
        reply = c.mail("ann@offers.example", expect=None)
        if reply.code == 250:
            reply = c.rcpt("bob@example.com", None)
        assert reply.code // 100 == 5, reply  # and who was blocked is refused
    assert "asked for by the sales department" in relay.config_path.read_text()


def test_configuration(postern, sink, tmp_path):
    relay = make(postern, sink, smarthost={"host": "127.0.0.1", "port": 9, "tls": "verify", "user": "relay", "password": "a-very-secret-word"})
    drive("config", relay, tmp_path)
    assert "a-very-secret-word" in relay.config_path.read_text() and relay.command("check")


def test_log_in(postern, sink, tmp_path):
    relay = make(postern, sink, web=on(session_idle="1m"))
    make_account(relay, "ann", "auditor")
    drive("login", relay, tmp_path, idle=66000)


def test_accounts(postern, sink, tmp_path):
    relay = make(postern, sink)
    drive("accounts", relay, tmp_path)
    assert [a["name"] for a in control(relay, "GET", "/v1/accounts").json["accounts"]] == ["root"]


def test_users(postern, sink, tmp_path):
    port, passwords = free_port(), tmp_path / "passwords"
    relay = make(postern, sink, listeners=[{"address": f"127.0.0.1:{port}", "role": "submission"}], auth={"backend": "users"})
    drive("users", relay, tmp_path, passwords=str(passwords))
    for name, password in json.loads(passwords.read_text()).items():
        with smtplib.SMTP("127.0.0.1", port) as c:
            c.starttls(context=ssl._create_unverified_context())
            if name == "carl/home":  # removed
                with pytest.raises(smtplib.SMTPAuthenticationError):
                    c.login(name, password)
            else:
                c.login(name, password)


def test_carry(postern, sink, tmp_path):
    """A backup that came down in the browser is one; a Postfix folder goes in."""
    relay = make(postern, sink)
    folder = tmp_path / "postfix"
    (folder / "maps").mkdir(parents=True)
    (folder / "main.cf").write_text("myhostname = mx.imported.example\nmydestination =\nrelay_domains = hash:/etc/postfix/maps/relay_domains\n"
                                    "transport_maps = hash:/etc/postfix/transport\nrelayhost = [smtp.isp.example]:587\nsmtp_sasl_auth_enable = yes\n"
                                    "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n")
    (folder / "maps/relay_domains").write_text("imported.example x\n")
    (folder / "maps/relay_domains.db").write_bytes(b"\0\1\2")
    (folder / "transport").write_text("imported.example smtp:[10.20.30.40]\nfax.example uucp:fax\n")
    (folder / "sasl_passwd").write_text("[smtp.isp.example]:587 me:s3cr3t\n")
    drive("carry", relay, tmp_path, backup=str(tmp_path / "came.backup"), postfix=str(folder))
    shown = command("restore", tmp_path / "came.backup", "--list", check=0).stdout
    assert "configuration" in shown and "admin/admin.db" in shown
    command("restore", tmp_path / "came.backup.small", "--list", check=0)


def test_roles(postern, sink, tmp_path):
    relay = make(postern, sink, spam={"enabled": True, "dns": False})
    refill(relay, [mail("bob@example.com", subject="for bob"), mail("ann@example.com", subject="for ann"),
                   mail(["ann@example.com", "bob@example.com"], subject="for both"), mail("bob@example.com", kind="virus", subject="a virus")])
    wait_web(relay)
    wait_held(relay, 4)
    waiting(relay, 3)
    for name, role in (("bob", "user"), ("aud", "auditor"), ("op", "operator")):
        make_account(relay, name, role, **({"addresses": ["bob@example.com"]} if role == "user" else {}))
    drive("roles", relay, tmp_path)
    assert sink.wait_to("bob@example.com").rcpts == ["bob@example.com"]


def test_phone_and_keys(postern, sink, tmp_path):
    relay = make(postern, sink)
    waiting(relay, 3)
    drive("phone", relay, tmp_path)


@pytest.mark.parametrize("look", ["light", "dark", "phone", "phone-dark-de"])
def test_all_pages(postern, sink, tmp_path, look):
    relay = make(postern, sink, spam={"enabled": True, "dns": False}, checks={"greylist": {"enabled": True}})
    refill(relay, [mail("bob@example.com", subject=f"Win now {i}") for i in range(3)])
    wait_web(relay)
    wait_held(relay, 3)
    relay.send("bob@example.com", "Subject: Quarterly figures\n\ntext\n")
    refused(relay)
    waiting(relay, 12)
    drive("pages", relay, tmp_path, name=look, scheme="dark" if "dark" in look else "light", width=390 if "phone" in look else 1360,
          locale="de-DE" if look.endswith("de") else "en-US")
