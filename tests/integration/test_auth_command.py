# SPDX-License-Identifier: Apache-2.0
"""postern auth: SPF, DKIM, DMARC and ARC against a real name server, messages signed by other programs."""
import base64
import json
import re
import subprocess
import time
import types

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from lib.daemon import environment, postern
from lib.dns import DnsProxy
from lib.opendkim import OpenDkim
from lib.programs import Knot, have
from lib.util import BINARY

dkim = pytest.importorskip("dkim")

ZONE = r"""
@          TXT "v=spf1 ip4:192.0.2.1 mx include:other.mail.test -all"
@          MX 10 mx1
mx1        A 192.0.2.25
mx1        AAAA 2001:db8::25
other      TXT "v=spf1 ip4:198.51.100.0/24 -all"
explained  TXT "v=spf1 -all exp=why.mail.test"
why        TXT "%{i} may not send for %{d}; see \027[31mhttps://mail.test/"
soft       TXT "v=spf1 ~all"
neutral    TXT "v=spf1 ?all"
nothing    TXT "no policy"
twice      TXT "v=spf1 -all"
twice      TXT "v=spf1 +all"
broken     TXT "v=spf1 ipv4:192.0.2.1 -all"
loop       TXT "v=spf1 include:loop.mail.test -all"
macro      TXT "v=spf1 exists:%{l}.%{d} -all"
user\043tag.macro A 127.0.0.2
odd\032name.macro A 127.0.0.2
helo       TXT "v=spf1 ip4:192.0.2.9 -all"
long       TXT "v=spf1 " "ip4:203.0.113.0/28 " "ip4:203.0.113.32/28 -all"
manymx     TXT "v=spf1 a -all"
_dmarc     TXT "v=DMARC1; p=reject; sp=quarantine; rua=mailto:reports@mail.test"
_dmarc.watch TXT "v=DMARC1; p=none"
""" + "".join(f"manymx A 203.0.113.{n}\n" for n in range(100, 150))

MESSAGE = (b"From: Ann <ann@mail.test>\r\nTo: bob@example.com\r\nSubject: On Monday\r\n"
           b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@mail.test>\r\n\r\nHello  Bob,\r\n\r\nsee you.\r\n\r\n")
AR = b"Authentication-Results: relay.mail.test; spf=pass smtp.mailfrom=ann@mail.test\r\n"


class Keys:
    """Keys of two types, as signers and zones want them."""

    def __init__(self):
        self.rsa, self.ed = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
        self.pem = self.rsa.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                          serialization.NoEncryption())
        self.seed = base64.b64encode(self.ed.private_bytes_raw() if hasattr(self.ed, "private_bytes_raw") else self.ed.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()))
        self.rsa_p = base64.b64encode(self.rsa.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).decode()
        self.ed_p = base64.b64encode(self.ed.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)).decode()

    def zone(self):
        return (f'rsa_1._domainkey TXT "v=DKIM1; k=rsa; " "p={self.rsa_p[:200]}" "{self.rsa_p[200:]}"\n'
                f'ed._domainkey TXT "v=DKIM1; k=ed25519; p={self.ed_p}"\n'
                'revoked._domainkey TXT "v=DKIM1; p="\n')


class World:
    def __init__(self, folder):
        self.keys = Keys()
        self.knot = Knot(folder, {"test": "", "mail.test": ZONE + self.keys.zone(),
                                  "other.test": '@ TXT "v=spf1 ip4:192.0.2.1 -all"\n'
                                                f'rsa_1._domainkey TXT "v=DKIM1; p={self.keys.rsa_p[:250]}" "{self.keys.rsa_p[250:]}"'})
        self.psl = folder / "psl.dat"
        self.psl.write_text("// ours\ntest\nmail.test\n")

    def stop(self):
        self.knot.stop()

    def sign(self, message=MESSAGE, selector=b"rsa_1", domain=b"mail.test", **kw):
        if kw.get("signature_algorithm") == b"ed25519-sha256":
            return dkim.sign(message, selector, domain, self.keys.seed, **kw) + message
        return dkim.sign(message, selector, domain, self.keys.pem, **kw) + message

    def seal(self, message):
        return b"".join(dkim.arc_sign(message, b"rsa_1", b"mail.test", self.keys.pem, b"relay.mail.test")) + message

    def auth(self, *args, check=0, **kw):
        return postern("auth", *args, "--dns", self.knot.server, check=check, **kw)

    def lines(self, *args, **kw):
        return self.auth(*args, **kw).stdout.splitlines()

    def json(self, *args):
        return json.loads(self.auth(*args, "--json").stdout)


