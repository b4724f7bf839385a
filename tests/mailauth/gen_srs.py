# SPDX-License-Identifier: Apache-2.0
"""Cases of SRS: addresses rewritten, and rewritten ones led back after some days or some damage."""
import random

import peers

LOCALS = ["joe", "a.b", "x+y", "user=name", "JOE", "very-long-local-part-of-an-address", "SRS0=HHH=TT=other.example=joe", "SRS1=HHHH=first.example==HHH=TT=other.example=joe",
          "srs0+HHHH=TT=other.example=joe", "SRS0-HHHH=TT=other.example=a=b", "SRS0", "srs", "SRS2=x"]
DOMAINS = ["example.com", "Mail.Example.ORG", "a.b.example", "fwd.example"]


def make(seed, n, processes):
    wishes = []
    for i in range(n):
        r = random.Random(f"srs {seed} {i}")
        wishes.append({"do": "srs", "forward": r.choice(LOCALS) + "@" + r.choice(DOMAINS), "secret": r.choice(["secret", "another", "x" * 70]),
                       "domain": "fwd.example", "days": 21, "hash": r.choice([4, 4, 6, 8]), "tags": ["forward"]})
    half = len(wishes) // 3
    made = peers.run(processes["perl"], [dict(c, id=i, now=peers.NOW) for i, c in enumerate(wishes[half:])])
    yield from wishes[:half]
    for i, c in enumerate(wishes[half:]):
        r = random.Random(f"srs back {seed} {i}")
        address, kind = made[i].get("address"), r.choice(["good", "good", "case", "hash", "host", "user", "days", "other secret"])
        if not address or not address.upper().startswith("SRS"):
            yield c
            continue
        back = dict(c, reverse=address, tags=["reverse: " + kind], when=0)
        del back["forward"]
        if kind == "case":
            back["reverse"] = address.upper().replace("@FWD.EXAMPLE", "@fwd.example")
        if kind == "hash":
            back["reverse"] = address[:6] + ("x" if address[6] not in "xX" else "y") + address[7:]
        if kind == "host":
            back["reverse"] = address.replace("example", "exbmple", 1).replace("fwd.exbmple", "fwd.example")
        if kind == "user":
            back["reverse"] = address.replace("@", "x@")
        if kind == "days":
            back["when"] = r.choice([1, 20, 21, 22, 23, 60, 500]) * 86400
        if kind == "other secret":
            back["secret"] = "wrong"
        back["now"] = peers.NOW + back.pop("when")
        yield back
