#!/bin/sh
# Builds prebuilds/linux-x64/x0x.node and puts libx0x.so beside it, where the addon's
# $ORIGIN finds it. The library comes from X0X_LIBRARY, or from the repository's .build/lib.
set -eu
cd "$(dirname "$0")/.."

library=${X0X_LIBRARY:-../.build/lib/libx0x.so}
out=prebuilds/linux-x64
[ -f "$library" ] || { echo "build-addon: no library at $library (run make build first)" >&2; exit 1; }
[ -d node_modules/node-api-headers ] || npm ci --ignore-scripts --no-audit --no-fund

mkdir -p "$out"
# A running program may have the old files mapped: replace, never overwrite.
cp "$library" "$out/libx0x.so.new" && mv "$out/libx0x.so.new" "$out/libx0x.so"
# nodelete: Node unloads an addon with the worker that loaded it.
"${CC:-gcc}" -std=c11 -O2 -g0 -fPIC -shared -Wall -Wextra -Werror -fvisibility=hidden -DNAPI_VERSION=8 \
    -I../include -Inode_modules/node-api-headers/include src/*.c \
    -L"$out" -l:libx0x.so -Wl,-z,nodelete,-z,relro,-z,now,-rpath,'$ORIGIN' -s -o "$out/x0x.node.new"
mv "$out/x0x.node.new" "$out/x0x.node"
