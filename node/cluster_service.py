"""Changes the members of the cluster, and transfers its leadership.

Every member accepts requests to add, remove, update or promote a member. Only the leader knows how
much of its log a learner has. Another member therefore asks the leader to promote the learner. Only
the leader can transfer its leadership.

As in etcd with its default `--strict-reconfig-check`, a change is refused if the started members
that remain could not form a quorum.

Source: etcd's `server/etcdserver/server.go` (AddMember, mayAddMember, …, MoveLeader) and
`server/etcdserver/api/membership/cluster.go` (IsReadyToAddVotingMember, …).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from splitbrain.node.config import ConfigError, checked_url
from splitbrain.node.member_and_cluster_id import added_member_id
from splitbrain.node.membership import Membership
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.messages.member_change import (
    ChangeKind,
    MemberChange,
    as_conf_change,
    refusal_of,
)
from splitbrain.node.messages.rpc import Member
from splitbrain.node.raft.confchange import ConfChange
from splitbrain.node.raft.errors import DropReason, ProposalDropped
from splitbrain.node.raft.message import NONE, MemberId
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role
from splitbrain.node.waiting_requests import Pending
from splitbrain.node.world import Clock

READY_PERCENT = 90
"""A learner can be promoted if it has at least this fraction of the leader's log.

Source: etcd's readyPercent.
"""
POLL_S = 0.01
RETRY_S = 0.1
"""The pause between two requests to the leader to promote a learner, in seconds."""


ASK_TIMEOUT_S = 1.0


class Promotion(msgspec.Struct, frozen=True, array_like=True, tag="promote"):
    """The question with which a member asks the leader to promote the learner `member`."""

    member: MemberId


class Promoted(msgspec.Struct, frozen=True, array_like=True):
    """The leader's answer: the code and the message of an error, or 0 and "" for success."""

    code: int = 0
    message: str = ""


class Driver(Protocol):
    """The methods of the Raft driver that this module uses."""

    def propose_conf_change(self, change: ConfChange) -> None: ...

    def transfer_leadership(self, to: MemberId) -> None: ...


