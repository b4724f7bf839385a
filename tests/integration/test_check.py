# SPDX-License-Identifier: Apache-2.0
"""The configuration on the command line: what check finds and how it says it; config get, set, unset, diff, history, rollback;
the manual page and the JSON schema."""
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import threading

import pytest
import yaml

from lib.daemon import postern
from lib.util import ROOT, merge

LAN = "zones:\n  lan:\n    networks: [10.0.0.0/8]\n    trust: relay\n"

# name: (what follows the line "hostname: mx.example.com", unless it begins with "!"; line:column; option; words of the
# text; words of the hint)
MISTAKES = {
    "typo": ("!hostnam: mx.example.com\n", "1:1", "hostnam", "no such option", "did you mean hostname?"),
    "typo in a group": ("limits: {mesage_size: 10M}\n", "2:10", "limits.mesage_size", "no such option", "message_size"),
    "missing": ("!domains: []\n", "1:1", "hostname", "missing", "hostname: mx.example.com"),
    "size": ("limits:\n  message_size: 10Q\n", "3:17", "limits.message_size", '"10Q" is not a size', "20M"),
    "too small": ("limits: {recipients: 5}\n", "2:22", "limits.recipients", "the least is 100", ""),
    "too large": ("queue: {lifetime: 500d}\n", "2:19", "queue.lifetime", "the most is 100d", ""),
    "no unit": ("queue: {lifetime: 5}\n", "2:19", "queue.lifetime", "no unit", "5d"),
    "yes or no": ("zones: {lan: {networks: [10.0.0.0/8], dsn: maybe}}\n", "2:44", "zones.lan.dsn", "neither yes nor no", ""),
    "word": ("zones:\n  lan:\n    networks: [10.0.0.0/8]\n    trust: realy\n", "5:12", "zones.lan.trust", '"realy"',
             "did you mean relay?"),
    "planned": ("listeners: [{address: \"*:25\", role: lmtp}]\n", "2:37", "listeners[0].role", "not available yet", "relay, submission"),
    "prefix": ("zones: {lan: {networks: [10.0.0.0/33]}}\n", "2:26", "zones.lan.networks[0]", "0 to 32", "10.20.30.0/24"),
    "host bits": ("zones: {lan: {networks: [10.1.2.3/8]}}\n", "2:26", "zones.lan.networks[0]", "bits", "10.0.0.0/8"),
    "netmask": ("zones: {lan: {networks: [10.0.0.0/255.0.255.0]}}\n", "2:26", "zones.lan.networks[0]", "netmask", "255.0.0.0"),
    "same network twice": ("zones:\n  a: {networks: [10.0.0.0/8]}\n  b: {networks: [10.0.0.0/8]}\n", "4:18",
                           "zones.b.networks[0]", "line 3", "remove one"),
    "open relay": ("zones: {world: {networks: [0.0.0.0/0], trust: relay}}\n", "2:28", "zones.world.networks[0]",
                   "relay for strangers", "of your own"),
    "open relay by a mask": ("zones: {world: {networks: [0.0.0.0/0.0.0.0], trust: relay}}\n", "2:28",
                             "zones.world.networks[0]", "relay for strangers", "of your own"),
    "open relay in IPv6": ("zones: {world: {networks: ['::/0'], trust: relay}}\n", "2:28", "zones.world.networks[0]",
                           "relay for strangers: ::/0 is wider", "of your own"),
    "open relay in halves": ("zones: {world: {networks: [128.0.0.0/1], trust: relay}}\n", "2:28", "zones.world.networks[0]",
                             "relay for strangers", "of your own"),
    "open relay by many": ("zones: {world: {networks: [" + ", ".join(f"{i}.0.0.0/8" for i in range(20, 29)) +
                           "], trust: relay}}\n", "2:76", "zones.world.networks[4]", "relay for strangers", "of your own"),
    "trusted internet": ("zones: {internet: {trust: relay}}\n", "2:27", "zones.internet.trust", "everybody", "of your own"),
    "trusted listener": (LAN + "listeners:\n  - {address: '*:25', zone: lan}\n", "7:29", "listeners[0].zone",
                         "relay for strangers", "leave out zone"),
    "every domain": ("domains: [{name: '*', deliver: 10.0.0.1}]\n", "2:18", "domains[0].name", "every domain", "yours"),
    "unknown zone": (LAN + "listeners:\n  - {address: '127.0.0.1:25', zone: lam}\n", "7:37", "listeners[0].zone",
                     'no zone "lam"', "did you mean lan?"),
    "key twice": ("hostname: mx2.example.com\n", "2:1", "hostname", "line 1", "keep one"),
    "domain twice": ("domains:\n  - {name: example.com, deliver: 10.0.0.1}\n  - {name: Example.COM, deliver: 10.0.0.2}\n", "4:12",
                     "domains[1].name", "line 3", "keep one"),
    "listener twice": ("listeners:\n  - {address: '127.0.0.1:25'}\n  - {address: '127.0.0.1:25'}\n", "4:15",
                       "listeners[1].address", "line 3", "keep one"),
    "port": ("domains: [{name: example.com, deliver: '10.0.0.1:99999'}]\n", "2:40", "domains[0].deliver", '"99999" is not a port',
             "1 to 65535"),
    "no port": ("listeners: [{address: 127.0.0.1}]\n", "2:23", "listeners[0].address", "has no port", "192.0.2.1:25"),
    "own port": ("listeners: [{address: '127.0.0.1:2525'}]\ndomains:\n  - {name: example.com, deliver: '127.0.0.1:2525'}\n",
                 "4:34", "domains[0].deliver", "would loop", "another port"),
    "no via": ("routes: [{to: example.org}]\n", "2:10", "routes[0]", "neither via nor source", "add via"),
    "route both ways": ("routes: [{to: example.org, from: example.net, via: 10.0.0.1}]\n", "2:34", "routes[0].from", "not both", "two routes"),
    "source of somebody else": ("delivery: {source4: 203.0.113.9}\n", "2:21", "delivery.source4", "203.0.113.9 is no address of this machine",
                                "ip address"),
    "source of a sender's route": ("routes:\n  - {from: example.net, source: [127.0.0.1, '2001:db8::9']}\n", "3:33", "routes[0].source",
                                   "2001:db8::9 is no address of this machine", "ip address"),
    "main domain elsewhere": ("main_domain: example.com\ndomains: [{name: example.com, deliver: 10.0.0.1}]\n", "2:14", "main_domain",
                              "a relay domain, too (line 3), whose mail goes on to 10.0.0.1", "leave main_domain out"),
    "mailboxes for everybody": ("smarthost: maildir:/var/mail/%u\n", "2:12", "smarthost", "holds mailboxes", "deliver"),
    "letter in a folder": ("inner_host: maildir:/var/mail/%h\n", "2:13", "inner_host", "means nothing", "%n the part before"),
    "encrypted socket": ("inner_host: {host: 'lmtp:/run/lmtp', tls: verify}\n", "2:43", "inner_host.tls", "means nothing", "remove it"),
    "mapped to itself": ("mappings: [{from: example.com, to: example.com}]\n", "2:36", "mappings[0].to", "mapped to itself", "another"),
    "mapped twice": ("mappings:\n  - {from: a.example, to: b.example}\n  - {from: a.example, to: c.example}\n", "4:12", "mappings[1].from",
                     "line 3", "keep one"),
    "alias without anybody": ("aliases: [{name: sales}]\n", "2:11", "aliases[0]", "to is missing", "addresses"),
    "alias twice": ("aliases:\n  - {name: a, to: b}\n  - {name: A, to: c}\n", "4:12", "aliases[1].name", "line 3", "keep one"),
    "alias of a command": ("aliases: [{name: a, to: '|/bin/cat'}]\n", "2:25", "aliases[0].to", "not given to commands", "addresses"),
    "unknown table": ("tables: {staff: {file: /etc/passwd}}\naliases: [{table: staf}]\n", "3:19", "aliases[0].table", 'no table "staf"',
                      "did you mean staff?"),
    "networks of addresses": ("tables: {t: {type: cidr, file: /etc/passwd}}\nchecks: {block: {senders: [{table: t}]}}\n", "3:36",
                              "checks.block.senders[0].table", "for clients only", "another table"),
    "table of a database": ("tables: {t: {type: sqlite, file: /etc/passwd}}\nmappings: [{table: t}]\n", "2:13", "tables.t", "needs query",
                            "SELECT"),
    "table with what is nothing for it": ("tables: {t: {type: pcre, file: /etc/passwd, query: SELECT 1}}\n"
                                          "checks: {block: {senders: [{table: t}]}}\n", "2:52", "tables.t.query",
                                          "nothing for a table of type pcre", "remove it"),
    "transparent internet": ("zones: {internet: {mode: transparent}}\n", "2:26", "zones.internet.mode", "cannot be transparent", "make a zone"),
    "transparent nobody": (LAN + "  dmz: {trust: relay, mode: transparent}\n", "6:29", "zones.dmz.mode", "not known whose", "networks"),
    "name server by name": ("dns: {servers: [ns.example.com]}\n", "2:17", "dns.servers[0]", "not the address", "192.0.2.53"),
    "IPv4 for IPv6": ("delivery: {source4: '::1'}\n", "2:21", "delivery.source4", "not an IPv4 address", ""),
    "certificate alone": ("tls: {certificate: none.pem}\n", "2:20", "tls.certificate", "but not key", "set both"),
    "one value where a list is due": ("domains: example.com\n", "2:10", "domains", "expects a list", "- {...}"),
    "list where a value is due": ("!hostname: [mx.example.com]\n", "1:11", "hostname", "single value", ""),
    "times that contradict": ("queue: {retry_first: 2h, retry_max: 1m}\n", "2:22", "queue.retry_first", "longer than retry_max", ""),
    "short name": ("!hostname: mx\n", "1:11", "hostname", "full host name", "mx.example.com"),
    "address as a name": ("!hostname: 10.0.0.1\n", "1:11", "hostname", "is an address", ""),
    "international name": ("!hostname: mx.exämple.com\n", "1:11", "hostname", "ASCII", "xn--"),
    "mailbox": ("postmaster: nobody\n", "2:13", "postmaster", "not a mail address", "postmaster@example.com"),
    "tab": ("limits:\n\tmessage_size: 10M\n", "3:1", "", "tab", "blanks"),
    "indentation": ("limits:\n  message_size: 10M\n header_size: 1M\n", "4:2", "", "does not fit", "same column"),
    "bracket": ("domains: [{name: example.com\n", "3:1", "", "missing", ""),
    "star": ("listeners: [{address: *:25}]\n", "2:24", "", "references", '"*:25"'),
    "not UTF-8": (b"postmaster: \xe9@example.com\n", "2:14", "", "UTF-8", "UTF-8"),
    "two documents": ("---\nhostname: b.example.com\n", "2:1", "", "one document", "---"),
    "anchor": ("postmaster: &a x@example.com\n", "2:13", "", "anchors", "quotes"),
    "windows": ("limits:\r\n  message_size: 10Q\r\n", "3:17", "limits.message_size", '"10Q" is not a size', "20M"),
    "empty": ("!", "1:1", "hostname", "missing", "hostname: mx.example.com"),
    "a list": ("!- hostname: mx.example.com\n", "1:1", "", "expects a group", "name: value"),
    "nesting": ("postmaster: " + "[" * 100000, "2:28", "", "too many levels", ""),
}


