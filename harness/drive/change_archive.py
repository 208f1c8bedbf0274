"""Keeps the parts of the members' change logs that a compaction removes.

The checkers judge a run by the members' change logs, and a compaction removes the beginning of
these logs. Therefore the harness reads every member's log before it sends a compaction. At the end
of the run, it puts these archived changes in front of the changes that the member still has.

After this reading, the compaction is sent only if the archive has all changes of one member up to
the revision to compact. Otherwise the checkers could not judge the changes that the compaction
removes. A compaction to a revision far in the future is sent in any case, because the store must
refuse it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.clients.json_messages import Status
from splitbrain.harness.clients.session import EtcdClient
from splitbrain.harness.drive.sent_compactions import SentCompactions
from splitbrain.harness.systems.system import System
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.service_operation import AnyRequest

READ_TIMEOUT_S = 2.0
"""A member that does not answer within this time is skipped."""

FAR_AHEAD = 1_500
"""A distance in revisions. While a compaction is on its way, a run makes fewer revisions than
this."""
UNREAD = "not sent: no member could be read up to the revision to compact"
"""The recorded error of a compaction that was not sent."""


class ChangeArchive:
    """The changes of each member that the harness has read during the run."""

    def __init__(self, system: System, members: Sequence[str]) -> None:
        self._system = system
        self._members = members
        self._archived: dict[str, MemberState] = {}

    async def read(self) -> None:
        """Read every member's change log, and archive the changes that are not archived yet."""
        states = await asyncio.gather(*(self._read_member(member) for member in self._members))
        for state in states:
            if state is not None:
                self._keep(self._with_archived(state))

    def _keep(self, state: MemberState) -> None:
        """Archive `state`, unless the archive contains changes that `state` lacks.

        The archive can contain more in two cases. In the first case, the member was compacted
        before it was read, so `state` lacks the first changes. In the second case, two readings of
        the member overlap, and the older one ends last. Its `state` then lacks the last changes.
        """
        kept = self._archived.get(state.member)
        if kept is None or (
            state.first_revision <= kept.first_revision and state.revision >= kept.revision
        ):
            self._archived[state.member] = state

    def covers(self, revision: int) -> bool:
        """Return whether the archive has all changes of some member up to `revision`."""
        return any(
            state.first_revision <= 1 and state.revision >= revision
            for state in self._archived.values()
        )

    def is_far_ahead(self, revision: int) -> bool:
        """Return whether the store must refuse a compaction to `revision`, because it is too high.

        This is certain only for a revision far in the future. Returns False if no member has been
        read yet.
        """
        reached = max((state.revision for state in self._archived.values()), default=None)
        return reached is not None and revision >= reached + FAR_AHEAD

    async def _read_member(self, member: str) -> MemberState | None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                state = await self._system.state(member)
        except Exception:  # a member that is down is skipped
            return None
        return None if state.error is not None else state

    def with_archived_changes(self, states: Sequence[MemberState]) -> tuple[MemberState, ...]:
        """Return the final `states`, each with the archived changes in front of its changes."""
        return tuple(
            state if state.error is not None else self._with_archived(state) for state in states
        )

    def _with_archived(self, state: MemberState) -> MemberState:
        archived = self._archived.get(state.member)
        if archived is None or archived.first_revision >= state.first_revision:
            return state
        if archived.revision < state.first_revision - 1:
            # The member compacted revisions that were not archived, so the log would have a gap.
            return state
        until = bisect_right(archived.changes, state.first_revision - 1, key=_revision)
        return msgspec.structs.replace(
            state,
            first_revision=archived.first_revision,
            changes=(*archived.changes[:until], *state.changes),
        )


def _revision(change: Change) -> int:
    return change.revision


class ArchivingClient(EtcdClient):
    """A client that reads all members' change logs before it sends a compaction.

    If the archive does not cover the revision to compact, the compaction is not sent, and the
    outcome is `fail`. A compaction to a revision far in the future is always sent.
    """

    def __init__(
        self, client: EtcdClient, archive: ChangeArchive, compactions: SentCompactions
    ) -> None:
        self._client = client
        self._archive = archive
        self._compactions = compactions

    async def call(self, url: str, request: AnyRequest) -> Completion:
        if isinstance(request, Compact):
            await self._archive.read()
            if self._archive.covers(request.revision):
                self._compactions.sent(request.revision)
            elif not self._archive.is_far_ahead(request.revision):
                return Completion("fail", error=UNREAD)
        return await self._client.call(url, request)

    async def status(self, url: str, token: str = "") -> Status | None:
        return await self._client.status(url, token)
