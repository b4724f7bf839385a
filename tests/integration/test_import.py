# SPDX-License-Identifier: Apache-2.0
"""`postern import postfix`: what real configurations become, that it is right, that mail goes the way it went with the real Postfix, and that no file
makes it read, write or open what it should not."""
import json
import os
import re
import shutil
import stat
import subprocess

import pytest
import yaml

from lib.daemon import Postern, postern as command
from lib.local import LmtpSink
from lib.programs import Postfix, have
from lib.smtp import STRANGER, TRUSTED, Smtp
from lib.util import free_port, wait_until

LEFT_OUT = 1
needs_postfix = pytest.mark.skipif(not have("postconf"), reason="Postfix is not installed")


def folder(path, **files):
    """A Postfix configuration; main_cf is main.cf, the others have their names."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / {"main_cf": "main.cf", "master_cf": "master.cf"}.get(name, name)).write_text(text)
    return path


def named(value):
    """`on` is a name here; the library takes it for a truth."""
    if isinstance(value, dict):
        return {"on" if k is True else k: named(v) for k, v in value.items()}
    return [named(v) for v in value] if isinstance(value, list) else value


class Taken:
    """The import of a folder."""

    def __init__(self, source, code=None):
        self.out = source.parent / (source.name + "-out")
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        self.path = self.out / "postern.yaml"
        done = command("import", "postfix", source, "-o", self.path, "--json")
        assert done.returncode in (0, LEFT_OUT) if code is None else done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        self.report = json.loads(done.stdout)
        self.code, self.text = done.returncode, self.path.read_text()
        self.config = named(yaml.safe_load(self.text))
        command("check", "-c", self.path, check=0)

    def notes(self, kind):
        return {f"{n['file']}:{n['line']}": n for n in self.report["notes"] if n["kind"] == kind}

    @property
    def left_out(self):
        return self.notes("left_out")


def accepted_by_postfix(path):
    """The configuration is one that Postfix itself reads without complaint."""
    if not have("postconf"):
        return
    done = subprocess.run([have("postconf"), "-c", str(path), "-n"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "fatal" not in done.stderr, done.stderr


# ---- realistic configurations

EDGE = {
    "main_cf": """
myhostname = mx.example.com
mydestination =
mynetworks = 127.0.0.0/8 [::1]/128 10.20.30.0/24,
    !10.20.30.7
relay_domains = hash:$config_directory/relay_domains
transport_maps = hash:$config_directory/transport
relay_recipient_maps = hash:$config_directory/recipients
relayhost = [smtp.isp.example]:587
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:$config_directory/sasl_passwd
smtp_sasl_security_options = noanonymous
smtp_tls_security_level = encrypt
smtp_tls_policy_maps = hash:$config_directory/tls_policy
smtpd_tls_security_level = may
message_size_limit = 52428800
maximal_queue_lifetime = 3d
minimal_backoff_time = 10m
delay_warning_time = 6
smtpd_helo_required = yes
smtpd_recipient_restrictions =
    permit_mynetworks,
    # nobody else relays
    reject_unauth_destination,
    reject_non_fqdn_sender, reject_unknown_sender_domain,
    check_client_access cidr:$config_directory/clients,
    check_sender_access hash:$config_directory/senders,
    reject_rbl_client zen.spamhaus.org=127.0.0.[2..11],
    reject_rhsbl_sender dbl.spamhaus.org,
    check_policy_service inet:127.0.0.1:10023
