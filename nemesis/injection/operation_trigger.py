"""Lets the nemesis arm a fault just before a given operation of the load begins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Trigger:
    """Connects one operation of the load with one fault that must be armed just before it.

    The load sets `due` when the operation is about to begin, and then waits for `armed`. The
    nemesis waits for `due`, arms the fault (it sets the failpoint), and sets `armed`. It also sets
    `armed` if it could not arm the fault.
    """

    def __init__(self) -> None:
        self.due = asyncio.Event()
        self.armed = asyncio.Event()


class Triggers:
    """All triggers of a run, by the number of their operation.

    Each trigger belongs to a fault that must be armed just before the operation. The load announces
    each operation.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, list[Trigger]] = {}
        self.counts_operations = False
        """Whether the load must also announce operations that have no trigger, to count them."""
        self.operations_begun = 0
        """The number of operations that were announced."""

    def __bool__(self) -> bool:
        return bool(self._waiting) or self.counts_operations

    def add(self, operation: int) -> Trigger:
        """Add a trigger that becomes due when the operation with this number is announced."""
        trigger = Trigger()
        self._waiting.setdefault(operation, []).append(trigger)
        return trigger

    async def announce(self, operation: int) -> None:
        """Make the triggers of `operation` due, and wait until each of their faults is armed."""
        self.operations_begun += 1
        triggers: Iterable[Trigger] = self._waiting.pop(operation, ())
        for trigger in triggers:
            trigger.due.set()
        for trigger in triggers:
            await trigger.armed.wait()