@pytest.fixture(scope="module")
def world(make_world, tmp_path_factory):
    return make_world(World, tmp_path_factory.mktemp("auth"))


@pytest.fixture
def mail(tmp_path):
    """Writes a message; the path."""
    def write(content, name="mail.eml"):
        path = tmp_path / name
        path.write_bytes(content)
        return path
    return write


def spf(world, ip, sender, helo="helo.example", **kw):
    return world.lines("spf", "--ip", ip, "--helo", helo, "--from", sender, **kw)


# ---- SPF

@pytest.mark.parametrize("ip,sender,result", [
    ("192.0.2.1", "a@mail.test", "pass"),
    ("192.0.2.25", "a@mail.test", "pass"),
    ("2001:db8::25", "a@mail.test", "pass"),
    ("198.51.100.77", "<a@MAIL.test>", "pass"),
    ("192.0.2.2", "a@mail.test", "fail"),
    ("192.0.2.2", "a@soft.mail.test", "softfail"),
    ("192.0.2.2", "a@neutral.mail.test", "neutral"),
    ("192.0.2.2", "a@nothing.mail.test", "none"),
    ("192.0.2.2", "a@absent.mail.test", "none"),
    ("192.0.2.2", "a@twice.mail.test", "permerror"),
    ("192.0.2.1", "a@broken.mail.test", "permerror"),
    ("192.0.2.1", "a@loop.mail.test", "permerror"),
    ("203.0.113.33", "a@long.mail.test", "pass"),
    ("203.0.113.149", "a@manymx.mail.test", "pass"),
    ("192.0.2.2", "user+tag@macro.mail.test", "pass"),
    ("192.0.2.2", "odd name@macro.mail.test", "pass"),
    ("192.0.2.2", "user@macro.mail.test", "fail"),
    ("192.0.2.1", "mail.test", "pass"),
    ("::ffff:192.0.2.1", "a@mail.test", "pass"),
])
@pytest.mark.daily(3)
def test_spf(world, ip, sender, result):
    lines = spf(world, ip, sender)
    assert lines[0].split()[0] == result, lines
    assert len(lines[0].split()) > 1, "the reason stands on the first line"
    assert len(lines) == 1


def test_spf_explains(world):
    lines = spf(world, "192.0.2.2", "a@explained.mail.test")
    assert lines[0].startswith("fail ")
    assert len(lines) <= 2
    if len(lines) == 2:
        assert "192.0.2.2 may not send for explained.mail.test" in lines[1]
    assert "\x1b" not in "\n".join(lines)


def test_spf_of_the_null_sender(world):
    for sender in ("", "<>"):
        assert spf(world, "192.0.2.9", sender, "helo.mail.test")[0].startswith("pass ")
        assert spf(world, "192.0.2.8", sender, "helo.mail.test")[0].startswith("fail ")
    assert world.lines("spf", "--ip", "192.0.2.9", "--helo", "helo.mail.test")[0].startswith("pass ")


def test_spf_json(world):
    told = world.json("spf", "--ip", "192.0.2.25", "--helo", "h.example", "--from", "a@mail.test")
    assert told["result"] == "pass" and told["domain"] == "mail.test" and told["mechanism"] == "mx" and told["reason"]
    assert told["lookups"] == 1 and told["void_lookups"] == 0 and told["record_domain"] == "mail.test"
    told = world.json("spf", "--ip", "198.51.100.1", "--helo", "h.example", "--from", "a@mail.test")
    assert told["result"] == "pass" and told["lookups"] == 2


@pytest.mark.parametrize("mode", ["servfail", "refused"])
def test_spf_temperror(world, mode):
    proxy = DnsProxy(world.knot.port)
    proxy.mode = mode
    done = postern("auth", "spf", "--ip", "192.0.2.1", "--helo", "h", "--from", "a@mail.test", "--dns", proxy.server, check=0)
    proxy.stop()
    assert done.stdout.startswith("temperror ")


@pytest.mark.slow
def test_a_silent_name_server_ends_in_time(world, mail):
    proxy = DnsProxy(world.knot.port)
    proxy.mode = "silent"
    path = mail(world.sign())
    for args in (["spf", "--ip", "192.0.2.1", "--helo", "h", "--from", "a@mail.test"],
                 ["dmarc", path, "--ip", "192.0.2.1", "--helo", "h", "--from", "a@mail.test"]):
        began = time.monotonic()
        done = postern("auth", *args, "--dns", proxy.server, check=0)
        assert time.monotonic() - began < 20
        assert done.stdout.startswith("temperror "), done.stdout
    proxy.stop()


# ---- DKIM

