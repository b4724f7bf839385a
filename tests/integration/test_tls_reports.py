# SPDX-License-Identifier: Apache-2.0
"""TLS reports (RFC 8460): what is counted, where reports go and what is in them, and reports of others."""
import email
import email.message
import email.policy
import gzip
import json
import re
import time

import pytest

from lib.daemon import postern as command
from lib.programs import Knot
from lib.sink import Sink
from lib.sts import PolicyServer, policy, port_443
from lib.util import wait_until
from lib.world import World

pytestmark = pytest.mark.slow

RECORD = '"v=STSv1; id=1;"'


class Domains(World):
    """Domains whose mail goes to servers of every kind, sinks for reports, and a server that takes them by HTTPS."""

    domains = {"plain": "good", "notls": "notls", "enforced": "good", "testing": "expired", "broken": "good", "web": "good",
               "both": "good", "nobody": "good", "stubborn": "good", "silent": "good"}

    def __init__(self, folder):
        super().__init__(folder)
        self.web = PolicyServer(folder / "web", self.ca)
        net = self.web.ip.rsplit(".", 1)[0]
        for number, (name, how) in enumerate({"good": {}, "expired": {"age": 60}, "notls": {"tls": False}}.items()):
            self.host(name, f"{net}.{251 + number}", [f"{name}.mx.test"], **how)
        self.reports = Sink()
        self.more += [self.reports, self.web]
        self.web.publish("enforced.test", policy("enforce", "*.mx.test", end="\n"))
        self.web.publish("testing.test", policy("testing", "expired.mx.test"))
        self.names = Knot(folder / "knot", {"test": self.zone()})

    def zone(self):
        out = "".join(f"{name}.mx A {ip}\n" for name, ip in self.ip.items())
        out += f"collect A {self.web.ip}\n"
        for name, host in self.domains.items():
            out += f"{name} MX 0 {host}.mx\nmta-sts.{name} A {self.web.ip}\n"
            if name in ("enforced", "testing", "broken"):
                out += f"_mta-sts.{name} TXT {RECORD}\n"
            if name not in ("nobody", "web", "both", "stubborn"):
                out += f'_smtp._tls.{name} TXT "v=TLSRPTv1;" " rua=mailto:tls@reports.test"\n'
        out += '_smtp._tls.web TXT "v=TLSRPTv1; rua=https://collect.test/v1/tls?key=1"\n'
        out += '_smtp._tls.both TXT "v=TLSRPTv1;rua=mailto:tls%2Bboth@reports.test?subject=x,https://collect.test/both"\n'
        out += '_smtp._tls.stubborn TXT "v=TLSRPTv1;rua=mailto:a%0Ab@reports.test"\n'
        return out

    def changes(self, **more):
        return {"routes": [*self.routes(f"{d}.test" for d in self.domains), {"to": "reports.test", "via": self.reports.hop}],
                "dns": {"servers": [self.names.server], "timeout": "5s"}, "tls": {"ca": str(self.ca.cert_file)},
                "delivery": {"mta_sts": True, "tls_reports": True, "tls_report_contact": "tls@postern.example", "messages_per_connection": 1},
                "postmaster": "postmaster@postern.example", "queue": {"retry_first": "300s", "retry_max": "300s"}, **more}


@pytest.fixture(scope="module")
def world(tmp_path_factory, make_world):
    return make_world(Domains, tmp_path_factory.mktemp("reports"), lacks=port_443())


@pytest.fixture
def relay(world, postern):
    world.reports.clear()
    world.web.posts.clear()
    return postern(**world.changes(system={"workers": 2}))


def deliver(relay, domain, times=1):
    """Each in a session of its own."""
    done = rf"delivered id=\S+ to=u@{domain}\.test "
    before = len(re.findall(done, relay.log()))
    for _ in range(times):
        relay.send(f"u@{domain}.test")
    wait_until(lambda: len(re.findall(done, relay.log())) - before == times, lambda: f"{times} for {domain}\n{relay.log_tail()}")


