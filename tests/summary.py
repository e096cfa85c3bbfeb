#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts a ctest JUnit report; names what was skipped and why.

A skip is a failure where CI=true.
"""
import os
import sys
import xml.etree.ElementTree


def main():
    passed, failed, skipped = 0, [], []
    for case in xml.etree.ElementTree.parse(sys.argv[1]).getroot():
        if case.tag != "testcase":
            continue
        if case.get("status") == "run":
            passed += 1
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            output = (case.findtext("system-out") or "").strip()
            reason = output.splitlines()[-1] if output else "no reason given"
            skipped.append((case.get("name"), reason))
        else:
            failed.append(case.get("name"))
    for name in failed:
        print(f"failed: {name}")
    for name, reason in skipped:
        print(f"skipped: {name}: {reason}")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    no_skips = os.environ.get("CI") == "true"
    sys.exit(1 if failed or not passed or (no_skips and skipped) else 0)


if __name__ == "__main__":
    main()
