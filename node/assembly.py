"""Creates the parts of a member, such as the applier and the Raft driver, and connects them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from splitbrain.node import member_settings
from splitbrain.node.alarms import Alarms
from splitbrain.node.apply.applier import Applied, Applier
from splitbrain.node.apply.flush_and_snapshot import BackendFlusher
from splitbrain.node.auth.auth_store import AuthStore
from splitbrain.node.auth.authenticator import Authenticator
from splitbrain.node.auth.jwt_tokens import JwtTokens
from splitbrain.node.auth.tokens import SimpleTokens, Tokens
from splitbrain.node.cluster_service import ClusterService
from splitbrain.node.config import Config
from splitbrain.node.lease.keep_alive import LeaseService
from splitbrain.node.lease.lessor import EXPIRIES_AT_ONCE, Lessor
from splitbrain.node.maintenance.corruption_check import CorruptionCheck
from splitbrain.node.maintenance.space_quota import SpaceQuota
from splitbrain.node.member_metrics import MemberMetrics
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.membership import Membership
from splitbrain.node.messages import errors
from splitbrain.node.messages.internal_request import ClientWrite, OperationResponse
from splitbrain.node.messages.lease import LessorRequest
from splitbrain.node.mvcc.store import Store
from splitbrain.node.peer_calls import PeerCalls
from splitbrain.node.raft.confchange import ConfChange
from splitbrain.node.raft.message import Entry
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role
from splitbrain.node.raft_driver import RaftDriver
from splitbrain.node.read_barrier import ReadBarrier
from splitbrain.node.step_trace import WritePath
from splitbrain.node.unknown_members import Strangers
from splitbrain.node.waiting_requests import Deadline, Pending, RequestIds
from splitbrain.node.wakeup import Wakeup
from splitbrain.node.world import World

PENDING_REQUESTS_MAX = 5000
"""The maximal number of writes that wait at one member. Further writes are refused."""


class Hooks(Protocol):
    """The methods of the member that its parts call."""

    async def replicate(self, operation: ClientWrite) -> OperationResponse:
        """Replicate a write, and return its response after this member has applied it.

        Raises RpcError.
        """
        ...

    def propose_as_leader(self, request: LessorRequest) -> None:
        """Propose a request of this leader's own lessor, and do not wait for the result.

        Raises ProposalDropped.
        """
        ...

    async def replicate_as_leader(self, request: LessorRequest) -> None:
        """Propose a request of this leader's own lessor, and wait until it is applied.

        Raises ProposalDropped, RpcError.
        """
        ...

    async def linearizable_read(self) -> None:
        """Wait until this member has applied all entries that were committed at the call.

        Raises RpcError.
        """
        ...

    async def answer_peer(self, question: bytes) -> bytes:
        """Answer the question of another member. Raises ConnectionError."""
        ...

    def leader_changed(self) -> None:
        """React to a change of the leader or of this member's role."""
        ...

    def members_changed(self) -> None:
        """React to a change of the cluster's members."""
        ...

    def change_configuration(self, change: ConfChange, entry: Entry) -> None:
        """Put a committed change of the configuration into effect."""
        ...

    def removed(self) -> None:
        """Stop this member, because it was removed from the cluster."""
        ...


@dataclass(frozen=True, slots=True)
class State:
    """The parts of a member that are loaded from its data directory, and the tokens of its users.

    The tokens are not stored on disk, so `tokens` contains none at first.
    """

    storage: MemberStorage
    store: Store
    membership: Membership
    alarms: Alarms
    auth: AuthStore
    tokens: Tokens


async def open_state(world: World, config: Config) -> State:
    """Open the data directory, and recover the state. Raises DiskError and DataRefused."""
    storage = await MemberStorage.open(world.disk, config)
    return State(
        storage=storage,
        store=Store(storage.backend),
        membership=Membership(storage.backend, config),
        alarms=Alarms(storage.backend),
        auth=AuthStore(storage.backend),
        tokens=_tokens(world, config),
    )


def _tokens(world: World, config: Config) -> Tokens:
    if config.auth_token is None:
        return SimpleTokens(world.clock.monotonic_ns)
    return JwtTokens(config.auth_token, world.clock.wall_ns)


