# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# For a test that gives up at the first failure: whoever sources this has a
# folder $work, and `fail MESSAGE`, which ends it.
: "${work:?}"

# quietly WHAT COMMAND...: its output only where it fails.
quietly() {
    what=$1
    shift
    if ! "$@" >"$work/out" 2>&1; then
        cat "$work/out" >&2
        fail "$what failed"
    fi
}
