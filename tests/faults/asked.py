# SPDX-License-Identifier: Apache-2.0
"""What the logs of s3_server.py and gcs_server.py say of requests."""


def identity(entry):
    """What makes two requests the same."""
    return entry["method"], entry["path"], str(entry["query"]), entry["headers"].get("range")
