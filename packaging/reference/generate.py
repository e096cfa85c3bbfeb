#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference of the public headers: HTML, and man pages of section 3.

usage: generate.py OUTPUT

OUTPUT receives html/ and man3/. Doxygen reads the headers; what it finds
undocumented, or a name that is not there, fails. Needs doxygen, and nothing
that is built.
"""
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "man"))

import pages  # noqa: E402 (needs the path above)
import roff  # noqa: E402

HEADERS = ("core/include/persist/persist.h", "core/include/persist/async.h",
           "core/include/persist/error.h", "sdk/include/persist/backend.h")


def version():
    with open(os.path.join(TOP, "CMakeLists.txt"), encoding="utf-8") as f:
        text = f.read()
    number = re.search(r"project\(persist VERSION ([\d.]+)", text).group(1)
    suffix = re.search(r'set\(PERSIST_VERSION "\$\{PROJECT_VERSION\}(.*?)"', text).group(1)
    return number, number + suffix


def installed(folder, number, full):
    """The headers in one folder, as they are installed; version.h as the build
    makes it. Pages are in the order of folders, so there must be one, or where
    the tree and OUTPUT lie would show."""
    place = os.path.join(folder, "persist")
    os.makedirs(place)
    for header in HEADERS:
        shutil.copy(os.path.join(TOP, header), place)
    path = os.path.join(place, "version.h")
    with open(os.path.join(TOP, "core/include/persist/version.h.in"), encoding="utf-8") as f:
        text = f.read()
    for name, part in zip(("MAJOR", "MINOR", "PATCH"), number.split(".")):
        text = text.replace(f"@PROJECT_VERSION_{name}@", part)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("@PERSIST_VERSION@", full))
    shutil.copy(os.path.join(HERE, "mainpage.dox"), folder)


def doxygen(output, headers, full):
    """headers: a folder."""
    env = dict(os.environ, LC_ALL="C.UTF-8", PERSIST_VERSION=full, PERSIST_OUTPUT=output,
               PERSIST_HEADERS=" ".join([os.path.join(headers, "persist"),
                                         os.path.join(headers, "mainpage.dox")]),
               PERSIST_FILTER=os.path.join(HERE, "filter.py"),
               # All of it: where the tree lies must not be in the pages.
               PERSIST_STRIP=headers)
    if subprocess.run(["doxygen", os.path.join(HERE, "Doxyfile")], env=env, check=False).returncode:
        sys.exit("the reference has holes: see above")


def name_folders(html):
    """Pages of folders are named by a hash of where the tree lies: by their
    number in the list of files instead."""
    texts = {}
    for name in sorted(os.listdir(html)):
        if name.endswith(".html"):
            with open(os.path.join(html, name), encoding="utf-8") as f:
                texts[name] = f.read()
    found = dict.fromkeys(re.findall(r"dir_[0-9a-f]{32}", texts["files.html"]))
    names = {old: f"folder_{i}" for i, old in enumerate(found)}
    for name, text in texts.items():
        os.remove(os.path.join(html, name))
        name = re.sub(r"dir_[0-9a-f]{32}", lambda m: names[m[0]], name)
        with open(os.path.join(html, name), "w", encoding="utf-8") as f:
            f.write(re.sub(r"dir_[0-9a-f]{32}", lambda m: names[m[0]], text))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    output = os.path.abspath(sys.argv[1])
    for name in ("html", "man3", "xml", "include"):
        shutil.rmtree(os.path.join(output, name), ignore_errors=True)
    os.makedirs(output, exist_ok=True)
    number, full = version()
    headers = os.path.join(output, "include")
    installed(headers, number, full)
    doxygen(output, headers, full)
    name_folders(os.path.join(output, "html"))
    pages.write(os.path.join(output, "xml"), os.path.join(output, "man3"), full, roff.date())
    for name in ("xml", "include"):
        shutil.rmtree(os.path.join(output, name))


main()
