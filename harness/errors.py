"""The harness's errors. A message says what was given, what was expected, and what to do."""

from __future__ import annotations


class SplitbrainError(Exception):
    """Any error that the harness raises on purpose. It is shown without a traceback."""


class BadArguments(SplitbrainError):
    """An argument, an option or a file of the user is wrong. The exit code is 254."""


class SystemFailed(SplitbrainError):
    """The system under test could not be started, reached or stopped. The exit code is 255."""
