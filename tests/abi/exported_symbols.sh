#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each backend exports one symbol and wants none of Persist, is bound when it is
# loaded, and is never unloaded.
set -eu
entry=persist_backend_entry_v1
n=0

complain() {
    echo "exported_symbols: $1" >&2
    exit 1
}

for file in "$BACKENDS"/*.so "$TEST_BACKENDS"/memory*.so; do
    [ -e "$file" ] || complain "there is no $file"
    n=$((n + 1))
    symbols=$(nm -D --defined-only "$file" | awk '{ print $3 }')
    if [ -n "$SANITIZE" ]; then
        # A sanitizer adds symbols of its own to what it instruments.
        echo "$symbols" | grep -qx "$entry" ||
            complain "$file does not export $entry"
    elif [ "$symbols" != "$entry" ]; then
        complain "$file exports more or less than $entry: $symbols"
    fi
    wanted=$(nm -D --undefined-only "$file" | awk '$2 ~ /^persist/ { print $2 }')
    [ -z "$wanted" ] || complain "$file needs of its host: $wanted"
    flags=$(readelf -d "$file")
    echo "$flags" | grep -q 'FLAGS_1.*NODELETE' ||
        complain "$file can be unloaded (-z nodelete is missing)"
    echo "$flags" | grep -q 'FLAGS_1.*NOW' ||
        complain "$file is bound lazily (-z now is missing)"
    if echo "$flags" | grep -Eq 'NEEDED.*libpersist|RPATH|RUNPATH'; then
        complain "$file is linked to libpersist or has a run path"
    fi
done
[ "$n" -ge 3 ] || complain "only $n backends were found"
