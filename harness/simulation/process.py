"""A simulated process: what runs on the loop in the name of one life of one member.

Every callback on the loop belongs to the process that scheduled it, or to none (the
harness). A process that is paused keeps its callbacks for later; one that has ended
never runs again, not even its `finally` blocks: SIGKILL leaves no time for them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any


class Ended(BaseException):
    """Raised through a process's own code when that code ends the process: a crash at a
    failpoint does not return. No `except Exception` may stop it."""


class Process:
    """`runs` is all that the loop looks at; the rest says why it does not."""

    __slots__ = ("at_end", "backlog", "ended", "life", "name", "paused", "runs", "tasks")

    def __init__(self, name: str, life: int) -> None:
        self.name = name
        self.life = life
        self.runs = True
        self.paused = False
        self.ended = False
        self.backlog: deque[Any] = deque()
        """Handles that became due while it was paused, in that order."""
        self.tasks: dict[asyncio.Task[Any], None] = {}
        """Kept, also after the end: were they collected, their `finally` blocks would run."""
        self.at_end: list[Callable[[], None]] = []
        """What the world does when it ends: break its connections, close its files."""

    def pause(self) -> None:
        self.paused = True
        self.runs = False

    def resume(self, ready: deque[Any]) -> None:
        """Go on: what became due meanwhile is due now."""
        self.paused = False
        if not self.ended:
            self.runs = True
            ready.extend(self.backlog)
        self.backlog.clear()

    def end(self) -> None:
        """As SIGKILL does: nothing of it runs any more. Safe to call twice."""
        if self.ended:
            return
        self.ended = True
        self.runs = False
        self.backlog.clear()
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        for done in self.at_end:
            done()
        self.at_end.clear()

    def forget(self, task: asyncio.Task[Any]) -> None:
        if not self.ended:
            self.tasks.pop(task, None)
