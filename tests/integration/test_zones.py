# SPDX-License-Identifier: Apache-2.0
"""What is set per zone: trust, limits, checks. The zones are those of single addresses, and of an interface."""
import os
import subprocess

import pytest

from lib.daemon import postern as command
from lib.smtp import Smtp
from lib.util import BINARY

SMALL, EASY, WITHIN = "127.0.0.21", "127.0.0.22", "127.0.0.23"


@pytest.fixture(scope="module")
def relay(shared):
    return shared(limits={"message_size": "64K"},
                  zones={"small": {"networks": [SMALL], "message_size": "8K"},
                         "easy": {"networks": [EASY], "skip_checks": ["sender-list", "rules", "recipient-list", "helo"]},
                         "local": {"interfaces": ["lo"], "trust": "relay", "max_connections": 2}, "none": {"networks": ["127.0.0.1", "127.0.0.5"]}},
                  checks={"block": {"senders": [".spam.example"], "recipients": ["nobody@example.com"]}},
                  rules=[{"name": "bad word", "if": {"headers": [{"name": "subject", "match": "forbidden"}]}, "then": ["reject"]}])


def message(relay, source, rcpt, sender="a@client.example", text="Subject: x\n\nx\n", expect=250):
    with Smtp(relay.port, source=source) as c:
        c.ehlo("client.example")
        return c.message(rcpt, text, sender, expect=expect)


def test_the_size_of_a_message(relay):
    text = "Subject: x\n\n" + ("y" * 70 + "\n") * 200
    with Smtp(relay.port, source=SMALL) as c:
        assert c.ehlo()["SIZE"] == "8192"
        assert c.cmd("MAIL FROM:<a@client.example> SIZE=9000", 552).enhanced == "5.3.4"
    assert message(relay, SMALL, "a@example.com", text=text, expect=552).enhanced == "5.3.4"
    message(relay, EASY, "size@example.com", text=text)
    relay.sink.wait_to("size@example.com")


def test_a_zone_by_interface(relay):
    """All of lo's network that no nearer one holds: it may relay, and has its own limit."""
    message(relay, WITHIN, "within@far.example")
    relay.sink.wait_to("within@far.example")
    assert message_refused(relay, SMALL, "small@far.example") == message_refused(relay, EASY, "easy@far.example") == "5.7.1"
    relay.wait_log(rf"connect .*client={WITHIN} .*zone=local")
    with Smtp(relay.port, source=WITHIN), Smtp(relay.port, source="127.0.0.24"):
        with Smtp(relay.port, source=WITHIN, greet=False) as third:
            assert "too many connections from your network" in third.reply(421).text
        with Smtp(relay.port, source=EASY) as other:
            other.ehlo()


def message_refused(relay, source, rcpt):
    with Smtp(relay.port, source=source) as c:
        c.ehlo()
        c.mail()
        return c.rcpt(rcpt, 550).enhanced


def test_checks_that_do_not_concern_a_zone(relay):
    for source, expect in (("127.0.0.5", (550, 554)), (EASY, 250)):
        with Smtp(relay.port, source=source) as c:
            c.ehlo()
            c.mail("a@b.spam.example")
            c.rcpt("spam@example.com", expect)
        with Smtp(relay.port, source=source) as c:
            c.ehlo()
            c.mail()
            c.rcpt("nobody@example.com", expect)
        message(relay, source, f"rules{source[-1]}@example.com", text="Subject: forbidden\n\nx\n", expect=expect)
    relay.sink.wait_to(f"rules{EASY[-1]}@example.com")
    told = relay.command("explain", "--client", EASY, "--from", "a@b.spam.example", "--to", "x@example.com").stdout
    assert "not for zone easy" in told and "sender-list" in told
    assert "not for zone" not in relay.command("explain", "--client", SMALL, "--from", "a@b.spam.example", "--to", "x@example.com").stdout


