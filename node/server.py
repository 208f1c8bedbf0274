"""One member: its parts put together, and what a client's request meets in it.

The write path, its eleven steps in order:

    1   client_request    Server.propose: a client's write comes in
    2   follower_forward  RaftDriver.propose: this member does not lead; Raft forwards it
    3   leader_receive    RaftDriver.propose; for a forwarded one RaftDriver._take_message
    4.1 leader_wal        RaftDriver._persist: the leader's own log, synced
    4.2 replicate         RaftDriver._replicate: to every follower, before the own sync
    5   follower_wal      RaftDriver._persist: synced before the follower acknowledges
    6   quorum_ack        RaftDriver._commit: a majority holds the entry, durably
    7   leader_commit     RaftDriver._commit
    8   follower_commit   RaftDriver._commit: a follower learned of it
    9   apply_notify      RaftDriver._commit: handed to the store
    10  apply_mvcc        Applier._apply_entry; BackendFollower.flush comes after
    11  respond           Server.propose again: after this member's own apply

One task drives Raft and the WAL, one applies, one flushes the backend; they share the
loop's thread and hand values on, in that direction only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from splitbrain.node import member_metrics
from splitbrain.node.api.service import Api
from splitbrain.node.api.world import ApiWorld
from splitbrain.node.apply.applier import Applied, Applier
from splitbrain.node.apply.backend_flusher import BackendFlusher
from splitbrain.node.config import Config
from splitbrain.node.failpoint import FailpointError, Failpoints, parse_all
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.membership import Membership
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.messages.internal_request import InternalRequest, encode
from splitbrain.node.messages.rpc import (
    Member,
    ResponseHeader,
    StatusResponse,
    WriteRequest,
    WriteResponse,
)
from splitbrain.node.mvcc.store import Store
from splitbrain.node.mvcc.watch import BUFFER_BYTES_MAX
from splitbrain.node.pending import Deadline, Pending, RequestIds
from splitbrain.node.publication import publish
from splitbrain.node.raft.config import Config as RaftConfig
from splitbrain.node.raft.errors import DropReason, ProposalDropped
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft_driver import RaftDriver
from splitbrain.node.read_barrier import ReadBarrier
from splitbrain.node.world import Closable, DiskError, World
from splitbrain.node.write_path import Traced, WritePath

VERSION = "3.5.1"
"""The etcd release whose API is served."""

FRAGMENT_OVERHEAD_BYTES = 512 * 1024
"""A watch's answer is cut where it is larger than a request may be by this. Source: etcd's
grpcOverheadBytes."""

PENDING_REQUESTS_MAX = 5000
"""Writes that wait at one member; more are refused. Source: etcd refuses when apply
lags 5,000 entries behind commit (maxGapBetweenApplyAndCommitIndex)."""


class Server:
    """One member of a cluster, in whatever `World` it is given.

    `start` recovers what the data directory holds and begins to serve peers and
    clients; `stop` ends that and leaves the backend flushed. In between the member
    stops itself, by `world.stop`, when its disk fails: it never goes on with less
    than it promised.
    """

    def __init__(self, world: ApiWorld, config: Config) -> None:
        self._world = world
        self._config = config
        self.cluster_id = config.cluster_id
        self.member_id = config.member_id
        self.request_bytes_max = config.request_bytes_max
        self.txn_operations_max = config.txn_operations_max
        self.watch_progress_interval_ms = config.watch_progress_interval_ms
        self.watch_buffer_bytes = watch_buffer_bytes(world)
        self.watch_fragment_bytes = watch_fragment_bytes(config, world)
        self.metrics = member_metrics.MemberMetrics(config.member_id, VERSION)
        self.failpoints = Failpoints(world, parse_all(config.failpoints))
        self._path = WritePath(world, config.name, self.failpoints, tracing=config.tracing)
        self._served: list[Closable] = []

    # --- starting and stopping ------------------------------------------------

    async def start(self) -> None:
        """Recover, then serve. Raises DirectoryInUse, AddressInUse, DataRefused (the
        data of another member, or corrupt), DiskError."""
        config, world = self._config, self._world
        world.disk.lock()
        await self._refuse_taken_addresses()
        self._storage = await MemberStorage.open(world.disk, config)
        self.store = Store(self._storage.backend)
        self._storage.check_applied(self.store.consistent_index)
        self._membership = Membership(self._storage.backend, config)
        self._trace_start()
        self.raft = self._recovered_raft()
        self._assemble()
        for url in config.listen_peer_urls:
            listener = await world.network.listen_peers(url, self._driver.transport.accept)
            self._served.append(listener)
        self._driver.transport.start()
        world.spawn(self._driver.run(), "raft")
        world.spawn(self._applier.run(), "apply")
        world.spawn(self._backend.run(), "backend")
        world.spawn(self._publish(), "publish")
        self._driver.start_ticking()
        self._follow_metrics()
        api = Api(self, metrics=self.metrics, admin=self.failpoints if config.admin else None)
        for url in config.listen_client_urls:
            self._served.append(await world.network.serve_clients(url, api))
        self._log_start()

    async def _refuse_taken_addresses(self) -> None:
        """Before anything is written: a new data directory belongs to the peer URLs that it
        was begun with, and would refuse the other ones that a second try gives."""
        for url in self._config.listen_peer_urls:
            tried = await self._world.network.listen_peers(url, _nobody_yet)
            await tried.close()

    def _follow_metrics(self) -> None:
        member_metrics.follow(self.metrics, self.status, lambda: len(self._pending), self.store)
        self.metrics.quota.set(self._config.backend_quota_bytes)
        traffic = self._driver.transport.traffic
        self.metrics.follow_peers({f"{peer:x}": one for peer, one in traffic.items()})

    def _recovered_raft(self) -> Raft:
        found = self._storage.recovered
        return Raft(
            raft_config(self._config, self._world),
            self._world.random,
            hard_state=found.hard_state,
            snapshot=found.snapshot,
            entries=found.entries,
            applied=self.store.consistent_index,
        )

    def _assemble(self) -> None:
        world, config, path, storage = self._world, self._config, self._path, self._storage
        self._ids = RequestIds(config.member_id, storage.incarnation)
        writes = Deadline(world.clock, config.request_timeout_s, errors.timed_out)
        self._pending: Pending[Applied] = Pending(writes, PENDING_REQUESTS_MAX)
        self._published: Pending[None] = Pending(writes, 1)
        self._reads = ReadBarrier(
            world.clock,
            Deadline(world.clock, config.request_timeout_s, errors.timed_out),
            self._ids,
            lambda context: self._driver.ask_read_index(context),  # noqa: PLW0108 - made after this
            lambda: self.store.consistent_index,
        )
        self._backend = BackendFlusher(
            world, config, path, storage, self.store, self.raft, self.metrics
        )
        self._applier = Applier(
            world,
            path,
            storage,
            self.store,
            self._membership,
            self._pending,
            self._published,
            self._reads,
            self._backend,
        )
        self._driver = RaftDriver(
            world,
            config,
            path,
            self.raft,
            storage,
            self.store,
            self._applier,
            self._reads,
            self.metrics,
            lambda: self._reads.leader_changed(errors.leader_changed()),
        )

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
        """Stop serving, and leave nothing in memory that the backend lacks."""
        for served in reversed(self._served):
            await served.close()
        self._served.clear()
        self._driver.transport.close()
        await self._storage.backend.flush()

    def close(self, *, trim: bool = False) -> None:
        """Close the files, once the member's tasks have ended. `trim` also returns the disk
        space that the log preallocated and does not use."""
        if trim:
            try:
                self._storage.trim()
            except DiskError as problem:
                self._world.log("warn", "cannot trim the write-ahead log", why=str(problem))
        self._storage.close()

    @property
    def storage(self) -> MemberStorage:
        """Once `start` has opened it."""
        return self._storage

    # --- what the API asks of a member ------------------------------------------

    async def propose(self, operation: WriteRequest) -> WriteResponse:
        """A client's write: steps 1 and 11, and all between. Raises RpcError."""
        if self._pending.full:
            raise errors.too_many_requests()
        if self._backend.is_full:
            raise errors.no_space()
        subject = Traced(self._ids.next())
        data = encode(InternalRequest(subject.request, operation))
        try:
            await self._path.before("client_request")
            await self._path.after("client_request", subject)
            done = await self._pending.wait_for(
                subject.request, lambda: self._driver.propose(subject, data)
            )
            await self._path.before("respond")
        except FailpointError as failure:
            raise RpcError(Code.UNKNOWN, str(failure)) from failure
        except ProposalDropped as dropped:
            self.metrics.proposal_failed()
            raise _refusal(dropped) from dropped
        self._path.trace("respond", done.subject, revision=done.revision)
        if self.failpoints.armed:
            self._world.spawn(self._after_respond(), "after_respond")
        return done.response

    async def _after_respond(self) -> None:
        # The answer is written when this member's turn of the loop comes to it; only
        # then is there an "after".
        await self._world.clock.sleep(0.005)
        await self._path.reached_after("respond")

    async def linearizable_read(self) -> None:
        """Returns once this member has applied all that was committed at the call."""
        try:
            await self._reads.wait()
        except RpcError:
            self.metrics.read_index_failed()
            raise

    async def sleep(self, seconds: float) -> None:
        await self._world.clock.sleep(seconds)

    def header(self) -> ResponseHeader:
        return ResponseHeader(self.cluster_id, self.member_id, self.store.revision, self.raft.term)

    def health(self) -> tuple[bool, str]:
        """As etcd's /health: no leader, no service."""
        return (True, "") if self.raft.leader else (False, "RAFT NO LEADER")

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
            db_size_in_use=backend.size_in_use_bytes,
        )

    def members(self) -> list[Member]:
        """All members, with what each has published of itself."""
        return self._membership.members()


