#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads zstd snapshots with two independent readers of the seekable format.

usage: readers.py SNAPSHOT [PAYLOAD]

Needs the packages pyzstd and indexed_zstd (both on PyPI).  PAYLOAD is what the
snapshot must hold; without it, what `zstd -dc` prints.  Each reader reads the
whole payload once and then pieces of it at chosen and at random places.
"""
import os
import random
import subprocess
import sys

from indexed_zstd import IndexedZstdFile
from pyzstd import SeekableZstdFile


def places(size, frame):
    """Offsets worth a seek: both ends, around frame borders, anywhere."""
    wanted = {0, 1, size - 1, size // 2, frame - 1, frame, frame + 1,
              size - frame, (size // frame) * frame}
    chosen = random.Random(1)
    wanted.update(chosen.randrange(size) for _ in range(50) if size)
    order = sorted(offset for offset in wanted if 0 <= offset < size)
    chosen.shuffle(order)
    return order


def check(name, reader, payload):
    reader.seek(0, os.SEEK_END)
    if reader.tell() != len(payload):
        sys.exit(f"{name}: ends at {reader.tell()}, not at {len(payload)}")
    reader.seek(0)
    whole = bytearray()
    while piece := reader.read(1 << 20):
        whole += piece
    if whole != payload:
        sys.exit(f"{name}: read something else than the payload")
    for offset in places(len(payload), 1 << 16):
        reader.seek(offset)
        length = min(100000, len(payload) - offset)
        if reader.read(length) != payload[offset:offset + length]:
            sys.exit(f"{name}: read something else at {offset}")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    path = sys.argv[1]
    if len(sys.argv) == 3:
        with open(sys.argv[2], "rb") as f:
            payload = f.read()
    else:
        payload = subprocess.run(["zstd", "-dc", path], check=True,
                                 stdout=subprocess.PIPE).stdout
    with SeekableZstdFile(path, "rb") as reader:
        check("pyzstd", reader, payload)
    readers = "pyzstd"
    # indexed_zstd makes its index from the frames and knows no empty file
    if payload:
        reader = IndexedZstdFile(path)
        check("indexed_zstd", reader, payload)
        reader.close()
        readers += " and indexed_zstd"
    print(f"{path}: {readers} read and seek in {len(payload)} bytes")


if __name__ == "__main__":
    main()
