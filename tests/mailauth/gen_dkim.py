# SPDX-License-Identifier: Apache-2.0
"""Cases of DKIM: messages signed by each signer in turn, changed on the way, with records of keys good and bad; and signatures whose tags
are written in every way the grammar allows, and some it does not."""
import base64
import random
import re

import messages as m
import peers

DOMAIN, SELECTOR = "football.example.com", "brisbane"
SIGNERS = ["ours", "python", "perl", "c", "node"]
COMMON = ["From", "To", "Subject", "Date", "Message-ID"]


# ---- changes on the way: (name, function of (random, fields, body, index of the signature) that gives (fields, body))

def change(name):
    def wrap(f):
        CHANGES.append((name, f))
        return f
    return wrap


CHANGES = []


@change("none")
def _(r, f, b, s):
    return f, b


@change("trace added")
def _(r, f, b, s):
    return [b"Received: from x by y; Fri, 11 Jul 2003 21:00:37 -0700"] + f, b


@change("blank lines at the end")
def _(r, f, b, s):
    return f, b + b"\r\n" * r.choice([1, 3])


@change("blanks at line ends")
def _(r, f, b, s):
    return f, b.replace(b"\r\n", b" \r\n" if r.random() < 0.5 else b"\t\r\n")


@change("blanks doubled")
def _(r, f, b, s):
    return f, b.replace(b" ", b"  ")


@change("body changed")
def _(r, f, b, s):
    return f, b.replace(b"e", b"E", 1) if b"e" in b else b + b"x\r\n"


@change("body appended")
def _(r, f, b, s):
    return f, b + b"-- \r\nA list\r\n"


