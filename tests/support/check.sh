# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# check NAME COMMAND...: one step of a campaign, its output in a file of $work,
# shown where it fails. Counts in $passed and $failed. Sourced.
passed=0 failed=0
check() {
    check_name=$1
    shift
    begin=$(date +%s)
    log="${work:?}/$(echo "$check_name" | tr ' /' '__').log"
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1)) word=ok
    else
        failed=$((failed + 1)) word=FAILED
        tail -n 40 "$log"
    fi
    echo "$check_name: $word, $(($(date +%s) - begin)) s"
}
