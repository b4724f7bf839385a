#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a C file of data files: embed.py OUT ARRAY FILE ...; see src/base/builtin.h."""
import os
import sys

out, array, files = sys.argv[1], sys.argv[2], sys.argv[3:]
with open(out, 'w') as c:
    c.write('#include "base/builtin.h"\n')
    for i, file in enumerate(files):
        data = open(file, 'rb').read()
        c.write('static const unsigned char text_%d[] = {\n' % i)
        for at in range(0, len(data), 20):
            c.write(' '.join('%d,' % b for b in data[at:at + 20]) + '\n')
        c.write('0 };\n')
    c.write('const struct builtin %s[] = {\n' % array)
    for i, file in enumerate(files):
        c.write('    { "%s", text_%d, sizeof text_%d - 1 },\n' % (os.path.basename(file), i, i))
    c.write('};\nconst unsigned %s_n = %d;\n' % (array, len(files)))
