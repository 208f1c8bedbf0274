"""Defines the exit codes of the commands, as in Jepsen."""

from __future__ import annotations

EXIT_VALID = 0
EXIT_INVALID = 1
EXIT_UNKNOWN = 2
EXIT_INTERRUPTED = 130
EXIT_BAD_ARGUMENTS = 254
EXIT_FAILED = 255


def exit_code_of(valid: bool | None, error: str = "") -> int:
    """Return the exit code for the verdict `valid` of a run or a history.

    `error` describes the failure of the harness or the system under test; "" if neither failed.
    After such a failure, the exit code is 255, unless an anomaly was found before the failure. Then
    the exit code is that of an invalid run.
    """
    if valid is False:
        return EXIT_INVALID
    if error:
        return EXIT_FAILED
    return EXIT_VALID if valid else EXIT_UNKNOWN
