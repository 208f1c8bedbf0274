"""Records which conditions of `coverage.py` occur when a member's commit index advances.

For example, an entry is committed while a follower is far behind or needs a snapshot.
"""

from __future__ import annotations

from splitbrain.harness.simulation.coverage import Coverage
from splitbrain.node.raft.progress import ProgressState
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role

LAG_ENTRIES = 50

# Bound to names here, because the look-up of an enum's attribute is slow.
_LEADER, _FOLLOWER = Role.LEADER, Role.FOLLOWER
_REPLICATE = ProgressState.REPLICATE


def observe_commit(coverage: Coverage, committed_before: int, raft: Raft) -> None:
    """Count the situations at this commit, such as "a follower lagged by 50 entries".

    `raft` has just raised its commit index from `committed_before`.
    """
    log, sometimes = raft.log, coverage.sometimes
    if raft.role is not _LEADER:
        sometimes(
            "a follower's entries waited for its disk when a commit came",
            raft.role is _FOLLOWER and log.durable < log.last_index,
        )
        return
    sometimes(
        "entries of an earlier term were committed with one of the leader's own",
        (log.term_at(committed_before + 1) or raft.term) < raft.term,
    )
    for peer in raft.peers:
        sometimes("a follower lagged by 50 entries", log.last_index - peer.match > LAG_ENTRIES)
        if peer.state is not _REPLICATE:
            sometimes("a follower was sent a snapshot", peer.state is ProgressState.SNAPSHOT)
            sometimes("a follower was probed", peer.state is ProgressState.PROBE)
