# SPDX-License-Identifier: Apache-2.0
"""MTA-STS (RFC 8461): what policies make of hosts and their certificates, policies that cannot be had, and those that are kept."""
import json
import os
import pathlib
import re
import shutil
import signal
import tempfile
import time

import pytest

from lib.daemon import Postern, group_alive
from lib.sts import HidingNames, Page, PolicyServer, policy, port_443
from lib.util import BINARY, ROOT, wait_until
from lib.world import World, outcome

pytestmark = pytest.mark.slow

RELEASE = pathlib.Path(os.environ.get("POSTERN_RELEASE", ROOT / "build/postern"))
HOSTS = {"good": {}, "second": {}, "expired": {"age": 60}, "wrongname": {"names": ["another.example"]}, "selfsigned": {"by": None},
         "notls": {"tls": False}}
ANY = "*.mx.test"
RECORD = '"v=STSv1; id=1;"'

# Domain: its MX hosts, its policy (None: nobody answers at mta-sts.DOMAIN), what comes of mail (the letters of outcome()) and why.
CASES = {
    "good": (["good"], policy("enforce", "good.mx.test"), "v", None),
    "wild": (["good"], policy("enforce", "other.example", ANY, end="\n"), "v", None),
    "deeper": (["good"], policy("enforce", "*.test"), "-", r"4\.7\.5 .*none of the MX hosts that the MTA-STS policy of deeper.test names"),
    "other": (["good"], policy("enforce", "other.mx.test"), "-", r"4\.7\.5 .*none of the MX hosts that the MTA-STS policy of other.test names"),
    "next": (["good", "second"], policy("enforce", "second.mx.test"), "v", None),
    "notls": (["notls"], policy("enforce", ANY), "-", r"4\.7\.4 .*does not offer STARTTLS \(MTA-STS policy of notls.test\)"),
    "expired": (["expired"], policy("enforce", ANY), "-", r"4\.7\.5 .*has expired \(MTA-STS policy of expired.test\)"),
    "wrongname": (["wrongname"], policy("enforce", ANY), "-", r"4\.7\.5 .*for another.example, not for wrongname.mx.test \(MTA-STS policy of"),
    "selfsigned": (["selfsigned"], policy("enforce", ANY), "-", r"4\.7\.5 .*self-signed \(MTA-STS policy of selfsigned.test\)"),
    "testgood": (["good"], policy("testing", ANY), "v", None),
    "testother": (["good"], policy("testing", "other.mx.test"), "v", None),
    "testnotls": (["notls"], policy("testing", ANY), "p", None),
    "testexpired": (["expired"], policy("testing", ANY), "e", None),
    "off": (["expired"], policy("none", ANY), "e", None),
    "norecord": (["expired"], policy("enforce", ANY), "e", None),
    "tworecords": (["expired"], policy("enforce", ANY), "e", None),
    "dnsfails": (["expired"], policy("enforce", ANY), "e", None),
    "nohost": (["expired"], policy("enforce", ANY), "e", "the policy's host has no address"),
    "down": (["expired"], None, "e", "sts-policy-fetch-error"),
    "badcert": (["expired"], policy("enforce", ANY), "e", "sts-webpki-invalid"),
    "othercert": (["expired"], policy("enforce", ANY), "e", "sts-webpki-invalid"),
    "owncert": (["expired"], policy("enforce", ANY), "e", "sts-webpki-invalid"),
    "missing": (["expired"], Page(b"", 404), "e", "the policy's server answered 404"),
    "redirect": (["expired"], Page(b"", 302, fields=[("Location", "https://mta-sts.good.test/.well-known/mta-sts.txt")]), "e",
                 "the policy's server answered 302"),
    "html": (["expired"], Page(policy("enforce", ANY), kind="text/html"), "e", "sts-policy-invalid.* not text/plain"),
    "charset": (["expired"], Page(policy("enforce", ANY), kind="text/plain; charset=utf-8"), "-", "has expired"),
    "nul": (["expired"], Page(policy("enforce", ANY) + b"a\0b: c\r\n"), "e", "control characters"),
    "broken": (["expired"], Page(b"mode: enforce\n"), "e", "sts-policy-invalid"),
    "big": (["expired"], Page(policy("enforce", ANY) + b"more: text\r\n" * 90000), "e", "sts-policy-fetch-error.*the answer is too large"),
    "fields": (["expired"], Page(policy("enforce", ANY), fields=[(f"X-{i}", "y" * 900) for i in range(90)]), "e",
               "sts-policy-fetch-error.*the answer is too large"),
    "slow": (["expired"], Page(policy("enforce", ANY) * 1000, slow=1), "e", "sts-policy-fetch-error"),
    "unwanted": (["expired"], policy("enforce", ANY), "e", None),  # switched off for it
}
DANE = {"danewins": ("selfsigned", True, policy("enforce", "other.example"), "d", None),
        "danefails": ("good", False, policy("enforce", ANY), "-", "none of the TLSA records matches")}