header_checks = pcre:$config_directory/header_checks
""",
    "relay_domains": "example.com OK\nexample.org OK\n",
    "transport": "example.com smtp:[10.20.30.40]:25\nexample.org :[10.20.30.41]\n.example.org :[10.20.30.41]\n"
                 "boss@example.com smtp:[10.20.30.42]:2525\npartner.example smtp:mail.partner.example\nfax.example uucp:fax\n",
    "recipients": "anna@example.com x\n@example.org x\n",
    "sasl_passwd": "[smtp.isp.example]:587 relay@example.com:s3cr3t:x\nother.example joe:hushhush\n",
    "tls_policy": "partner.example verify match=mail.partner.example:hostname\n",
    "clients": "192.0.2.0/24 REJECT your network\n192.0.2.7 OK\n",
    "senders": "spam.example REJECT no spam please\nslow.example 450 later\ndrop@spam.example DISCARD\n",
    "header_checks": "/^Subject: x/ REJECT\n/^Received:/ FILTER smtp:x\nif /^X/\n/^X-Y/ IGNORE\nendif\n",
}


@pytest.mark.slow
def test_an_edge_relay(tmp_path):
    source = folder(tmp_path / "edge", **EDGE)
    accepted_by_postfix(source)
    taken = Taken(source, LEFT_OUT)
    c = taken.config
    assert c["hostname"] == "mx.example.com"
    assert c["zones"] == {"mynetworks": {"networks": ["127.0.0.0/8", "::1", "10.20.30.0/24"], "trust": "relay"},
                          "not-mynetworks": {"networks": ["10.20.30.7"]}}
    assert c["domains"] == [
        {"name": "example.com", "deliver": "10.20.30.40:25", "recipients": {"verify": "list", "reject_code": 550, "list": ["anna@example.com"]}},
        {"name": "example.org", "deliver": "10.20.30.41", "subdomains": True, "recipients": {"verify": "list", "reject_code": 550, "list": ["example.org"]}}]
    assert c["routes"] == [{"to": "boss@example.com", "via": "10.20.30.42:2525"}, {"to": "partner.example", "via": "mx:mail.partner.example"}]
    assert c["smarthost"] == {"host": "smtp.isp.example", "port": 587, "user": "relay@example.com", "password_file": "secrets/smtp.isp.example"}
    assert c["limits"] == {"message_size": 52428800} and c["queue"] == {"lifetime": "3d", "retry_first": "600s", "delay_warning": "6h"}
    assert c["delivery"] == {"tls": "encrypt"}
    assert c["tls_policies"] == [{"to": "partner.example", "tls": "verify", "names": ["mail.partner.example"]}]
    checks = c["checks"]
    assert checks["block"] == {"clients": [{"match": "192.0.2.0/24", "reason": "your network"}],
                               "senders": [{"match": ".spam.example", "reason": "no spam please"}]}
    assert checks["allow"] == {"clients": ["192.0.2.7"]}
    assert checks["sender"] == {"fqdn": True, "resolvable": True} and checks["recipient"] == {"fqdn": False, "resolvable": False}
    assert checks["helo"]["required"] is True and checks["greylist"]["enabled"] is True
    assert checks["dns_lists"]["lists"] == [{"zone": "zen.spamhaus.org", "of": ["client"], "answers": ["127.0.0.2-127.0.0.11"]},
                                            {"zone": "dbl.spamhaus.org", "of": ["sender"]}]
    assert c["header_checks"] == [{"file": "lists/header_checks"}]
    assert (taken.out / "lists/header_checks").read_text() == "/^Subject: x/ REJECT\nif /^X/\n/^X-Y/ IGNORE\nendif\n"
    assert c["rules"][0]["then"] == ["discard"]
    assert set(taken.left_out) == {"header_checks:2", "sasl_passwd:2", "senders:2", "transport:6"}
    assert {"main.cf:26", "main.cf:27"} <= set(taken.notes("different")), "the very line of a long list"


def test_passwords_stay_hidden(tmp_path):
    source = folder(tmp_path / "edge", **EDGE)
    taken = Taken(source)
    secret = taken.out / "secrets/smtp.isp.example"
    assert secret.read_text() == "s3cr3t:x\n"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and not stat.S_IMODE(secret.parent.stat().st_mode) & 0o066
    for args in ((), ("--json",), ("-o", tmp_path / "again.yaml", "--force")):
        done = command("import", "postfix", source, *args, check=LEFT_OUT)
        assert "s3cr3t" not in done.stdout + done.stderr and "hushhush" not in done.stdout + done.stderr
    assert "s3cr3t" not in taken.text + json.dumps(taken.report)


DEBIAN = """
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
readme_directory = no
compatibility_level = 3.6
smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem
smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key
smtpd_tls_security_level=may
smtp_tls_CApath=/etc/ssl/certs
smtp_tls_security_level=may
smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = mail.example.com
alias_maps = hash:$config_directory/aliases
alias_database = $alias_maps
mydestination = $myhostname, example.com, mail.example.com, localhost.example.com, localhost
relayhost =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = all
inet_protocols = all
"""


@pytest.mark.slow
def test_debians_own(tmp_path):
    source = folder(tmp_path / "debian", main_cf=DEBIAN,
                    aliases='postmaster:    root\nroot: anna@example.org\nlist: "|/usr/bin/list x, y", dora@example.org\n'
                            'file: /var/mail/x\nmany: :include:/etc/many\nteam: bert, "dora@example.org"\n')
    accepted_by_postfix(source)
    taken = Taken(source, LEFT_OUT)
    assert taken.config["main_domain"] == "mail.example.com"
    assert taken.config["mappings"] == [{"from": "example.com", "to": "mail.example.com"}]
    assert taken.config["aliases"] == [{"name": "postmaster", "to": ["root"]}, {"name": "root", "to": ["anna@example.org"]},
                                       {"name": "list", "to": ["dora@example.org"]}, {"name": "team", "to": ["bert", "dora@example.org"]}]
    assert taken.config["zones"]["mynetworks"]["networks"] == ["127.0.0.0/8", "::1"]
    assert set(taken.left_out) == {"main.cf:17", "aliases:3", "aliases:4", "aliases:5", "aliases:6"}


@pytest.mark.slow
def test_virtual_hosting(tmp_path):
    many = "".join(f"user{i}@one.example anna{i}@mail.example.net\n" for i in range(30))
    source = folder(tmp_path / "virtual", main_cf="""
