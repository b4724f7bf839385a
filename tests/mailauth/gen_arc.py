# SPDX-License-Identifier: Apache-2.0
"""Cases of ARC: chains of one to four sets, each sealed by one of several implementations, then changed."""
import base64
import random
import re

import messages as m
import peers

SEALERS = ["ours", "python", "perl", "node"]
SIGNED = ["From", "To", "Subject", "Date", "Message-ID"]
KEYS = ["rsa1024", "rsa2048"]


def zone():
    return {f"{k}._domainkey.relay{i}.example": {"TXT": [m.record(k)]} for k in KEYS for i in range(1, 5)}


def messages_of(seed, n):
    out = []
    for i in range(n):
        r = random.Random(f"arc message {seed} {i}")
        fields, body = m.message(r)
        # all of the sealers can read these
        fields = [re.sub(rb"^([A-Za-z-]+)[ \t]*:[ \t]*", rb"\1: ", f) for f in fields if not f.split(b":")[0].strip().lower() == b"received"]
        fields = [f for f in fields if f.split(b":", 1)[1].strip()]
        hops = [r.choice(SEALERS) if i >= len(SEALERS) or hop else SEALERS[i] for hop in range(1 + i % 3 if i >= len(SEALERS) else 1)]
        out.append({"fields": fields, "body": body, "hops": hops, "random": r, "sets": []})
    return out


def seal(chain, hop, by, processes):
    """One more set on each message of `chain`."""
    cases = []
    for i, c in enumerate(chain):
        key = c["random"].choice(KEYS)
        results = f"mx{hop}.example; spf=pass smtp.mailfrom=joe@football.example.com" + ("; arc=pass" if hop > 1 else "")
        present = {f.split(b":")[0].lower().decode() for f in c["fields"]}
        cases.append({"do": "seal", "id": i, "now": peers.NOW - 1000 + hop, "message": base64.b64encode(m.join(c["fields"], c["body"])).decode(), "key": m.pem(key),
                      "domain": f"relay{hop}.example", "selector": key, "results": results, "chain": "pass" if hop > 1 else "none", "zone": zone(),
                      "headers": [n for n in SIGNED if n.lower() in present], "canon": "relaxed/relaxed", "algorithm": "rsa-sha256"})
    answers = peers.run(processes[by], cases) if cases else {}
    for i, c in enumerate(chain):
        text = base64.b64decode(answers[i].get("fields") or "").decode("latin-1")
        fields = [f.encode("latin-1") for f in re.split(r"\r\n(?![ \t])", text) if f]
        c["failed"] = answers[i] if len(fields) != 3 else None
        c["sets"].append(fields)
        c["fields"] = fields + c["fields"]


def sealed(seed, n, processes):
    chains = messages_of(seed, n)
    for hop in range(1, 4):
        for by in SEALERS:
            seal([c for c in chains if len(c["hops"]) >= hop and c["hops"][hop - 1] == by and not c.get("failed")], hop, by, processes)
    return chains


def change(r, c):
    """(what, fields, body)"""
    fields, body, n = list(c["fields"]), c["body"], len(c["hops"])
    arc = [i for i, f in enumerate(fields) if f.lower().startswith(b"arc-")]
    at = r.choice(arc)
    what = r.choice(["none", "none", "none", "body", "subject", "set field gone", "set gone", "set field twice", "seal damaged", "cv", "instance", "order", "results",
                     "trace", "no key", "late", "fold", "c of seal", "h of seal", "seal signed", "newest gone", "i=0", "i=51", "no cv"])
    if what == "body":
        body += b"More.\r\n"
    if what == "subject":
        fields = [f + b"x" if f.lower().startswith(b"from:") else f for f in fields]
    if what == "set field gone":
        del fields[at]
    if what == "set gone":
        i = b"i=%d;" % r.randrange(1, n + 1)
        fields = [f for j, f in enumerate(fields) if not (j in arc and i in f)]
    if what == "newest gone":
        fields = fields[3:]
    if what == "set field twice":
        fields.insert(0, fields[at])
    if what == "order":
        r.shuffle(fields)
    if what == "fold":
        fields[at] = re.sub(rb"; ", b";\r\n\t ", fields[at])
    if what == "results":
        fields = [f.replace(b"spf=pass", b"spf=fail") for f in fields]
    if what == "trace":
        fields = [b"Received: from x by y; Fri, 11 Jul 2003 21:00:37 -0700"] + fields
    seals = [i for i in arc if fields[i:] and i < len(fields) and fields[i].lower().startswith(b"arc-seal")]
    s = r.choice(seals) if seals else None
    edits = {"seal damaged": (rb"b=(\s*)([A-Za-z])", lambda x: b"b=" + x[1] + (b"B" if x[2] == b"A" else b"A")), "cv": (rb"cv=\w+", b"cv=" + r.choice([b"none", b"pass", b"fail", b"x"])),
             "instance": (rb"\bi=\d+", b"i=%d" % r.choice([1, 2, 3, 7])), "c of seal": (rb"cv=", b"c=relaxed/relaxed; cv="), "h of seal": (rb"cv=", b"h=from; cv="),
             "i=0": (rb"\bi=\d+", b"i=0"), "i=51": (rb"\bi=\d+", b"i=51"), "no cv": (rb"cv=\w+;", b"")}
    if what in edits and s is not None:
        fields[s] = re.sub(*edits[what], fields[s], count=1)
    return what, fields, body


def make(seed, n, processes):
    chains = sealed(seed, max(24, n // 30), processes)
    broken = [c for c in chains if c.get("failed")]
    assert not broken, f"{broken[0]['hops']} {broken[0]['failed']}"
    for i in range(n):
        r = random.Random(f"arc {seed} {i}")
        c = chains[i] if i < len(chains) else r.choice(chains)
        what, fields, body = ("none", c["fields"], c["body"]) if i < len(chains) else change(r, c)
        z = zone()
        if what in ("no key", "late"):
            key = r.choice(sorted(k for k in z if f"relay{r.randrange(1, len(c['hops']) + 1)}." in k) or sorted(z))
            z[key] = {"TXT": "SERVFAIL"} if what == "late" else {}
        yield {"do": "arc", "message": base64.b64encode(m.join(fields, body)).decode(), "zone": z, "tags": [f"body: {'whole' if body.endswith(bytes([13, 10])) or not body else 'without CRLF'}", f"change: {what}", "sealers: " + " ".join(c["hops"])]}
