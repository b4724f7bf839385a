# SPDX-License-Identifier: Apache-2.0
"""Cases of DMARC: records good and bad at the author's and the organisational domain, what SPF and DKIM proved, and From fields."""
import random

# (author's domain, its organisational domain by the public suffix list, domains of which some are aligned)
PLACES = [
    ("example.com", "example.com", ["example.com", "mail.example.com", "a.b.example.com", "example.org", "notexample.com", "com"]),
    ("mail.example.com", "example.com", ["example.com", "mail.example.com", "other.example.com", "x.mail.example.com", "example.net"]),
    ("a.b.c.example.org", "example.org", ["example.org", "b.c.example.org", "a.b.c.example.org", "d.example.org", "org"]),
    ("example.co.uk", "example.co.uk", ["example.co.uk", "mail.example.co.uk", "other.co.uk", "co.uk"]),
    ("news.shop.example.co.uk", "example.co.uk", ["example.co.uk", "news.shop.example.co.uk", "shop.example.co.uk", "other.co.uk"]),
    ("someone.github.io", "someone.github.io", ["someone.github.io", "x.someone.github.io", "else.github.io", "github.io"]),
    ("city.kawasaki.jp", "city.kawasaki.jp", ["city.kawasaki.jp", "x.city.kawasaki.jp", "kawasaki.jp"]),
    ("a.www.ck", "www.ck", ["www.ck", "a.www.ck", "b.www.ck"]),
    ("a.b.foo.ck", "b.foo.ck", ["b.foo.ck", "a.b.foo.ck", "c.foo.ck"]),
]
POLICIES = ["none", "quarantine", "reject"]
BAD = ["garbage", "v=DMARC1", "v=DMARC1; p=foo", "v=DMARC1; p=foo; rua=mailto:a@example.com", "v=DMARC1; rua=mailto:a@example.com", "v=DMARC2; p=reject",
       "v=DMARC1 p=reject", "v=DMARC1; p=", "p=reject; v=DMARC1", "V=DMARC1; p=reject", "v=dmarc1; p=reject", "v = DMARC1; p=reject", " v=DMARC1; p=reject",
       "v=DMARC1; p=Reject", "v=DMARC1; P=reject", "v=DMARC1;p=reject;", "v=DMARC1; p=reject;;", "v=DMARC1; p=reject; sp=foo", "v=DMARC1; p=reject; foo",
       "v=DMARC1; p=reject; adkim=x", "v=DMARC1; p=reject; pct=abc", "v=DMARC1; p=reject; pct=101", "v=DMARC1; p=reject; pct=-1",
       "v=DMARC1; p=reject; p=none", "v=DMARC1; sp=none; p=reject", "v=DMARC1; adkim=s; p=reject; aspf=s", "v=DMARC1; p=reject; foo=bar",
       "v=DMARC1; p=reject; rua=foo", "v=DMARC1; p=foo; rua=foo", "v=DMARC1;", "v=DMARC1; p=none; sp=reject; fo=1:d:s; ri=3600; rf=afrf",
       "v=DMARC1 ; p = reject ; sp = none", "v=DMARC1\t;\tp=reject", "v=DMARC1; p=reject; sp=", "v=DMARC1; p=quarantine; pct=", "v=DMARC1; p=reject; aspf=R; adkim=S"]


def record(r):
    tags = ["v=DMARC1", "p=" + r.choice(POLICIES)]
    rest = []
    if r.random() < 0.4:
        rest.append("sp=" + r.choice(POLICIES))
    if r.random() < 0.3:
        rest.append("adkim=" + r.choice("rs"))
    if r.random() < 0.3:
        rest.append("aspf=" + r.choice("rs"))
    if r.random() < 0.2:
        rest.append("pct=" + r.choice(["0", "1", "50", "99", "100"]))
    if r.random() < 0.3:
        rest.append("rua=mailto:agg@example.com")
    if r.random() < 0.1:
        rest.append("fo=" + r.choice(["0", "1", "d", "s", "1:d:s"]))
    r.shuffle(rest)
    return r.choice(["; ", ";", " ; "]).join(tags + rest) + r.choice(["", "", ";"])


def at(r, zone, domain, odds):
    """A record at a domain, or what comes instead."""
    x = r.random()
    node = zone.setdefault("_dmarc." + domain, {})
    if x < odds:
        node["TXT"] = [record(r)]
        if r.random() < 0.06:
            node["TXT"].append(r.choice([record(r), "some other text", "v=spf1 -all"]))
            r.shuffle(node["TXT"])
        return "good"
    if x < odds + 0.15:
        node["TXT"] = [r.choice(BAD)]
        return "odd: " + node["TXT"][0]
    if x < odds + 0.19:
        node["TXT"] = "SERVFAIL"
        return "late"
    del zone["_dmarc." + domain]
    return "nothing"


FORMS = ["{a}", "Joe <{a}>", "\"Joe, B\" <{a}>", "<{a}>", "Joe (x@y.example) <{a}>", "=?utf-8?q?J=C3=B6?= <{a}>", "Joe\r\n <{a}>", "\"a@b.example\" <{a}>"]


def make(seed, n):
    for i in range(n):
        r = random.Random(f"dmarc {seed} {i}")
        author, organisation, others = r.choice(PLACES)
        zone = {author: {"A": ["192.0.2.1"], "MX": [[10, author]]}, organisation: {"A": ["192.0.2.1"], "MX": [[10, author]]}}
        tags = ["own: " + at(r, zone, author, 0.45)]
        tags.append("organisation: " + (at(r, zone, organisation, 0.6) if author != organisation else "same"))
        spf = {"result": r.choice(["pass", "pass", "fail", "none", "softfail", "temperror"]), "domain": r.choice(others)}
        dkim = [{"result": r.choice(["pass", "pass", "fail", "temperror"]), "domain": r.choice(others), "selector": "s"} for _ in range(r.choice([0, 1, 1, 2]))]
        shown = "".join(x.upper() if r.random() < 0.5 else x for x in author) if r.random() < 0.15 else author
        yield {"do": "dmarc", "from": [" " + r.choice(FORMS).replace("{a}", "joe@" + shown)], "from_domain": shown, **({"spf": spf} if r.random() < 0.9 else {}),
               "dkim": dkim, "sample": r.choice([0, 0, 49, 50, 99]), "zone": zone, "tags": tags}