def test_dkim_passes(world, mail):
    lines = world.lines("dkim", mail(world.sign()))
    assert lines[0].startswith("pass ") and len(lines) == 2
    assert re.match(r"pass d=mail\.test s=rsa_1 .*a=rsa-sha256 \(2048 bits\)", lines[1])


@pytest.mark.daily(2)
@pytest.mark.parametrize("canon", [(b"simple", b"simple"), (b"relaxed", b"relaxed"), (b"simple", b"relaxed"), (b"relaxed", b"simple")])
def test_dkim_canonicalization_and_line_ends(world, mail, canon):
    signed = world.sign(canonicalize=canon)
    for content in (signed, signed.replace(b"\r\n", b"\n"), b"From ann@mail.test Sun Nov 22 10:00:00 2026\n" + signed):
        assert world.lines("dkim", mail(content))[0].startswith("pass ")


def test_dkim_of_both_key_types(world, mail):
    pytest.importorskip("nacl")
    signed = world.sign(world.sign(), selector=b"ed", signature_algorithm=b"ed25519-sha256")
    told = world.json("dkim", mail(signed))
    assert [(s["result"], s["selector"], s["algorithm"]) for s in told["signatures"]] == [
        ("pass", "ed", "ed25519-sha256"), ("pass", "rsa_1", "rsa-sha256")]


def test_dkim_of_standard_input(world):
    done = world.auth("dkim", "-", stdin=world.sign().decode())
    assert done.stdout.startswith("pass ")


def test_dkim_of_a_large_message(world, mail):
    body = b"".join(b"%07d some text of a line\r\n" % n for n in range(300_000))
    assert world.lines("dkim", mail(world.sign(MESSAGE.split(b"\r\n\r\n")[0] + b"\r\n\r\n" + body)))[0].startswith("pass ")


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
def test_dkim_of_a_message_that_trickles_in(world, ends):
    """Pieces of every size: line ends, the end of the header and fields are cut anywhere."""
    content = world.sign(MESSAGE.replace(b"Subject: On Monday", b"Subject: On\r\n Monday\r\n\tor later")).replace(b"\r\n", ends)
    command = [str(BINARY), "auth", "dkim", "-", "--dns", world.knot.server]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), bufsize=0) as process:
        for n in range(len(content)):
            process.stdin.write(content[n:n + 1])
            time.sleep(0.0005)
        process.stdin.close()
        assert process.stdout.read().startswith(b"pass ")


def test_dkim_of_a_large_header(world, mail):
    fields = b"".join(b"X-Field-%d: %s\r\n %s\r\n" % (n, b"a" * (n * 7 % 900), b"b" * (n % 70)) for n in range(400))
    for ends in (b"\r\n", b"\n"):
        signed = world.sign(fields + MESSAGE, include_headers=[b"from", b"x-field-399", b"x-field-1"])
        told = world.lines("dkim", mail(signed.replace(b"\r\n", ends)))
        assert told[0].startswith("pass "), told


@pytest.mark.parametrize("line", [b"no field\r\n", b"n" * 5000 + b"\r\n"])
def test_dkim_of_a_header_that_breaks_off(world, mail, line):
    """Where the header ends is not certain then, so nobody can vouch for it."""
    header, body = world.sign().split(b"\r\n\r\n", 1)
    told = world.lines("dkim", mail(header + b"\r\n" + line + b"\r\n" + body))
    assert told[0].split()[0] != "pass", told


def test_dkim_fails(world, mail):
    for content in (world.sign().replace(b"see you", b"sue you"), world.sign().replace(b"On Monday", b"On Sunday")):
        lines = world.lines("dkim", mail(content))
        assert lines[0].startswith("fail ") and lines[1].startswith("fail d=mail.test ")


def test_dkim_without_a_usable_key(world, mail):
    for selector in (b"absent", b"revoked"):
        lines = world.lines("dkim", mail(world.sign(selector=selector)))
        assert lines[0].split()[0] == "permerror", lines


def test_dkim_best_result_counts(world, mail):
    content = world.sign(world.sign(), selector=b"absent")
    lines = world.lines("dkim", mail(content))
    assert lines[0].startswith("pass ") and [x.split()[0] for x in lines[1:]] == ["permerror", "pass"]


@pytest.mark.daily(3)
@pytest.mark.parametrize("content", [MESSAGE, b"", b"no header at all\r\n", b"Subject: x", b"Subject", MESSAGE[:40], b"\r\n", b"\n\n"])
def test_dkim_none(world, mail, content):
    lines = world.lines("dkim", mail(content))
    assert lines[0].startswith("none ") and len(lines) == 1


