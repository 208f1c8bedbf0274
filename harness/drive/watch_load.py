"""The watchers of a run, from their start until they have received the last events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from splitbrain.checkers.reference_member import reference
from splitbrain.harness.drive.sent_compactions import SentCompactions
from splitbrain.harness.drive.watcher import Watcher, WatchingClient
from splitbrain.harness.schedule.watchers import ScheduledWatcher
from splitbrain.harness.systems.system import System
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.watch import WatchRecorder

LAST_EVENTS_TIMEOUT_S = 15.0
"""How long the watchers may take to receive the last events after the members have agreed."""
POLL_S = 0.05


class WatchLoad:
    """Runs all watchers of a run, each as a task.

    `finish` waits for the last events and then closes the streams. `close` does not wait.
    """

    def __init__(
        self,
        *,
        watchers: Sequence[ScheduledWatcher],
        members: Sequence[str],
        system: System,
        client: WatchingClient,
        recorder: WatchRecorder,
        compactions: SentCompactions,
    ) -> None:
        self._recorder = recorder
        self._watchers = [
            Watcher(
                number=number, schedule=scheduled, members=members, system=system,
                client=client, recorder=recorder, compactions=compactions,
            )
            for number, scheduled in enumerate(watchers)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(watcher.run(), name=f"watcher {watcher.number}")
            for watcher in self._watchers
        ]

    async def finish(self, states: Sequence[MemberState], agreed_revision: int | None) -> None:
        """Wait until each watcher has received its last events, then close the streams.

        A watcher must receive all changes in the members' final `states` that match its request.
        The wait ends after `LAST_EVENTS_TIMEOUT_S`. If `agreed_revision` is None, because the
        members did not agree on a revision, the streams are closed at once.
        """
        for watcher in self._watchers:
            watcher.keep_streams()
        known = reference(states)
        if agreed_revision is not None and known is not None:
            deadline = asyncio.get_running_loop().time() + LAST_EVENTS_TIMEOUT_S
            while not all(one.received(known.changes) for one in self._watchers):
                if asyncio.get_running_loop().time() >= deadline:
                    break
                await asyncio.sleep(POLL_S)
            for watcher in self._watchers:
                watcher.agreed_revision = agreed_revision
        await self.close()

    async def close(self) -> None:
        """End every stream, and raise the first error of a watcher. A second call has no effect."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for task in tasks:
            while not task.done():
                await asyncio.wait([task])
        self._recorder.close()
        for task in tasks:
            if not task.cancelled() and (problem := task.exception()) is not None:
                raise problem
