"""Provokes mistakes of deposed leaders: each gets a read, and its log is made longer.

A deposed leader that does not know of its successor must not answer the read, because the answer
would be stale. Its additional entries are never committed, and must disappear from its log later.
"""

from __future__ import annotations

import contextlib

from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.raft_invariants.observations import Observations
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server


class DeposedLeaders:
    """Sends reads to deposed leaders that still run as leaders, and extends their logs.

    If `longer_by` is not 0, the log of each deposed leader becomes that many entries longer than
    the log of the new leader.
    """

    def __init__(self, observations: Observations, longer_by: int) -> None:
        self._observations = observations
        self.longer_by = longer_by

    def provoke(self, raft: Raft) -> None:
        """Send a read to each deposed leader that still runs as leader, and extend its log.

        The method is called after `raft` was elected or has committed an entry.
        """
        loop = self._observations.loop
        for name, one in self._observations.seen.items():
            member = self._observations.members[name]
            if one.raft.role is Role.LEADER and one.raft.term < raft.term and member.runs:
                assert member.process is not None
                loop.soon(member.process, self._read, one.server)
                loop.soon(member.process, self._append_empty_entries, one.raft, raft)

    def resumed(self, member: Member) -> None:
        """Send a read to `member`, which is a deposed leader and has resumed after a pause.

        It gets the read before it receives any message.
        """
        self._observations.coverage.reached("a paused leader resumed after it was deposed")
        self._observations.loop.soon(member.process, self._read, member.server)

    def _read(self, server: Server) -> None:
        self._observations.coverage.reached("a read was sent to a deposed leader")
        self._observations.loop.create_task(_read(server), name="read")

    def _append_empty_entries(self, raft: Raft, successor: Raft) -> None:
        """Append empty entries to the log of `raft`, which was deposed by `successor`.

        The member processes the entries at its next tick.
        """
        if raft.role is not Role.LEADER or raft.term >= successor.term:
            return
        last = raft.log.last_index
        if self.longer_by:
            with contextlib.suppress(ProposalDropped):
                for _ in range(successor.log.last_index + self.longer_by - last):
                    raft.propose(b"")
        self._observations.coverage.sometimes(
            "a deposed leader appended more entries", raft.log.last_index > last
        )


async def _read(server: Server) -> None:
    """Send a linearizable read to `server`, and ignore the answer.

    `ReadMonitor` checks the read.
    """
    with contextlib.suppress(RpcError):
        await server.linearizable_read()
