# SPDX-License-Identifier: Apache-2.0
"""Holds what is found in the crafted messages against what is expected: run.py SCAN_DUMP [NAME ...]"""
import json
import pathlib
import subprocess
import sys
import tempfile

from generate import write


def dump(program, files):
    out = []
    for i in range(0, len(files), 200):
        run = subprocess.run([program, *map(str, files[i:i + 200])], capture_output=True, check=False)
        if run.returncode:
            sys.exit(f'{program} ended with {run.returncode}: {run.stderr.decode(errors="replace")[-3000:]}')
        out += [json.loads(line) for line in run.stdout.splitlines()]
    return out


def missing(what, wanted, got):
    return [f'{what} {w!r} is not in {got!r}' for w in wanted if w not in got]


def check(case, m):
    parts = m['parts']
    names = [n for p in parts for n in p['names']]
    wrong = missing('finding', case.findings, m['findings'])
    wrong += [f'finding {f} is there' for f in case.absent if f in m['findings']]
    if case.exactly and set(m['findings']) != set(case.findings):
        wrong.append(f'findings {m["findings"]}, not {case.findings}')
    wrong += missing('name', case.names, names)
    wrong += missing('first name', case.first_names, [p['names'][0] for p in parts if p['names']])
    wrong += missing('type', case.types, [p['type'] for p in parts])
    if case.declared is not None and [p['declared'] for p in parts if p['mime']] != list(case.declared):
        wrong.append(f'declared {[p["declared"] for p in parts if p["mime"]]}, not {list(case.declared)}')
    for start in case.starts:
        if not any(bytes.fromhex(p['start']).startswith(start) for p in parts):
            wrong.append(f'no part starts with {start!r}: {[bytes.fromhex(p["start"]) for p in parts]}')
    for key, want in (('files', case.files), ('parts', case.parts)):
        got = len([p for p in parts if p['file'] or key == 'parts'])
        if want is not None and got != want:
            wrong.append(f'{got} {key}, not {want}')
    wrong += [f'{t!r} is not in the text {m["text"]!r}' for t in case.text if t not in m['text']]
    wrong += [f'{t!r} is in the text {m["text"]!r}' for t in case.no_text if t in m['text']]
    wrong += [f'{t!r} is not in the hidden text {m["hidden"]!r}' for t in case.hidden if t not in m['hidden']]
    wrong += missing('link', case.links, [link['url'] for link in m['links']])
    wrong += missing('host', case.hosts, [link['host'] for link in m['links']])
    wrong += missing('text of a link', case.shown, [link['shown'] for link in m['links']])
    if case.no_links and m['links']:
        wrong.append(f'links {m["links"]}')
    if case.subject is not None and m['subject'] != case.subject:
        wrong.append(f'subject {m["subject"]!r}, not {case.subject!r}')
    wrong += missing('field', [list(f) for f in case.fields], [[f['name'], f['value']] for f in m['fields']])
    return wrong


def check_places(case, m):
    """Offsets point at what they say they do."""
    wrong = []
    for f in m['fields']:
        if f['at'] >= 0 and not case.bytes[f['at']:f['at'] + f['n']].startswith(f['name'].encode()):
            wrong.append(f'field {f["name"]} is not at {f["at"]}')
    for i, p in enumerate(m['parts']):
        if not p['mime']:
            continue
        if not 0 <= p['at'] <= p['body_at'] <= p['at'] + p['n'] <= len(case.bytes):
            wrong.append(f'part {i} is at {p["at"]}..{p["body_at"]}..+{p["n"]}')
        of = m['parts'][p['parent']]
        if of['mime'] and i and not (of['at'] <= p['at'] and p['at'] + p['n'] <= of['at'] + of['n']):
            wrong.append(f'part {i} is not within part {p["parent"]}')
    return wrong


def below(m, i):
    """How many parts are in part i, with itself."""
    inside = {i}
    for k in range(i + 1, len(m['parts'])):
        if m['parts'][k]['parent'] in inside:
            inside.add(k)
    return inside


def cuts(name, case, m, folder):
    """Files with one part cut out, and how many MIME parts each of them should have: the empty part that stays counts."""
    if not case.cut or 'mime-broken' in m['findings'] or not name.startswith(('mime-', 'html-', 'names-')):
        return
    mime = [i for i, p in enumerate(m['parts']) if p['mime']]
    for i in mime[1:5]:
        p = m['parts'][i]
        parent = m['parts'][p['parent']]
        if not parent['declared'].startswith('multipart/') or parent['declared'] == 'multipart/digest':
            continue
        file = folder / f'{name}-without-{i}.eml'
        file.write_bytes(case.bytes[:p['at']] + b'Content-Type: text/plain\r\n\r\nGone.' + case.bytes[p['at'] + p['n']:])
        gone = below(m, i)
        yield file, len([k for k in mime if k not in gone]) + 1


def main():
    program, only = sys.argv[1], sys.argv[2:]
    bad = 0
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp)
        cases = {n: c for n, c in write(folder).items() if not only or n in only}
        found = dict(zip(cases, dump(program, [folder / f'{n}.eml' for n in cases])))
        without = []
        for name, case in cases.items():
            wrong = check(case, found[name]) + check_places(case, found[name])
            bad += bool(wrong)
            for w in wrong:
                print(f'{name}: {w}')
            without += list(cuts(name, case, found[name], folder))
        for (file, parts), m in zip(without, dump(program, [f for f, _ in without])):
            got = len([p for p in m['parts'] if p['mime']])
            if got != parts or 'mime-broken' in m['findings'] or 'Gone.' not in m['text']:
                bad += 1
                print(f'{file.stem}: {got} parts, not {parts}; {m["findings"]}')
        print(f'{len(cases)} messages, {len(without)} with a part cut out, {bad} not as expected')
    sys.exit(bad > 0)


if __name__ == '__main__':
    main()
