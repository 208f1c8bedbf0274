"""Checks changes of the members' configurations, and transfers of the leadership.

    same configuration   after the same entry, all members have the configuration that follows from
                         the changes so far, also after a restart or a snapshot
    same list            the member list of a member agrees with its configuration
    same links           a member has links to exactly the other members in its list
    new ids              the id of a removed member is never used again
    one at a time        a log contains at most one change that is not committed
    leading voter        a leader is a voter of the configuration that it has applied
    caught up            a leader promotes a learner only if the learner has most of its log
    own configuration    a member campaigns only if it is a voter and has applied all committed
                         changes
    leaving              a leader leaves a joint configuration whose `auto_leave` is set
    removed              a member stops soon after it has applied its own removal
    complete transferee  a leader hands over only to a voter that durably stores the leader's whole
                         log
    quiet transfer       a leader appends nothing while it hands over
    end of a transfer    a transfer ends within an election timeout
    in flight            a leader's window for a follower contains no append that the follower has
                         acknowledged
    uncommitted size     the size that a leader counts as uncommitted is at most the size of the
                         proposals that the leader has not applied

This module computes the expected configurations itself. It does not use
`splitbrain.node.raft.confchange`, because the rules must also find mistakes in that module.

Source: Raft thesis, chapter 4 and 3.10; etcd-io/raft.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.raft_invariants.observed_raft import ObservedRaft
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.node.messages.member_change import ClusterRecord
from splitbrain.node.raft import confchange
from splitbrain.node.raft.confchange import (
    ConfChange,
    ConfChangeSingle,
    ConfChangeType,
    Transition,
)
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.message import ConfState, Entry, EntryType, Message, MessageType
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server

READY_PERCENT = 90
"""The part of the leader's log that a learner needs before it is promoted. Source: etcd's
readyPercent."""
APPENDED_MEANWHILE_MAX = 8
"""A learner may lack this number of entries in addition, because its leader can append so many
entries between the comparison of the logs and the append of the promotion."""
REMOVED_NS_MAX = 2_500_000_000
"""How long a removed member may still run. It answers its clients for a second before it stops."""
SLACK_TICKS = 2
_CAMPAIGNING = (Role.PRE_CANDIDATE, Role.CANDIDATE)


class Expected(NamedTuple):
    """The configuration that follows from the changes in a log."""

    voters: frozenset[int]
    outgoing: frozenset[int] = frozenset()
    learners: frozenset[int] = frozenset()
    learners_next: frozenset[int] = frozenset()

    @property
    def members(self) -> frozenset[int]:
        return self.voters | self.outgoing | self.learners | self.learners_next


def expected_of(conf_state: ConfState) -> Expected:
    """Convert a `ConfState` of Raft to a configuration that can be compared."""
    return Expected(
        frozenset(conf_state.voters), frozenset(conf_state.voters_outgoing),
        frozenset(conf_state.learners), frozenset(conf_state.learners_next),
    )


def after(before: Expected, change: ConfChange) -> Expected:
    """Return the configuration after `change` is applied to the configuration `before`.

    The change must be a valid one.
    """
    if not change.changes and change.transition is Transition.AUTO:
        return Expected(before.voters, learners=before.learners | before.learners_next)
    joint = len(change.changes) > 1 or change.transition is not Transition.AUTO
    outgoing = before.voters if joint else before.outgoing
    voters, learners, later = set(before.voters), set(before.learners), set(before.learners_next)
    for one in change.changes:
        if one.type is ConfChangeType.UPDATE_NODE:
            continue
        was_learner = one.member in learners
        for group in (voters, learners, later):
            group.discard(one.member)
        if one.type is ConfChangeType.ADD_NODE:
            voters.add(one.member)
        elif one.type is ConfChangeType.ADD_LEARNER_NODE:
            (later if one.member in outgoing and not was_learner else learners).add(one.member)
    return Expected(frozenset(voters), outgoing, frozenset(learners), frozenset(later))


def too_short(learner: int, leader: int) -> bool:
    """Return whether the learner's log is too short for a promotion.

    The arguments are the numbers of entries in the logs of the learner and of the leader.
    """
    return (learner + APPENDED_MEANWHILE_MAX) * 100 < READY_PERCENT * leader


class ConfigurationMonitor:
    """Checks the configuration and the leadership of every member's Raft after each change.

    `observed` contains the last observed Raft of each member. `last_committed` returns the largest
    index that any member has committed. `violated` is called with the text of a violation.
    """

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        members: Mapping[str, Member],
        observed: Mapping[str, ObservedRaft],
        violated: Callable[[str], None],
        last_committed: Callable[[], int],
    ) -> None:
        self._loop = loop
        self._members = members
        self._observed = observed
        self._violated = violated
        self._last_committed = last_committed
        self._known: dict[int, Expected] = {}
        """Maps the index of each change to the configuration after it. Index 0 is the initial
        one."""
        self._ids: set[int] = set()
        """The ids of all members that were ever in the cluster."""
        self._removed: dict[int, int] = {}
        """Maps the id of each removed member to the index of the entry that removed it."""
        self._reported: set[tuple[str, str]] = set()
        self._contended: set[int] = set()
        """The terms in which the monitor has proposed a change to a leader that must refuse it."""
        self._linked: dict[str, ClusterRecord] = {}
        """The record of the members with which the links of each member were last compared."""

    def began(self, member: Member) -> None:
        """Observe the Raft of a member whose process has started to serve."""
        server = member.server
        assert server is not None
        raft = server.raft
        if not self._known:
            self._known[0] = expected_of(raft.conf_state)
            self._ids.update(raft.conf_state.members)
        self._check_known(member.name, server, raft.configurations[-1][0])
        self._observe_changes(member.name, server)
        self._observe_transfers(member.name, raft)
        self._observe_ticks(member.name, server)

    def _report(self, rule: str, name: str, what: str) -> None:
        """Report the first violation of `rule` by the member `name`; ignore later ones."""
        if (rule, name) not in self._reported:
            self._reported.add((rule, name))
            self._violated(f"{name} {what}")

    # --- configurations ----------------------------------------------------------------------

    def _observe_changes(self, name: str, server: Server) -> None:
        raft = server.raft
        apply, restore = raft.apply_conf_change, raft.adopt_configuration
        changing = False

        def observed_apply(change: ConfChange, index: int) -> ConfState:
            nonlocal changing
            changing = True
            try:
                state = apply(change, index)
            finally:
                changing = False
            self._applied(name, server, change, index)
            return state

        def observed_restore(conf_state: ConfState, index: int) -> None:
            restore(conf_state, index)
            if not changing:
                self._check_configuration(name, raft, index)

        raft.apply_conf_change = observed_apply  # type: ignore[method-assign]
        raft.adopt_configuration = observed_restore  # type: ignore[method-assign]

    def _applied(self, name: str, server: Server, change: ConfChange, index: int) -> None:
        if index not in self._known:
            before = self._at(index)
            expected = self._known[index] = after(before, change)
            for one in expected.members - before.members:
                if one in self._ids:
                    self._report(
                        "new ids", name, f"applied entry {index}, which adds the id {one:x} again"
                    )
                self._ids.add(one)
            self._removed.update(dict.fromkeys(before.members - expected.members, index))
        self._check_known(name, server, index)
        raft = server.raft
        if raft.role is Role.LEADER and raft.id not in raft.conf_state.all_voters:
            self._report(
                "leading voter", name,
                f"still leads in term {raft.term} after entry {index}, which makes it no voter",
            )

    def _at(self, index: int) -> Expected:
        return self._known[max(known for known in self._known if known <= index)]

    def _check_known(self, name: str, server: Server, index: int) -> None:
        self._check_configuration(name, server.raft, index)
        listed = {one.id: one.is_learner for one in server.members()}
        expected = self._at(index)
        learners = {one for one, learner in listed.items() if learner}
        if {*listed} != expected.members or learners != expected.learners:
            self._report(
                "same list", name,
                f"lists the members {_ids(listed)} with the learners {_ids(learners)} after entry "
                f"{index}; the configuration is {_text(expected)}",
            )

    def _check_configuration(self, name: str, raft: Raft, index: int) -> None:
        found, expected = expected_of(raft.conf_state), self._at(index)
        if found != expected:
            self._report(
                "same configuration", name,
                f"has the configuration {_text(found)} after entry {index}; expected "
                f"{_text(expected)}",
            )

    def appended(self, name: str, raft: Raft, entry: Entry) -> None:
        """Check an entry that changes the configuration and was appended to the member's log."""
        log = raft.log
        first = max(log.compacted_index, self._last_committed()) + 1
        others = [
            one.index for one in log.between(first, entry.index - 1)
            if one.type is not EntryType.NORMAL
        ] if first < entry.index else []
        if others:
            self._report(
                "one at a time", name,
                f"has a change of the configuration at entry {entry.index} of its log, and entry "
                f"{others[0]} is another one that is not committed",
            )
        if raft.role is Role.LEADER and entry.term == raft.term:
            self._check_promoted(name, raft, entry)
            self._contend(name, raft)

    def elected(self, name: str, raft: Raft) -> None:
        """Send a proposal to the new leader `name` if its log has a change that is not applied."""
        log = raft.log
        first = max(log.applied, log.compacted_index) + 1
        if any(e.type is not EntryType.NORMAL for e in log.between(first, log.last_index)):
            self._contend(name, raft)

    def _contend(self, name: str, raft: Raft) -> None:
        """Once in each term, send a proposal to a leader that has not applied the last change.

        The proposal is a change of the configuration. The leader must not append it; if it does,
        the rule "one at a time" reports that. The proposed change itself has no effect.
        """
        if raft.term in self._contended:
            return
        self._contended.add(raft.term)
        change = ConfChange((ConfChangeSingle(ConfChangeType.UPDATE_NODE, raft.id),))

        def propose() -> None:
            with contextlib.suppress(ProposalDropped):
                if raft.role is Role.LEADER:
                    raft.propose_conf_change(change)

        self._loop.soon(self._members[name].process, propose)

    def _check_promoted(self, name: str, raft: Raft, entry: Entry) -> None:
        for change in confchange.decode(entry.data).changes:
            promotes = change.type is ConfChangeType.ADD_NODE and change.member in raft.learners
            if not promotes or len(confchange.decode(entry.data).changes) > 1:
                continue
            has = max(
                (one.raft.log.last_index for one in self._observed.values()
                 if one.raft.id == change.member), default=0,
            )
            if raft.conf_state.is_joint or not confchange.decode(entry.data).context:
                continue  # a change by joint consensus, which no request of the API makes
            compared = min(raft.log.durable, entry.index - 1)
            if too_short(has, compared):
                self._report(
                    "caught up", name,
                    f"promotes the learner {change.member:x} by entry {entry.index}, which has "
                    f"{has} of its {compared} entries",
                )

    # --- transfers -----------------------------------------------------------------------------

    def _observe_transfers(self, name: str, raft: Raft) -> None:
        send, append = raft.send, raft.append_own

        def observed_send(message: Message) -> None:
            if message.type is MessageType.TIMEOUT_NOW:
                self._check_transferee(name, raft, message.to)
            send(message)

        def observed_append(data: bytes, kind: EntryType = EntryType.NORMAL) -> None:
            if raft.transferee:
                self._report(
                    "quiet transfer", name,
                    f"appends entry {raft.log.last_index + 1} while it hands over its leadership",
                )
            append(data, kind)

        raft.send = observed_send  # type: ignore[method-assign]
        raft.append_own = observed_append  # type: ignore[method-assign]

    def _check_transferee(self, name: str, raft: Raft, to: int) -> None:
        has = max(
            (one.durable_index() for one in self._observed.values() if one.raft.id == to), default=0
        )
        if to not in raft.conf_state.all_voters or has < raft.log.last_index:
            self._report(
                "complete transferee", name,
                f"lets {to:x} take over, which has {has} of its {raft.log.last_index} entries"
                f"{'' if to in raft.conf_state.all_voters else ', and is no voter'}",
            )

    # --- ticks ---------------------------------------------------------------------------------

    def _observe_ticks(self, name: str, server: Server) -> None:
        raft, tick = server.raft, server.raft.tick
        transferee, transfer_ticks = 0, 0
        removed_ns: int | None = None

        joint_ticks, joint_applied, elapsed = 0, 0, 0

        def observed_tick() -> None:
            nonlocal transferee, transfer_ticks, joint_ticks, joint_applied, elapsed, removed_ns
            role = raft.role
            # The member may have ended its transfer and begun a new one to the same target.
            begun = raft.election_elapsed < elapsed
            same = raft.transferee and raft.transferee == transferee and not begun
            transfer_ticks = transfer_ticks + 1 if same else 0
            tick()
            elapsed, transferee = raft.election_elapsed, raft.transferee
            if raft.role is not role and raft.role in _CAMPAIGNING:
                self._check_campaign(name, raft)
            if not self._stays_joint(raft):
                joint_ticks, joint_applied = 0, raft.log.applied
            elif raft.log.applied > joint_applied:  # only the next applied entry makes it leave
                joint_ticks += 1
            if joint_ticks > 2 * raft.config.election_ticks + SLACK_TICKS:
                self._report(
                    "left", name,
                    f"has not proposed to leave the joint configuration for {joint_ticks} ticks",
                )
            if raft.role is Role.LEADER:
                if transfer_ticks > raft.config.election_ticks + SLACK_TICKS:
                    self._report(
                        "end of a transfer", name,
                        f"still hands over its leadership after {transfer_ticks} ticks; its "
                        f"election timeout is {raft.config.election_ticks}",
                    )
                self._check_flow(name, raft)
            self._check_links(name, server)
            removed = self._removed.get(raft.id)
            if removed is not None and server.store.consistent_index >= removed:
                removed_ns = self._loop.now_ns if removed_ns is None else removed_ns
                if self._loop.now_ns - removed_ns > REMOVED_NS_MAX:
                    self._report(
                        "removed", name,
                        f"still runs, {REMOVED_NS_MAX / 1e9:g} s after it has applied its removal",
                    )

        raft.tick = observed_tick  # type: ignore[method-assign]

    def _check_links(self, name: str, server: Server) -> None:
        """Check that the member has links to exactly the other members in its member list.

        The check runs once after each change of the list.
        """
        membership = server._state.membership
        record = membership.record_of_members
        if self._linked.get(name) is record:
            return
        self._linked[name] = record
        links, listed = server.parts.driver.transport._links, membership.peer_urls()
        linked = {peer: getattr(link, "url", "") for peer, link in links.items()}
        if linked != listed:
            self._report(
                "same links", name,
                f"has links to the members {_ids({*linked})} at {', '.join(linked.values())}, but "
                f"its list of the others has {_ids({*listed})} at {', '.join(listed.values())}",
            )

    def _check_campaign(self, name: str, raft: Raft) -> None:
        log = raft.log
        unapplied = [
            entry.index
            for entry in log.between(max(log.applied, log.compacted_index) + 1, log.committed)
            if entry.type is not EntryType.NORMAL
        ] if log.committed > log.applied else []
        if unapplied or raft.id not in raft.conf_state.all_voters:
            why = (
                f"it has not applied the committed change of entry {unapplied[0]}" if unapplied
                else "it is no voter"
            )
            self._report("own configuration", name, f"campaigns, although {why}")

    @staticmethod
    def _stays_joint(raft: Raft) -> bool:
        """Return whether a leader should propose to leave its joint configuration but has not."""
        log = raft.log
        is_due = raft.conf_state.auto_leave and log.applied >= raft.configurations[-1][0]
        if raft.role is not Role.LEADER or raft.transferee or not is_due:
            return False
        first = max(raft.configurations[-1][0], log.compacted_index) + 1
        return all(entry.type is EntryType.NORMAL for entry in log.between(first, log.last_index))

    def _check_flow(self, name: str, raft: Raft) -> None:
        for one in raft.peers:
            oldest = one.inflights.oldest
            if oldest is not None and oldest <= one.match:
                self._report(
                    "in flight", name,
                    f"counts entry {oldest} as in flight to {one.id:x}, which has acknowledged "
                    f"{one.match}",
                )
        if raft.uncommitted_bytes:
            log = raft.log
            first = max(log.applied, log.compacted_index) + 1
            size = sum(len(entry.data) for entry in log.between(first, log.last_index))
            if raft.uncommitted_bytes > size:
                self._report(
                    "uncommitted size", name,
                    f"charges {raft.uncommitted_bytes} bytes for proposals that it has not "
                    f"applied, whose size is {size}",
                )


def _ids(members: Mapping[int, bool] | set[int]) -> str:
    return " ".join(sorted(f"{one:x}" for one in members)) or "none"


def _text(one: Expected) -> str:
    groups = (
        ("voters", one.voters), ("outgoing", one.outgoing), ("learners", one.learners),
        ("later learners", one.learners_next),
    )
    return ", ".join(f"{name} {_ids(set(found))}" for name, found in groups if found)
