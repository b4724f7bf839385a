# SPDX-License-Identifier: Apache-2.0
"""Who says what, and who is right. Where all peers that support a case agree, this library must say the same; a peer that says something
else must be explained by a class in known.py, and a class against which all peers stand must say so (`alone`)."""
import collections
import importlib
import os
import pathlib
import subprocess

import peers
from known import KNOWN

SUBJECTS = ["spf", "dkim", "dmarc", "arc", "srs"]
SUFFIXES = "/usr/share/publicsuffix/public_suffix_list.dat"


def driver(build):
    return [str(build / "tests/mailauth/driver"), SUFFIXES]


def one(word):
    """DKIM's words for what does not pass differ from one to the other; what counts is whether it passes, or might later."""
    return {"permerror": "fail", "neutral": "fail", "policy": "fail", "invalid": "fail"}.get(word, word)


def word(subject, answer, other=None):
    """The result of an answer in a form that can be compared; None: it does not support the case."""
    if subject == "dkim":
        if "signatures" not in answer:
            return answer.get("result")
        words = [one(s["result"]) for s in answer["signatures"]]
        if other is not None and not words and other.get("signatures"):
            words = ["fail"] * len(other["signatures"])  # what it cannot read it does not show
        return " ".join(words) or "none"
    if subject == "arc":
        return one(answer.get("result"))
    if subject == "srs":
        result = answer.get("result")
        return "ok " + answer["address"] if result == "ok" else "refused" if result else None
    return answer.get("result")


def why(answer):
    texts = [answer.get("reason") or answer.get("explanation") or "", answer.get("error") or ""]
    texts += [s.get("reason", "") for s in answer.get("signatures", [])]
    return " ".join(t for t in texts if t)


class Case:
    """What a class of known disagreements may look at."""

    def __init__(self, case, ours, theirs, peer):
        self.case, self.tags, self.peer = case, " | ".join(case.get("tags", [])), peer
        self.ours, self.theirs = ours, theirs
        self.says, self.reason = word(case["do"], theirs, ours), why(theirs)
        self.mine, self.my_reason = word(case["do"], ours), why(ours)
        self.asked = ours.get("asked", [])

    @property
    def records(self):
        """The TXT records that were seen on the way, a line each."""
        zone = self.case.get("zone", {})
        found = [zone.get(n.lower(), {}).get("TXT", []) for n in self.asked]
        return "\n".join(t for f in found if isinstance(f, list) for t in f)


def explain(c):
    """The classes that may explain it; the first is the one that is counted."""
    return [k for k in KNOWN[c.case["do"]] if c.peer in k.peers and k.when(c)]


def excused(classes):
    """All stand against us: a class says that they may, or each has a reason of its own, and the case is just unlucky."""
    return any(k.alone for _, ks in classes for k in ks) or len({ks[0].name for _, ks in classes}) >= 3


class Comparison:
    def __init__(self, subject, seed, n, build):
        self.subject, self.seed = subject, seed
        self.build = pathlib.Path(build)
        self.known = collections.Counter()
        self.failures = []
        processes = dict(peers.commands(self.build), ours=driver(self.build))
        self.cases = self._cases(n, processes)
        wanted = {p: c for p, c in processes.items() if p == "ours" or (p, subject) in peers.NAMES}
        self.answers = peers.run_all(wanted, self.cases)
        self.agreed = sum(self._judge(c) for c in self.cases)

    def _cases(self, n, processes):
        generator = importlib.import_module("gen_" + self.subject)
        few = generator.make.__code__.co_argcount == 2
        made = generator.make(self.seed, n) if few else generator.make(self.seed, n, processes)
        return [dict({"now": peers.NOW}, **dict(c, id=i)) for i, c in enumerate(made)]

    def _judge(self, case):
        i, ours = case["id"], self.answers["ours"][case["id"]]
        mine = word(self.subject, ours)
        if ours.get("result") == "crash" or "late" in ours:
            self._fail(case, "answers that come late change the result" if "late" in ours else "the driver died")
            return False
        others = [Case(case, ours, a[i], p) for p, a in self.answers.items() if p != "ours"]
        others = [c for c in others if c.says is not None]
        against = [c for c in others if c.says != mine]
        classes = [(c, explain(c)) for c in against]
        for c, ks in classes:
            if not ks:
                self._fail(case, f"{peers.NAMES[c.peer, self.subject]} differs, and no class explains it")
                return False
        for _, ks in classes:
            self.known[ks[0].name] += 1
        classes = [(c, ks) for c, ks in classes if not ks[0].unsupported]
        others = [c for c in others if c not in against or any(c is x for x, _ in classes)]
        if others and len(classes) == len(others) and not excused(classes):
            self._fail(case, "all that support the case agree against us: " + ", ".join(ks[0].name for _, ks in classes))
            return False
        return not against

    def _fail(self, case, what):
        i = case["id"]
        lines = [f"{self.subject} seed {self.seed} case {i}: {what}", f"  tags {case.get('tags')}"]
        for name, a in sorted(self.answers.items()):
            title = "this library" if name == "ours" else peers.NAMES[name, self.subject]
            lines.append(f"  {title}: {word(self.subject, a[i], self.answers['ours'][i])} ({why(a[i])[:160]})")
        lines += [f"  {k}: {case[k]}" for k in ("ip", "helo", "sender", "from", "spf", "dkim", "forward", "reverse") if k in case]
        asked = [n.lower() for n in self.answers["ours"][i].get("asked", [])]
        lines += [f"  {n}: {case['zone'].get(n)}"[:600] for n in dict.fromkeys(asked)]
        self.failures.append("\n".join(lines))


def missing(build):
    """Why nothing can be compared here; None: it can."""
    build = pathlib.Path(build)
    if not os.access(build / "tests/mailauth/driver", os.X_OK):
        return "the driver is not built"
    names = peers.commands(build)
    lacks = [n for n in ("c", "node") if n not in names]
    checks = {"python": ["/usr/bin/python3", "-c", "import spf, dkim, authres"], "perl": ["perl", "-MMail::SPF", "-MMail::DKIM", "-MMail::DMARC", "-MMail::SRS", "-e1"]}
    lacks += [n for n, c in checks.items() if subprocess.run(c, capture_output=True).returncode]
    return "peers are missing (scripts/setup.sh test): " + ", ".join(lacks) if lacks else None
