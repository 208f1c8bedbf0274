"""Keeps the interpreter from reporting errors of coroutines that a killed process leaves behind."""

from __future__ import annotations

import inspect
import sys


class ClosingErrorsIgnored:
    """A context in which errors of coroutines that are freed before their end are not reported.

    A process that is killed leaves coroutines behind. When the interpreter frees one of them, its
    `finally` blocks run, but cannot close the asynchronous generator that the coroutine reads. Such
    a RuntimeError has no effect on the run. All other errors are reported as usual. If the hook was
    replaced meanwhile, as an interrupt of the command line does, the new hook stays.
    """

    def __enter__(self) -> None:
        self._former = sys.unraisablehook
        sys.unraisablehook = self._report

    def __exit__(self, *_: object) -> None:
        if sys.unraisablehook == self._report:
            sys.unraisablehook = self._former

    def _report(self, problem: sys.UnraisableHookArgs) -> None:
        if not (inspect.iscoroutine(problem.object) and problem.exc_type is RuntimeError):
            self._former(problem)
