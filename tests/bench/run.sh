#!/bin/bash
# All benchmarks: run.sh PATH_TO_POSTERN
set -eu
here=$(dirname "$0")
"$here/relay_bench.py" run "$1"
"$here/relay_bench.py" latency "$1"
"$here/relay_bench.py" idle "$1" -n 10000
