#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the README and docs/async.md: the shell session must print what it shows,
the C programs must compile against the public headers alone and do what they
say."""
import os
import re
import subprocess
import sys
import tempfile

SOURCE = os.environ["SOURCE_DIR"]
BUILD = os.environ["BUILD_DIR"]
BACKENDS = os.environ["BACKENDS"]


def blocks(language, page="README.md"):
    with open(os.path.join(SOURCE, page), encoding="utf-8") as f:
        return re.findall(rf"^```{language}\n(.*?)^```$", f.read(),
                          re.MULTILINE | re.DOTALL)


def environment(home):
    return {"PATH": os.path.join(BUILD, "bin") + ":" + os.environ["PATH"],
            "HOME": home, "XDG_DATA_HOME": os.path.join(home, "data"),
            "XDG_CONFIG_HOME": os.path.join(home, "config"),
            "PERSIST_STORE_LOCAL_ROOT": os.path.join(home, "data", "persist"),
            # A root that somebody chose is not made up.
            "PERSIST_STORE_LOCAL_CREATE": "true",
            "PERSIST_BACKEND_DIR": BACKENDS,
            "LD_LIBRARY_PATH": os.path.join(BUILD, "lib")}


def session(text, home):
    """Runs every `$ ` line; what it prints must be the lines that follow."""
    checked = 0
    for chunk in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = chunk.partition("\n")
        result = subprocess.run(["sh", "-c", command], cwd=home,
                                env=environment(home), capture_output=True,
                                text=True, timeout=60, check=False)
        printed = result.stdout + result.stderr
        if printed != expected:
            sys.exit(f"README: $ {command}\nexpected:\n{expected}\n"
                     f"printed:\n{printed}")
        checked += 1
    return checked


def program(text, home):
    """Compiles and runs it; the agent it names must have its "{}" then."""
    agent = re.search(r'persist_save\w+\(store, "([^"]+)"', text).group(1)
    libraries = ["-lpersist"] + (["-luv"] if "<uv.h>" in text else [])
    source = os.path.join(home, "example.c")
    binary = os.path.join(home, "example")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    subprocess.run(["cc", "-Wall", "-Werror", source, "-o", binary,
                    "-I", os.path.join(SOURCE, "core/include"),
                    "-I", os.path.join(BUILD, "include"),
                    "-L", os.path.join(BUILD, "lib"), *libraries], check=True)
    result = subprocess.run([binary], env=environment(home), text=True,
                            capture_output=True, timeout=60, check=False)
    if result.returncode != 0 or result.stderr:
        sys.exit(f"README: the C program failed: {result.stderr}")
    restored = subprocess.run(["persist", "restore", agent],
                              env=environment(home), capture_output=True,
                              text=True, timeout=60, check=True).stdout
    if restored != "{}":
        sys.exit(f"README: the C program saved {restored!r}")


def main():
    sessions, programs = blocks("sh"), blocks("c")
    if os.environ["ASYNC"].upper() in ("ON", "TRUE", "1"):
        programs += blocks("c", "docs/async.md")
    if not sessions or not programs:
        sys.exit("README has no shell session or no C program")
    if os.environ.get("SANITIZE"):
        programs = []  # an uninstrumented program cannot load the library
    with tempfile.TemporaryDirectory() as home:
        commands = sum(session(text, home) for text in sessions)
        for text in programs:
            program(text, home)
    print(f"README: {commands} commands and {len(programs)} programs run")


if __name__ == "__main__":
    main()
