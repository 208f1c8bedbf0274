"""Draws the seed of a run if the user gives none."""

from __future__ import annotations

import secrets

SEED_BITS = 32
"""A number of 32 bits has few enough digits to type."""


def seed_or_drawn(given: int | None) -> int:
    """`given`; if that is None, a random seed from the operating system."""
    return secrets.randbits(SEED_BITS) if given is None else given
