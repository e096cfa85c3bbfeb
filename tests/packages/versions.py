#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The version stands in CMakeLists.txt; what packagers' files say is the same.

usage: versions.py [--print]
"""
import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def find(pattern, *path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as f:
        m = re.search(pattern, f.read(), re.M)
    if not m:
        sys.exit(f"{'/'.join(path)}: no version")
    return m.group(1)


def main():
    number = find(r"project\(persist VERSION ([\d.]+)", "CMakeLists.txt")
    suffix = find(r"set\(PERSIST_VERSION \"\$\{PROJECT_VERSION\}(.*?)\"", "CMakeLists.txt")
    version = number + suffix
    tilde = version.replace("-", "~")
    said = {
        "packaging/debian/changelog": (find(r"^persist \((.*)-[^-]+\)", "packaging", "debian", "changelog"), tilde),
        "packaging/rpm/persist.spec: Version": (find(r"^Version: +(\S+)", "packaging", "rpm", "persist.spec"), tilde),
        "packaging/rpm/persist.spec: upstream": (find(r"^%global upstream (\S+)", "packaging", "rpm", "persist.spec"), version),
        "CHANGELOG.md": (find(r"^## \[([^\]]+)\]", "CHANGELOG.md"), version),
    }
    wrong = [f"{where} says {got}, not {want}" for where, (got, want) in said.items() if got != want]
    if wrong:
        sys.exit("\n".join(wrong))
    if "--print" in sys.argv[1:]:
        print(version)


main()
