"""Writes a number with its noun, for messages and reports."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return `1 run`, or `3 runs`. The plural of `noun` must end with -s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
