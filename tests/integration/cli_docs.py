#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/cli.md holds each verb's help page as the command prints it.

usage: cli_docs.py [--write]

Without --write: fails, with a difference, where the page and the command say
something else. PERSIST is the command.
"""
import difflib
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "cli.md")
BLOCK = re.compile(r"(<!-- help ?([a-z]*) -->\n```\n)(.*?)(```\n)", re.S)


def help_page(verb):
    """A verb's page without the global options, which stand there once."""
    words = [os.environ["PERSIST"], "help"] + ([verb] if verb else [])
    text = subprocess.run(words, capture_output=True, check=True).stdout.decode()
    if verb:
        text = re.sub(r"\nglobal options:\n(?:  .*\n)+", "", text)
    return text


def verbs():
    text = subprocess.run([os.environ["PERSIST"], "help", "--json"],
                          capture_output=True, check=True).stdout.decode()
    return re.findall(r'"type":"verb","name":"([a-z]+)"', text)


def main():
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    found = [m.group(2) for m in BLOCK.finditer(page)]
    missing = [verb for verb in [""] + verbs() if verb not in found]
    if missing:
        sys.exit("docs/cli.md has no block for: " + " ".join(missing))
    fresh = BLOCK.sub(
        lambda m: m.group(1) + help_page(m.group(2)) + m.group(4), page)
    if "--write" in sys.argv[1:]:
        with open(PAGE, "w", encoding="utf-8") as f:
            f.write(fresh)
    elif fresh != page:
        sys.stdout.writelines(difflib.unified_diff(
            page.splitlines(True), fresh.splitlines(True), "docs/cli.md",
            "the command"))
        sys.exit(1)


main()
