# SPDX-License-Identifier: Apache-2.0
"""Import over the API: the same as the command makes of the same files, and of nothing else; whatever is sent, no other file is looked into."""
import json
import os
import time

import pytest

import test_import
from lib.daemon import postern as command
from lib.web import Web, administrator, control, logged_in, serving

MINIMAL = "myhostname = mx.example.com\nmydestination =\n"


@pytest.fixture(scope="module")
def relay(module_postern):
    return serving(module_postern)


@pytest.fixture(scope="module")
def admin(relay):
    return administrator(relay)


def sent(admin, **files):
    return admin.post("/v1/import/postfix", {"files": {{"main_cf": "main.cf", "master_cf": "master.cf"}.get(k, k): v for k, v in files.items()}})


class Source(Exception):
    """The folder of a test that ends here."""


def source_of(test, tmp_path, monkeypatch):
    def stop(source, code=None):
        raise Source(source)
    monkeypatch.setattr(test_import, "Taken", stop)
    monkeypatch.setattr(test_import, "accepted_by_postfix", lambda path: None)
    with pytest.raises(Source) as caught:
        test(tmp_path)
    return caught.value.args[0]


@pytest.mark.daily(3)
@pytest.mark.parametrize("test", [
    test_import.test_an_edge_relay, test_import.test_debians_own, test_import.test_virtual_hosting, test_import.test_a_gateway,
    test_import.test_a_hub_with_lmtp, test_import.test_directories_and_databases, test_import.test_names_in_values, test_import.test_a_null_client,
    test_import.test_what_lets_relay, test_import.test_what_never_counted,
], ids=lambda t: t.__name__)
def test_the_same_as_the_command(admin, tmp_path, monkeypatch, test):
    source = source_of(test, tmp_path, monkeypatch)
    report = json.loads(command("import", "postfix", source, "--json").stdout)
    answer = admin.post("/v1/import/postfix", {"files": {p.name: p.read_text() for p in source.iterdir()}})
    assert answer.status == 200, answer
    got = answer.json
    assert got["config"] == report.pop("configuration")
    assert "s3cr3t" not in answer.text and "hushhush" not in answer.text
    absent = {"todo", "why"}  # in other words where a file is not there
    for a, b in zip(got["notes"], report["notes"], strict=True):
        assert a == b or ("is not among the files" in a["why"] and "cannot be read" in b["why"] and {k: a[k] for k in a.keys() - absent} == {k: b[k] for k in b.keys() - absent})
    assert {k: got[k] for k in ("taken", "left_out", "different")} == {k: report[k] for k in ("taken", "left_out", "different")}


def test_nothing_is_changed(relay, admin):
    before, history = relay.config_path.read_text(), admin.get("/v1/config/history").json
    files = sorted(p for p in relay.folder.iterdir())
    answer = sent(admin, **test_import.EDGE)
    assert answer.status == 200 and "s3cr3t" not in relay.log()
    assert relay.config_path.read_text() == before and admin.get("/v1/config/history").json == history
    assert sorted(p for p in relay.folder.iterdir()) == files
    entry = admin.get("/v1/audit", action="import.postfix").json["entries"][0]
    assert entry["outcome"] == "ok" and "9 files" in entry["detail"] and "s3cr3t" not in json.dumps(entry)
    # It passes the check of the API, too.
    assert admin.post("/v1/config/check", {"text": answer.json["config"]}).json["ok"] is True


def test_absolute_names(admin):
    """Of /etc/postfix/maps/virtual the file maps/virtual, or virtual, that was sent."""
    main = MINIMAL + "virtual_alias_domains = a.example\nvirtual_alias_maps = hash:/etc/postfix/maps/virtual\n"
    for name in ("maps/virtual", "virtual"):
        answer = admin.post("/v1/import/postfix", {"files": {"main.cf": main, name: "x@a.example y@b.example\n"}}).json
        assert "y@b.example" in answer["config"] and any(f"{name} in the folder was read, not /etc/postfix/maps/virtual" in n["why"] for n in answer["notes"])
    answer = admin.post("/v1/import/postfix", {"files": {"main.cf": main, "maps/virtual": "x@a.example y@b.example\n", "virtual": "x@a.example z@c.example"}}).json
    assert "y@b.example" in answer["config"] and "z@c.example" not in answer["config"]


