# SPDX-License-Identifier: Apache-2.0
"""Cases of SPF: a small internet by chance, with records of all mechanisms, modifiers, macros and mistakes, and a client at its door."""
import ipaddress
import random

DOMAINS = ["a.example", "b.example", "c.example", "mail.a.example", "d.example.org", "e.test.example", "deep.er.b.example"]
V4 = ["192.0.2.1", "192.0.2.3", "192.0.2.130", "198.51.100.7", "203.0.113.9", "10.0.0.1"]
V6 = ["2001:db8::1", "2001:db8::2", "2001:db8:1:2:3:4:5:6", "2001:db8:ffff::1"]
LOCALS = ["user", "strong-bad", "a.b-c", "x+y", "postmaster", "very.long.local-part", "U_ser"]
HOSTS = ["h1.example", "h2.example", "h3.a.example", "none.example", "v4.example", "v6.example", "late.example", "mx1.example", "mx2.example"]


def reverse_name(ip):
    return ipaddress.ip_address(ip).reverse_pointer


def macro(r, rich=False):
    letter = r.choice("slodivh" + ("SLODIVHp" if rich else ""))
    digits = r.choice(["", "", "", "1", "2", "3", "0" if r.random() < 0.1 else "9", "128" if r.random() < 0.1 else ""])
    delimiters = r.choice(["", "", "", "-", ".-", "+", "_", "/"])
    return "%{" + letter + digits + r.choice(["", "", "r", "R" if rich else "r"]) + delimiters + "}"


def domain_spec(r, rich):
    x = r.random()
    if x < 0.55:
        return r.choice(DOMAINS + HOSTS)
    if x < 0.7:
        return macro(r, rich) + "." + r.choice(DOMAINS)
    if x < 0.8:
        return macro(r, rich) + r.choice(["._spf.", ".", "-x."]) + macro(r, rich) + "." + r.choice(DOMAINS)
    if x < 0.84:
        return "%{i}._spf.%{d2}"
    if x < 0.88:
        return "%{ir}.%{v}._spf.a.example"
    if x < 0.9:
        return r.choice(["%%percent.example", "a%_b.example", "x%-y.example"])
    return r.choice(DOMAINS) if not rich else r.choice(["%{x}.a.example", "%{d", "a..example", "example", "%a.example", "under_score.example",
                                                        "%{c}.a.example", "a.example.", "-.a.example", "a.example%", "1.2.3.4"])


def cidr(r, rich):
    x = r.random()
    if x < 0.6:
        return ""
    if x < 0.72:
        return "/" + r.choice(["32", "31", "25", "24", "8", "0"])
    if x < 0.82:
        return "//" + r.choice(["128", "127", "64", "32", "0"])
    if x < 0.92:
        return "/" + r.choice(["30", "24"]) + "//" + r.choice(["126", "48"])
    return r.choice(["/33", "//129", "/024", "/", "//", "/a", "/24/64", "/-1", "/00"]) if rich else ""


def network(r, rich):
    x = r.random()
    if x < 0.5:
        return "ip4:" + r.choice(V4) + r.choice(["", "", "/32", "/24", "/25", "/8", "/30", "/0"])
    if x < 0.85:
        return "ip6:" + r.choice(V6) + r.choice(["", "", "/128", "/64", "/32", "/127", "/0"])
    if not rich:
        return "ip4:192.0.2.0/24"
    return r.choice(["ip4:192.0.2.1/33", "ip4:192.0.2", "ip4:192.0.2.256", "ip4:", "ip4", "ip4/24", "ip6:2001:db8::1/129", "ip6:::ffff:192.0.2.1",
                     "ip6:192.0.2.1", "ip4:2001:db8::1", "ip6:2001:db8::g", "ip4:192.0.2.1/024", "ip4:192.000.2.1", "ip6:::/0", "ip4:192.0.2.1/",
                     "ip6:2001:db8::1//64", "ip6:2001:DB8::1", "ip4:192.0.2.1:25"])


def term(r, rich, spare):
    x = r.random()
    q = r.choice(["", "", "", "", "+", "-", "~", "?"])
    if x < 0.30:
        return q + network(r, rich)
    if x < 0.42:
        return q + "a" + r.choice(["", ":" + domain_spec(r, rich)]) + cidr(r, rich)
    if x < 0.54:
        return q + "mx" + r.choice(["", ":" + domain_spec(r, rich)]) + cidr(r, rich)
    if x < 0.66:
        return q + "include:" + r.choice(spare) if r.random() < 0.8 else q + "include:" + domain_spec(r, rich)
    if x < 0.74:
        return q + "exists:" + domain_spec(r, rich)
    if x < 0.79:
        return q + "ptr" + r.choice(["", ":" + r.choice(DOMAINS)])
    if x < 0.82 and rich:
        return r.choice(["include", "include:", "exists", "a:", "mx:", "ptr:", "all:x", "+-a", "foo", "foo:bar", "ip5:1", "a=b", "redirect", "exp",
                         "moo=%{d}", "unknown-modifier=%{x}", "A", "Mx", "IP4:192.0.2.1", "INCLUDE:b.example", "all/8", "ptr/24", "-all.", "a.b=c",
                         "1x=y", "redirect=", "exp=", "a/24/", "exists:a.example/24", "include:a.example/24", "\x7f", "v=spf1", "a:a.example:b", "=x"])
    return q + network(r, rich)


