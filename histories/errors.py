"""What can be wrong with a history or a run's folder."""

from __future__ import annotations


class HistoryError(ValueError):
    """A history, or a file of a run, that is not one: what was given, and what was expected."""
