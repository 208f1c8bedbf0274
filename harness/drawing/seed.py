"""Draws the seed of a run that was given none."""

from __future__ import annotations

import secrets

SEED_BITS = 32
"""Few enough digits to type."""


def seed_or_drawn(given: int | None) -> int:
    """`given`, or a seed from the operating system if that is None."""
    return secrets.randbits(SEED_BITS) if given is None else given
