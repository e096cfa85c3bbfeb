# SPDX-License-Identifier: Apache-2.0
"""CRC-32C for the servers that tests play: fast where the build has made the
library for it ($BUILD_DIR/tests/lib/libcrc32c.so), in Python otherwise."""
import base64
import ctypes
import os
import struct

_TABLE = []
for _i in range(256):
    _crc = _i
    for _ in range(8):
        _crc = (_crc >> 1) ^ (0x82F63B78 if _crc & 1 else 0)
    _TABLE.append(_crc)


def _slow(crc, data):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _load():
    path = os.path.join(os.environ.get("BUILD_DIR", ""), "tests/lib/libcrc32c.so")
    if not os.path.exists(path):
        return None
    function = ctypes.CDLL(path).test_crc32c
    function.restype = ctypes.c_uint32
    function.argtypes = [ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t]
    return function


_fast = _load()


def crc32c(data, crc=0):
    """Of bytes, continuing from crc."""
    data = bytes(data)
    return _fast(crc, data, len(data)) if _fast else _slow(crc, data)


def encode(crc):
    """As the services write it: base64 of the four bytes, most significant first."""
    return base64.b64encode(struct.pack(">I", crc)).decode()


assert crc32c(b"123456789") == 0xE3069283