@pytest.mark.daily(10)
@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(tmp_path, name):
    text, place, option, words, hint = MISTAKES[name]
    text = text.encode() if isinstance(text, str) else text
    file = tmp_path / "postern.yaml"
    file.write_bytes(text[1:] if text[:1] == b"!" else b"hostname: mx.example.com\n" + text)
    out = postern("check", "-c", file, check=78)
    assert not out.stderr
    at = re.escape(str(file) + ":" + place)
    finding = re.search(rf"^{at}: error: {re.escape(option)}.*{re.escape(words)}.*$", out.stdout, re.M)
    assert finding, out.stdout
    rest = out.stdout[finding.end():].split("\n" + str(file))[0]
    assert hint in rest, out.stdout
    assert not re.search(r"[^\t\n -~\u0080-\U0010ffff]", out.stdout) and max(map(len, out.stdout.splitlines())) < 300 + len(str(file))
    if name in JSON_TOO:
        check_json(file, place, words, hint)


JSON_TOO = ("typo", "host bits", "open relay", "not UTF-8", "empty", "tab")


def check_json(file, place, words, hint):
    told = json.loads(postern("check", "-c", file, "--json", check=78).stdout)
    assert not told["ok"] and any(f["severity"] == "error" and f"{f['line']}:{f['column']}".startswith(place) and words in f["text"]
                                  and hint in f["hint"] for f in told["findings"]), told


