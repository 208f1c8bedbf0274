"""Implements a member's `Clock` with the clocks of the operating system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from splitbrain.node.world import Timer


class RealClock:
    """The clocks of the operating system."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()

    def trace_ns(self) -> int:
        # All processes of a machine share CLOCK_MONOTONIC.
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)
