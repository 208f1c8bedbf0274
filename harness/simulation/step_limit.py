"""Finds members that never come to rest, such as two that answer each other without an end.

Virtual time advances in such a run, but a second of it takes minutes of CPU time.
"""

from __future__ import annotations

from collections.abc import Callable

from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop

S = 1_000_000_000
STEPS_PER_S_MAX = 100_000
"""The number of steps (callbacks on the loop) that a process may take in 1 s of virtual time. The
largest number in 14 default runs is 2,500."""


class StepLimit:
    """Pauses a process that takes more than `steps_per_s_max` steps in a second of virtual time.

    So many steps are a violation of liveness. `pause` is called with the name of each process that
    exceeds the limit. The first time, `violated` is also called with a description, and then
    `when_exceeded`.
    """

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        violated: Callable[[str], None],
        pause: Callable[[str], None],
        steps_per_s_max: int = STEPS_PER_S_MAX,
    ) -> None:
        self.when_exceeded: Callable[[], None] | None = None
        self._loop = loop
        self._violated = violated
        self._pause = pause
        self._max = steps_per_s_max
        self._since: dict[str, tuple[int, int, int]] = {}
        """For each member: the life of its process, the virtual time in ns at which its steps were
        judged last, and the number of frames that it had sent."""
        self._exceeded = False

    def __call__(self, process: Process) -> None:
        """Judge the steps that `process` took since this method was last called for it.

        Sets the number of steps after which the loop calls the method again.
        """
        life, since_ns, frames = self._since.get(process.name, (0, 0, 0))
        elapsed_ns = self._loop.now_ns - since_ns
        if life == process.life and elapsed_ns < S:
            self._exceed(process, process.frames - frames, elapsed_ns)
        self._since[process.name] = (process.life, self._loop.now_ns, process.frames)
        process.steps_judged_at = process.steps + self._max

    def _exceed(self, process: Process, frames: int, elapsed_ns: int) -> None:
        self._pause(process.name)
        if self._exceeded:
            return
        self._exceeded = True
        self._violated(
            f"{process.name} took {self._max:,} steps and sent {frames:,} messages in "
            f"{elapsed_ns / S:.3f} s of virtual time, more than any correct member; it is paused "
            "from now on"
        )
        if self.when_exceeded is not None:
            self._loop.soon(None, self.when_exceeded)
