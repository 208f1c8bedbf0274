"""Defines the error of all readers of histories and of other files in a run's folder."""

from __future__ import annotations


class HistoryError(ValueError):
    """Raised for a file that is not a valid history, or not a valid file of a run.

    The message contains the file and line, the text that was found there, and the text that was
    expected.
    """
