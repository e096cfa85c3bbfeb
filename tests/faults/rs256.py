# SPDX-License-Identifier: Apache-2.0
"""Checks tokens signed with RS256 (RFC 7515, RFC 8017 section 8.2.2), with nothing but
Python: an eye of its own on what the backends sign through libcrypto."""
import base64
import hashlib
import json
import subprocess

# DigestInfo of SHA-256 (RFC 8017, section 9.2, note 1).
_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def _der(data, at=0):
    """(tag, content, next) of the DER value at `at`."""
    tag, length = data[at], data[at + 1]
    at += 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[at:at + size], "big")
        at += size
    return tag, data[at:at + length], at + length


def generate(path, bits=2048):
    """A new private key in PKCS#8 at path; returns its public (n, e)."""
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt",
                    f"rsa_keygen_bits:{bits}", "-out", path], check=True,
                   stderr=subprocess.DEVNULL)
    der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"],
                         check=True, stdout=subprocess.PIPE).stdout
    _, info, _ = _der(der)
    _, _, at = _der(info)             # algorithm
    _, bits_, _ = _der(info, at)      # BIT STRING
    _, key, _ = _der(bits_[1:])
    _, n, at = _der(key)
    _, e, _ = _der(key, at)
    return int.from_bytes(n, "big"), int.from_bytes(e, "big")


def _unbase64(text):
    assert "=" not in text, "padding in a JWT"
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify(token, key):
    """The (header, claims) of a token signed with the key; ValueError otherwise."""
    n, e = key
    signed, _, signature = token.rpartition(".")
    head, _, claims = signed.partition(".")
    size = (n.bit_length() + 7) // 8
    raw = _unbase64(signature)
    if len(raw) != size:
        raise ValueError("a signature of another length")
    block = pow(int.from_bytes(raw, "big"), e, n).to_bytes(size, "big")
    digest = _SHA256 + hashlib.sha256(signed.encode()).digest()
    want = b"\x00\x01" + b"\xff" * (size - 3 - len(digest)) + b"\x00" + digest
    if block != want:
        raise ValueError("a signature that is not this key's")
    return json.loads(_unbase64(head)), json.loads(_unbase64(claims))
