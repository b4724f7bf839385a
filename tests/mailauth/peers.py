# SPDX-License-Identifier: Apache-2.0
"""The implementations that are compared: each a process that takes cases as JSON lines and answers each with a line."""
import json
import os
import pathlib
import subprocess
import threading

HERE = pathlib.Path(__file__).parent
NOW = 1700000000
NODE_MODULES = [HERE / "node_modules"] + [pathlib.Path(p) for p in os.environ.get("NODE_PATH", "").split(":") if p]


def _python():
    return ["/usr/bin/python3", str(HERE / "peer_python.py")]


def commands(build):
    """name → command of those that can be had here."""
    found = {"python": _python(), "perl": ["/usr/bin/perl", str(HERE / "peer_perl.pl")]}
    compiled = build / "tests/mailauth/peer_c"
    if compiled.exists():
        found["c"] = [str(compiled)]
    if any((p / "mailauth").is_dir() for p in NODE_MODULES):
        found["node"] = ["node", str(HERE / "peer_node.js")]
    return found


# What each process is made of, by subject.
NAMES = {
    ("python", "spf"): "pyspf", ("perl", "spf"): "Mail::SPF", ("c", "spf"): "libspf2", ("node", "spf"): "mailauth",
    ("python", "dkim"): "dkimpy", ("perl", "dkim"): "Mail::DKIM", ("c", "dkim"): "libopendkim", ("node", "dkim"): "mailauth",
    ("perl", "dmarc"): "Mail::DMARC", ("c", "dmarc"): "libopendmarc", ("node", "dmarc"): "mailauth",
    ("python", "arc"): "dkimpy", ("perl", "arc"): "Mail::DKIM", ("node", "arc"): "mailauth",
    ("python", "results"): "authres", ("perl", "srs"): "Mail::SRS",
}


def run(command, cases):
    """The answers by id. A process that dies over a case is told of as "crash" of that case, and begun anew behind it."""
    answers, todo = {}, list(cases)
    env = dict(os.environ, NODE_PATH=":".join(str(p) for p in NODE_MODULES), PYTHONDONTWRITEBYTECODE="1", PERL_HASH_SEED="0")
    while todo:
        text = "".join(json.dumps(c) + "\n" for c in todo)
        done = subprocess.run(command, input=text, capture_output=True, text=True, env=env, timeout=900)
        for line in done.stdout.splitlines():
            try:
                answer = json.loads(line)
            except ValueError:
                continue
            answers[answer["id"]] = answer
        left = [c for c in todo if c["id"] not in answers]
        if done.returncode == 0 and not left:
            break
        if not left or len(done.stdout) == 0 and len(left) == len(todo) and done.returncode in (1, 2, 64, 126, 127):
            raise RuntimeError(f"{command[0]} {command[-1]}: {done.stderr[-2000:]}")
        answers[left[0]["id"]] = {"id": left[0]["id"], "result": "crash", "reason": done.stderr[-1500:]}
        todo = left[1:]
    return answers


def run_all(processes, cases):
    """{name: answers} of several processes at once."""
    answers, failures = {}, []

    def one(name, command):
        try:
            answers[name] = run(command, cases)
        except Exception as e:  # noqa: BLE001
            failures.append(e)
    threads = [threading.Thread(target=one, args=p) for p in processes.items()]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]
    return answers
