"""A simulated process of a member, from one start of the member to its end.

Everything that runs on the loop on behalf of the member belongs to its process. Every callback on
the loop belongs to the process that scheduled it, or to the harness. A paused process keeps its
callbacks for later. A process that has ended never runs again, as after a SIGKILL: not even its
`finally` blocks run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


class Ended(BaseException):
    """Raised to leave the code of a process that has ended, for example at a failpoint.

    This class is not an `Exception`, so that `except Exception` does not catch it.
    """


class Process:
    """One process of a member, from its start to its end.

    `life` is the number of this start of the member, from 1. `runs` is False while the process is
    paused, and after its end. The loop tests only `runs`.
    """

    __slots__ = (
        "at_end", "backlog", "ended", "frames", "life", "name", "paused", "runs", "steps",
        "steps_judged_at", "tasks",
    )

    def __init__(self, name: str, life: int) -> None:
        self.name = name
        self.life = life
        self.runs = True
        self.paused = False
        self.ended = False
        self.steps = 0
        """The number of callbacks that have run on behalf of the process."""
        self.steps_judged_at = 0
        """The number of steps at which the loop calls `judge_steps` for this process."""
        self.frames = 0
        """The number of frames that the process has sent to other members."""
        self.backlog: deque[Any] = deque()
        """Callbacks whose time came while the process was paused, in order."""
        self.tasks: dict[asyncio.Task[Any], None] = {}
        """The unfinished tasks. They are kept after the end of the process, because garbage
        collection would run their `finally` blocks."""
        self.at_end: list[Callable[[], None]] = []
        """Functions that are called when the process ends. They break its connections and stop its
        backends."""

    def pause(self) -> None:
        self.paused = True
        self.runs = False

    def resume(self, ready: deque[Any]) -> None:
        """Continue after a pause.

        Callbacks whose time came during the pause are moved to `ready`.
        """
        self.paused = False
        if not self.ended:
            self.runs = True
            ready.extend(self.backlog)
        self.backlog.clear()

    def end(self) -> None:
        """End the process as SIGKILL does. A second call has no effect."""
        if self.ended:
            return
        self.ended = True
        self.runs = False
        self.backlog.clear()
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        for callback in self.at_end:
            callback()
        self.at_end.clear()

    def forget(self, task: asyncio.Task[Any]) -> None:
        if not self.ended:
            self.tasks.pop(task, None)