myhostname = mx.example.net
mydestination =
mynetworks = 127.0.0.0/8
virtual_alias_domains = one.example two.example gone.example
virtual_alias_maps = hash:$config_directory/virtual
relocated_maps = hash:$config_directory/relocated
recipient_bcc_maps = inline:{{boss@one.example = archive@mail.example.net}}
always_bcc = all@mail.example.net
""", virtual=many + "sales@two.example anna@mail.example.net bert@mail.example.net,\n cleo@mail.example.net\n"
                    "@two.example everybody@mail.example.net\n@gone.example @one.example\n", relocated="old@one.example new@elsewhere.example\n")
    accepted_by_postfix(source)
    taken = Taken(source, LEFT_OUT)
    lines = (taken.out / "lists/aliases").read_text().splitlines()
    assert len(lines) == 31 and lines[30] == "sales@two.example anna@mail.example.net, bert@mail.example.net, cleo@mail.example.net"
    assert taken.config["aliases"] == [{"table": "aliases"}]
    assert [d["name"] for d in taken.config["domains"]] == ["one.example", "two.example"]
    assert taken.config["mappings"] == [{"from": "gone.example", "to": "one.example"}]
    assert taken.config["copies"] == [{"to": "all@mail.example.net"}, {"to": "archive@mail.example.net", "recipients": ["boss@one.example"]}]
    assert taken.config["checks"]["block"]["recipients"] == [{"match": "old@one.example", "reason": "the user has moved to new@elsewhere.example"}]
    assert set(taken.left_out) == {"virtual:33"}


GATEWAY = {
    "main_cf": """
compatibility_level = 2
smtpd_banner=$myhostname ESMTP
myhostname=gw.example.com
mydomain=example.com
inet_interfaces=all
inet_protocols=ipv4
mydestination=$myhostname, localhost
relay_domains = hash:$config_directory/domains
transport_maps = hash:$config_directory/transport
relay_transport = smtp:[10.1.1.1]:25
parent_domain_matches_subdomains = debug_peer_list
mynetworks = cidr:$config_directory/mynetworks
message_size_limit = 10485760
smtpd_client_connection_count_limit = 50
content_filter=scan:127.0.0.1:10024
smtpd_milters = inet:127.0.0.1:11332, unix:/run/x/milter.sock
milter_default_action = accept
header_checks = regexp:$config_directory/header_checks
body_checks = regexp:$config_directory/body_checks
smtpd_delay_reject = yes
smtpd_sender_restrictions = permit_mynetworks, reject_non_fqdn_sender, check_sender_access regexp:$config_directory/senderaccess
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, reject_unknown_recipient_domain, reject_unverified_recipient,
   warn_if_reject reject_rbl_client bl.example.net, reject_unknown_client_hostname
unverified_recipient_reject_code = 550
postscreen_access_list = permit_mynetworks cidr:$config_directory/postscreen_access
postscreen_dnsbl_sites = zen.spamhaus.org*2 bl.spamcop.net list.dnswl.org*-1
postscreen_dnsbl_threshold = 2
postscreen_dnsbl_action = enforce
postscreen_greet_action = enforce
""",
    "master_cf": """
smtp      inet  n       -       -       -       1       postscreen
smtpd     pass  -       -       -       -       -       smtpd
26        inet  n       -       -       -       100     smtpd
  -o content_filter=scan:127.0.0.1:10023
submission inet n       -       y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o { smtpd_client_restrictions = permit_sasl_authenticated,reject }
127.0.0.1:10025 inet n    -       n       -      -     smtpd
  -o content_filter=
  -o mynetworks=127.0.0.0/8
out1      unix  -       -       n       -       -       smtp -o smtp_bind_address=127.0.0.9
relay     unix  -       -       n       -       -       smtp
""",
    "domains": "example.com OK\nexample.org OK\n", "transport": "example.org smtp:[10.1.1.2]:26\nspecial.example out1:[10.1.1.3]\n",
    "mynetworks": "127.0.0.0/8 OK\n10.1.0.0/16 OK\n", "header_checks": "/^X-Bad:/ REJECT bad\n", "body_checks": "/evil/ REJECT\n",
    "senderaccess": "/@spam\\.example$/ REJECT\n/^(bad|worse)@/ REJECT no\n!/x/ OK\n",
    "postscreen_access": "192.0.2.0/24 reject\n198.51.100.1 permit\n",
}


def test_a_gateway(tmp_path):
    source = folder(tmp_path / "gateway", **GATEWAY)
    accepted_by_postfix(source)
    taken = Taken(source, LEFT_OUT)
    c = taken.config
    assert [(e["address"], e.get("role")) for e in c["listeners"]] == [("0.0.0.0:25", None), ("0.0.0.0:26", None)]
    verify = {"verify": "smtp", "reject_code": 550}
    assert c["domains"] == [{"name": "example.com", "deliver": "10.1.1.1:25", "recipients": verify},
                            {"name": "example.org", "deliver": "10.1.1.2:26", "recipients": verify}]
    assert c["routes"] == [{"to": "special.example", "via": {"host": "10.1.1.3", "source": "127.0.0.9"}}]
    assert c["zones"]["mynetworks"]["networks"] == ["127.0.0.0/8", "10.1.0.0/16"]
    assert [s["address"] for s in c["scanners"]] == ["127.0.0.1:11332", "unix:/run/x/milter.sock"]
    lists = c["checks"]["dns_lists"]
    assert lists["threshold"] == 2 and [(e["zone"], e["action"], e.get("weight")) for e in lists["lists"]] == [
        ("zen.spamhaus.org", "score", 2), ("bl.spamcop.net", "score", 1), ("list.dnswl.org", "allow", None)]
    assert c["checks"]["block"]["clients"] == ["192.0.2.0/24"] and c["checks"]["allow"]["clients"] == ["198.51.100.1"]
    assert c["checks"]["block"]["senders"] == [r"/.*@spam\.example/", {"match": "/.*(?:^(bad|worse)@).*/", "reason": "no"}]
    assert c["checks"]["reverse_dns"] == {"enabled": True, "action": "defer"} and c["checks"]["greeting_pause"]["enabled"] is True
    whys = {where: n["why"] for where, n in taken.left_out.items()}
    assert {"body_checks:1", "senderaccess:3", "main.cf:16", "main.cf:24", "master.cf:4", "master.cf:6", "master.cf:11"} <= set(whys)


@pytest.mark.slow
def test_a_hub_with_lmtp(tmp_path):
    source = folder(tmp_path / "hub", main_cf="""
