# SPDX-License-Identifier: Apache-2.0
"""Administration against people who want more than their role allows, and archives that want more than their folder."""
import hashlib
import os
import socket
import threading
import time

import pytest

from lib.daemon import Postern
from lib.daemon import postern as command
from lib.hooks import Receiver
from lib.util import wait_until
from lib.web import administrator, control, logged_in, on
from test_backup import entry, manifest, packed

CONTENT = "root:$y$j9T$never.to.be.seen:20000:0:99999:7:::\n"


@pytest.fixture
def relay(postern):
    return postern(web=on())


def test_checks_do_not_show_what_is_in_files(relay, tmp_path):
    """The check reads with root's rights: what is in a file that has no entries of a list, or header checks, is nobody's."""
    file = tmp_path / "shadow"
    file.write_text("# one\n" + CONTENT)
    for path, value in (("checks.block.senders", [{"file": str(file)}]), ("header_checks", [{"file": str(file)}]),
                        ("tables.x", {"file": str(file), "type": "pcre"})):
        changes = [{"path": path, "value": value}]
        if path == "tables.x":
            changes.append({"path": "checks.block.senders", "value": [{"table": "x"}]})
        for where in ("check", "apply"):
            body = {"changes": changes}
            if where == "apply":
                body["version"] = control(relay, "GET", "/v1/config").json["version"]
            a = control(relay, "POST", f"/v1/config/{where}", body)
            assert "never.to.be.seen" not in a.text and "root:" not in a.text, a
            errors = [f["text"] for f in a.json["findings"] if f["severity"] == "error"]
            assert errors and f"{file}:2: \"...\"" in errors[0], a.json
    assert "never.to.be.seen" not in relay.log()


def test_checks_do_not_show_the_beginning_either(relay, tmp_path):
    """Bytes that are no text take more room than an error has, which ends before the quotes are closed."""
    file = tmp_path / "bytes"
    file.write_bytes(b"# one\n\"never" + b"\xff" * 150 + b"\n")
    a = control(relay, "POST", "/v1/config/check", {"changes": [{"path": "checks.block.senders", "value": [{"file": str(file)}]}]})
    errors = [f["text"] for f in a.json["findings"] if f["severity"] == "error"]
    assert errors and f"{file}:2: \"..." in errors[0] and "never" not in a.text and "xff" not in a.text, a.json


def test_who_only_looks_makes_root_read_nothing(relay):
    web = administrator(relay)
    auditor = logged_in(relay, "anna", "auditor")
    assert auditor.get("/v1/config").status == 200
    assert auditor.post("/v1/config/check", {"changes": [{"path": "header_checks", "value": [{"file": "/etc/shadow"}]}]}).status == 403
    assert web.post("/v1/config/check", {"changes": [{"path": "limits.hops", "value": 31}]}).json["ok"]
    # Somebody's typing in a form is no entry of the audit log; somebody who may not is.
    entries = web.get("/v1/audit", action="config.check").json["entries"]
    assert [(e["who"], e["outcome"]) for e in entries] == [("anna", "refused")], entries


def test_secrets_that_were_commented_out(tmp_path):
    relay = Postern(tmp_path / "relay", {"web": on()}, start=False)
    try:
        relay.start()
        text = relay.config_path.read_text()
        relay.config_path.write_text("# smarthost: {host: 127.0.0.8, user: us, password: an old one}\n" + text)
        before = relay.config_path.read_text()
        shown = control(relay, "GET", "/v1/config").json
        assert "an old one" not in shown["text"] and "password: ***" in shown["text"]
        a = control(relay, "POST", "/v1/config/apply", {"version": shown["version"], "text": shown["text"] + "# more\n"})
        assert a.status == 200 and relay.config_path.read_text() == before + "# more\n", a
        assert "an old one" not in control(relay, "GET", "/v1/config/diff?from=1").text
        assert "an old one" not in control(relay, "GET", "/v1/config/revision?revision=1").text
    finally:
        relay.stop()


@pytest.mark.slow
def test_many_changes_do_not_pile_up_workers(tmp_path):
    """An operator may change the list of senders, each time with new workers; clients hold the old ones for as long as they may drain."""
    relay = Postern(tmp_path / "relay", {"web": on(), "system": {"drain": "60s"}}, start=False)
    clients = []
    try:
        relay.start()
        operator = logged_in(relay, "bob", "operator")
        for i in range(25):
            c = socket.create_connection(("127.0.0.1", relay.port), 20, ("127.0.0.2", 0))
            clients.append(c)
            c.recv(200)
            for line in ("HELO client.example", "MAIL FROM:<a@client.example>", "RCPT TO:<b@example.com>", "DATA", "Subject: and so on"):
                c.sendall(line.encode() + b"\r\n")
                assert line.startswith("Subject") or c.recv(500)[:1] in b"23", line
            assert operator.post("/v1/senders", {"address": f"x{i}.example.net", "list": "block"}).json["reload"]["ok"]

        def workers():
            return len([w for w in relay.status()["workers"] if w["state"] == "draining"])
        wait_until(lambda: workers() <= 10, lambda: f"{workers()} workers drain", 20)
    finally:
        for c in clients:
            c.close()
        relay.stop()


