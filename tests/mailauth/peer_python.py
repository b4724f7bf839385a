# SPDX-License-Identifier: Apache-2.0
"""The same cases for pyspf, dkimpy and authres: JSON lines in, JSON lines out. DNS is in the case."""
import base64
import io
import json
import logging
import re
import sys
import types
import warnings

warnings.simplefilter("ignore")
import authres  # noqa: E402
import dkim  # noqa: E402
import spf  # noqa: E402

logging.disable(logging.CRITICAL)
CASE = {}
clock = types.SimpleNamespace(time=lambda: CASE["now"])
dkim.time = clock
spf.time = clock


def look(name, kind):
    """None: SERVFAIL."""
    found = CASE["zone"].get(name.lower().rstrip("."), {}).get(kind, [])
    return None if isinstance(found, str) else found


def spf_lookup(name, kind, strict=True, timeout=20):
    found = look(name, kind)
    if found is None:
        raise spf.TempError("SERVFAIL")
    if kind == "TXT":
        found = [tuple(t[i:i + 255].encode("latin-1") for i in range(0, max(len(t), 1), 255)) for t in found]
    if kind == "MX":
        found = [(p, n) for p, n in found]
    return [((name, kind), v) for v in found]


spf.DNSLookup = spf_lookup


def key_lookup(name, timeout=5):
    found = look(name.decode("latin-1"), "TXT")
    if found is None:
        raise dkim.DnsTimeoutError("SERVFAIL")
    return found[0].encode("latin-1") if found else None


def run_spf(c):
    result, explanation = spf.check2(i=c["ip"], s=c["sender"], h=c["helo"], receiver="mx.receiver.example")
    return {"result": result, "explanation": explanation}


OBSOLETE = re.compile(rb"^[!-9;-~]+[ \t]+:", re.M)  # a blank before the colon (RFC 5322 §4.5.8)


def one_signature(message, i):
    try:
        return "pass" if dkim.DKIM(message, minkey=1024).verify(i, dnsfunc=key_lookup) else "fail"
    except dkim.DnsTimeoutError:
        return "temperror"
    except dkim.DKIMException:
        return "permerror"


def run_dkim(c):
    message = base64.b64decode(c["message"])
    if OBSOLETE.search(message.partition(b"\r\n\r\n")[0]):
        return {"result": None, "reason": "it cannot read the header"}
    try:
        n = sum(1 for name, _ in dkim.rfc822_parse(message)[0] if name.lower() == b"dkim-signature")
    except dkim.DKIMException:
        return {"result": None, "reason": "it cannot read the header"}
    return {"signatures": [{"result": one_signature(message, i)} for i in range(n)]}


def run_arc(c):
    message = base64.b64decode(c["message"])
    try:
        dkim.rfc822_parse(message)
    except dkim.DKIMException:
        return {"result": None, "reason": "it cannot read the header"}
    try:
        cv, _, reason = dkim.ARC(message, minkey=1024).verify(dnsfunc=key_lookup)
    except dkim.DKIMException as e:
        return {"result": "fail", "reason": str(e)}
    return {"result": cv.decode() if cv else "fail", "reason": reason}


def key_of(c):
    pem = c["key"].encode()
    return base64.b64encode(base64.b64decode("".join(c["key"].splitlines()[1:-1]))[-32:]) if c["algorithm"] == "ed25519-sha256" else pem


def run_sign(c):
    canon = tuple(x.encode() for x in c["canon"].split("/"))
    field = dkim.DKIM(base64.b64decode(c["message"]), signature_algorithm=c["algorithm"].encode()).sign(
        c["selector"].encode(), c["domain"].encode(), key_of(c), canonicalize=canon, length=bool(c.get("length")),
        include_headers=[h.encode() for h in c["headers"]] if c.get("headers") else None)
    return {"result": "signed", "fields": base64.b64encode(field).decode()}


def run_seal(c):
    """dkimpy seals what it finds in an Authentication-Results field."""
    message = b"Authentication-Results: " + c["results"].encode() + b"\r\n" + base64.b64decode(c["message"])
    try:
        fields = dkim.ARC(message).sign(c["selector"].encode(), c["domain"].encode(), c["key"].encode(),
                                        c["results"].split(";")[0].encode(), include_headers=[h.encode() for h in c["headers"]])
    except dkim.DKIMException:
        fields = []
    return {"result": "signed" if fields else "refused", "fields": base64.b64encode(b"".join(fields)).decode()}


def run_results(c):
    try:
        header = authres.parse("Authentication-Results: " + c["value"])
    except authres.core.AuthResError as e:
        return {"result": "unreadable", "reason": str(e)}
    return {"result": "read", "authserv_id": header.authserv_id,
            "methods": [[r.method, r.result, {p.type + "." + p.name: p.value for p in r.properties}] for r in header.results]}


RUNS = {"spf": run_spf, "dkim": run_dkim, "arc": run_arc, "sign": run_sign, "seal": run_seal, "results": run_results}
out = sys.stdout
sys.stdout = sys.stderr = io.StringIO()  # they print what they think
for line in sys.stdin:
    CASE = json.loads(line)
    run = RUNS.get(CASE["do"])
    try:
        answer = run(CASE) if run else {"result": None}
    except Exception as e:  # noqa: BLE001
        answer = {"result": "crash", "reason": f"{type(e).__name__}: {e}"}
    answer["id"] = CASE["id"]
    out.write(json.dumps(answer) + "\n")
