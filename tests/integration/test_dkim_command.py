# SPDX-License-Identifier: Apache-2.0
"""postern dkim: keys made, shown, compared with what is published, and changed in turn."""
import base64
import datetime
import json
import os
import pathlib
import re
import stat
import subprocess

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from lib.daemon import postern
from lib.dns import DnsProxy
from lib.programs import have


@pytest.fixture
def conf(tmp_path):
    """Writes a configuration with these keys; its path."""
    def write(*keys):
        path = tmp_path / "postern.yaml"
        path.write_text(yaml.safe_dump({
            "hostname": "mx.mail.test", "domains": [{"name": "mail.test", "deliver": "192.0.2.1"}],
            "system": {"user": "", "admin_user": "", "auth_user": "", "sign_user": "", "store_user": ""}, "dkim": {"keys": list(keys)}}))
        return path
    return write


def new(conf, *args, domain="mail.test", check=0):
    return json.loads(postern("dkim", "new", domain, "-c", conf, "--json", *args, check=check).stdout)


def entry(key, **more):
    return {"domain": key["domain"], "selector": key["selector"], "file": key["key"], **more}


def test_new(conf, tmp_path):
    done = postern("dkim", "new", "Mail.TEST.", "-c", conf(), check=0)
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    selector = f"selector-{today}-1"
    assert f"host   {selector}._domainkey.mail.test\n" in done.stdout
    value = re.search(r"^value  (v=DKIM1; k=rsa; p=[A-Za-z0-9+/=]{392})$", done.stdout, re.M)[1]
    bind = done.stdout.split("BIND:\n\n")[1].split("\n\nIn the conf")[0]
    strings = re.findall(r'"([^"]*)"', bind)
    assert "".join(strings) == value and max(map(len, strings)) <= 255 and bind.startswith(f"{selector}._domainkey.mail.test. IN TXT (")
    path = tmp_path / "keys" / f"{selector}._domainkey.mail.test.pem"
    lines = yaml.safe_load(done.stdout[done.stdout.index("dkim:"):])
    assert lines == {"dkim": {"keys": [{"domain": "mail.test", "selector": selector, "file": str(path)}]}}
    mode = path.stat()
    assert stat.S_IMODE(mode.st_mode) == 0o600 and mode.st_uid == os.geteuid()
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o007 == 0
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert key.key_size == 2048


@pytest.mark.slow
def test_selectors_count_up_and_nothing_is_overwritten(conf, tmp_path):
    path = conf()
    first, second = new(path), new(path)
    assert first["selector"].endswith("-1") and second["selector"].endswith("-2") and first["value"] != second["value"]
    named = new(path, "--selector", "s1")
    before = pathlib.Path(named["key"]).read_bytes()
    done = postern("dkim", "new", "mail.test", "-c", path, "--selector", "s1", check=73)
    assert "stays as it is" in done.stderr and pathlib.Path(named["key"]).read_bytes() == before
    # one that the configuration has elsewhere
    elsewhere = tmp_path / "elsewhere.pem"
    pathlib.Path(second["key"]).rename(elsewhere)
    path = conf({**entry(second), "file": str(elsewhere)})
    assert new(path)["selector"].endswith("-3")
    done = postern("dkim", "new", "mail.test", "-c", path, "--selector", second["selector"], check=73)
    assert "has the selector" in done.stderr


@pytest.mark.parametrize("args,kind,bits", [
    (["--type", "ed25519"], "ed25519", 256), (["--bits", "1024"], "rsa", 1024),
    pytest.param(["--type", "rsa", "--bits", "4096"], "rsa", 4096, marks=pytest.mark.slow)])
def test_types(conf, args, kind, bits):
    key = new(conf(), *args)
    assert (key["type"], key["bits"]) == (kind, bits) and f"k={kind}" in key["value"]
    loaded = serialization.load_pem_private_key(pathlib.Path(key["key"]).read_bytes(), None)
    assert getattr(loaded, "key_size", 256) == bits


@pytest.mark.daily(1)
@pytest.mark.parametrize("selector", ["20260101", "7", "a_b", "2026.mail", "x-1"])
def test_selectors_are_those_of_the_configuration(tmp_path, conf, selector):
    key = new(conf(), "--selector", selector, "--type", "ed25519", "--directory", tmp_path / "keys")
    path = conf(entry(key))
    assert f"selector: {selector}, file: " in key["configuration"]
    postern("check", "-c", path, check=0)
    assert f"host   {selector}._domainkey.mail.test\n" in postern("dkim", "show", "mail.test", "-c", path, check=0).stdout


def test_testing_and_directory(tmp_path):
    done = postern("dkim", "new", "mail.test", "--directory", tmp_path / "d", "--testing", "--selector", "s", check=0)
    assert "t=y" in done.stdout and (tmp_path / "d/s._domainkey.mail.test.pem").exists()