class Policies(World):
    """Sinks as MX hosts, each at an address of its own; a name server; a server of policies."""

    def __init__(self, folder):
        super().__init__(folder)
        self.policies = PolicyServer(folder / "web", self.ca)
        third = self.policies.ip.split(".")[2]
        for number, (name, how) in enumerate(HOSTS.items()):
            ip = f"127.0.{third}.{number + 1 if number + 1 < int(self.policies.ip.split('.')[3]) else number + 2}"
            self.host(name, ip, **{"names": [f"{name}.mx.test", f"{name}.signed.test"], **how})
        for name, (_, text, *_) in list(CASES.items()):
            if text:
                self.policies.publish(f"{name}.test", text)
        for name, (_, _, text, *_) in DANE.items():
            self.policies.publish(f"{name}.signed.test", text)
        self.policies.pair("mta-sts.badcert.test", age=60)
        self.policies.pair("mta-sts.othercert.test", names=["mta-sts.good.test"])
        self.policies.pair("mta-sts.owncert.test", by=None)
        self.serve({"test": self.plain(), "signed.test": self.signed()}, ["signed.test"])
        self.resolver = HidingNames(self.names.port)
        self.resolver.failing.add("_mta-sts.dnsfails.test")
        self.more += [self.resolver, self.policies]

    def plain(self):
        out = "".join(f"{name}.mx A {ip}\n" for name, ip in self.ip.items()) + "signed NS ns\n"
        for name, (hosts, text, *_) in CASES.items():
            out += "".join(f"{name} MX {i} {host}.mx\n" for i, host in enumerate(hosts))
            if name != "nohost":
                out += f"mta-sts.{name} A {self.policies.ip if text else '127.0.99.1'}\n"
            if name != "norecord":
                out += f"_mta-sts.{name} TXT {RECORD}\n"
        out += '_mta-sts.tworecords TXT "v=STSv1; id=2;"\n'
        for name in [f"cache{i}" for i in range(8)]:
            out += f"{name} MX 0 expired.mx\nmta-sts.{name} A {self.policies.ip}\n_mta-sts.{name} TXT {RECORD}\n"
        return out

    def signed(self):
        out = "".join(f"{name} A {ip}\n" for name, ip in self.ip.items())
        for name, (host, right, *_) in DANE.items():
            pair = self.pairs[host if right else "second"]
            out += f"{name} MX 0 {host}\nmta-sts.{name} A {self.policies.ip}\n_mta-sts.{name} TXT {RECORD}\n"
            out += f"_{self.port}._tcp.{host} TLSA {pair.tlsa(3)}\n"
        return out

    def changes(self, domains, **more):
        """The configuration of a relay: its mail goes to the MX hosts of these domains."""
        return {"routes": self.routes(domains), "dns": self.dns(self.resolver), "tls": {"ca": str(self.ca.cert_file)}, "timeouts": {"connect": "3s"},
                "queue": {"retry_first": "300s", "retry_max": "300s"}, **more}


@pytest.fixture(scope="module")
def world(make_world):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-sts-"))  # those who gave up root must come through
    folder.chmod(0o755)
    yield make_world(Policies, folder, lacks=port_443())
    shutil.rmtree(folder, ignore_errors=True)


def full(name):
    return f"{name}.signed.test" if name in DANE else f"{name}.test"


@pytest.fixture(scope="module")
def relay(world, module_postern):
    """All of it is sent at once."""
    names = [*CASES, *DANE]
    r = module_postern(**world.changes(map(full, names), delivery={"mta_sts": True, "tls": "dane"},
                                       tls_policies=[{"to": "unwanted.test", "mta_sts": False}]))
    for name in names:
        r.send(f"u@{full(name)}")
    return r


def wait_outcome(relay, rcpt, seconds=15):
    return wait_until(lambda: outcome(relay, rcpt), lambda: f"an end for {rcpt}\n{relay.log_tail()}", seconds, 0.2)


