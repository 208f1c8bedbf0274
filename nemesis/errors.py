"""The error that the nemesis raises for faults that cannot be injected."""

from __future__ import annotations


class FaultError(ValueError):
    """Raised for a fault that does not exist, or that the system does not support.

    The message contains the value that was given, the values that were expected, and what to do.
    """
