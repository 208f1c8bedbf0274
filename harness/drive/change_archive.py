"""What a compaction takes away, read before it is asked for.

A change log is a run's truth, and a store forgets it as it is compacted. Before a
compaction leaves, every member is asked for its log; what it told then is put before what
it has at the end. A compaction of what no member has told is not sent.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from splitbrain.harness.clients.json_client import Completion
from splitbrain.harness.clients.messages import Status
from splitbrain.harness.drive.load import Client
from splitbrain.harness.systems.system import System
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.service import AnyRequest

READ_TIMEOUT_S = 2.0
"""A member that does not answer in this time has its log no longer than the others'."""

UNREAD = "not sent: no member could be read up to the revision to compact"


class ChangeArchive:
    """The changes of each member, as far as they were read."""

    def __init__(self, system: System, members: Sequence[str]) -> None:
        self._system = system
        self._members = members
        self._kept: dict[str, MemberState] = {}

    async def read(self) -> None:
        """Ask every member for its log, and keep what is new in it."""
        states = await asyncio.gather(*(self._ask(member) for member in self._members))
        for state in states:
            if state is not None:
                self._kept[state.member] = self._joined(state)

    def holds(self, revision: int) -> bool:
        """Whether some member has told all changes from the first one to `revision`."""
        return any(
            state.first_revision <= 1 and state.revision >= revision
            for state in self._kept.values()
        )

    async def _ask(self, member: str) -> MemberState | None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                state = await self._system.state(member)
        except Exception:  # one that is down now has nothing to tell
            return None
        return None if state.error is not None else state

    def prolonged(self, states: Sequence[MemberState]) -> tuple[MemberState, ...]:
        """`states` at the end of the run, each with what its member told before."""
        return tuple(state if state.error is not None else self._joined(state) for state in states)

    def _joined(self, state: MemberState) -> MemberState:
        kept = self._kept.get(state.member)
        if kept is None or kept.first_revision >= state.first_revision:
            return state
        if kept.revision < state.first_revision - 1:
            return state  # between the two it was compacted by somebody unseen
        until = bisect_right(kept.changes, state.first_revision - 1, key=_revision)
        return msgspec.structs.replace(
            state,
            first_revision=kept.first_revision,
            changes=(*kept.changes[:until], *state.changes),
        )


def _revision(change: Change) -> int:
    return change.revision


class ArchivingClient:
    """`client`, but that all members' logs are read before a compaction is sent, if they
    can be: what is compacted unread, nobody can judge any more."""

    def __init__(self, client: Client, archive: ChangeArchive) -> None:
        self._client = client
        self._archive = archive

    async def call(self, url: str, request: AnyRequest) -> Completion:
        if isinstance(request, Compact):
            await self._archive.read()
            if not self._archive.holds(request.revision):
                return Completion("fail", error=UNREAD)
        return await self._client.call(url, request)

    async def status(self, url: str) -> Status | None:
        return await self._client.status(url)
