#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the pages of docs/ as a reader would, each in a home of its own.

usage: docs.py PAGE...

* A fenced block of language sh whose lines begin with `$ `: each command is
  run, in order, in one folder per page, and must print the lines that follow. A
  line of a lone ellipsis stands for any lines, one within a line for any text.
* `<!-- file: NAME -->` before a fenced block writes the block to NAME there.
* `<!-- copy: SOURCE NAME -->` copies a file of this tree to NAME there.
* A block of language c is a program: it must compile against the public headers
  without a warning, and exit with 0 and nothing on standard error.
* A block of language ini must pass `persist config check`, where this build has
  the backends it names.
* A block of language json must parse.

A page of which nothing was run or checked is a failure. DOCS_PYTHON is the
interpreter that pages call `python`; tests/run makes it.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ["SOURCE_DIR"]
BUILD = os.environ["BUILD_DIR"]
COPY = re.compile(r"^<!-- copy: (\S+) (\S+) -->$", re.M)
FENCE = re.compile(r"(?:<!-- file: (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)


def environment(home):
    tools = os.path.join(home, ".tools")
    os.makedirs(tools, exist_ok=True)
    python = os.environ["DOCS_PYTHON"]
    if not os.path.lexists(os.path.join(tools, "python")):
        # Not a link: a virtual environment finds itself by its own path.
        with open(os.path.join(tools, "python"), "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nexec {python} "$@"\n')
        os.chmod(os.path.join(tools, "python"), 0o755)
    return {"PATH": f"{tools}:{BUILD}/bin:{os.environ['PATH']}", "HOME": home,
            "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "XDG_DATA_HOME": f"{home}/.data", "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_STATE_HOME": f"{home}/.state",
            "PERSIST_STORE_LOCAL_ROOT": f"{home}/.data/persist",
            # A root that somebody chose is not made up.
            "PERSIST_STORE_LOCAL_CREATE": "true",
            "PERSIST_BACKEND_DIR": os.environ["BACKENDS"],
            "LD_LIBRARY_PATH": f"{BUILD}/lib"}


def pattern(expected):
    """A regular expression of what a page shows."""
    lines = []
    for line in expected.splitlines(True):
        if line.strip() == "…":
            lines.append(r"(?:.*\n)*")
        else:
            lines.append(re.escape(line).replace("…", ".*"))
    return "".join(lines)


def run_session(page, text, home):
    count = 0
    for chunk in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, _, expected = chunk.partition("\n")
        result = subprocess.run(["bash", "-c", command], cwd=home, env=environment(home),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, timeout=120, check=False)
        if not re.fullmatch(pattern(expected), result.stdout):
            sys.exit(f"{page}: $ {command}\nexpected:\n{expected}\nprinted:\n{result.stdout}")
        count += 1
    return count


def check_config(page, text, home):
    for backend in re.findall(r"^backend = (\S+)", text, re.M):
        if not os.path.exists(f"{os.environ['BACKENDS']}/{backend}.so"):
            return
    path = os.path.join(home, "checked.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o600)
    result = subprocess.run(["persist", "-c", path, "config", "check"], env=environment(home),
                            capture_output=True, text=True, timeout=60, check=False)
    if result.returncode:
        sys.exit(f"{page}: config check of\n{text}\n{result.stderr}")


def run_program(page, text, home):
    source, binary = os.path.join(home, "program.c"), os.path.join(home, "program")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", source, "-o", binary,
                    "-I", f"{SOURCE}/core/include", "-I", f"{BUILD}/include",
                    "-L", f"{BUILD}/lib", "-lpersist"], check=True)
    if os.environ.get("SANITIZE"):
        return  # an uninstrumented program cannot load the library
    result = subprocess.run([binary], env=environment(home), capture_output=True, text=True,
                            timeout=60, check=False)
    if result.returncode or result.stderr:
        sys.exit(f"{page}: exit code {result.returncode}: {result.stderr} of\n{text}")


def run_page(page):
    with open(os.path.join(SOURCE, page), encoding="utf-8") as f:
        text = f.read()
    blocks = FENCE.findall(text)
    done = 0
    with tempfile.TemporaryDirectory() as home:
        for source, name in COPY.findall(text):
            os.makedirs(os.path.dirname(os.path.join(home, name)), exist_ok=True)
            shutil.copy(os.path.join(SOURCE, source), os.path.join(home, name))
        for name, language, text in blocks:
            if name:
                with open(os.path.join(home, name), "w", encoding="utf-8") as f:
                    f.write(text)
            if language == "sh" and text.startswith("$ "):
                done += run_session(page, text, home)
            elif language == "c":
                run_program(page, text, home)
                done += 1
            elif language == "ini":
                check_config(page, text, home)
                done += 1
            elif language == "json":
                json.loads(text)
                done += 1
    if not done:
        sys.exit(f"{page}: nothing to run")
    print(f"{page}: {done} commands and blocks")


if "DOCS_PYTHON" not in os.environ:
    print("DOCS_PYTHON is not set: tests/run makes that environment")
    sys.exit(77)
for argument in sys.argv[1:]:
    run_page(argument)
