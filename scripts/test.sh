#!/bin/bash
# Runs the tests of a built tree: test.sh BUILD_FOLDER daily|all [pytest arguments]
set -u
build=$(realpath "$1"); what=$2; shift 2
cd "$(dirname "$0")/.."
export POSTERN_BUILD=$build
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:exitcode=99:detect_leaks=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1:exitcode=99}

echo "== unit tests"
# Every day the spool's are spared the disk, which they wait for thousands of times; power cuts are played to them either way.
free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
[ "$what" = all ] || [ "${free:-0}" -lt 1000000 ] || tmp=/dev/shm
TMPDIR=${tmp:-${TMPDIR:-/tmp}} meson test -C "$build" --no-rebuild --print-errorlogs || exit 1

echo "== conversations"
marks=() jobs=4
[ "$what" = all ] || { marks=(-m "not slow"); jobs=7; }
# Most of a conversation is waiting: more of them than cores. Paths of Unix sockets must be short.
folder=$(mktemp -d /tmp/pt.XXXX)
/usr/bin/python3 -m pytest -q -ra -n "${TEST_JOBS:-$jobs}" --durations=5 --basetemp "$folder/t" "${marks[@]}" tests/integration "$@"
status=$?
[ $status = 0 ] && rm -rf "$folder" || echo "What the tests left is in $folder"
exit $status
