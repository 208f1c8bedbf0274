"""Shows on a terminal which checkers are running, and for how long."""

from __future__ import annotations

import resource
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from splitbrain.harness.judging.judge import JudgingObserver

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class TerminalJudging(JudgingObserver):
    """A context that shows on stderr which checker is running, and for how long.

    It shows nothing if stderr is not a terminal.
    """

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
                TextColumn("[dim]Ctrl-C: the checkers that have not finished are unknown"),
                console=Console(stderr=True), transient=True,
            )
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, doing: str) -> None:
        if self._progress is None:
            return
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(doing, total=None)


def peak_memory_bytes() -> int:
    """Return the peak resident memory of this process, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