@pytest.mark.parametrize("name", [*CASES, *DANE])
def test_policies(world, relay, name):
    *_, expected, why = CASES.get(name) or DANE[name]
    assert wait_outcome(relay, f"u@{full(name)}", 90 if name == "slow" else 15) == expected
    came = [m for sink in world.sinks.values() for m in sink.to(f"u@{full(name)}")]
    assert len(came) == (expected != "-")
    if expected == "-":
        message = next(m for m in relay.queue() if f"mx:{full(name)}:" in str(m))
        shown = relay.command("queue", "show", message["id"]).stdout
        assert re.search(why, shown) and "bounced" not in shown, shown
    elif why:
        relay.wait_log(rf"sts-policy domain={re.escape(full(name))} .*{why}")
    if name in ("norecord", "tworecords", "unwanted"):
        assert not world.policies.asked_for(full(name))
    if name == "redirect":
        assert world.policies.asked_for("good.test") <= 1


def test_failures_are_not_repeated_at_once(world, relay):
    """RFC 8461 §3.3: not within five minutes."""
    wait_outcome(relay, "u@missing.test")
    asked = world.policies.asked_for("missing.test")
    relay.send("again@missing.test")
    wait_outcome(relay, "again@missing.test")
    assert world.policies.asked_for("missing.test") == asked == 1


def test_one_domain_only(world, postern):
    r = postern(**world.changes(["expired.test", "selfsigned.test"], tls_policies=[{"to": "expired.test", "mta_sts": True}]))
    r.send("one@expired.test")
    r.send("one@selfsigned.test")
    assert wait_outcome(r, "one@expired.test") == "-"
    assert wait_outcome(r, "one@selfsigned.test") == "e"


def test_not_asked_for(world, postern):
    before = len(world.policies.asked)
    r = postern(**world.changes(["expired.test"]))
    r.send("off@expired.test")
    assert wait_outcome(r, "off@expired.test") == "e"
    assert len(world.policies.asked) == before and not (r.folder / "data/fetch").exists()


# ---- what is kept

def fetch_pid(relay):
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.getpgid(int(entry)) == relay.process.pid:
                if pathlib.Path(f"/proc/{entry}/comm").read_text().strip() == "fetch":
                    return int(entry)
        except OSError:
            continue
    return None


def learn(world, postern, domain, text):
    world.policies.publish(domain, text)
    r = postern(**world.changes([domain], delivery={"mta_sts": True}))
    r.send(f"first@{domain}")
    return r


def forget(world, domain):
    """The domain takes back everything it published."""
    world.policies.publish(domain, Page(b"", 404))
    world.resolver.hidden |= {f"_mta-sts.{domain}", f"mta-sts.{domain}"}


LOST = {"record": "cache0.test", "server": "cache1.test", "killed": "cache2.test", "killed at once": "cache3.test", "reload": "cache6.test"}


@pytest.mark.parametrize("lost", LOST)
def test_a_policy_outlives(world, postern, lost):
    domain = LOST[lost]
    r = learn(world, postern, domain, policy("enforce", ANY))
    assert wait_outcome(r, f"first@{domain}") == "-"
    if lost == "killed at once":
        wait_until(lambda: (r.folder / "data/fetch/policies.json").exists(), "the policy on disk", 5)
        group = r.process.pid
        r.kill()
        wait_until(lambda: not group_alive(group), "its processes to end")
        forget(world, domain)
        r.start()
    elif lost == "reload":
        forget(world, domain)
        r.command("reload")
        r.wait_log("helper-ended")
    elif lost == "server":
        world.policies.publish(domain, Page(b"", 500))
        world.resolver.hidden.add(f"mta-sts.{domain}")
        r.restart()
    else:
        forget(world, domain)
        r.restart()
    if lost == "killed":
        pid = wait_until(lambda: fetch_pid(r), "the fetch process")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: fetch_pid(r) not in (None, pid), lambda: f"another fetch process\n{r.log_tail()}")
    seen = len(r.log())
    r.send(f"second@{domain}")
    wait_until(lambda: len(re.findall(r"destination-down", r.log()[seen:])) or "has expired" in r.log()[seen:], lambda: r.log_tail())
    assert not world.sinks["expired"].to(f"second@{domain}") and not world.sinks["expired"].to(f"first@{domain}")
    assert any("MTA-STS policy of" in r.command("queue", "show", m["id"]).stdout for m in r.queue())


def test_a_policy_ends(world, postern):
    """After max_age there is none, when it cannot be had again."""
    domain = "cache4.test"
    r = learn(world, postern, domain, policy("enforce", ANY, age=4))
    assert wait_outcome(r, f"first@{domain}") == "-"
    forget(world, domain)
    time.sleep(4)
    r.restart({"queue": {"retry_first": "1s", "retry_max": "1s"}})
    assert wait_until(lambda: world.sinks["expired"].to(f"first@{domain}"), lambda: r.log_tail(), 30)


