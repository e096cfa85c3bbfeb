# SPDX-License-Identifier: Apache-2.0
"""From the rows of tests/bench/run to docs/performance.md and its plots."""
import json
import os

# What each row is to reach, as a factor of speed against its first rival;
# (group, part of the question): at least.
REACH = {
    ("small-saves", "4 KiB saves, 1 in flight"): 0.95,
    ("small-saves", "4 KiB saves, 4 in flight"): 1.0,
    ("small-saves", "4 KiB saves, 16 in flight"): 1.05,
    ("small-saves", "4 KiB saves, 64 in flight"): 1.2,
    ("batch", "batches of 64"): 8.0,
    ("random", "save"): 1 / 1.15,
    ("restore", "restore"): 1 / 0.75,
    ("net-saves", ""): 0.4,
}
JOURNALED = "journal (loop"


# -------------------------------------------------------------------- plots

def nice(value):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


def plot(path, title, x_label, y_label, x_ticks, series):
    """A log-log line plot. series: [(name, [(x, y), ...])]."""
    import math
    width, height, left, right, top, bottom = 720, 420, 80, 190, 50, 60
    colours = ("#1b6ca8", "#c8553d", "#4c956c", "#8d6a9f")
    points = [p for _, line in series for p in line if p[1] > 0]
    if not points:
        return False
    x0, x1 = (f(p[0] for p in points) for f in (min, max))
    y0 = 10 ** math.floor(math.log10(min(p[1] for p in points)))
    y1 = 10 ** math.ceil(math.log10(max(p[1] for p in points)))
    y1 = y1 if y1 > y0 else y0 * 10

    def at(x, y):
        fx = (math.log(x / x0) / math.log(x1 / x0)) if x1 > x0 else 0.5
        fy = math.log(y / y0) / math.log(y1 / y0)
        return (left + fx * (width - left - right),
                height - bottom - fy * (height - top - bottom))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} '
           f'{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="26" font-size="15">{title}</text>']
    y = y0
    while y <= y1 * 1.001:
        py = at(x0, y)[1]
        out.append(f'<line x1="{left}" y1="{py:.1f}" x2="{width - right}" '
                   f'y2="{py:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 8}" y="{py + 4:.1f}" '
                   f'text-anchor="end">{nice(y)}</text>')
        y *= 10
    for x, label in x_ticks:
        px = at(x, y0)[0]
        out.append(f'<line x1="{px:.1f}" y1="{top}" x2="{px:.1f}" '
                   f'y2="{height - bottom}" stroke="#eee"/>')
        out.append(f'<text x="{px:.1f}" y="{height - bottom + 18}" '
                   f'text-anchor="middle">{label}</text>')
    for i, (name, line) in enumerate(series):
        colour = colours[i % len(colours)]
        path_points = " ".join(f"{a:.1f},{b:.1f}" for a, b in
                               (at(x, max(y, y0)) for x, y in line))
        out.append(f'<polyline points="{path_points}" fill="none" '
                   f'stroke="{colour}" stroke-width="2"/>')
        for x, y in line:
            a, b = at(x, max(y, y0))
            out.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" '
                       f'fill="{colour}"/>')
        out.append(f'<text x="{width - right + 12}" y="{top + 20 + 20 * i}" '
                   f'fill="{colour}">{name}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 14}" '
               f'text-anchor="middle">{x_label}</text>')
    out.append(f'<text transform="translate(18 {height / 2}) rotate(-90)" '
               f'text-anchor="middle">{y_label}</text></svg>\n')
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out))
    return True


def speed(row, side):
    return row["n"] / row["sides"][side]["wall_s"]


def plot_flight(folder, rows):
    rows = [r for r in rows if r.get("group") == "small-saves" and
            "own session" not in r["question"] and JOURNALED in r["place"]]
    flights = [int(r["question"].split(",")[1].split()[0]) for r in rows]
    names = [s["name"] for s in rows[0]["sides"]] if rows else []
    series = [(name, [(flights[i], speed(r, k)) for i, r in enumerate(rows)])
              for k, name in enumerate(names)]
    return bool(rows) and plot(
        os.path.join(folder, "saves-in-flight.svg"),
        "4 KiB saves on a journaled ext4", "saves in flight", "saves per second",
        [(x, str(x)) for x in flights], series)


