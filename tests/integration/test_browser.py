# SPDX-License-Identifier: Apache-2.0
"""The web pages in a real browser: the first start by its link through the guide to a message that arrives, and, every day, the pages of the navigation with
mail on them. test_browser_actions.py has the rest."""
import re

import pytest

from lib.browser import drive, needs_browser
from lib.web import make_account, on, wait_web

pytestmark = needs_browser
LINK = re.compile(r"setup-link link=\S*/#/setup/([A-Za-z0-9_-]{43})")


@pytest.mark.slow
def test_first_start(postern, sink, tmp_path):
    relay = postern(web=on())
    wait_web(relay)
    drive("first", relay, tmp_path, link=relay.wait_log(LINK.pattern).group(1), domain="fresh.example", hop=sink.hop)
    with relay.client() as c:  # a stranger's message goes the way that was set up, and only to whom the guide named
        c.ehlo()
        c.mail("stranger@elsewhere.example")
        c.rcpt("nobody@fresh.example", (450, 550))
        c.rcpt("bob@fresh.example")
        c.data("Subject: first\n\ntext\n")
    sink.wait_to("bob@fresh.example", 3)  # and the guide's own two test messages


def test_pages(postern, sink, tmp_path):
    relay = postern(web=on(), domains=[{"name": "example.com", "deliver": sink.hop}, {"name": "down.example", "deliver": "127.0.0.1:9"}], queue={"retry_first": "10m", "retry_max": "1h"})
    for i in range(3):
        relay.send("bob@example.com", f"Subject: figures {i}\n\ntext\n")
        relay.send(f"eve{i}@down.example", f"Subject: waits {i}\n\ntext\n")
    wait_web(relay)
    make_account(relay, "root")
    drive("pages", relay, tmp_path, live=True, pages=["dashboard", "tracking", "queue", "policy", "domains", "system", "explain"])
