"""The clocks of a machine, which can drift and jump relative to virtual time.

The monotonic clock drifts, but it never jumps or goes back while the machine is up. The wall clock
drifts and jumps. Both clocks belong to the machine, so they continue when a member restarts. After
a power loss the monotonic clock starts at 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.node.world import Timer

EPOCH_NS = 1_700_000_000_000_000_000
"""The reading of every wall clock at the start of a run."""
DRIFT_PPM_MAX = 500_000


class MachineClock:
    """The monotonic clock and the wall clock of one machine.

    The clocks run faster than virtual time by `drift_ppm` parts per million.
    """

    def __init__(self, loop: VirtualLoop, *, monotonic_ns: int = 0, drift_ppm: int = 0) -> None:
        self._loop = loop
        self._since_ns = loop.now_ns
        self._monotonic_ns = monotonic_ns
        self._wall_ahead_ns = EPOCH_NS + loop.now_ns - monotonic_ns
        self._drift_ppm = drift_ppm
        self.fastest_ppm = max(drift_ppm, 0)
        """The highest drift of the clocks so far, in parts per million."""

    def monotonic_ns(self) -> int:
        passed_ns = self._loop.now_ns - self._since_ns
        return self._monotonic_ns + passed_ns + passed_ns * self._drift_ppm // 1_000_000

    def wall_ns(self) -> int:
        return self.monotonic_ns() + self._wall_ahead_ns

    def true_ns(self, own_ns: int) -> int:
        """Convert `own_ns`, a duration that this machine's clock measures, to virtual time.

        The conversion uses the clock's present rate. It rounds up, so that a timer never fires too
        early by this machine's clock.
        """
        if not self._drift_ppm:
            return own_ns
        return -(-own_ns * 1_000_000 // (1_000_000 + self._drift_ppm))

    @property
    def drifts(self) -> bool:
        return self._drift_ppm != 0

    def drift(self, ppm: int) -> None:
        """Let the clocks run faster by `ppm` parts per million, or slower if `ppm` is negative.

        Timers that are already set do not move.
        """
        assert abs(ppm) <= DRIFT_PPM_MAX, f"a drift of {ppm} ppm; the limit is {DRIFT_PPM_MAX}"
        self._monotonic_ns = self.monotonic_ns()
        self._since_ns = self._loop.now_ns
        self._drift_ppm = ppm
        self.fastest_ppm = max(self.fastest_ppm, ppm)

    def jump(self, ahead_ns: int) -> None:
        """Set the wall clock forward, or back if `ahead_ns` is negative."""
        self._wall_ahead_ns += ahead_ns

    def reboot(self) -> None:
        """Set the monotonic clock to 0. The wall clock continues, because a battery powers it."""
        wall_ns = self.wall_ns()
        self._monotonic_ns = 0
        self._since_ns = self._loop.now_ns
        self._wall_ahead_ns = wall_ns


class SimulatedClock:
    """The clock of one process of a member; implements `splitbrain.node.world.Clock`."""

    def __init__(self, loop: VirtualLoop, machine: MachineClock, process: Process) -> None:
        self._loop = loop
        self._machine = machine
        self._process = process

    def monotonic_ns(self) -> int:
        return self._machine.monotonic_ns()

    def wall_ns(self) -> int:
        return self._machine.wall_ns()

    def trace_ns(self) -> int:
        return self._loop.now_ns

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = self._loop.create_future()
        timer = self.call_later(seconds, lambda: _complete(future))
        try:
            await future
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        wait_ns = self._machine.true_ns(round(seconds * 1e9))
        return self._loop.at_ns(self._loop.now_ns + wait_ns, self._process, callback)


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
