#!/bin/bash
# clang-tidy and cppcheck over src, and the checks of the web pages (types, languages, forms); any finding fails.
# lint.sh BUILD_FOLDER (with compile_commands.json; with a built postern the forms are held against its schema)
set -eu
cd "$(dirname "$0")/.."
status=0
cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -Isrc -D_GNU_SOURCE -DPOSTERN_VERSION='"x"' \
    --library=scripts/cppcheck.cfg \
    --enable=warning,performance,portability --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches src || status=1
find src -name '*.c' -print0 | xargs -0 -P 2 -n 1 clang-tidy -p "$1" --quiet --warnings-as-errors='*' || status=1
if command -v node >/dev/null && [ -d web/node_modules ]; then
    (cd web && npm run --silent check) || status=1
    for script in check-pages check-forms; do
        [ ! -x "$1/postern" ] || "$1/postern" schema --json | node "web/$script.mjs" || status=1
    done
else
    echo "the web pages are not checked: Node.js or web/node_modules is not there" >&2
fi
exit $status
