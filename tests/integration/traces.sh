#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Spans by the published protocol; tests/run installs the package that has it.
set -eu
if [ -z "${OTLP_PYTHON:-}" ]; then
    echo "OTLP_PYTHON is not set: tests/run installs opentelemetry-proto"
    exit 77
fi
exec "$OTLP_PYTHON" "$(dirname "$0")/otlp.py"