@pytest.mark.parametrize("names,what", [
    (["greylits"], 'there is no check "greylits"'), (["relay"], 'no zone may skip "relay"'), (["open-relay-guard"], "no zone may skip"),
    (["stranger-watch"], "no zone may skip"), (["outbound-guard"], "no zone may skip"), (["relaying-client"], "no zone may skip"),
    (["scan"], "no zone may skip"), (["rewriting"], "no zone may skip"), (["spf"], "dmarc builds on"), (["virus", "dkim"], "dmarc builds on")])
def test_names_that_cannot_be_skipped(tmp_path, names, what):
    file = tmp_path / "c.yaml"
    file.write_text("hostname: mx.example.com\nzones:\n  lan:\n    networks: [10.0.0.0/8]\n    skip_checks: [" + ", ".join(names) + "]\n"
                    "checks: {dmarc: {organization: tree_walk}}\n")
    done = command("check", "-c", file)
    assert done.returncode == 78 and what in done.stdout and "zones.lan.skip_checks" in done.stdout, done.stdout
    if "dmarc" not in what:
        assert "virus" in done.stdout and "greylist" in done.stdout and " relay " not in done.stdout.split("possible are")[1]


def test_names_that_can_be_skipped(tmp_path):
    names = ("client-list client-limits greeting-pause client-names reverse-dns dns-lists-client reputation helo dns-lists-helo spf sender-list sender "
             "dns-lists-sender recipient-list recipient-limit recipient recipient-exists greylist dkim arc dmarc virus attachments rules spam").split()
    (tmp_path / "c.yaml").write_text("hostname: mx.example.com\nzones: {lan: {networks: [10.0.0.0/8], skip_checks: [" + ", ".join(names) + "]}}\n"
                                     "checks: {dmarc: {organization: tree_walk}}\n")
    command("check", "-c", tmp_path / "c.yaml", check=0)


# ---- postern nft, as far as nothing is put in force: test_transparent.py does that

TRANSPARENT = """hostname: mx.example.com
listeners: [{address: "*:25"}]
zones: {lan: {networks: [10.20.30.0/24], trust: relay, mode: transparent, intercept: {destinations: [192.0.2.1]}}}
"""


def test_the_rules_are_printed(tmp_path):
    (tmp_path / "c.yaml").write_text(TRANSPARENT)
    text = command("nft", "-c", tmp_path / "c.yaml", check=0).stdout
    assert text == command("nft", "print", "-c", tmp_path / "c.yaml", check=0).stdout
    assert "table inet postern {" in text and "ip daddr { 192.0.2.1 } accept" in text and "redirect to :25" in text


@pytest.mark.parametrize("words,code,what", [(["instal"], 64, 'what is "instal"?'), (["print", "remove"], 64, "what is"), (["print", "--json"], 64, "usage"),
                                             (["install"], 78, "it is not known whose connections"), (["--help"], 0, "usage")])
def test_how_nft_is_used(tmp_path, words, code, what):
    (tmp_path / "c.yaml").write_text(TRANSPARENT.replace("networks: [10.20.30.0/24]", "networks: []"))
    done = command("nft", *words, "-c", tmp_path / "c.yaml", check=code)
    assert what in done.stdout + done.stderr


@pytest.mark.root
def test_without_rights_nothing_is_put_in_force():
    """Nor for another namespace's sake: the user nobody may not change rules anywhere."""
    try:
        done = subprocess.run([str(BINARY), "nft", "remove"], user="nobody", group="nogroup", extra_groups=[], capture_output=True, text=True, timeout=30,
                              cwd="/", env={"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0"})
    except PermissionError:
        pytest.skip("the user nobody cannot reach the binary")
    assert (done.returncode, "run it as root" in done.stderr) == (77, True) or done.returncode == 69, done.stderr


def test_programs_are_those_of_the_system(tmp_path):
    """Whatever PATH has in front: nft runs as root, and with nothing of the environment."""
    for name in ("nft", "ip"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/taken\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "c.yaml").write_text(TRANSPARENT)
    subprocess.run([str(BINARY), "nft", "status", "-c", str(tmp_path / "c.yaml")], capture_output=True, text=True, timeout=30, check=False,
                   env={"PATH": f"{tmp_path}:/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"})
    assert not (tmp_path / "taken").exists()