@pytest.mark.root
def test_owner(conf, tmp_path):
    path = conf()
    path.write_text(path.read_text().replace("sign_user: ''", "sign_user: daemon"))
    key = pathlib.Path(new(path)["key"])
    assert key.owner() == "daemon" and stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.parent.group() == "daemon" and stat.S_IMODE(key.parent.stat().st_mode) == 0o750


@pytest.fixture
def zone(knot):
    """A name server for mail.test; zone(lines) makes one with these."""
    return lambda lines: knot({"mail.test": lines})


def check(key, server, code, *more):
    done = postern("dkim", "check", "mail.test", "--key", key["key"], "--selector", key["selector"], "--dns", server, *more, check=code)
    return done.stdout


@pytest.mark.slow
def test_check(conf, zone):
    path = conf()
    names = ("good", "other", "missing", "twice", "revoked", "slip", "broken", "sha1", "web", "testing")
    long = ("good", "other", "sha1")  # which take their time to make
    keys = {name: new(path, "--selector", name, *([] if name in long else ["--type", "ed25519"])) for name in (*names, "ed")}
    value = {name: k["value"] for name, k in keys.items()}
    odd = "".join(f'{name}._domainkey TXT {text}\n' for name, text in {
        "revoked": '"v=DKIM1; p="', "broken": '"v=DKIM1; k=rsa; p=AAAA"',
        "sha1": " ".join(f'"{x}"' for x in ("h=sha1; ", value["sha1"][9:200], value["sha1"][200:])),
        "web": " ".join(f'"{x}"' for x in ("s=web; ", value["web"][9:200], value["web"][200:])),
        "testing": " ".join(f'"{x}"' for x in ("v=DKIM1; t=y; ", value["testing"][9:200], value["testing"][200:])),
    }.items())
    server = zone("".join(keys[name]["bind"] for name in ("good", "ed", "twice")) +
                  keys["good"]["bind"].replace("good._domainkey", "other._domainkey") +
                  keys["good"]["bind"].replace("good._domainkey", "twice._domainkey") +
                  keys["slip"]["bind"].replace("mail.test. ", "mail.test.mail.test. ") + odd).server
    assert check(keys["good"], server, 0).startswith("published good._domainkey.mail.test: ")
    assert check(keys["ed"], server, 0).startswith("published ")
    assert "t=y" in check(keys["testing"], server, 0)
    for name, says in (("other", "another key"), ("twice", "several TXT records"), ("revoked", "revoked"), ("broken", "cannot be read"),
                       ("sha1", "h="), ("web", "s=")):
        told = check(keys[name], server, 65)
        assert told.startswith("differs ") and says in told and len(told.splitlines()) == 2, told
    assert check(keys["missing"], server, 65).startswith("missing ")
    told = check(keys["slip"], server, 65)
    assert told.startswith("missing ") and "slip._domainkey.mail.test.mail.test" in told
    told = json.loads(check(keys["other"], server, 65, "--json"))
    assert told[0]["state"] == "differs" and told[0]["hint"] and told[0]["host"] == "other._domainkey.mail.test"


@pytest.mark.slow
def test_show_and_check_of_the_configuration(conf, zone):
    path = conf()
    one, two = new(path), new(path, "--type", "ed25519")
    path = conf(entry(one), entry(two, enabled=False))
    shown = postern("dkim", "show", "mail.test", "-c", path, check=0).stdout
    assert one["value"] in shown and two["value"] in shown
    server = zone(one["bind"]).server
    done = postern("dkim", "check", "mail.test", "-c", path, "--dns", server, check=65)
    assert [line.split()[0] for line in done.stdout.splitlines() if line[0] != " "] == ["published", "missing"]
    done = postern("dkim", "show", "other.test", "-c", path, check=65)
    assert "postern dkim new other.test" in done.stderr


@pytest.mark.slow
def test_the_key_that_seals(conf, zone):
    path = conf()
    key = new(path, "--selector", "arc", "--type", "ed25519")
    text = yaml.safe_load(path.read_text())
    for host, arc in (("mx.mail.test", {"domain": "mail.test"}), ("mail.test", {})):
        path.write_text(yaml.safe_dump({**text, "hostname": host, "arc": {"seal": True, "selector": "arc", "file": key["key"], **arc}}))
        assert key["value"] in postern("dkim", "show", "mail.test", "-c", path, check=0).stdout
        done = postern("dkim", "check", "mail.test", "-c", path, "--dns", zone(key["bind"]).server, check=0)
        assert done.stdout.startswith("published arc.")
        assert "has the selector" in postern("dkim", "new", "mail.test", "--selector", "arc", "-c", path, check=73).stderr
        postern("dkim", "rotate", "mail.test", "-c", path, check=65)