myhostname = hub.example.com
mydomain = example.com
myorigin = $mydomain
mydestination = $mydomain, $myhostname
mynetworks = 127.0.0.0/8
alias_maps = inline:{{sales = anna, bert@example.org}}
mailbox_transport = lmtp:unix:/run/dovecot/lmtp
virtual_transport = lmtp:inet:127.0.0.1:24
virtual_mailbox_domains = boxes.example
virtual_mailbox_maps = inline:{carl@boxes.example=x dora@boxes.example=y}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = /run/dovecot/auth
smtpd_tls_auth_only = yes
sender_dependent_relayhost_maps = inline:{ {@news.example = [smtp.bulk.example]:2525} }
sender_dependent_default_transport_maps = inline:{ {shop@example.com = out9:} }
recipient_canonical_maps = inline:{ {@old.example = @example.com} {bert@example.com = anna@example.com} }
""", master_cf="smtp inet n - y - - smtpd\nsmtps inet n - y - - smtpd -o smtpd_tls_wrappermode=yes\n"
               "out9 unix - - n - - smtp -o smtp_bind_address=127.0.0.9 -o smtp_bind_address6=::1\n")
    accepted_by_postfix(source)
    taken = Taken(source, LEFT_OUT)
    c = taken.config
    assert c["main_domain"] == "example.com"
    assert c["domains"] == [{"name": "example.com", "deliver": "lmtp:/run/dovecot/lmtp"}, {"name": "hub.example.com", "deliver": "lmtp:/run/dovecot/lmtp"},
                            {"name": "boxes.example", "deliver": "lmtp:127.0.0.1:24",
                             "recipients": {"verify": "list", "reject_code": 550, "list": ["carl@boxes.example", "dora@boxes.example"]}}]
    assert c["aliases"] == [{"name": "sales", "to": ["anna", "bert@example.org"]}]
    assert c["routes"] == [{"from": "news.example", "via": "smtp.bulk.example:2525"}, {"from": "shop@example.com", "source": ["127.0.0.9", "::1"]}]
    assert c["listeners"][1] == {"address": "*:465", "role": "submission", "tls": "implicit"}
    assert c["auth"]["backend"] == "dovecot" and c["auth"]["dovecot"] == {"socket": "/run/dovecot/auth"}
    assert {"from": "old.example", "to": "example.com"} in c["mappings"]
    assert [n["text"] for n in taken.left_out.values()] == ["recipient_canonical_maps: inline:{ {@old.example = @example.com} {bert@example.com = anna@example.com} }"]


def test_directories_and_databases(tmp_path):
    source = folder(tmp_path / "sources", main_cf="""
myhostname = mx.example.com
mydestination =
relay_domains = sqlite:$config_directory/domains.cf
relay_recipient_maps = ldap:$config_directory/people.cf
virtual_alias_maps = pgsql:$config_directory/alias.cf, mysql:$config_directory/my.cf
parent_domain_matches_subdomains =
""", **{"domains.cf": f"dbpath = {tmp_path}/d.sqlite\nquery = SELECT 'OK' FROM domains WHERE name = '%s' AND active\n",
        "people.cf": "server_host = ldap://dc.example.com\nsearch_base = dc=example,dc=com\nquery_filter = (&(objectClass=person)(mail=%s))\n"
                     "result_attribute = mail\nbind = yes\nbind_dn = cn=reader,dc=example,dc=com\nbind_pw = l0cked\n",
        "alias.cf": "hosts = db.example.com\nuser = mail\npassword = l0cked2\ndbname = mail\nquery = SELECT target FROM alias WHERE address='%s'\n",
        "my.cf": "hosts = localhost\n"})
    import sqlite3
    with sqlite3.connect(tmp_path / "d.sqlite") as db:
        db.execute("create table domains (name text, active int)")
    taken = Taken(source, LEFT_OUT)
    tables = taken.config["tables"]
    assert tables["domains"]["query"] == "SELECT name, 'OK' FROM domains WHERE active"
    assert tables["people"]["ldap"] == {"url": "ldap://dc.example.com", "base": "dc=example,dc=com", "filter": "(&(objectClass=person)(mail=*))",
                                        "user_dn": "cn=reader,dc=example,dc=com", "key": "mail"}
    assert tables["alias"]["query"] == "SELECT address, target FROM alias"
    assert tables["alias"]["connection"] == "host=db.example.com dbname=mail user=mail"
    assert (taken.out / tables["alias"]["password_file"]).read_text().strip() == "l0cked2"
    assert taken.config["aliases"] == [{"table": "alias"}] and taken.config["domains"][0]["table"] == "domains"
    assert "l0cked" not in taken.text + json.dumps(taken.report)


@pytest.mark.slow
def test_many(tmp_path):
    """As many as a provider has."""
    source = folder(tmp_path / "many", main_cf="""
