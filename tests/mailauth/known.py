# SPDX-License-Identifier: Apache-2.0
"""Known disagreements, by class: whose, when, who is right, and the paragraph that says so. docs/mailauth.md tells them to people."""
import re
from dataclasses import dataclass
from typing import Callable


@dataclass
class Class:
    name: str
    peers: set
    when: Callable
    right: str           # "ours", "theirs" or "open": the text allows both
    paragraph: str
    text: str
    alone: bool = False  # all peers may stand against us here


def seen(pattern, flags=re.I):
    return lambda c: re.search(pattern, c.records, flags) is not None


def tag(*names):
    """One of the generator's tags."""
    return lambda c: any(n in c.case["tags"] for n in names)


PYTHON, PERL, C, NODE = "python", "perl", "c", "node"
SYNTAX = re.compile(r"prefix length|begins no macro|not an IP address|address is missing|no domain|is not a domain|macro that|unknown mechanism|is twice|not allowed|malformed"
                    r"|is missing|takes no|is not known|no name|cannot|empty|brace|modifier|no such")

SPF = [
    # pyspf
    Class("pyspf: include of itself", {PYTHON}, lambda c: "trivial recursion" in c.reason, "ours", "RFC 7208 §4.6.2, §5.2",
          "It refuses a record that includes its own domain before it looks at the terms in front; a term that matches first decides."),
    Class("void look-ups by names of ptr and mx", {PYTHON, PERL}, lambda c: "void" in c.reason.lower() and c.says == "permerror", "open", "RFC 7208 §4.6.4",
          "Void look-ups are counted by term: of ptr and mx the look-up of the term itself. Others count each address look-up of a name in it, too."),
    Class("pyspf: digit 0", {PYTHON, PERL, C, NODE}, seen(r"%\{[slodiphcrtv]0"), "ours", "RFC 7208 §7.3", "A macro's number of parts must be nonzero."),
    Class("pyspf: an address of ptr that fails", {PYTHON}, lambda c: c.says == "temperror" and "arpa" in " ".join(c.asked), "ours", "RFC 7208 §5.5",
          "A name of ptr whose address look-up fails is passed over; it makes the check temperror."),
    Class("redirect beside all is counted", {PYTHON, PERL}, lambda c: re.search(r"Too many DNS lookups|DNS-interactive", c.reason) and re.search(r"redirect=.*all|all.*redirect=", c.records, re.I | re.S) is not None,
          "ours", "RFC 7208 §4.6.4, §6.1", "redirect in a record with all is ignored, so it costs no look-up."),
]
DKIM, DMARC, ARC, SRS = [], [], [], []
KNOWN = {"spf": SPF, "dkim": DKIM, "dmarc": DMARC, "arc": ARC, "srs": SRS}