def test_dkim_json(world, mail):
    told = world.json("dkim", mail(world.sign(identity=b"ann@mail.test", length=True)))
    s = told["signatures"][0]
    assert told["result"] == s["result"] == "pass" and s["identity"] == "ann@mail.test" and s["bits"] == 2048 and s["covers_from"]
    assert s["length"] == s["body"] and s["headers"][0].lower() == "from" and s["time"] > 1_500_000_000


def test_nothing_hostile_reaches_the_terminal(world, mail):
    bad = b"\x1b[2J\xff\x07"
    signed = world.sign().replace(b"d=mail.test", b"d=mail" + bad + b".test").replace(b"s=rsa_1", b"s=" + bad)
    content = b"ARC-Seal: i=1; cv=none; d=" + bad + b"; s=" + bad + b"; a=rsa-sha256; b=AA==\r\n" + signed.replace(b"ann@", bad + b"@")
    path = mail(content)
    for args in (["dkim", path], ["arc", path],
                 ["dmarc", path, "--ip", "192.0.2.1", "--helo", "\x1b]0;x\x07", "--from", "a\x1b@mail.test"]):
        for form in ([], ["--json"]):
            out = world.auth(*args, *form).stdout
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out), repr(out)


@pytest.mark.skipif(not have("opendkim") or not have("miltertest"), reason="opendkim and opendkim-tools are not installed")
@pytest.mark.parametrize("canon", [pytest.param("simple", marks=pytest.mark.slow), "relaxed"])
@pytest.mark.slow
def test_dkim_signed_by_opendkim(world, mail, tmp_path, canon):
    key = types.SimpleNamespace(pem=world.keys.pem, domain="mail.test", selector="rsa_1")
    signer = OpenDkim(key, tmp_path / "opendkim", Canonicalization=f"{canon}/{canon}")
    try:
        signed = signer.sign(MESSAGE, "ann@mail.test")
    finally:
        signer.stop()
    assert world.lines("dkim", mail(signed))[0].startswith("pass "), signed


@pytest.mark.skipif(not have("perl"), reason="perl is not installed")
def test_dkim_signed_by_mail_dkim(world, mail, tmp_path):
    key = tmp_path / "key.pem"
    key.write_bytes(world.keys.pem)
    program = ("use Mail::DKIM::Signer; my $d = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => 'relaxed/relaxed',"
               " Domain => 'mail.test', Selector => 'rsa_1', KeyFile => $ARGV[0]); local $/; my $m = <STDIN>; $d->PRINT($m); $d->CLOSE;"
               " print $d->signature->as_string, \"\\r\\n\";")
    done = subprocess.run(["perl", "-e", program, str(key)], input=MESSAGE, capture_output=True, timeout=30)
    if b"Can't locate" in done.stderr:
        pytest.skip("Mail::DKIM is not installed")
    assert world.lines("dkim", mail(done.stdout + MESSAGE))[0].startswith("pass ")


# ---- DMARC

def dmarc(world, path, sender="ann@mail.test", ip="192.0.2.1", *more):
    return world.lines("dmarc", path, "--ip", ip, "--helo", "h.example", "--from", sender, "--psl", world.psl, *more)


def test_dmarc(world, mail):
    plain, signed = mail(MESSAGE), mail(world.sign(), "signed.eml")
    strange = mail(world.sign(domain=b"other.test"), "strange.eml")
    assert dmarc(world, plain)[0].startswith("pass none ")
    assert dmarc(world, signed, ip="192.0.2.200")[0].startswith("pass none ")
    assert dmarc(world, plain, ip="192.0.2.200")[0].startswith("fail reject ")
    assert dmarc(world, plain, "a@other.test")[0].startswith("fail reject "), "not aligned"
    assert dmarc(world, strange, ip="192.0.2.200")[0].startswith("fail reject "), "not aligned"
    assert dmarc(world, plain, "", ip="192.0.2.200")[0].startswith("fail reject ")


def test_dmarc_of_subdomains(world, mail):
    psl = world.psl.parent / "short.dat"
    psl.write_text("test\n")
    args = ["--ip", "192.0.2.200", "--helo", "h.example", "--from", "a@other.test", "--psl", psl]
    for author, said in ((b"soft.mail.test", "fail quarantine "), (b"watch.mail.test", "fail none "), (b"mail.test", "fail reject ")):
        path = mail(MESSAGE.replace(b"@mail.test>\r\nTo", b"@" + author + b">\r\nTo"))
        assert world.lines("dmarc", path, *args)[0].startswith(said)
    # the same without a list, and with one in which every part of mail.test is somebody's own
    path = mail(MESSAGE.replace(b"@mail.test>\r\nTo", b"@soft.mail.test>\r\nTo"))
    assert world.lines("dmarc", path, *args[:-2], "--tree-walk")[0].startswith("fail quarantine ")
    assert world.lines("dmarc", path, *args[:-1], world.psl)[0].startswith("none none ")


