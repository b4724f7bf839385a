# SPDX-License-Identifier: Apache-2.0
"""A relay that is killed between the next hop's 250 and the notice that is owed to the sender."""
import os
import signal

import pytest

from lib.util import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("step, copies, reports", [
    ("done-queued:1", (1, 2), (1, 2)),      # the report is on disk, nothing of the message itself may be
    ("commit-queued:2", (1, 2), (1, 1)),    # the report is not on its way to disk
    ("commit-callback:2", (1, 1), (1, 2)),  # it is, and with it that the next hop has the message
])
@pytest.mark.parametrize("fails", [False, True], ids=["relayed", "failed"])
def test_killed(postern, make_sink, monkeypatch, step, copies, reports, fails):
    """The report comes, nothing is lost, and nobody gets the message again for the sake of the report."""
    sink, back = make_sink(), make_sink()
    sink.on("rcpt", "550 5.1.1 no such user", match="nobody@")
    monkeypatch.setenv("POSTERN_CRASH_AT", step)
    relay = postern(domains=[{"name": "example.com", "deliver": sink.hop}, {"name": "client.example", "deliver": back.hop}])
    monkeypatch.delenv("POSTERN_CRASH_AT")
    # Nobody starts another worker, which would die there, too, and might write one more report before.
    os.kill(relay.process.pid, signal.SIGSTOP)
    before = set(relay.processes())
    with relay.client() as c:
        c.ehlo()
        c.mail("a@client.example")
        c.cmd("RCPT TO:<b@example.com>" + ("" if fails else " NOTIFY=SUCCESS"), 250)
        if fails:
            c.rcpt("nobody@example.com")
        c.data("Subject: asked\n\nbody\n")
    wait_until(lambda: before - set(relay.processes()), "the worker to die", 30)
    relay.kill()
    relay.start()
    wait_until(lambda: len(back.messages) >= reports[0], lambda: "no report\n" + relay.log_tail(), 30)
    relay.wait_queue_empty()
    assert copies[0] <= len(sink.to("b@example.com")) <= copies[1]
    assert reports[0] <= len(back.messages) <= reports[1]
    assert all((b"Action: failed" if fails else b"Action: relayed") in m.data for m in back.messages)