def report_of(message):
    """The JSON in a message, after a look at the message itself: RFC 8460 §5.3."""
    m = email.message_from_bytes(message.data, policy=email.policy.default)
    assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "tlsrpt"
    domain, submitter = m["TLS-Report-Domain"], m["TLS-Report-Submitter"]
    assert submitter == "mx.postern.example" and m["TLS-Required"] == "No" and m["MIME-Version"] == "1.0"
    assert m["Auto-Submitted"] == "auto-generated" and m["From"].addresses[0].addr_spec == "tls@postern.example"
    assert abs(time.time() - m["Date"].datetime.timestamp()) < 120
    subject = re.fullmatch(r"Report Domain: (\S+) Submitter: (\S+) Report-ID: <(\S+)>", m["Subject"])
    text, attachment = m.iter_parts()
    assert text.get_content_type() == "text/plain" and domain in text.get_content()
    assert attachment.get_content_type() == "application/tlsrpt+gzip"
    report = json.loads(gzip.decompress(attachment.get_content()))
    assert subject.groups() == (domain, submitter, report["report-id"])
    name = re.fullmatch(r"mx\.postern\.example!([^!]+)!(\d+)!(\d+)!\w+\.json\.gz", attachment.get_filename())
    assert name[1] == domain and int(name[3]) - int(name[2]) == 86399 and int(name[2]) % 86400 == 0
    check_fields(report, domain, int(name[2]))
    return report


def check_fields(report, domain, start):
    """RFC 8460 §4.4: nothing missing, nothing unknown."""
    def iso(at):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    assert set(report) == {"organization-name", "date-range", "contact-info", "report-id", "policies"}
    assert report["date-range"] == {"start-datetime": iso(start), "end-datetime": iso(start + 86399)}
    assert report["contact-info"] == "tls@postern.example" and report["organization-name"] == "mx.postern.example"
    for entry in report["policies"]:
        assert set(entry) <= {"policy", "summary", "failure-details"} and entry["policy"]["policy-domain"] == domain
        assert set(entry["policy"]) <= {"policy-type", "policy-string", "policy-domain", "mx-host"}
        assert set(entry["summary"]) == {"total-successful-session-count", "total-failure-session-count"}
        for detail in entry.get("failure-details", []):
            assert set(detail) <= {"result-type", "sending-mta-ip", "receiving-mx-hostname", "receiving-mx-helo", "receiving-ip",
                                   "failed-session-count", "additional-information", "failure-reason-code"}
        assert sum(d["failed-session-count"] for d in entry.get("failure-details", [])) == entry["summary"]["total-failure-session-count"]


def send_reports(relay, domain="", n=1):
    relay.command("tls-report", "send")
    if n:
        relay.wait_log(rf"tls-report-sent domain={domain}")


def mailed(world, n, rcpt="tls@reports.test"):
    got = world.reports.wait_to(rcpt, n, 30)
    reports = [report_of(m) for m in (got if n > 1 else [got])]
    return {r["policies"][0]["policy"]["policy-domain"]: r for r in reports}


def counts(entry):
    return entry["summary"]["total-successful-session-count"], entry["summary"]["total-failure-session-count"]