def recovered_raft(world: World, config: Config, state: State) -> Raft:
    """Return the Raft state machine of a member that continues with the recovered log."""
    found, membership = state.storage.recovered, state.membership
    return Raft(
        member_settings.raft_config(config, world),
        world.random,
        hard_state=found.hard_state,
        snapshot=found.snapshot,
        entries=found.entries,
        applied=state.store.consistent_index,
        floor=found.floor,
        conf_state=membership.record_of_members.conf_state if membership.is_changed else None,
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """The requests of this member that wait until their entries are applied, by kind."""

    writes: Pending[Applied]
    published: Pending[None]
    member_changes: Pending[None]


@dataclass(frozen=True, slots=True)
class Basis:
    """The arguments that most parts of a member need."""

    world: World
    config: Config
    path: WritePath
    metrics: MemberMetrics
    state: State
    raft: Raft
    ids: RequestIds
    waiting: Waiting
    hooks: Hooks

    def leads(self) -> bool:
        return self.raft.role is Role.LEADER


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a running member."""

    ids: RequestIds
    waiting: Waiting
    reads: ReadBarrier
    flusher: BackendFlusher
    lessor: Lessor
    applier: Applier
    driver: RaftDriver
    auth: Authenticator
    quota: SpaceQuota
    cluster: ClusterService
    calls: PeerCalls
    corruption: CorruptionCheck
    leases: LeaseService


def assemble(
    *,
    world: World,
    config: Config,
    path: WritePath,
    metrics: MemberMetrics,
    state: State,
    raft: Raft,
    hooks: Hooks,
) -> Parts:
    """Create the parts of a member, and connect them. They do not run yet."""
    ids = RequestIds(config.member_id, state.storage.incarnation)
    deadline = Deadline(world.clock, config.request_timeout_s, errors.timed_out)
    waiting = Waiting(
        writes=Pending(deadline, PENDING_REQUESTS_MAX),
        published=Pending(deadline, 1),
        member_changes=Pending(deadline, PENDING_REQUESTS_MAX),
    )
    basis = Basis(
        world=world, config=config, path=path, metrics=metrics, state=state, raft=raft, ids=ids,
        waiting=waiting, hooks=hooks,
    )
    reads = ReadBarrier(
        clock=world.clock,
        deadline=Deadline(world.clock, config.request_timeout_s, errors.timed_out),
        ids=ids,
        # The driver is created below.
        ask=lambda context: driver.ask_read_index(context),  # noqa: PLW0108
        applied=lambda: state.store.consistent_index,
    )
    flushed = Wakeup()
    flusher = BackendFlusher(
        world=world,
        config=config,
        path=path,
        storage=state.storage,
        store=state.store,
        raft=raft,
        metrics=metrics,
        flushed=flushed,
    )
    lessor = _lessor(basis)
    applier = _applier(basis, lessor, reads, flusher)
    driver = _driver(basis, applier, reads)
    calls = _peer_calls(basis, driver)
    return Parts(
        ids=ids,
        waiting=waiting,
        reads=reads,
        flusher=flusher,
        lessor=lessor,
        applier=applier,
        driver=driver,
        auth=_authenticator(basis),
        quota=_quota(basis, flusher, flushed),
        cluster=_cluster_service(basis, driver, calls),
        calls=calls,
        corruption=_corruption_check(basis, calls),
        leases=_lease_service(basis, lessor, calls),
    )


def _lessor(basis: Basis) -> Lessor:
    config, raft = basis.config, basis.raft
    return Lessor(
        clock=basis.world.clock,
        table=basis.state.store.leases,
        leading_term=lambda: raft.term if basis.leads() else 0,
        propose=basis.hooks.propose_as_leader,
        extension_s=config.election_ms / 1000,
        checkpoint_interval_s=config.lease_checkpoint_interval_s,
        expiries_at_once=4 if basis.world.buggify("few leases end at once") else EXPIRIES_AT_ONCE,
    )


def _applier(
    basis: Basis, lessor: Lessor, reads: ReadBarrier, flusher: BackendFlusher
) -> Applier:
    state, waiting = basis.state, basis.waiting
    return Applier(
        world=basis.world,
        path=basis.path,
        storage=state.storage,
        store=state.store,
        lessor=lessor,
        membership=state.membership,
        alarms=state.alarms,
        auth=state.auth,
        tokens=state.tokens,
        pending=waiting.writes,
        published=waiting.published,
        changes=waiting.member_changes,
        reads=reads,
        backend=flusher,
        members_changed=basis.hooks.members_changed,
        change_configuration=basis.hooks.change_configuration,
    )


def _driver(basis: Basis, applier: Applier, reads: ReadBarrier) -> RaftDriver:
    state = basis.state
    return RaftDriver(
        world=basis.world,
        config=basis.config,
        path=basis.path,
        raft=basis.raft,
        storage=state.storage,
        store=state.store,
        applier=applier,
        reads=reads,
        metrics=basis.metrics,
        leader_changed=basis.hooks.leader_changed,
        membership=state.membership,
    )


def _authenticator(basis: Basis) -> Authenticator:
    state = basis.state
    return Authenticator(
        auth=state.auth,
        tokens=state.tokens,
        store=state.store,
        random=basis.world.random,
        password_cost_log2=basis.config.password_cost_log2,
        read_barrier=basis.hooks.linearizable_read,
    )


def _quota(basis: Basis, flusher: BackendFlusher, flushed: Wakeup) -> SpaceQuota:
    quota_bytes = basis.config.backend_quota_bytes
    return SpaceQuota(
        world=basis.world,
        quota_bytes=None if quota_bytes < 0 else quota_bytes,
        member_id=basis.config.member_id,
        alarms=basis.state.alarms,
        size_bytes=lambda: flusher.size_bytes,
        raise_alarm=basis.hooks.replicate,
        flushed=flushed,
    )


def _cluster_service(basis: Basis, driver: RaftDriver, calls: PeerCalls) -> ClusterService:
    """Return the Cluster service, and let the transport pass strangers' connections to `Strangers`.

    A stranger is a member that the cluster does not know, or no longer knows.
    """
    world, config, membership = basis.world, basis.config, basis.state.membership
    strangers = Strangers(
        world,
        cluster=config.cluster_id,
        member=config.member_id,
        membership=membership,
        is_leaving=driver.is_leaving,
        removed=basis.hooks.removed,
    )
    driver.transport.take_strangers_with(strangers.take)
    return ClusterService(
        clock=world.clock,
        timeout_s=config.request_timeout_s,
        membership=membership,
        raft=basis.raft,
        driver=driver,
        changes=basis.waiting.member_changes,
        new_id=basis.ids.next,
        is_connected=driver.transport.is_connected,
        ask=calls.ask,
    )


def _peer_calls(basis: Basis, driver: RaftDriver) -> PeerCalls:
    transport = driver.transport
    calls = PeerCalls(
        basis.world,
        lambda peer, queue_bytes_max: transport.dial(peer, "calls", queue_bytes_max),
        url_of=transport.url_of,
        answer=basis.hooks.answer_peer,
        number=basis.ids.next,
    )
    transport.take_calls_with(calls.take)
    return calls


def _corruption_check(basis: Basis, calls: PeerCalls) -> CorruptionCheck:
    own_id, membership = basis.config.member_id, basis.state.membership
    return CorruptionCheck(
        world=basis.world,
        store=basis.state.store,
        alarms=basis.state.alarms,
        interval_s=basis.config.corruption_check_interval_ms / 1000,
        leads=basis.leads,
        peers=lambda: [one.id for one in membership.members() if one.id != own_id],
        ask=calls.ask,
        raise_alarm=basis.hooks.replicate,
        read_barrier=basis.hooks.linearizable_read,
    )


def _lease_service(basis: Basis, lessor: Lessor, calls: PeerCalls) -> LeaseService:
    config, raft = basis.config, basis.raft
    return LeaseService(
        clock=basis.world.clock,
        member_id=config.member_id,
        timeout_s=config.request_timeout_s,
        ttl_s_min=config.lease_ttl_s_min,
        table=basis.state.store.leases,
        lessor=lessor,
        leader=lambda: raft.leader,
        new_id=basis.ids.next,
        read_barrier=basis.hooks.linearizable_read,
        replicate=basis.hooks.replicate_as_leader,
        ask=calls.ask,
    )
