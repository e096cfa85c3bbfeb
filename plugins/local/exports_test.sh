#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: exports_test.sh NM FILE: the backend exports its entry, nothing else.
set -eu
found=$("$1" -D --defined-only "$2" | awk '{ print $NF }' | sed 's/@.*//')
if [ "$found" != persist_backend_entry_v1 ]; then
    echo "$2 exports:" >&2
    echo "$found" >&2
    exit 1
fi