def plot_sizes(folder, rows):
    rows = [r for r in rows if r.get("group") == "sizes"]
    kib = [int(r["question"].split()[2]) for r in rows]
    names = [s["name"] for s in rows[0]["sides"]] if rows else []
    series = [(name, [(kib[i], speed(r, k) / 1024) for i, r in enumerate(rows)])
              for k, name in enumerate(names)]
    return bool(rows) and plot(
        os.path.join(folder, "throughput-over-size.svg"),
        "Saves one by one", "payload", "MiB per second",
        [(x, f"{x} KiB" if x < 1024 else f"{x // 1024} MiB") for x in kib],
        series)


# ------------------------------------------------------------------- tables

def reach_of(row):
    for (group, start), least in REACH.items():
        if row["group"] == group and row["question"].startswith(start) and \
                "own session" not in row["question"]:
            return least
    return None


def verdict(row, side):
    """What the row has to reach, told at that side."""
    told = [text for side_of, text in verdicts(row) if side_of == side]
    least = reach_of(row)
    counts = row["group"] not in ("small-saves", "batch") or \
        JOURNALED in row["place"]
    if side == 1 and least is not None and counts:
        told.append(said(row["sides"][1]["speed_ratio"] >= least,
                         f"≥ {least:.2f} × as fast"))
    return "; ".join(told)


def said(reached, text):
    return f"{text}: {'reached' if reached else '**missed**'}"


def verdicts(row):
    """(side, text) for each entry of row["reach"], which is one of

    {"side": i, "speed": least, "cpu": most}   against side i: our speed over
                                               its, our CPU seconds over its
    {"slower_of": [i, j], "wall": most}        our seconds over the longer ones
    {"wall_s": most}, {"rss_mib": most}        of Persist itself
    """
    ours = row["sides"][0]
    for entry in row.get("reach", ()):
        if "side" in entry:
            side = row["sides"][entry["side"]]
            yield entry["side"], said(
                side["speed_ratio"] >= entry["speed"],
                f"≥ {entry['speed']:.2f} × as fast")
            if "cpu" in entry:
                ratio = ours["cpu_s"] / side["cpu_s"]
                yield entry["side"], said(
                    ratio <= entry["cpu"],
                    f"CPU ≤ {entry['cpu']:.2f} × its: {ratio:.2f}")
        elif "slower_of" in entry:
            slowest = max(entry["slower_of"],
                          key=lambda i: row["sides"][i]["wall_s"])
            ratio = ours["wall_s"] / row["sides"][slowest]["wall_s"]
            yield slowest, said(ratio <= entry["wall"],
                                f"time ≤ {entry['wall']:.2f} × its: {ratio:.2f}")
        elif "wall_s" in entry:
            yield 0, said(ours["wall_s"] <= entry["wall_s"],
                          f"≤ {entry['wall_s']:.2f} s")
        else:
            yield 0, said(ours["rss_mib"] <= entry["rss_mib"],
                          f"≤ {entry['rss_mib']:.0f} MiB")


