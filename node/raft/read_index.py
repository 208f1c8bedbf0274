"""Implements linearizable reads that need no entry in the log (ReadIndex).

A leader records its commit index when a read arrives. It may answer the read when a majority has
acknowledged a heartbeat that was sent after the arrival. These acknowledgements prove that no
member had been elected for a higher term when the read arrived.

One round of heartbeats answers all reads that arrived before it. The context of a heartbeat is the
number of reads so far in this term, so an acknowledgement of a context confirms all reads up to
this number.

Source: Raft thesis, 6.4; etcd-io/raft, `read_only.go`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from splitbrain.node.raft import quorum
from splitbrain.node.raft.message import Index, MemberId

_CONTEXT_BYTES = 8


@dataclass(frozen=True, slots=True)
class PendingRead:
    """A read that waits at the leader. `index` is the commit index when the read arrived.

    `origin` is the member that asked, and `context` identifies the read at that member.
    """

    origin: MemberId
    context: bytes
    index: Index


class ReadIndex:
    """The reads that wait at one leader in one term."""

    __slots__ = ("_acknowledged", "_confirmed", "_own", "_pending", "_received", "round_due")

    def __init__(self, own: MemberId) -> None:
        self._own = own
        self._received = 0
        self._confirmed = 0
        self._pending: deque[PendingRead] = deque()
        self._acknowledged: dict[MemberId, int] = {}
        self.round_due = False
        """Whether a read has arrived since the last heartbeat was sent."""

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, read: PendingRead) -> None:
        self._pending.append(read)
        self._received += 1
        self._acknowledged[self._own] = self._received
        self.round_due = True

    def heartbeat_context(self) -> bytes:
        """Return the context for the next heartbeat.

        The acknowledgement of this heartbeat confirms all reads so far. The context is empty if no
        read is waiting.
        """
        if not self._pending:
            return b""
        return self._received.to_bytes(_CONTEXT_BYTES, "big")

    def acknowledge(self, member: MemberId, context: bytes) -> None:
        """Record that `member` has answered the heartbeat with this `context`.

        A context that this leader did not send is ignored.
        """
        if len(context) != _CONTEXT_BYTES:
            return
        position = int.from_bytes(context, "big")
        if self._acknowledged.get(member, 0) < position <= self._received:
            self._acknowledged[member] = position

    def take_confirmed(
        self, voters: Sequence[MemberId], outgoing: Sequence[MemberId] = ()
    ) -> list[PendingRead]:
        """Remove the reads that a majority of `voters` has confirmed, and return them.

        They are in the order of their arrival. In a joint configuration, a majority of the
        `outgoing` voters must have confirmed them, too.
        """
        confirmed = quorum.joint_index(voters, outgoing, self._acknowledged)
        reads = [self._pending.popleft() for _ in range(confirmed - self._confirmed)]
        self._confirmed = max(confirmed, self._confirmed)
        return reads
