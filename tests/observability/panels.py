#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every expression of the dashboard and of the alert rules finds data.

Needs promtool and prometheus (Debian: prometheus). The numbers come from the
library itself; see measured.py.
"""
import os
import re
import subprocess
import sys

import measured

failures = 0


def check(name, good, detail=""):
    global failures
    print(("ok - " if good else "not ok - ") + name)
    if not good:
        failures += 1
        print("#   " + str(detail).replace("\n", "\n#   "))


def names_in(expression):
    """Families named in an expression; a histogram's parts are its own."""
    return {re.sub(r"_(bucket|sum|count)$", "", name)
            for name in re.findall(r"\bpersist_[a-z_]+", expression)}


def promtool(name, *words, data=None):
    done = subprocess.run(["promtool", *words], input=data,
                          capture_output=True, check=False, encoding="utf-8")
    check(name, done.returncode == 0, done.stdout + done.stderr)


def check_alerts(m, used):
    groups = m.ask("rules")["groups"]
    rules = [r for g in groups for r in g["rules"]]
    check("Prometheus loaded the rules", len(rules) >= 6, groups)
    late = "PersistNoSave"
    for rule in rules:
        used |= names_in(rule["query"])
        query = rule["query"]
        if rule["name"] == late:
            # Nothing is 26 hours late after half an hour: 20 minutes will do.
            check("the limit of " + late + " stands in its expression",
                  query.count("93600") == 1, query)
            query = query.replace("93600", "1200")
        check(f"{rule['name']} finds data", m.range(query), query)


def check_quiet(m):
    """What must not fire does not: the first ten minutes were good."""
    for rule in [r for g in m.ask("rules")["groups"] for r in g["rules"]]:
        early = [labels for labels, values in m.range(rule["query"])
                 if values[0][0] < m.start + 600]
        check(f"{rule['name']} is silent in good times", not early, early)


def main():
    gone = measured.missing_programs()
    if gone:
        print("missing: " + " ".join(gone) + ": install prometheus")
        sys.exit(77)
    promtool("promtool accepts the rules", "check", "rules", measured.ALERTS)
    promtool("the rules fire when they should", "test", "rules",
             os.path.join(measured.HERE, "alerts_test.yml"))
    with measured.Measured(os.environ["BUILD_DIR"]) as m:
        promtool("promtool accepts the metrics", "check", "metrics", data=m.text)
        families = set(re.findall(r"^# TYPE (\w+)", m.text, re.M))
        used = set()
        dashboard, panels = measured.panels()
        for panel, targets in panels:
            for expression, _ in targets:
                used |= names_in(expression)
                check(f"panel \"{panel['title']}\" finds data",
                      m.range(expression), expression)
        for variable in dashboard["templating"]["list"][1:]:
            name, label = re.fullmatch(
                r"label_values\((\w+), (\w+)\)",
                variable["query"]["query"]).groups()
            values = m.ask(f"label/{label}/values", **{"match[]": name,
                           "start": m.start, "end": m.end})
            check(f"variable {variable['name']} has values",
                  len(values) >= 2, values)
        check_alerts(m, used)
        check_quiet(m)
        check("only metrics that exist are used", used <= families,
              used - families)
        check("every metric there is is used", families <= used,
              families - used)
    if failures:
        sys.exit(f"{failures} failed")


main()
