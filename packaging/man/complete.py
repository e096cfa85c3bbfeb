# SPDX-License-Identifier: Apache-2.0
"""Completions for bash, zsh and fish: verbs, their options, choices, files, and
the names of stores, which the command reads out of the configuration.

Addresses are not completed: that would list a store, perhaps over a network, at
every press of a key.
"""
import os

FILES = {"FILE", "DIR", "PATH"}


# "[store NAME]" of what is in force; nothing is opened or run for it.
SHOW = "config show 2>/dev/null"


def takes_store(option):
    return option["name"] == "store"


def words(option):
    return ([f"-{option['short']}"] if option["short"] else []) + [f"--{option['name']}"]


def takes_file(verb):
    return "FILE" in verb["operands"]


def bash_words(choices):
    return f'mapfile -t COMPREPLY < <(compgen -W "{" ".join(choices)}" -- "$cur")'


def bash_files(kind):
    """For these alone: a verb must get no slash where a folder is called like it."""
    return ("compopt -o filenames 2>/dev/null; "
            f'mapfile -t COMPREPLY < <(compgen {kind} -- "$cur")')


BASH_STORES = 'mapfile -t COMPREPLY < <(compgen -W "$(_persist_stores)" -- "$cur")'


def bash(verbs):
    lines = ["# bash completion for persist. Generated: do not edit.",
             "# shellcheck shell=bash", "_persist_stores()", "{",
             f"    \"${{COMP_WORDS[0]}}\" {SHOW} | sed -n 's/^\\[store \\(.*\\)\\]$/\\1/p'",
             "}", "_persist()", "{",
             "    local cur prev verb='' word i",
             "    COMPREPLY=()",
             "    cur=${COMP_WORDS[COMP_CWORD]}",
             "    prev=${COMP_WORDS[COMP_CWORD-1]}",
             "    # --option=value comes as three words.",
             "    if [[ $cur == = ]]; then cur=''",
             "    elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi",
             "    for ((i = 1; i < COMP_CWORD; i++)); do",
             "        word=${COMP_WORDS[i]}",
             "        case $word in",
             "        " + " | ".join(v["name"] for v in verbs) + ")",
             "            verb=$word; break ;;", "        esac", "    done"]
    lines += ["    case $verb:$prev in"]
    seen = set()
    for verb in verbs:
        for scope, table in (("*", verb["global_options"]), (verb["name"], verb["options"])):
            for o in table:
                if not o["argument"] or (scope, o["name"]) in seen:
                    continue
                seen.add((scope, o["name"]))
                where = "*" if scope == "*" else scope
                pattern = " | ".join(f"{where}:{w}" for w in words(o))
                if o["choices"]:
                    reply = bash_words(o["choices"])
                elif takes_store(o):
                    reply = BASH_STORES
                elif o["argument"] in FILES:
                    kind = "-d" if o["argument"] == "DIR" else "-f"
                    reply = bash_files(kind)
                else:
                    reply = ":"
                lines += [f"    {pattern})", f"        {reply}", "        return ;;"]
    lines += ["    esac", "    case $verb in"]
    for verb in verbs:
        every = [w for o in verb["options"] + verb["global_options"] for w in words(o)]
        lines += [f"    {verb['name']})", "        if [[ $cur == -* ]]; then",
                  f"            {bash_words(every)}"]
        operands = None
        if verb["name"] == "help":
            operands = bash_words(v["name"] for v in verbs)
        elif verb["operands"] == "[STORE]":
            operands = BASH_STORES
        elif takes_file(verb):
            operands = bash_files("-f")
        elif "|" in verb["operands"] and verb["operands"].islower():
            operands = bash_words(verb["operands"].split("|"))
        if operands:
            lines += ["        else", f"            {operands}"]
        lines += ["        fi ;;"]
    top = [w for o in verbs[0]["global_options"] for w in words(o)]
    lines += ["    *)",
              f"        {bash_words([v['name'] for v in verbs] + top)} ;;",
              "    esac", "}",
              "complete -F _persist persist"]
    return lines


def zsh_quote(text):
    for char in "\\[]:":
        text = text.replace(char, "\\" + char)
    return text.replace("'", "'\\''")


