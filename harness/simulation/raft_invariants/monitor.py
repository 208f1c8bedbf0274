"""Observes each step of a member, and checks the invariants of Raft that the step can violate.

An invariant must be true at all times. A condition (`splitbrain.harness.simulation.coverage`)
should be true at some time in a campaign. The invariants are:

    leaders        election safety, votes and leader completeness (`leaders.py`)
    logs           log matching and acknowledgements (`log_matching.py`)
    commits        same entries, quorum durability and the commit rule (`commits.py`)
    configurations the rules of membership and of transfers (`configurations.py`)

This module checks the remaining ones:

    state-machine safety   two members that have applied the same entry have the same revision,
                           leases, alarms, member list, settings of authentication, number of
                           keys, and number of changes that are not compacted
    monotonicity           while a process runs, its terms and commits never decrease, and a
                           vote given in a term does not change
    stops                  a member stops itself only because of its disk
    whole logs             a member begins its log anew only if its disk has lost durable data
    agreement              after all faults are healed, the members agree

These invariants detect a bug close to its cause. For example, a lost vote violates an invariant at
once. The contents of two members would differ only after several more unlikely events.

Source: Raft paper, figures 2 and 3, and 5.4.2; Ongaro's thesis, 3.
"""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.harness.simulation.commit_coverage import observe_commit
from splitbrain.harness.simulation.coverage import Coverage
from splitbrain.harness.simulation.lease_coverage import observe_leases
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.raft_invariants.applied_state import (
    AppliedState,
    applied_state,
    difference,
)
from splitbrain.harness.simulation.raft_invariants.commits import CommitInvariants
from splitbrain.harness.simulation.raft_invariants.configurations import ConfigurationMonitor
from splitbrain.harness.simulation.raft_invariants.deposed_leaders import DeposedLeaders
from splitbrain.harness.simulation.raft_invariants.leaders import LeaderInvariants
from splitbrain.harness.simulation.raft_invariants.log_matching import LogMatching
from splitbrain.harness.simulation.raft_invariants.observations import Observations
from splitbrain.harness.simulation.raft_invariants.observed_raft import ObservedRaft, values_of
from splitbrain.harness.simulation.restart_coverage import record_start
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role

# Bound to a name here, because the look-up of an enum's attribute is slow.
_LEADER, _FOLLOWER = Role.LEADER, Role.FOLLOWER


class InvariantMonitor:
    """Checks the invariants after each step of a member, and collects `violations` as texts.

    Each text begins with the virtual time in seconds. `deposed_longer_by` is the number of entries
    by which the logs of deposed leaders are made longer than the log of the new leader.
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
        self.observations = Observations(members, loop, coverage)
        self.violations = self.observations.violations
        self.violated = self.observations.violated
        self._coverage = coverage
        self._members = members
        self._majority = count // 2 + 1
        self._seen = self.observations.seen
        self._states: dict[int, AppliedState] = {}
        """Maps an index to the state of the first member that was observed after it had applied the
        entry."""
        self.deposed_leaders = DeposedLeaders(self.observations, deposed_longer_by)
        self._configurations = ConfigurationMonitor(
            loop=loop, members=members, observed=self._seen, violated=self.violated,
            last_committed=self.last_committed,
        )
        self._leaders = LeaderInvariants(self.observations)
        self._commits = CommitInvariants(self.observations)
        self._logs = LogMatching(self.observations, self._configurations.appended)

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
            matches = [one.match for one in raft.progress.values()]
            if matches != seen.matches:
                seen.matches = matches
                self._logs.check_matches(process.name, seen)
        store = seen.server.store
        if store.consistent_index != seen.applied or store.revision != seen.revision:
            self._applied(process, seen, store.consistent_index, store.revision)

    def _new_life(self, process: Process) -> None:
        server = self._members[process.name].server
        if server is None or process.ended:
            return
        seen = ObservedRaft(server, process.life)
        if (former := self._seen.get(process.name)) and former.raft.id != seen.raft.id:
            self.observations.former.append(former)
        self._seen[process.name] = seen
        # No comparison with the previous process of the member is made here. The checker
        # `raft_safety` does that, because the trace contains which terms and votes were durable.
        self._logs.check_entries(process.name, seen.raft, seen.compacted + 1)
        self._logs.check_acknowledged(process.name, seen)
        committed, seen.committed = seen.committed, seen.compacted
        if committed > seen.compacted:
            self._commit_advanced(process.name, seen, seen.raft)
        seen.committed = committed

    # --- changes of one step --------------------------------------------------------------

    def _changed(self, process: Process, seen: ObservedRaft) -> None:
        name, raft, log = process.name, seen.raft, seen.raft.log
        self._check_monotonicity(name, seen, raft)
        if raft.role is not seen.role or raft.term != seen.term:
            self._role_changed(name, seen, raft)
        self._logs.log_changed(name, seen, raft)
        self._coverage.sometimes(
            "a member recovered all log entries that its disk had lost",
            seen.recovering and not raft.recovering,
        )
        if log.committed > seen.committed:
            if seen.role is _LEADER and raft.role is _LEADER and seen.term == raft.term:
                self._commits.check_commit_rule(name, raft)
            self._commit_advanced(name, seen, raft)
        seen.record(raft)

    def _check_monotonicity(self, name: str, seen: ObservedRaft, raft: Raft) -> None:
        if raft.term < seen.term:
            self.violated(f"{name} lowered its term from {seen.term} to {raft.term}")
        if raft.term == seen.term and seen.vote and raft.vote != seen.vote:
            self.violated(f"{name} changed its vote in term {raft.term}")
        if raft.log.committed < seen.committed:
            self.violated(
                f"{name} lowered its commit index from {seen.committed} to {raft.log.committed}"
            )

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
            self._leaders.elected(name, raft)
            self.deposed_leaders.provoke(raft)
            self._configurations.elected(name, raft)

    def _commit_advanced(self, name: str, seen: ObservedRaft, raft: Raft) -> None:
        log, observations = raft.log, self.observations
        first = max(seen.committed, log.compacted_index) + 1
        self._commits.check_same_entries(name, first, raft)
        if log.committed > observations.last_committed:
            self._commits.check_quorum(name, log.committed, (seen.conf_state, raft.conf_state))
            observations.last_committed = log.committed
            if raft.role is _LEADER:
                self.deposed_leaders.provoke(raft)
            if log.committed in observations.committed:
                observations.committed_by[raft.term] = log.committed
        observe_commit(self._coverage, seen.committed, raft)

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
        return self.observations.last_committed

    # --- members that start and stop ----------------------------------------------------------

    def began(self, member: Member) -> None:
        """Observe a member that has started to serve, and count the situation of its start.

        A situation is, for example, "a member restarted from a snapshot".
        """
        server = member.server
        if server is None:
            return
        record_start(self._coverage, server, restarted=member.lives > 1)
        if server.storage.damage and not member.disk.lost_durable_data:
            self.violated(
                f"{member.name} began its log anew, although its disk has lost no durable data:"
                f" {server.storage.damage}"
            )
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
            and self._leaders.last_term() > server.raft.term
        ):
            self.deposed_leaders.resumed(member)

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