myhostname = mx.example.com
mydestination =
mynetworks = 127.0.0.1
relay_domains = hash:domains
transport_maps = hash:transport
virtual_alias_maps = hash:virtual
parent_domain_matches_subdomains = smtpd_access_maps
smtpd_recipient_restrictions = reject_unauth_destination, check_sender_access hash:senders, check_client_access cidr:clients
""", domains="".join(f"d{i}.example OK\n" for i in range(5000)), transport="".join(f"d{i}.example smtp:[10.0.0.{i % 3}]\n" for i in range(5000)),
                    virtual="".join(f"user{i}@d{i % 5000}.example other{i}@d1.example\n" for i in range(30000)),
                    senders="".join(f"s{i}.example REJECT number {i}\n" for i in range(30000)) + "good.s1.example OK\nodd.s2.example DUNNO\n",
                    clients="".join(f"10.{i >> 8}.{i & 255}.0/24 REJECT\n" for i in range(20000)))
    taken = Taken(source, LEFT_OUT)
    assert set(taken.left_out) == {"senders:30002"}
    assert [sorted(d) for d in taken.config["domains"]] == [["deliver", "table"]] * 3
    assert len(taken.text) < 5000
    files = {p.name: len(p.read_text().splitlines()) for p in (taken.out / "lists").iterdir()}
    assert files == {"relay-domains": 1667, "relay-domains-2": 1667, "relay-domains-3": 1666, "aliases": 30000, "block-senders": 30000, "block-clients": 20000}


# ---- names, errors

def test_names_in_values(tmp_path):
    source = folder(tmp_path / "names", main_cf="""
host = mx
myhostname = ${host}.example.com
# a later one wins
message_size_limit = 1000000
relayhost = ${nothing?[wrong.example]}${nothing:[right.example]}
a = b
smtp_helo_name = ${a?{yes.example.com}:{no.example.com}}
mydestination =
message_size_limit = $big$(zero)
big = 200
zero = 0000
always_bcc = $loop_a
loop_a = $loop_b
loop_b = ${loop_a}
""")
    taken = Taken(source, LEFT_OUT)
    assert taken.config["hostname"] == "mx.example.com" and taken.config["smarthost"] == "right.example"
    assert taken.config["limits"]["message_size"] == 2000000 and taken.config["delivery"]["helo"] == "yes.example.com"
    assert set(taken.left_out) == {"main.cf:13"}


@pytest.mark.daily(3)
@pytest.mark.parametrize("networks", ["0.0.0.0/0", "::/0", "[::]/0", "0/0", "0.0.0.0/1 128.0.0.0/1", "cidr:$config_directory/all", "static:all", "8.0.0.0/7"])
def test_no_open_relay(tmp_path, networks):
    source = folder(tmp_path / "open", main_cf=f"""
myhostname = mx.example.com
mydestination =
mynetworks = 10.0.0.0/8 {networks}
smtpd_relay_restrictions = permit_mynetworks, permit
smtpd_recipient_restrictions = permit_mynetworks, check_sender_access inline:{{{{us.example = OK}}}}, permit
""", all="0.0.0.0/0 OK\n")
    taken = Taken(source, LEFT_OUT)
    zones = taken.config.get("zones", {})
    assert all(set(z["networks"]) <= {"10.0.0.0/8"} for z in zones.values()), zones
    assert "relaying" not in taken.config


def test_what_lets_relay(tmp_path):
    """OK before reject_unauth_destination lets a client or a recipient's domain relay, never a sender."""
    source = folder(tmp_path / "ok", main_cf="""
myhostname = mx.example.com
mydestination =
mynetworks = 127.0.0.1
smtpd_relay_restrictions = check_client_access inline:{ {192.0.2.9 = OK} {198.51.100 = OK} }, check_recipient_access inline:{ {partner.example = OK} },
    check_sender_access inline:{ {us.example = OK} }, reject_unauth_destination
""")
    taken = Taken(source, LEFT_OUT)
    assert taken.config["relaying"] == [{"match": "192.0.2.9", "on": "connect", "action": "relay"}, {"match": "198.51.100.", "on": "connect", "action": "relay"},
                                        {"match": ".partner.example", "on": "to", "action": "relay"}]
    assert "trust" not in taken.config["zones"]["mynetworks"], "permit_mynetworks is not there"
    assert any("open the relay" in n["why"] for n in taken.left_out.values())