def zsh_spec(option):
    help_text = zsh_quote(option["help"])
    star = "*" if option["repeatable"] else ""
    action = ""
    if option["argument"]:
        what = ""
        if option["choices"]:
            what = "(" + " ".join(option["choices"]) + ")"
        elif takes_store(option):
            what = "_persist_stores"
        elif option["argument"] in FILES:
            what = "_files -/" if option["argument"] == "DIR" else "_files"
        action = f":{zsh_quote(option['argument'])}:{what}"
    return [f"'{star}{word}[{help_text}]{action}'" for word in words(option)]


def zsh(verbs):
    lines = ["#compdef persist", "# Generated: do not edit.", "_persist_stores() {",
             "  local -a stores",
             f"  stores=(${{(f)\"$(persist {SHOW} | sed -n 's/^\\[store \\(.*\\)\\]$/\\1/p')\"}})",
             "  compadd -a stores", "}", "_persist() {",
             "  local -a verbs", "  verbs=("]
    lines += [f"    '{v['name']}:{zsh_quote(v['summary'])}'" for v in verbs]
    lines += ["  )", "  local -a global", "  global=("]
    lines += [f"    {s}" for o in verbs[0]["global_options"] for s in zsh_spec(o)]
    lines += ["  )", "  local curcontext=$curcontext state line",
              "  typeset -A opt_args",
              "  _arguments -C $global '1:verb:->verb' '*::operand:->rest'",
              "  case $state in",
              "  verb) _describe verb verbs ;;", "  rest)", "    case $words[1] in"]
    for verb in verbs:
        specs = [s for o in verb["options"] for s in zsh_spec(o)]
        if verb["name"] == "help":
            specs.append("'*:verb:(" + " ".join(v["name"] for v in verbs) + ")'")
        elif verb["operands"] == "[STORE]":
            specs.append("':store:_persist_stores'")
        elif takes_file(verb):
            specs.append("'*:file:_files'")
        elif "|" in verb["operands"] and verb["operands"].islower():
            specs.append("'*:operand:(" + verb["operands"].replace("|", " ") + ")'")
        lines += [f"    {verb['name']}) _arguments $global " + " ".join(specs) + " ;;"]
    lines += ["    esac ;;", "  esac", "}", '_persist "$@"']
    return lines


def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


FISH_STORES = '(persist ' + SHOW + r' | string replace -rf "^\[store (.*)\]\$" "\$1")'


def fish_option(option, condition):
    parts = ["complete -c persist", condition, f"-l {option['name']}"]
    if option["short"]:
        parts.append(f"-s {option['short']}")
    if option["argument"]:
        if option["choices"]:
            parts.append("-x -a " + fish_quote(" ".join(option["choices"])))
        elif takes_store(option):
            parts.append(f"-x -a '{FISH_STORES}'")
        elif option["argument"] in FILES:
            parts.append("-r -F")
        else:
            parts.append("-x")
    parts.append("-d " + fish_quote(option["help"]))
    return " ".join(p for p in parts if p)


def fish(verbs):
    lines = ["# Generated: do not edit.", "complete -c persist -f"]
    for v in verbs:
        lines.append("complete -c persist -n __fish_use_subcommand "
                     f"-a {v['name']} -d {fish_quote(v['summary'])}")
    lines += [fish_option(o, "") for o in verbs[0]["global_options"]]
    for v in verbs:
        seen = f"-n '__fish_seen_subcommand_from {v['name']}'"
        lines += [fish_option(o, seen) for o in v["options"]]
        if takes_file(v):
            lines.append(f"complete -c persist {seen} -F")
        elif v["operands"] == "[STORE]":
            lines.append(f"complete -c persist {seen} -a '{FISH_STORES}'")
        elif v["name"] == "help":
            lines.append(f"complete -c persist {seen} -a "
                         + fish_quote(" ".join(w["name"] for w in verbs)))
        elif "|" in v["operands"] and v["operands"].islower():
            lines.append(f"complete -c persist {seen} -a "
                         + fish_quote(v["operands"].replace("|", " ")))
    return lines


def write(folder, verbs):
    os.makedirs(folder, exist_ok=True)
    for shell, make in (("bash", bash), ("zsh", zsh), ("fish", fish)):
        with open(os.path.join(folder, f"persist.{shell}"), "w", encoding="utf-8") as f:
            f.write("\n".join(make(verbs)) + "\n")
