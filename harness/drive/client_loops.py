"""The loops of a run's clients. Each client sends its operations in order, at their times."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable

from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.drive.operation_counts import OperationCounts
from splitbrain.harness.schedule.operation import ClientOperations, ScheduledOperation
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.nemesis.injection.operation_trigger import Triggers

CATCH_UP_MAX_S = 0.1
"""After late answers a client sends the next operations at once, until it has caught up with its
schedule. A client does not catch up more than this delay, so that a stall of seconds is not
followed by a burst of operations."""


class ClientLoops(ABC):
    """The clients of a schedule. A subclass defines how one operation is sent and recorded."""

    def __init__(self, schedule: Schedule, triggers: Triggers | None = None) -> None:
        self.counts = OperationCounts()
        self._schedule = schedule
        self._triggers = triggers or Triggers()
        """Connects operations with the faults that begin at them."""
        self._numbers = schedule.operation_numbers() if self._triggers else ()
        self._stopping = False
        # A dict keeps the order in which the tasks fell asleep. The order of a set could differ
        # between repetitions of a simulated run.
        self._sleeping: dict[asyncio.Task[None], None] = {}

    @abstractmethod
    def _operate(
        self, process: int, scheduled: ScheduledOperation, seen: LastSeen
    ) -> Awaitable[int]:
        """Send one operation, and return the process number of the client's next operation.

        `process` is the number for this operation. `seen` contains what the client has read so far.
        """

    async def run(self) -> None:
        """Run the clients until all operations are sent, the time is over, or `stop` is called.

        Then wait for the pending operations.
        """
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        end_s = begin_s + self._schedule.time_limit_ms / 1000
        tasks = [
            loop.create_task(self._client_loop(number, client, begin_s, end_s))
            for number, client in enumerate(self._schedule.clients)
        ]
        timer = loop.call_at(end_s, self.stop)
        try:
            await asyncio.gather(*tasks)
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def stop(self) -> None:
        """Begin no further operation. The method may be called at any time and more than once."""
        self._stopping = True
        for task in list(self._sleeping):
            task.cancel()

    async def _client_loop(
        self, number: int, client: ClientOperations, begin_s: float, end_s: float
    ) -> None:
        time = asyncio.get_running_loop().time
        process = number
        seen = LastSeen()
        due_s = begin_s
        for place, scheduled in enumerate(client.operations):
            now_s = time()
            due_s += scheduled.think_us / 1e6
            if due_s > now_s:
                if not await self._sleep(due_s - now_s):
                    return
                now_s = time()
            elif due_s < now_s - CATCH_UP_MAX_S:
                due_s = now_s - CATCH_UP_MAX_S
            if self._stopping or now_s >= end_s:
                return
            if scheduled.after_ok and not seen.succeeded:
                continue
            if self._numbers:
                await self._triggers.announce(self._numbers[number][place])
            process = await self._operate(process, scheduled, seen)

    async def _sleep(self, seconds: float) -> bool:
        """Sleep for `seconds` and return True. If the load is stopped, return False at once."""
        task = asyncio.current_task()
        assert task is not None
        self._sleeping[task] = None
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if self._stopping:
                return False
            raise
        finally:
            self._sleeping.pop(task, None)
        return True