def test_what_is_counted(world, relay):
    """Over two workers, each kind of policy and failure; one report for a domain."""
    deliver(relay, "plain", 6)
    for domain in ("notls", "enforced", "testing", "broken"):
        deliver(relay, domain, 2)
    workers = set(re.findall(r"(relay-\d) delivered", relay.log()))
    assert workers == {"relay-0", "relay-1"}, "chance"
    send_reports(relay)
    got = mailed(world, 5)
    entry, = got["plain.test"]["policies"]
    assert counts(entry) == (6, 0) and entry["policy"] == {"policy-type": "no-policy-found", "policy-domain": "plain.test"}
    entry, = got["notls.test"]["policies"]
    detail, = entry["failure-details"]
    assert counts(entry) == (0, 2) and detail["result-type"] == "starttls-not-supported"
    assert detail["receiving-mx-hostname"] == "notls.mx.test" and detail["receiving-ip"] == world.ip["notls"]
    assert detail["sending-mta-ip"].startswith("127.")
    entry, = got["enforced.test"]["policies"]
    assert counts(entry) == (2, 0)
    assert entry["policy"] == {"policy-type": "sts", "policy-domain": "enforced.test", "mx-host": ["*.mx.test"], "policy-string": [
        "version: STSv1", "mode: enforce", "mx: *.mx.test", "max_age: 604800"]}
    entry, = got["testing.test"]["policies"]
    detail, = entry["failure-details"]
    assert counts(entry) == (0, 2) and detail["result-type"] == "certificate-expired" and "expired" in detail["failure-reason-code"]
    entry, = got["broken.test"]["policies"]
    detail, = entry["failure-details"]
    assert counts(entry) == (0, 2) and entry["policy"]["policy-type"] == "sts" and detail["result-type"] == "sts-policy-fetch-error"
    assert "404" in detail["failure-reason-code"]
    world.reports.wait_to("tls@reports.test", 5)
    assert {m.sender for m in world.reports.messages} == {"postmaster@postern.example"}
    # All is told, and told once.
    relay.command("tls-report", "send")
    time.sleep(2)
    assert len(world.reports.messages) == 5
    assert not list((relay.folder / "data/fetch").glob("counts-*"))


def test_signed(world, postern, tmp_path):
    """RFC 8460 §3: by the domain of who sends it."""
    pytest.importorskip("dkim")
    from lib.signing import RelayKey, verified
    world.reports.clear()
    key = RelayKey(tmp_path, "postern.example", "s")
    relay = postern(**world.changes(dkim={"keys": [key.entry]}))
    deliver(relay, "plain")
    send_reports(relay, "plain.test")
    assert verified(world.reports.wait_to("tls@reports.test", 1, 30).data, [key]) == [("postern.example", "s")]
    assert list(mailed(world, 1)) == ["plain.test"]


