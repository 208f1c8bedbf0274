"""Hashes and checks passwords.

A hash is the text "scrypt$COST$SALT$HASH". COST is the base-2 logarithm of the cost; salt and hash
are in base64. Hashing is slow on purpose, so that a password is hard to guess from a stolen hash.

Source: RFC 7914. etcd uses bcrypt.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from random import Random

SALT_BYTES = 16
MEMORY_RESERVE_BYTES = 1024**2
_BLOCK_SIZE, _PARALLEL = 8, 1


def hash_password(password: str, random: Random, cost_log2: int) -> str:
    """Hash a password with a new random salt. The cost is 2 to the power of `cost_log2`."""
    salt = random.randbytes(SALT_BYTES)
    digest = b64encode(_scrypt(password, salt, cost_log2)).decode()
    return f"scrypt${cost_log2}${b64encode(salt).decode()}${digest}"


def matches(password: str, hashed: str) -> bool:
    """Return whether `hashed` is a hash of `password`."""
    try:
        kind, cost, salt, digest = hashed.split("$")
    except ValueError:
        return False
    found = _scrypt(password, b64decode(salt), int(cost))
    return kind == "scrypt" and hmac.compare_digest(found, b64decode(digest))


def _scrypt(password: str, salt: bytes, cost_log2: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogateescape"),
        salt=salt, n=1 << cost_log2, r=_BLOCK_SIZE, p=_PARALLEL,
        maxmem=(2 << cost_log2) * 128 * _BLOCK_SIZE + MEMORY_RESERVE_BYTES,
    )
