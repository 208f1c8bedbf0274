"""Determines the commit index of a leader.

An entry of the leader's current term is committed when a majority has made it durable. Earlier
entries are committed with it.

Source: Raft paper, 5.4.2 and figure 8.
"""

from __future__ import annotations

from splitbrain.node.raft import quorum, replication
from splitbrain.node.raft.message import Index
from splitbrain.node.raft.raft_state import RaftState


def acknowledge_own_entries(raft: RaftState) -> None:
    """Count the durable part of the leader's own log towards the majority."""
    own = raft.progress.get(raft.id)
    if own is not None and own.acknowledge(raft.log.durable):
        maybe_commit(raft)


def maybe_commit(raft: RaftState) -> bool:
    """Commit up to the index that a majority has made durable.

    Returns True if the commit index increased.
    """
    index = agreed_index(raft)
    if index <= raft.log.committed or not may_commit(raft, index):
        return False
    raft.log.commit_to(index)
    replication.append_to_all(raft)
    return True


def agreed_index(raft: RaftState) -> Index:
    """Return the highest index that a majority has made durable."""
    acknowledged = {member: progress.match for member, progress in raft.progress.items()}
    return quorum.joint_index(raft.voters, raft.voters_outgoing, acknowledged)


def may_commit(raft: RaftState, index: Index) -> bool:
    """Return whether the entry at `index` may be committed because a majority has it.

    Only an entry of the current term may be committed in this way. Source: Raft paper, figure 8.
    """
    return raft.log.term_at(index) == raft.term


def committed_in_own_term(raft: RaftState) -> bool:
    """Return whether the leader has committed an entry of its own term.

    If so, the leader knows all entries that earlier leaders committed. Source: thesis, 6.4.
    """
    return raft.log.term_at(raft.log.committed) == raft.term