@change("body cut")
def _(r, f, b, s):
    return f, b[:len(b) // 2]


@change("field folded")
def _(r, f, b, s):
    i = r.randrange(len(f))
    return [re.sub(rb"(:[^\r]*?\S) (?=\S)", rb"\1\r\n ", x, count=1) if j == i else x for j, x in enumerate(f)], b


@change("fields unfolded")
def _(r, f, b, s):
    return [x if j == s else re.sub(rb"\r\n[ \t]+", b" ", x) for j, x in enumerate(f)], b


@change("name in another case")
def _(r, f, b, s):
    return [x if j == s else x.split(b":")[0].swapcase() + b":" + x.split(b":", 1)[1] for j, x in enumerate(f)], b


@change("value changed")
def _(r, f, b, s):
    i = r.randrange(len(f))
    return [x + b"x" if j == i else x for j, x in enumerate(f)], b


@change("field gone")
def _(r, f, b, s):
    i = r.randrange(len(f))
    return [x for j, x in enumerate(f) if j != i or j == s], b


@change("field doubled at the top")
def _(r, f, b, s):
    return [r.choice([b"From: evil@example.org", b"Subject: other", b"To: other@example.org"])] + f, b


@change("field doubled at the bottom")
def _(r, f, b, s):
    return f + [r.choice([b"From: evil@example.org", b"Subject: other", b"To: other@example.org"])], b


@change("order turned")
def _(r, f, b, s):
    return list(reversed(f)), b


@change("signature folded anew")
def _(r, f, b, s):
    return [re.sub(rb"\r\n[ \t]+", b"\r\n\t  ", x) if j == s else x for j, x in enumerate(f)], b


@change("signature damaged")
def _(r, f, b, s):
    at = f[s].rindex(b"b=") + 2 + r.randrange(1, 30)
    return [x[:at] + (b"A" if x[at:at + 1] != b"A" else b"B") + x[at + 1:] if j == s else x for j, x in enumerate(f)], b


@change("signature twice")
def _(r, f, b, s):
    return [f[s]] + f, b


# ---- records of keys

def records(r, key):
    p, kind = m.public(key), "ed25519" if key == "ed25519" else "rsa"
    good = f"v=DKIM1; k={kind}; p={p}"
    half = p[:20] + " " + p[20:]
    return {"good": [good], "bare": [f"p={p}"] if kind == "rsa" else [f"k=ed25519; p={p}"], "no blanks": [f"v=DKIM1;k={kind};p={p}"],
            "wide": [f" v = DKIM1 ; k = {kind} ;  p = {half} ; "], "end": [good + ";"], "semicolons": [f"v=DKIM1;; k={kind}; p={p}"],
            "revoked": [f"v=DKIM1; k={kind}; p="], "version 2": [f"v=DKIM2; k={kind}; p={p}"], "version last": [f"k={kind}; p={p}; v=DKIM1"],
            "lower version": [f"v=dkim1; k={kind}; p={p}"], "sha256": [f"v=DKIM1; h=sha256; k={kind}; p={p}"],
            "sha1": [f"v=DKIM1; h=sha1; k={kind}; p={p}"], "both hashes": [f"v=DKIM1; h=sha1 : sha256; k={kind}; p={p}"],
            "email": [f"v=DKIM1; k={kind}; s=email; p={p}"], "any service": [f"v=DKIM1; k={kind}; s=*; p={p}"],
            "other service": [f"v=DKIM1; k={kind}; s=tlsrpt; p={p}"], "services": [f"v=DKIM1; k={kind}; s=other:email; p={p}"],
            "testing": [f"v=DKIM1; k={kind}; t=y; p={p}"], "strict": [f"v=DKIM1; k={kind}; t=s; p={p}"],
            "flags": [f"v=DKIM1; k={kind}; t=y:s:z; p={p}"], "note": [f"v=DKIM1; n=a note, =20; k={kind}; p={p}"],
            "unknown tag": [f"v=DKIM1; k={kind}; foo=bar; p={p}"], "unknown type": [f"v=DKIM1; k=foo; p={p}"],
            "wrong type": [f"v=DKIM1; k={'rsa' if kind == 'ed25519' else 'ed25519'}; p={p}"], "garbage": ["garbage"], "empty": [""],
            "no key": [f"v=DKIM1; k={kind}"], "bad base64": [f"v=DKIM1; k={kind}; p=!!!{p[4:]}"], "cut": [f"v=DKIM1; k={kind}; p={p[:40]}"],
            "tag twice": [f"v=DKIM1; k={kind}; p={p}; p={p}"], "other key": [m.record("other")], "short key": [m.record("rsa768")],
            "pkcs1": [f"v=DKIM1; k=rsa; p={m.public(key, 'pkcs1')}"] if kind == "rsa" else [good], "granularity": [f"v=DKIM1; g=*; k={kind}; p={p}"],
            "nothing": None, "late": "SERVFAIL", "other type": {}, "upper type": [f"v=DKIM1; k={kind.upper()}; p={p}"]}


def zone_of(r, key, name, selector=SELECTOR, domain=DOMAIN):
    value = records(r, key)[name]
    where = f"{selector}._domainkey.{domain}"
    return {} if value is None else {where: {}} if value == {} else {where: {"TXT": value}}


RECORD_NAMES = list(records(None, "rsa1024"))


# ---- signatures with tags as wanted: name → (template behind "DKIM-Signature:", options of sign_raw)

H = "from:to:subject:date"
BASE = " v=1; a={a}; c=relaxed/relaxed; d=football.example.com; s=brisbane; h=" + H + "; bh={bh}; b={b}"


def tag(extra):
    return BASE.replace("; bh=", f"; {extra}; bh=")


TAGS = {
    "plain": BASE, "no blanks": BASE.replace("; ", ";"), "end": BASE + ";", "end blank": BASE + " ; ", "wide": BASE.replace("=", " = ").replace(";", " ;"),
    "folded": BASE.replace("; ", ";\r\n\t"), "b first": " b={b}; v=1; a={a}; c=relaxed/relaxed; d=football.example.com; s=brisbane; h=" + H + "; bh={bh}",
    "b in the middle": " v=1; a={a}; b={b}; c=relaxed/relaxed; d=football.example.com; s=brisbane; h=" + H + "; bh={bh}",
    "names with blanks": BASE.replace(H, "from : to:\r\n subject :date"), "names in capitals": BASE.replace(H, H.upper()), "unknown tag": tag("foo=bar"),
    "unknown empty": tag("foo="), "q": tag("q=dns/txt"), "q list": tag("q=foo:dns/txt"), "q other": tag("q=foo"), "q dns": tag("q=dns"),
    "z": tag("z=From:a@b|Subject:x=3By"), "t": tag("t=1600000000"), "t and x": tag("t=1600000000; x=1800000000"), "expired": tag("t=1600000000; x=1650000000"),
    "x before t": tag("t=1690000000; x=1680000000"), "future": tag("t=1900000000"), "t bad": tag("t=abc"), "x bad": tag("x=-1"),
    "x long": tag("x=999999999999"), "x too long": tag("x=9999999999999"), "i": tag("i=@football.example.com"), "i local": tag("i=joe@football.example.com"),
    "i below": tag("i=joe@a.football.example.com"), "i above": tag("i=joe@example.com"), "i elsewhere": tag("i=joe@example.net"),
    "i like": tag("i=joe@xfootball.example.com"), "i no at": tag("i=football.example.com"), "i quoted": tag("i=joe=20b@football.example.com"),
    "i capitals": tag("i=@FOOTBALL.example.com"), "d capitals": BASE.replace("d=football", "d=FootBall"), "v 2": BASE.replace("v=1", "v=2"),
    "no v": BASE.replace(" v=1;", ""), "v 0.5": BASE.replace("v=1", "v=0.5"), "no a": BASE.replace(" a={a};", ""), "a unknown": BASE.replace("{a}", "rsa-md5"),
    "a capitals": BASE.replace("{a}", "RSA-SHA256"), "no d": BASE.replace(" d=football.example.com;", ""), "no s": BASE.replace(" s=brisbane;", ""),
    "no h": BASE.replace(f" h={H};", ""), "no bh": BASE.replace(" bh={bh};", ""), "no b": BASE.replace("; b={b}", ""), "empty b": BASE.replace("{b}", ""),
    "empty d": BASE.replace("d=football.example.com", "d="), "empty h": BASE.replace(H, ""), "no from": BASE.replace(H, "to:subject:date"),
    "c missing": BASE.replace(" c=relaxed/relaxed;", ""), "c header only": BASE.replace("relaxed/relaxed", "relaxed"), "c simple": BASE.replace("relaxed/relaxed", "simple"),
    "c unknown": BASE.replace("relaxed/relaxed", "relaxed/foo"), "c capitals": BASE.replace("relaxed/relaxed", "Relaxed/Relaxed"), "c half": BASE.replace("relaxed/relaxed", "/relaxed"),
    "v twice": BASE + "; v=1", "unknown twice": tag("foo=1; foo=2"), "tag without value": tag("foo"), "empty tag": tag(""), "tag in capitals": BASE.replace(" s=", " S="),
    "l whole": tag("l={n}"), "l zero": tag("l=0"), "l ten": tag("l=10"), "l beyond": tag("l=99999"), "l bad": tag("l=x"), "l huge": tag("l=" + "9" * 80),
    "signs itself": BASE.replace(H, H + ":dkim-signature"), "oversigned": BASE.replace(H, "from:from:to:to:subject:subject:x-none"),
    "empty name": BASE.replace(H, "from::to"), "bh folded": BASE.replace("{bh}", "\r\n {bh}"), "s with dot": BASE.replace("s=brisbane", "s=a.brisbane"),
    "d one label": BASE.replace("football.example.com", "com"), "tab": BASE.replace("; ", ";\t"), "value ends in blank": BASE.replace("s=brisbane", "s=brisbane "),
    "sha1": BASE, "bad character": tag("foo=b\x7far"), "8-bit": tag("foo=caf\xc3\xa9"), "d with dot": BASE.replace("football.example.com", "football.example.com."),
}
CANONS = {"c missing": ("simple", "simple"), "c header only": ("relaxed", "simple"), "c simple": ("simple", "simple"), "c half": ("simple", "relaxed")}
LENGTHS = {"l zero": 0, "l ten": 10}
SIGNED_NAMES = {"no from": ["to", "subject", "date"], "oversigned": ["from", "from", "to", "to", "subject", "subject", "x-none"], "empty name": ["from", "to"],
                "empty h": [], "no h": []}


def written(r, seed_key):
    name = r.choice(list(TAGS))
    key = seed_key
    algorithm = "rsa-sha1" if name == "sha1" else "ed25519-sha256" if key == "ed25519" else "rsa-sha256"
    fields, body = m.message(r)
    fieldname = r.choice(["DKIM-Signature:", "DKIM-Signature:", "DKIM-Signature:", "DKIM-SIGNATURE:"])
    template = fieldname + TAGS[name].replace("{a}", algorithm)
    signed = m.sign_raw(fields, body, template, SIGNED_NAMES.get(name, H.split(":")), key, CANONS.get(name, ("relaxed", "relaxed")), algorithm, LENGTHS.get(name))
    where = DOMAIN if name != "d one label" else "com"
    zone = zone_of(r, key, "good", "a.brisbane" if name == "s with dot" else SELECTOR, where)
    if name == "no d":
        zone = {}
    return [signed] + fields, body, zone, [f"tags: {name}", f"key: {key}", f"signer: written"]


def jobs_of(seed, n):
    jobs = []
    for i in range(n):
        r = random.Random(f"dkim job {seed} {i}")
        by = SIGNERS[i % len(SIGNERS)]
        key = r.choice(["rsa1024", "rsa1024", "rsa2048"] + ([] if by in ("perl", "c") else ["ed25519"]))
        fields, body = m.message(r, obsolete=True)
        present = [f.split(b":")[0].strip().decode() for f in fields]
        names = [x for x in COMMON if r.random() < 0.8 or x == "From"]
        if r.random() < 0.3:
            names += [x for x in present if x.lower() not in ("from", "received") and x not in names]
        jobs.append({"do": "sign", "by": by, "fields": fields, "body": body, "message": base64.b64encode(m.join(fields, body)).decode(), "key": m.pem(key),
                     "keyname": key, "algorithm": "ed25519-sha256" if key == "ed25519" else "rsa-sha256", "domain": DOMAIN, "selector": SELECTOR,
                     "canon": r.choice(["relaxed/relaxed", "relaxed/simple", "simple/simple", "simple/relaxed"]),
                     "headers": [x for x in names if x.lower() in [p.lower() for p in present] or by == "python"], "zone": {}})
    return jobs


def sign_jobs(jobs, processes):
    """The signed messages, by their signer; the signature's field is put on top."""
    for by in {j["by"] for j in jobs}:
        mine = [j for j in jobs if j["by"] == by]
        cases = [dict({k: v for k, v in j.items() if k not in ("fields", "body")}, id=i, now=peers.NOW - 1000) for i, j in enumerate(mine)]
        answers = peers.run(processes[by], cases) if by in processes else {}
        for i, j in enumerate(mine):
            text = base64.b64decode(answers.get(i, {}).get("fields") or "")
            j["signature"] = text[:-2] if text.endswith(b"\r\n") else text
            j["answer"] = answers.get(i)
    return [j for j in jobs if j["signature"]]


def make(seed, n, processes):
    jobs = sign_jobs(jobs_of(seed, max(25, n // 30)), processes)
    assert len({j["by"] for j in jobs}) == len([s for s in SIGNERS if s in processes]), "a signer signs nothing"
    for i in range(n):
        r = random.Random(f"dkim {seed} {i}")
        if i % 3 == 2:
            fields, body, zone, tags = written(r, r.choice(["rsa1024", "rsa1024", "rsa2048", "ed25519"]))
        else:
            j = jobs[i % len(jobs)] if i < len(jobs) else r.choice(jobs)
            name, f = CHANGES[0] if i < len(jobs) or r.random() < 0.3 else r.choice(CHANGES)
            recordname = "good" if i < len(jobs) or name != "none" else r.choice(RECORD_NAMES)
            fields, body = f(r, [j["signature"]] + j["fields"], j["body"], 0)
            zone = zone_of(r, j["keyname"], recordname)
            tags = [f"change: {name}", f"record: {recordname}", f"key: {j['keyname']}", f"signer: {j['by']}", f"canon: {j['canon']}"]
        tags.append("body: " + ("whole" if body.endswith(b"\r\n") or not body else "without CRLF"))
        yield {"do": "dkim", "trust_length": True, "message": base64.b64encode(m.join(fields, body)).decode(), "zone": zone, "tags": tags}