def test_by_https(world, relay):
    deliver(relay, "web", 2)
    send_reports(relay, "web.test")
    (host, path, fields, body), = world.web.posts
    assert (host.split(":")[0], path, fields["Content-Type"]) == ("collect.test", "/v1/tls?key=1", "application/tlsrpt+gzip")
    report = json.loads(gzip.decompress(body))
    check_fields(report, "web.test", int(time.time()) // 86400 * 86400)
    assert counts(report["policies"][0]) == (2, 0)
    assert not world.reports.messages


def test_by_both(world, relay):
    """An address with %-signs and header fields, which are not wanted."""
    deliver(relay, "both")
    send_reports(relay, 'both.test to="?mailto:tls%2Bboth@reports.test')
    relay.wait_log("tls-report-sent domain=both.test to=https://collect.test/both")
    report = mailed(world, 1, "tls+both@reports.test")["both.test"]
    assert json.loads(gzip.decompress(world.web.posts[0][3])) == report


def test_a_receiver_that_fails_does_not_hold_up_others(world, relay):
    world.web.post_status = 500
    try:
        for domain in ("web", "stubborn", "plain", "nobody"):
            deliver(relay, domain)
        send_reports(relay, "plain.test")
        assert list(mailed(world, 1)) == ["plain.test"]
        relay.wait_log("tls-report-not-sent domain=web.test .*the server answered 500")
        relay.wait_log("tls-report-not-wanted domain=nobody.test")
        relay.wait_log("tls-report-not-sent domain=stubborn.test .*not a mail address")
    finally:
        world.web.post_status = 201
    def kept():
        return {d for f in (relay.folder / "data/fetch").glob("counts-*.json") for d in json.loads(f.read_text())["domains"]}
    relay.stop()
    assert kept() == {"web.test", "stubborn.test"}  # nobody.test does not want to know
    relay.start()
    world.web.posts.clear()
    send_reports(relay, "web.test")
    assert len(world.web.posts) == 1


def test_counts_survive(world, relay):
    """A restart, and what another process left; both are told, in reports with names of their own."""
    deliver(relay, "plain", 2)
    relay.restart()
    deliver(relay, "plain")
    relay.command("tls-report", "send")
    got = [report_of(m) for m in world.reports.wait_to("tls@reports.test", 2, 30)]
    assert sorted(counts(r["policies"][0])[0] for r in got) == [1, 2]
    assert len({r["report-id"] for r in got}) == 2


def test_reload(world, relay):
    """The old process and the new one each have counts; nothing is told twice."""
    deliver(relay, "plain", 2)
    relay.command("reload")
    relay.wait_log("helper-ended")
    deliver(relay, "plain", 3)
    relay.command("tls-report", "send")
    got = [report_of(m) for m in world.reports.wait_to("tls@reports.test", 2, 30)]
    assert sorted(counts(r["policies"][0])[0] for r in got) == [2, 3]


def test_days_that_are_over(world, relay):
    relay.stop()
    today = int(time.time()) // 86400 * 86400
    folder = relay.folder / "data/fetch"
    def left(day, name):
        entry = {"policy": {"policy-type": "no-policy-found", "policy-domain": "plain.test"},
                 "summary": {"total-successful-session-count": 7, "total-failure-session-count": 0}}
        (folder / name).write_text(json.dumps({"day": day, "domains": {"plain.test": [entry]}}))
    left(today - 86400, f"counts-{today - 86400}-999999-0.json")
    left(today - 86400 * 9, f"counts-{today - 86400 * 9}-999999-0.json")
    left(today - 86400, f"counts-{today - 86400}-1-0.json")                 # a process that lives
    left(today, f"counts-{today - 86400}-999998-0.json")                    # not what it says it is
    (folder / f"counts-{today - 86400}-999997-0.json").write_text("{")
    (folder / f"counts-{today - 86400}-999996-0.json.part").write_text("{")
    relay.start()
    send_reports(relay, "plain.test")
    report, = mailed(world, 1).values()
    assert counts(report["policies"][0]) == (7, 0)
    assert report["date-range"]["start-datetime"] == time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(today - 86400))
    wait_until(lambda: [f.name for f in folder.glob("counts-*")] == [f"counts-{today - 86400}-1-0.json"], lambda: list(folder.glob("*")))


def test_switched_off(world, postern):
    r = postern(**world.changes(delivery={"mta_sts": True}))
    deliver(r, "plain")
    assert "tls_reports is off" in r.command("tls-report", "send", check=78).stderr
    assert not list((r.folder / "data/fetch").glob("counts-*"))


# ---- reports of others

REPORT = {"organization-name": "Company-X", "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
          "contact-info": "sts-reporting@company-x.example", "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
          "policies": [{"policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example",
                                                                            "max_age: 86400"],
                                   "policy-domain": "company-y.example", "mx-host": ["*.mail.company-y.example"]},
                        "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
                        "failure-details": [{"result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:0012::1",
                                             "receiving-mx-hostname": "mx1.mail.company-y.example", "failed-session-count": 100},
                                            {"result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:0013::1",
                                             "receiving-mx-hostname": "mx2.mail.company-y.example", "receiving-ip": "203.0.113.56",
                                             "failed-session-count": 200, "failure-reason-code": "X509_V_ERR"}]}]}


def message_with(content, kind="gzip", encoding="base64", epilogue=""):
    m = email.message.EmailMessage(policy=email.policy.SMTP)
    m["From"], m["To"], m["Subject"] = "a@company-x.example", "tls@company-y.example", "Report"
    m["TLS-Report-Domain"] = "company-y.example"
    m.set_content("This is an aggregate TLS report.\n-- \nlines that look like more\n")
    m.add_attachment(content, "application", f"tlsrpt+{kind}", filename="company-x.example!company-y.example!1!2!001.json.gz", cte=encoding)
    return m.as_bytes() + epilogue.encode()