@pytest.mark.daily(2)
@pytest.mark.parametrize("how", [
    "relay_domains = hash:{0}", "relay_domains = {0}", "mynetworks = {0}", "mynetworks = cidr:{0}", "virtual_alias_maps = texthash:{0}", "myorigin = {0}",
    "header_checks = pcre:{0}", "relay_domains = ldap:{0}", "relay_recipient_maps = pgsql:{0}", "alias_maps = hash:{0}",
    "smtpd_client_restrictions = check_client_access hash:{0}", "smtp_sasl_password_maps = hash:{0}\nsmtp_sasl_auth_enable = yes\nrelayhost = [x.example]",
    "transport_maps = proxy:hash:{0}", "smtp_tls_policy_maps = hash:{0}", "mydestination = {0}", "recipient_canonical_maps = regexp:{0}",
    "smtpd_tls_cert_file = {0}", "smtpd_tls_CAfile = {0}", "smtp_tls_CAfile = {0}", "relay_domains = file:{0}",
])
def test_other_files_are_not_looked_into(relay, admin, tmp_path, how):
    secret = tmp_path / "secret-file"
    secret.write_text("hidden.example hidden@hidden.example\nhidden:$6$hidden\n192.0.2.99 hidden\nserver_host = hidden\n/hidden/ REJECT\n")
    secret.chmod(0o600)
    stamp = time.time() - 7200
    os.utime(secret, (stamp, stamp))
    climb = "../" * 12 + str(secret)[1:]
    for name in (str(secret), climb, "./" + climb, "/etc/postfix/" + climb, "/proc/self/root" + str(secret)):
        answer = admin.post("/v1/import/postfix", {"files": {"main.cf": MINIMAL + how.format(name) + "\n"}})
        assert answer.status == 200, answer
        assert "hidden" not in answer.text.replace("hidden-", ""), answer.text
    assert "hidden" not in relay.log()


@pytest.mark.daily(5)
@pytest.mark.parametrize("name", ["../main.cf", "/etc/postfix/virtual", "maps/../../x", "maps//x", "", "/", ".", "..", "./x", "x/", "a\nb", "a\x1b[31m", "x" * 300])
def test_hostile_names(relay, admin, name):
    answer = admin.post("/v1/import/postfix", {"files": {"main.cf": MINIMAL, name: "x"}})
    assert answer.status == 400 and answer.json["error"].startswith("files: ") and "\x1b" not in answer.text and "\n" not in answer.json["error"]


@pytest.mark.daily(4)
@pytest.mark.parametrize("body, word", [
    ({}, "files"), ({"files": []}, "files"), ({"files": "main.cf"}, "files"), ({"files": {"main.cf": 1}}, "main.cf"), ({"files": {"main.cf": None}}, "main.cf"),
    ({"files": {"main.cf": {"x": "y"}}}, "main.cf"), ({"files": {}}, "main.cf"), ({"files": {"virtual": "x"}}, "main.cf"), ({"files": {"main.cf": "no parameters"}}, "main.cf"),
    ({"files": {"main.cf": "\x01\x02"}}, "main.cf"), ({"files": {"main.cf": MINIMAL}, "folder": "/etc/postfix"}, "folder"), ([], "object"), (b"{", "JSON"),
    (b'{"files": {"main.cf": "a = b", "main.cf": "c = d"}}', "JSON"), (b'{"files": {"main.cf": "a = \\u0000"}}', "JSON"), (b'{"files": {"main.cf": "\xff"}}', "JSON"),
])
def test_malformed(admin, body, word):
    answer = admin.post("/v1/import/postfix", body)
    assert answer.status == 400 and word in answer.json["error"], answer


@pytest.mark.slow
def test_big_bodies(relay, admin):
    lines = "".join(f"user{i}@many.example box{i}@elsewhere.example\n" for i in range(4000))
    answer = sent(admin, main_cf=MINIMAL + "virtual_alias_domains = many.example\nvirtual_alias_maps = hash:/etc/postfix/virtual\n", virtual=lines)
    assert answer.status == 200 and answer.json["taken"] >= 1
    nearly = "# " + "x" * ((8 << 20) - len(MINIMAL) - 100) + "\n"
    assert sent(admin, main_cf=MINIMAL, rest=nearly).status == 200
    answer = sent(admin, main_cf=MINIMAL, rest=nearly + "x" * 200)
    assert answer.status == 413 and "8 MB" in answer.json["error"]
    answer = sent(admin, main_cf=MINIMAL, **{f"f{i}": "" for i in range(500)})
    assert answer.status == 413 and "500" in answer.json["error"]
    assert sent(admin, main_cf=MINIMAL, **{f"f{i}": "" for i in range(499)}).status == 200
    assert sent(admin, main_cf=MINIMAL, rest="x" * (13 << 20)).status == 413
    # Not for those who may not: little is read of what they send.
    assert control(relay, "GET", "/v1/health").status == 200


def test_rights(relay, admin):
    body = {"files": {"main.cf": MINIMAL}}
    for role in ("operator", "auditor", "user"):
        assert logged_in(relay, role, role).post("/v1/import/postfix", body).status == 403
    assert Web(relay).post("/v1/import/postfix", body).status == 401
    token = admin.post("/v1/account/tokens", {"name": "t", "scopes": ["configure"]}).json["token"]
    assert Web(relay, token=token).post("/v1/import/postfix", body).status == 200
    assert control(relay, "POST", "/v1/import/postfix", body).status == 200