def record(r, rich, spare):
    version = "v=spf1" if r.random() < 0.97 else r.choice(["V=SPF1", "v=spf10", "v=spf2", "v=spf1\t", " v=spf1", "v=spf1;"])
    terms = [term(r, rich, spare) for _ in range(r.choice([0, 1, 1, 2, 2, 3, 4, 6]))]
    if r.random() < 0.06:
        terms += ["include:" + r.choice(spare)] * r.choice([3, 9, 10, 11])
    if r.random() < 0.05:
        terms += ["a:void%d.example" % i for i in range(r.choice([2, 3, 4]))]
    if r.random() < 0.15:
        terms.append("redirect=" + (r.choice(spare) if r.random() < 0.85 else domain_spec(r, rich)))
        if r.random() < 0.1:
            terms.append("redirect=" + r.choice(spare))
    if r.random() < 0.7:
        terms.append(r.choice(["-all", "-all", "~all", "?all", "+all", "all", "-ALL"]))
    if r.random() < 0.25:
        terms.insert(r.randrange(len(terms) + 1), "exp=" + r.choice(["why.example", "why2.example", "none.example", "late.example", "%{d}._exp.example"]))
    r.random() < 0.1 and r.shuffle(terms)
    return version + "".join(r.choice([" ", " ", " ", "  "]) + t for t in terms) + r.choice(["", "", "", " "])


def zone_of(r, rich, ip):
    zone = {"h1.example": {"A": V4[:2]}, "h2.example": {"A": [V4[3]], "AAAA": V6[:1]}, "h3.a.example": {"A": [r.choice(V4)]},
            "v4.example": {"A": [r.choice(V4)]}, "v6.example": {"AAAA": [r.choice(V6)]}, "mx1.example": {"A": [r.choice(V4)], "AAAA": V6[1:2]},
            "mx2.example": {"A": [r.choice(V4)]}, "why.example": {"TXT": ["%{i} is not one of %{d}'s servers"]},
            "why2.example": {"TXT": [r.choice(["See http://%{d}/why.html?s=%{S};i=%{I}", "two", "%{c} %{r} %{l}", "%{x}", "caf\xe9"])]}}
    if r.random() < 0.12:
        zone["late.example"] = {k: "SERVFAIL" for k in ("TXT", "A", "AAAA", "MX")}
    for d in DOMAINS:
        node = zone.setdefault(d, {})
        if r.random() < 0.85:
            node["TXT"] = [record(r, rich, DOMAINS)]
            if r.random() < 0.04:
                node["TXT"].append(r.choice(["v=spf1 -all", node["TXT"][0]]))
            if r.random() < 0.15:
                node["TXT"].insert(r.randrange(2), r.choice(["some other text", "v=spf10 -all", "google-site-verification=x", ""]))
        if r.random() < 0.6:
            node["A"] = r.sample(V4, r.choice([1, 1, 2]))
        if r.random() < 0.3:
            node["AAAA"] = r.sample(V6, 1)
        if r.random() < 0.5:
            n = r.choice([1, 1, 2, 2, 3, 10, 11]) if rich else r.choice([1, 2])
            names = r.sample(HOSTS[:-4] if n < 4 else HOSTS, min(n, 5)) if n < 10 else ["m%d.example" % i for i in range(n)]
            node["MX"] = [[10 * (i + 1), h] for i, h in enumerate(names)]
            for h in names if n >= 10 else []:
                zone[h] = {"A": [r.choice(V4[2:])]}
        if r.random() < 0.04:
            node[r.choice(["TXT", "A", "MX"])] = "SERVFAIL"
    if r.random() < 0.6:
        names = r.sample(DOMAINS + HOSTS[:3], r.choice([1, 1, 2])) if r.random() < 0.9 or not rich else ["p%d.a.example" % i for i in range(11)]
        zone[reverse_name(ip)] = {"PTR": names}
        for n in names:
            if r.random() < 0.6 and isinstance(zone.setdefault(n, {}).get("A", []), list):
                kind = "AAAA" if ":" in ip else "A"
                zone[n][kind] = zone[n].get(kind, []) + [ip]
    return zone


def targets(r, zone, ip, sender):
    """Some of the names that macros are likely to make exist."""
    local, _, domain = sender.rpartition("@")
    for d in DOMAINS:
        for made in (f"{ip}._spf.{d}", f"{local}.{d}", f"{domain}.{d}", f"{local}._spf.{domain}.{d}"):
            if r.random() < 0.3 and len(made) < 200:
                zone.setdefault(made.lower(), {"A": ["127.0.0.2"]})


def make(seed, n):
    for i in range(n):
        r = random.Random(f"spf {seed} {i}")
        rich = r.random() < 0.5
        ip = r.choice(V4 + V4 + V6)
        sender = r.choice(LOCALS) + "@" + r.choice(DOMAINS)
        if r.random() < 0.08:
            sender = ""
        zone = zone_of(r, rich, ip)
        targets(r, zone, ip, sender or "postmaster@h1.example")
        helo = r.choice(["h1.example", "mail.a.example", "a.example"])
        yield {"do": "spf", "ip": ip, "helo": helo, "sender": sender, "zone": zone, "tags": ["rich" if rich else "plain"]}
