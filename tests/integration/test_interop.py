# SPDX-License-Identifier: Apache-2.0
"""With real mail programs on both sides: Postfix as client and as server, swaks."""
import subprocess

import pytest

from lib.programs import have, swaks
from lib.smtp import Smtp, stuffed


@pytest.fixture
def relay(postern, sink):
    r = postern(domains=[{"name": "example.com", "deliver": sink.hop}], smarthost=sink.hop)
    r.sink = sink
    return r


@pytest.mark.root
def test_from_postfix(relay, postfix):
    source = postfix(f"127.0.0.1:{relay.port}", smtp_bind_address="127.0.0.2")
    text = "Subject: by Postfix\n\n" + "".join(f".line {i} {'x' * (i % 200)}\n" for i in range(3000))
    body = text.split("\n\n")[1].replace("\n", "\r\n").encode()
    with source.client() as c:
        c.ehlo()
        for i in range(10):
            c.message([f"pf{i}@example.com", f"other{i}@example.com"], text)
    for i in range(10):
        message = relay.sink.wait_to(f"pf{i}@example.com", seconds=40)
        assert message.body == body and len(message.rcpts) == 2


@pytest.mark.root
def test_to_postfix(postern, sink, postfix):
    target = postfix(sink.hop)
    relay = postern(domains=[{"name": "example.com", "deliver": target.hop}])
    text = "Subject: to Postfix\n\n" + "".join(f"..line {i}\n" for i in range(3000))
    body = text.split("\n\n")[1].replace("\n", "\r\n").encode()
    with relay.trusted() as c:
        c.ehlo()
        for i in range(10):
            c.message([f"pf{i}@example.com", f"other{i}@example.com"], text)
    for i in range(10):
        assert sink.wait_to(f"pf{i}@example.com", seconds=40).body == body
    relay.wait_queue_empty()


@pytest.mark.root
def test_postfix_refuses_and_the_sender_is_told(postern, sink, postfix):
    target = postfix(sink.hop, smtpd_recipient_restrictions="check_recipient_access "
                     "inline:{{nobody@example.com=550 5.1.1 unknown here}},permit")
    relay = postern(domains=[{"name": "example.com", "deliver": target.hop}], smarthost=sink.hop)
    relay.send(["nobody@example.com", "somebody@example.com"])
    sink.wait_to("somebody@example.com", seconds=40)
    assert b"unknown here" in sink.wait_to("sender@client.example").data


@pytest.mark.slow
@pytest.mark.root
def test_large_message_through_both(relay, postfix):
    source = postfix(f"127.0.0.1:{relay.port}", smtp_bind_address="127.0.0.2", message_size_limit="20000000")
    body = b"x" * 900 + b"\r\n" + (b"y" * 76 + b"\r\n") * 50000
    with Smtp(source.port) as c:
        c.ehlo()
        c.message("large@example.com", b"Subject: large\r\n\r\n" + body)
    assert relay.sink.wait_to("large@example.com", seconds=40).body == body


needs_swaks = pytest.mark.skipif(not have("swaks"), reason="swaks is not installed")


@pytest.mark.daily(1)
@needs_swaks
@pytest.mark.parametrize("options", [(), ("--pipeline",), ("--protocol", "SMTP")], ids=str)
def test_swaks(relay, options):
    swaks(relay.port, "swaks@example.com", "--header", "Subject: by swaks", "--body", "first\n.second\n", *options)
    assert b"by swaks" in relay.sink.wait_to("swaks@example.com").header


@needs_swaks
def test_swaks_over_tls(relay):
    done = swaks(relay.port, "swaks-tls@example.com", "-tls", check=None)
    if "not available" in done.stdout + done.stderr:
        pytest.skip("swaks has no TLS module")
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"ESMTPS" in relay.sink.wait_to("swaks-tls@example.com").header


@needs_swaks
def test_swaks_as_a_stranger(relay):
    assert swaks(relay.port, "victim@foreign.example", source="127.0.0.1", check=24).returncode == 24


@pytest.mark.skipif(not have("s-nail"), reason="s-nail is not installed")
def test_s_nail(relay):
    done = subprocess.run(["s-nail", "-:/", "-S", "v15-compat", "-S", f"mta=smtp://127.0.0.1:{relay.port}", "-S",
                           "smtp-auth=none", "-S", "hostname=client.example",
                           "-S", "tls-verify=ignore", "-s", "by s-nail", "-r", "me@client.example",
                           "snail@example.com"],
                          input="hello\n.\nthere\n", capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert b"by s-nail" in relay.sink.wait_to("snail@example.com").header


def test_the_same_bytes_on_both_ends(relay):
    """Every kind of line, exactly."""
    lines = [b"", b".", b"..", b" ", b"\t", b"x" * 998, b".x", b"-- ", b"From here", b">From there",
             bytes(range(0x80, 0x100)), b"=20", b"."]
    text = b"Subject: lines\r\n\r\n" + b"\r\n".join(lines) + b"\r\n"
    with relay.trusted() as c:
        c.ehlo()
        c.mail(params="BODY=8BITMIME")
        c.rcpt("lines@example.com")
        c.cmd("DATA", 354)
        c.send(stuffed(text))
        c.reply(250)
    assert relay.sink.wait_to("lines@example.com").data.endswith(text)