def table(rows):
    out = ["| question | side | median | speed | CPU | peak memory | "
           "Persist is | to reach |",
           "|---|---|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        for i, side in enumerate(row["sides"]):
            name = row["question"] if i == 0 else ""
            ratio = f"{side['speed_ratio']:.2f} × as fast" if i else ""
            out.append(
                f"| {name} | {side['name']} | {side['wall_s']:.3f} s | "
                f"{speed(row, i):,.0f} {row['unit']}/s | {side['cpu_s']:.2f} s | "
                f"{side['rss_mib']:.0f} MiB | {ratio} | {verdict(row, i)} |")
    return "\n".join(out)


def by_place(rows, groups):
    out = []
    rows = [r for r in rows if r.get("group") in groups and "sides" in r]
    for place in dict.fromkeys(r["place"] for r in rows):
        out += [f"**{place}**", "",
                table([r for r in rows if r["place"] == place]), ""]
    return "\n".join(out)


def state_check(row):
    """The two composite targets of a save of agent state."""
    ours, same, three = row["sides"]
    sha = row.get("sha_cpu_s", 0)
    wall = ours["wall_s"] / (same["wall_s"] + sha / 2)
    cpu = ours["cpu_s"] / (same["cpu_s"] + sha)
    fast = ours["wall_s"] / three["wall_s"]
    stored = row["stored"] / row["stored_zstd3"] - 1 if row.get("stored") else 0

    def line(text, value, most, form=".2f"):
        word = "reached" if value <= most else "**missed**"
        return f"| {row['question']} | {text} | {value:{form}} | " \
               f"≤ {most:{form}}: {word} |"
    return [
        line("wall / (zstd at the same level, synced + half of SHA-256's CPU)",
             wall, 1.05),
        line("CPU / (zstd's at the same level + SHA-256's)", cpu, 1.1),
        line("wall / that of `zstd -3 -T2`, synced", fast, 0.75),
        line("stored more than `zstd -3`", stored, 0.12, ".1%"),
    ]


def states(rows):
    rows = [r for r in rows if str(r.get("group")).startswith("state-")]
    if not rows:
        return ""
    out = ["| question | measure | value | to reach |", "|---|---|---:|---|"]
    for row in rows:
        out += state_check(row)
    return "\n".join(out) + "\n"


def failures(rows):
    names = sorted({str(r.get("program") or r["failed"]) for r in rows
                    if "failed" in r})
    return f"**Not measured, because it failed: {', '.join(names)}.**\n\n" \
        if names else ""


def others(rows):
    out = []
    for row in rows:
        if row.get("group") == "outstanding":
            side = row["sides"][0]
            ok = side["extra"] <= 10 and side["rss_mib"] <= 128
            out.append(f"* {row['question']}: all complete; the longest submit "
                       f"took {side['extra']:.2f} ms (≤ 10), peak memory "
                       f"{side['rss_mib']:.0f} MiB (≤ 128): "
                       f"{'reached' if ok else '**missed**'}.")
        if row.get("group") == "cancel":
            ms = row["sides"][0]["wall_s"] * 1e3
            out.append(f"* {row['question']}: returns {ms:.1f} ms later (≤ 100),"
                       " nothing is left in the store: "
                       f"{'reached' if ms <= 100 else '**missed**'}.")
        if row.get("group") == "memory":
            most = 64 if "48M" in row["question"] else 300
            rss = row["sides"][0]["rss_mib"]
            out.append(f"* {row['question']}: peak memory {rss:.0f} MiB "
                       f"(≤ {most}): "
                       f"{'reached' if rss <= most else '**missed**'}.")
    return "\n".join(out)


def levels(rows):
    found = [r["table"] for r in rows if r.get("group") == "levels"]
    if not found:
        return ""
    return f"""## The default compression level

Level 1, measured on agent state (`bench_agent_state`: text, tool calls, floats, base64), cut into frames as a snapshot is; seconds are CPU
time of one thread for 256 MiB. From level 1 to 3 the stored bytes shrink by less than a tenth while the CPU time more than doubles; what
most savers wait for is the processor, and what is kept for long can be saved with `--level` higher.

{found[0]}
"""


def earlier(rows):
    """Which rows are from another day."""
    dates = {}
    for row in rows:
        if "date" in row:
            dates.setdefault(row["date"], set()).add(row["group"])
    return "".join(f"\n\nFrom a run of {date}: {', '.join(sorted(groups))}."
                   for date, groups in sorted(dates.items()))


def about_text(about, rows):
    quick = "\n\n**A quick run: these figures prove the programs, nothing " \
        "else.**" if about["quick"] else ""
    return f"""Measured {about['date']} on {about['cpus']} processors ({about['model']}, {about['arch']}), {about['memory_gib']} GiB of memory, Linux
{about['kernel']}; data on {' and '.join(about['places'])}. Load average {about['load']:.1f} before and {about['load_after']:.1f} after the \
{about['seconds']} seconds of the run.{earlier(rows)}{quick}"""


ABSENT = "Not a part of this run.\n"
PAGE = """# Performance

{about}

{failures}Written by `tests/bench/run BUILD-DIR`; do not edit. Each row is Persist and what a user would take instead, run in turn in one process tree,
medians of the rounds; the speed ratio is the median of the pairs. Every side runs in a process of its own: CPU seconds and peak memory are
that process's (and its children's). A round uses new folders, and nothing is deleted between rounds.

"The bare protocol" is what a careful program does without Persist: O_TMPFILE, write, fsync, linkat, fsync of the directory, with as many
threads. It neither compresses nor hashes. SQLite is in WAL mode with synchronous=FULL, one row per save. Flushes on a file system without a
journal cost a fraction of those with one, so that figures of the two must not be compared; the targets are for the journaled one.

## Small saves

{flight}{small}
## Batches

`persist_save_batch`, 64 snapshots with one acknowledgement.

{batch}
## Throughput over size

{sizes}
## Agent state

{state_table}
{state}
## Random bytes

{random}
## Restoring

{restore}
## S3

Over the loopback, into a sink that counts bytes and keeps nothing: what the client costs, not what a network does. `sign_payload = never`.

{network}
## GCS

The same, into a sink that speaks the resumable protocol: an upload has one connection and goes in order, so curl with one connection is one limit.
The other is SHA-256 of the whole, one chain from the first byte to the last that no second processor can share: `openssl dgst -sha256` of the same file
stands beside the save.

{gcs}
## Memory, cancellation, ten thousand saves at once

{others}

What metrics and traces cost is counted in instructions, 0.1 % of a save of 4 KiB: [observability.md](observability.md).

{levels}"""


def kept(path, rows):
    """Rows of an earlier run about what this one did not ask."""
    asked = {(r.get("group"), r.get("question")) for r in rows}
    failed = {r.get("failed") for r in rows} | {r.get("program") for r in rows}
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        about, *old = [json.loads(line) for line in f]
    found = []
    for row in old:
        if "failed" in row or row.get("group") in failed or \
                (row.get("group"), row.get("question")) in asked:
            continue
        row.setdefault("date", about["date"])
        found.append(row)
    return found


def write(folder, about, rows, keep=False):
    """Writes the page and its plots below `folder`; returns where."""
    plots = os.path.join(folder, "performance")
    os.makedirs(plots, exist_ok=True)
    if keep:
        rows = kept(os.path.join(plots, "figures.jsonl"), rows) + rows
    with open(os.path.join(plots, "figures.jsonl"), "w",
              encoding="utf-8") as f:
        for row in [about, *rows]:
            f.write(json.dumps(row) + "\n")
    flight = "![saves over saves in flight](performance/saves-in-flight.svg)" \
        "\n\n" if plot_flight(plots, rows) else ""
    size = "![throughput over size](performance/throughput-over-size.svg)\n\n" \
        if plot_sizes(plots, rows) else ""
    page = PAGE.format(
        about=about_text(about, rows), failures=failures(rows), flight=flight,
        small=by_place(rows, ("small-saves",)),
        batch=by_place(rows, ("batch",)), sizes=size + (by_place(rows, ("sizes",)) or ABSENT),
        state_table=states(rows),
        state=by_place(rows, ("state-file", "state-pipe", "sha256")),
        random=by_place(rows, ("random",)),
        restore=by_place(rows, ("restore",)),
        network=by_place(rows, ("network", "net-saves")) or ABSENT,
        gcs=by_place(rows, ("gcs",)) or ABSENT, others=others(rows),
        levels=levels(rows))
    path = os.path.join(folder, "performance.md")
    with open(path, "w", encoding="utf-8") as f:
        f.write(page)
    return f"written: {path}"
