"""Checks the invariants of Raft after each step of a member, and counts conditions.

An invariant must be true at all times. A condition (`splitbrain.harness.simulation.coverage`)
should be true at some time in a campaign. The invariants are:

    election safety        a term has at most one leader
    log matching           entries with the same index and term are equal, and so are their
                           predecessors (checked for each entry and its direct predecessor)
    leader completeness    a leader's log contains all entries committed in earlier terms
    state-machine safety   no two members commit different entries at an index, or have
                           different revisions, leases, alarms, members or settings of
                           authentication after applying the same entry
    quorum durability      when an entry is first committed, it is durable on a majority, as
                           the disk of each member reports
    commit rule            the last entry that a leader commits by counting is of its own term
    votes                  a leader has the votes of a majority, durable on each voter
    acknowledgements       a follower has durably stored the entries up to its `match` at the leader
    monotonicity           while a process runs, its terms and commits never decrease, and a
                           vote given in a term does not change
    stops                  a member stops itself only because of its disk
    configurations         the rules of `splitbrain.harness.simulation.configuration_invariants`
    agreement              after all faults are healed, the members agree

These invariants detect a bug close to its cause. For example, a lost vote violates an invariant at
once. It makes the contents of two members differ only if several more unlikely events follow.

Source: Raft paper, figures 2 and 3, and 5.4.2; Ongaro's thesis, 3.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from splitbrain.harness.simulation.applied_state import AppliedState, applied_state, difference
from splitbrain.harness.simulation.commit_coverage import observe_commit
from splitbrain.harness.simulation.configuration_invariants import ConfigurationMonitor
from splitbrain.harness.simulation.coverage import Coverage
from splitbrain.harness.simulation.lease_coverage import observe_leases
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.observed_raft import ObservedRaft, is_quorum, values_of
from splitbrain.harness.simulation.restart_coverage import record_start
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.message import ConfState, EntryType
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server

VIOLATIONS_MAX = 20

# Bound to a name here, because the look-up of an enum's attribute is slow.
_LEADER, _FOLLOWER = Role.LEADER, Role.FOLLOWER


class InvariantMonitor:
    """Checks the invariants after each step of a member, and collects `violations` as texts.

    Each text begins with the virtual time in seconds. If `deposed_longer_by` is not 0, the monitor
    appends entries to the log of each deposed leader, so that this log has that many entries more
    than the log of the new leader.
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
        self._seen: dict[str, ObservedRaft] = {}
        self._leaders: dict[int, str] = {}
        self._entries: dict[tuple[int, int], tuple[int | None, bytes]] = {}
        self._committed: dict[int, int] = {}
        """Maps the index of each committed entry to its term at the member that committed it
        first."""
        self._last_committed = 0
        self._committed_by: dict[int, int] = {}
        """Maps a term to the highest index that a member in that term was the first to commit."""
        self._states: dict[int, AppliedState] = {}
        """Maps an index to the state of the first member that was observed after it had applied the
        entry."""
        self._former: list[ObservedRaft] = []
        """Members that were removed, and whose machines now run other members."""
        self._configurations = ConfigurationMonitor(
            loop=loop, members=members, observed=self._seen, violated=self.violated,
            last_committed=self.last_committed,
        )

    def synced(self, name: str) -> None:
        """Record that the disk of member `name` has synced a file."""
        seen, process = self._seen.get(name), self._members[name].process
        if seen is not None and process is not None and seen.life == process.life:
            seen.note_synced()

    def __call__(self, process: Process) -> None:
        seen = self._seen.get(process.name)
        if seen is None or seen.life != process.life:
            self._new_life(process)
            return
        raft = seen.raft
        if values_of(raft) != seen.values:
            self._changed(process, seen)
        if raft.role is _LEADER:
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
        seen = ObservedRaft(server, process.life)
        if (former := self._seen.get(process.name)) and former.raft.id != seen.raft.id:
            self._former.append(former)
        self._seen[process.name] = seen
        # No comparison with the previous process of the member is made here. The checker
        # `raft_safety` does that, because the trace contains which terms and votes were durable.
        self._check_entries(process.name, seen.raft, seen.compacted + 1)
        self._check_acknowledged(process.name, seen)
        committed, seen.committed = seen.committed, seen.compacted
        if committed > seen.compacted:
            self._commit_advanced(process.name, seen, seen.raft)
        seen.committed = committed

    # --- changes of one step --------------------------------------------------------------

    def _changed(self, process: Process, seen: ObservedRaft) -> None:
        name, raft, log = process.name, seen.raft, seen.raft.log
        if raft.term < seen.term:
            self.violated(f"{name} lowered its term from {seen.term} to {raft.term}")
        if raft.term == seen.term and seen.vote and raft.vote != seen.vote:
            self.violated(f"{name} changed its vote in term {raft.term}")
        if log.committed < seen.committed:
            self.violated(
                f"{name} lowered its commit index from {seen.committed} to {log.committed}"
            )
        if raft.role is not seen.role or raft.term != seen.term:
            self._role_changed(name, seen, raft)
        self._log_changed(name, seen, raft)
        self._coverage.sometimes(
            "a member recovered all log entries that its disk had lost",
            seen.recovering and not raft.recovering,
        )
        if log.committed > seen.committed:
            if seen.role is _LEADER and raft.role is _LEADER and seen.term == raft.term:
                self._check_commit_rule(name, raft)
            self._commit_advanced(name, seen, raft)
        seen.record(raft)

    def _role_changed(self, name: str, seen: ObservedRaft, raft: Raft) -> None:
        sometimes = self._coverage.sometimes
        was, now = seen.role, raft.role
        sometimes("a second term began", raft.term > 1 and raft.term != seen.term)
        if was is Role.CANDIDATE:
            sometimes("a candidate yielded to another leader", now is _FOLLOWER)
            sometimes(
                "a candidate tried again in a further term",
                now in (Role.CANDIDATE, Role.PRE_CANDIDATE),
            )
        sometimes(
            "a pre-candidate gave up", was is Role.PRE_CANDIDATE and now is _FOLLOWER
        )
        if was is _LEADER and now is not _LEADER:
            self._coverage.reached("a leader stepped down")
            sometimes("a deposed leader had uncommitted entries", seen.last > seen.committed)
        if now is _LEADER and (was is not _LEADER or raft.term != seen.term):
            self._became_leader(name, raft)

    def _became_leader(self, name: str, raft: Raft) -> None:
        other = self._leaders.setdefault(raft.term, name)
        if other != name:
            self.violated(f"{other} and {name} both lead in term {raft.term}")
        # The log may already contain the empty entry of the new term.
        own = raft.log.last_term == raft.term
        earlier = raft.log.last_index - (1 if own else 0)
        self._coverage.sometimes(
            "a leader began with uncommitted entries of an earlier term",
            earlier > raft.log.committed,
        )
        self._coverage.sometimes(
            "two members led at once, in different terms",
            any(
                one.raft.role is _LEADER and self._members[other_name].runs
                for other_name, one in self._seen.items()
                if other_name != name
            ),
        )
        voters = [other for other, one in self._seen.items() if one.voted_for(raft)]
        ids = {self._seen[other].raft.id for other in voters}
        ids |= {one.raft.id for one in self._former if one.voted_for(raft)}
        if not is_quorum(ids, raft.conf_state):
            self.violated(
                f"{name} leads in term {raft.term}, but the votes for it are durable only on "
                f"{', '.join(voters) or 'no member'}"
            )
        self._provoke_deposed_leaders(raft)
        self._configurations.elected(name, raft)
        # A leader that is elected by delayed votes may lack entries that were committed in later
        # terms. The leader can never commit an entry, so this is no violation.
        earlier_terms = [index for term, index in self._committed_by.items() if term < raft.term]
        last = max(earlier_terms, default=0)
        if last and not self._contains(raft, last, self._committed[last]):
            self.violated(
                f"{name} leads in term {raft.term} and lacks entry {last} of term "
                f"{self._committed[last]}, which is committed"
            )

    def _log_changed(self, name: str, seen: ObservedRaft, raft: Raft) -> None:
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
                # The last entry is the same, but earlier entries may have been replaced.
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
                self.violated(
                    f"{name} has another entry {entry.index} of term {entry.term} than another "
                    "member, or another predecessor of it"
                )
            before = entry.term
            if entry.type is not EntryType.NORMAL:
                self._configurations.appended(name, raft, entry)

    def _commit_advanced(self, name: str, seen: ObservedRaft, raft: Raft) -> None:
        log = raft.log
        first = max(seen.committed, log.compacted_index) + 1
        for index in range(first, log.committed + 1):
            term = log.term_at(index)
            known = self._committed.get(index)
            if known is None:
                assert term is not None
                self._committed[index] = term
            elif known != term:
                self.violated(
                    f"{name} committed entry {index} of term {term}, but another member has "
                    f"committed an entry {index} of term {known}"
                )
        if log.committed > self._last_committed:
            self._check_quorum(name, log.committed, (seen.conf_state, raft.conf_state))
            self._last_committed = log.committed
            if raft.role is _LEADER:
                self._provoke_deposed_leaders(raft)
            if log.committed in self._committed:
                self._committed_by[raft.term] = log.committed
        observe_commit(self._coverage, seen.committed, raft)

    def _provoke_deposed_leaders(self, raft: Raft) -> None:
        """Send a read to each deposed leader that still runs as leader, and extend its log.

        The method is called after `raft` was elected or has committed an entry. Each leader of an
        earlier term gets a read, because its answer would be stale. If `deposed_longer_by` is not
        0, the log of this leader becomes longer than the log of `raft`. The additional entries are
        never committed, and must disappear from the log later.
        """
        for name, one in self._seen.items():
            member = self._members[name]
            if one.raft.role is _LEADER and one.raft.term < raft.term and member.runs:
                assert member.process is not None
                self._loop.soon(member.process, self._read, one.server)
                self._loop.soon(member.process, self._append_empty_entries, one.raft, raft)

    def _read(self, server: Server) -> None:
        self._coverage.reached("a read was sent to a deposed leader")
        self._loop.create_task(_read(server), name="read")

    def _append_empty_entries(self, raft: Raft, successor: Raft) -> None:
        """Append empty entries to the log of `raft`, which was deposed by `successor`.

        The member processes the entries at its next tick.
        """
        if raft.role is not _LEADER or raft.term >= successor.term:
            return
        last = raft.log.last_index
        if self.deposed_longer_by:
            with contextlib.suppress(ProposalDropped):
                for _ in range(successor.log.last_index + self.deposed_longer_by - last):
                    raft.propose(b"")
        self._coverage.sometimes(
            "a deposed leader appended more entries", raft.log.last_index > last
        )

    def _check_quorum(self, name: str, index: int, valid: Sequence[ConfState]) -> None:
        """Check that the entry `index`, when first committed, is durable on a majority.

        `valid` contains the configurations before and after the step, because a step can commit
        entries and then apply a change of the configuration. A majority of one of them is enough.
        """
        term = self._committed.get(index)
        if term is None:
            return  # a snapshot was restored: the entry was committed and compacted in one step
        holders = [
            other
            for other, one in self._seen.items()
            if (one.durable_index() >= index and self._contains(one.raft, index, term))
            or one.raft.floor >= (term, index)
        ]
        ids = {self._seen[other].raft.id for other in holders}
        ids |= {one.raft.id for one in self._former}
        if not any(is_quorum(ids, conf_state) for conf_state in valid):
            self.violated(
                f"{name} committed entry {index} of term {term}, which is durable only on "
                f"{', '.join(holders) or 'no member'}"
            )

    def _check_commit_rule(self, name: str, raft: Raft) -> None:
        """Check that the last entry that a leader has committed by counting is of its own term.

        A leader counts the followers that store an entry. Source: Raft paper, 5.4.2.
        """
        term = raft.log.term_at(raft.log.committed)
        if term is not None and term != raft.term:
            self.violated(
                f"{name} leads in term {raft.term} and committed entry {raft.log.committed} of "
                f"term {term} by counting"
            )

    # --- acknowledgements -------------------------------------------------------------------

    def _check_matches(self, name: str, raft: Raft) -> None:
        for peer in raft.peers:
            for other, one in self._seen.items():
                if one.raft.id == peer.id:
                    self._check_match(name, raft, peer.match, other, one)

    def _check_acknowledged(self, name: str, seen: ObservedRaft) -> None:
        """Check that the changed log of the member `name` contains all acknowledged entries."""
        for leader, one in self._seen.items():
            if one.raft.role is _LEADER and leader != name:
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
        if durable and (term is None or self._contains(seen.raft, match, term)):
            return
        self.violated(
            f"{leader} leads in term {raft.term} and counts entry {match} as stored on {name}, "
            f"where it is {'another entry' if durable else 'not durable'}"
        )

    @staticmethod
    def _contains(raft: Raft, index: int, term: int) -> bool:
        log = raft.log
        return log.compacted_index >= index or log.term_at(index) == term

    def _applied(self, process: Process, seen: ObservedRaft, applied: int, revision: int) -> None:
        """Check the member's applied index, and compare its state with that of other members.

        `applied` and `revision` are the present values. The revision may change although the index
        does not.
        """
        if applied < seen.applied:
            self.violated(
                f"{process.name} lowered its applied index from {seen.applied} to {applied}"
            )
        if applied > seen.raft.log.committed:
            self.violated(
                f"{process.name} applied entry {applied}, but its commit index is "
                f"{seen.raft.log.committed}"
            )
        seen.applied, seen.revision = applied, revision
        state = applied_state(seen.server)
        known = self._states.setdefault(applied, state)
        if known != state:
            self.violated(f"after entry {applied}, {process.name} has {difference(state, known)}")

    def last_committed(self) -> int:
        """Return the largest index that any member has committed."""
        return self._last_committed

    def violated(self, what: str) -> None:
        """Add a violation with the text `what`. At most `VIOLATIONS_MAX` violations are kept."""
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"{self._loop.time():.6f} s: {what}")

    # --- members that start and stop ----------------------------------------------------------

    def began(self, member: Member) -> None:
        """Observe a member that has started to serve, and count the situation of its start.

        A situation is, for example, "a member restarted from a snapshot".
        """
        server = member.server
        if server is None:
            return
        record_start(self._coverage, server, restarted=member.lives > 1)
        self._configurations.began(member)
        observe_leases(self._coverage, server)

    def resumed(self, member: Member) -> None:
        """Record that `member` resumes after a pause.

        If the member was leader and has been deposed, it gets a read before it receives any
        message.
        """
        server = member.server
        if (
            server is not None
            and server.raft.role is _LEADER
            and max(self._leaders, default=0) > server.raft.term
        ):
            self._coverage.reached("a paused leader resumed after it was deposed")
            self._loop.soon(member.process, self._read, server)

    def stopped(self, name: str, why: str) -> None:
        """Check the reason `why` for which the member `name` has stopped itself.

        A member may stop because of an error of its disk. After its disk has lost durable data,
        every reason is allowed, because a member stops when it finds that data is missing.
        """
        if "DiskError" not in why and not self._members[name].disk.lost_durable_data:
            self.violated(f"{name} stopped itself: {why}")

    def disagreed(self, waited_ms: int) -> None:
        """Report that the members did not agree within `waited_ms` after all faults were healed.

        They had not applied the same entries, or did not follow the same leader. There are two
        cases in which this is no violation. In the first case, a member has stopped because its
        disk has lost durable data. In the second case, a majority of the disks have lost durable
        data, so that perhaps no member is allowed to lead.
        """
        damaged = [one for one in self._members.values() if one.disk.lost_durable_data]
        if all(one.alive for one in damaged) and len(damaged) < self._majority:
            self.violated(
                f"the members did not agree within {waited_ms / 1000:g} s after all faults were "
                "healed"
            )

    def down(self, stopped: Member) -> None:
        """Count situations at the end of `stopped`'s process, such as "a leader was killed"."""
        sometimes = self._coverage.sometimes
        sometimes("a member was killed while it started", stopped.server is None)
        server = stopped.server
        sometimes("a leader was killed", server is not None and server.raft.role is _LEADER)
        up = sum(1 for one in self._members.values() if one.alive and one is not stopped)
        sometimes("a majority was down at once", up < self._majority)
        sometimes("all members were down at once", up == 0)


async def _read(server: Server) -> None:
    """Send a linearizable read to `server`, and ignore the answer.

    `ReadMonitor` checks the read.
    """
    with contextlib.suppress(RpcError):
        await server.linearizable_read()
