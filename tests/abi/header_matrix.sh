#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The SDK header stands alone: C99, C11 and C++17 under gcc and clang, pedantic,
# with no other header before it; and a target newer than it is refused.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
include=$SOURCE_DIR/sdk/include
echo '#include <persist/backend.h>' >"$work/alone.c"
echo 'int persist_anchor; ' >>"$work/alone.c"
cp "$work/alone.c" "$work/alone.cc"
flags="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror"
done=0

# compile COMPILER STANDARD FILE [FLAG...]
compile() {
    compiler=$1 standard=$2 file=$3
    shift 3
    # shellcheck disable=SC2086 # a list of words
    "$compiler" "-std=$standard" $flags "$@" "-I$include" -fsyntax-only "$file"
}

try() {
    if ! compile "$@"; then
        echo "header_matrix: backend.h does not compile: $*" >&2
        exit 1
    fi
    done=$((done + 1))
}

for pair in gcc:g++ clang:clang++; do
    c=${pair%:*} cxx=${pair#*:}
    for compiler in "$c" "$cxx"; do
        if ! command -v "$compiler" >/dev/null; then
            echo "$compiler is not installed"
            exit 77
        fi
    done
    try "$c" c99 "$work/alone.c"
    try "$c" c11 "$work/alone.c"
    try "$c" c11 "$work/alone.c" -fvisibility=hidden
    try "$cxx" c++11 "$work/alone.cc"
    try "$cxx" c++17 "$work/alone.cc"
    for extra in -Wc++-compat -Wstrict-prototypes; do
        try "$c" c99 "$work/alone.c" "$extra"
    done
    if compile "$c" c11 "$work/alone.c" -DPERSIST_BACKEND_TARGET=999 \
        2>"$work/err"; then
        echo "header_matrix: $c takes a target that does not exist" >&2
        exit 1
    fi
    grep -q 'newer than this header' "$work/err" || {
        echo "header_matrix: $c does not say that the target is too new" >&2
        exit 1
    }
done
echo "$done compilations"
