# SPDX-License-Identifier: Apache-2.0
"""The web pages in a real browser where they meet others: DKIM keys with the DNS, recipients with a directory, webhooks, what is kept as a file, and a queue
of a hundred thousand."""
import os
import pathlib
import time

import pytest

import lib.daemon
import lib.load
from lib.authservers import Slapd
from lib.browser import drive, needs_browser
from lib.dns import DnsProxy
from lib.hooks import Receiver
from lib.load import Load, queued_n
from lib.programs import have
from lib.util import ROOT, free_port, wait_until
from lib.web import control, make_account, on, wait_web

pytestmark = [needs_browser, pytest.mark.slow]
MANY = int(os.environ.get("POSTERN_QUEUED", 100_000))


def ready(relay):
    wait_web(relay)
    make_account(relay, "root")
    return relay


def test_dkim(postern, knot, tmp_path):
    names = DnsProxy(knot({"mail.test": ""}).port)
    relay = ready(postern(web=on(), dns={"servers": [names.server], "timeout": "5s"}, domains=[{"name": "mail.test", "deliver": "127.0.0.1:9"}]))

    def keys():
        return {k["selector"]: k for k in control(relay, "GET", "/v1/keys?fresh=true").json["dkim"]}

    def publish(*selectors, more=""):
        names.upstream = knot({"mail.test": "".join(keys()[s]["record"]["bind"] + "\n" for s in selectors) + more}).port
        relay.command("reload")  # which knows nothing from before

    def stage(name, **given):
        drive("dkim", relay, tmp_path, name=f"dkim-{name}", stage=name, domain="mail.test", first="old", **given)
    try:
        stage("make")
        assert [k["active"] for k in keys().values()] == [False]
        publish(more='old._domainkey TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="')
        stage("other")
        publish("old")
        stage("prepare")
        after = keys()
        new = next(s for s in after if s != "old")
        assert after["old"]["active"] and not after[new]["active"]
        publish("old", new)
        stage("change", next=new)
        after = keys()
        assert after[new]["active"] and not after["old"]["active"]
        publish(new)
        stage("retire", next=new)
        assert list(keys()) == [new]
    finally:
        names.stop()


@pytest.mark.skipif(not have("slapd"), reason="slapd is not installed")
def test_recipients_in_a_directory(postern, sink, tmp_path):
    user = "cn=searcher,dc=example,dc=com"
    slapd = Slapd({"bob": ("secret", ["bob@fresh.example"])}, searcher=(user, "search word"))
    secret = tmp_path / "ldap.password"
    secret.write_text("search word\n")
    secret.chmod(0o600)
    try:
        relay = ready(postern(web=on()))
        drive("directory", relay, tmp_path, domain="fresh.example", hop=sink.hop, url=slapd.url, base="dc=example,dc=com", filter="(mail=%s)", user=user,
              password_file=str(secret))
        with relay.client() as c:
            c.ehlo()
            c.mail("stranger@elsewhere.example")
            c.rcpt("nobody@fresh.example", (450, 550))
            c.rcpt("bob@fresh.example")
    finally:
        slapd.stop()


def test_files_and_webhooks(postern, sink, tmp_path):
    receiver = Receiver()
    try:
        relay = ready(postern(web=on(), domains=[{"name": "example.com", "deliver": sink.hop}], smarthost={"host": "127.0.0.1", "port": 9, "tls": "verify",
                              "user": "relay", "password": "a-very-secret-word"},
                              webhooks=[{"url": receiver.url}, {"url": f"http://127.0.0.1:{free_port()}/gone"}]))
        for sender in ("ann@client.example", "=cmd|x!A1@client.example"):
            relay.send("bob@example.com", "Subject: counts\n\ntext\n", sender=sender)
        relay.command("config", "set", "postmaster", "mailmaster@example.com")
        wait_until(lambda: any(h.get("delivered") for h in control(relay, "GET", f"/v1/statistics?since={int(time.time() - 7200) * 1000}").json["hours"]),
                   "the statistics", 30)
        drive("files", relay, tmp_path, hooks=2, good=receiver.url, bad="/gone", revision="mx.postern.example", secret="a-very-secret-word")
        assert len(receiver.of("test")) == 1
    finally:
        receiver.stop()


def test_a_hundred_thousand_in_the_queue(postern, tmp_path, monkeypatch):
    """POSTERN_RELEASE: a build whose figures count; else those of the test build are told."""
    binary = pathlib.Path(os.environ.get("POSTERN_RELEASE", ROOT / "build" / "postern"))
    if binary.exists():
        monkeypatch.setattr(lib.daemon.Postern, "binary", binary)
    else:
        binary = lib.daemon.Postern.binary
    relay = ready(postern(web=on(), domains=[{"name": "dead.example", "deliver": f"127.0.0.1:{free_port()}"}], system={"workers": 2},
                          queue={"retry_first": "2h", "retry_max": "4h"}, guard={"outbound": {"enabled": False}}, log={"level": "warning"}))
    Load(tmp_path, relay.port, "many", "--sessions", 20, "--pipeline", "--size", 600, messages=MANY, to="a@dead.example", binary=binary).wait(400)
    wait_until(lambda: queued_n(relay) == MANY, lambda: f"{MANY} messages, not {queued_n(relay)}", 60)
    wait_until(lambda: control(relay, "GET", "/v1/queue?state=deferred&limit=1").json["matched"] == MANY, "all to have failed once", 300, 1)
    steps = drive("many", relay, tmp_path, seconds=900, queue=MANY)
    print(f"{MANY} messages, {binary}:", *(f"{s['step']} {s['ms']} ms" for s in steps if s["step"] != "log in"), sep="\n  ")
    took = {s["step"]: s["ms"] for s in steps}
    assert took["first rows"] < 10000 and took["hold all"] < 120000
    assert queued_n(relay) == 0
