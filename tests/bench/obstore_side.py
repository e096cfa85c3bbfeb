# SPDX-License-Identifier: Apache-2.0
"""obstore (PyPI) as a side of a benchmark, with its defaults: it hashes what it sends.

usage: obstore_side.py put|get URL BUCKET KEY FILE

What counts is the transfer: its seconds go to the file named by TURN_SECONDS.
"""
import os
import pathlib
import sys
import time

import obstore
from obstore.store import S3Store


def main():
    verb, url, bucket, key, path = sys.argv[1:]
    store = S3Store(bucket, endpoint=url, client_options={"allow_http": True},
                    virtual_hosted_style_request=False)
    start = time.monotonic()
    if verb == "put":
        obstore.put(store, key, pathlib.Path(path))
    else:
        with open(path, "wb") as f:
            for chunk in obstore.get(store, key).stream(min_chunk_size=10 << 20):
                f.write(chunk)
    took = time.monotonic() - start
    if "TURN_SECONDS" in os.environ:
        with open(os.environ["TURN_SECONDS"], "w", encoding="utf-8") as f:
            f.write(f"{took:.6f}\n")


main()
