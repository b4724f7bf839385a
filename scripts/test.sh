#!/bin/bash
# Runs the tests of a built tree: test.sh BUILD_FOLDER daily|all [pytest arguments]
set -u
build=$(realpath "$1"); what=$2; shift 2
cd "$(dirname "$0")/.."
export POSTERN_BUILD=$build
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:exitcode=99:detect_leaks=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1:exitcode=99}

# What Python makes of the conversations is kept beside what the compiler makes. In a new tree all that run them would make it, each.
export PYTHONPYCACHEPREFIX=$build/pycache
[ -d "$PYTHONPYCACHEPREFIX" ] || /usr/bin/python3 -m pytest -q --collect-only tests/integration >/dev/null 2>&1 &

echo "== unit tests"
# Every day the spool's are spared the disk, which they wait for thousands of times; power cuts are played to them either way.
free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
[ "$what" = all ] || [ "${free:-0}" -lt 1000000 ] || tmp=/dev/shm
# Most of the long ones wait for time-outs: more of them than cores.
suites=(--num-processes 6)
[ "$what" = all ] || suites+=(--no-suite slow)
TMPDIR=${tmp:-${TMPDIR:-/tmp}} meson test -C "$build" --no-rebuild --print-errorlogs "${suites[@]}" || exit 1

echo "== conversations"
marks=() jobs=4
# Every day a file's go to one of the jobs, which starts what they share once. To look for leaks is a fifth of a process that does little: the
# unit tests do it, and all do with `make test`.
[ "$what" = all ] || { marks=(-m "not slow" --dist loadfile); jobs=7; ASAN_OPTIONS+=:detect_leaks=0; }
# Most of a conversation is waiting: more of them than cores. Paths of Unix sockets must be short.
folder=$(mktemp -d /tmp/pt.XXXX)
wait
/usr/bin/python3 -m pytest -q -ra -n "${TEST_JOBS:-$jobs}" --durations=5 --basetemp "$folder/t" "${marks[@]}" tests/integration "$@"
status=$?
[ $status = 0 ] && rm -rf "$folder" || echo "What the tests left is in $folder"
exit $status
