#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Spans of real runs are what the published protocol of OpenTelemetry says.

Called by traces.sh with the interpreter that has opentelemetry-proto. Saves
and restores with a trace_file and checks every line: it parses as an
ExportTraceServiceRequest, ids have 16 and 8 bytes, every parent is there.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

PERSIST = os.environ["PERSIST"]
TRACE = "0af7651916cd43dd8448eb211c80319c"
ABOVE = "b7ad6b7169203331"


def base64_ids(value):
    """Ids are hex in OTLP JSON and base64 in protobuf's JSON."""
    if isinstance(value, list):
        return [base64_ids(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {k: base64.b64encode(bytes.fromhex(v)).decode()
            if k in ("traceId", "spanId", "parentSpanId") else base64_ids(v)
            for k, v in value.items()}


def run(work, trace_file, *words, **environment):
    env = dict(os.environ, PERSIST_BACKEND_DIR=os.environ["BACKENDS"],
               PERSIST_TRACE_FILE=trace_file, **environment)
    return subprocess.run(
        [PERSIST, "-c", os.path.join(work, "persist.conf"), *words], env=env,
        input=os.urandom(20 << 20), capture_output=True, check=True)


def read_spans(path):
    spans = []
    with open(path, encoding="ascii") as f:
        for line in f:
            request = json_format.ParseDict(
                base64_ids(json.loads(line)),
                trace_service_pb2.ExportTraceServiceRequest())
            for resource in request.resource_spans:
                names = {a.key: a.value.string_value
                         for a in resource.resource.attributes}
                assert names["service.name"] == "persist", names
                for scope in resource.scope_spans:
                    spans += scope.spans
    return spans


def check(spans):
    ids = {s.span_id for s in spans}
    assert len(ids) == len(spans), "a span id stands twice"
    for s in spans:
        assert len(s.trace_id) == 16 and len(s.span_id) == 8, s
        assert s.end_time_unix_nano >= s.start_time_unix_nano > 0, s
        assert not s.parent_span_id or s.parent_span_id in ids or \
            s.parent_span_id.hex() == ABOVE, s
        if s.kind == s.SPAN_KIND_CLIENT:
            attempts = [a.value.int_value for a in s.attributes
                        if a.key == "persist.attempt"]
            assert attempts and attempts[0] >= 1, s


def main():
    with tempfile.TemporaryDirectory() as work:
        store = os.path.join(work, "store")
        os.mkdir(store)
        with open(os.path.join(work, "persist.conf"), "w",
                  encoding="ascii") as f:
            f.write(f"[store main]\nbackend = local\nroot = {store}\n")
        trace_file = os.path.join(work, "spans.jsonl")
        run(work, trace_file, "save", "writer", "-",
            TRACEPARENT=f"00-{TRACE}-{ABOVE}-01")
        spans = read_spans(trace_file)
        check(spans)
        assert all(s.trace_id.hex() == TRACE for s in spans)
        root = [s for s in spans if s.name == "save"]
        assert len(root) == 1 and root[0].parent_span_id.hex() == ABOVE, root
        names = {s.name for s in spans}
        assert {"prepare", "compress", "list"} <= names, names
        # The claim; and parts, which are sent on other threads.
        assert {"put", "upload_begin", "upload_part",
                "upload_commit"} <= names, names

        run(work, trace_file, "restore", "writer", "-o",
            os.path.join(work, "out"), TRACEPARENT="not one")
        run(work, trace_file, "verify", "writer", TRACEPARENT="")
        more = read_spans(trace_file)[len(spans):]
        check(more)
        roots = [s for s in more if not s.parent_span_id]
        assert [s.name for s in roots] == ["restore", "verify"], roots
        assert len({s.trace_id for s in more}) == 2
        before = len(read_spans(trace_file))
        run(work, trace_file, "verify", "writer",
            TRACEPARENT=f"00-{TRACE}-{ABOVE}-00")
        assert len(read_spans(trace_file)) == before, "it was not sampled"

        # A place that cannot be written: the save goes on and says so once.
        link = os.path.join(work, "link")
        os.symlink(trace_file, link)
        answer = run(work, link, "save", "writer", "-")
        assert answer.stderr.count(b"spans cannot be written") == 1, answer
        assert len(read_spans(trace_file)) == before
    print(f"{len(spans) + len(more)} spans")


if sys.version_info < (3, 9):
    sys.exit("Python 3.9 or newer is needed")
main()
