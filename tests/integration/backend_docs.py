#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/NAME.md has a table of options that is the backend's own: every key, and its default.

usage: backend_docs.py NAME
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROW = re.compile(r"^\| `([a-z0-9_]+)` \| ([^|]*) \| ([^|]*) \|$")


def documented(name):
    """key -> default, of the table under the heading "Options"."""
    with open(os.path.join(HERE, "..", "..", "docs", name + ".md"), encoding="utf-8") as f:
        chapter = re.search(r"^## Options\n(.*?)(?=^## |\Z)", f.read(), re.S | re.M)
    if not chapter:
        sys.exit(f"docs/{name}.md has no chapter Options")
    rows = [ROW.match(line) for line in chapter.group(1).splitlines()]
    return {m.group(1): m.group(2).strip().strip("`") for m in rows if m}


def declared(name):
    text = subprocess.run([os.environ["PERSIST"], "--backend-dir", os.environ["BACKENDS"],
                           "backends", name, "--json"], capture_output=True, check=True).stdout
    return {o["key"]: ("required" if o["required"] else o["default"] or "")
            for o in json.loads(text)["options"]}


def main():
    name = sys.argv[1]
    page, table = documented(name), declared(name)
    for key in sorted(page.keys() | table.keys()):
        if page.get(key) != table.get(key):
            print(f"docs/{name}.md: {key}: the page says {page.get(key)!r}, "
                  f"the backend {table.get(key)!r} (None: nothing)")
    sys.exit(page != table or not table)


main()
