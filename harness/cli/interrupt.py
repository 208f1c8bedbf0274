"""A Ctrl-C, or a SIGTERM, that ends a search or a campaign and is not lost on the way."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Self

STOPS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """A context in which either raises KeyboardInterrupt, and stays known in `asked`.

    Raised while Python collects garbage the exception goes nowhere (`sys.unraisablehook`),
    and what went on would go on to its end: whoever works in a loop looks at `asked`, too.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._heard) for one in STOPS}
        return self

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        # This process ends soon. What the run that is broken off leaves unfinished would
        # complain, one traceback each, as it is collected.
        sys.unraisablehook = lambda _: None
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt if one was asked for."""
        if self.asked:
            raise KeyboardInterrupt

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _problem: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
