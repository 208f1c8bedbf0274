"""What can be wrong with a wish for faults."""

from __future__ import annotations


class FaultError(ValueError):
    """A fault that does not exist or that the system cannot suffer: given, expected, what to do."""