def test_check_without_an_answer(conf, zone):
    proxy = DnsProxy(zone("").port)
    proxy.mode = "servfail"
    assert check(new(conf()), proxy.server, 75).startswith("unanswered ")
    proxy.stop()


def rotate(path, server, code=0):
    return postern("dkim", "rotate", "mail.test", "-c", path, "--dns", server, check=code).stdout


@pytest.mark.slow
def test_rotate(conf, knot):
    path = conf()
    old = new(path, "--selector", "old")
    path = conf(entry(old))
    server = knot({"mail.test": old["bind"]}).server
    told = rotate(path, server)
    assert told.startswith("prepared selector-")
    selector = told.split()[1].rstrip(":")
    assert rotate(path, server, 75).startswith(f"waiting for the record of {selector}\nmissing ")
    following = json.loads(postern("dkim", "show", "mail.test", "--key", path.parent / "keys" / f"{selector}._domainkey.mail.test.pem",
                                   "--selector", selector, "--json", check=0).stdout)[0]
    assert following["value"] in rotate(path, server, 75)
    server = knot({"mail.test": old["bind"] + following["bind"]}).server
    for at in (conf(entry(old)), conf(entry(old), entry(following, enabled=False))):
        told = rotate(at, server)
        assert told.startswith(f"switch from old to {selector}: ") and f"selector: {selector}" in told
    path = conf(entry(following))
    told = rotate(path, server)
    assert told.startswith("retire old: a week after the switch") and old["key"] in told
    server = knot({"mail.test": following["bind"]}).server
    assert "not published any more; delete" in rotate(path, server)
    pathlib.Path(old["key"]).unlink()
    assert rotate(path, server).startswith("prepared selector-")


def test_rotate_of_a_key_file(conf, zone, tmp_path):
    old = new(conf(), "--selector", "old", "--type", "ed25519")
    server = zone(old["bind"]).server
    args = ["rotate", "mail.test", "--key", old["key"], "--selector", "old", "--directory", tmp_path / "keys", "--dns", server, "--json"]
    told = json.loads(postern("dkim", *args, check=0).stdout)
    assert [(x["step"], x["type"]) for x in told] == [("prepared", "ed25519")]
    told = json.loads(postern("dkim", *args, check=75).stdout)
    assert [(x["step"], x["state"]) for x in told] == [("waiting", "missing")]
    assert "--dns: " in postern("dkim", *[a if a != server else "nowhere:x" for a in args], check=64).stderr


def test_rotate_needs_a_key(conf):
    done = postern("dkim", "rotate", "mail.test", "-c", conf(), check=65)
    assert "postern dkim new mail.test" in done.stderr


@pytest.mark.skipif(not have("openssl"), reason="openssl is not installed")
def test_openssl_reads_the_key(conf):
    key = new(conf())
    done = subprocess.run(["openssl", "rsa", "-in", key["key"], "-pubout", "-outform", "DER"], capture_output=True, check=True)
    assert key["value"].endswith("p=" + base64.b64encode(done.stdout).decode())


@pytest.mark.parametrize("args,says", [
    ([], "what is to be done"),
    (["make", "mail.test"], 'there is no "make"'),
    (["new"], "new needs a DOMAIN"),
    (["new", "../etc"], '"../etc" is no domain'),
    (["new", "mail.test", "--selector", "../x"], '"../x" is no name'),
    (["new", "mail.test", "--type", "dsa"], '"dsa"'),
    (["new", "mail.test", "--bits", "512"], "from 1024 to 4096"),
    (["new", "mail.test", "--type", "ed25519", "--bits", "256"], "leave --bits out"),
    (["new", "mail.test", "again"], 'one word too many: "again"'),
    (["new", "mail.test", "--key", "x"], "takes no --key"),
    (["check", "mail.test", "--key", "x"], "go together"),
    (["show", "mail.test", "--bits", "2048"], "takes no --bits"),
    (["show", "mail.test", "--frob"], 'what is "--frob"'),
])
@pytest.mark.daily(5)
def test_bad_usage(args, says):
    done = postern("dkim", *args, check=64)
    assert says in done.stderr and not done.stdout


def test_unreadable(conf, tmp_path):
    missing = tmp_path / "missing"
    assert str(missing) in postern("dkim", "check", "mail.test", "--key", missing, "--selector", "s", check=66).stderr
    assert str(missing) in postern("dkim", "show", "mail.test", "-c", missing, check=78).stderr
    text = tmp_path / "text"
    text.write_text("no key")
    assert str(text) in postern("dkim", "show", "mail.test", "--key", text, "--selector", "s", check=66).stderr


# ---- new --all

