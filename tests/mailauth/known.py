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
    unsupported: bool = False  # the peer cannot be asked such a thing at all


def seen(pattern, flags=re.I):
    return lambda c: re.search(pattern, c.records, flags) is not None


def tag(*names):
    """One of the generator's tags."""
    return lambda c: any(n in c.case["tags"] for n in names)


PYTHON, PERL, C, NODE = "python", "perl", "c", "node"


def because(text):
    return lambda c: text in c.my_reason


def beside_all(c):
    return any(re.search(r"redirect=", t, re.I) and re.search(r"(^| )[-+~?]?all( |$)", t, re.I) for t in c.records.split("\n"))


def is_syntax(c):
    """Not what becomes an error while the record is judged."""
    return not re.search(r"look-up|names of|no SPF record|without an answer", c.my_reason)


SPF = [
    # pyspf
    Class("pyspf: include of itself", {PYTHON}, lambda c: "trivial recursion" in c.reason, "ours", "RFC 7208 §4.6.2, §5.2",
          "It refuses a record that includes its own domain before it looks at the terms in front; a term that matches first decides."),
    Class("void look-ups by names of ptr and mx", {PYTHON, PERL}, lambda c: "void" in c.reason.lower() and c.says == "permerror", "open", "RFC 7208 §4.6.4",
          "Void look-ups are counted by term: of ptr and mx the look-up of the term itself. Others count each address look-up of a name in it, too."),
    Class("pyspf: digit 0", {PYTHON, PERL, C, NODE}, seen(r"%\{[slodiphcrtv]0"), "ours", "RFC 7208 §7.3", "A macro's number of parts must be nonzero."),
    Class("an address of ptr that fails", {PYTHON, C}, lambda c: c.says == "temperror" and "arpa" in " ".join(c.asked), "ours", "RFC 7208 §5.5",
          "A name of ptr whose address look-up fails is passed over; pyspf and libspf2 make the check temperror."),
    Class("Mail::SPF: ip6 with /0", {PERL}, lambda c: ":" not in c.case["ip"] and re.search(r"ip6:\S*/0\b", c.records, re.I) is not None, "ours", "RFC 7208 §5.6",
          "A client with IPv4 matches no ip6 network, not even the one of all addresses."),
    Class("Mail::SPF: capitals in macros", {PERL}, lambda c: "Junk" in c.reason or re.search(r"%\{[a-zA-Z]\d*R", c.records) is not None, "ours", "RFC 7208 §7.1, RFC 5234 §2.3",
          "The r of a macro may be written in either case."),
    Class("explanation macros in terms", {PERL, C, NODE}, lambda c: "explanations only" in c.my_reason, "ours", "RFC 7208 §7.2", "c, r and t are for explanations alone; elsewhere they are errors."),
    Class("libspf2: void look-ups", {C}, because("without an answer"), "ours", "RFC 7208 §4.6.4", "More than two void look-ups are permerror; it has no such limit."),
    Class("names of mail exchangers", {C, PERL, NODE}, because("names of mail exchangers"), "ours", "RFC 7208 §4.6.4", "More than ten are permerror; it looks at the first ten."),
    Class("libspf2: redirect beside all", {C}, lambda c: beside_all(c) and c.mine != c.says, "ours", "RFC 7208 §5.1, §6.1", "redirect in a record with all is ignored; it is followed."),
    Class("libspf2: macros", {C}, lambda c: re.search(r"%\{[a-z][^}]+\}|%\{[A-Z]|%\{p", c.records) is not None, "ours", "RFC 7208 §7.1, §7.3",
          "Delimiters, capitals, numbers of parts and the p of macros make it refuse the record, or come to another name."),
    Class("libspf2: look-ups of ptr and mx", {C}, lambda c: "too many DNS lookups" in c.reason, "ours", "RFC 7208 §4.6.4", "Address look-ups of names within ptr and mx have a limit of their own."),
    Class("mailauth: void look-ups", {NODE}, because("without an answer"), "ours", "RFC 7208 §4.6.4",
          "An answer without records is void; it counts one only where there are neither A nor AAAA records."),
    Class("libspf2: redirect in front", {C}, seen(r"redirect=\S+ +\S"), "ours", "RFC 7208 §6.1", "redirect counts behind all mechanisms, wherever it stands."),
    Class("libspf2: names of modifiers", {C}, seen(r" a\.b=c"), "ours", "RFC 7208 §12 (name)", "A modifier that is not known may have dots in its name."),
    Class("empty labels", {NODE, PERL}, seen(r"\.\."), "ours", "RFC 7208 §4.3, §4.8", "A domain with an empty label does not exist, so the term does not match."),
    Class("libspf2: terms that cost a look-up", {C}, because("cost a look-up"), "ours", "RFC 7208 §4.6.4", "Ten terms are the limit, with those within include."),
    Class("look-ups that fail", {C, NODE, PYTHON, PERL}, lambda c: c.mine == "temperror" and c.says != "temperror", "ours", "RFC 7208 §4.4, §5",
          "A look-up that fails makes the check temperror, before what comes behind it may count."),
    Class("libspf2: errors of syntax", {C, NODE, PERL}, lambda c: c.mine == "permerror" and is_syntax(c), "ours", "RFC 7208 §4.6",
          "A record with a syntax error anywhere is permerror before any term counts; libspf2 and mailauth pass over many."),
    Class("mailauth: errors of syntax", {NODE}, lambda c: c.mine == "permerror" and "look-up" not in c.my_reason, "ours", "RFC 7208 §4.6",
          "A record with a syntax error anywhere is permerror before any term counts; mailauth reads on."),
    Class("mailauth: prefix /0", {NODE, C}, seen(r"/0(\s|/|$)"), "ours", "RFC 7208 §5.6, §12", "/0 is a prefix length: all addresses of the kind."),
    Class("mailauth: where a record begins", {NODE, C}, seen(r"^ v=spf1|^v=spf1[\t;]", re.M | re.I), "ours", "RFC 7208 §4.5", "A record begins with v=spf1 and a blank or its end."),
    Class("mailauth: final dot", {NODE, C}, seen(r"a\.example\.(\s|$|/)"), "ours", "RFC 7208 §7.1 (domain-end)", "A final dot is allowed."),
    Class("a redirect that is not reached is counted", {PYTHON, PERL}, lambda c: re.search(r"Too many DNS lookups|DNS-interactive", c.reason) and "redirect=" in c.records.lower(), "ours",
          "RFC 7208 §4.6.4, §6.1", "The limit is of terms that are evaluated; a redirect behind a term that matched, or beside all, is not."),
    Class("Mail::SPF: ip6 with a mapped address", {PERL}, seen(r"ip6:::ffff:"), "ours", "RFC 7208 §5, §5.6", "A client with IPv4 is compared with ip4 alone."),
    Class("mailauth: redirect beside all", {NODE}, lambda c: "Invalid redirect" in c.reason, "ours", "RFC 7208 §6.1", "redirect in a record with all is ignored, whatever its domain."),
    Class("mailauth: the domain within include", {NODE}, lambda c: re.search(r"\bptr( |$)|%\{d", c.records, re.M | re.I) is not None and c.records.count("v=spf1") > 1, "ours",
          "RFC 7208 §4.8, §5.5, §7.2", "Within include, %{d} and a ptr without a domain mean the included domain, not the sender's."),
    Class("mailauth: names that are none", {NODE}, lambda c: "Invalid domain" in c.reason, "ours", "RFC 7208 §4.8, §7.3", "What macros make need not be a host name; if it cannot exist the term does not match."),
    Class("mailauth: terms that cost a look-up", {NODE}, lambda c: "cost a look-up" in c.my_reason or "Too many DNS requests" in c.reason, "ours", "RFC 7208 §4.6.4",
          "Terms are counted, not look-ups: ptr is one, mx is one whatever the number of its names."),
]


