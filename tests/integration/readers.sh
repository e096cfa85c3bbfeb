#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Snapshots made by the command, read by others: the stock zstd and gzip print
# the payload, and two independent seekable-zstd readers read and seek in it.
# Needs READERS_PYTHON, an interpreter with pyzstd and indexed_zstd (tests/run
# makes one).
set -eu

if [ -z "${READERS_PYTHON:-}" ]; then
    echo "READERS_PYTHON is not set: run tests/run, which installs the readers"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/store"
export PERSIST_BACKEND_DIR="$BACKENDS"
export XDG_CONFIG_HOME="$work" PERSIST_STORE_LOCAL_ROOT="$work/store"

# One session per payload; the object is the only one of it.
object() {
    for file in "$work/store/$1"/default/*/*.data \
        "$work/store/$1"/default/*/*.snap; do
        if [ -e "$file" ]; then
            echo "$file"
            return
        fi
    done
}

n=0
for size in 0 1 4194304 4194305 20000000; do
    for kind in text noise; do
        n=$((n + 1))
        if [ "$kind" = text ]; then
            yes 'the quick brown fox 0123456789' | head -c "$size" >"$work/in"
        else
            head -c "$size" /dev/urandom >"$work/in"
        fi
        "$PERSIST" -q save "z$n" "$work/in"
        "$PERSIST" -q save "g$n" "$work/in" --compression gzip
        zstd -dcq "$(object "z$n")" | cmp - "$work/in"
        gzip -dc "$(object "g$n")" | cmp - "$work/in"
        "$READERS_PYTHON" "$(dirname "$0")/readers.py" \
            "$(object "z$n")" "$work/in"
    done
done
echo "$n payloads read by zstd, gzip, pyzstd and indexed_zstd"