@pytest.fixture
def many(tmp_path):
    """A configuration with comments, three relay domains and a key for one of them."""
    path = tmp_path / "postern.yaml"
    key = json.loads(postern("dkim", "new", "has.test", "--directory", tmp_path / "keys", "--selector", "s1", "--type", "ed25519", "--json",
                             check=0).stdout)
    path.write_text(f"""# mine
hostname: mx.mail.test
domains:
  - {{name: has.test, deliver: 192.0.2.1}}   # has one
  - {{name: Lacks.test, deliver: 192.0.2.1}}
  - {{name: xn--bcher-kva.example, deliver: 192.0.2.1, subdomains: yes}}
system: {{user: "", admin_user: "", auth_user: "", sign_user: "", store_user: ""}}
dkim:
  subdomains: no # why not
  keys:
    - {{domain: HAS.test, selector: s1, file: {key["key"]}}}
""")
    return path


def test_new_for_all(many):
    before = many.read_text()
    told = postern("dkim", "new", "--all", "--type", "ed25519", "-c", many, check=0).stdout
    assert many.read_text() == before and "has.test" not in told and "Written" not in told
    lines = yaml.safe_load(told[told.index("dkim:"):told.index("They do not sign yet")])["dkim"]["keys"]
    assert [(k["domain"], k["enabled"]) for k in lines] == [("lacks.test", False), ("xn--bcher-kva.example", False)]
    assert all(pathlib.Path(k["file"]).exists() for k in lines)


def test_new_for_all_written(many):
    before = many.read_text()
    made = json.loads(postern("dkim", "new", "--all", "--write", "--type", "ed25519", "--json", "-c", many, check=0).stdout)
    assert [k["domain"] for k in made] == ["lacks.test", "xn--bcher-kva.example"]
    after = many.read_text()
    assert after.startswith(before.rstrip("\n")) and "# why not" in after
    keys = yaml.safe_load(after)["dkim"]["keys"]
    assert [(k["domain"], k.get("enabled")) for k in keys] == [("HAS.test", None), ("lacks.test", False), ("xn--bcher-kva.example", False)]
    postern("check", "-c", many, check=0)
    assert "before dkim new --all" in postern("config", "history", "-c", many, check=0).stdout
    shown = postern("dkim", "show", "lacks.test", "-c", many, check=0).stdout
    assert made[0]["value"] in shown
    done = postern("dkim", "new", "--all", "--write", "-c", many, check=0)
    assert "each of the 3 relay domains has a key" in done.stdout and many.read_text() == after
    postern("config", "rollback", "1", "-c", many, check=0)
    assert many.read_text() == before


def test_new_for_all_that_ends_half_way(many):
    """What was made is written, and told as written."""
    there = many.parent / "keys/s1._domainkey.xn--bcher-kva.example.pem"
    there.write_text("mine")
    done = postern("dkim", "new", "--all", "--write", "--selector", "s1", "--type", "ed25519", "-c", many, check=73)
    assert str(there) in done.stderr and there.read_text() == "mine"
    assert f"Written into {many}" in done.stdout and "s1._domainkey.lacks.test" in done.stdout
    assert [k["domain"] for k in yaml.safe_load(many.read_text())["dkim"]["keys"]] == ["HAS.test", "lacks.test"]


@pytest.mark.slow
def test_new_for_all_without_dkim(conf):
    path = conf()
    text = yaml.safe_load(path.read_text())
    del text["dkim"]
    path.write_text(yaml.safe_dump(text))
    postern("dkim", "new", "--all", "--write", "-c", path, check=0)
    keys = yaml.safe_load(path.read_text())["dkim"]["keys"]
    assert [k["domain"] for k in keys] == ["mail.test"] and keys[0]["selector"].endswith("-1")


@pytest.mark.parametrize("args,says", [
    (["new", "--all", "mail.test"], "not for"), (["show", "--all"], "takes no --all"),
    (["new", "mail.test", "--write"], "is for new --all"),
    (["new", "--all", "--key", "x"], "takes no --key")])
def test_bad_usage_of_all(args, says):
    done = postern("dkim", *args, check=64)
    assert says in done.stderr and not done.stdout


@pytest.mark.root
def test_keys_that_only_root_reads(many):
    """Somebody else may check the configuration: what he cannot read is a warning."""
    folder = many.parent
    key = folder / "keys/s1._domainkey.has.test.pem"
    for path in [folder, *folder.parents][:4]:
        path.chmod(0o755)
    (folder / "keys").chmod(0o755)
    many.chmod(0o644)
    key.chmod(0o600)
    from lib.daemon import environment
    from lib.util import BINARY
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(BINARY), "check", "-c", many],
                          capture_output=True, text=True, env=environment())
    assert done.returncode == 0 and "warning" in done.stdout and "s1._domainkey" in done.stdout, done.stdout + done.stderr
