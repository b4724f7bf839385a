# SPDX-License-Identifier: Apache-2.0
"""The web administration in trouble: nobody shuts himself out unasked, what is not served is told, a full disk keeps no administrator out."""
import os
import shutil
import socket
import subprocess

import pytest

from lib.certs import Pair
from lib.daemon import Postern
from lib.disk import Disk
from lib.util import free_port, wait_until
from lib.web import PASSWORD, Web, administrator, control, on


def test_shut_out(postern):
    relay = postern(web=on())
    web = administrator(relay)
    version = web.get("/v1/config").json["version"]
    for path, value in (("web.networks", ["192.0.2.0/24"]), ("web.enabled", False)):
        changes = [{"path": path, "value": value}]
        found = web.post("/v1/config/check", {"changes": changes}).json["findings"]
        assert [f["option"] for f in found if f["severity"] == "warning" and f["option"] == path], found
        refused = web.post("/v1/config/apply", {"version": version, "changes": changes})
        assert refused.status == 409 and refused.json["shut_out"] is True and "web" in refused.json["error"], refused
    assert web.get("/v1/config").json["version"] == version
    # One that is in there stays; on the control socket nobody can be shut out.
    fine = web.post("/v1/config/apply", {"version": version, "changes": [{"path": "web.networks", "value": ["127.0.0.0/8"]}]})
    assert fine.status == 200, fine
    version = fine.json["version"]
    off = [{"path": "web.enabled", "value": False}]
    done = web.post("/v1/config/apply", {"version": version, "changes": off, "anyway": True})
    assert done.status == 200 and done.json["ok"], done
    relay.command("config", "set", "web.enabled", "yes")


def test_the_pages_move(postern):
    relay = postern(web=on())
    web = administrator(relay)
    version = web.get("/v1/config").json["version"]
    host, port = relay.config["web"]["listen"].rsplit(":", 1)
    away, default = f"127.0.0.1:{free_port()}", "https://127.0.0.1:9443/"
    for change, where in (({"path": "web.listen", "value": away}, f"https://{away}/"), ({"path": "web.listen", "unset": True}, default),
                          ({"path": "web", "unset": True}, default), ({"path": "web.listen", "value": f"127.0.0.9:{port}"}, f"https://127.0.0.9:{port}/"),
                          ({"path": "web.listen", "value": "*:9444"}, "port 9444 of this machine")):
        changes = [change]
        found = web.post("/v1/config/check", {"changes": changes}).json
        assert found["ok"] and [f for f in found["findings"] if f["option"] == "web.listen" and f"it is at {where}" in f["text"]], found
        refused = web.post("/v1/config/apply", {"version": version, "changes": changes})
        assert refused.status == 409 and refused.json["shut_out"] is True and where in refused.json["error"], refused
    # Where he is served by the same address and port as before, nobody is asked.
    for value in (f"*:{port}", f"0.0.0.0:{port}"):
        found = web.post("/v1/config/check", {"changes": [{"path": "web.listen", "value": value}]}).json["findings"]
        assert not [f for f in found if "moves" in f["text"]], found
    done = web.post("/v1/config/apply", {"version": version, "changes": [{"path": "web.listen", "value": away}], "anyway": True})
    assert done.status == 200 and done.json["ok"], done
    relay.wait_log(f" web listen=\\S*{away}")


def test_a_pipe_for_a_certificate(postern, tmp_path):
    """Whoever renews certificates may put one there while the relay runs: nobody waits for its other end."""
    pair = Pair(tmp_path, "mx", ["mx.postern.example"])
    relay = postern(web=on(), tls={"certificate": str(pair.cert_file), "key": str(pair.key_file)})
    web = administrator(relay)
    pair.cert_file.unlink()
    os.mkfifo(pair.cert_file)
    keys = web.get("/v1/keys")
    assert keys.status == 400 and "is not a file" in keys.json["error"] and keys.json["findings"], keys
    assert web.get("/v1/status").status == 200
    assert "is not a file" in relay.command("check", check=78).stdout
    refused = relay.command("reload", check=None)
    assert refused.returncode and "is not a file" in refused.stdout + refused.stderr, refused


@pytest.mark.slow
def test_not_served(postern):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        relay = postern(web={"enabled": True, "listen": f"127.0.0.1:{port}"})
        relay.wait_log("web-failed")
        status = control(relay, "GET", "/v1/status").json["web"]
        assert status["enabled"] and f"{port}" in status["error"], status
        assert "NOT served" in relay.command("status").stdout
        found = [f for f in control(relay, "GET", "/v1/doctor").json["findings"] if f["id"] == "web"]
        assert found and found[0]["state"] == "error" and "not served" in found[0]["text"], found
    wait_until(lambda: "error" not in control(relay, "GET", "/v1/status").json["web"], "the web administration")
    assert f"web: 127.0.0.1:{port}" in relay.command("status").stdout


