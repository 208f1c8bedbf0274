"""Looks at a member's Raft after each of its steps: invariants that always hold, and
conditions that sometimes do.

    election safety        at most one leader a term
    log matching           entries of one index and term are the same, and so are their
                           predecessors (checked entry by entry, which induction extends)
    leader completeness    a leader's log holds all that was committed before its term
    state-machine safety   no two members commit different entries at an index, nor
                           have different revisions after applying the same one
    quorum durability      what is committed first is durable on a majority, as each of
                           them says itself
    commit rule            what a leader commits by counting ends with an entry of its term
    votes                  whoever leads has the votes of a majority, durable on each voter
    acknowledgements       what a leader takes a follower to hold, the follower holds durably
    promises               within a life, terms and commits never fall, and a vote given
                           in a term is not taken back
    life                   a member stops for its disk, and for nothing else
    reads                  a linearizable read waits until its member has applied what was
                           committed anywhere when it was asked
    agreement              after all faults are healed the members come to agree

The rules nearest to a mistake come first to notice it: that two members differ in the
end needs a chain of bad luck behind a lost vote, which is seen at once.

Source: Raft paper, figures 2 and 3, and 5.4.2; Ongaro's thesis, 3.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from splitbrain.harness.simulation.conditions import Coverage
from splitbrain.harness.simulation.loop import VirtualLoop
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.process import Process
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.message import HardState
from splitbrain.node.raft.progress import ProgressState
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server

VIOLATIONS_MAX = 20
LAG_ENTRIES = 50


class _Seen:
    """A member's Raft as it was after the step before."""

    __slots__ = (
        "applied", "committed", "compacted", "durable", "last", "last_term", "leader", "life",
        "matches", "raft", "revision", "role", "server", "synced", "synced_state", "synced_term",
        "term", "vote",
    )

    def __init__(self, server: Server, life: int) -> None:
        raft = server.raft
        self.server = server
        self.raft = raft
        self.life = life
        self.take(raft)
        self.applied = 0
        self.revision = 0
        self.matches: list[int] = []
        self.synced, self.synced_term = 0, 0
        """Index and term of the last entry that was seen durable."""
        self.synced_state: HardState | None = None
        self.note_synced()

    def take(self, raft: Raft) -> None:
        log = raft.log
        self.term, self.vote, self.role, self.leader = raft.term, raft.vote, raft.role, raft.leader
        self.committed, self.last, self.compacted = (
            log.committed, log.last_index, log.compacted_index
        )
        self.last_term = log.last_term
        self.durable = log.durable

    def note_synced(self) -> None:
        """What is durable now, by the disk's word, stays so, whatever waits for it later."""
        log, storage = self.raft.log, self.server.storage
        if not storage.unsynced_bytes:
            self.synced = min(log.persisting, storage.last_index)
            self.synced_term = log.term_at(self.synced) or 0
            self.synced_state = storage.hard_state

    def durable_index(self) -> int:
        """By the disk's word alone. What Raft believes counts only where its log was cut
        back below what had been synced."""
        log, storage = self.raft.log, self.server.storage
        if not storage.unsynced_bytes:
            return min(log.persisting, storage.last_index)
        if log.term_at(self.synced) == self.synced_term:
            return self.synced
        return min(self.synced, log.durable)

    def voted_for(self, leader: Raft) -> bool:
        """Whether a vote for `leader` is durable here, or a later term is."""
        storage = self.server.storage
        known = [] if storage.unsynced_bytes else [storage.hard_state]
        if self.synced_state is not None:
            known.append(self.synced_state)
        return any(
            (one.term == leader.term and one.vote == leader.id) or one.term > leader.term
            for one in known
        )


