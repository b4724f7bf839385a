# SPDX-License-Identifier: Apache-2.0
"""The web pages as a person meets them: scripts of tests/web in Debian's Chromium, against a relay with lib/web.py's options.

Pictures of every page are kept in the folder that POSTERN_ARTIFACTS names, or below the test's own folder."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from lib.util import ROOT

WEB = ROOT / "tests/web"
CHROMIUM = "/usr/bin/chromium"


def lacks():
    if not os.path.exists(CHROMIUM) or not shutil.which("node"):
        return "Chromium or Node.js is not installed"
    if not (WEB / "node_modules/playwright-core").exists():
        return "playwright-core is not there: scripts/setup.sh test"


needs_browser = pytest.mark.skipif(bool(lacks()), reason=lacks() or "")


def drive(script, relay, folder, name=None, seconds=240, **given):
    """Runs tests/web/SCRIPT.mjs to its end; returns its steps. Fails with the first step that does, and with any fault it found on the way."""
    artifacts = pathlib.Path(os.environ.get("POSTERN_ARTIFACTS") or folder / "pictures")
    artifacts.mkdir(parents=True, exist_ok=True)
    given = {"artifacts": str(artifacts), "name": name or script, "chromium": CHROMIUM, **given}
    # Chromium keeps what it must keep in the test's folder.
    home = folder / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(["node", str(WEB / f"{script}.mjs"), f"https://{relay.config['web']['listen']}", json.dumps(given)], capture_output=True, text=True,
                          timeout=seconds, env={**os.environ, "HOME": str(home)}, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    steps = [one for one in lines if "step" in one]
    failed = [f"{one['step']}: {one['error']}" for one in steps if not one["ok"]]
    faults = next((one["faults"] for one in lines if "faults" in one), ["the script did not come to its end"])
    story = "\n".join(f"{'ok ' if one['ok'] else 'NOT'} {one['ms']:6} ms  {one['step']}" for one in steps)
    assert not failed and not faults and done.returncode == 0, "\n".join([story, *failed, *faults, done.stderr[-3000:], f"pictures: {artifacts}"])
    return steps
