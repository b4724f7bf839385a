#!/bin/bash
# clang-tidy and cppcheck over src; any finding fails. lint.sh BUILD_FOLDER (with compile_commands.json)
set -eu
cd "$(dirname "$0")/.."
status=0
cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -Isrc -D_GNU_SOURCE -DPOSTERN_VERSION='"x"' \
    --library=scripts/cppcheck.cfg \
    --enable=warning,performance,portability --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches src || status=1
find src -name '*.c' -print0 | xargs -0 -P 2 -n 1 clang-tidy -p "$1" --quiet --warnings-as-errors='*' || status=1
exit $status