class ClusterService:
    """Executes the requests that change the members or transfer the leadership.

    `new_id` returns a request id. `changes` receives the result of a request when this member has
    applied it. `is_connected` returns whether this member is connected to a peer. `ask` asks a peer
    a question, and raises ConnectionError if there is no answer.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        timeout_s: float,
        membership: Membership,
        raft: Raft,
        driver: Driver,
        changes: Pending[None],
        new_id: Callable[[], int],
        is_connected: Callable[[MemberId], bool],
        ask: Callable[[MemberId, bytes, float], Awaitable[bytes]],
    ) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._membership = membership
        self._raft = raft
        self._driver = driver
        self._changes = changes
        self._new_id = new_id
        self._is_connected = is_connected
        self._ask = ask

    # --- members ------------------------------------------------------------------

    async def add(self, peer_urls: Sequence[str], *, learner: bool) -> Member:
        """Add a member, and return it. Raises RpcError.

        The new member must then be started with --initial-cluster-state existing.
        """
        urls = checked_peer_urls(peer_urls)
        self._refuse_known_urls(urls)
        if not learner:
            self._check_quorum_with(added=True)
            self._check_connected(self._voters())
        request = self._new_id()
        kind = ChangeKind.ADD_LEARNER if learner else ChangeKind.ADD
        change = MemberChange(request, kind, added_member_id(urls, request), urls)
        await self._replicate(change)
        return Member(id=change.member, peer_urls=urls, is_learner=learner)

    async def remove(self, member: MemberId) -> None:
        """Remove a member. The removed member stops when it learns this. Raises RpcError."""
        if member in self._voters():
            self._check_quorum_with(removed=member)
            if member == self._raft.id or self._is_connected(member):
                self._check_connected([one for one in self._voters() if one != member])
        await self._replicate(MemberChange(self._new_id(), ChangeKind.REMOVE, member))

    async def update(self, member: MemberId, peer_urls: Sequence[str]) -> None:
        """Change the peer URLs of a member. Raises RpcError."""
        urls = checked_peer_urls(peer_urls)
        change = MemberChange(self._new_id(), ChangeKind.UPDATE, member, urls)
        self._refuse(change)
        self._refuse_known_urls(urls, besides=member)
        await self._replicate(change)

    async def promote(self, member: MemberId) -> None:
        """Promote a learner to a voter.

        If this member is not the leader, it asks the leader, and asks again until a leader answers
        or the timeout has passed. Raises RpcError.

        Source: etcd's EtcdServer.PromoteMember.
        """
        give_up_ns = self._clock.monotonic_ns() + round(self._timeout_s * 1e9)
        while self._raft.role is not Role.LEADER:
            if await self._promoted_by_leader(member):
                return
            if self._clock.monotonic_ns() >= give_up_ns:
                raise errors.timed_out()
            await self._clock.sleep(RETRY_S)
        await self._promote(member)

    async def _promoted_by_leader(self, member: MemberId) -> bool:
        """Ask the leader to promote a learner. Returns False if the leader does not answer.

        Raises RpcError if the leader refuses.
        """
        leader = self._raft.leader
        if leader in (NONE, self._raft.id):
            return False
        question = msgspec.msgpack.encode(Promotion(member))
        try:
            data = await self._ask(leader, question, ASK_TIMEOUT_S)
            answer = msgspec.msgpack.decode(data, type=Promoted)
        except (ConnectionError, msgspec.MsgspecError):
            return False
        if answer.code:
            raise RpcError(Code(answer.code), answer.message)
        return True

    async def answer(self, data: bytes) -> bytes | None:
        """Promote a learner at the request of a peer, and return the encoded answer.

        Returns None if `data` is not an encoded `Promotion`. Raises ConnectionError if this member
        is not the leader.
        """
        try:
            question = msgspec.msgpack.decode(data, type=Promotion)
        except msgspec.MsgspecError:
            return None
        if self._raft.role is not Role.LEADER:
            raise ConnectionError("not leader")
        try:
            await self._promote(question.member)
        except RpcError as refused:
            return msgspec.msgpack.encode(Promoted(int(refused.code), refused.message))
        return msgspec.msgpack.encode(Promoted())

    async def _promote(self, member: MemberId) -> None:
        change = MemberChange(self._new_id(), ChangeKind.PROMOTE, member)
        self._refuse(change)
        if not self._is_in_sync(member):
            raise errors.learner_not_ready()
        self._check_quorum_with(added=True)
        await self._replicate(change)

    def _is_in_sync(self, learner: MemberId) -> bool:
        progress = self._raft.progress.get(learner)
        own = self._raft.progress.get(self._raft.id)
        if progress is None or own is None:
            return False
        return progress.match * 100 >= own.match * READY_PERCENT

    async def _replicate(self, change: MemberChange) -> None:
        self._refuse(change)
        conf_change = as_conf_change(change)

        async def begin() -> None:
            if self._raft.role is Role.LEADER and self._raft.conf_change_refusal(conf_change):
                raise errors.unhealthy()
            self._driver.propose_conf_change(conf_change)

        try:
            await self._changes.wait_for(change.request, begin)
        except ProposalDropped as dropped:
            raise dropped_error(dropped) from dropped

    # --- checks -------------------------------------------------------------------

    def _refuse(self, change: MemberChange) -> None:
        refused = refusal_of(self._raft.conf_state, change)
        if refused is not None:
            raise refused

    def _refuse_known_urls(self, urls: Sequence[str], besides: MemberId = NONE) -> None:
        for known in self._membership.members():
            if known.id != besides and {*known.peer_urls} & {*urls}:
                raise errors.peer_url_exists()

    def _voters(self) -> tuple[MemberId, ...]:
        return self._raft.conf_state.voters

    def _check_quorum_with(self, *, added: bool = False, removed: MemberId = NONE) -> None:
        """Raise RpcError unless enough voters are started to form a quorum after the change.

        The change adds a voter (`added`) or removes the member `removed`.
        """
        voters = [one for one in self._voters() if one != removed]
        started = sum(self._membership.has_started(one) for one in voters)
        count = len(voters) + (1 if added else 0)
        if added and started == 1 and count == 2:
            # The second member can start only after it was added.
            return
        if not count or started < count // 2 + 1:
            raise errors.not_enough_started()

    def _check_connected(self, voters: Sequence[MemberId]) -> None:
        """Raise RpcError unless this member can reach a quorum of `voters`.

        If this member is one of `voters`, it is counted as reached.
        """
        connected = sum(one == self._raft.id or self._is_connected(one) for one in voters)
        if connected < len(voters) // 2 + 1:
            raise errors.unhealthy()

    # --- leadership ---------------------------------------------------------------

    async def move_leader(self, target: MemberId) -> None:
        """Transfer the leadership of this member to the voter `target`. Raises RpcError."""
        raft = self._raft
        if raft.role is not Role.LEADER:
            raise errors.not_leader()
        if target not in raft.conf_state.all_voters:
            raise errors.bad_transferee()
        if target == raft.id:
            return
        self._driver.transfer_leadership(target)
        give_up_ns = self._clock.monotonic_ns() + round(self._timeout_s * 1e9)
        while raft.leader != target:
            if self._clock.monotonic_ns() >= give_up_ns:
                raise errors.transfer_timed_out()
            await self._clock.sleep(POLL_S)

    async def hand_over(self, timeout_s: float) -> None:
        """Transfer the leadership to another voter, before this member stops.

        The new leader is the active voter with the longest log. Returns at once if this member is
        not the leader, or if no other voter is active. Otherwise waits until another member is the
        leader, for at most `timeout_s` seconds.
        """
        raft = self._raft
        heirs = [
            one for one in raft.peers
            if one.recent_active and one.id in raft.conf_state.voters and not one.is_learner
        ]
        if raft.role is not Role.LEADER or not heirs:
            return
        self._driver.transfer_leadership(max(heirs, key=lambda one: (one.match, -one.id)).id)
        give_up_ns = self._clock.monotonic_ns() + round(timeout_s * 1e9)
        while raft.leader in (NONE, raft.id) and self._clock.monotonic_ns() < give_up_ns:
            await self._clock.sleep(POLL_S)


def checked_peer_urls(urls: Sequence[str]) -> tuple[str, ...]:
    """Return the peer URLs in a request, sorted. Raises RpcError if they are not valid."""
    try:
        checked = tuple(sorted(checked_url(url, "peerURLs") for url in urls))
    except ConfigError as problem:
        raise errors.bad_member_urls() from problem
    if not checked:
        raise errors.bad_member_urls()
    return checked


def dropped_error(dropped: ProposalDropped) -> RpcError:
    """Return the error that a client gets if Raft has dropped the proposal of its request."""
    if dropped.why is DropReason.NO_LEADER:
        return errors.no_leader()
    if dropped.why is DropReason.TOO_MUCH_UNCOMMITTED:
        return errors.too_many_requests()
    return errors.proposal_dropped()
