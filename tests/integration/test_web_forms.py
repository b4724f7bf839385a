# SPDX-License-Identifier: Apache-2.0
"""The forms of the web administration fit the schema: every option has one place, and what is sent for a change is right. And `npm run check`: types, and
texts of all languages."""
import pathlib
import shutil
import subprocess

import pytest

from lib.util import BINARY

WEB = pathlib.Path(__file__).resolve().parents[2] / "web"


@pytest.mark.parametrize("script", ["check-pages.mjs", "check-forms.mjs"])
def test_forms_fit_the_schema(script):
    node = shutil.which("node")
    if not node or not (WEB / "node_modules/esbuild").exists():
        pytest.skip("Node.js, or what the web pages are built with, is not there")
    schema = subprocess.run([str(BINARY), "schema", "--json"], capture_output=True, text=True, timeout=60, check=True).stdout
    done = subprocess.run([node, str(WEB / script)], input=schema, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow  # `make lint` does it, too
def test_types_and_languages():
    npm = shutil.which("npm")
    if not npm or not (WEB / "node_modules/typescript").exists():
        pytest.skip("npm, or what the web pages are built with, is not there")
    done = subprocess.run([npm, "run", "--silent", "check"], cwd=WEB, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
