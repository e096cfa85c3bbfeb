#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every relative link of every Markdown page leads to a file, and to a heading
of it where it names one."""
import os
import re
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def anchors(path):
    """Of the headings, as code hosts make them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", read(path)), re.M):
        text = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(text.replace(" ", "-"))
    return found


def problems(page):
    folder = os.path.dirname(page)
    for target in LINK.findall(FENCE.sub("", read(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = os.path.normpath(os.path.join(folder, path)) if path else page
        if not os.path.exists(file):
            yield f"{target}: no such file"
        elif anchor and file.endswith(".md") and anchor not in anchors(file):
            yield f"{target}: no such heading"


def pages():
    """Tracked ones, or all there are outside of a checkout."""
    try:
        names = subprocess.run(["git", "-C", TOP, "ls-files", "*.md"], check=True,
                               capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        names = []
    return [os.path.join(TOP, n) for n in names] or [
        os.path.join(folder, name) for folder, _, files in os.walk(TOP)
        for name in files if name.endswith(".md")
        and not os.path.relpath(folder, TOP).startswith("build")]


def main():
    found, n = [], 0
    for page in pages():
        n += len(LINK.findall(read(page)))
        found += [f"{os.path.relpath(page, TOP)}: {p}" for p in problems(page)]
    if n < 20:
        sys.exit(f"only {n} links found: this check sees nothing")
    if found:
        sys.exit("\n".join(found))


main()
