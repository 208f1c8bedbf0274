"""A follower acknowledges all of its log, not only what the append confirmed."""

from __future__ import annotations

from node.raft import follower
from node.raft.message import Index, MemberId
from node.raft.raft import Raft
from tests.mutants import Mutant

MUTANT = Mutant(
    what="an acknowledgement covers entries that may differ from the leader's",
    source="rabbitmq/ra pull request 637 (a follower replies with a stale last index, and the"
    " leader commits too early)",
    found_by=("invariants", "mvcc"),
)


def spoil() -> None:
    honest = follower.acknowledge

    def acknowledge(raft: Raft, leader: MemberId, index: Index) -> None:
        honest(raft, leader, raft.log.last_index)

    follower.acknowledge = acknowledge
