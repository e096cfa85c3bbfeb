#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Man pages and completions, made from what the command says of itself.

usage: generate.py PERSIST BACKEND_DIR OUTPUT

PERSIST is the command, BACKEND_DIR holds the backends. OUTPUT receives
man1/persist.1, man1/persist-VERB.1, man5/persist.conf.5, man7/persist-NAME.7
(one per backend) and completions/persist.{bash,zsh,fish}. Words of options come
from `persist help --json` and `persist backends --json`; those of the
configuration and the exit codes from docs/.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import complete
import roff

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
ADDRESSES = """The address of a snapshot is the same everywhere:
`[STORE:]AGENT[/SESSION][@INDEX|@latest]`. The session defaults to `default`,
the index to the latest snapshot. `/ : @ %` within a name are
percent-encoded."""


def private_copy(backend_dir, folder):
    """The backends where the command trusts them: whoever builds may have a
    tree that a group can write."""
    for name in os.listdir(backend_dir):
        if name.endswith(".so"):
            shutil.copyfile(os.path.join(backend_dir, name), os.path.join(folder, name))
            os.chmod(os.path.join(folder, name), 0o755)
    return folder


def ask(command, backends, *words):
    """The objects a --json call of the command prints."""
    env = dict(os.environ, PERSIST_BACKEND_DIR=backends, HOME="/nonexistent",
               XDG_CONFIG_HOME="/nonexistent", LC_ALL="C.UTF-8")
    out = subprocess.run([command, *words, "--json"], env=env, check=True,
                         capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def text_of(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as f:
        return f.read()


def exit_codes():
    """(code, meanings) from the one table, in order of the code."""
    table = {}
    for row in re.findall(r"^\| -?\d+ \| `(\w+)` \| (.*?) \| (\d+) \|$",
                          text_of("docs", "exit-codes.md"), re.M):
        table.setdefault(int(row[2]), []).append(f"`{row[0]}`: {row[1]}")
    table.setdefault(2, []).append("a command line that is not understood")
    table.setdefault(3, []).append("of several things some were done and some failed")
    if 0 not in table or len(table) < 10:
        sys.exit("docs/exit-codes.md has no table that can be read")
    return sorted(table.items())


def options(page, title, table):
    if not table:
        return
    page.section(title)
    for o in table:
        flags = ([f"-{o['short']}"] if o["short"] else []) + [f"--{o['name']}"]
        page.item(", ".join(f"**{flag}**" for flag in flags)
                  + (f" _{o['argument']}_" if o["argument"] else ""), o["help"])


def exit_section(page):
    page.section("EXIT STATUS")
    for code, meanings in exit_codes():
        page.item(f"**{code}**", "; ".join(meanings))


def see_also(page, names):
    page.section("SEE ALSO")
    page.paragraph(", ".join(f"**{name}**({section})" for name, section in names))


def verb_page(verb, version, date):
    name = f"persist-{verb['name']}"
    page = roff.Page(name, 1, version, date, verb["summary"])
    page.section("SYNOPSIS")
    page.paragraph(f"**persist {verb['name']}** [_OPTION_...] {verb['operands']}")
    page.section("DESCRIPTION")
    for paragraph in verb["about"].split("\n"):
        if paragraph:
            page.paragraph(paragraph)
    if "ADDRESS" in verb["operands"]:
        page.paragraph(ADDRESSES)
    options(page, "OPTIONS", verb["options"])
    options(page, "GLOBAL OPTIONS", verb["global_options"])
    page.section("EXAMPLES")
    page.code("\n".join(verb["examples"]))
    see_also(page, [("persist", 1), ("persist.conf", 5)])
    return page


def main_page(verbs, backends, version, date):
    page = roff.Page("persist", 1, version, date,
                     "numbered, verified, durable snapshots")
    page.section("SYNOPSIS")
    page.paragraph("**persist** _VERB_ [_OPTION_...] [_OPERAND_...]")
    page.section("DESCRIPTION")
    page.paragraph(
        "Keeps the state of something, any byte stream from 0 bytes to "
        "terabytes, as numbered snapshots in a store, and gives back exactly "
        "those bytes. A snapshot that was acknowledged survives kill -9 and "
        "power loss; damage is always found; a snapshot is a standard zstd or "
        "gzip file.")
    page.paragraph(ADDRESSES)
    page.paragraph(
        "With no configuration at all snapshots are kept in "
        "`$XDG_DATA_HOME/persist`, as root in `/var/lib/persist`.")
    page.section("VERBS")
    for verb in verbs:
        page.item(f"**{verb['name']}** {verb['operands']}",
                  f"{verb['summary']}; see **persist-{verb['name']}**(1)")
    options(page, "OPTIONS", verbs[0]["global_options"])
    exit_section(page)
    page.section("FILES")
    for path, what in (
            ("/etc/persist/persist.conf", "the configuration of this machine"),
            ("/etc/persist/conf.d/*.conf", "more of it, in order of the names"),
            ("$XDG_CONFIG_HOME/persist/persist.conf", "that of the user"),
            ("/usr/share/doc/persist/*.md",
             "the manual that other pages name, of the package persist-doc")):
        page.item(f"`{path}`", what)
    page.section("EXAMPLES")
    page.code("persist save writer state.json\n"
              "producer | persist save writer -\n"
              "persist list\n"
              "persist restore writer > state.json")
    see_also(page, [(f"persist-{v['name']}", 1) for v in verbs]
             + [("persist.conf", 5)]
             + [(f"persist-{b['name']}", 7) for b in backends])
    return page


def conf_page(backends, version, date):
    page = roff.Page("persist.conf", 5, version, date,
                     "configuration of persist")
    page.section("DESCRIPTION")
    page.markdown(text_of("docs", "configuration.md"))
    see_also(page, [("persist", 1)]
             + [(f"persist-{b['name']}", 7) for b in backends])
    return page


def option_words(o):
    """What stands behind an option's name: its type and what it may be."""
    words = [o["type"]]
    if o["required"]:
        words.append("required")
    if o["choices"]:
        words.append(f"one of {o['choices']}")
    if o["default"] is not None:
        words.append(f"default {o['default']}")
    if o["alias"]:
        words.append(f"also called {o['alias']}")
    if o["secret"]:
        words.append(f"also as {o['key']}_file and {o['key']}_command")
    if o["deprecated"]:
        words.append("deprecated")
    return f"({'; '.join(words)})"


def backend_page(backend, version, date):
    name = backend["name"]
    page = roff.Page(f"persist-{name}", 7, version, date,
                     f"the {name} backend of persist")
    page.section("DESCRIPTION")
    page.paragraph(
        f"Options of a store whose `backend` is `{name}`, in "
        "**persist.conf**(5), with `--set` and in the environment. "
        f"`persist backends {name}` prints them too.")
    page.section("OPTIONS")
    for o in backend["options"]:
        page.item(f"**{o['key']}** {option_words(o)}", o["help"])
    see_also(page, [("persist", 1), ("persist.conf", 5)])
    return page


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    command, backend_dir, output = map(os.path.abspath, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        trusted = private_copy(backend_dir, folder)
        version = ask(command, trusted, "version")[0]["version"]
        verbs = ask(command, trusted, "help")
        backends = [b for b in ask(command, trusted, "backends")
                    if b["status"] == "ok"]
    if not verbs or not backends:
        sys.exit("the command names no verbs or no backends")
    date = roff.date()
    pages = [main_page(verbs, backends, version, date),
             conf_page(backends, version, date)]
    pages += [verb_page(v, version, date) for v in verbs]
    pages += [backend_page(b, version, date) for b in backends]
    for page in pages:
        folder = os.path.join(output, f"man{page.number}")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{page.name}.{page.number}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(page.text())
    complete.write(os.path.join(output, "completions"), verbs)


main()
