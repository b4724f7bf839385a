# SPDX-License-Identifier: Apache-2.0
"""Holds our reading of messages against GMime's: compare.py SCAN_DUMP GMIME_DUMP [FILE ...]; without files, the crafted messages that
every reader should understand alike."""
import pathlib
import sys
import tempfile

from generate import write
from run import dump


# GMime reads them otherwise, and no finding says so: ours is the reading that shows more.
NOT_AS_GMIME = ('mime-empty', 'mime-base64-no-padding', 'mime-quoted-printable-blanks', 'mime-uuencode-encoding', 'mime-raw-windows-1252', 'mime-raw-iso-2022-jp',
                'mime-subject-5', 'mime-subject-13', 'mime-subject-14', 'names-word-cut-in-character', 'names-word-in-sections', 'names-hidden-22',
                'names-control', 'names-long', 'names-long-then')


def ours(m):
    parts = [p for p in m['parts'] if p['mime']]
    return [(p['declared'], p['size'], p['start']) if leaf(p['declared']) else (p['declared'],) for p in parts]


def theirs(m):
    return [(p['declared'], p['size'], p['start']) if leaf(p['declared']) and 'size' in p else (p['declared'],) for p in m['parts']]


def leaf(declared):
    return not declared.startswith('multipart/') and declared != 'message/rfc822'


def compare(files, program, gmime):
    bad = count = 0
    for file, m, g in zip(files, dump(program, files), dump(gmime, files)):
        if {'mime-broken', 'broken'} & set(m['findings']) or any(f.startswith('limit') for f in m['findings']):
            continue
        count += 1
        wrong = [f'parts {ours(m)}, not {theirs(g)}'] if ours(m) != theirs(g) else []
        if 'subject' in g and g['subject'].split() != m['subject'].split():
            wrong.append(f'subject {m["subject"]!r}, not {g["subject"]!r}')
        names = [g['name'] for g in g['parts'] if 'name' in g]
        have = [n for p in m['parts'] for n in p['names']]
        wrong += [f'name {n!r} is not in {have}' for n in names if n not in have]
        bad += bool(wrong)
        for w in wrong:
            print(f'{pathlib.Path(file).name}: {w[:600]}')
    print(f'{count} messages compared, {bad} differ')
    return bad


def main():
    program, gmime, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    if files:
        sys.exit(compare(files, program, gmime) > 0)
    with tempfile.TemporaryDirectory() as tmp:
        files = [pathlib.Path(tmp) / f'{n}.eml' for n in write(tmp) if n.startswith(('mime-', 'names-')) and n not in NOT_AS_GMIME]
        sys.exit(compare(files, program, gmime) > 0)


if __name__ == '__main__':
    main()
