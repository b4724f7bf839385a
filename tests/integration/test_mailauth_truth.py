# SPDX-License-Identifier: Apache-2.0
"""src/mailauth against independent implementations of the same, over generated cases: tests/mailauth/truth.py says what must hold, and
docs/mailauth.md who is right where they differ. MAILAUTH_SEED takes other cases than those of every day."""
import os
import pathlib
import random
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "mailauth"))

import peers  # noqa: E402
import truth  # noqa: E402
from lib.util import BUILD, ROOT  # noqa: E402

SEED = os.environ.get("MAILAUTH_SEED", "1")
FEW = {"spf": 300, "dkim": 150, "dmarc": 300, "arc": 60, "srs": 300}
MANY = {"spf": 3000, "dkim": 3000, "dmarc": 3000, "arc": 3000, "srs": 3000}
LACKS = truth.missing(BUILD)
pytestmark = pytest.mark.skipif(bool(LACKS), reason=str(LACKS))


def compare(subject, n, seed):
    c = truth.Comparison(subject, seed, n, BUILD)
    print(f"{subject}: {len(c.cases)} cases, {c.agreed} agreed by all; known disagreements: {dict(c.known)}")
    assert not c.failures, f"{len(c.failures)} of {len(c.cases)} cases\n\n" + "\n\n".join(c.failures[:5])
    assert c.agreed > n // 4


@pytest.mark.parametrize("subject", truth.SUBJECTS)
@pytest.mark.slow
def test_agrees_with_the_peers(subject):
    compare(subject, FEW[subject], SEED)


@pytest.mark.slow
@pytest.mark.parametrize("subject", truth.SUBJECTS)
def test_agrees_with_the_peers_over_thousands(subject):
    compare(subject, MANY[subject], SEED + " many")


def results_case(i):
    r = random.Random(f"results {SEED} {i}")
    domain = r.choice(["example.com", "a.b.example", "xn--bcher-kva.example"])
    case = {"do": "results", "helo": r.choice(["mail.example", "[192.0.2.1]", "x(y", "a;b"]), "sender": r.choice(["joe@" + domain, "", "\"a b\"@" + domain, "a;b@" + domain]),
            "dkim": [{"result": r.choice(["pass", "fail", "policy", "neutral", "temperror", "permerror"]), "domain": domain, "selector": "s", "b": "AbCdEfGhIjKlMnOp/+==",
                      "identity": r.choice(["", "@" + domain, "joe@" + domain]), "algorithm": "rsa-sha256"} for _ in range(r.randrange(3))]}
    if r.random() < 0.8:
        case["spf"] = {"result": r.choice(["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"]), "domain": domain, "mechanism": "-all",
                       "reason": r.choice(["", "plain", "spf=pass (", "a; dkim=pass", "quote \" and \\ back)", "caf\xe9\r\nX: y"])}
    if r.random() < 0.8:
        case["dmarc"] = {"result": r.randrange(5), "author": domain, "reason": r.choice(["", "x; y=z", "()\\"])}
    return dict(case, id=i, now=peers.NOW)


def test_our_field_is_read_by_authres_as_it_was_meant():
    cases = [results_case(i) for i in range(300)]
    ours = peers.run(truth.driver(BUILD), cases)
    read = peers.run(peers.commands(BUILD)["python"], [dict(c, value=ours[c["id"]]["value"]) for c in cases])
    for c in cases:
        a, value = read[c["id"]], ours[c["id"]]["value"]
        what = f"seed {SEED} case {c['id']}: {value!r} {a}"
        assert a["result"] == "read" and a["authserv_id"] == "mx.receiver.example" and ours[c["id"]]["ours"], what
        words = [(m, r) for m, r, _ in a["methods"]]
        wanted = [("spf", c["spf"]["result"])] if "spf" in c else []
        wanted += [("dkim", s["result"]) for s in c["dkim"]] or [("dkim", "none")]
        assert [w for w in words if w[0] != "dmarc"] == wanted, what
        assert sum(m == "dmarc" for m, _ in words) == ("dmarc" in c), what
        for (_, _, properties), s in zip([m for m in a["methods"] if m[0] == "dkim"], c["dkim"]):
            assert properties["header.d"] == s["domain"], what
        assert value.isascii() and "\r\n" not in value.replace("\r\n\t", "").replace("\r\n ", ""), what


def test_the_documentation_names_every_known_disagreement():
    """docs/mailauth.md has a line for each class of tests/mailauth/known.py, with its paragraph."""
    text = (ROOT / "docs/mailauth.md").read_text()
    classes = [k for known in truth.KNOWN.values() for k in known]
    assert [k.name for k in classes if f"| {k.name} " not in text] == []
    assert [k.name for k in classes if k.paragraph not in text] == []


def test_the_lock_file_names_no_registry():
    text = (ROOT / "tests/mailauth/package-lock.json").read_text()
    assert "resolved" not in text and "http" not in "".join(line for line in text.splitlines() if "integrity" in line)
    assert subprocess.run(["git", "check-ignore", "-q", "tests/mailauth/node_modules"], cwd=ROOT).returncode in (0, 128)
