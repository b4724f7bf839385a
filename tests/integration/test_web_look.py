# SPDX-License-Identifier: Apache-2.0
"""What the API lets be looked at: a message, the texts of notices, rules for transparent zones, TLS reports of others. It says what the commands say."""
import concurrent.futures
import gzip
import json
import os
import re
import threading

import pytest

from lib.browser import drive, needs_browser
from lib.daemon import postern as command
from lib.smtp import Smtp
from lib.util import wait_until
from lib.web import Web, administrator, control, logged_in, make_account, on, wait_web
from test_tls_reports import HOSTILE, REPORT, message_with

MESSAGE = """From: a@client.example
To: b@example.com
Subject: an <b>invoice</b>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/html

<p>see <a href="http://evil.example/x">http://bank.example</a></p>
--x
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="invoice.pdf.exe"

content
--x--
"""


@pytest.fixture(scope="module")
def relay(module_postern):
    os.environ["POSTERN_SCAN_CRASH"] = "1"
    one = module_postern(web=on(), attachments={"enabled": True}, spam={"enabled": True, "dns": False, "bayes": {"tokens": "1M", "learn_ham": 10}})
    del os.environ["POSTERN_SCAN_CRASH"]
    wait_web(one)
    wait_until(lambda: next((f["scan"] for f in one.status()["figures"] if "scan" in f), {}).get("processes"), "scan processes")
    return one


@pytest.fixture(scope="module")
def web(relay):
    return administrator(relay)


def upload(web, path, body):
    return web.request("POST", path, body, {"Content-Type": "application/octet-stream"})


# ---- POST /v1/scan

def without_times(told):
    told = {k: v for k, v in told.items() if k != "us"}
    told["scanners"] = [{k: v for k, v in s.items() if k != "us"} for s in told["scanners"]]
    return told


@pytest.mark.parametrize("form", ["lf", "crlf", "mbox", "plain", "headless", "nul"])
def test_scan_says_what_the_command_says(relay, web, tmp_path, form):
    text = {"lf": MESSAGE, "crlf": MESSAGE.replace("\n", "\r\n"), "mbox": "From a@b.example Sun Nov 22 10:00:00 2026\n" + MESSAGE, "plain": "Subject: hello\n\nsome text\n",
            "headless": "no header at all", "nul": "a\0b: \xff\n\n\0"}[form].encode("latin-1")
    (tmp_path / "m.eml").write_bytes(text)
    by_command = json.loads(relay.command("scan", tmp_path / "m.eml", "--json").stdout)
    answer = upload(web, "/v1/scan", text)
    assert answer.status == 200 and without_times(answer.json) == without_times(by_command)
    assert answer.json["verdict"] == ("block" if form in ("lf", "crlf", "mbox") else "pass")


def test_scan_shows_parts_and_links(web):
    told = upload(web, "/v1/scan", MESSAGE.encode()).json
    part = next(p for p in told["parts"] if p.get("name") == "invoice.pdf.exe")
    assert part["blocked"] == "extension exe" and told["subject"] == "an <b>invoice</b>" and ["Subject", "an <b>invoice</b>"] in told["headers"]
    assert {"url": "http://evil.example/x", "host": "evil.example", "shown": "http://bank.example"} in told["links"] and "<p>" not in told["text"]


def test_scan_teaches_nothing(relay, web):
    """The classifier learns from mail that is clear, as this would be; what is only looked at is no mail."""
    tokens = relay.folder / "data" / "scan" / "tokens"
    text = ("From: Ann <a@client.example>\nTo: b@example.com\nDate: Mon, 02 Nov 2026 10:00:00 +0000\nMessage-ID: <1@client.example>\n"
            "Subject: quite unusual words\n\nThe zyzzyva and a quixotic xylograph.\n")
    before = tokens.read_bytes()
    for _ in range(3):
        told = upload(web, "/v1/scan", text.encode()).json
        assert told["judged"] and told["score"] <= 0 and not told["symbols"]
    assert tokens.read_bytes() == before
    assert upload(web, "/v1/learn/ham", text.encode()).status == 200 and tokens.read_bytes() != before


def test_scan_of_what_ends_the_process(relay, web):
    told = upload(web, "/v1/scan", b"X-Crash-Test: x\r\nSubject: y\r\nX-Crash-Test: abort\r\n\r\ntext\r\n").json
    assert told["crashed"] is True and "verdict" not in told and "headers" not in told
    assert upload(web, "/v1/scan", MESSAGE.encode()).json["verdict"] == "block", "others go on"


