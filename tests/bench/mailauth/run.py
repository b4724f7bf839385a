#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mail authentication, messages per CPU second: run.py BUILD_FOLDER [--seconds S] [--rounds N] [--json FILE].

This library against libspf2 + libopendkim + libopendmarc and against npm's mailauth, all on the same messages, with
all answers from DNS at hand; and signing against OpenSSL alone. Each program must find every message in order (pass)
while it is measured. They take turns; the median of the rounds counts, of user and system time."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE = HERE.parent.parent / "mailauth"
VERIFY = ["spf", "dkim", "dmarc", "arc", "message", "message-arc"]
KNOWN = {"message": "  its key is known", "message-arc": "  their keys are known"}
SIGN = ["rsa", "ed25519"]
TITLES = {"spf": "SPF", "dkim": "DKIM, RSA 2048, 50 KB", "dmarc": "DMARC", "arc": "ARC, one set", "message": "SPF + DKIM + DMARC",
          "message-arc": "the same and ARC, sealed message"}


def node_folder():
    """Where mailauth is; None: it cannot be had."""
    if "MAILAUTH" in os.environ:
        return os.environ["MAILAUTH"]
    if not (NODE / "node_modules/mailauth").is_dir():
        if not shutil.which("npm") or subprocess.run(["npm", "ci", "--silent"], cwd=NODE).returncode:
            print("mailauth is left out: npm is needed to fetch it (apt-get install npm)", file=sys.stderr)
            return None
    return str(NODE)


def plan(programs, node):
    """(program's command, what), in the order of a round."""
    for what in VERIFY:
        yield [programs / "mailauth_ours"], what
        if what != "arc":
            yield [programs / "mailauth_peers"], what
            if node:
                yield ["node", HERE / "node.js"], what
        if what in KNOWN:
            yield [programs / "mailauth_ours"], what + "-known"
    for key in SIGN:
        for what in "raw-", "hash-raw-", "sign-":
            yield [programs / "mailauth_ours"], what + key


def measure(a, world, node):
    rates = {}
    for _ in range(a.rounds):
        for command, what in plan(a.build / "tests/bench/mailauth", node):
            r = subprocess.run([*command, world, what, f"{a.seconds}s"], check=True, capture_output=True, text=True,
                               env={**os.environ, "MAILAUTH": node or ""})
            one = json.loads(r.stdout)
            rates.setdefault(what, {}).setdefault(one["program"], []).append(one["messages"] / one["cpu_seconds"])
    return {what: {p: statistics.median(v) for p, v in by.items()} for what, by in rates.items()}, rates


def show(medians):
    print(f"\n{'messages per CPU second':34}{'Postern':>10}{'C peers':>10}{'ratio':>8}{'mailauth':>10}{'ratio':>8}")
    for what in VERIFY:
        by = medians[what]
        line = f"{TITLES[what]:34}{by['postern']:>10.0f}"
        for peer in "C peers", "mailauth":
            line += f"{by[peer]:>10.0f}{by['postern'] / by[peer]:>8.2f}" if peer in by else f"{'-':>10}{'-':>8}"
        print(line)
        if what in KNOWN:
            print(f"{KNOWN[what]:34}{medians[what + '-known']['postern']:>10.0f}")
    print("Known: of an earlier message, as the relay keeps them (256); the other lines are of keys that are met for the first time.")
    print("The C peers have no ARC; of the sealed message they judge the rest. Postern judges EHLO by SPF as well.")
    print(f"\n{'signatures per CPU second':34}{'Postern':>10}{'OpenSSL':>10}{'ratio':>8}{'and hash':>10}{'ratio':>8}")
    for key in SIGN:
        ours, raw, hashed = medians["sign-" + key]["postern"], medians["raw-" + key]["openssl"], medians["hash-raw-" + key]["openssl"]
        print(f"{key:34}{ours:>10.0f}{raw:>10.0f}{ours / raw:>8.2f}{hashed:>10.0f}{ours / hashed:>8.2f}")
    print("OpenSSL: the private key operation alone; and with the SHA-256 of the body.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--seconds", type=float, default=2, help="CPU time of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="all rates")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mailauth-bench-") as world:
        subprocess.run([HERE / "world.py", world], check=True)
        medians, rates = measure(a, world, node_folder())
    show(medians)
    if a.json:
        a.json.write_text(json.dumps({"seconds": a.seconds, "rounds": a.rounds, "medians": medians, "rates": rates}, indent=1) + "\n")


if __name__ == "__main__":
    main()
