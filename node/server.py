"""Implements the member: starts and stops its parts, and handles clients' writes and reads.

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
thread of the event loop. Each passes its results to the next one, never back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from splitbrain.node import member_metrics, member_settings
from splitbrain.node.api.client_network import ApiWorld, Carriers
from splitbrain.node.api.v3_service import Api
from splitbrain.node.api.watch import QUEUE_MAX
from splitbrain.node.assembly import Parts, assemble, open_state, recovered_raft
from splitbrain.node.auth.auth_store import ANONYMOUS, Identity
from splitbrain.node.backend import Backend
from splitbrain.node.cluster_service import dropped_error
from splitbrain.node.config import Config
from splitbrain.node.failpoint import FailpointError, Failpoints, parse_all
from splitbrain.node.force_new_cluster import force_new_cluster
from splitbrain.node.join_cluster import joined_config
from splitbrain.node.maintenance.auto_compaction import AutoCompaction, policy_of
from splitbrain.node.member_storage import DataRefused, MemberStorage
from splitbrain.node.messages import errors
from splitbrain.node.messages.auth import TokenAssignRequest
from splitbrain.node.messages.current_client import CALLER
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
from splitbrain.node.publish_attributes import publish
from splitbrain.node.raft.confchange import ConfChange
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.message import Entry
from splitbrain.node.raft.ready import Role
from splitbrain.node.step_trace import Traced, WritePath
from splitbrain.node.world import Closable, DiskError

VERSION = "3.5.1"
"""The etcd release whose API the member implements."""

REMOVED_STOP_S = 1.0
"""How long a removed member still answers its clients before it stops, in seconds."""
HAND_OVER_S = 1.0
"""The longest time, in seconds, that a stopping leader waits until another member is leader."""

UNAPPLIED_ENTRIES_MAX = 5000
"""Writes are refused while more committed entries than this wait to be applied.