@pytest.mark.slow
def test_scan_is_bounded(relay, web):
    many = "".join(f'--x\nContent-Disposition: attachment; filename="{"ä" * 90}{i}.exe"\n\nx\n' for i in range(3000))
    head = "Subject: x\nContent-Type: multipart/mixed; boundary=x\n" + "".join(f"X-{i}: " + '"' * 900 + "\n" for i in range(500)) + "\n"
    answer = upload(web, "/v1/scan", (head + many + "--x--\n").encode())
    assert answer.status == 200 and len(answer.body) < 3 << 20
    assert answer.json["parts_more"] > 0 and answer.json["verdict"] == "block"
    bomb = gzip.compress(b"\0" * (200 << 20))
    assert upload(web, "/v1/scan", b"Content-Type: application/gzip\n\n" + bomb).status == 200


@pytest.mark.slow
def test_scan_holds_up_no_mail(postern, make_sink, monkeypatch):
    """However much is looked at: a child is left for mail, and mail comes first."""
    monkeypatch.setenv("POSTERN_SCAN_CRASH", "1")
    relay = postern(web=on(), attachments={"enabled": True}, domains=[{"name": "example.com", "deliver": make_sink().hop}])
    web = administrator(relay)
    wait_until(lambda: next((f["scan"] for f in relay.status()["figures"] if "scan" in f), {}).get("processes"), "scan processes")
    looked = []

    def look():
        looked.append(upload(web, "/v1/scan", b"X: y\r\nX-Crash-Test: slow\r\n\r\ntext\r\n"))
    for _ in range(10):
        threading.Thread(target=look, daemon=True).start()
    wait_until(lambda: next(f["scan"] for f in relay.status()["figures"] if "scan" in f)["queue"] > 5, "those that wait")
    assert relay.send("b@example.com", "Subject: hello\n\ntext\n").code == 250
    assert len(looked) < 8, "those that waited are looked into afterwards"


@pytest.mark.slow
def test_bodies_are_bounded_together(relay, web):
    """They lie in memory while they come: half a gigabyte in all."""
    head = "".join(f"{k}: {v}\r\n" for k, v in web.headers("POST", {"Content-Length": str(62 << 20)}).items())
    held, piece = [], b"x" * (1 << 20)
    for _ in range(9):
        held.append(web.connect())
        held[-1].sendall(f"POST /v1/scan HTTP/1.1\r\n{head}\r\n".encode())
        for _ in range(61):
            held[-1].sendall(piece)
    held[-1].sendall(piece)
    assert held[-1].recv(12) == b"HTTP/1.1 503"
    for s in held:
        s.close()
    wait_until(lambda: upload(web, "/v1/scan", b"a: b\n\n" + piece * 20).status == 200, "room")


def test_scan_bad_input(web):
    assert upload(web, "/v1/scan", b"").status == 400
    assert upload(web, "/v1/scan?x=1", b"a: b\n\n").status == 400
    assert upload(web, "/v1/scan", b"a: b\n\n" + b"x" * (65 << 20)).status == 413


def test_scan_where_nothing_looks(postern):
    web = administrator(postern(web=on(), spam={"enabled": False}))
    answer = upload(web, "/v1/scan", MESSAGE.encode())
    assert answer.status == 400 and "nothing looks into messages" in answer.json["error"]


def test_scan_while_the_process_is_away(relay, web):
    os.kill(relay.pid("scan"), 9)
    assert upload(web, "/v1/scan", MESSAGE.encode()).status in (200, 400)  # told, not hung
    wait_until(lambda: upload(web, "/v1/scan", MESSAGE.encode()).status == 200, "the next one")


# ---- GET /v1/notices