def test_show(tmp_path):
    text = json.dumps(REPORT, indent=1).encode()
    forms = {"json": text, "gz": gzip.compress(text), "mail": message_with(gzip.compress(text)),
             "mail.json": message_with(text, "json"), "lf": message_with(gzip.compress(text)).replace(b"\r\n", b"\n"),
             "quoted": message_with(text, "json", "quoted-printable"), "upper": message_with(gzip.compress(text)).replace(
                 b"Content-Type: application/tlsrpt+gzip", b"content-type:  Application/TLSRPT+gzip")}
    shown = set()
    for name, content in forms.items():
        (tmp_path / name).write_bytes(content)
        done = command("tls-report", "show", tmp_path / name, check=0)
        shown.add(done.stdout)
        assert json.loads(command("tls-report", "show", tmp_path / name, "--json", check=0).stdout) == REPORT, name
    out, = shown
    assert "Company-X" in out and "company-y.example (sts): 5326 sessions well, 303 failed" in out
    assert re.search(r"200 x starttls-not-supported at mx2.mail.company-y.example.*2001:db8:abcd:0013::1\n\s+X509_V_ERR", out)
    assert all(len(line) <= 120 for line in out.splitlines())


def test_show_our_own(world, relay, tmp_path):
    deliver(relay, "plain")
    send_reports(relay, "plain.test")
    (tmp_path / "mail").write_bytes(world.reports.wait_to("tls@reports.test").data)
    assert "plain.test (no-policy-found): 1 sessions well, 0 failed" in command("tls-report", "show", tmp_path / "mail", check=0).stdout


HOSTILE = {
    "empty": b"", "text": b"hello\n", "cut": gzip.compress(json.dumps(REPORT).encode())[:100], "list": b"[]", "nothing": b"{}",
    "number": b'{"policies": 7}', "bomb": gzip.compress(b" " * (40 << 20)), "deep": b'{"policies":' + b"[" * 100000,
    "message": b"From: a@b.example\r\n\r\nno attachment\r\n", "half": message_with(b"\x1f\x8b\x08\0\0")[:-40],
    "base64": message_with(b"xyz").replace(b"eHl6", b"e!l6"), "large": b"{" + b" " * (40 << 20),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path, name):
    (tmp_path / name).write_bytes(HOSTILE[name])
    for options in ([], ["--json"]):
        done = command("tls-report", "show", tmp_path / name, *options, check=None)
        assert done.returncode == 65 or name == "large" and done.returncode in (65, 66)
        assert done.stderr.startswith("postern tls-report: ") and not done.stdout


def test_hostile_words(tmp_path):
    """What a report says does not reach the terminal as it is."""
    report = json.loads(json.dumps(REPORT))
    report["organization-name"] = "a\x1b[2Jb\n\x9b\u202e"
    report["policies"] += [7, None, {"policy": [], "summary": "x", "failure-details": [3, {"failed-session-count": "many"}]}]
    report["policies"][0]["failure-details"][0]["result-type"] = "x" * 100000
    (tmp_path / "report").write_text(json.dumps(report))
    out = command("tls-report", "show", tmp_path / "report", check=0).stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out) and len(out) < 5000
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", command("tls-report", "show", tmp_path / "report", "--json", check=0).stdout)


def test_no_file(tmp_path):
    done = command("tls-report", "show", tmp_path / "none", check=66)
    assert "none" in done.stderr
    assert command("tls-report", check=64) and command("tls-report", "show", check=64) and command("tls-report", "other", "x", check=64)


def test_standard_input():
    assert "company-y.example" in command("tls-report", "show", "-", stdin=json.dumps(REPORT), check=0).stdout
