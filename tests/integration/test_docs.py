# SPDX-License-Identifier: Apache-2.0
"""What is written is what there is: options, log events and commands, in the manual, the manual pages and the program."""
import json
import os
import re
import subprocess

import pytest

from lib.daemon import postern
from lib.programs import have
from lib.util import ROOT

MANUAL = {p.name: p.read_text() for p in (ROOT / "docs/manual").glob("*.md")}
PAGE = (ROOT / "docs/man/postern.1").read_text()


def options(schema, path=""):
    """Every option of the JSON schema, by its path (limits.message_size, listeners[].address, zones.*.trust), and what it says of it."""
    for one in schema.get("anyOf", []) + schema.get("oneOf", []):
        yield from options(one, path)
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, inner.get("description")
        yield from options(inner, here)
    if isinstance(schema.get("items"), dict):
        yield from options(schema["items"], path + "[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from options(schema["additionalProperties"], path + ".*")


@pytest.fixture(scope="module")
def all_options():
    schema = json.loads(postern("schema", "--json", check=0).stdout)
    definitions = schema.get("$defs", {})

    def resolved(node):
        if isinstance(node, dict):
            if "$ref" in node:
                return resolved(definitions[node["$ref"].rsplit("/", 1)[1]])
            return {k: resolved(v) for k, v in node.items() if k != "$defs"}
        return [resolved(x) for x in node] if isinstance(node, list) else node
    found = dict(sorted(dict(options(resolved(schema))).items()))
    assert len(found) > 100
    return found


def test_every_option_is_in_the_manual_page(all_options):
    page = postern("schema", "--man", check=0).stdout.replace("\\", "")
    missing = [o for o in all_options if not re.search(rf"\b{re.escape(o.rsplit('.', 1)[-1])}\b", page)]
    assert not missing


def test_every_option_is_in_the_manual(all_options):
    text = "\n".join(MANUAL.values())
    missing = [o for o in all_options if not re.search(rf"(?<![\w-]){re.escape(o.rsplit('.', 1)[-1])}(?![\w-])", text)]
    assert not missing


@pytest.mark.parametrize("language", [p.stem for p in (ROOT / "web/src/lang/options").glob("*.json")])
def test_every_option_has_its_text_in_each_language(all_options, language):
    """As web/src/forms/labels.ts looks them up: by the option's path, else by "~" and its name, for options of which the English text is the same."""
    texts = json.loads((ROOT / "web/src/lang/options" / f"{language}.json").read_text())
    missing, shared = [], {}
    for path, english in all_options.items():
        common = "~" + path.rsplit(".", 1)[-1]
        found = texts.get(path) or texts.get(common, [])
        if len(found) != 2 or not all(found):
            missing.append(path)
        elif path not in texts:
            shared.setdefault(common, set()).add(english)
    assert not missing
    assert not {name: said for name, said in shared.items() if len(said) > 1}  # each needs a text of its own
    assert not [key for key in texts if key not in all_options and key not in shared and key[0] != "="]
    assert not [key for key, text in texts.items() if any(c in " ".join(text) for c in '"`')]


@pytest.mark.parametrize("language", [p.stem for p in (ROOT / "web/src/lang/options").glob("*.json")])
def test_every_default_in_words_has_its_text_in_each_language(all_options, language):
    """Those that name another option, a path or an entry are no words."""
    texts = json.loads((ROOT / "web/src/lang/options" / f"{language}.json").read_text())
    source = "\n".join(p.read_text() for p in (ROOT / "src/config").glob("schema*.c"))
    said = set(re.findall(r'\.shown = "([^"\\]+)"', source))
    assert len(said) > 30
    names = {*all_options, *(path.rsplit(".", 1)[-1] for path in all_options), "off"}
    assert not sorted(x for x in said - names if f"={x}" not in texts and (" " in x or x[0] not in "[/"))
    assert not sorted(key for key in texts if key[0] == "=" and key[1:] not in said)


def events_in_source():
    found = set()
    for path in (ROOT / "src").rglob("*.c"):
        for call in re.finditer(r"\blog_event(?:_full)?\((.*?)(?:\bLOG_[A-Z]+\(|\);)", path.read_text(), re.S):
            found.update(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)*)"', call[1]))
    return found


def events_in_manual():
    """The first column of every table whose head says "event"."""
    found = set()
    for text in MANUAL.values():
        for table in re.findall(r"^\| event \|.*?\n((?:\|.*\n?)+)", text, re.M):
            for row in table.splitlines():
                found.update(re.findall(r"`([a-z0-9-]+)`", row.split("|")[1]))
    return found


def test_every_event_of_the_manual_exists():
    source = "\n".join(p.read_text() for p in (ROOT / "src").rglob("*.c"))
    assert not sorted(e for e in events_in_manual() if f'"{e}"' not in source and not e.endswith(("-started", "-ended")))


def test_every_event_is_in_the_manual():
    found = events_in_source()
    assert len(found) > 50
    assert not sorted(found - events_in_manual())


def test_every_command_is_described():
    commands = re.findall(r"^  ([a-z-]+) ", postern("--help", check=0).stdout, re.M)
    assert len(commands) > 10
    page, running = PAGE.replace("\\", ""), "\n".join(MANUAL.values())
    assert not [c for c in commands if f".SS postern {c}" not in page]
    assert not [c for c in commands if f"postern {c}" not in running]
    assert not [c for c in re.findall(r"^\.SS postern ([a-z-]+)", page, re.M) if c not in commands]


@pytest.mark.skipif(not have("man"), reason="man is not installed")
def test_manual_pages_fit_a_terminal(tmp_path):
    page = tmp_path / "postern.yaml.5"
    page.write_text(postern("schema", "--man", check=0).stdout)
    for path in (page, ROOT / "docs/man/postern.1"):
        done = subprocess.run(["man", "--warnings=w", "-l", str(path)], capture_output=True, text=True, check=True,
                              env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"})
        assert not done.stderr, done.stderr
        assert not [line for line in done.stdout.splitlines() if len(line) > 80]


def test_links_lead_somewhere():
    broken = []
    for name, text in [*((f"docs/manual/{n}", t) for n, t in MANUAL.items()), ("README.md", (ROOT / "README.md").read_text()),
                       ("docs/features.md", (ROOT / "docs/features.md").read_text())]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
            if not (ROOT / name).parent.joinpath(target).exists():
                broken.append((name, target))
    assert not broken


@pytest.mark.slow
def test_features_name_what_exists():
    """Tests and files of docs/features.md."""
    text = (ROOT / "docs/features.md").read_text()
    for name in set(re.findall(r"`(test_\w+\.(?:c|py)|fuzz_\w+\.c)`", text)):
        assert [*(ROOT / "tests").rglob(name)], name
    for path in set(re.findall(r"`((?:web/)?src/[\w/.*]+)`", text)):
        assert [*ROOT.glob(path.rstrip("/"))], path
