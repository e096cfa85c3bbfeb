#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The public headers stand alone: C99, C11 and C++ under gcc and clang, pedantic,
# with no other header before them, and a user of the library in C++ compiles so
# with every INIT macro. A target newer than the SDK header is refused.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror
-I$SOURCE_DIR/sdk/include -I$SOURCE_DIR/core/include -I$BUILD_DIR/include"
for header in backend error persist async; do
    echo "#include <persist/$header.h>" >"$work/$header.c"
    echo 'int persist_anchor; ' >>"$work/$header.c"
    cp "$work/$header.c" "$work/$header.cc"
done
cp "$SOURCE_DIR/tests/abi/consumer.cc" "$work/"
done=0

# compile COMPILER STANDARD FILE [FLAG...]
compile() {
    compiler=$1 standard=$2 file=$3
    shift 3
    # shellcheck disable=SC2086 # a list of words
    "$compiler" "-std=$standard" $flags "$@" -fsyntax-only "$work/$file"
}

try() {
    if ! compile "$@"; then
        echo "header_matrix: does not compile: $*" >&2
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
    for header in backend error persist async; do
        try "$c" c99 "$header.c"
        try "$c" c11 "$header.c"
        try "$c" c11 "$header.c" -fvisibility=hidden
        for extra in -Wc++-compat -Wstrict-prototypes; do
            try "$c" c99 "$header.c" "$extra"
        done
        # Each of these made words of the language out of names.
        for standard in c++11 c++17 c++20; do
            try "$cxx" $standard "$header.cc" -Wold-style-cast
        done
    done
    for standard in c++11 c++17 c++20; do
        try "$cxx" $standard consumer.cc
    done
    if compile "$c" c11 backend.c -DPERSIST_BACKEND_TARGET=999 \
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