def dkim(names, peers, right, paragraph, text, alone=False, when=lambda c: True):
    kinds = [k + n for n in names for k in ([""] if ": " in n else ["tags: ", "record: ", "change: "])]
    return Class("DKIM: " + ", ".join(names), peers, lambda c: any(k in c.case["tags"] for k in kinds) and when(c), right, paragraph, text, alone)


def unended(c):
    return "body: without CRLF" in c.case["tags"]


ANY = {PYTHON, PERL, C, NODE}
DKIM = [
    dkim(["tags: sha1"], ANY, "ours", "RFC 8301 §3.1", "Signatures made with SHA-1 must not count as valid.", alone=True),
    dkim(["empty h", "no h", "no from"], ANY, "ours", "RFC 6376 §3.5 (h=), §6.1.1", "h= is required and must hold From; a signature without is a permanent failure."),
    dkim(["no v", "v 2", "v 0.5", "v twice"], ANY, "ours", "RFC 6376 §3.5 (v=), §6.1.1", "v=1 is required; others take a signature without it, with another version, or with two. dkimpy does not.", alone=True),
    dkim(["unknown twice", "tag twice"], ANY, "ours", "RFC 6376 §3.2", "A tag that is there twice makes the list invalid; dkimpy agrees.", alone=True),
    dkim(["empty tag", "semicolons", "tag without value"], ANY, "ours", "RFC 6376 §3.2", "A tag without name or \"=\" makes the list invalid; only one \";\" may end it."),
    dkim(["l huge", "l bad", "t bad", "x bad", "no bh"], ANY, "ours", "RFC 6376 §3.5, §6.1.1", "Tags that are malformed or missing are a permanent failure."),
    dkim(["a capitals", "c capitals", "upper type", "lower version", "tag in capitals"], ANY, "ours", "RFC 6376 §3.2", "Names and values count by letter case; dkimpy agrees."),
    dkim(["q dns", "q other"], ANY, "ours", "RFC 6376 §3.5 (q=)", "dns/txt is the only known way to a key; others do not look at q=. dkimpy and Mail::DKIM do.", alone=True),
    dkim(["i above", "i elsewhere", "i like", "i no at"], ANY, "ours", "RFC 6376 §3.5 (i=), §6.1.1", "i= must be d= or below it; others do not look at it."),
    dkim(["future"], ANY, "open", "RFC 6376 §3.5 (t=)", "A signature from the future may be ignored; here it is, beyond a day."),
    dkim(["x too long"], ANY, "ours", "RFC 6376 §3.5 (x=)", "A value longer than 12 digits is taken as infinite; mailauth fails over it.", when=lambda c: c.says == "crash"),
    dkim(["i no at", "c half", "l huge"], ANY, "ours", "RFC 6376 §6.1.1", "A malformed tag is a failure of the signature; the program fails over it.", when=lambda c: c.says == "crash"),
    dkim(["wrong type"], {C}, "ours", "RFC 6376 §3.6.1 (k=), RFC 8463 §4", "The type of the key must be the one of a=."),
    dkim(["record: sha1", "both hashes"], ANY, "ours", "RFC 6376 §3.6.1 (h=)", "The key's list of hashes counts, with blanks around its colons."),
    dkim(["services", "other service"], ANY, "ours", "RFC 6376 §3.6.1 (s=)", "s= is a list; email or * must be in it."),
    dkim(["pkcs1"], ANY, "ours", "RFC 6376 §3.6.1 (p=)", "Both an RSAPublicKey, as the text says, and a SubjectPublicKeyInfo, as everybody writes, are keys.", alone=True),
    dkim(["strict"], ANY, "ours", "RFC 6376 §3.6.1 (t=s)", "t=s forbids a subdomain in i=."),
    dkim(["late"], {PERL, PYTHON, C}, "ours", "RFC 6376 §6.1.2 step 2", "A look-up that fails is temporary.", when=lambda c: "temperror" in c.mine),
    dkim(["8-bit"], {C}, "ours", "RFC 8616 §3", "Header fields may hold UTF-8."),
    dkim(["bad character"], ANY, "theirs", "RFC 6376 §3.2", "A control character within a value is against the grammar; in a tag that is not known it changes nothing here."),
    dkim(["wide", "end blank"], ANY, "ours", "RFC 6376 §3.5 (b=), §3.7", "The value of b= is taken out with all blanks around it.", alone=True),
    dkim(["l beyond", "l ten"], ANY, "ours", "RFC 6376 §3.5 (l=)", "l= beyond the body's end is an error.", alone=True, when=because("larger than the body")),
    Class("body that does not end with a line", ANY, unended, "open", "RFC 6376 §3.4.3, §3.4.4",
          "Here blanks at its end go in the relaxed form, and a CRLF is added, though the line has none. Each of the others does some of that otherwise. SMTP "
          "brings no such body.", alone=True),
    dkim(["q list"], {PYTHON}, "ours", "RFC 6376 §3.5 (q=)", "q= is a list; dkimpy takes no list."),
    dkim(["field doubled at the top", "field doubled at the bottom"], {PYTHON}, "open", "RFC 6376 §8.15",
         "A second From that is not signed: dkimpy takes no such message, others leave it to oversigning by the signer."),
    dkim(["value changed"], ANY, "ours", "RFC 6376 §3.5 (b=), §6.1.1", "Letters behind the end of b='s base64 make it malformed; dkimpy agrees.", alone=True),
    dkim(["l zero"], {NODE, PERL}, "ours", "RFC 6376 §3.5 (l=)", "l=0 signs no body."),
]


