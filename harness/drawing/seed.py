"""Draws a random seed for a run if the user gives none."""

from __future__ import annotations

import secrets

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.seed_range import SEED_MAX, SEED_MIN

SEED_BITS = 32
"""The size of a drawn seed. A number of 32 bits is short enough to type."""


def seed_or_drawn(given: int | None) -> int:
    """Return `given`, or a random seed from the operating system if `given` is None.

    Raises BadArguments if `given` is not an integer of 64 bits.
    """
    if given is None:
        return secrets.randbits(SEED_BITS)
    if not SEED_MIN <= given <= SEED_MAX:
        raise BadArguments(f"--seed {given}: expected an integer from {SEED_MIN} to {SEED_MAX}")
    return given
