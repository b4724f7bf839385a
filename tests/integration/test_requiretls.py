# SPDX-License-Identifier: Apache-2.0
"""REQUIRETLS (RFC 8689) towards next hops that are found by MX records: what a host must prove, that each host is tried, that other mail
goes its own way, and what becomes of bounces."""
import email

import pytest

from lib.sink import Sink
from lib.util import free_port, wait_until
from lib.world import World

EXTENSIONS = ["PIPELINING", "8BITMIME", "REQUIRETLS"]
HOSTS = {"good": {}, "spare": {}, "lacks": {"extensions": EXTENSIONS[:2]}, "wrongname": {"names": ["another.example"]}, "clear": {"tls": False},
         "keyed": {"names": ["another.example"]}}
DOMAINS = {  # their MX hosts, the best first
    "first": ["good"], "second": ["lacks", "wrongname", "clear", "spare"], "lack": ["lacks"], "unproven": ["wrongname"],
    "clear": ["clear"], "down": ["lacks", "nobody"], "dane": ["keyed"],
    "gone": ["lacks"], "lost": ["lacks"],
}


class Hosts(World):
    def __init__(self, folder, make):
        super().__init__(folder)
        self.make, records = make, "nobody A 127.0.2.99\n"
        for number, (name, how) in enumerate(HOSTS.items()):
            self.host(name, f"127.0.2.{number + 1}", **{"names": [f"{name}.signed.test"], "extensions": EXTENSIONS, **how})
            records += f"{name} A {self.ip[name]}\n"
        for domain, hosts in DOMAINS.items():
            records += "".join(f"{domain}-mail MX {10 * (i + 1)} {host}\n" for i, host in enumerate(hosts))
        records += f"_{self.port}._tcp.keyed TLSA {self.pairs['keyed'].tlsa(3)}\n"
        self.serve({"signed.test": records, "plain.test": "mail MX 10 good.signed.test.\n"}, ["signed.test"])

    def relay(self, **changes):
        domains = [f"{d}-mail.signed.test" for d in DOMAINS] + ["mail.plain.test"]
        return self.make(routes=self.routes(domains) + changes.pop("routes", []), dns=self.dns(self.names),
                         tls={"ca": str(self.ca.cert_file)}, **changes)

    def clear(self):
        for sink in self.sinks.values():
            sink.clear()
            sink.sessions.clear()


@pytest.fixture(scope="module")
def world(tmp_path_factory, module_postern, make_world):
    return make_world(Hosts, tmp_path_factory.mktemp("requiretls"), module_postern)


@pytest.fixture(scope="module")
def back():
    sink = Sink()
    yield sink
    sink.stop()


@pytest.fixture(scope="module")
def relay(world, back):
    """Bounces go to `back`, which has no TLS, and the postmaster's notices as well."""
    return world.relay(routes=[{"to": "client.example", "via": back.hop}, {"to": "mx.postern.example", "via": back.hop}], smarthost=back.hop, delivery={"idle": "1s"})


def send(relay, to, sender="a@client.example", params="REQUIRETLS", expect=250):
    with relay.trusted() as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        c.mail(sender, params)
        c.rcpt(to, expect=expect)
        if expect == 250:
            c.data("Subject: q\n\nq\n")


def test_delivered(world, relay):
    send(relay, "u@first-mail.signed.test")
    message = world.sinks["good"].wait_to("u@first-mail.signed.test")
    assert message.tls and "REQUIRETLS" in message.mail_params


def test_dane_is_a_proof(world, relay):
    """Whatever the names in the certificate."""
    send(relay, "u@dane-mail.signed.test")
    assert "REQUIRETLS" in world.sinks["keyed"].wait_to("u@dane-mail.signed.test").mail_params
    relay.wait_log("delivered .*u@dane-mail.signed.test.*tls_proof=dane")