def hard_suffix(c):
    """The list has exceptions (!www.ck) and wildcards (*.ck) here."""
    return re.search(r"\.(ck|kawasaki\.jp)$", c.case["from_domain"], re.I) is not None


def public_suffix_passed(c):
    passed = [c.case.get("spf", {})] + c.case["dkim"]
    return any(p.get("result") == "pass" and p["domain"] in ("com", "org", "co.uk", "github.io") for p in passed)


DMARC = [
    Class("DMARC: aligned, but failed for the time being", {PERL, C}, because("for the time being"), "ours", "RFC 7489 §6.6.2",
          "If nothing passes and something failed temporarily the receiver cannot conclude that DMARC failed: temperror. Others say fail.", alone=True),
    Class("DMARC: rules of the suffix list", {PERL, C}, hard_suffix, "ours", "RFC 7489 §3.2", "Wildcards and exceptions of the public suffix list count.", unsupported=True),
    Class("Mail::DMARC: failed look-ups", {PERL, C}, lambda c: c.mine == "temperror" and "look-up" in c.my_reason, "ours", "RFC 7489 §6.6.3",
          "A look-up that fails is no proof that there is no policy.", alone=True),
    Class("DMARC: several policies", ANY, because("several policies"), "ours", "RFC 7489 §6.6.3 step 5", "With several records DMARC does not apply: none.", alone=True),
    Class("DMARC: malformed policies", ANY, because("the policy is malformed"), "ours", "RFC 7489 §6.6.3 step 6", "No valid p= and no address for reports: no action, none.", alone=True),
    Class("DMARC: records that are none", ANY, because("there is no policy"), "ours", "RFC 7489 §6.3, §6.6.3 step 2", "v=DMARC1 comes first, precisely so, and a semicolon follows; a record in which it is otherwise is ignored.", alone=True),
    Class("DMARC: no valid p=, but an address for reports", {PERL, C}, seen(r"p=foo; rua=mailto|^v=DMARC1; rua=mailto|^v=DMARC1 p=", re.M), "ours", "RFC 7489 §6.6.3 step 6",
          "Such a record counts as p=none, so what is aligned passes; one that is no record does not hide the one above. mailauth does so, too.", alone=True),
    Class("libopendmarc: several signatures", {C}, lambda c: len(c.case["dkim"]) > 1, "ours", "RFC 7489 §4.2, §6.6.2", "One signature that passes and is aligned is enough, in whatever order."),
    Class("libopendmarc: capitals", {C}, lambda c: c.case["from_domain"] != c.case["from_domain"].lower(), "ours", "RFC 4343 §3", "The author's domain is the same in capitals."),
    Class("DMARC: blanks in the version", ANY, seen(r"^v =", re.M), "ours", "RFC 7489 §6.4 (dmarc-version)", "The grammar allows blanks around the first \"=\".", alone=True),
    Class("libopendmarc: public suffixes align", {C}, lambda c: c.mine == "fail" and c.says == "pass" and public_suffix_passed(c), "ours", "RFC 7489 §3.1.1, §3.2",
          "What passed for a public suffix itself (d=com) is aligned with nothing below it."),
    Class("libopendmarc: errors in other tags", {C}, lambda c: c.says == "permerror", "ours", "RFC 7489 §6.3", "Errors in what is not v= or p= are passed over in favour of the default."),
    Class("strict alignment", {NODE, C}, lambda c: c.mine == "fail" and re.search(r"a(spf|dkim)=s", c.records, re.I), "ours", "RFC 7489 §3.1.1, §3.1.2",
          "mailauth always, and libopendmarc for subdomains of the author's, align by organisational domain although the record asks for strict alignment.", alone=True),
]
SRS = []
ARC = [
    Class("dkimpy: order of the fields", {PYTHON}, tag("change: order"), "ours", "RFC 8617 §5.1.1", "A seal covers the sets by instance, wherever their fields stand in the header."),
    Class("ARC: body that does not end with a line", {PYTHON, NODE}, unended, "open", "RFC 6376 §3.4.3, §3.4.4", "As with DKIM."),
    Class("late keys of ARC", {PYTHON, PERL, NODE}, lambda c: c.mine == "temperror", "ours", "RFC 8617 §5.2.2, RFC 6376 §6.1.2",
          "A key that cannot be looked up for the time being makes no chain fail for good; others have no such word.", alone=True),
]
KNOWN = {"spf": SPF, "dkim": DKIM, "dmarc": DMARC, "arc": ARC, "srs": SRS}
