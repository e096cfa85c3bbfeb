#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the dashboard's panels from real numbers, for docs/observability.md.

usage: pictures.py BUILD_DIR [OUT_DIR]        (Debian: prometheus python3-matplotlib)

Grafana draws them nicer; what is drawn, and the numbers, are the same.
"""
import os
import sys

import matplotlib

matplotlib.use("Agg")

# pylint: disable=wrong-import-position
import matplotlib.pyplot as plt
import matplotlib.ticker

import measured

PICTURES = {
    "overview": ["Operations", "Bytes of objects", "Since the last save"],
    "backends": ["Requests", "Latency of an attempt"],
    "errors": ["Requests that failed, by status", "Repeated requests",
               "Operations that failed, by status"],
    "latency": ["Latency of saving requests", "Latency of loading requests"],
    "sizes": ["Size of snapshots", "Stored of a payload byte",
              "Size of transfers"],
}
UNITS = {"ops": "per s", "reqps": "per s", "s": "s", "Bps": "B/s",
         "bytes": "B", "percentunit": ""}


def number(value, unit):
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "s" and value >= 120:
        return f"{value / 60:g} min"
    if unit == "s" and 0 < value < 1:
        return f"{value * 1000:.3g} ms"
    for limit, name in ((1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")):
        if unit in ("bytes", "Bps") and value >= limit:
            return f"{value / limit:.3g} {name}{UNITS[unit]}"
    return f"{value:.3g} {UNITS.get(unit, '')}".strip()


def legend_of(pattern, labels):
    for name, value in labels.items():
        pattern = pattern.replace("{{%s}}" % name, value)
    return pattern.replace("{{instance}} ", "")


def minutes(axes):
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(
        lambda t, _: f"{t / 60:.0f} min"))
    axes.xaxis.set_major_locator(matplotlib.ticker.MultipleLocator(300))


def draw_lines(m, axes, panel, targets):
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    for expression, pattern in targets:
        for labels, values in m.range(expression):
            axes.plot([t - m.start for t, _ in values],
                      [v for _, v in values], linewidth=1.2,
                      label=legend_of(pattern, labels))
    axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(
        lambda v, _: number(v, unit)))
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, measured.LENGTH)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper center", ncol=3, frameon=False,
                bbox_to_anchor=(0.5, -0.09))


def draw_heatmap(m, axes, targets):
    """Of cumulative buckets, what lies in each, per step."""
    rows = sorted(((float(labels["le"].replace("+Inf", "inf")), dict(values))
                   for labels, values in m.range(targets[0][0])),
                  key=lambda row: row[0])
    times = [m.start + i * measured.STEP
             for i in range(measured.LENGTH // measured.STEP + 1)]
    grid, below = [], [0.0] * len(times)
    for _, values in rows:
        now = [values.get(t, 0.0) for t in times]
        grid.append([max(a - b, 0.0) for a, b in zip(now, below)])
        below = now
    axes.imshow(grid, aspect="auto", origin="lower", cmap="Oranges",
                interpolation="nearest",
                extent=(0, measured.LENGTH, 0, len(grid)))
    axes.set_yticks([i + 1 for i in range(len(rows) - 1)],
                    [number(le, "s") for le, _ in rows[:-1]], fontsize=7)


def main():
    build = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.join(
        measured.ROOT, "docs", "images")
    os.makedirs(out, exist_ok=True)
    _, panels = measured.panels()
    by_title = {panel["title"]: (panel, targets) for panel, targets in panels}
    with measured.Measured(build) as m:
        for name, titles in PICTURES.items():
            figure, all_axes = plt.subplots(
                1, len(titles), figsize=(5.2 * len(titles), 3.4), dpi=72)
            for axes, title in zip(all_axes, titles):
                panel, targets = by_title[title]
                axes.set_title(title, fontsize=10, loc="left")
                if panel["type"] == "heatmap":
                    draw_heatmap(m, axes, targets)
                else:
                    draw_lines(m, axes, panel, targets)
                axes.tick_params(labelsize=8)
                minutes(axes)
            figure.tight_layout()
            path = os.path.join(out, f"observability-{name}.png")
            figure.savefig(path, metadata={"Software": None})
            print(path)


main()
