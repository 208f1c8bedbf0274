"""Keeps the interpreter from reporting errors of coroutines that a killed process leaves behind."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def closing_errors_ignored() -> Iterator[None]:
    """Do not report the errors of coroutines that are freed before their end.

    A process that is killed leaves coroutines behind. When the interpreter frees one of them, its
    `finally` blocks run, but cannot close the asynchronous generator that the coroutine reads. Such
    a RuntimeError has no effect on the run. All other errors are reported as usual.
    """
    former = sys.unraisablehook

    def report(problem: sys.UnraisableHookArgs) -> None:
        if not (inspect.iscoroutine(problem.object) and problem.exc_type is RuntimeError):
            former(problem)

    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = former
