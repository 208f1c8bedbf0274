"""Derives random streams: one integer seeds every random draw of a run.

`stream(seed, "nemesis", "kill")` returns a generator for one consumer, which is identified by the
path `"nemesis", "kill"`. Each consumer has a separate generator, so that a new consumer does not
change the draws of the others. The same path gives the same draws in every process, for any
PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import random


def subseed(seed: int, *path: str | int) -> int:
    """Return the 64-bit seed for the consumer with this `path`."""
    name = "\x1f".join([str(seed), *(str(part) for part in path)])
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def stream(seed: int, *path: str | int) -> random.Random:
    """Return the random generator for the consumer with this `path`."""
    return random.Random(subseed(seed, *path))
