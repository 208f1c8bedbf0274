"""A run's watchers from the start of its load to its end; nothing where the plan has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from splitbrain.harness.drive.change_archive import ArchivingClient, ChangeArchive
from splitbrain.harness.drive.load import Client
from splitbrain.harness.drive.watch_load import WatchingClient, WatchLoad
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.system import System
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.watch import WatchRecorder

STREAM_TIMEOUT_MS = 5_000


class RunWatchers:
    """`start` once members serve, `finish` with their states when all is quiet, and `close`
    in any case."""

    def __init__(
        self, schedule: Schedule, system: System, file: Path, now: Callable[[], int]
    ) -> None:
        self._schedule = schedule
        self._system = system
        self._file = file
        self._now = now
        self._open = AsyncExitStack()
        self._load: WatchLoad | None = None
        self._archive = ChangeArchive(system, schedule.members)

    async def start(
        self, open_clients: Callable[[int], AbstractAsyncContextManager[Client]]
    ) -> None:
        """Raises SystemFailed if the system's clients cannot watch."""
        if not self._schedule.watchers:
            return
        client = await self._open.enter_async_context(open_clients(STREAM_TIMEOUT_MS))
        if not isinstance(client, WatchingClient):
            raise SystemFailed(
                f"the plan has watchers, but the client of the system {self._system.name} has no "
                "method watch(url, request) "
                "(see splitbrain.harness.drive.watch_load.WatchingClient)"
            )
        recorder = WatchRecorder(self._file, self._now)
        self._load = WatchLoad(
            self._schedule.watchers, self._schedule.members, self._system, client, recorder
        )
        self._load.start()

    def archiving(self, client: Client) -> Client:
        """`client`, reading change logs before a compaction where the plan has any."""
        compacts = any(
            isinstance(operation.request, Compact)
            for one in self._schedule.clients
            for operation in one.operations
        )
        return ArchivingClient(client, self._archive) if compacts else client

    def prolonged(self, states: Sequence[MemberState]) -> tuple[MemberState, ...]:
        """Members' states with what was read before it was compacted."""
        return self._archive.prolonged(states)

    async def finish(self, states: Sequence[MemberState], settled: int | None) -> None:
        if self._load is not None:
            await self._load.finish(states, settled)

    async def close(self) -> None:
        """Safe to call twice."""
        try:
            if self._load is not None:
                await self._load.close()
        finally:
            await self._open.aclose()
