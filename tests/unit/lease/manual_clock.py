"""Implements a clock that moves only when a test moves it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from splitbrain.node.world import Timer


@dataclass(order=True)
class ManualTimer:
    due_ns: int
    number: int
    callback: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """`splitbrain.node.world.Clock`. It starts at 0. A sleep moves it."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._timers: list[ManualTimer] = []
        self._count = 0

    def monotonic_ns(self) -> int:
        return self._now_ns

    wall_ns = trace_ns = monotonic_ns

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self._count += 1
        timer = ManualTimer(self._now_ns + round(seconds * 1e9), self._count, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Move the clock, and call the timers that become due, each at its time."""
        end_ns = self._now_ns + round(seconds * 1e9)
        while self._timers and self._timers[0].due_ns <= end_ns:
            timer = heapq.heappop(self._timers)
            self._now_ns = timer.due_ns
            if not timer.cancelled:
                timer.callback()
        self._now_ns = end_ns
