# SPDX-License-Identifier: Apache-2.0
"""Postern's engine over a set of files: scores, with the CPU time of the whole scan of a message."""
import os
import re
import shutil
import subprocess
import tempfile

import corpus


def run(program, args, files):
    r = subprocess.run([program] + args, input='\n'.join(files) + '\n', capture_output=True, text=True, check=True)
    return [float(line.split('\t')[1]) / 100 for line in r.stdout.splitlines()], float(re.search(r'cpu_ms ([\d.]+)', r.stderr).group(1))


def measure(program, trained, judged):
    """Scores of the files in `judged`, and milliseconds of CPU of one."""
    if not trained:
        return run(program, ['judge'], judged)
    folder = tempfile.mkdtemp(prefix='postern-spam-')
    try:
        # As mail comes: in the order of time, whatever it is.
        c = corpus.Training()
        for kind, wanted in (('ham', False), ('spam', True)):
            run(program, ['learn', folder, kind], [f for f, s in zip(c.files, c.spam) if s == wanted])
        return run(program, ['judge', folder], judged)
    finally:
        shutil.rmtree(folder)
