#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The reference of the headers: nothing is undocumented, every function that
# libpersist exports has a man page mandoc finds nothing wrong with and its
# place in the HTML, and a hole in a header is found.
set -eu
command -v doxygen >/dev/null || { echo "SKIP: no doxygen" && exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "$1" >&2
    exit 1
}
export SOURCE_DATE_EPOCH=1
python3 "$SOURCE_DIR/packaging/reference/generate.py" "$work/out"

n=0
for page in "$work"/out/man3/*.3; do
    [ -e "$page" ] || fail "$page leads nowhere"
    [ -L "$page" ] || mandoc -Tlint -Wwarning "$page"
    n=$((n + 1))
done
[ "$n" -gt 80 ] || fail "only $n man pages"

n=0
sed -n 's/^ \(persist_[a-z0-9_]*\)@PERSIST_0 .*/\1/p' \
    "$SOURCE_DIR/packaging/debian/libpersist0.symbols" >"$work/functions"
while read -r name; do
    page=$work/out/man3/$name.3
    [ -e "$page" ] || fail "$name has no man page"
    mandoc -Tascii -Owidth=200 "$page" | sed 's/.\x08//g' >"$work/page"
    # In its name, its synopsis, and with a description of its own.
    sed -n '/^NAME/,/^SYNOPSIS/p' "$work/page" | grep -qw "$name" || fail "$name: NAME"
    sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' "$work/page" | grep -q "[ *]$name(" || fail "$name: SYNOPSIS"
    sed -n '/^DESCRIPTION/,$p' "$work/page" | grep -A 1 "^ *$name()" | grep -q '^ \{5,\}[^ ]' ||
        fail "$name: DESCRIPTION"
    grep -rqw "$name" "$work"/out/html/group__*.html || fail "$name is not in the HTML"
    n=$((n + 1))
done <"$work/functions"
[ "$n" -gt 60 ] || fail "only $n functions"

# What the generator reads, somewhere else.
tree() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/core" "$work/tree/sdk"
    cp -R "$SOURCE_DIR/CMakeLists.txt" "$SOURCE_DIR/packaging" "$work/tree/"
    cp -R "$SOURCE_DIR/core/include" "$work/tree/core/"
    cp -R "$SOURCE_DIR/sdk/include" "$work/tree/sdk/"
}

# The same wherever it is built.
tree
python3 "$work/tree/packaging/reference/generate.py" "$work/again"
diff -r "$work/out" "$work/again" || fail "it depends on where it is built"

# hole NAME FILE SED: with it the generator must fail and name NAME.
hole() {
    tree
    sed -i "$3" "$work/tree/$2"
    ! cmp -s "$work/tree/$2" "$SOURCE_DIR/$2" || fail "$1: nothing was changed"
    ! python3 "$work/tree/packaging/reference/generate.py" "$work/hole" >"$work/log" 2>&1 ||
        fail "a hole was not found: $1"
    grep -q "$1" "$work/log" || { cat "$work/log" && fail "another error than $1"; }
}
hole persist_hole core/include/persist/error.h \
    's/^PERSIST_API int persist_status_exit_code.*/&\nPERSIST_API int persist_hole(void);/'
hole member_hole sdk/include/persist/backend.h \
    's/^struct persist_backend_call {/&\n    int member_hole;/'
hole PERSIST_HOLE core/include/persist/persist.h \
    's/^    PERSIST_FINDING_INFO/    PERSIST_HOLE = 7,\n&/'
hole persist_no_such_call core/include/persist/persist.h \
    's/freed with persist_destroy/freed with persist_no_such_call/'