def test_run_says_the_same(tmp_path):
    file = tmp_path / "postern.yaml"
    file.write_text("hostname: mx\nlimits: {mesage_size: 10M}\n")
    err = postern("run", "-c", file, check=78, timeout=10).stderr
    assert f"{file}:1:11: error: hostname" in err and f"{file}:2:10: error: limits.mesage_size" in err and "did you mean" in err


def test_all_mistakes_at_once(tmp_path):
    """A file with several mistakes is not mended one run at a time; one mistake is one finding."""
    file = tmp_path / "postern.yaml"
    file.write_text("hostname: mx\nlimits: {message_size: 10Q, hopps: 5}\nqueue:\n  lifetime: 5 days\n  retry_max: 2 h\n"
                    "  delay_warning: soon\n")
    out = postern("check", "-c", file, check=78).stdout
    assert re.findall(r":(\d+:\d+): error", out) == ["1:11", "2:24", "2:29", "4:13", "6:18"], out
    assert "warning" not in out.replace("delay_warning", "")


def test_files_that_cannot_be_read(tmp_path):
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path, "not a file"), ("/dev/zero", "not a file")):
        out = postern("check", "-c", path, check=78).stdout
        assert str(path) in out and words in out
    postern("check", "--bogus", check=64)


# What root is warned of where the package is not installed.
NO_USERS = "system: {user: '', admin_user: '', store_user: '', auth_user: ''}\n"


