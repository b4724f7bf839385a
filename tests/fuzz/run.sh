#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzz targets of a build folder (set up by `make fuzz`), each for a time on a copy of its corpus; stops at the first crash.
#     tests/fuzz/run.sh BUILD_FOLDER SECONDS [NAME ...]
# What crashed is left in BUILD_FOLDER/fuzz-found/. A target may have a dictionary in tests/fuzz/NAME.dict.
set -eu
if [ $# -lt 2 ]; then
    echo "usage: $0 BUILD_FOLDER SECONDS [NAME ...]" >&2
    exit 64
fi
build=$(realpath "$1"); seconds=$2; shift 2
cd "$(dirname "$0")"
names=("$@")
if [ ${#names[@]} = 0 ]; then
    for target in fuzz_*.c; do name=${target#fuzz_}; names+=("${name%.c}"); done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$build/fuzz-found"
for name in "${names[@]}"; do
    mkdir -p "$work/$name"
    [ ! -d "corpus/$name" ] || cp -r "corpus/$name/." "$work/$name/"
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$build/fuzz-found/$name-")
    [ ! -f "$name.dict" ] || options+=(-dict="$name.dict")
    if ! "$build/tests/fuzz/fuzz_$name" "${options[@]}" "$work/$name" >"$work/log" 2>&1; then
        tail -n 60 "$work/log"
        echo "fuzz $name: CRASH, the input is in $build/fuzz-found/"
        exit 1
    fi
    echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log") executions, no crash"
done