Source: etcd's maxGapBetweenApplyAndCommitIndex.
"""


class Server:
    """One member of a cluster, in a real or simulated world.

    `start` recovers the state from the data directory and begins to serve peers and clients. `stop`
    ends the service and flushes the backend. If the disk fails, the member stops itself by
    `world.stop`, because the data that it acknowledges could no longer become durable.
    """

    def __init__(self, world: ApiWorld, config: Config) -> None:
        self._world = world
        self._config = config
        self.cluster_id = config.cluster_id
        self.member_id = config.member_id
        self.request_bytes_max = config.request_bytes_max
        self.txn_operations_max = config.txn_operations_max
        self.election_timeout_s = config.election_ms / 1000
        self.watch_progress_interval_ms = config.watch_progress_interval_ms
        self.watch_buffer_bytes = member_settings.watch_buffer_bytes(world)
        self.watch_queue_max = 1 if world.buggify("a watch stream's queue is short") else QUEUE_MAX
        self.pause_watcher = member_settings.watcher_pause(world)
        self.watch_revisions_at_once = member_settings.watch_revisions_at_once(world)
        self.watch_fragment_bytes = member_settings.watch_fragment_bytes(config, world)
        self.metrics = member_metrics.MemberMetrics(config.member_id, VERSION)
        self.failpoints = Failpoints(world, parse_all(config.failpoints))
        self._path = WritePath(world, config.name, self.failpoints, tracing=config.tracing)
        self._served: list[Closable] = []
        self._stopping = False
        """Whether this member is going to stop because it was removed from the cluster."""

    # --- starting and stopping ------------------------------------------------

    async def start(self) -> None:
        """Recover the state, join the other members, and begin to serve clients.

        Raises DirectoryInUse, AddressInUse, DiskError, and DataRefused if the data belongs to
        another member or cluster, or is damaged and the member cannot recover.
        """
        world = self._world
        world.disk.lock()
        await self._refuse_taken_addresses()
        config = await self._join()
        self._state = await open_state(world, config)
        self.store = self._state.store
        if config.force_new_cluster:
            await force_new_cluster(
                self._state.storage, self._state.membership, self.store.consistent_index,
                config.member_id,
            )
            world.log("warn", "all other members are removed", why="--force-new-cluster")
        self._trace_start()
        self.raft = recovered_raft(world, config, self._state)
        self.parts = parts = self._assemble()
        self.auth, self.cluster, self.leases = parts.auth, parts.cluster, parts.leases
        for url in config.listen_peer_urls:
            listener = await world.network.listen_peers(url, parts.driver.transport.accept)
            self._served.append(listener)
        parts.driver.transport.start()
        if self._state.membership.is_removed:
            self.removed()
        if config.initial_corruption_check:
            await self._compare_with_peers()
        world.spawn(parts.driver.run(), "raft")
        world.spawn(parts.applier.run(), "apply")
        world.spawn(parts.flusher.run(), "backend")
        world.spawn(self._publish(), "publish")
        self._start_maintenance()
        parts.driver.start_ticking()
        self._export_metrics()
        if self.raft.recovering:
            why = self.storage.damage or "a restart"
            world.log("warn", "recovering from the leader", why=why)
            world.spawn(self._serve_once_recovered(), "serve")
        else:
            await self._serve_clients()

    async def _compare_with_peers(self) -> None:
        """Raise DataRefused if this member's data differs from that of a peer."""
        differing = await self.parts.corruption.check_at_start()
        if differing:
            peers = ", ".join(f"{peer:x}" for peer in differing)
            raise DataRefused(
                f"the data of this member at revision {self.store.revision} differs from that of"
                f" {peers}; remove the member whose data is wrong, and add it again with an empty"
                " data directory"
            )

    def _start_maintenance(self) -> None:
        world = self._world
        world.spawn(self.parts.quota.run(), "quota")
        if self._config.corruption_check_interval_ms:
            world.spawn(self.parts.corruption.run(), "corruption_check")
        policy = policy_of(self._config)
        if policy is not None:
            compaction = AutoCompaction(
                world=world, policy=policy, revision=lambda: self.store.revision,
                leads=lambda: self.raft.role is Role.LEADER, compact=self.propose,
            )
            world.spawn(compaction.run(), "auto_compaction")

    def _assemble(self) -> Parts:
        return assemble(
            world=self._world,
            config=self._config,
            path=self._path,
            metrics=self.metrics,
            state=self._state,
            raft=self.raft,
            hooks=self,
        )

    async def _join(self) -> Config:
        """Join the cluster if this member was added to a running one.

        Returns the configuration, with what the member has learned by joining.
        """
        self._config = config = await joined_config(self._world, self._config)
        if config.joined is not None:
            self.cluster_id, self.member_id = config.cluster_id, config.member_id
            self.metrics = member_metrics.MemberMetrics(config.member_id, VERSION)
        return config

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
        """Begin to serve clients when a member that has lost data has recovered.

        The member first waits until its log has reached `RaftState.floor`. Then it waits until the
        store contains all entries that are committed at this moment. Therefore no answer is older
        than an answer that the member gave before it lost the data.
        """
        pause_s = self._config.heartbeat_ms / 1000
        while self.raft.recovering:
            await self._world.clock.sleep(pause_s)
        committed = self.raft.log.committed
        while self.store.consistent_index < committed:
            await self._world.clock.sleep(pause_s)
        await self._serve_clients()

    async def _refuse_taken_addresses(self) -> None:
        """Raise AddressInUse if a peer address is in use, before any data is written.

        A new data directory is tied to its peer URLs. If it were created with an address that is in
        use, a later start with another address would be refused.
        """
        for url in self._config.listen_peer_urls:
            listener = await self._world.network.listen_peers(url, _refuse_peer)
            await listener.close()

    def _export_metrics(self) -> None:
        writes = self.parts.waiting.writes
        member_metrics.export(self.metrics, self.status, lambda: len(writes), self.store)
        self.metrics.quota.set(self._config.backend_quota_bytes)
        self.metrics.read_when_asked(self.metrics.auth_revision, lambda: self._state.auth.revision)
        traffic = self.parts.driver.transport.traffic
        self.metrics.export_leases(self.parts.lessor.counts)
        self.metrics.export_peers({f"{peer:x}": one for peer, one in traffic.items()})

    async def _publish(self) -> None:
        await publish(
            self._world,
            self._state.membership.own,
            self.parts.ids,
            self.parts.waiting.published,
            self.parts.driver.propose_own,
            retry_s=self._config.heartbeat_ms / 1000,
        )

    def _trace_start(self) -> None:
        hard_state = self.storage.recovered.hard_state
        membership = self._state.membership
        names = {member.id: member.name for member in membership.members()}
        found = Traced(term=hard_state.term, index=self.store.consistent_index)
        vote = names.get(hard_state.vote, "")
        self._path.trace_configuration(
            "start", found, membership.record_of_members.conf_state, member_id=self.member_id,
            vote=hard_state.vote, revision=self.store.revision, peer=vote,
        )

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
        """Transfer the leadership if this member is leader, stop serving, and flush the backend."""
        await self.cluster.hand_over(HAND_OVER_S)
        for served in reversed(self._served):
            await served.close()
        self._served.clear()
        self.parts.calls.close()
        self.parts.driver.transport.close()
        await self.storage.backend.flush()

    def close(self, *, trim: bool = False) -> None:
        """Close the files. The member's tasks must have ended.

        With `trim`, the disk space that the log preallocated and does not use is freed.
        """
        if trim:
            try:
                self.storage.trim()
            except DiskError as problem:
                self._world.log("warn", "cannot trim the write-ahead log", why=str(problem))
        self.storage.close()

    @property
    def backend(self) -> Backend:
        return self._state.storage.backend

    async def flush_backend(self) -> None:
        await self.parts.flusher.flush_all()

    @property
    def storage(self) -> MemberStorage:
        """The durable state of this member. It is available after `start` has opened it."""
        return self._state.storage

    # --- methods that the parts call (assembly.Hooks) ---------------------------

    async def replicate(
        self, operation: ClientWrite, identity: Identity = ANONYMOUS
    ) -> OperationResponse:
        """Replicate a write of the user `identity`, and return its response: steps 1 to 11.

        The limits were checked before, by `propose`. Raises RpcError.
        """
        subject = Traced(self.parts.ids.next())
        data = encode(
            InternalRequest(subject.request, operation, identity.name, identity.revision)
        )
        carrier = CALLER.get().carrier
        try:
            await self._path.before("client_request")
            await self._path.after("client_request", subject, carrier=carrier)
            done = await self.parts.waiting.writes.wait_for(
                subject.request, lambda: self.parts.driver.propose(subject, data)
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

    def propose_as_leader(self, request: LessorRequest) -> None:
        """Propose a request of this leader's own lessor, and do not wait for the result.

        Raises ProposalDropped.
        """
        self.parts.driver.propose_own(encode(InternalRequest(self.parts.ids.next(), request)))

    async def replicate_as_leader(self, request: LessorRequest) -> None:
        """Propose a request of this leader's own lessor, and wait until it is applied.

        Raises ProposalDropped, RpcError.
        """
        number = self.parts.ids.next()

        async def begin() -> None:
            self.parts.driver.propose_own(encode(InternalRequest(number, request)))

        await self.parts.waiting.writes.wait_for(number, begin)

    async def answer_peer(self, question: bytes) -> bytes:
        """Answer the question of another member. Raises ConnectionError if this is impossible."""
        answer = self.parts.corruption.answer(question)
        if answer is None:
            answer = await self.cluster.answer(question)
        return await self.leases.answer_peer(question) if answer is None else answer

    def leader_changed(self) -> None:
        """Let the reads in progress fail, and stop being primary lessor if another member leads."""
        self.parts.reads.leader_changed(errors.leader_changed())
        self.parts.lessor.role_changed()

    def change_configuration(self, change: ConfChange, entry: Entry) -> None:
        self.parts.driver.change_configuration(change, entry)

    def members_changed(self) -> None:
        """Connect to the present members. If this member was removed, let it stop."""
        self.parts.driver.members_changed()
        if self._state.membership.is_removed:
            self.removed()

    def removed(self) -> None:
        """Stop this member, because it was removed from the cluster.

        It first has a short time to answer its clients. Source: etcd's stopWithDelay.
        """
        if self._stopping:
            return
        self._stopping = True
        self._world.clock.call_later(
            REMOVED_STOP_S, lambda: self._world.stop(0, "this member was removed from the cluster")
        )

    # --- methods that the API calls ---------------------------------------------

    async def propose(self, operation: ClientWrite) -> OperationResponse:
        """Check and replicate a client's write, and return its response: steps 1 to 11.

        Raises RpcError.
        """
        self._refuse_as_learner()
        self._refuse_when_overloaded()
        await self.parts.quota.check(operation)
        if isinstance(operation, TokenAssignRequest):
            return await self.replicate(operation)
        return await self.replicate(operation, await self.auth.identity())

    def _refuse_when_overloaded(self) -> None:
        """Raise RpcError if too many requests or committed entries wait to be applied."""
        few = self._world.buggify("few entries may wait to be applied")
        entries_max = 3 if few else UNAPPLIED_ENTRIES_MAX
        unapplied = self.raft.log.committed - self.store.consistent_index
        if self.parts.waiting.writes.full or unapplied > entries_max:
            raise errors.too_many_requests()

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
        """Wait until this member has applied all entries that were committed at the call.

        Raises RpcError.
        """
        self._refuse_as_learner()
        try:
            await self.parts.reads.wait()
        except RpcError:
            self.metrics.read_index_failed()
            raise

    async def sleep(self, seconds: float) -> None:
        await self._world.clock.sleep(seconds)

    def header(self) -> ResponseHeader:
        return ResponseHeader(self.cluster_id, self.member_id, self.store.revision, self.raft.term)

    def health(self, ignored_alarms: Collection[str] = ()) -> tuple[bool, str]:
        """Return whether the member can serve requests, and the reason if it cannot (otherwise "").

        As in etcd's /health, a member cannot serve if it knows no leader, or if an alarm is raised
        whose name is not among `ignored_alarms`.
        """
        for alarm in self._state.alarms.raised():
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
        backend = self.storage.backend
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
        return (*without_leader, *map(alarm_text, self._state.alarms.raised()))

    def members(self) -> list[Member]:
        """Return all members, with the attributes that they have published."""
        return self._state.membership.members()


def alarm_text(alarm: AlarmMember) -> str:
    """Return an alarm as text, in protobuf's compact text format, as etcd's status contains it."""
    member = f"memberID:{alarm.member_id} " if alarm.member_id else ""
    return f"{member}alarm:{AlarmType(alarm.alarm).name} "


def _refuse_peer(hello: bytes) -> Callable[[bytes], None]:
    raise ConnectionRefusedError("this member has not started yet")
