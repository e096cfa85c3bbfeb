#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that no room includes what it may not (docs/decisions.md, "The house").

usage: includes.py [--self-test] [ROOT]

--self-test also plants one violation of every rule in a copy of an empty
house and fails unless each is found.
"""
import os
import re
import sys
import tempfile

PUBLIC = {"persist/persist.h", "persist/async.h", "persist/error.h", "persist/version.h"}
# Third-party headers, by library.
LIBRARIES = {
    "libltdl": ("ltdl.h",),
    "inih": ("ini.h",),
    "zstd": ("zstd.h", "zstd_errors.h"),
    "isal": ("isa-l.h", "isa-l/", "igzip_lib.h", "crc.h"),
    "zlib": ("zlib.h",),
    "libcrypto": ("openssl/",),
    "jansson": ("jansson.h",),
    "curl": ("curl/",),
    "expat": ("expat.h",),
    "cmocka": ("cmocka.h",),
}
# room -> (rooms of core it may include, libraries)
CORE = {
    "cli": ({"util"}, {"jansson"}),
    "engine": ({"format", "transfer", "runtime", "backend", "services",
                "posix", "util"}, set()),
    "transfer": ({"format", "runtime", "backend", "services", "posix",
                  "util"}, {"libcrypto"}),
    "format": ({"util"}, {"zstd", "isal", "zlib", "jansson"}),
    "backend": ({"runtime", "services", "util"}, {"libltdl"}),
    "services": ({"util"}, {"inih"}),
    "runtime": ({"util"}, set()),
    "posix": (set(), set()),
    "util": (set(), {"isal"}),
}
# backend -> libraries; "support" is what the network backends share.
PLUGINS = {
    "local": set(),
    "support": {"curl", "libcrypto"},
    "s3": {"libcrypto", "expat"},
    "gcs": {"libcrypto", "jansson"},
}
# Who may see the plugin ABI.  engine and transfer meet the limits and sizes it
# defines through backend/store.h, never op tables.
ABI = {"backend"}
TEST = re.compile(r"(_test|_test_kit|_testing|/test_support|/testkit)\.[ch]$"
                  r"|/fixtures/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def library_of(header):
    for name, prefixes in LIBRARIES.items():
        for prefix in prefixes:
            if header == prefix or (prefix.endswith("/")
                                    and header.startswith(prefix)):
                return name
    return None


# What systems spell differently: libc's own names, as far as the rules go.
OS = {"posix/os.h", "posix/wakeup.h"}


def check_core(room, path, quote, header, is_test):
    rooms, libraries = CORE[room]
    if quote == '"' and header in OS:
        return None if room != "format" else "format/ asks nothing of the system"
    if quote == '"':
        if header.startswith(("tests/", "support/")):
            return None if is_test else "a test header outside a test"
        other = header.split("/")[0] if "/" in header else room
        if other == room or other in rooms:
            return None
        if is_test and other in CORE and room != "cli":
            return None
        return f"{room}/ may not include {other}/"
    if header in PUBLIC:
        return None if room != "posix" else "posix/ includes libc only"
    if header == "persist/backend.h":
        return None if room in ABI or is_test else f"{room}/ may not see the ABI"
    library = library_of(header)
    if library is None or library in libraries:
        return None
    if is_test and library == "cmocka":
        return None
    if is_test and library in {"jansson", "zstd", "libcrypto"}:
        return None  # tests check with an independent eye
    return f"{room}/ may not include {library}"


def check_plugin(plugin, path, quote, header, is_test):
    if quote == "<":
        if header in PUBLIC:
            return "a plugin sees persist/backend.h alone"
        library = library_of(header)
        if library is None or is_test or library in PLUGINS.get(plugin, {library}):
            return None
        return f"{plugin} may not include {library}"
    parts = header.split("/")
    if len(parts) == 1 or parts[0] == plugin:
        return None
    if header in OS:
        return None
    if parts[0] == "posix":
        return None if plugin == "local" else f"{plugin} may not include core/posix"
    if parts[0] == "support":
        return None if plugin != "local" else "local does without plugins/support"
    if parts[0] in CORE:
        return f"a plugin may not include core/{parts[0]}"
    if parts[0] in PLUGINS:
        return f"{plugin} may not include plugins/{parts[0]}"
    return None


def check_file(root, relative):
    parts = relative.split(os.sep)
    is_test = TEST.search(relative) is not None
    found = []
    with open(os.path.join(root, relative), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, header = match.groups()
            if parts[0] == "core" and parts[1] in CORE:
                why = check_core(parts[1], relative, quote, header, is_test)
            elif parts[0] == "plugins":
                why = check_plugin(parts[1], relative, quote, header, is_test)
            elif parts[0] == "sdk":
                why = None if quote == '"' and "/" not in header or \
                    header not in PUBLIC and header.split("/")[0] not in CORE \
                    else "the SDK stands alone"
            else:
                why = None
            if why:
                found.append(f"{relative}:{number}: {header}: {why}")
    return found


def check_tree(root):
    found = []
    for top in ("core", "plugins", "sdk"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    path = os.path.join(folder, name)
                    found += check_file(root, os.path.relpath(path, root))
    return found


VIOLATIONS = {
    "core/cli/a.c": '#include "engine/instance.h"',
    "core/engine/a.c": "#include <ltdl.h>",
    "core/engine/b.c": "#include <persist/backend.h>",
    "core/transfer/a.c": '#include "engine/key.h"',
    "core/format/a.c": '#include "posix/file.h"',
    "core/backend/a.c": '#include "format/codec.h"',
    "core/services/a.c": '#include "runtime/op.h"',
    "core/runtime/a.c": '#include "services/log.h"',
    "core/format/c.c": '#include "posix/os.h"',
    "core/util/c.c": '#include "posix/io.h"',
    "core/posix/a.c": '#include "util/buf.h"',
    "core/posix/b.c": "#include <persist/error.h>",
    "core/util/a.c": "#include <openssl/evp.h>",
    "core/util/latest.c": "#include <cmocka.h>",
    "plugins/local/a.c": '#include "util/buf.h"',
    "plugins/local/b.c": '#include "support/http.h"',
    "plugins/local/c.c": "#include <curl/curl.h>",
    "plugins/other/a.c": '#include "posix/file.h"',
    "plugins/s3/a.c": '#include "gcs/gcs.h"',
    "plugins/s3/b.c": "#include <curl/curl.h>",
    "plugins/support/a.c": '#include "s3/sign.h"',
    "plugins/support/b.c": "#include <jansson.h>",
    "plugins/support/c.c": '#include "util/buf.h"',
    "sdk/a.c": '#include "core/x.h"\n#include "util/buf.h"',
}


def self_test():
    with tempfile.TemporaryDirectory() as root:
        for path, text in VIOLATIONS.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text + "\n")
        found = check_tree(root)
    return [path for path in VIOLATIONS
            if not any(line.startswith(path + ":") for line in found)]


def main():
    arguments = sys.argv[1:]
    if "--self-test" in arguments:
        arguments.remove("--self-test")
        missed = self_test()
        if missed:
            sys.exit("includes: planted violations not found: "
                     + ", ".join(missed))
    root = arguments[0] if arguments else os.path.dirname(
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found = check_tree(root)
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
