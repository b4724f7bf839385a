# SPDX-License-Identifier: Apache-2.0
"""Writes all crafted messages into a folder: generate.py FOLDER. The cases are in generate_*.py beside it, each with a function
cases() that yields them; the same at each run."""
import importlib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def all_cases():
    found = {}
    for file in sorted(HERE.glob('generate_*.py')):
        for case in importlib.import_module(file.stem).cases():
            name = f'{file.stem.removeprefix("generate_")}-{case.name}'
            assert name not in found, name
            found[name] = case
    return found


def write(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cases = all_cases()
    for name, case in cases.items():
        (folder / f'{name}.eml').write_bytes(case.bytes)
    return cases


if __name__ == '__main__':
    print(len(write(sys.argv[1])), 'messages')
