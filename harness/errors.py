"""The harness's own errors: what was given, what was expected, what to do."""

from __future__ import annotations


class SplitbrainError(Exception):
    """Any error that the harness raises on purpose; shown without a traceback."""


class BadArguments(SplitbrainError):
    """The user asked for something that cannot be: exit code 254."""


class SystemFailed(SplitbrainError):
    """The system under test could not be started, reached or stopped: exit code 255."""
