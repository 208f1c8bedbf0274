"""Records, when a commit index advances, which conditions of `conditions.py` the member is in.

For example: an entry is committed while a follower is far behind, or needs a snapshot.
"""

from __future__ import annotations

from splitbrain.harness.simulation.conditions import Coverage
from splitbrain.node.raft.progress import ProgressState
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role

LAG_ENTRIES = 50

# Bound here because an attribute of an enum class costs a look-up through its metaclass.
_LEADER, _FOLLOWER = Role.LEADER, Role.FOLLOWER
_REPLICATE = ProgressState.REPLICATE


def observe_commit(coverage: Coverage, committed_before: int, raft: Raft) -> None:
    """Record the conditions of a commit of entries after `committed_before` by `raft`."""
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
