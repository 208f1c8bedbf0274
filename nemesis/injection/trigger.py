"""Operations that are about to begin, and faults that are to be armed before they do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Trigger:
    """One fault's: `due` when its operation is about to begin, `armed` when the fault is
    in place, or cannot be."""

    def __init__(self) -> None:
        self.due = asyncio.Event()
        self.armed = asyncio.Event()


class Triggers:
    """Cues by the number of the operation. Whoever begins operations announces each."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[Trigger]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def wanted(self, operation: int) -> Trigger:
        trigger = Trigger()
        self._waiting.setdefault(operation, []).append(trigger)
        return trigger

    async def announce(self, operation: int) -> None:
        """Returns when every fault that waits for `operation` is armed."""
        triggers: Iterable[Trigger] = self._waiting.pop(operation, ())
        for trigger in triggers:
            trigger.due.set()
        for trigger in triggers:
            await trigger.armed.wait()
