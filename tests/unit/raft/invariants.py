"""Checks the invariants of a Raft cluster, which must be true after every action.

`Invariants.check` takes all running members; it compares them with each other and with the states
that it has seen before. Source: Raft paper, figure 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from splitbrain.node.raft.message import Entry, Index, MemberId, Term
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role


class Durable(Protocol):
    """The content of a member's disk that a power loss would leave."""

    def honours(self, entry: Entry) -> bool:
        """Whether the disk contains `entry`, or a record that the member may have had it."""
        ...


class InvariantBroken(AssertionError):
    pass


class Invariants:
    """Checks members, and remembers all leaders by term and committed entries by index."""

    def __init__(self, voters: Sequence[MemberId]) -> None:
        self._voters = tuple(voters)
        self._leaders: dict[Term, MemberId] = {}
        self._complete: set[tuple[MemberId, Term]] = set()
        self._terms: dict[MemberId, Term] = {}
        self._commits: dict[MemberId, Index] = {}
        self.committed: dict[Index, Entry] = {}

    @property
    def last_committed(self) -> Index:
        return len(self.committed)

    def check(self, members: Iterable[Raft], disks: Mapping[MemberId, Durable]) -> None:
        """Raise InvariantBroken. `members` are the running members; `disks` has all members."""
        running = list(members)
        for member in running:
            self._check_marks(member)
            self._check_election_safety(member)
        # Members with older entries first, because others may have only a snapshot of them.
        for member in sorted(running, key=lambda member: member.log.first_index):
            self._check_committed(member, disks)
        for member in running:
            self._check_leader_completeness(member)
        for at, member in enumerate(running):
            for other in running[at + 1 :]:
                check_log_matching(member, other)

    def forget(self, member: MemberId) -> None:
        """Forget the term and the commit index of a member that crashed, which may decrease."""
        self._terms.pop(member, None)
        self._commits.pop(member, None)

    def _check_marks(self, member: Raft) -> None:
        log = member.log
        if not log.applied <= log.applying <= log.committed <= log.last_index:
            raise InvariantBroken(f"{member.id}: marks of the log are out of order")
        if not log.durable <= log.persisting <= log.last_index:
            raise InvariantBroken(f"{member.id}: the durable index is after the end of the log")
        if member.term < self._terms.get(member.id, 0):
            raise InvariantBroken(f"{member.id}: its term decreased to {member.term}")
        if log.committed < self._commits.get(member.id, 0):
            raise InvariantBroken(f"{member.id}: its commit index decreased to {log.committed}")
        if member.contradiction is not None:
            raise InvariantBroken(f"{member.id}: {member.contradiction}")
        self._terms[member.id] = member.term
        self._commits[member.id] = log.committed

    def _check_election_safety(self, member: Raft) -> None:
        if member.role is Role.LEADER:
            first = self._leaders.setdefault(member.term, member.id)
            if first != member.id:
                raise InvariantBroken(f"{first} and {member.id} are leaders of term {member.term}")

    def _check_committed(self, member: Raft, disks: Mapping[MemberId, Durable]) -> None:
        log = member.log
        known = min(log.committed, self.last_committed)
        for entry in log.between(log.first_index, known) if log.first_index <= known else ():
            if self.committed[entry.index] != entry:
                raise InvariantBroken(
                    f"{member.id} committed {entry}, but {self.committed[entry.index]} is committed"
                )
        for entry in log.between(max(log.first_index, self.last_committed + 1), log.committed):
            if entry.index != self.last_committed + 1:
                raise InvariantBroken(
                    f"{member.id} committed {entry}, but the last committed index is"
                    f" {self.last_committed}"
                )
            self.committed[entry.index] = entry
            self._check_durable_on_a_majority(entry, disks)

    def _check_durable_on_a_majority(self, entry: Entry, disks: Mapping[MemberId, Durable]) -> None:
        holders = [voter for voter in self._voters if disks[voter].honours(entry)]
        if len(holders) * 2 <= len(self._voters):
            raise InvariantBroken(f"{entry} is committed, but durable only on {holders}")

    def _check_leader_completeness(self, member: Raft) -> None:
        """Check once per leader that its log has every entry committed in earlier terms."""
        if member.role is not Role.LEADER or (member.id, member.term) in self._complete:
            return
        self._complete.add((member.id, member.term))
        log = member.log
        for index, entry in self.committed.items():
            here = index <= log.compacted_index or log.term_at(index) == entry.term
            if entry.term < member.term and not here:
                raise InvariantBroken(
                    f"{member.id} is leader of term {member.term} without the committed {entry}"
                )


def check_log_matching(one: Raft, other: Raft) -> None:
    """If two logs have the same term at an index, they are equal up to this index."""
    first = max(one.log.first_index, other.log.first_index)
    last = min(one.log.last_index, other.log.last_index)
    if first > last:
        return
    ours, theirs = one.log.between(first, last), other.log.between(first, last)
    differ_after = True
    for a, b in zip(reversed(ours), reversed(theirs), strict=True):
        if a.term == b.term:
            if a != b:
                raise InvariantBroken(f"{one.id} and {other.id} differ in an entry: {a}, {b}")
            differ_after = False
        elif not differ_after:
            raise InvariantBroken(
                f"{one.id} and {other.id} agree after index {a.index}, but differ there: {a}, {b}"
            )
