"""Checks that the members' logs agree, and that acknowledged entries are durable.

    log matching      entries with the same index and term are equal, and so are their
                      predecessors (checked for each entry and its direct predecessor)
    acknowledgements  each member, also the leader, has durably stored the entries up to its `match`
                      at the leader

Source: Raft paper, figure 3 and 5.3.
"""

from __future__ import annotations

from collections.abc import Callable

from splitbrain.harness.simulation.raft_invariants.observations import Observations
from splitbrain.harness.simulation.raft_invariants.observed_raft import ObservedRaft, contains
from splitbrain.node.raft.message import Entry, EntryType
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role


class LogMatching:
    """Checks each new entry of a member's log, and each index that a leader counts as stored.

    `appended` is called with each new entry that changes the configuration.
    """

    def __init__(
        self, observations: Observations, appended: Callable[[str, Raft, Entry], None]
    ) -> None:
        self._observations = observations
        self._appended = appended
        self._entries: dict[tuple[int, int], tuple[int | None, bytes]] = {}
        """Maps the index and the term of each entry to the term of its predecessor (None if it is
        unknown) and to the entry's data."""

    def log_changed(self, name: str, seen: ObservedRaft, raft: Raft) -> None:
        """Check the log of the member `name` after a step.

        `seen` has the values before the step.
        """
        log, coverage = raft.log, self._observations.coverage
        if log.compacted_index > seen.compacted:
            skipped = log.compacted_index > seen.last
            shorter = log.last_index == log.compacted_index < seen.last
            coverage.sometimes("a log was compacted", not skipped and not shorter)
            coverage.sometimes("a follower restored a snapshot", skipped or shorter)
            coverage.sometimes("a restored snapshot ended before the follower's log did", shorter)
        if log.last_index == seen.last and log.last_term == seen.last_term:
            if log.committed != seen.committed:
                # The last entry is the same, but earlier entries may have been replaced.
                self.check_entries(name, raft, max(seen.committed, log.compacted_index) + 1)
            return
        kept = log.term_at(seen.last) if log.last_index >= seen.last else None
        if kept == seen.last_term or seen.last <= log.compacted_index:
            self.check_entries(name, raft, max(seen.last, log.compacted_index) + 1)
        else:
            coverage.reached("a log was truncated")
            self.check_acknowledged(name, seen)
            self.check_entries(name, raft, max(seen.committed, log.compacted_index) + 1)

    def check_entries(self, name: str, raft: Raft, first: int) -> None:
        """Compare the member's entries from the index `first` on with those of the others."""
        log = raft.log
        if first > log.last_index:
            return
        before = log.term_at(first - 1)
        for entry in log.between(first, log.last_index):
            here = (entry.index, entry.term)
            found = self._entries.get(here)
            if found is None:
                self._entries[here] = (before, entry.data)
            elif found[1] != entry.data or (None not in (found[0], before) and found[0] != before):
                self._observations.violated(
                    f"{name} has another entry {entry.index} of term {entry.term} than another "
                    "member, or another predecessor of it"
                )
            before = entry.term
            if entry.type is not EntryType.NORMAL:
                self._appended(name, raft, entry)

    def check_matches(self, name: str, seen: ObservedRaft) -> None:
        """Check that each member has stored the entries that the leader `name` counts as stored.

        The leader counts its own entries, too. Its own disk must have synced these entries.
        """
        raft = seen.raft
        own = raft.progress.get(raft.id)
        if own is not None and own.match > seen.durable_index():
            self._observations.violated(
                f"{name} leads in term {raft.term} and counts its own entry {own.match} as stored,"
                f" but its disk has synced entries only up to {seen.durable_index()}"
            )
        for peer in raft.peers:
            for other, one in self._observations.seen.items():
                if one.raft.id == peer.id:
                    self._check_match(name, raft, peer.match, other, one)

    def check_acknowledged(self, name: str, seen: ObservedRaft) -> None:
        """Check that the changed log of the member `name` contains all acknowledged entries."""
        for leader, one in self._observations.seen.items():
            if one.raft.role is Role.LEADER and leader != name:
                for peer in one.raft.peers:
                    if peer.id == seen.raft.id:
                        self._check_match(leader, one.raft, peer.match, name, seen)

    def _check_match(
        self, leader: str, raft: Raft, match: int, name: str, seen: ObservedRaft
    ) -> None:
        """Check that the follower `name` durably stores the leader's entry at the index `match`.

        `match` is the highest index that the leader counts as stored on the follower. The check is
        skipped if the follower is in another term, because the leader of that term may have
        replaced entries in the follower's log.
        """
        if not match or seen.raft.term != raft.term:
            return
        term = raft.log.term_at(match)
        durable = seen.durable_index() >= match
        if durable and (term is None or contains(seen.raft, match, term)):
            return
        self._observations.violated(
            f"{leader} leads in term {raft.term} and counts entry {match} as stored on {name}, "
            f"where it is {'another entry' if durable else 'not durable'}"
        )
