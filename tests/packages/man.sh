#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every verb and every backend has a man page mandoc finds nothing wrong with,
# every option of every verb stands in its page and in all three completions.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$SOURCE_DIR/packaging/man/generate.py" "$PERSIST" "$BACKENDS" "$work"

for page in "$work"/man?/*; do
    mandoc -Tlint -Wwarning "$page"
done
PERSIST_BACKEND_DIR=$BACKENDS "$PERSIST" help --json >"$work/verbs"
PERSIST_BACKEND_DIR=$BACKENDS "$PERSIST" backends --json >"$work/backends"
python3 - "$work" <<'PY'
import json, os, re, subprocess, sys

work = sys.argv[1]
shells = {s: open(f"{work}/completions/persist.{s}").read() for s in ("bash", "zsh", "fish")}
n = m = 0
for line in open(f"{work}/verbs"):
    verb = json.loads(line)
    page = subprocess.run(["mandoc", "-Tascii", "-Owidth=200", f"{work}/man1/persist-{verb['name']}.1"],
                          check=True, capture_output=True, text=True).stdout
    page = re.sub(".\b", "", page)
    for o in verb["options"] + verb["global_options"]:
        n += 1
        flag = "--" + o["name"]
        assert re.search(rf"^ +(-., )?{flag}\b", page, re.M), (verb["name"], flag)
        # What is said of it, whatever the width of the lines.
        assert " ".join(o["help"].split()) in " ".join(page.split()), (verb["name"], flag)
        assert flag in shells["bash"] and flag in shells["zsh"], flag
        assert re.search(rf"-l {o['name']}\b", shells["fish"]), flag
for line in open(f"{work}/backends"):
    backend = json.loads(line)
    page = f"{work}/man7/persist-{backend['name']}.7"
    page = subprocess.run(["mandoc", "-Tascii", "-Owidth=200", page],
                          check=True, capture_output=True, text=True).stdout
    page = " ".join(re.sub(".\b", "", page).split())
    for o in backend["options"]:
        m += 1
        assert o["help"] in page, (backend["name"], o["key"])
        assert not o["choices"] or f"one of {o['choices']}" in page, (backend["name"], o["key"])
        assert not o["secret"] or f"also as {o['key']}_file" in page, (backend["name"], o["key"])
assert m >= 4, m
assert n > 100, n
PY
bash -n "$work/completions/persist.bash"
shellcheck "$work/completions/persist.bash" 2>/dev/null ||
    ! command -v shellcheck >/dev/null

# Completion, as bash asks for it.
complete_words() {
    bash -c '. "$1"; shift; compopt() { printf "%s " "$@"; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _persist; printf "%s\n" "${COMPREPLY[@]}"' \
        - "$work/completions/persist.bash" "$@"
}
[ "$(complete_words persist sa)" = save ]
[ "$(complete_words persist save --compr)" = --compression ]
[ "$(complete_words persist save --compression g)" = gzip ]
[ "$(complete_words persist save --compression = g)" = gzip ]
[ "$(complete_words persist save --compression =)" = "$(printf 'zstd\ngzip')" ]
# Stores are those of the configuration, in each shell.
mkdir "$work/bin"
printf '[store main]\nbackend = local\n[store arch-1]\nbackend = none\n' >"$work/persist.conf"
chmod 600 "$work/persist.conf"
printf '#!/bin/sh\nPERSIST_BACKEND_DIR=%s exec %s -c %s/persist.conf "$@"\n' \
    "$BACKENDS" "$PERSIST" "$work" >"$work/bin/persist"
chmod +x "$work/bin/persist"
stores=$(printf 'arch-1\nmain')
with_stores() {
    PATH=$work/bin:$PATH HOME=$work XDG_CONFIG_HOME=$work XDG_CONFIG_DIRS=$work "$@" | sort
}
[ "$(with_stores complete_words persist -s '')" = "$stores" ]
[ "$(with_stores complete_words persist list --store = m)" = main ]
[ "$(with_stores complete_words persist doctor a)" = arch-1 ]
if command -v zsh >/dev/null; then
    # shellcheck disable=SC2016 # zsh's to expand
    [ "$(with_stores zsh -fc 'compadd() { print -l -- $stores }
        _persist() { : }; eval "$(sed "/^_persist()/,\$d" "$1")"; _persist_stores' \
        - "$work/completions/persist.zsh")" = "$stores" ]
    zsh -fn "$work/completions/persist.zsh"
    grep -q "'--store\[.*:NAME:_persist_stores'" "$work/completions/persist.zsh"
fi
if command -v fish >/dev/null; then
    for line in 'persist -s ' 'persist list --store=' 'persist doctor '; do
        # shellcheck disable=SC2016 # fish's to expand
        got=$(with_stores fish --no-config -c 'source $argv[1]; complete -C $argv[2]' \
            "$work/completions/persist.fish" "$line" | sed 's/.*=//; s/\t.*//')
        [ "$got" = "$stores" ]
    done
fi
# Names of files are marked as such, and nothing else is.
(cd "$work" && mkdir save && [ "$(complete_words persist sa)" = save ] &&
    [ "$(complete_words persist save agent sa)" = "-o filenames save" ])
[ "$(tail -n 1 "$work/completions/persist.bash")" = 'complete -F _persist persist' ]