def test_fine(tmp_path):
    file = tmp_path / "postern.yaml"
    file.write_text("hostname: mx.example.com\npostmaster: admin@example.com\ndomains:\n  - {name: example.com, deliver: 10.20.30.40}\n"
                    "zones:\n  lan: {networks: [10.20.30.0/24], trust: relay}\n" + NO_USERS)
    out = postern("check", "-c", file, check=0).stdout
    assert "ok" in out and "lan may relay" in out
    assert json.loads(postern("check", "-c", file, "--json", check=0).stdout) == {"file": str(file), "ok": True, "findings": []}


def test_warning_is_no_error(tmp_path):
    file = tmp_path / "postern.yaml"
    file.write_text("hostname: mx.example.com\ndomains:\n  - {name: example.com}\n")
    out = postern("check", "-c", file, check=0).stdout
    assert f"{file}:3:5: warning: domains[0]" in out and "ok" in out


@pytest.mark.daily(2)
@pytest.mark.parametrize("more, words", [
    ("", "postmaster is not set: mail for postmaster@mx.example.com"),
    ("main_domain: example.org\npostmaster: root@example.org\n", "nobody delivers mail for root@example.org"),
    ("main_domain: example.org\npostmaster: chief@example.org\naliases: [{name: chief, to: [gone]}]\n", "chief@example.org leads nowhere: "),
    ("main_domain: example.org\npostmaster: chief@example.org\naliases: [{name: chief, to: [anna@example.com]}]\n", None),
    ("aliases: [{name: postmaster, to: [anna@example.com]}]\n", None), ("postmaster: anna@example.com\n", None)])
def test_who_is_postmaster(tmp_path, more, words):
    file = tmp_path / "postern.yaml"
    file.write_text("hostname: mx.example.com\ndomains:\n  - {name: example.com, deliver: 10.20.30.40}\n" + more)
    found = [f for f in json.loads(postern("check", "-c", file, "--json", check=0).stdout)["findings"] if f["option"] == "postmaster"]
    assert len(found) == (words is not None) and all(words in f["text"] and f["severity"] == "warning" for f in found), found


# ---- postern config

FILE = """\
# our relay
hostname: mx.example.com   # our name

limits:
  # what the auditors want
  message_size: 20M # twenty

domains:
  - {name: example.com, deliver: 10.20.30.40} # first
  # the second one
  - name: example.org
    deliver: "10.20.30.41:2525"   # with a port
zones:
  lan: {networks: [10.20.30.0/24], trust: relay}  # office
# the end
"""


