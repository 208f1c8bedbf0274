"""Defines the errors that any room may raise.

A message says what was given, what was expected, and what to do.
"""

from __future__ import annotations


class SplitbrainError(Exception):
    """An error that the harness raises on purpose. The user sees it without a traceback."""


class BadArguments(SplitbrainError):
    """An argument, an option or a file of the user is wrong. The exit code is 254."""


class SystemFailed(SplitbrainError):
    """The system under test could not be started, reached or stopped. The exit code is 255."""
