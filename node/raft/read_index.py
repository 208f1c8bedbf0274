"""Reads that are linearizable without an entry in the log.

A leader notes its commit index as a read arrives, and may answer it once a majority
has acknowledged a heartbeat that was sent later: nobody else led at that moment. One
round of heartbeats answers all reads that came before it. The heartbeat's context is
the number of reads so far in this term, so a later acknowledgement covers earlier
reads as well.

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
    """`origin` asked, by `context`; `index` is the commit index as it did."""

    origin: MemberId
    context: bytes
    index: Index


class ReadIndex:
    """The reads of one term of one leader."""

    __slots__ = ("_acknowledged", "_confirmed", "_own", "_pending", "_received", "round_due")

    def __init__(self, own: MemberId) -> None:
        self._own = own
        self._received = 0
        self._confirmed = 0
        self._pending: deque[PendingRead] = deque()
        self._acknowledged: dict[MemberId, int] = {}
        self.round_due = False
        """A read waits that no heartbeat has left for."""

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, read: PendingRead) -> None:
        self._pending.append(read)
        self._received += 1
        self._acknowledged[self._own] = self._received
        self.round_due = True

    def heartbeat_context(self) -> bytes:
        """What the next heartbeat carries to confirm all reads so far; empty if none waits."""
        if not self._pending:
            return b""
        return self._received.to_bytes(_CONTEXT_BYTES, "big")

    def acknowledge(self, member: MemberId, context: bytes) -> None:
        """`member` answered the heartbeat of `context`. What this leader never sent is ignored."""
        if len(context) != _CONTEXT_BYTES:
            return
        position = int.from_bytes(context, "big")
        if self._acknowledged.get(member, 0) < position <= self._received:
            self._acknowledged[member] = position

    def take_confirmed(self, voters: Sequence[MemberId]) -> list[PendingRead]:
        """Reads that a majority of `voters` now vouches for, in the order they came."""
        confirmed = quorum.quorum_index(voters, self._acknowledged)
        reads = [self._pending.popleft() for _ in range(confirmed - self._confirmed)]
        self._confirmed = max(confirmed, self._confirmed)
        return reads