class Config:
    def __init__(self, folder):
        self.file = folder / "postern.yaml"
        self.file.write_text(FILE)

    def __call__(self, *args, check=0):
        return postern("config", *args, "-c", self.file, check=check)

    @property
    def text(self):
        return self.file.read_text()

    def changed(self, *args, old, new):
        """The command changes exactly old into new."""
        before = self.text
        assert before.count(old) == 1
        self(*args)
        assert self.text == before.replace(old, new)


@pytest.fixture
def config(tmp_path):
    return Config(tmp_path)


@pytest.mark.slow
def test_get(config):
    for path, value in {"limits.message_size": "20M", "limits.recipients": "1000", "domains[1].deliver": "10.20.30.41:2525",
                        "zones.lan.networks[0]": "10.20.30.0/24", "queue.lifetime": "5d", "hostname": "mx.example.com"}.items():
        assert config("get", path).stdout == value + "\n", path
    assert json.loads(config("get", "zones.lan", "--json").stdout)["networks"] == ["10.20.30.0/24"]
    everything = yaml.safe_load(config("get").stdout)
    assert everything["delivery"]["connections"] == 20 and everything["domains"][0]["name"] == "example.com"
    for path in ("nothing", "limits.nothing", "domains[9]", "domains[x]", "domains[-1]", "hostname.x", "limits[0]", "", ".", "a..b"):
        assert config("get", path, check=65).stderr.startswith("postern: "), path


def test_what_get_shows_is_a_configuration_again(config, tmp_path):
    """Defaults written out mean the same."""
    copy = tmp_path / "copy.yaml"
    copy.write_text(config("get").stdout)
    postern("check", "-c", copy, check=0)
    assert postern("config", "get", "-c", copy).stdout == config("get").stdout


def test_set_keeps_comments_and_layout(config):
    config.changed("set", "limits.message_size", "30M", old="20M # twenty", new="30M # twenty")
    config.changed("set", "hostname", "mx2.example.com", old="mx.example.com  ", new="mx2.example.com  ")
    config.changed("set", "domains[1].deliver", "mx:inner.example", old='"10.20.30.41:2525"', new="mx:inner.example")
    config.changed("set", "zones.lan.trust", "none", old="trust: relay}  # office", new="trust: none}  # office")
    config.changed("set", "zones.lan.networks[+]", "10.20.31.0/24", old="[10.20.30.0/24]", new="[10.20.30.0/24, 10.20.31.0/24]")
    config.changed("set", "limits.recipients", "500", old="20M # twenty\n".replace("20", "30"),
                   new="30M # twenty\n  recipients: 500\n")
    config("set", "domains[+]", "{name: example.net, deliver: 10.20.30.42}")
    config("set", "queue.lifetime", "4d")
    config("set", "zones.guests", "{networks: [192.168.5.0/24]}")
    config("set", "system.user", "")
    config("set", "system.directory", "/var/lib/a b # c")
    for comment in re.findall("#.*", FILE):
        assert comment in config.text
    data = yaml.safe_load(config.text)
    assert data["domains"][2] == {"name": "example.net", "deliver": "10.20.30.42"} and data["queue"]["lifetime"] == "4d"
    assert data["zones"]["guests"]["networks"] == ["192.168.5.0/24"]
    assert data["system"] == {"user": "", "directory": "/var/lib/a b # c"}


@pytest.mark.slow
def test_unset(config):
    config.changed("unset", "limits.message_size", old="  message_size: 20M # twenty\n", new="")
    config("unset", "domains[0]")
    assert "first" not in config.text and yaml.safe_load(config.text)["domains"][0]["name"] == "example.org"
    assert "not set" in config("unset", "limits.message_size", check=65).stderr
    config("unset", "hostname", check=78)
    postern("check", "-c", config.file, check=0)


@pytest.mark.parametrize("path,value,code,words", [
    ("limits.message_size", "30Q", 78, "is not a size"),
    ("limits.mesage_size", "30M", 78, "did you mean message_size?"),
    ("zones.world", "{networks: [0.0.0.0/0], trust: relay}", 78, "relay for strangers"),
    ("zones.internet.trust", "relay", 78, "relay for strangers"),
    ("hostname", "mx: yes # no", 78, "hostname"),
    ("hostname", "mx.example.com\nlimits: {hops: 50}", 65, "one line"),
    ("domains[7].name", "example.net", 65, ""),
    ("domains[+]", "{name: example.net", 65, ""),
    ("domains", "example.net", 78, "expects a list"),
    ("", "x", 65, ""),
    ("hostname.x", "y", 65, ""),
])
@pytest.mark.daily(4)
def test_set_never_writes_what_is_wrong(config, path, value, code, words):
    done = config("set", path, value, check=None)
    assert done.returncode in (code, 65, 78) and words in done.stderr and config.text == FILE, done
    assert "no revisions" in config("history").stdout