def test_a_new_policy_is_taken(world, postern):
    """With a new id in the record; and what is not a policy any more does not count against the one that is kept."""
    domain = "cache5.test"
    r = learn(world, postern, domain, policy("enforce", ANY))
    assert wait_outcome(r, f"first@{domain}") == "-"
    world.policies.publish(domain, policy("none"))
    kept = r.folder / "data/fetch/policies.json"
    r.stop()
    known = json.loads(kept.read_text())
    assert known[domain]["policy"][:2] == ["version: STSv1", "mode: enforce"] and known[domain]["id"] == "1"
    known[domain]["id"] = "0"
    kept.write_text(json.dumps(known))
    r.start()
    r.send(f"second@{domain}")
    world.sinks["expired"].wait_to(f"second@{domain}")


@pytest.mark.slow
def test_a_policy_is_refreshed(world, postern):
    """RFC 8461 §3.3: before it ends, though nobody asks."""
    domain = "cache7.test"
    r = learn(world, postern, domain, policy("enforce", ANY))
    assert wait_outcome(r, f"first@{domain}") == "-"
    r.command("queue", "delete", "--all", "--yes")
    r.stop()
    kept = r.folder / "data/fetch/policies.json"
    known = json.loads(kept.read_text())
    known[domain]["refresh"] = 1
    kept.write_text(json.dumps(known))
    before = world.policies.asked_for(domain)
    r.start()
    wait_until(lambda: world.policies.asked_for(domain) == before + 1, "another look at the policy", 40)
    wait_until(lambda: json.loads(kept.read_text())[domain]["refresh"] > time.time() * 1000, "the new one on disk")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cache0.test": 1, "x": {"id": "1", "until": 9e99, "policy": [7]}}', "\0\0"])
def test_a_damaged_file(world, postern, tmp_path, text):
    r = postern(**world.changes(["good.test", "expired.test"], delivery={"mta_sts": True}))
    r.stop()
    (r.folder / "data/fetch/policies.json").write_text(text)
    r.start()
    r.send("file@good.test")
    r.send("file@expired.test")
    assert wait_outcome(r, "file@good.test") == "v"
    assert wait_outcome(r, "file@expired.test") == "-"


def test_without_the_fetch_process(world, postern):
    """Mail waits for it, and goes out when it is back."""
    r = postern(**world.changes(["good.test"], delivery={"mta_sts": True}))
    pid = wait_until(lambda: fetch_pid(r), "the fetch process")
    os.kill(pid, signal.SIGSTOP)
    r.send("wait@good.test")
    time.sleep(1)
    assert not world.sinks["good"].to("wait@good.test")
    os.kill(pid, signal.SIGKILL)
    assert wait_outcome(r, "wait@good.test") == "v"


@pytest.mark.root
@pytest.mark.parametrize("binary", ["test", "release"])
def test_sandbox(world, binary):
    """Without root, within Landlock and the filter of system calls it does the same."""
    if binary == "release" and not RELEASE.exists():
        pytest.skip("the release binary is not built: make")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-users-"))
    folder.chmod(0o755)
    changes = world.changes(["good.test", "expired.test"], delivery={"mta_sts": True, "tls_reports": True},
                            system={"user": "nobody", "admin_user": "daemon"})
    r = Postern(folder / "relay", changes, start=False)
    r.binary = RELEASE if binary == "release" else BINARY
    try:
        r.start()
        r.send("box@good.test")
        r.send("box@expired.test")
        assert wait_outcome(r, "box@good.test") == "v"
        assert wait_outcome(r, "box@expired.test") == "-"
        pid = fetch_pid(r)
        fields = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        assert fields["Uid"].split()[0] != "0" and fields["NoNewPrivs"] == "1" and int(fields["CapEff"], 16) == 0
        assert fields["Seccomp"] == ("2" if binary == "release" else "0")
        targets = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert not [t for t in targets if str(folder) in t and t != str(r.log_path)], targets
        wait_until(lambda: (folder / "relay/data/fetch/policies.json").exists(), "policies on disk")
        r.command("tls-report", "send")
        r.wait_log("tls-report-not-wanted domain=expired.test")
        wait_until(lambda: not list((folder / "relay/data/fetch").glob("counts-*")), "the counts to be gone")
    finally:
        try:
            r.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
