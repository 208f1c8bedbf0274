"""The error of the nemesis."""

from __future__ import annotations


class FaultError(ValueError):
    """A fault that does not exist, or that the system does not support.

    The message contains what was given, what was expected, and what to do.
    """