@pytest.mark.slow
def test_a_value_is_only_a_value(config):
    """Nothing in a value becomes structure of the file."""
    for value in ("x}", "a: b", "'", '"', "a\tb", "- x", "!!int 3", "&a", "*a", "{{", "%x", "@", "`", "null", "~", "yes", "#"):
        done = config("set", "system.directory", "/srv/" + value, check=None)
        if done.returncode == 0:
            assert yaml.safe_load(config.text)["system"]["directory"] == "/srv/" + value, value
            assert config("get", "system.directory").stdout.strip().strip("'\"")
        assert [c for c in re.findall("#.*", FILE) if c not in config.text] == []


def test_history_diff_rollback(config):
    assert "no revisions" in config("history").stdout
    texts = [config.text]
    for size in (30, 40, 50):
        config("set", "limits.message_size", f"{size}M")
        texts.append(config.text)
    assert "nothing changes" in config("set", "limits.message_size", "50M").stdout
    lines = config("history").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "2", "1"] and "set limits.message_size 50M" in lines[0]
    assert [r["revision"] for r in json.loads(config("history", "--json").stdout)] == [3, 2, 1]
    last = config("diff").stdout
    assert "-  message_size: 40M # twenty" in last and "+  message_size: 50M # twenty" in last
    both = config("diff", "1", "3").stdout
    assert "-  message_size: 20M # twenty" in both and "+  message_size: 40M # twenty" in both and "50M" not in both
    config("rollback", "1")
    assert config.text == texts[0] == FILE
    config("rollback", "4")  # what was before the rollback
    assert config.text == texts[3]
    for word in ("99", "x", "-1", "0", "1.5"):
        config("rollback", word, check=None if word == "-1" else 65)
        config("diff", word, check=None if word == "-1" else 65)
    assert config.text == texts[3]


def test_rollback_to_a_file_with_errors_is_refused(config):
    """A revision may be of a time when somebody had edited the file by hand."""
    config.file.write_text(FILE.replace("20M", "20Q"))
    config("set", "limits.message_size", "20M")
    assert "not a size" in config("rollback", "1", check=78).stderr
    assert config.text == FILE


def test_mode_and_link_survive(config, tmp_path):
    """The file keeps who may read it; a link stays a link."""
    config.file.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(config.file)
    postern("config", "set", "limits.hops", "40", "-c", link, check=0)
    assert link.is_symlink() and "hops: 40" in config.text and stat.S_IMODE(config.file.stat().st_mode) == 0o640
    assert not [f for f in os.listdir(tmp_path) if f not in ("postern.yaml", "link.yaml", ".postern-revisions")]
    revisions = tmp_path / ".postern-revisions"
    assert all(not p.stat().st_mode & 0o007 for p in [revisions, *revisions.iterdir()])


