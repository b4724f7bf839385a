#!/bin/bash
# All benchmarks: run.sh PATH_TO_POSTERN. TMPDIR must be on a real disk (default here: /var/tmp).
set -eu
export TMPDIR=${TMPDIR:-/var/tmp}
here=$(cd "$(dirname "$0")" && pwd)
postern=$(realpath "$1")
[ -d "$here/.peers/postfix" ] || "$here/peers.sh" setup postfix
"$here/relay_bench.py" limits --rounds 1
"$here/relay_bench.py" run --peers postfix-tuned --relay "postern:2525:exec $here/postern.sh $postern"
"$here/sessions.py" latency "$postern"
"$here/sessions.py" idle "$postern"
