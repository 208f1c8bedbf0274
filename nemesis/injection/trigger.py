"""Triggers: faults that must be armed just before an operation begins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Trigger:
    """Connects one operation of the load with one fault that must be armed just before it.

    The load sets `due` when the operation is about to begin, and waits for `armed`. The nemesis
    sets `armed` when it has armed the fault, or has failed to arm it.
    """

    def __init__(self) -> None:
        self.due = asyncio.Event()
        self.armed = asyncio.Event()


class Triggers:
    """Triggers by the number of their operation. The load announces each operation."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[Trigger]] = {}
        self.counts_operations = False
        """Whether the load must announce operations that have no trigger."""
        self.operations_begun = 0
        """The number of announced operations."""

    def __bool__(self) -> bool:
        return bool(self._waiting) or self.counts_operations

    def add(self, operation: int) -> Trigger:
        """Add a new trigger that is due when `operation` is announced."""
        trigger = Trigger()
        self._waiting.setdefault(operation, []).append(trigger)
        return trigger

    async def announce(self, operation: int) -> None:
        """Set off the triggers of `operation`; returns when each of their faults is armed."""
        self.operations_begun += 1
        triggers: Iterable[Trigger] = self._waiting.pop(operation, ())
        for trigger in triggers:
            trigger.due.set()
        for trigger in triggers:
            await trigger.armed.wait()