class InvariantMonitor:
    """`violations`: what should always hold and did not, with the virtual time in s.

    `deposed_longer_by`: see `Weather`.
    """

    def __init__(
        self,
        *,
        members: Mapping[str, Member],
        loop: VirtualLoop,
        coverage: Coverage,
        count: int,
        deposed_longer_by: int = 0,
    ) -> None:
        self.violations: list[str] = []
        self._loop = loop
        self._coverage = coverage
        self.deposed_longer_by = deposed_longer_by
        self._members = members
        self._majority = count // 2 + 1
        self._seen: dict[str, _Seen] = {}
        self._leaders: dict[int, str] = {}
        self._entries: dict[tuple[int, int], tuple[int | None, bytes]] = {}
        self._committed: dict[int, int] = {}
        """Index → term of what is committed, as whoever committed it first has it."""
        self._last_committed = 0
        self._committed_by: dict[int, int] = {}
        """Term → the highest index whose commit was first seen at a member of that term."""
        self._revisions: dict[int, int] = {}

    def synced(self, name: str) -> None:
        """The disk of `name` has synced a file of its present life."""
        seen, process = self._seen.get(name), self._members[name].process
        if seen is not None and process is not None and seen.life == process.life:
            seen.note_synced()

    def __call__(self, process: Process) -> None:
        seen = self._seen.get(process.name)
        if seen is None or seen.life != process.life:
            self._new_life(process)
            return
        raft, log = seen.raft, seen.raft.log
        if (
            raft.term != seen.term
            or raft.role is not seen.role
            or raft.vote != seen.vote
            or log.last_index != seen.last
            or log.committed != seen.committed
            or log.compacted_index != seen.compacted
            or log.last_term != seen.last_term
        ):
            self._changed(process, seen)
        if raft.role is Role.LEADER:
            matches = [peer.match for peer in raft.peers]
            if matches != seen.matches:
                seen.matches = matches
                self._check_matches(process.name, raft)
        store = seen.server.store
        if store.consistent_index != seen.applied or store.revision != seen.revision:
            self._applied(process, seen, store.consistent_index, store.revision)

    def _new_life(self, process: Process) -> None:
        server = self._members[process.name].server
        if server is None or process.ended:
            return
        seen = _Seen(server, process.life)
        self._seen[process.name] = seen
        # Terms and votes of the life before are left to the checker `promises`: it knows
        # from the trace which of them were durable.
        self._check_entries(process.name, seen.raft, seen.compacted + 1)
        self._check_acknowledged(process.name, seen)
        committed, seen.committed = seen.committed, seen.compacted
        if committed > seen.compacted:
            self._commit_advanced(process.name, seen, seen.raft)
        seen.committed = committed

    # --- what a step changed --------------------------------------------------------------

    def _changed(self, process: Process, seen: _Seen) -> None:
        name, raft, log = process.name, seen.raft, seen.raft.log
        if raft.term < seen.term:
            self._violated(f"{name} went back from term {seen.term} to {raft.term}")
        if raft.term == seen.term and seen.vote and raft.vote != seen.vote:
            self._violated(f"{name} took back its vote in term {raft.term}")
        if log.committed < seen.committed:
            self._violated(f"{name} took back commits {log.committed + 1} to {seen.committed}")
        if raft.role is not seen.role or raft.term != seen.term:
            self._role_changed(name, seen, raft)
        self._log_changed(name, seen, raft)
        if log.committed > seen.committed:
            if seen.role is Role.LEADER and raft.role is Role.LEADER and seen.term == raft.term:
                self._check_commit_rule(name, raft)
            self._commit_advanced(name, seen, raft)
        seen.take(raft)

    def _role_changed(self, name: str, seen: _Seen, raft: Raft) -> None:
        sometimes = self._coverage.sometimes
        was, now = seen.role, raft.role
        sometimes("a second term began", raft.term > 1 and raft.term != seen.term)
        if was is Role.CANDIDATE:
            sometimes("a candidate yielded to another leader", now is Role.FOLLOWER)
            sometimes(
                "a candidate tried again in a further term",
                now in (Role.CANDIDATE, Role.PRE_CANDIDATE),
            )
        sometimes(
            "a pre-candidate gave up", was is Role.PRE_CANDIDATE and now is Role.FOLLOWER
        )
        if was is Role.LEADER and now is not Role.LEADER:
            self._coverage.reached("a leader stepped down")
            sometimes("a deposed leader had uncommitted entries", seen.last > seen.committed)
        if now is Role.LEADER and (was is not Role.LEADER or raft.term != seen.term):
            self._became_leader(name, raft)

    def _became_leader(self, name: str, raft: Raft) -> None:
        other = self._leaders.setdefault(raft.term, name)
        if other != name:
            self._violated(f"{other} and {name} both lead in term {raft.term}")
        # Its own empty entry of the term is in the log already, perhaps.
        own = raft.log.last_term == raft.term
        earlier = raft.log.last_index - (1 if own else 0)
        self._coverage.sometimes(
            "a leader began with uncommitted entries of an earlier term",
            earlier > raft.log.committed,
        )
        self._coverage.sometimes(
            "two members led at once, in different terms",
            any(
                one.raft.role is Role.LEADER and self._members[other_name].runs
                for other_name, one in self._seen.items()
                if other_name != name
            ),
        )
        voters = [other for other, one in self._seen.items() if one.voted_for(raft)]
        if len(voters) < self._majority:
            self._violated(
                f"{name} leads in term {raft.term} by votes that are durable on "
                f"{', '.join(voters) or 'no member'} alone"
            )
        self._try_the_deposed(raft)
        # A leader elected late, by votes that were long on their way, may lack what later
        # terms have committed; it will never commit anything itself.
        earlier_terms = [index for term, index in self._committed_by.items() if term < raft.term]
        last = max(earlier_terms, default=0)
        if last and not self._holds(raft, last, self._committed[last]):
            self._violated(
                f"{name} leads in term {raft.term} and lacks entry {last} of term "
                f"{self._committed[last]}, which was committed"
            )

    def _log_changed(self, name: str, seen: _Seen, raft: Raft) -> None:
        log = raft.log
        if log.compacted_index > seen.compacted:
            skipped = log.compacted_index > seen.last
            shorter = log.last_index == log.compacted_index < seen.last
            self._coverage.sometimes("a log was compacted", not skipped and not shorter)
            self._coverage.sometimes("a follower restored a snapshot", skipped or shorter)
            self._coverage.sometimes(
                "a restored snapshot ended before the follower's log did", shorter
            )
        if log.last_index == seen.last and log.last_term == seen.last_term:
            if log.committed != seen.committed:
                # Its end is the same; what lies between was replaced, perhaps.
                self._check_entries(name, raft, max(seen.committed, log.compacted_index) + 1)
            return
        kept = log.term_at(seen.last) if log.last_index >= seen.last else None
        if kept == seen.last_term or seen.last <= log.compacted_index:
            self._check_entries(name, raft, max(seen.last, log.compacted_index) + 1)
        else:
            self._coverage.reached("a log was truncated")
            self._check_acknowledged(name, seen)
            self._check_entries(name, raft, max(seen.committed, log.compacted_index) + 1)

    def _check_entries(self, name: str, raft: Raft, first: int) -> None:
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
                self._violated(
                    f"{name} has another entry {entry.index} of term {entry.term} than a "
                    "member before it, or another one before that"
                )
            before = entry.term

    def _commit_advanced(self, name: str, seen: _Seen, raft: Raft) -> None:
        log = raft.log
        first = max(seen.committed, log.compacted_index) + 1
        for index in range(first, log.committed + 1):
            term = log.term_at(index)
            known = self._committed.get(index)
            if known is None:
                assert term is not None
                self._committed[index] = term
            elif known != term:
                self._violated(
                    f"{name} committed entry {index} of term {term}, where another member has "
                    f"committed one of term {known}"
                )
        if log.committed > self._last_committed:
            self._check_quorum(name, log.committed)
            self._last_committed = log.committed
            if raft.role is Role.LEADER:
                self._try_the_deposed(raft)
            if log.committed in self._committed:
                self._committed_by[raft.term] = log.committed
        self._conditions_of_commit(seen, raft)

    def _try_the_deposed(self, raft: Raft) -> None:
        """`raft` was elected, or has committed something: whoever still leads in an earlier
        term is asked a read now, for its answer would be a stale one; and its log is
        kept longer than its successor's, by what is never committed and must be gone in the
        end."""
        for name, one in self._seen.items():
            member = self._members[name]
            if one.raft.role is Role.LEADER and one.raft.term < raft.term and member.runs:
                assert member.process is not None
                self._loop.soon(member.process, self._ask, one.server)
                self._loop.soon(member.process, self._append_in_vain, one.raft, raft)

    def _ask(self, server: Server) -> None:
        self._coverage.reached("a deposed leader was asked a read")
        self._loop.create_task(_read(server), name="read")

    def _append_in_vain(self, raft: Raft, successor: Raft) -> None:
        """Empty entries, for no client has asked for them. The member finds them by its next
        tick."""
        if raft.role is not Role.LEADER or raft.term >= successor.term:
            return
        last = raft.log.last_index
        if self.deposed_longer_by:
            with contextlib.suppress(ProposalDropped):
                for _ in range(successor.log.last_index + self.deposed_longer_by - last):
                    raft.propose(b"")
        self._coverage.sometimes(
            "a deposed leader appended in vain", raft.log.last_index > last
        )

    def _check_quorum(self, name: str, index: int) -> None:
        """The first member to commit `index` must not have been too early."""
        term = self._committed.get(index)
        if term is None:
            return  # committed and compacted in one step: a snapshot
        holders = [
            other
            for other, one in self._seen.items()
            if one.durable_index() >= index and self._holds(one.raft, index, term)
        ]
        if len(holders) < self._majority:
            self._violated(
                f"{name} committed entry {index} of term {term}, which is durable on "
                f"{', '.join(holders) or 'no member'} alone"
            )

    def _check_commit_rule(self, name: str, raft: Raft) -> None:
        """Source: Raft paper, 5.4.2: an earlier term's entry commits with one of the own."""
        term = raft.log.term_at(raft.log.committed)
        if term is not None and term != raft.term:
            self._violated(
                f"{name} leads in term {raft.term} and committed entry {raft.log.committed} of "
                f"term {term} by counting"
            )

    # --- what a leader takes its followers to hold ------------------------------------------

    def _check_matches(self, name: str, raft: Raft) -> None:
        for peer in raft.peers:
            for other, one in self._seen.items():
                if one.raft.id == peer.id:
                    self._check_match(name, raft, peer.match, other, one)

    def _check_acknowledged(self, name: str, seen: _Seen) -> None:
        """`name` has another log than before: is what it had acknowledged still in it?"""
        for leader, one in self._seen.items():
            if one.raft.role is Role.LEADER and leader != name:
                for peer in one.raft.peers:
                    if peer.id == seen.raft.id:
                        self._check_match(leader, one.raft, peer.match, name, seen)

    def _check_match(self, leader: str, raft: Raft, match: int, name: str, seen: _Seen) -> None:
        """Of one in a later term nothing is known: another leader may have changed its log."""
        if not match or seen.raft.term != raft.term:
            return
        term = raft.log.term_at(match)
        held = seen.durable_index() >= match
        if held and (term is None or self._holds(seen.raft, match, term)):
            return
        self._violated(
            f"{leader} leads in term {raft.term} and takes {name} to hold entry {match}, which "
            f"{'is another one there' if held else 'is not durable there'}"
        )

    @staticmethod
    def _holds(raft: Raft, index: int, term: int) -> bool:
        log = raft.log
        return log.compacted_index >= index or log.term_at(index) == term

    def _conditions_of_commit(self, seen: _Seen, raft: Raft) -> None:
        log, sometimes = raft.log, self._coverage.sometimes
        sometimes(
            "a follower's entries waited for its disk when a commit came",
            raft.role is Role.FOLLOWER and log.durable < log.last_index,
        )
        if raft.role is not Role.LEADER:
            return
        sometimes(
            "entries of an earlier term were committed with one of the leader's own",
            (log.term_at(seen.committed + 1) or raft.term) < raft.term,
        )
        for peer in raft.peers:
            sometimes("a follower lagged by 50 entries", log.last_index - peer.match > LAG_ENTRIES)
            sometimes("a follower was sent a snapshot", peer.state is ProgressState.SNAPSHOT)
            sometimes("a follower was probed", peer.state is ProgressState.PROBE)

    def _applied(self, process: Process, seen: _Seen, applied: int, revision: int) -> None:
        """Also where the revision alone has changed: a snapshot brings both, or neither."""
        if applied < seen.applied:
            self._violated(f"{process.name} went back from applied {seen.applied} to {applied}")
        if applied > seen.raft.log.committed:
            self._violated(
                f"{process.name} applied entry {applied}, committed are "
                f"{seen.raft.log.committed}"
            )
        seen.applied, seen.revision = applied, revision
        known = self._revisions.setdefault(applied, revision)
        if known != revision:
            self._violated(
                f"{process.name} is at revision {revision} after entry {applied}, another "
                f"member was at {known}"
            )

    def _violated(self, what: str) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"{self._loop.time():.6f} s: {what}")

    # --- what is seen of members that start and stop ------------------------------------------

    def began(self, member: Member) -> None:
        """A member serves: what did it find on its disk?"""
        server = member.server
        if server is None:
            return
        self._follow_reads(member.name, server)
        raft = server.raft
        if member.lives > 1:
            lacks = server.store.consistent_index < raft.log.last_index
            which = "entries of its log" if lacks else "nothing"
            self._coverage.reached(f"a member restarted and its backend lacked {which}")
            self._coverage.sometimes(
                "a member restarted and its backend held entries of its log",
                server.store.consistent_index > raft.log.compacted_index,
            )
            self._coverage.sometimes(
                "a member restarted from a snapshot", raft.log.compacted_index > 0
            )

    def _follow_reads(self, name: str, server: Server) -> None:
        """Source: Raft thesis, 6.4: the read index is at least the largest commit index of
        any server at the time of the request."""
        wait = server.linearizable_read

        async def linearizable_read() -> None:
            committed, asked_s = self._last_committed, self._loop.time()
            await wait()
            applied = server.store.consistent_index
            if applied < committed:
                self._violated(
                    f"{name} answers a read asked at {asked_s:.6f} s and has applied {applied}; "
                    f"entry {committed} was committed then"
                )

        server.linearizable_read = linearizable_read  # type: ignore[method-assign]

    def resumed(self, member: Member) -> None:
        """`member` was paused and goes on; it believes what it did before, and is asked a read
        before it hears of anything."""
        server = member.server
        if (
            server is not None
            and server.raft.role is Role.LEADER
            and max(self._leaders, default=0) > server.raft.term
        ):
            self._coverage.reached("a paused leader came back deposed")
            self._loop.soon(member.process, self._ask, server)

    def stopped(self, name: str, why: str) -> None:
        """A member stopped itself. Once a disk has broken its word, members may well find
        that what they had is gone, and stop."""
        betrayed = any(member.disk.betrayed for member in self._members.values())
        if "DiskError" not in why and not betrayed:
            self._violated(f"{name} stopped itself: {why}")

    def disagreed(self, waited_ms: int) -> None:
        """All faults are healed, the weather is calm, and after `waited_ms` the members have
        not applied the same, or do not follow one leader. A disk that has broken its word
        may keep them from it."""
        if not any(member.disk.betrayed for member in self._members.values()):
            self._violated(
                f"the members did not agree within {waited_ms / 1000:g} s after all was healed"
            )

    def down(self, stopped: Member) -> None:
        """`stopped` is about to end."""
        sometimes = self._coverage.sometimes
        sometimes("a member was killed while it started", stopped.server is None)
        server = stopped.server
        sometimes("a leader was killed", server is not None and server.raft.role is Role.LEADER)
        up = sum(1 for one in self._members.values() if one.alive and one is not stopped)
        sometimes("a majority was down at once", up < self._majority)
        sometimes("all were down at once", up == 0)


async def _read(server: Server) -> None:
    """Nobody is told: what it may not answer is seen by `InvariantMonitor._follow_reads`."""
    with contextlib.suppress(RpcError):
        await server.linearizable_read()
