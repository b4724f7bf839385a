# SPDX-License-Identifier: Apache-2.0
"""Where the log goes and how it looks: JSON lines, the journal's fields, syslog in both forms, with rsyslog as a reader; nobody waits for one that
does not read."""
import datetime
import json
import re
import shutil
import socket
import subprocess
import time

import pytest

from lib.smtp import refused
from lib.util import wait_until


def receive(listener, wanted, seconds=20):
    """Datagrams until one contains `wanted`."""
    found, end = [], time.monotonic() + seconds
    listener.settimeout(1)
    while time.monotonic() < end:
        try:
            found.append(listener.recv(65536))
        except TimeoutError:
            continue
        if wanted in found[-1]:
            return found
    raise AssertionError(f"{wanted} in {found[-5:]}")


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "socket"))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

        yield s, str(tmp_path / "socket")


def test_json_lines(postern):
    relay = postern(log={"format": "json", "level": "info"})
    refused(relay, '"a\\"b"@elsewhere.example')
    relay.wait_log('"event":"refused"')
    lines = [json.loads(line) for line in relay.log().splitlines()]
    one = next(line for line in lines if line["event"] == "refused")
    assert one["level"] == "info" and one["process"] == "relay-0" and one["code"] == 550 and one["stage"] == "RCPT"
    assert datetime.datetime.fromisoformat(one["time"].replace("Z", "+00:00"))
    assert any(line["event"] == "start" and isinstance(line["pid"], int) for line in lines)


def test_fields_of_the_journal(postern, listener):
    sock, path = listener
    relay = postern(log={"to": "journal", "socket": path, "level": "info"})
    refused(relay, "bob@elsewhere.example")
    text = receive(sock, b"POSTERN_EVENT=refused\n")[-1].decode()
    fields = dict(line.split("=", 1) for line in text.splitlines())
    assert fields["PRIORITY"] == "6" and fields["SYSLOG_IDENTIFIER"] == "postern" and fields["POSTERN_PROCESS"] == "relay-0"
    assert fields["POSTERN_CODE"] == "550" and fields["POSTERN_CLIENT"] == "127.0.0.1" and fields["MESSAGE"].startswith("relay-0 refused ")
    assert fields["SYSLOG_FACILITY"] == "2" and all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in fields)


def test_syslog_as_of_old(postern, listener):
    sock, path = listener
    relay = postern(log={"to": "syslog", "socket": path, "facility": "local3", "level": "info"})
    refused(relay, "bob@elsewhere.example")
    text = receive(sock, b" refused ")[-1].decode()
    assert re.match(r"<158>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d postern\[\d+\]: relay-0 refused session=", text), text


def test_syslog_of_rfc_5424(postern, listener):
    sock, path = listener
    relay = postern(log={"to": "syslog", "format": "rfc5424", "socket": path, "level": "info"})
    refused(relay, '"x]\\"y"@elsewhere.example')
    text = receive(sock, b" refused ")[-1].decode()
    assert re.match(r'<22>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z mx\.postern\.example postern \d+ refused \[postern@32473 process="relay-0" ', text), text
    values = re.match(r'.*?\[(postern@32473(?: [a-z_]+="(?:[^"\\\]]|\\.)*")*)\] relay-0 refused ', text)
    assert values and 'code="550"' in values[1], text


def test_a_reader_that_does_not_read_stops_nobody(postern, listener):
    sock, path = listener
    relay = postern(log={"to": "journal", "socket": path, "level": "debug"})
    for _ in range(30):
        with relay.client() as c:
            c.ehlo()
            for _ in range(20):
                assert c.cmd("NOOP").code == 250
            c.quit()
    time.sleep(0.2)
    found = []
    sock.settimeout(0.5)
    try:
        while True:
            found.append(sock.recv(65536))
    except TimeoutError:
        pass
    refused(relay, "bob@elsewhere.example")
    found += receive(sock, b"POSTERN_EVENT=refused\n")
    assert found


def test_nobody_at_the_socket(postern, tmp_path):
    relay = postern(log={"to": "journal", "socket": str(tmp_path / "nobody"), "level": "info"})
    refused(relay, "bob@elsewhere.example")
    relay.wait_log("relay-0 refused")


def test_rsyslog_reads_it(postern, tmp_path):
    if not shutil.which("rsyslogd"):
        pytest.skip("no rsyslog")
    path, out = tmp_path / "log.sock", tmp_path / "out"
    (tmp_path / "rsyslog.conf").write_text(
        f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{path}" UseSpecialParser="off" ParseHostname="on")\n'
        f'template(name="t" type="string" string="%app-name%|%msgid%|%structured-data%|%msg%\\n")\n*.* action(type="omfile" file="{out}" template="t")\n')
    program = subprocess.Popen(["rsyslogd", "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "pid")], stderr=subprocess.DEVNULL)
    try:
        wait_until(path.exists, "rsyslog")
        relay = postern(log={"to": "syslog", "format": "rfc5424", "socket": str(path), "level": "info"})
        refused(relay, "bob@elsewhere.example")
        wait_until(lambda: out.exists() and "|refused|" in out.read_text(), lambda: out.read_text() if out.exists() else "nothing came")
        line = next(one for one in out.read_text().splitlines() if "|refused|" in one)
        assert line.startswith("postern|refused|[postern@32473 ") and 'code="550"' in line
    finally:
        program.terminate()
        program.wait(20)
