#!/bin/sh
# Type tests, then every test file in a process of its own. Arguments are test files.
set -eu
cd "$(dirname "$0")/.."

[ -d node_modules/typescript ] || npm ci --ignore-scripts --no-audit --no-fund
[ -f prebuilds/linux-x64/x0x.node ] || sh scripts/build-addon.sh
if [ $# -eq 0 ]; then
    node_modules/.bin/tsc -p test/types
    set -- test/*.test.js
fi
# One file at a time: the machines that run this have two cores, and each file has networks of
# its own to run.
exec node --expose-gc --test --test-concurrency=1 --test-timeout=120000 "$@"
