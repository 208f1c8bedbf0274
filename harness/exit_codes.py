"""Exit codes of the commands, as in Jepsen."""

from __future__ import annotations

EXIT_VALID = 0
EXIT_INVALID = 1
EXIT_UNKNOWN = 2
EXIT_INTERRUPTED = 130
EXIT_BAD_ARGUMENTS = 254
EXIT_FAILED = 255


def exit_code_of(valid: bool | None, error: str = "") -> int:
    """The exit code of a run or a history with this verdict.

    `error` is the failure of the harness or the system, if there was one. A run with a proven
    anomaly is invalid, even if it failed later.
    """
    if valid is False:
        return EXIT_INVALID
    if error:
        return EXIT_FAILED
    return EXIT_VALID if valid else EXIT_UNKNOWN
