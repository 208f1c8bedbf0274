"""One member: assembles its parts, and handles the writes and reads of clients.

The eleven steps of the write path, in order:

    1   client_request    Server.propose: accepts a client's write
    2   follower_forward  RaftDriver.propose: this member is not leader; Raft forwards the write
    3   leader_receive    RaftDriver.propose, or RaftDriver._take_forwarded for a forwarded write
    4.1 leader_wal        RaftDriver._persist: the leader syncs its log
    4.2 replicate         RaftDriver._replicate: sends to every follower, before the leader's sync
    5   follower_wal      RaftDriver._persist: syncs before the follower acknowledges
    6   quorum_ack        RaftDriver._commit: the entry is durable on a majority
    7   leader_commit     RaftDriver._commit: the leader marks the entry committed
    8   follower_commit   RaftDriver._commit: a follower learns the commit index
    9   apply_notify      RaftDriver._commit: passes the entry to the applier
    10  apply_mvcc        Applier._apply_entry; BackendFlusher.flush follows later
    11  respond           Server.propose again, after this member has applied the entry

One task drives Raft and the WAL, one applies entries, and one flushes the backend. They share the
thread of the event loop. Values pass only in this direction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from splitbrain.node import member_metrics, member_settings
from splitbrain.node.alarms import Alarms
from splitbrain.node.api.v3_service import Api
from splitbrain.node.api.world import ApiWorld, Carriers
from splitbrain.node.apply.applier import Applied, Applier
from splitbrain.node.apply.flush_and_snapshot import BackendFlusher
from splitbrain.node.auth.auth_store import ANONYMOUS, AuthStore, Identity
from splitbrain.node.auth.authenticator import Authenticator
from splitbrain.node.auth.tokens import SimpleTokens
from splitbrain.node.backend import Backend
from splitbrain.node.cluster_service import ClusterService, dropped_error
from splitbrain.node.config import Config
from splitbrain.node.failpoint import FailpointError, Failpoints, parse_all
from splitbrain.node.joining import joined_config
from splitbrain.node.lease.lessor import Lessor
from splitbrain.node.lease.service import LeaseService
from splitbrain.node.maintenance.auto_compaction import AutoCompaction, policy_of
from splitbrain.node.maintenance.corruption_check import CorruptionCheck
from splitbrain.node.maintenance.space_quota import SpaceQuota
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.membership import Membership
from splitbrain.node.messages import errors
from splitbrain.node.messages.auth import TokenAssignRequest
from splitbrain.node.messages.caller import CALLER
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.messages.internal_request import (
    ClientWrite,
    InternalRequest,
    OperationResponse,
    encode,
)
from splitbrain.node.messages.lease import LessorRequest
from splitbrain.node.messages.rpc import (
    AlarmMember,
    AlarmType,
    Member,
    ResponseHeader,
    StatusResponse,
)
from splitbrain.node.mvcc.store import Store
from splitbrain.node.peer_calls import PeerCalls
from splitbrain.node.pending import Deadline, Pending, RequestIds
from splitbrain.node.publication import publish
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Role
from splitbrain.node.raft_driver import RaftDriver
from splitbrain.node.read_barrier import ReadBarrier
from splitbrain.node.strangers import Strangers
from splitbrain.node.wakeup import Wakeup
from splitbrain.node.world import Closable, DiskError
from splitbrain.node.write_path import Traced, WritePath

VERSION = "3.5.1"
"""The etcd release whose API the member implements."""

REMOVED_STOP_S = 1.0
"""The time after which a removed member stops."""
HAND_OVER_S = 1.0
"""The longest time that a stopping leader waits until another member leads."""

PENDING_REQUESTS_MAX = 5000
"""Maximal number of writes that wait at one member. Further writes are refused."""

UNAPPLIED_ENTRIES_MAX = 5000
"""Writes are refused if more committed entries than this wait to be applied. Source: etcd's
maxGapBetweenApplyAndCommitIndex."""


class Server:
    """One member of a cluster, in a real or simulated world.

    `start` recovers the state from the data directory and begins to serve peers and clients. `stop`
    ends the service and flushes the backend. If the disk fails, the member stops itself by
    `world.stop`, because it can no longer make durable what it acknowledges to other members.
    """

    def __init__(self, world: ApiWorld, config: Config) -> None:
        self._world = world
        self._config = config
        self.cluster_id = config.cluster_id
        self.member_id = config.member_id
        self.request_bytes_max = config.request_bytes_max
        self.txn_operations_max = config.txn_operations_max
        self.watch_progress_interval_ms = config.watch_progress_interval_ms
        self.watch_buffer_bytes = member_settings.watch_buffer_bytes(world)
        self.watch_fragment_bytes = member_settings.watch_fragment_bytes(config, world)
        self.metrics = member_metrics.MemberMetrics(config.member_id, VERSION)
        self.failpoints = Failpoints(world, parse_all(config.failpoints))
        self._path = WritePath(world, config.name, self.failpoints, tracing=config.tracing)
        self._served: list[Closable] = []
        self._stopping = False
        """Whether this member will stop because it was removed."""

    # --- starting and stopping ------------------------------------------------

    async def start(self) -> None:
        """Recover the state, then serve.

        Raises DirectoryInUse, AddressInUse, DiskError, and DataRefused if the data belongs to
        another member or cluster, or is damaged and the member cannot recover.
        """
        world = self._world
        world.disk.lock()
        await self._refuse_taken_addresses()
        config = await self._join()
        self._storage = await MemberStorage.open(world.disk, config)
        self.store = Store(self._storage.backend)
        self._membership = Membership(self._storage.backend, config)
        self._alarms = Alarms(self._storage.backend)
        self._auth = AuthStore(self._storage.backend)
        self._tokens = SimpleTokens(world.clock.monotonic_ns)
        self._trace_start()
        self.raft = self._recovered_raft()
        self._assemble()
        for url in config.listen_peer_urls:
            listener = await world.network.listen_peers(url, self._driver.transport.accept)
            self._served.append(listener)
        self._driver.transport.start()
        if self._membership.is_removed:
            self._stop_removed()
        world.spawn(self._driver.run(), "raft")
        world.spawn(self._applier.run(), "apply")
        world.spawn(self._backend.run(), "backend")
        world.spawn(self._publish(), "publish")
        self._start_maintenance()
        self._driver.start_ticking()
        self._follow_metrics()
        if self.raft.recovering:
            world.log("warn", "recovering from the leader", why=self._storage.damage or "a restart")
            world.spawn(self._serve_once_recovered(), "serve")
        else:
            await self._serve_clients()

    def _start_maintenance(self) -> None:
        world = self._world
        world.spawn(self._quota.run(), "quota")
        if self._config.corruption_check_interval_ms:
            world.spawn(self._corruption.run(), "corruption_check")
        policy = policy_of(self._config)
        if policy is not None:
            compaction = AutoCompaction(
                world=world,
                policy=policy,
                revision=lambda: self.store.revision,
                leads=lambda: self.raft.role is Role.LEADER,
                compact=self.propose,
            )
            world.spawn(compaction.run(), "auto_compaction")

    async def _answer_peer(self, question: bytes) -> bytes:
        """Answer the question of another member. Raises ConnectionError if this is impossible."""
        answer = self._corruption.answer(question)
        return await self.leases.answer_peer(question) if answer is None else answer

    async def _join(self) -> Config:
        """Join the cluster if this member was added to a running one."""
        self._config = config = await joined_config(self._world, self._config)
        if config.joined is not None:
            self.cluster_id, self.member_id = config.cluster_id, config.member_id
            self.metrics = member_metrics.MemberMetrics(config.member_id, VERSION)
        return config

    def _stop_removed(self) -> None:
        """Stop this member, because it was removed from the cluster.

        Before that, it answers its clients. Source: etcd's stopWithDelay.
        """
        if self._stopping:
            return
        self._stopping = True
        self._world.clock.call_later(
            REMOVED_STOP_S, lambda: self._world.stop(0, "this member was removed from the cluster")
        )

    def _members_changed(self) -> None:
        self._driver.members_changed()
        if self._membership.is_removed:
            self._stop_removed()

    async def _serve_clients(self) -> None:
        admin = self.failpoints if self._config.admin else None
        api = Api(self, metrics=self.metrics, admin=admin)
        serve, config = self._world.network.serve_clients, self._config
        carriers = Carriers.GRPC if config.listen_client_http_urls else Carriers.BOTH
        for url in config.listen_client_urls:
            self._served.append(await serve(url, api, carriers))
        for url in config.listen_client_http_urls:
            self._served.append(await serve(url, api, Carriers.HTTP))
        self._log_start()

    async def _serve_once_recovered(self) -> None:
        """Wait until a member that has lost data has recovered. Then serve clients.

        The store must first contain all entries that were committed when the log reached its floor
        again. An older store could give answers that are older than this member's earlier answers.
        """
        pause_s = self._config.heartbeat_ms / 1000
        while self.raft.recovering:
            await self._world.clock.sleep(pause_s)
        committed = self.raft.log.committed
        while self.store.consistent_index < committed:
            await self._world.clock.sleep(pause_s)
        await self._serve_clients()

    async def _refuse_taken_addresses(self) -> None:
        """Refuse to start if a peer address is in use, before any data is written.

        A new data directory is tied to its peer URLs. If it were created with an address that is in
        use, a later start with another address would be refused.
        """
        for url in self._config.listen_peer_urls:
            listener = await self._world.network.listen_peers(url, _refuse_peer)
            await listener.close()

    def _follow_metrics(self) -> None:
        member_metrics.follow(self.metrics, self.status, lambda: len(self._pending), self.store)
        self.metrics.quota.set(self._config.backend_quota_bytes)
        self.metrics.read_when_asked(self.metrics.auth_revision, lambda: self._auth.revision)
        traffic = self._driver.transport.traffic
        self.metrics.follow_peers({f"{peer:x}": one for peer, one in traffic.items()})

    def _recovered_raft(self) -> Raft:
        found = self._storage.recovered
        return Raft(
            member_settings.raft_config(self._config, self._world),
            self._world.random,
            hard_state=found.hard_state,
            snapshot=found.snapshot,
            entries=found.entries,
            applied=self.store.consistent_index,
            floor=found.floor,
            conf_state=(
                self._membership.record_of_members.conf_state
                if self._membership.is_changed
                else None
            ),
        )

    def _assemble(self) -> None:
        world, config, path, storage = self._world, self._config, self._path, self._storage
        self._ids = RequestIds(config.member_id, storage.incarnation)
        writes = Deadline(world.clock, config.request_timeout_s, errors.timed_out)
        self._pending: Pending[Applied] = Pending(writes, PENDING_REQUESTS_MAX)
        self._published: Pending[None] = Pending(writes, 1)
        self._changes: Pending[None] = Pending(writes, PENDING_REQUESTS_MAX)
        self._reads = ReadBarrier(
            clock=world.clock,
            deadline=Deadline(world.clock, config.request_timeout_s, errors.timed_out),
            ids=self._ids,
            # The driver is assigned below.
            ask=lambda context: self._driver.ask_read_index(context),  # noqa: PLW0108
            applied=lambda: self.store.consistent_index,
        )
        flushed = Wakeup()
        self._backend = BackendFlusher(
            world=world,
            config=config,
            path=path,
            storage=storage,
            store=self.store,
            raft=self.raft,
            metrics=self.metrics,
            flushed=flushed,
        )
        self.auth = Authenticator(
            auth=self._auth,
            tokens=self._tokens,
            store=self.store,
            random=world.random,
            password_cost_log2=config.password_cost_log2,
            read_barrier=self.linearizable_read,
        )
        self._quota = SpaceQuota(
            world=world,
            quota_bytes=None if config.backend_quota_bytes < 0 else config.backend_quota_bytes,
            member_id=config.member_id,
            alarms=self._alarms,
            size_bytes=lambda: self._backend.size_bytes,
            raise_alarm=self._replicate,
            flushed=flushed,
        )
        self._lessor = Lessor(
            clock=world.clock,
            table=self.store.leases,
            leading_term=lambda: self.raft.term if self.raft.role is Role.LEADER else 0,
            propose=self._propose_as_leader,
            extension_s=config.election_ms / 1000,
            checkpoint_interval_s=config.lease_checkpoint_interval_s,
        )
        self._applier = Applier(
            world=world,
            path=path,
            storage=storage,
            store=self.store,
            lessor=self._lessor,
            membership=self._membership,
            alarms=self._alarms,
            auth=self._auth,
            tokens=self._tokens,
            pending=self._pending,
            published=self._published,
            changes=self._changes,
            reads=self._reads,
            backend=self._backend,
            members_changed=self._members_changed,
        )
        self._driver = RaftDriver(
            world=world,
            config=config,
            path=path,
            raft=self.raft,
            storage=storage,
            store=self.store,
            applier=self._applier,
            reads=self._reads,
            metrics=self.metrics,
            leader_changed=self._leader_changed,
            membership=self._membership,
        )
        self._assemble_cluster()
        self._assemble_leases()

    def _assemble_cluster(self) -> None:
        world, config, transport = self._world, self._config, self._driver.transport
        strangers = Strangers(
            world,
            cluster=config.cluster_id,
            member=config.member_id,
            membership=self._membership,
            removed=self._stop_removed,
        )
        transport.take_strangers_with(strangers.take)
        self.cluster = ClusterService(
            clock=world.clock,
            timeout_s=config.request_timeout_s,
            membership=self._membership,
            raft=self.raft,
            driver=self._driver,
            changes=self._changes,
            new_id=self._ids.next,
            is_connected=transport.is_connected,
        )

    def _assemble_leases(self) -> None:
        transport = self._driver.transport
        calls = PeerCalls(
            self._world,
            lambda peer, queue_bytes_max: transport.dial(peer, "calls", queue_bytes_max),
            url_of=transport.url_of,
            answer=self._answer_peer,
            number=self._ids.next,
        )
        transport.take_calls_with(calls.take)
        self._calls = calls
        self._corruption = CorruptionCheck(
            world=self._world,
            store=self.store,
            alarms=self._alarms,
            interval_s=self._config.corruption_check_interval_ms / 1000,
            leads=lambda: self.raft.role is Role.LEADER,
            peers=lambda: [one.id for one in self.members() if one.id != self.member_id],
            ask=calls.ask,
            raise_alarm=self._replicate,
            read_barrier=self.linearizable_read,
        )
        self.leases = LeaseService(
            clock=self._world.clock,
            member_id=self._config.member_id,
            timeout_s=self._config.request_timeout_s,
            ttl_s_min=self._config.lease_ttl_s_min,
            table=self.store.leases,
            lessor=self._lessor,
            leader=lambda: self.raft.leader,
            new_id=self._ids.next,
            read_barrier=self.linearizable_read,
            replicate=self._replicate_as_leader,
            ask=calls.ask,
        )

    def _leader_changed(self) -> None:
        self._reads.leader_changed(errors.leader_changed())
        self._lessor.role_changed()

    async def _publish(self) -> None:
        await publish(
            self._world,
            self._membership.own,
            self._ids,
            self._published,
            self._driver.propose_own,
            retry_s=self._config.heartbeat_ms / 1000,
        )

    def _trace_start(self) -> None:
        hard_state = self._storage.recovered.hard_state
        names = {peer.id: peer.name for peer in self._config.peers}
        found = Traced(term=hard_state.term, index=self.store.consistent_index)
        vote = names.get(hard_state.vote, "")
        self._path.trace("start", found, revision=self.store.revision, peer=vote)

    def _log_start(self) -> None:
        self._world.log(
            "info",
            "serving",
            clients=",".join(self._config.listen_client_urls),
            peers=",".join(self._config.listen_peer_urls),
            cluster=f"{self.cluster_id:x}",
            id=f"{self.member_id:x}",
            applied=self.store.consistent_index,
        )

    async def stop(self) -> None:
        """Transfer the leadership if this member has it, stop serving, and flush the backend."""
        await self.cluster.hand_over(HAND_OVER_S)
        for served in reversed(self._served):
            await served.close()
        self._served.clear()
        self._calls.close()
        self._driver.transport.close()
        await self._storage.backend.flush()

    def close(self, *, trim: bool = False) -> None:
        """Close the files. The member's tasks must have ended.

        With `trim`, the disk space that the log preallocated and does not use is freed.
        """
        if trim:
            try:
                self._storage.trim()
            except DiskError as problem:
                self._world.log("warn", "cannot trim the write-ahead log", why=str(problem))
        self._storage.close()

    @property
    def backend(self) -> Backend:
        return self._storage.backend

    @property
    def storage(self) -> MemberStorage:
        """The durable state. It is available after `start` has opened it."""
        return self._storage

    # --- methods that the API calls ---------------------------------------------

    async def propose(self, operation: ClientWrite) -> OperationResponse:
        """Execute a client's write: steps 1 to 11. Raises RpcError."""
        self._refuse_as_learner()
        if self._pending.full or self._unapplied_entries > UNAPPLIED_ENTRIES_MAX:
            raise errors.too_many_requests()
        await self._quota.check(operation)
        if isinstance(operation, TokenAssignRequest):
            return await self._replicate(operation)
        return await self._replicate(operation, await self.auth.identity())

    @property
    def _unapplied_entries(self) -> int:
        return self.raft.log.committed - self.store.consistent_index

    async def _replicate(
        self, operation: ClientWrite, identity: Identity = ANONYMOUS
    ) -> OperationResponse:
        subject = Traced(self._ids.next())
        data = encode(
            InternalRequest(subject.request, operation, identity.name, identity.revision)
        )
        carrier = CALLER.get().carrier
        try:
            await self._path.before("client_request")
            await self._path.after("client_request", subject, carrier=carrier)
            done = await self._pending.wait_for(
                subject.request, lambda: self._driver.propose(subject, data)
            )
            await self._path.before("respond")
        except FailpointError as failure:
            raise RpcError(Code.UNKNOWN, str(failure)) from failure
        except ProposalDropped as dropped:
            self.metrics.proposal_failed()
            raise dropped_error(dropped) from dropped
        self._path.trace("respond", done.subject, revision=done.revision, carrier=carrier)
        if self.failpoints.armed:
            self._world.spawn(self._after_respond(), "after_respond")
        return done.response

    def _propose_as_leader(self, request: LessorRequest) -> None:
        """Propose a request of this leader, without waiting for it. Raises ProposalDropped."""
        self._driver.propose_own(encode(InternalRequest(self._ids.next(), request)))

    async def _replicate_as_leader(self, request: LessorRequest) -> None:
        """Propose a request of this leader, and wait until it is applied.

        Raises ProposalDropped, RpcError.
        """
        number = self._ids.next()

        async def begin() -> None:
            self._driver.propose_own(encode(InternalRequest(number, request)))

        await self._pending.wait_for(number, begin)

    def _refuse_as_learner(self) -> None:
        """Raise RpcError if this member is a learner, which serves only serializable reads."""
        if self.member_id in self.raft.learners:
            raise errors.not_supported_for_learner()

    async def _after_respond(self) -> None:
        # The response is written in a later iteration of the event loop. The failpoint must be
        # reached after the response is written.
        await self._world.clock.sleep(0.005)
        await self._path.reached_after("respond")

    async def linearizable_read(self) -> None:
        """Return when this member has applied all entries that were committed at the call."""
        self._refuse_as_learner()
        try:
            await self._reads.wait()
        except RpcError:
            self.metrics.read_index_failed()
            raise

    async def sleep(self, seconds: float) -> None:
        await self._world.clock.sleep(seconds)

    def header(self) -> ResponseHeader:
        return ResponseHeader(self.cluster_id, self.member_id, self.store.revision, self.raft.term)

    def health(self, ignored_alarms: Collection[str] = ()) -> tuple[bool, str]:
        """Return whether the member can serve, and the reason if it cannot.

        As in etcd's /health, a member cannot serve if it knows no leader, or if an alarm is raised
        whose name is not among `ignored_alarms`.
        """
        for alarm in self._alarms.raised():
            name = AlarmType(alarm.alarm).name
            if name not in ignored_alarms:
                return False, f"ALARM {name}"
        return (True, "") if self.raft.leader else (False, "RAFT NO LEADER")

    def spawn(self, work: Awaitable[None], name: str) -> None:
        self._world.spawn(work, name)

    def failed(self, what: str, problem: Exception) -> None:
        """Log that `what` failed. If the disk has failed, the member stops."""
        why = f"{type(problem).__name__}: {problem}"
        self._world.log("error", f"{what} failed", why=why)
        if isinstance(problem, DiskError):
            self._world.stop(1, f"{what}: {why}")

    def status(self) -> StatusResponse:
        backend = self._storage.backend
        return StatusResponse(
            header=self.header(),
            version=VERSION,
            db_size=backend.size_bytes,
            leader=self.raft.leader,
            raft_index=self.raft.log.committed,
            raft_term=self.raft.term,
            raft_applied_index=self.store.consistent_index,
            errors=self._status_errors(),
            db_size_in_use=backend.size_in_use_bytes,
        )

    def _status_errors(self) -> tuple[str, ...]:
        without_leader = () if self.raft.leader else (errors.no_leader().message,)
        return (*without_leader, *map(alarm_text, self._alarms.raised()))

    def members(self) -> list[Member]:
        """Return all members, with the attributes that they have published."""
        return self._membership.members()


def alarm_text(alarm: AlarmMember) -> str:
    """Return an alarm as etcd's status lists it, in protobuf's compact text format."""
    member = f"memberID:{alarm.member_id} " if alarm.member_id else ""
    return f"{member}alarm:{AlarmType(alarm.alarm).name} "


def _refuse_peer(hello: bytes) -> Callable[[bytes], None]:
    raise ConnectionRefusedError("this member has not started yet")