@pytest.mark.slow
def test_a_null_client(tmp_path):
    """All goes to a smarthost; what is one's own is not relayed."""
    source = folder(tmp_path / "null", main_cf="""
myhostname = web.example.com
myorigin = $mydomain
mydestination = $myhostname, localhost.$mydomain, localhost
relay_domains = $mydestination
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks_style = host
relayhost = $mydomain
alias_maps = inline:{root=ops}
""")
    accepted_by_postfix(source)
    c = Taken(source, LEFT_OUT).config
    assert [e["address"] for e in c["listeners"]] == ["127.0.0.1:25"]
    assert c["smarthost"] == "mx:example.com" and c["main_domain"] == "web.example.com" and "domains" not in c
    assert c["aliases"] == [{"name": "root", "to": ["ops@example.com"]}]


def test_the_host_besides_its_domain(tmp_path):
    source = folder(tmp_path / "both", main_cf="myhostname = mx.example.com\nmydestination = example.com, $myhostname, old.example\nmynetworks = 127.0.0.1\n"
                                               "alias_maps = inline:{sales=anna@example.net}\nmyorigin = example.com\n")
    taken = Taken(source, LEFT_OUT)
    assert taken.config["main_domain"] == "example.com" and taken.config["mappings"] == [{"from": "old.example", "to": "example.com"}]
    assert "main.cf:2" in taken.notes("different") and set(taken.left_out) == {"main.cf:2"}


def test_what_never_counted(tmp_path):
    """Keys that Postfix never finds are not turned into something that is found."""
    source = folder(tmp_path / "never", main_cf="""
myhostname = mx.example.com
mydestination =
mynetworks = 127.0.0.1
smtpd_sender_restrictions = check_sender_access hash:senders
smtpd_client_restrictions = check_client_access cidr:clients
""", senders="/.*/ REJECT\n.dot.example REJECT\n", clients="/.*/ REJECT\n10.0.0.0/8 REJECT\n")
    taken = Taken(source, LEFT_OUT)
    assert taken.config["checks"]["block"] == {"clients": ["10.0.0.0/8"]}
    assert set(taken.left_out) == {"senders:1", "senders:2", "clients:1"}


def test_nothing_to_say(tmp_path):
    source = folder(tmp_path / "small", main_cf="myhostname = mx.example.com\nmydestination =\nmynetworks = 127.0.0.0/8\nrelayhost = [10.1.2.3]\n")
    taken = Taken(source, 0)
    assert taken.report["left_out"] == taken.report["different"] == 0
    done = command("import", "postfix", source, check=0)
    assert named(yaml.safe_load(done.stdout)) == taken.config


def test_exit_codes(tmp_path):
    (tmp_path / "empty").mkdir()
    command("import", "postfix", tmp_path / "empty", check=66)
    command("import", "postfix", tmp_path / "not-there", check=66)
    command("import", "exim", tmp_path, check=64)
    command("import", check=64)
    small = folder(tmp_path / "small", main_cf="myhostname = mx.example.com\nmydestination =\nmynetworks = 127.0.0.1\n")
    there = tmp_path / "there.yaml"
    there.write_text("mine")
    assert "--force" in command("import", "postfix", small, "-o", there, check=73).stderr
    assert there.read_text() == "mine"
    command("import", "postfix", small, "-o", there, "--force", check=0)
    command("import", "postfix", small, "-o", tmp_path / "no/folder/x.yaml", check=73)


# ---- hostile files

@pytest.mark.daily(2)
@pytest.mark.parametrize("what", ["binary", "random", "device", "pipe", "folder", "huge"])
def test_main_cf_that_is_none(tmp_path, what):
    source = tmp_path / "bad"
    source.mkdir()
    main = source / "main.cf"
    if what == "binary":
        main.write_bytes(b"myhostname = mx.example.com\n\0\1\2")
    elif what == "random":
        main.write_bytes(os.urandom(20000))
    elif what == "device":
        main.symlink_to("/dev/zero")
    elif what == "pipe":
        os.mkfifo(main)
    elif what == "folder":
        main.mkdir()
    else:
        with open(main, "wb") as f:
            f.truncate(100 << 20)
    done = command("import", "postfix", source, "-o", tmp_path / "out.yaml", timeout=20)
    assert done.returncode in (65, 66) and not (tmp_path / "out.yaml").exists(), done.stderr