def check(tmp_path, relay, text):
    path = tmp_path / "x.yaml"
    path.write_text("hostname: mx.example.com\ndomains: [{name: example.com, deliver: 127.0.0.9}]\n" + text)
    return subprocess.run([str(relay.binary), "check", "-c", str(path)], capture_output=True, text=True)


@pytest.mark.slow
def test_taken_ports(postern, tmp_path):
    relay = postern()
    for listen, listener, clash in (("127.0.0.1:2525", "127.0.0.1:2525", True), ("*:2525", "127.0.0.1:2525", True), ("127.0.0.1:2525", "*:2525", True),
                                    ("0.0.0.0:2525", "127.0.0.1:2525", True), ("127.0.0.2:2525", "127.0.0.1:2525", False),
                                    ("[::1]:2525", "127.0.0.1:2525", False), ("127.0.0.1:9443", "*:2525", False)):
        done = check(tmp_path, relay, f"listeners: [{{address: \"{listener}\"}}]\nweb: {{listen: \"{listen}\"}}\n")
        assert ("web.listen: a listener for mail" in done.stdout + done.stderr) == clash, (listen, listener, done)
        off = check(tmp_path, relay, f"listeners: [{{address: \"{listener}\"}}]\nweb: {{enabled: no, listen: \"{listen}\"}}\n")
        assert "a listener for mail" not in off.stdout + off.stderr
    done = check(tmp_path, relay, "web: {listen: \"127.0.0.1:8443\"}\nquarantine: {digest: {listen: \"*:8443\", url: \"https://m.example.com:8443\"}}\n")
    assert "quarantine.digest.listen" in done.stdout + done.stderr, done


def test_hints_stay_in_their_group(postern, tmp_path):
    done = check(tmp_path, postern(), "checks: {sender: {domain: off}}\n")
    assert done.returncode and "arc." not in done.stdout + done.stderr, done


@pytest.mark.root
@pytest.mark.slow
def test_disk_full(tmp_path):
    disk = Disk(tmp_path, "tmpfs", 64)
    relay = Postern(tmp_path / "relay", {"web": on()}, start=False)
    relay.config["system"]["directory"] = str(disk.path / "data")
    relay.write({})
    relay.start()
    outside = tmp_path / "vault"
    outside.mkdir()
    try:
        administrator(relay).log_out()
        assert control(relay, "POST", "/v1/accounts", {"name": "op", "role": "operator", "password": PASSWORD}).status == 200
        op = Web(relay)
        assert op.log_in("op").status == 200
        cookies = dict(op.cookies)
        wait_until(lambda: (disk.fill(), control(relay, "POST", "/v1/accounts/root/link", {}).status == 503)[1], "the disk to be full")
        link = relay.command("account", "link", "root", check=None)
        assert link.returncode and "the disk is full" in link.stderr, link
        web = Web(relay)
        answer = web.log_in("root")
        assert answer.status == 200 and answer.json["unwritten"] is True, answer
        # What has ended is told as ended, and nothing else is.
        left = op.log_out()
        assert not op.cookies
        op.cookies = cookies
        assert (left.status, op.get("/v1/account").status) in ((503, 200), (200, 401)), left
        # One's sessions in memory are listed, and can be ended.
        other = Web(relay)
        assert other.log_in("root").json["unwritten"] is True
        listed = [s for s in web.get("/v1/account").json["sessions"] if s["id"] < 0]
        assert sorted(s["current"] for s in listed) == [False, True] and {s["address"] for s in listed} == {"127.0.0.1"}, listed
        gone = next(s["id"] for s in listed if not s["current"])
        assert web.delete(f"/v1/account/sessions/{gone}").status == 200 and web.delete(f"/v1/account/sessions/{gone}").status == 404
        assert other.get("/v1/account").status == 401 and web.get("/v1/account").status == 200
        assert web.get("/v1/config").status == 200
        relay.wait_log("login-unwritten")
        refused = Web(relay).log_in("op")
        assert refused.status == 503 and "the disk is full" in refused.json["error"], refused
        for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            os.chmod(path, 0o755)
        made = relay.command("backup", str(outside / "b"), check=None)
        assert made.returncode == 0 and (outside / "b").stat().st_size > 1000, made
        assert [p.name for p in outside.iterdir()] == ["b"]
        inside = relay.command("backup", str(disk.path / "b"), check=None)
        assert inside.returncode and "not an error" not in inside.stderr and ("full" in inside.stderr or "No space" in inside.stderr), inside
        assert web.log_out().status == 200 and web.get("/v1/config").status == 401
        disk.relieve()
        wait_until(lambda: Web(relay).log_in("op").status == 200, "the disk to be used again", seconds=90)
    finally:
        relay.stop()
        disk.stop()
        shutil.rmtree(outside, ignore_errors=True)
