"""Checks that no election begins without a cause.

    timer             a member does not campaign within an election timeout after it has heard from
                      its leader
    reachable leader  a member does not campaign while a leader runs that the member must have
                      heard: the leader, the member and the link between them have been healthy
                      for an election timeout
    pre-vote          a member enters a new term as a candidate only with pre-votes of a majority
    lease             a member that has heard from its leader within an election timeout ignores
                      vote requests; so does a leader
    check-quorum      a leader checks regularly whether a majority has responded; it steps down in
                      its term only if no majority has responded since its last check, and it must
                      step down if no majority has responded for two election timeouts (these begin
                      anew when the configuration changes)

The last three rules are checked if the settings pre-vote and check-quorum are on. Together they
keep a leader in power while a majority can reach it: a candidate needs the votes of a majority, and
a majority ignores the candidate's requests.

Source: Raft thesis, 6.2, 6.3 and 9.6; etcd-io/raft.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from splitbrain.harness.simulation.health import Health
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.node.raft.election import TRANSFER
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role

SLACK_TICKS = 2
"""The number of ticks by which a member's clock can differ from a count of its ticks: one at each
end of a period."""
QUICK_SYNCS = 30
"""A disk can delay a heartbeat by several syncs. If this number of syncs takes an election timeout
or longer, the disk is too slow for the rules, and the member is not judged."""

_FROM_LEADER = frozenset({MessageType.APP, MessageType.HEARTBEAT, MessageType.SNAP})
_TO_LEADER = frozenset({MessageType.APP_RESP, MessageType.HEARTBEAT_RESP})
_REQUESTS = frozenset({MessageType.VOTE, MessageType.PRE_VOTE})
_CAMPAIGNING = (Role.PRE_CANDIDATE, Role.CANDIDATE)


class _Observed:
    """What one process of a member has heard from others. Times are in ns of virtual time."""

    __slots__ = (
        "conf_state", "conf_tick", "granted", "heard_from", "heard_ns", "heard_term", "led_tick",
        "member", "name", "raft", "responded_ns", "responded_tick", "tick_ns", "ticks",
    )

    def __init__(self, member: Member, raft: Raft, tick_ns: int) -> None:
        self.name = member.name
        self.member = member
        self.raft = raft
        self.tick_ns = tick_ns
        self.heard_ns = -1
        """When the member last processed a message of the leader of its term; -1 if it never
        did."""
        self.heard_from = 0
        self.heard_term = 0
        self.granted: set[int] = set()
        """The members whose pre-votes this member has received as a pre-candidate."""
        self.responded_ns: dict[int, int] = {}
        """When each member last responded to this member as leader."""
        self.conf_state = raft.conf_state
        self.conf_tick = 0
        """The number of the member's tick after which the configuration last changed."""
        self.ticks = 0
        self.led_tick = 0
        """The number of the tick at which the member became leader."""
        self.responded_tick: dict[int, int] = {}
        """The number of the tick after which each other member last responded to this leader."""

    def certain_ns(self) -> int:
        """Return a duration in ns that is certainly shorter than the member's election timeout."""
        return max(self.raft.config.election_ticks - SLACK_TICKS, 0) * self.tick_ns

    def is_recent(self, passed_ns: int) -> bool:
        """Return whether `passed_ns` is certainly shorter than the member's election timeout.

        The member's own clock, which can drift, measures the timeout.
        """
        return passed_ns * (1_000_000 + self.member.clock.fastest_ppm) < (
            self.certain_ns() * 1_000_000
        )

    def heard_before_ns(self, now_ns: int, term: int) -> int | None:
        """Return how long ago the member heard from the leader of its term `term`, in ns.

        Returns None if the member has heard from no leader of `term`, or if more than an election
        timeout has passed since then. A member that gets a message of a higher term enters that
        term, and has not heard from its leader yet.
        """
        passed_ns = now_ns - self.heard_ns
        if self.heard_ns < 0 or self.heard_term != term or not self.is_recent(passed_ns):
            return None
        return passed_ns


