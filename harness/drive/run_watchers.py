"""Runs the watchers of a run, and archives the members' change logs before compactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from splitbrain.harness.clients.session import EtcdClient
from splitbrain.harness.drive.change_archive import ArchivingClient, ChangeArchive
from splitbrain.harness.drive.sent_compactions import SentCompactions
from splitbrain.harness.drive.watch_load import WatchLoad
from splitbrain.harness.drive.watcher import WatchingClient
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.system import System
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.watch import WatchRecorder

STREAM_TIMEOUT_MS = 5_000


class RunWatchers:
    """Runs the watchers of one run, and archives change logs before compactions.

    Call `start` when the members serve, `finish` with the members' final states, and `close` in any
    case. These three methods do nothing if the schedule has no watchers.
    """

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
        self._compactions = SentCompactions()

    async def start(
        self, open_clients: Callable[[int], AbstractAsyncContextManager[EtcdClient]]
    ) -> None:
        """Start the watchers. Raises SystemFailed if the system's clients cannot watch."""
        if not self._schedule.watchers:
            return
        client = await self._open.enter_async_context(open_clients(STREAM_TIMEOUT_MS))
        if not isinstance(client, WatchingClient):
            raise SystemFailed(
                f"the schedule has watchers, but the client of the system {self._system.name} has "
                "no method watch(url, requests) "
                "(see splitbrain.harness.drive.watcher.WatchingClient)"
            )
        recorder = WatchRecorder(self._file, self._now)
        self._load = WatchLoad(
            watchers=self._schedule.watchers,
            members=self._schedule.members,
            system=self._system,
            client=client,
            recorder=recorder,
            compactions=self._compactions,
        )
        self._load.start()

    def archiving_client(self, client: EtcdClient) -> EtcdClient:
        """Return the client for the load: `client`, or an `ArchivingClient` that contains it.

        An `ArchivingClient` is needed if the schedule contains a compaction.
        """
        compacts = any(
            isinstance(operation.request, Compact)
            for one in self._schedule.clients
            for operation in one.operations
        )
        return ArchivingClient(client, self._archive, self._compactions) if compacts else client

    def with_archived_changes(self, states: Sequence[MemberState]) -> tuple[MemberState, ...]:
        """Return the members' `states`, with changes that were archived before a compaction."""
        return self._archive.with_archived_changes(states)

    async def finish(self, states: Sequence[MemberState], agreed_revision: int | None) -> None:
        """Wait until the watchers have received the last events, and close their streams.

        The last events are the changes in `states`, the members' final states. If `agreed_revision`
        is None, the streams are closed at once.
        """
        if self._load is not None:
            await self._load.finish(states, agreed_revision)

    async def close(self) -> None:
        """Close streams and clients. A second call has no effect."""
        try:
            if self._load is not None:
                await self._load.close()
        finally:
            await self._open.aclose()