@pytest.mark.slow
def test_many_at_once(config):
    """Changes made at the same time are all kept."""
    names = [f"d{i}.example" for i in range(10)]
    done = []
    threads = [threading.Thread(target=lambda n=n: done.append(
        config("set", "domains[+]", f"{{name: {n}, deliver: 10.20.30.42}}").returncode)) for n in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert done == [0] * 10 and {d["name"] for d in yaml.safe_load(config.text)["domains"]} >= set(names)
    assert len(json.loads(config("history", "--json").stdout)) == 10


HOPS = """\
hostname: mx.example.com
smarthost: {host: smtp.isp.example, tls: verify, user: relay, password: "Tr0ub4dor, 3"}
routes:
  - to: partner.example
    via: {host: a.example, user: u, password: Tr0ub4dor-4, methods: [cram-md5]}
    tls: none
"""


def test_a_password_is_never_shown(tmp_path):
    """Not by any command, not in an error that points at its line, not in the history."""
    file = tmp_path / "postern.yaml"
    file.write_text(HOPS)
    file.chmod(0o600)
    shown = []

    def run(*words, check=0):
        done = postern(*words, "-c", file, check=check)
        shown.append(done.stdout + done.stderr)
        return done.stdout + done.stderr

    run("check")
    run("check", "--json")
    assert "***" in run("config", "get") and "***" in run("config", "get", "--json")
    assert run("config", "get", "smarthost.password") == '"***"\n' or "***" in shown[-1]
    run("config", "set", "smarthost.password", "Tr0ub4dor-5")
    run("config", "set", "routes[0].via", "{host: b.example, user: u, password: Tr0ub4dor-6, methods: cram-md5}")
    for word in (["history"], ["history", "--json"], ["diff"], ["diff", "1"], ["diff", "1", "2"]):
        run("config", *word)
    assert "smarthost.password ***" in run("config", "history") and "-smarthost:" in run("config", "diff", "1")
    run("config", "set", "smarthost.port", "Tr0", check=78)
    file.write_text(HOPS.replace("user: relay", "usr: relay").replace("tls: none", "tls: [none"))
    run("check", check=78)
    run("check", "--json", check=78)
    file.write_text(HOPS.replace("user: relay", "usr: relay").replace("tls: none", "tls: nothing"))
    assert "smarthost.usr" in run("check", check=78)
    run("config", "rollback", "1", check=0)
    assert all("Tr0ub4dor" not in text for text in shown), [t for t in shown if "Tr0ub4dor" in t]
    assert "Tr0ub4dor, 3" in file.read_text()


def test_old_devices_and_users(tmp_path):
    """A submission port with users, a zone for printers: fine. The same for everybody: refused."""
    file = tmp_path / "postern.yaml"
    text = ("hostname: mx.example.com\npostmaster: admin@example.com\ndomains: [{name: example.com, deliver: 10.20.30.40}]\n"
            "listeners:\n  - {address: \"*:25\"}\n  - {address: \"*:587\", role: submission, tls: require}\n"
            "  - {address: \"*:465\", role: submission}\nauth: {backend: users}\n"
            "zones:\n  printers: {networks: [10.9.0.0/16], trust: relay, tls: none, bare_lf: accept, min_version: 1.0}\n" + NO_USERS)
    file.write_text(text)
    assert "warning" not in postern("check", "-c", file, check=0).stdout
    got = json.loads(postern("config", "get", "-c", file, "--json", check=0).stdout)
    assert [li["tls"] for li in got["listeners"]] == ["offer", "require", "implicit"]
    assert [li["auth"] for li in got["listeners"]] == [False, True, True] and got["zones"]["printers"]["bare_lf"] == "accept"
    file.write_text(text.replace("printers: {networks: [10.9.0.0/16], trust: relay, tls: none", "internet: {mode: active"))
    out = postern("check", "-c", file, check=78).stdout
    assert re.findall(r":(\d+:\d+): error", out) == ["10:37", "10:58"], out


def test_usage():
    for words in ([], ["bogus"], ["get", "a", "b"], ["set", "a"], ["unset"], ["rollback"], ["get", "--bogus"]):
        assert "usage: postern config" in postern("config", *words, check=64).stderr
    assert "usage: postern config" in postern("config", "--help", check=0).stdout


# ---- postern schema

def test_manual_page(tmp_path):
    text = postern("schema", "--man", check=0).stdout
    page = tmp_path / "postern.yaml.5"
    page.write_text(text)
    for option in ("message_size", "retry_first", "deliver", "trust", "inner_host", "run_directory"):
        assert option in text
    if not shutil.which("man"):
        pytest.skip("man is not installed")
    for file in (page, ROOT / "docs/man/postern.1"):
        done = subprocess.run(["man", "-l", "--warnings", str(file)], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0 and not done.stderr, done.stderr
        shown = re.sub(".\b", "", done.stdout)
        assert "NAME" in shown and (file != page or max(map(len, shown.splitlines())) <= 80)


def fits(schema, value, root):
    """JSON Schema, as much of it as ours uses; a word that is not known fails."""
    known = {"$schema", "title", "description", "examples", "default", "$defs", "$ref", "type", "enum", "const", "anyOf", "oneOf", "properties",
             "additionalProperties", "required", "items", "maxItems", "pattern", "minimum", "maximum"}
    assert set(schema) <= known, set(schema) - known
    if "$ref" in schema:
        assert schema["$ref"].startswith("#/$defs/")
        return fits(root["$defs"][schema["$ref"][8:]], value, root)
    types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None), "number": (int, float)}
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(isinstance(value, types[n]) and not (isinstance(value, bool) and n != "boolean") for n in names):
            return False
    if "enum" in schema and value not in schema["enum"] or "const" in schema and value != schema["const"]:
        return False
    if "anyOf" in schema and not any(fits(s, value, root) for s in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(fits(s, value, root) for s in schema["oneOf"]) != 1:
        return False
    if isinstance(value, list) and len(value) > schema.get("maxItems", len(value)):
        return False
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return False
    if isinstance(value, list) and "items" in schema:
        return all(fits(schema["items"], v, root) for v in value)
    if isinstance(value, dict):
        more, names = schema.get("additionalProperties", True), schema.get("properties", {})
        return set(schema.get("required", [])) <= set(value) and all(
            fits(names[k], v, root) if k in names else more is True or more is not False and fits(more, v, root)
            for k, v in value.items())
    return True


@pytest.fixture(scope="module")
def schema():
    return json.loads(postern("schema", "--json", check=0).stdout)


def test_schema_takes_what_is_right(schema, config):
    for text in ((ROOT / "packaging/demo.yaml").read_text(), FILE, config("get").stdout,
                 "hostname: a.b\nsmarthost: {host: x.example, port: 26, mx: yes}\ndelivery: {tls: none}\n"
                 "zones: {lan: {networks: 10.0.0.0/8}, internet: }\ntimeouts: {session: 0, connect: 1m30s}\n",
                 HOPS, "hostname: a.b\nauth: {backend: off, methods: plain}\nzones: {x: {networks: [10.0.0.0/8], min_version: 1.0, "
                 "bare_lf: accept}}\ntls_policies: [{to: .a.example, tls: dane-only}]\n",
                 (ROOT / "tests/fuzz/corpus/config/rewriting.yaml").read_text()):
        data = yaml.safe_load(text)
        assert fits(schema, data, schema), text
    if importlib.util.find_spec("jsonschema"):  # not a package the tests need
        importlib.import_module("jsonschema").Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("change", [
    {"hostnam": "x"}, {"hostname": 5}, {"domains": "example.com"}, {"domains": [{"nam": "example.com"}]}, {"domains": [{}]},
    {"limits": {"message_size": "10Q"}}, {"limits": {"recipients": 5}}, {"zones": {"lan": {"trust": "realy"}}},
    {"zones": {"lan": {"networks": ["lan"]}}}, {"listeners": [{"address": "127.0.0.1"}]}, {"routes": [{"to": "x.example"}]},
    {"auth": {"backend": "ladp"}}, {"auth": {"methods": ["xoauth2"]}}, {"zones": {"lan": {"bare_lf": True}}}, {"zones": {"lan": {"min_version": 1.4}}},
    {"tls_policies": [{"tls": "verify"}]}, {"tls": {"certificates": [{"key": "x"}]}},
    {"routes": [{"to": "x.example", "from": "y.example", "via": "10.0.0.1"}]}, {"aliases": [{"to": ["a"]}]}, {"mappings": [{"to": "a.example"}]},
    {"routes": [{"from": "x.example", "source": ["127.0.0.1", "::1", "127.0.0.2"]}]}, {"tables": {"t": {"type": "mysql", "file": "/etc/passwd"}}},
    {"copies": [{"mail": "all"}]}, {"zones": {"lan": {"intercept": {"macs": ["02-00-00-00-00-01"]}}}}, {"notices": {"language": "fr"}},
    {"queue": {"lifetime": "5 days"}}, {"queue": {"lifetime": 5}}, {"system": {"workers": 1000}}, {"limits": []},
], ids=str)
@pytest.mark.daily(5)
def test_schema_finds_mistakes(schema, change, tmp_path):
    """What check refuses for its form an editor marks as well."""
    data = merge(yaml.safe_load(FILE), change)
    assert not fits(schema, data, schema)
    file = tmp_path / "postern.yaml"
    file.write_text(json.dumps(data))
    postern("check", "-c", file, check=78)
