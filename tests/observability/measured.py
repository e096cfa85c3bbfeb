# SPDX-License-Identifier: Apache-2.0
"""A Prometheus with half an hour of Persist's real numbers.

traffic (traffic.c) prints the library's metrics every 15 seconds of that half
hour; promtool turns them into blocks and Prometheus answers questions about
them, on a free port of 127.0.0.1, until it is closed.
"""
import collections
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DASHBOARD = os.path.join(ROOT, "packaging", "grafana", "persist.json")
ALERTS = os.path.join(ROOT, "packaging", "prometheus", "alerts.yml")
STEP = 15
LENGTH = 1800
SAMPLE = re.compile(r"([a-z_]+)(\{[^}]*\})? (\S+)")
VARIABLES = {"$__rate_interval": "1m", "$__range": "30m", "$backend": ".*",
             "$store": ".*"}


def missing_programs():
    return [p for p in ("promtool", "prometheus") if not shutil.which(p)]


def traffic(build, start, root):
    """(the text of every sample by its time, the last as Prometheus text)"""
    program = os.path.join(build, "tests", "bin", "observability_traffic")
    out = subprocess.run([program, str(start), root], check=True,
                         capture_output=True, encoding="ascii").stdout
    parts = re.split(r"^@ (\w+)\n", out, flags=re.M)[1:]
    texts = dict(zip(parts[::2], parts[1::2]))
    plain = texts.pop("text")
    return {int(t): text for t, text in texts.items()}, plain


def with_times(texts):
    """One OpenMetrics text: every family once, every series in time order."""
    headings = {}
    series = collections.defaultdict(dict)
    for at, text in sorted(texts.items()):
        assert text.endswith("# EOF\n"), "no end at " + str(at)
        family = None
        for line in text.splitlines()[:-1]:
            if line.startswith("# TYPE "):
                family = line.split()[2]
                headings[family] = [line]
            elif line.startswith("#"):
                headings[family].append(line)
            else:
                name, labels, value = SAMPLE.fullmatch(line).groups()
                series[family].setdefault((name, labels or ""), []).append(
                    f"{name}{labels or ''} {value} {at}")
    lines = []
    for family, heading in headings.items():
        lines += heading
        for samples in series[family].values():
            lines += samples
    return "\n".join(lines + ["# EOF", ""])


class Measured:
    """with Measured(build_dir) as m: m.range(expression)"""

    def __init__(self, build):
        self.work = tempfile.mkdtemp(prefix="persist-measured-")
        self.end = int(time.time()) // 60 * 60 - 3 * 3600
        self.start = self.end - LENGTH
        store = os.path.join(self.work, "store")
        os.mkdir(store)
        texts, self.text = traffic(build, self.start, store)
        assert len(texts) == LENGTH // STEP + 1, len(texts)
        self.process = None
        self._load(with_times(texts))
        self._serve()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.work)

    def _load(self, text):
        path = os.path.join(self.work, "half-an-hour.om")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        done = subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", path,
             os.path.join(self.work, "data")],
            check=False, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr

    def _serve(self):
        config = os.path.join(self.work, "prometheus.yml")
        with open(config, "w", encoding="ascii") as f:
            json.dump({"rule_files": [ALERTS]}, f)  # JSON is YAML
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % s.getsockname()[1]
        self.url = f"http://{address}"
        log = os.path.join(self.work, "log")
        with open(log, "wb") as f:
            self.process = subprocess.Popen(
                ["prometheus", "--config.file=" + config,
                 "--storage.tsdb.path=" + os.path.join(self.work, "data"),
                 "--web.listen-address=" + address], stdout=f, stderr=f)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url + "/-/ready", timeout=5)
                return
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        with open(log, encoding="utf-8") as f:
            raise AssertionError(f.read())

    def ask(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}",
                                        timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as e:
            raise AssertionError(
                e.read().decode() + " " + str(parameters)) from e

    def range(self, expression):
        """[(labels, [(time, value), ...]), ...], without NaN"""
        result = self.ask("query_range", query=expression, start=self.start,
                          end=self.end, step=STEP)["result"]
        rows = []
        for series in result:
            values = [(float(t), float(v)) for t, v in series["values"]
                      if v != "NaN"]
            if values:
                rows.append((series["metric"], values))
        return rows


def fill_in(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def panels():
    """(panel, [(expression, legend), ...]) of the dashboard, rows left out"""
    with open(DASHBOARD, encoding="utf-8") as f:
        dashboard = json.load(f)
    return dashboard, [
        (panel, [(fill_in(t["expr"]), t["legendFormat"])
                 for t in panel["targets"]])
        for panel in dashboard["panels"] if panel["type"] != "row"]