class ElectionMonitor:
    """Checks elections. For this it observes the messages and the ticks of every member's Raft."""

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        members: Mapping[str, Member],
        health: Health,
        violated: Callable[[str], None],
        tick_ns: int,
    ) -> None:
        self._loop = loop
        self._members = members
        self._tick_ns = tick_ns
        self._health = health
        self._violated = violated
        self._names: dict[int, str] = {}
        self._leading_since_ns: dict[str, tuple[int, int]] = {}
        """Maps each member that leads to its process and the time at which it became leader."""
        self.led_until_ns = 0
        """The time at which a running member last ceased to lead."""

    def began(self, member: Member) -> None:
        """Observe the Raft of a member whose process has started to serve."""
        server = member.server
        assert server is not None
        raft = server.raft
        self._names[raft.id] = member.name
        one = _Observed(member, raft, self._tick_ns)
        step, tick, advance, loop = raft.step, raft.tick, raft.advance, self._loop

        def observed_step(message: Message) -> None:
            # Most messages are heartbeats and appends, so this function is called very often.
            kind, role, term = message.type, raft.role, raft.term
            if kind in _FROM_LEADER:
                if message.term >= term:
                    one.heard_ns = loop.now_ns
                    one.heard_from, one.heard_term = message.from_, message.term
                step(message)
            elif kind in _TO_LEADER:
                if message.term == term:
                    one.responded_ns[message.from_] = loop.now_ns
                    one.responded_tick[message.from_] = one.ticks
                step(message)
            elif kind in _REQUESTS:
                self._request(one, message, step)
            else:
                grant = kind is MessageType.PRE_VOTE_RESP and not message.reject
                if grant and message.term == term + 1:
                    one.granted.add(message.from_)
                step(message)
            # A member to which the leadership is transferred campaigns at once, without pre-votes.
            if raft.role is not role and kind is not MessageType.TIMEOUT_NOW:
                self._role_changed(one, role, term_was=term)

        def observed_tick() -> None:
            role = raft.role
            one.ticks += 1
            if raft.conf_state is not one.conf_state:
                one.conf_state, one.conf_tick = raft.conf_state, one.ticks
            tick()
            if raft.role is not role:
                self._role_changed(one, role, by_tick=True)
            elif role is Role.LEADER:
                if raft.transferee:
                    one.led_tick = one.ticks  # a transfer begins a new election timeout
                elif one.ticks % raft.config.election_ticks == 0:
                    self._check_leading(one)

        def observed_advance(ready: object) -> None:
            role = raft.role
            advance(ready)  # type: ignore[arg-type]
            if raft.role is not role:
                self._role_changed(one, role)

        raft.step = observed_step  # type: ignore[method-assign]
        raft.tick = observed_tick  # type: ignore[method-assign]
        raft.advance = observed_advance  # type: ignore[method-assign]

    def interrupted(self, member: Member) -> None:
        """Record that `member` no longer leads, because it is about to be paused or ended."""
        if member.server is not None and member.server.raft.role is Role.LEADER:
            self.led_until_ns = self._loop.now_ns

    def leader(self) -> tuple[str, int] | None:
        """Return the name of the running leader of the highest term, and since when it has led."""
        leaders = [
            (member.server.raft.term, name)
            for name, member in self._members.items()
            if member.runs and member.server is not None
            and member.server.raft.role is Role.LEADER
        ]
        if not leaders:
            return None
        name = max(leaders)[1]
        process = self._members[name].process
        life, since_ns = self._leading_since_ns.get(name, (0, 0))
        return (name, since_ns) if process is not None and process.life == life else None

    # --- messages ---------------------------------------------------------------------------

    def _request(self, one: _Observed, message: Message, step: Callable[[Message], None]) -> None:
        """Let `step` process a vote request, and check that `step` ignores it during a lease.

        A member has a lease while it leads, or has heard from its leader within an election
        timeout.
        """
        raft = one.raft
        role, term = raft.role, raft.term
        heard = one.heard_before_ns(self._loop.now_ns, term)
        sent = len(raft.messages_after_sync)
        step(message)
        if message.context == TRANSFER and raft.term > term:
            one.heard_ns = -1  # the leader gives up its lease itself
        leased = role is Role.LEADER or (role is Role.FOLLOWER and heard is not None)
        if (
            not (leased and raft.config.check_quorum)
            or message.term <= term
            or message.context == TRANSFER
            or (raft.term == term and raft.role is role and len(raft.messages_after_sync) == sent)
        ):
            return
        why = f"leads in term {term}" if role is Role.LEADER else (
            f"heard from the leader {self._name(one.heard_from)} of term {one.heard_term} "
            f"{_ms(heard or 0)} ago"
        )
        self._violated(
            f"{one.name} took part in the election of {self._name(message.from_)} for term "
            f"{message.term} ({message.type.name}), although it {why}; check-quorum is on"
        )

    # --- roles --------------------------------------------------------------------------------

    def _role_changed(
        self, one: _Observed, was: Role, *, by_tick: bool = False, term_was: int = 0
    ) -> None:
        raft = one.raft
        if raft.role is Role.LEADER:
            process = one.member.process
            life = process.life if process is not None else 0
            self._leading_since_ns[one.name] = (life, self._loop.now_ns)
            one.responded_ns.clear()
            one.responded_tick.clear()
            one.led_tick = one.ticks
        if was is Role.LEADER:
            self.led_until_ns = self._loop.now_ns
            if by_tick or raft.term == term_was:
                self._check_stepping_down(one)
        if by_tick and was is Role.FOLLOWER and raft.role in _CAMPAIGNING:
            self._check_campaign(one)
        if raft.role is Role.PRE_CANDIDATE and was is not Role.PRE_CANDIDATE:
            one.granted.clear()
        if raft.role is Role.CANDIDATE and raft.config.pre_vote:
            self._check_pre_votes(one, was)

    def _check_campaign(self, one: _Observed) -> None:
        raft = one.raft
        term = raft.term + (raft.role is Role.PRE_CANDIDATE)
        heard = one.heard_before_ns(self._loop.now_ns, term - 1)
        if heard is not None:
            self._violated(
                f"{one.name} campaigns for term {term}, {_ms(heard)} after it has heard from the "
                f"leader {self._name(one.heard_from)} of term {one.heard_term}; its election "
                f"timeout is at least {_ms(raft.config.election_ticks * one.tick_ns)}"
            )
            return
        since = self._reachable_since(one, term)
        if since is not None:
            leader, since_ns = since
            self._violated(
                f"{one.name} campaigns for term {term}, although the leader {leader} has led, and "
                f"has been connected and healthy like {one.name}, for "
                f"{_ms(self._loop.now_ns - since_ns)}"
            )

    def _reachable_since(self, one: _Observed, term: int) -> tuple[str, int] | None:
        """Return the leader that `one` must have heard from within its election timeout.

        The result also contains the time since when nothing has disturbed the two members and the
        link from the leader. Returns None if there is no such leader.
        """
        found = self.leader()
        timeout_ns = one.raft.config.election_ticks * one.tick_ns
        sync_ms = one.member.disk.conditions.sync_ms
        if found is None or sync_ms * QUICK_SYNCS * 1_000_000 > timeout_ns:
            return None
        leader, led_ns = found
        server = self._members[leader].server
        healthy_ns = self._health.pair_since(leader, one.name)
        if leader == one.name or server is None or server.raft.term < term - 1:
            return None
        if healthy_ns is None or max(healthy_ns, led_ns) + timeout_ns > self._loop.now_ns:
            return None
        return leader, max(healthy_ns, led_ns)

    def _check_pre_votes(self, one: _Observed, was: Role) -> None:
        raft = one.raft
        granted = (one.granted | {raft.id}) & set(raft.conf_state.all_voters)
        if _is_majority(granted, raft):
            return
        names = ", ".join(sorted(self._name(member) for member in granted))
        self._violated(
            f"{one.name} became a candidate of term {raft.term} as a {was.value}, with pre-votes "
            f"of {names} only, which are no majority of {len(raft.voters)}; pre-vote is on"
        )

    def _check_stepping_down(self, one: _Observed) -> None:
        raft, now_ns = one.raft, self._loop.now_ns
        active = {raft.id} | {
            member for member, ns in one.responded_ns.items() if one.is_recent(now_ns - ns)
        }
        if not raft.config.check_quorum or not _is_majority(active, raft):
            return
        ago = ", ".join(
            f"{self._name(member)} {_ms(now_ns - one.responded_ns[member])} ago"
            for member in sorted(active - {raft.id})
        )
        self._violated(
            f"{one.name} ceased to lead in term {raft.term}, although a majority had responded: "
            f"{ago}; its election timeout is {_ms(raft.config.election_ticks * one.tick_ns)}"
        )

    def _check_leading(self, one: _Observed) -> None:
        """Check that a majority has responded within the last two election timeouts.

        The time is measured in ticks of the leader.

        A leader checks once in each timeout whether a majority has responded since its last check.
        After a change of the configuration, another majority is necessary, and a new member counts
        as if it had responded.
        """
        raft = one.raft
        since = one.ticks - 2 * raft.config.election_ticks - SLACK_TICKS
        if not raft.config.check_quorum or max(one.led_tick, one.conf_tick) >= since:
            return
        active = {raft.id} | {
            member for member, tick in one.responded_tick.items() if tick >= since
        }
        if not _is_majority(active, raft):
            names = ", ".join(sorted(self._name(member) for member in active - {raft.id}))
            self._violated(
                f"{one.name} still leads in term {raft.term}, although "
                f"{f'only {names}' if names else 'no other member'} has responded within two "
                f"election timeouts, which is no majority of {len(raft.voters)}; check-quorum is on"
            )

    def _name(self, member: int) -> str:
        return self._names.get(member, f"{member:x}")


def _is_majority(members: Set[int], raft: Raft) -> bool:
    """Return whether `members` are a majority of the voters, and of any outgoing voters.

    The function does not use `splitbrain.node.raft.quorum`, because the rules must also find
    mistakes in that module.
    """
    return all(
        2 * len(members & {*voters}) > len(voters)
        for voters in (raft.voters, raft.voters_outgoing) if voters
    )


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.1f} ms"