def test_each_host_is_tried(world, relay):
    """Section 4.2.1: QUIT, and on to the next host."""
    world.clear()
    send(relay, "u@second-mail.signed.test")
    world.sinks["spare"].wait_to("u@second-mail.signed.test")
    for name in ("lacks", "wrongname", "clear"):
        assert not world.sinks[name].messages and world.sinks[name].sessions
        assert not any(c.upper().startswith("MAIL") for s in world.sinks[name].sessions for c in s.commands)
    wait_until(lambda: "QUIT" in world.sinks["lacks"].sessions[0].commands, "a farewell")


@pytest.mark.parametrize("domain, why", [("lack-mail.signed.test", r"5\.7\.30 lacks.* does not offer REQUIRETLS"),
                                         ("unproven-mail.signed.test", r"5\.7\.10 wrongname.*certificate is for another\.example"),
                                         ("clear-mail.signed.test", r"5\.7\.10 clear.*does not offer STARTTLS"),
                                         ("mail.plain.test", r"5\.7\.10 good.*neither signed \(DNSSEC\) nor confirmed by MTA-STS")])
def test_returned(world, relay, domain, why):
    """At once, and nothing of it was sent. Other mail is taken by the same host."""
    send(relay, f"r@{domain}")
    relay.wait_log(rf"bounced id=\S+ to=r@{domain} .*{why}")
    relay.send(f"plain@{domain}")
    assert all(not s.to(f"r@{domain}") for s in world.sinks.values())
    wait_until(lambda: any(s.to(f"plain@{domain}") for s in world.sinks.values()), "other mail")


def test_a_host_that_is_down_may_come_back(world, relay):
    """One of two hosts cannot be reached: nobody knows yet that it would not do."""
    send(relay, "u@down-mail.signed.test")
    relay.wait_log(r"destination-down destination=\S*down-mail.signed.test:\d+,requiretls")
    assert "to=u@down-mail.signed.test" not in "".join(line for line in relay.log().splitlines() if "bounced" in line)
    assert any("down-mail" in str(m) for m in relay.queue())


def test_sessions_are_not_shared(world, relay):
    """Mail that asks for nothing opens the connection, mail with REQUIRETLS does not go over it, nor the other way round."""
    world.clear()
    for i in range(3):
        relay.send(f"n{i}@first-mail.signed.test")
        send(relay, f"q{i}@first-mail.signed.test")
    for i in range(3):
        world.sinks["good"].wait_to(f"n{i}@first-mail.signed.test")
        world.sinks["good"].wait_to(f"q{i}@first-mail.signed.test")
    for s in world.sinks["good"].sessions:
        mails = [c for c in s.commands if c.upper().startswith("MAIL")]
        assert len({"REQUIRETLS" in c for c in mails}) <= 1


def test_bounces_ask_for_it_too(world, relay, back):
    """Section 5: to a sender whose server offers it; and to no other."""
    send(relay, "r@gone-mail.signed.test", sender="me@first-mail.signed.test")
    message = world.sinks["good"].wait_to("me@first-mail.signed.test")
    parsed = email.message_from_bytes(message.data)
    assert message.sender == "" and "REQUIRETLS" in message.mail_params and b"5.7.30" in message.data
    assert parsed.get_content_type() == "multipart/report"
    send(relay, "r@lost-mail.signed.test")
    relay.wait_log("postmaster-notice-failed")  # neither the bounce nor the notice may go there
    assert not back.to("a@client.example"), "a bounce in the clear"


def test_probe_that_fails_puts_no_mail_off(postern, make_sink):
    """What a next hop takes is asked when a recipient is named; it is down then, and up when the mail comes."""
    port = free_port()
    relay = postern(domains=[{"name": "example.com", "deliver": f"127.0.0.1:{port}"}], queue={"retry_first": "10m", "retry_max": "10m"})
    with relay.client() as c:
        c.ehlo()
        c.mail("a@client.example")
        c.rcpt("b@example.com")
        relay.wait_log("connection-failed")
        sink = make_sink(port=port)
        c.data("Subject: q\n\nq\n")
    sink.wait_to("b@example.com")
    assert "destination-down" not in relay.log()