def test_hostile_tables(tmp_path):
    source = folder(tmp_path / "hostile", main_cf="""
myhostname = mx.example.com
mydestination =
mynetworks = 127.0.0.1 /dev/zero
relay_domains = hash:$config_directory/long, hash:$config_directory/pipe, hash:../../../etc/shadow-not-there, hash:$config_directory/binary
transport_maps = hash:$config_directory/loop
virtual_alias_maps = hash:$config_directory/evil
header_checks = pcre:$config_directory/bomb
smtpd_client_restrictions = check_client_access hash:$config_directory/noright, check_client_access pcre:$config_directory/bomb
stray line
= nothing
""", evil="a@b.example \"x: y\"@c.example, z@\x1b[31m.example\nx\n- {a: b} c\n\"#@x.example y@z.example\ninject@b.example a@b.example}]\\nhostname:\n",
                    bomb="/((((((((((a{1,100}){1,100}){1,100}){1,100}){1,100}){1,100}){1,100}){1,100}){1,100})/ REJECT\n/(/ REJECT\n/x REJECT\nif /x/\n",
                    noright="192.0.2.1 REJECT\n")
    with open(source / "long", "wb") as f:
        for _ in range(20):
            f.write(b"x" * (1 << 20))
        f.write(b"\nexample.com OK\n")
    (source / "binary").write_bytes(b"\xff\xfe\0a.example OK\nb.example OK\n")
    os.mkfifo(source / "pipe")
    (source / "loop").symlink_to(source / "loop")
    (source / "noright").chmod(0)
    taken = Taken(source, LEFT_OUT)
    assert taken.config["hostname"] == "mx.example.com"
    assert [d["name"] for d in taken.config["domains"]] == ["example.com", "b.example"]
    assert "\x1b" not in taken.text + json.dumps(taken.report)
    assert {"main.cf:10", "main.cf:11"} <= set(taken.left_out)


def test_links_are_not_written_through(tmp_path):
    source = folder(tmp_path / "edge", **EDGE)
    out, victim = tmp_path / "out", tmp_path / "victim"
    out.mkdir()
    victim.write_text("mine")
    (out / "postern.yaml").symlink_to(victim)
    command("import", "postfix", source, "-o", out / "postern.yaml", check=73)
    (out / "postern.yaml").unlink()
    (out / "secrets").symlink_to(tmp_path)
    command("import", "postfix", source, "-o", out / "postern.yaml", "--force", check=73)
    assert victim.read_text() == "mine" and not (tmp_path / "smtp.isp.example").exists()


# ---- the same mail through the real Postfix and through what was made of its configuration

class Imported(Postern):
    """A relay with an imported configuration, as far as that does not say where its own files are."""

    def __init__(self, path, taken, port):
        super().__init__(path, start=False)
        own = {k: v for k, v in self.config.items() if k in ("system", "log", "dns", "spam")}
        config = {**taken.config, **own}
        for listener in config["listeners"]:
            listener["address"] = listener["address"].replace(str(port), str(self.port))
        config.setdefault("queue", {}).update(self.config["queue"])
        config["checks"].update({k: {"enabled": False} for k in ("spf", "dkim", "arc", "dmarc")})
        for name in ("lists", "secrets"):
            if (taken.out / name).exists():
                shutil.copytree(taken.out / name, path / name)
        self.config = config
        self.write()
        self.start()


def verdict(port, client, sender, rcpt):
    """The class of the reply to RCPT."""
    with Smtp(port, source=client) as s:
        s.ehlo()
        reply = s.mail(sender, expect=None)
        if reply.code // 100 == 2:
            reply = s.rcpt(rcpt, expect=None)
        s.cmd("RSET", None)
        return reply.code // 100 == 2


def send(port, client, sender, rcpt, n):
    with Smtp(port, source=client) as s:
        s.ehlo()
        s.message(rcpt, f"Subject: {n}\n\ntext\n", sender)
        s.quit()


def arrived(sinks, subject):
    """{(next hop, recipient)} of the messages with that subject."""
    return {(name, r) for name, sink in sinks.items() for m in list(sink.messages) for r in m.rcpts if re.search(rf"^Subject: {subject}\r?$", m.data.decode("latin-1"), re.M)}


def compare(tmp_path, settings, tables, sinks, clients, senders, recipients, services=()):
    """What Postfix and the import say to each combination, and where what both take arrives."""
    default = sinks["default"].hop
    etc = folder(tmp_path / "tables", **tables)
    for f in (tmp_path, *tmp_path.parents[:3]):
        f.chmod(f.stat().st_mode | 0o011)
    real = Postfix(default, **{k: str(v).replace("@tables@", str(etc)) for k, v in settings.items()})
    try:
        if services:
            real.more(services)
        for name in tables:
            subprocess.run([have("postmap"), "-c", str(real.config), f"hash:{etc / name}"], check=True, timeout=30)
        accepted_by_postfix(real.config)
        taken = Taken(real.config)
        ours = Imported(tmp_path / "relay", taken, real.port)
        try:
            taken_by_both = {}
            for client in clients:
                for sender in senders:
                    for rcpt in recipients:
                        theirs, own = verdict(real.port, client, sender, rcpt), verdict(ours.port, client, sender, rcpt)
                        assert theirs == own, f"{client} {sender} {rcpt}: Postfix {theirs}, we {own}\n{taken.text}"
                        if own:
                            taken_by_both[(sender, rcpt)] = client
            for n, ((sender, rcpt), client) in enumerate(taken_by_both.items()):
                send(real.port, client, sender, rcpt, f"theirs-{n}")
                send(ours.port, client, sender, rcpt, f"ours-{n}")
            for n, (sender, rcpt) in enumerate(taken_by_both):
                wait_until(lambda: arrived(sinks, f"theirs-{n}"), lambda: f"Postfix: {sender} {rcpt}\n{real.log()[-3000:]}", 20)
                expected = lambda: arrived(sinks, f"ours-{n}") == arrived(sinks, f"theirs-{n}")
                wait_until(expected, lambda: f"{sender} {rcpt}: {arrived(sinks, f'theirs-{n}')} {arrived(sinks, f'ours-{n}')}\n{ours.log_tail()}", 20)
            return len(taken_by_both), taken
        finally:
            ours.stop()
    finally:
        real.stop()


