# SPDX-License-Identifier: Apache-2.0
"""A million messages in the history: every filter is answered in time. Slow: the history is filled first."""
import re
import subprocess

import pytest

from lib.daemon import environment
from lib.util import BUILD

BENCH = BUILD / "tests/bench/tracking_bench"


@pytest.mark.slow
@pytest.mark.skipif(not BENCH.exists(), reason="ninja tests/bench/tracking_bench makes it")
def test_a_million(tmp_path):
    """CPU is what is asserted: the clock of a machine that others use, or of a build with sanitizers, says little."""
    done = subprocess.run([BENCH, tmp_path, "1000000", "3"], capture_output=True, text=True, timeout=1800, env=environment())
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^ *([\d.]+) +([\d.]+) +([\d.]+) +\d+ slices +(\d+) found +(.*)$", done.stdout, re.M)
    print(done.stdout)
    assert len(rows) > 40
    for median, worst, cpu, found, question in rows:
        assert float(cpu) < 200, (question, done.stdout)
    found = {question: int(n) for _, _, _, n, question in rows}
    assert found['{"sender": "needle@haystack.example"}'] == 1 and found['{"reason": "rarest of answers"}'] == 1
    assert found['{"sender": "nobody@nowhere.example"}'] == 0 and found['{"outcome": "delivered"}'] == 100
