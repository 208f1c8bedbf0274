"""Defines the error that the readers of histories and of the files of a run raise."""

from __future__ import annotations


class HistoryError(ValueError):
    """Raised for a file that is not a valid history, or not a valid file of a run.

    The message contains the file and line, the text that was found there, and the text that was
    expected.
    """