def test_a_list_of_senders_does_not_grow_without_end(postern):
    """Each entry is a revision with the whole file."""
    relay = postern(web=on(), checks={"block": {"senders": [f"x{i}.example.net" for i in range(1999)]}})
    operator = logged_in(relay, "bob", "operator")
    done = operator.post("/v1/senders", {"address": "last.example.net", "list": "block"}).json
    assert done["ok"] and "findings" not in done and "findings" not in done["reload"]  # of the configuration, which he may not see
    a = operator.post("/v1/senders", {"address": "more.example.net", "list": "block"})
    assert a.status == 400 and "2000 entries" in a.json["error"], a
    assert operator.post("/v1/senders", {"address": "last.example.net", "list": "block"}).json["unchanged"]
    assert operator.post("/v1/senders", {"address": "more.example.net", "list": "allow"}).json["ok"]


def test_the_path_of_a_webhook_is_a_secret(postern):
    receiver = Receiver()
    receiver.status = 503
    try:
        url = receiver.url + "/T0KEN"
        relay = postern(web=on(), webhooks=[{"url": url, "events": ["config"]}])
        relay.command("reload")
        relay.wait_log("webhook-failed url=http://127.0.0.1:[0-9]+ ")
        assert control(relay, "POST", "/v1/webhooks/test", {"url": url}).json["results"][0]["status"] == 503
        assert "T0KEN" not in relay.log()
        assert "T0KEN" not in control(relay, "GET", "/v1/audit").text
    finally:
        receiver.stop()


def test_one_webhook_is_not_there_twice(postern, tmp_path):
    """Both would write their queue into one file."""
    relay = postern()
    hook = {"url": "https://hooks.example.com/x", "events": ["delivered"]}
    a = control(relay, "POST", "/v1/config/check", {"changes": [{"path": "webhooks", "value": [hook, {**hook, "events": ["refused"]}]}]}).json
    assert not a["ok"] and "webhooks[0] has the same URL" in a["findings"][0]["text"]


def test_restore_follows_no_link_that_is_put_in_its_way(tmp_path):
    """Folders of a restored system belong to others than root, one of whom may still run."""
    data, elsewhere, archive = tmp_path / "data", tmp_path / "elsewhere", tmp_path / "archive"
    elsewhere.mkdir()
    conf = b"hostname: mx.example.com\n"
    large = bytes(150 << 20)
    one = b"taken"
    entries = [("files/00000001", conf), ("files/00000002", large), ("files/00000003", one)]
    digest = hashlib.sha256(large).hexdigest()
    told = [entry(1, conf, str(tmp_path / "postern.yaml"), "configuration"), {**entry(2, b"", "large"), "size": len(large), "sha256": digest},
            entry(3, one, "store/one"), {"kind": "folder", "path": "store", "mode": "0700", "owner": "", "group": ""}]
    packed(entries, manifest(told, config=str(tmp_path / "postern.yaml"), directory=str(data), run_directory=str(tmp_path / "run")), archive)
    replaced = threading.Event()

    def replace():
        while not replaced.is_set():
            try:
                os.rename(data / "store", data / "moved")
                os.symlink(elsewhere, data / "store")
                return
            except OSError:
                time.sleep(0.001)
    t = threading.Thread(target=replace)
    t.start()
    try:
        done = command("restore", archive, "--outside", timeout=120)
    finally:
        replaced.set()
        t.join()
    assert (data / "store").is_symlink(), done  # else the test was too slow
    assert not list(elsewhere.iterdir()) and done.returncode != 0, done


def test_restore_does_not_replace_a_relay_that_runs(postern, tmp_path):
    """Though the archive says that it had its lock elsewhere."""
    relay = postern()
    conf, archive = relay.config_path.read_bytes(), tmp_path / "archive"
    told = [entry(1, conf, str(relay.config_path), "configuration")]
    packed([("files/00000001", conf)], manifest(told, config=str(relay.config_path), directory=relay.config["system"]["directory"],
                                                run_directory=str(tmp_path / "elsewhere")), archive)
    done = command("restore", archive, "--outside", "--force")
    assert done.returncode != 0 and "is running" in done.stderr, done
    assert relay.status()["generation"] == 1