def _nobody_yet(hello: bytes) -> Callable[[bytes], None]:
    raise ConnectionRefusedError("not started yet")


def raft_config(config: Config, world: World) -> RaftConfig:
    settled = RaftConfig(
        id=config.member_id,
        voters=tuple(sorted(peer.id for peer in config.peers)),
        election_ticks=config.election_ticks,
        pre_vote=config.pre_vote,
        check_quorum=config.check_quorum,
    )
    if world.buggify("tiny appends"):
        settled = replace(settled, message_bytes_max=64)
    if world.buggify("few appends in flight"):
        settled = replace(settled, inflight_messages_max=2)
    if world.buggify("few committed entries at once"):
        settled = replace(settled, committed_bytes_max=64)
    # Without pre-vote a member that cannot be elected, and asks sooner than others, keeps
    # them from ever asking.
    if settled.pre_vote and world.buggify("a short election timeout"):
        settled = replace(settled, election_ticks=max(2, settled.election_ticks // 3))
    if world.buggify("snapshots are given up soon"):
        settled = replace(settled, snapshot_ticks_max=3)
    if world.buggify("snapshots go before entries"):
        settled = replace(settled, snapshots_first=True)
    return settled


def watch_buffer_bytes(world: World) -> int:
    """In a small buffer one batch finds room, however large it is."""
    return 1 if world.buggify("a watcher's buffer is small") else BUFFER_BYTES_MAX


def watch_fragment_bytes(config: Config, world: World) -> int:
    if world.buggify("a watch's answer is cut early"):
        return 1  # an event each
    return config.request_bytes_max + FRAGMENT_OVERHEAD_BYTES


def _refusal(dropped: ProposalDropped) -> RpcError:
    if dropped.why is DropReason.NO_LEADER:
        return errors.no_leader()
    return errors.too_many_requests()
