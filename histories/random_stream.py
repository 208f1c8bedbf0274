"""One integer decides everything that chance decides.

`stream(seed, "nemesis", "kill")` gives each consumer a generator of its own, named
by its path: a new consumer shifts no one else's draws, and the same path gives the
same draws in any process, whatever its PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import random


def subseed(seed: int, *path: str | int) -> int:
    """A 64-bit seed for the consumer named by `path`."""
    name = "\x1f".join([str(seed), *(str(part) for part in path)])
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def stream(seed: int, *path: str | int) -> random.Random:
    """A generator of its own for the consumer named by `path`."""
    return random.Random(subseed(seed, *path))
