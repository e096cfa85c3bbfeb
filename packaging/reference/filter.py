#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A public header as doxygen wants to read it; doxygen calls it for every file.

usage: filter.py HEADER

The headers are written for people: plain comments before what they describe, or
behind it on its line. This gives doxygen the marks it needs:

  /* SPDX... */                    left alone
  the first comment after that     describes the file
  /* ------ name */                begins a group, NAME
  a comment above a declaration    describes what follows
  a comment behind a declaration   describes what stands before it
  a comment followed by a blank    is not for the reference

In comments `code` is code, lines indented by four and more are a block of it,
and the library's names become links: a name that is not there is a warning.
"""
import os
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.S)
RULE = re.compile(r"/\* -{10,} (.*?) ?\*/")
# Names that stand for several, and what belongs to the build.
NO_LINK = re.compile(r"persist_(backend_)?$|PERSIST_(BACKEND_)?(METRICS|ASYNC|E)?_?$")


# Members that mean the same wherever nothing else is said of them.
EVERYWHERE = (
    (r"^ +uint32_t struct_size;$", "Bytes of the struct; its INIT macro, or who hands it out, sets it."),
    (r"^ +uint(32|64)_t reserved(\[\d+\])?;$", "0."),
    (r"^ +uint64_t timeout_ms;$", "Milliseconds for the whole call; 0: as long as it takes."),
    (r"^ +struct persist_op \*op;$", "To watch or stop the call from another thread, or NULL."),
    (r"^ +void \*(\w+_)?ctx;$", "Handed to the callback unchanged."),
)


def link(m):
    name, member = m.groups()
    if NO_LINK.match(name) or m.string[m.end():m.end() + 1] == "*":
        return m.group(0)
    if m.string[:m.start()].endswith(("struct ", "enum ")):
        return f"::{name}" + (f"::{member[1:]}" if member else "")
    return f"#{name}{member or ''}"


def prose(text):
    """One line of a comment, without what doxygen would take for its own."""
    parts = re.split(r'(`[^`]*`|"[^"]*")', text)
    for i, part in enumerate(parts):
        if part.startswith('"'):
            continue
        code = part.startswith("`")
        part = re.sub(r"[\\@<>&%#]", r"\\\g<0>", part.strip("`") if code else part)
        if not code:
            part = re.sub(r"\b((?:persist|PERSIST)_\w+)(\.\w+)?\b", link, part)
        parts[i] = f"<code>{part}</code>" if code else part
    return "".join(parts)


def body(comment):
    """The lines of a comment, without its stars."""
    lines = comment[2:-2].split("\n")
    return [re.sub(r"^\s*\* ?", "", line).rstrip() if i else line.strip()
            for i, line in enumerate(lines)]


def heads(lines, i):
    """The first line of a paragraph of an essay begins with its subject."""
    return i > 0 and not lines[i - 1] and len(lines) > 20


def converted(lines):
    """The text, each line behind a star: doxygen takes the first one away."""
    out, code = [], False
    for i, line in enumerate(lines):
        is_code = line.startswith("    ") and (code or not lines[i - 1].strip())
        if is_code and not code:
            out[-1] = "@code{.c}"
        text = line if is_code else prose(line)
        if not is_code:
            text = text.replace("Codes:", "\n@par Codes\n")
            text = re.sub(r"^(\w+)\.  ", r"<b>\1.</b>  ", text) if heads(lines, i) else text
        if code and not is_code and line:
            out += ["@endcode", ""]
            code = False
        code = code or is_code
        out.append(text)
    if code:
        out.append("@endcode")
    return "\n * ".join(out)


def describe(source):
    """The header with marked comments."""
    out, at, n = [], 0, 0
    name = os.path.basename(sys.argv[1])
    group = None
    for m in COMMENT.finditer(source):
        out.append(source[at:m.start()])
        at = m.end()
        text = m.group(0)
        before = source[source.rfind("\n", 0, m.start()) + 1:m.start()]
        rule = RULE.fullmatch(text)
        if n == 0 or before.startswith(("#if", "#el", "#end")):
            pass
        elif n == 1:
            essay = converted(body(text)).split(" - ", 1)[1]
            text = f"/**\n * @file persist/{name}\n * @brief {essay} */"
        elif rule:
            ident = re.sub(r"\W", "_", name[:-2] + "_" + rule.group(1))
            text = ("/** @} */" if group else "") + f"/** @defgroup {ident} {name}: {rule.group(1)} *//** @{{ */"
            group = ident
        elif before.strip():
            text = f"/**< {converted(body(text))} */"
        elif not source.startswith("\n\n", at):
            text = f"/** {converted(body(text))} */"
        out.append(text)
        n += 1
    tail = source[at:]
    out.append(tail)
    text = "".join(out)
    if group:
        end = text.rindex("#ifdef __cplusplus")
        text = text[:end] + "/** @} */\n" + text[end:]
    for pattern, words in EVERYWHERE:
        text = re.sub(pattern, rf"\g<0> /**< {words} */", text, flags=re.M)
    text = re.sub(r"^#define PERSIST_\w+_INIT\b", r"/** Initializes the struct: its size set, all else zero. */ \g<0>", text, flags=re.M)
    return text


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        sys.stdout.write(describe(f.read()))


main()