@pytest.mark.slow
def test_notices(postern, tmp_path):
    relay = postern(web=on())
    web = administrator(relay)
    listed = web.get("/v1/notices").json
    names = [line.split()[0] for line in command("notices", "list", check=0).stdout.splitlines() if not line.startswith(" ")]
    assert [n["name"] for n in listed["notices"]] == names and listed["languages"] == ["en", "de", "it", "ja"] and "folder" not in listed
    assert not any(n["replaced"] for n in listed["notices"])
    for name in names:
        for language in listed["languages"]:
            shown = web.get(f"/v1/notices/{name}", language=language).json
            built_in = command("notices", "show", "--language", language, name, check=0).stdout
            assert shown["builtin"] == shown["text"] == built_in and not shown["replaced"], (name, language)
            assert shown["file"] == f"{relay.config_path.parent}/notices/{language}/{name}.txt"
    # ours in its place: in force after a reload
    folder = tmp_path / "texts"
    (folder / "de").mkdir(parents=True)
    (folder / "de/failed.txt").write_text("Subject: Kaputt {id}\n\nTut uns leid: {recipients}\n")
    relay.write({"notices": {"templates": str(folder), "language": "de"}})
    assert not web.get("/v1/notices/failed", language="de").json["replaced"]
    relay.command("reload")
    listed = web.get("/v1/notices").json
    assert listed["folder"] == str(folder) and listed["language"] == "de"
    assert {n["name"]: n["replaced"] for n in listed["notices"] if n["replaced"]} == {"failed": [{"language": "de", "file": f"{folder}/de/failed.txt"}]}
    shown = web.get("/v1/notices/failed").json
    assert shown["replaced"] and shown["text"].startswith("Subject: Kaputt") and shown["file"] == f"{folder}/de/failed.txt"
    assert shown["builtin"] == command("notices", "show", "--language", "de", "failed", check=0).stdout
    assert "recipients" in shown["placeholders"] and shown["mail"] is True


def test_notices_bad_input(web):
    assert web.get("/v1/notices/nothing").status == 404 and web.get("/v1/notices/%ff").status == 404
    assert web.get("/v1/notices/..%2f..%2fetc%2fpasswd").status == 404
    answer = web.get("/v1/notices/failed", language="fr")
    assert answer.status == 400 and answer.json["error"].startswith("language:")
    assert web.get("/v1/notices", x=1).status == 400


# ---- GET /v1/nft

ZONES = {"lan": {"networks": ["10.77.1.0/24", "fd77:1::/64"], "trust": "relay", "mode": "transparent",
                 "intercept": {"by": "tproxy", "sources": ["10.77.1.3"], "destinations": ["10.77.2.10"], "macs": ["02:00:00:00:77:99"]}},
         "dsl": {"networks": ["10.78.0.0/16"], "mode": "transparent"}, "quiet": {"networks": ["10.77.1.64/26"]}}


def test_nft(relay, web, postern):
    told = web.get("/v1/nft").json
    assert told["zones"] == 0 and told["text"] == relay.command("nft", "print").stdout and "No zone is transparent" in told["text"]
    assert web.get("/v1/nft", x=1).status == 400
    other = postern(web=on(), zones=ZONES)
    told = administrator(other).get("/v1/nft").json
    assert told["zones"] == 2 and told["text"] == other.command("nft", "print").stdout and "table inet postern {" in told["text"]
    assert all(f"# {n}" in told["text"] for n in told["notes"])


# ---- POST /v1/tls-report/show

def expected(report):
    policies = [{"domain": p["policy"]["policy-domain"], "type": p["policy"]["policy-type"], "well": p["summary"]["total-successful-session-count"],
                 "failed": p["summary"]["total-failure-session-count"],
                 "details": [{"sessions": d["failed-session-count"], "result": d["result-type"], "mx": d["receiving-mx-hostname"],
                              "from": d["sending-mta-ip"], **({"reason": d["failure-reason-code"]} if "failure-reason-code" in d else {})}
                             for d in p["failure-details"]]} for p in report["policies"]]
    return {"organization": report["organization-name"], "contact": report["contact-info"], "report_id": report["report-id"],
            "start": report["date-range"]["start-datetime"], "end": report["date-range"]["end-datetime"], "policies": policies}


def test_tls_report(web):
    text = json.dumps(REPORT).encode()
    for body in (text, gzip.compress(text), message_with(gzip.compress(text)), message_with(text, "json", "quoted-printable")):
        answer = upload(web, "/v1/tls-report/show", body)
        assert answer.status == 200 and answer.json == expected(REPORT)


@pytest.mark.parametrize("name", HOSTILE)
def test_tls_report_hostile(relay, web, name):
    answer = upload(web, "/v1/tls-report/show", HOSTILE[name])
    assert answer.status == (413 if name == "large" else 400) and answer.json["error"], answer
    assert web.get("/v1/nft").status == 200, "who answers next is another process"