@pytest.mark.root
@pytest.mark.slow
@needs_postfix
def test_the_same_as_an_edge_relay(tmp_path, make_sink):
    sinks = {name: make_sink() for name in ("default", "inner", "boss", "partner")}
    hop = {name: "[127.0.0.1]:" + s.hop.split(":")[1] for name, s in sinks.items()}
    n, taken = compare(tmp_path, {
        "mynetworks": f"{TRUSTED}", "relay_domains": "hash:@tables@/domains", "transport_maps": "hash:@tables@/transport",
        "parent_domain_matches_subdomains": "", "relay_recipient_maps": "hash:@tables@/recipients",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        "smtpd_recipient_restrictions": "check_client_access hash:@tables@/clients, check_recipient_access hash:@tables@/access,"
                                        " check_sender_access hash:@tables@/senders, permit_mynetworks, reject_unauth_destination, reject_non_fqdn_sender",
    }, {
        "domains": "example.com OK\nexample.org OK\n", "recipients": "anna@example.com x\nboss@example.com x\nformer@example.com x\n@example.org x\n",
        "transport": f"example.com smtp:{hop['inner']}\nboss@example.com smtp:{hop['boss']}\npartner.example :{hop['partner']}\n"
                     f".partner.example :{hop['partner']}\n",
        "clients": "127.0.0.3 REJECT not you\n", "senders": "spam.example REJECT\nfriend@spam.example OK\n", "access": "former@example.com REJECT gone\n",
    }, sinks, [STRANGER, TRUSTED, "127.0.0.3"],
        ["joe@client.example", "", "joe@spam.example", "joe@sub.spam.example", "friend@spam.example"],
        ["anna@example.com", "ANNA@Example.COM", "nobody@example.com", "boss@example.com", "former@example.com", "any@example.org", "x@sub.example.org",
         "x@partner.example", "x@sub.partner.example", "x@elsewhere.example", "x%y@example.org", "postmaster@elsewhere.example"])
    assert n > 15


@pytest.mark.root
@pytest.mark.slow
@needs_postfix
def test_the_same_as_a_virtual_host(tmp_path, make_sink):
    sinks = {name: make_sink() for name in ("default", "inner")}
    inner = "[127.0.0.1]:" + sinks["inner"].hop.split(":")[1]
    n, taken = compare(tmp_path, {
        "mynetworks": TRUSTED, "virtual_alias_domains": "one.example two.example", "virtual_alias_maps": "hash:@tables@/virtual",
        "transport_maps": "hash:@tables@/transport", "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination", "smtpd_helo_required": "yes",
        "recipient_delimiter": "+",
    }, {
        "virtual": "sales@one.example anna@net.example, bert@net.example\nall@one.example sales@one.example carl@two.example\n"
                   "carl@two.example carl@elsewhere.example\nloop@two.example loop@two.example x@net.example\n",
        "transport": f"net.example smtp:{inner}\n",
    }, sinks, [STRANGER, TRUSTED], ["joe@client.example", ""],
        ["sales@one.example", "SALES@one.example", "all@one.example", "nobody@one.example", "carl@two.example", "anna@net.example", "x@elsewhere.example"])
    assert n > 6


@pytest.mark.root
@pytest.mark.slow
@needs_postfix
def test_the_same_as_a_hub(tmp_path, make_sink):
    boxes = LmtpSink(port=free_port())
    sinks = {"default": make_sink(), "boxes": boxes, "bulk": make_sink()}
    port = boxes.hop.split(":")[-1]
    try:
        n, taken = compare(tmp_path, {
            "myhostname": "hub.example.com", "mydomain": "example.com", "myorigin": "$mydomain", "mynetworks": TRUSTED, "mydestination": "",
            "virtual_mailbox_domains": "boxes.example", "virtual_mailbox_maps": "hash:@tables@/boxes", "virtual_transport": f"lmtp:inet:127.0.0.1:{port}",
            "sender_dependent_relayhost_maps": "hash:@tables@/bysender", "smtpd_relay_restrictions": "permit_mynetworks, defer_unauth_destination",
            "smtpd_recipient_restrictions": "",
        }, {"boxes": "anna@boxes.example x\nbert@boxes.example x\n", "bysender": f"@news.example [127.0.0.1]:{sinks['bulk'].hop.split(':')[1]}\n"},
            sinks, [STRANGER, TRUSTED], ["joe@client.example", "n@news.example"], ["anna@boxes.example", "nobody@boxes.example", "x@elsewhere.example"],
            services=["lmtp unix - - n - - lmtp"])
        assert n == 4
    finally:
        boxes.stop()