def test_dmarc_none_and_permerror(world, mail):
    path = mail(MESSAGE.replace(b"@mail.test>\r\nTo", b"@other.test>\r\nTo"))
    assert dmarc(world, path)[0].startswith("none none ")
    assert dmarc(world, mail(MESSAGE.replace(b"From:", b"Frob:")))[0].startswith("permerror none ")


def test_dmarc_json(world, mail):
    told = json.loads("\n".join(dmarc(world, mail(world.sign()), "ann@mail.test", "192.0.2.1", "--json")))
    assert told["result"] == "pass" and told["asked"] == "none" and told["published"] == "reject" and told["author"] == "mail.test"
    assert told["spf_aligned"] and told["dkim_aligned"] and told["spf"]["result"] == "pass"
    assert told["dkim"]["signatures"][0]["bits"] == 2048
    assert told["reports"] == "mailto:reports@mail.test" and told["record"].startswith("v=DMARC1")


def test_psl_of_standard_input(world, mail):
    args = ["dmarc", mail(MESSAGE), "--ip", "192.0.2.1", "--helo", "h", "--from", "ann@mail.test", "--psl", "-"]
    assert world.auth(*args, stdin=world.psl.read_text()).stdout.startswith("pass none ")
    assert "is no public suffix list" in world.auth(*args, stdin="", check=65).stderr


# ---- ARC

def test_arc(world, mail):
    once = world.seal(AR + MESSAGE)
    twice = world.seal(AR.replace(b"spf=", b"arc=pass; spf=") + once)
    lines = world.lines("arc", mail(once))
    assert lines[0].startswith("pass ") and lines[1].startswith("i=1 cv=none d=mail.test s=rsa_1")
    lines = world.lines("arc", mail(twice.replace(b"\r\n", b"\n")))
    assert lines[0].startswith("pass ") and lines[1].startswith("i=2 cv=pass ") and lines[2].startswith("i=1 cv=none ")
    assert world.lines("arc", mail(MESSAGE))[0].startswith("none ")
    assert world.lines("arc", mail(twice.replace(b"see you", b"sue you")))[0].startswith("fail ")
    told = world.json("arc", mail(twice))
    assert told["result"] == "pass" and [s["instance"] for s in told["sets"]] == [1, 2] and "spf=pass" in told["sets"][0]["results"]


# ---- usage

@pytest.mark.parametrize("args,says", [
    ([], "what is to be judged"),
    (["spam"], 'there is no "spam"'),
    (["spf", "--helo", "h", "--from", "a@b"], "needs --ip"),
    (["spf", "--ip", "192.0.2.1"], "needs --from"),
    (["spf", "--ip", "192.0.2", "--from", "a@b"], '"192.0.2" is no IP address'),
    (["spf", "--ip", "192.0.2.1", "--from", "a@b", "file"], 'one word too many: "file"'),
    (["spf", "--ip"], "--ip needs a value"),
    (["spf", "--ip", "192.0.2.1", "--from", "a@b", "--psl", "x"], "takes no --psl"),
    (["spf", "--ip", "192.0.2.1", "--from", "a@b", "--dns", "127.0.0.1:x"], "--dns"),
    (["dkim"], "needs a FILE"),
    (["dkim", "a", "b"], 'one word too many: "b"'),
    (["dkim", "a", "--ip", "192.0.2.1"], "takes no --ip"),
    (["arc", "-x"], 'what is "-x"'),
    (["dmarc", "-", "--ip", "192.0.2.1", "--from", "a@b", "--psl", "-"], "standard input"),
    (["dmarc", "a", "--ip", "192.0.2.1", "--from", "a@b", "--psl", "x", "--tree-walk"], "either --psl or --tree-walk"),
])
@pytest.mark.daily(5)
def test_bad_usage(args, says):
    done = postern("auth", *args, check=64)
    assert says in done.stderr and not done.stdout


def test_unreadable_files(tmp_path):
    missing = tmp_path / "missing"
    assert str(missing) in postern("auth", "dkim", missing, check=66).stderr
    assert "Is a directory" in postern("auth", "arc", tmp_path, check=66).stderr
    assert str(missing) in postern("auth", "dmarc", "-", "--ip", "192.0.2.1", "--from", "a@b", "--psl", missing, check=66).stderr


def test_help():
    assert "usage: postern auth" in postern("auth", "--help", check=0).stdout
