"""The values of a member's Raft after its last step, and the part of them that is durable."""

from __future__ import annotations

from collections.abc import Set

from splitbrain.node.raft.message import ConfState, HardState, MemberId
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server


def values_of(raft: Raft) -> tuple[int, int, Role, int, int, int, int]:
    """Return the values of `raft` that the monitor compares after each step, in a fixed order."""
    log = raft.log
    return (
        raft.term, raft.vote, raft.role, log.committed, log.last_index, log.last_term,
        log.compacted_index,
    )


class ObservedRaft:
    """The values of a member's Raft after its last observed step.

    `InvariantMonitor` compares them with the present values.
    """

    __slots__ = (
        "applied", "committed", "compacted", "conf_state", "durable", "last", "last_term",
        "leader", "life",
        "matches", "raft", "recovering", "revision", "role", "server", "synced", "synced_state",
        "synced_term", "term", "values", "vote",
    )

    def __init__(self, server: Server, life: int) -> None:
        raft = server.raft
        self.server = server
        self.raft = raft
        self.life = life
        self.record(raft)
        self.applied = 0
        self.revision = 0
        self.matches: list[int] = []
        self.synced, self.synced_term = 0, 0
        """The index and the term of the last entry that was observed to be durable."""
        self.synced_state: HardState | None = None
        self.note_synced()

    def record(self, raft: Raft) -> None:
        self.values = values_of(raft)
        (
            self.term, self.vote, self.role, self.committed, self.last, self.last_term,
            self.compacted,
        ) = self.values
        self.leader, self.durable = raft.leader, raft.log.durable
        self.recovering = raft.recovering
        self.conf_state = raft.conf_state

    def note_synced(self) -> None:
        """Record the log and the hard state as durable, if the disk reports no unsynced bytes."""
        log, storage = self.raft.log, self.server.storage
        if not storage.unsynced_bytes:
            self.synced = min(log.persisting, storage.last_index)
            self.synced_term = log.term_at(self.synced) or 0
            self.synced_state = storage.hard_state

    def durable_index(self) -> int:
        """Return the index up to which the log is durable, as the disk reports it.

        If the disk has unsynced data, this is the last index that was observed as synced. The entry
        at this index may have been replaced since. Then the result is the lower of two indexes: the
        observed one, and the one up to which Raft regards the log as durable.
        """
        log, storage = self.raft.log, self.server.storage
        if not storage.unsynced_bytes:
            return min(log.persisting, storage.last_index)
        if log.term_at(self.synced) == self.synced_term:
            return self.synced
        return min(self.synced, log.durable)

    def voted_for(self, leader: Raft) -> bool:
        """Return whether this member has durably voted for `leader` in its term.

        A durable record of a later term is enough, because it has replaced the vote.
        """
        storage = self.server.storage
        known = [] if storage.unsynced_bytes else [storage.hard_state]
        if self.synced_state is not None:
            known.append(self.synced_state)
        return any(
            (one.term == leader.term and one.vote == leader.id) or one.term > leader.term
            for one in known
        )


def is_quorum(members: Set[MemberId], conf_state: ConfState) -> bool:
    """Return whether `members` are a majority of the voters, and of any outgoing voters.

    The function does not use `splitbrain.node.raft.quorum`, because the invariants must also find
    mistakes in that module.
    """
    return all(
        2 * len(members & {*voters}) > len(voters)
        for voters in (conf_state.voters, conf_state.voters_outgoing) if voters
    )


def contains(raft: Raft, index: int, term: int) -> bool:
    """Return whether the log of `raft` contains, or has compacted, this entry."""
    log = raft.log
    return log.compacted_index >= index or log.term_at(index) == term