def test_tls_report_hostile_words(web):
    report = json.loads(json.dumps(REPORT))
    report["organization-name"] = "a\x1b[2Jb\n\x9b\u202e"
    report["policies"] += [7, None, {"policy": [], "summary": "x", "failure-details": [3, {"failed-session-count": "many"}]}]
    report["policies"][0]["failure-details"] += [{"result-type": "x" * 100000}] + [{"result-type": "x" * 300}] * 5000
    report["policies"] += [{}] * 20000
    answer = upload(web, "/v1/tls-report/show", gzip.compress(json.dumps(report).encode()))
    assert answer.status == 200 and len(answer.body) < 500_000 and answer.json["more"] > 20000
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", answer.json["organization"])


@pytest.mark.slow
def test_tls_report_takes_no_memory(web):
    """A JSON text that grows hundredfold where it is read: an answer, and nobody else is in trouble."""
    deep = b'{"policies":[' + b",".join([b"[[],[]]"] * 1_000_000) + b"]}"
    assert upload(web, "/v1/tls-report/show", gzip.compress(deep)).status in (200, 400)
    assert upload(web, "/v1/tls-report/show", json.dumps(REPORT).encode()).status == 200


def test_tls_reports_hold_up_nobody(web):
    """One is read at a time: whoever wants to see the configuration waits for no more than that."""
    slow = gzip.compress(b'{"policies":[' + b",".join([b"[[],[]]"] * 500_000) + b"]}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = [f.result().status for f in [pool.submit(upload, web, "/v1/tls-report/show", slow) for _ in range(8)]]
    assert {200, 503} == set(codes)
    assert upload(web, "/v1/tls-report/show", json.dumps(REPORT).encode()).status == 200


# ---- who may

@pytest.mark.parametrize("role,mail,config", [("operator", 200, 403), ("auditor", 200, 200), ("user", 403, 403)])
def test_rights(relay, role, mail, config):
    web = logged_in(relay, f"look-{role}", role)
    assert upload(web, "/v1/scan", MESSAGE.encode()).status == mail
    assert upload(web, "/v1/tls-report/show", json.dumps(REPORT).encode()).status == mail
    assert [web.get(p).status for p in ("/v1/notices", "/v1/notices/failed", "/v1/nft")] == [config] * 3


def test_nobody_and_csrf(relay, web):
    assert upload(Web(relay), "/v1/scan", MESSAGE.encode()).status == 401
    assert web.request("POST", "/v1/scan", MESSAGE.encode(), {"X-Postern-CSRF": None}).status == 403


def test_control_socket(relay):
    answer = control(relay, "POST", "/v1/scan", MESSAGE)
    assert answer.status == 200 and answer.json["verdict"] == "block"


# ---- GET /v1/dns-lists

def test_dns_lists(postern):
    relay = postern(web=on(), checks={"dns_lists": {"lists": [{"zone": "dbl.spamhaus.org", "of": ["helo"]}, "lists.example"]}}, system={"workers": 2})
    told = administrator(relay).get("/v1/dns-lists").json
    shown = json.loads(relay.command("dns-lists", "--json").stdout)
    assert told["catalogue"] == shown["catalogue"] == json.loads(command("dns-lists", "--json", "--socket", "/nonexistent", check=0).stdout)["catalogue"]
    assert [x["zone"] for x in told["lists"]] == [x["zone"] for x in shown["lists"]] == ["dbl.spamhaus.org", "lists.example"]
    assert all({"state", "asked", "listed", "failed"} <= set(x) for x in told["lists"])
    catalogue = {x["zone"]: x for x in administrator(relay, "other").get("/v1/schema").json["x-dns-lists"]}
    assert set(catalogue) == {x["zone"] for x in told["catalogue"]} and catalogue["dbl.spamhaus.org"]["home"].startswith("https://")


# ---- the pages

@needs_browser
@pytest.mark.slow
def test_pages(postern, tmp_path):
    folder = tmp_path / "texts"
    (folder / "de").mkdir(parents=True)
    (folder / "de/failed.txt").write_text("Subject: Kaputt {id}\n\nTut uns leid: {recipients}\n")
    relay = postern(web=on(), attachments={"enabled": True}, notices={"templates": str(folder)}, zones=ZONES,
                    checks={"dns_lists": {"lists": ["zen.spamhaus.org"]}})
    wait_web(relay)
    make_account(relay, "root")
    drive("look", relay, tmp_path, message=MESSAGE, report=json.dumps(REPORT), list="zen.spamhaus.org")


def test_mail_goes_on(relay):
    with Smtp(relay.port) as c:
        c.ehlo()
        assert c.mail("a@client.example").code == 250
