#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts a ctest JUnit report; names what was skipped and why.

A skip is a failure where CI=true, be it of a part of a test program alone.
"""
import os
import re
import sys
import xml.etree.ElementTree

# cmocka's skip(): the program passes all the same.
PART = re.compile(r"^\[  SKIPPED \] ([a-z]\w*)$", re.MULTILINE)


def cases(path):
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError) as e:
        print(f"no report of the tests: {e}")
        return []
    return root.iter("testcase")


def main():
    passed, failed, skipped, parts = 0, [], [], []
    for case in cases(sys.argv[1]):
        name = case.get("name")
        output = (case.findtext("system-out") or "").strip()
        reason = output.splitlines()[-1] if output else "no reason given"
        skip = case.find("skipped")
        if case.get("status") == "run":
            passed += 1
            parts += ((name, part) for part in sorted(set(PART.findall(output))))
        elif skip is not None and skip.get("message", "").startswith("SKIP_"):
            skipped.append((name, reason))
        elif case.get("status") == "fail":
            failed.append(name)
        else:  # a program that is not there, a fixture that failed, disabled
            failed.append(f"{name}: {reason}")
    for name in failed:
        print(f"failed: {name}")
    for name, reason in skipped:
        print(f"skipped: {name}: {reason}")
    for name, part in parts:
        print(f"skipped in part: {name}: {part}")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    strict = os.environ.get("CI") == "true" and (skipped or parts)
    sys.exit(1 if failed or not passed or strict else 0)


if __name__ == "__main__":
    main()
