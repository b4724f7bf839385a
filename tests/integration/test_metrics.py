# SPDX-License-Identifier: Apache-2.0
"""Metrics: right numbers, which do not fall when a process is replaced; promtool finds nothing, and Prometheus reads them with a token."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.request

import pytest

from lib.daemon import postern as command
from lib.smtp import refused
from lib.util import free_port, wait_until
from lib.web import Web, administrator, control, on

MANUAL = pathlib.Path(__file__).resolve().parents[2] / "docs/manual/monitoring.md"


def metrics(relay):
    """{name and labels: value}"""
    answer = control(relay, "GET", "/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in answer.text.splitlines() if not line.startswith("#")}


def listed():
    return json.loads(command("metrics", "--list", "--json", check=0).stdout)


def test_the_manual_names_them_all():
    written = set(re.findall(r"`(postern_[a-z_]+)`", MANUAL.read_text()))
    assert written == {m["name"] for m in listed()}


def test_they_count_what_happened(postern, sink):
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}])
    before = metrics(relay)
    assert before["postern_messages_accepted_total"] == 0
    for _ in range(3):
        assert relay.send("bob@example.com").code == 250
    refused(relay, "bob@elsewhere.example")
    wait_until(lambda: metrics(relay)["postern_recipients_delivered_total"] == 3, "three deliveries")
    now = metrics(relay)
    assert now["postern_messages_accepted_total"] == 3 and now["postern_messages_accepted_bytes_total"] > 60
    assert now['postern_refused_total{stage="RCPT"}'] == 1
    assert now["postern_delivery_seconds_count"] == 3 and now['postern_delivery_seconds_bucket{le="+Inf"}'] == 3
    assert now['postern_processes{role="relay"}'] == 1 and now["postern_spool_full"] == 0
    assert now['postern_queue_messages{state="deferred"}'] == 0
    assert sum(v for k, v in now.items() if k.startswith("postern_checks_total")) > 0
    assert now['postern_certificate_expiry_seconds{certificate="tls.certificate"}'] > now["postern_start_time_seconds"]
    assert 'hostname="mx.postern.example"' in next(k for k in now if k.startswith("postern_info"))
    # The worker and the admin process are replaced.
    for name in ("relay-0", "admin"):
        pid = relay.pid(name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: name in relay.processes().values() and relay.pid(name) != pid, f"another {name}")
    wait_until(lambda: relay.send("bob@example.com").code == 250, "mail again")

    def after():
        try:
            return metrics(relay)
        except OSError:
            return {}
    wait_until(lambda: after().get("postern_recipients_delivered_total", 0) >= 4, "the fourth delivery")
    now = metrics(relay)
    assert now["postern_messages_accepted_total"] == 4
    assert now['postern_process_failures_total{role="relay"}'] == 1 and now['postern_process_failures_total{role="admin"}'] == 1
    relay.command("reload")
    assert metrics(relay)["postern_reloads_total"] == 1 and metrics(relay)["postern_messages_accepted_total"] == 4


def test_the_command_and_promtool(postern):
    relay = postern()
    text = relay.command("metrics").stdout
    assert "# TYPE postern_delivery_seconds histogram" in text
    names = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    assert names <= {m["name"] for m in listed()}
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_prometheus_reads_them_with_a_token(postern, tmp_path):
    if not shutil.which("prometheus"):
        pytest.skip("no prometheus")
    relay = postern(web=on())
    web = administrator(relay)
    token = web.post("/v1/account/tokens", {"name": "prometheus", "scopes": ["metrics"]}).json["token"]
    assert Web(relay).get("/metrics").status == 401
    assert Web(relay, token=token).get("/v1/queue").status == 403
    (tmp_path / "token").write_text(token)
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(json.dumps({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "postern", "scheme": "https", "authorization": {"credentials_file": str(tmp_path / "token")},
                            "tls_config": {"insecure_skip_verify": True}, "static_configs": [{"targets": [web.host]}]}]}))
    program = subprocess.Popen(["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
                                f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=open(tmp_path / "log", "w"))

    def query(what):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={what}", timeout=5) as a:
                return json.load(a)["data"]["result"]
        except OSError:
            return []
    try:
        wait_until(lambda: query("postern_info"), lambda: (tmp_path / "log").read_text()[-2000:], 60)
        assert query("up")[0]["value"][1] == "1"
        assert query("postern_info")[0]["metric"]["hostname"] == "mx.postern.example"
    finally:
        program.terminate()
        program.wait(20)
