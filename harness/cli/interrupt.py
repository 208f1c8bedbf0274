"""Ends a search or a campaign on Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """A context that ends a search or a campaign on Ctrl-C or SIGTERM.

    Inside the context, SIGINT and SIGTERM raise KeyboardInterrupt and set `requested`. A signal can
    arrive while Python collects garbage. The exception is then lost, because Python passes it to
    `sys.unraisablehook` and continues. Therefore a loop in this context must also call `check`.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._on_signal) for one in SIGNALS}
        return self

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        # The process ends soon. Without this line, each unfinished coroutine of the interrupted
        # run would print a traceback when Python collects it.
        sys.unraisablehook = lambda _: None
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has arrived."""
        if self.requested:
            raise KeyboardInterrupt

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _problem: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
