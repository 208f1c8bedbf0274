"""One member: the write path, its eleven steps in order.

    1   client_request    `propose`: a client's write comes in
    2   follower_forward  `_hand_to_raft`: this member does not lead; Raft forwards it
    3   leader_receive    `_hand_to_raft`, or `_take_message` for a forwarded one
    4.1 leader_wal        `_persist`: the leader's own log, synced
    4.2 replicate         `_replicate`: to every follower, while the leader still syncs
    5   follower_wal      `_persist`: a follower's log, synced before it acknowledges
    6   quorum_ack        `_mark_committed`: a majority holds the entry, durably
    7   leader_commit     `_mark_committed`
    8   follower_commit   `_mark_committed`: a follower learned of it
    9   apply_notify      `_hand_to_apply`
    10  apply_mvcc        `_apply_entry`; the backend follows in `_flush_backend`
    11  respond           `propose` again: after this member's own apply

One task drives Raft and the WAL, one applies, one flushes the backend; they share
the loop's thread and hand values on, in that direction only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from node import member_metrics
from node.api import errors
from node.api.errors import Code, RpcError
from node.api.rpc import Member, ResponseHeader, StatusResponse, WriteRequest, WriteResponse
from node.api.service import Api
from node.apply import apply
from node.config import Config
from node.failpoint import FailpointError, Failpoints, parse_all
from node.internal_request import InternalRequest, decode, encode
from node.member_storage import MemberStorage
from node.mvcc.store import Store
from node.pending import Deadline, Pending, RequestIds
from node.raft.config import Config as RaftConfig
from node.raft.errors import DropReason, ProposalDropped
from node.raft.message import Entry, Message, MessageType, Snapshot
from node.raft.raft import Raft
from node.raft.ready import Ready, Role, SoftState
from node.read_barrier import ReadBarrier
from node.transport import Transport
from node.world import Closable, Timer, World
from node.write_path import Traced, WritePath

VERSION = "3.5.1"
"""The etcd release whose API is served."""
APP, PROP, SNAP = MessageType.APP, MessageType.PROP, MessageType.SNAP

INBOX_MESSAGES_MAX = 8192
"""Messages received and not yet stepped; more are dropped, as a network would."""
PENDING_REQUESTS_MAX = 5000
"""Writes that wait at one member. Source: etcd's maxGapBetweenApplyAndCommitIndex, in spirit."""
APPLY_QUEUE_MAX = 64
"""`Ready`s whose entries wait to be applied; then Raft waits for the store."""
APPLY_TURN_ENTRIES = 64
"""Entries applied before others may use the loop."""


@dataclass(frozen=True, slots=True)
class ToApply:
    """What Raft hands to the store: a snapshot first, if there is one, then entries."""

    snapshot: Snapshot | None
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a request at the member that was asked."""

    response: WriteResponse
    subject: Traced
    revision: int


class Server:
    """One member of a cluster, in whatever `World` it is given.

    `start` recovers what the data directory holds and begins to serve peers and
    clients; `stop` ends that and leaves the backend flushed. In between the member
    stops itself, by `world.stop`, when its disk fails: it never goes on with less
    than it promised.
    """

    def __init__(self, world: World, config: Config) -> None:
        self._world = world
        self._config = config
        self.cluster_id = config.cluster_id
        self.member_id = config.member_id
        self.request_bytes_max = config.request_bytes_max
        self.txn_operations_max = config.txn_operations_max
        self.metrics = member_metrics.MemberMetrics(config.member_id, VERSION)
        self.failpoints = Failpoints(world, parse_all(config.failpoints))
        self._path = WritePath(world, config.name, self.failpoints, tracing=config.tracing)
        self._names = {peer.id: peer.name for peer in config.peers}
        self._wake = asyncio.Event()
        self._apply_wake = asyncio.Event()
        self._apply_room = asyncio.Event()
        self._flush_now = asyncio.Event()
        self._flush_timer: Timer | None = None
        self._inbox: deque[Message] = deque()
        self._to_apply: deque[ToApply] = deque()
        self._in_log: dict[int, Traced] = {}
        self._served: list[Closable] = []
        self._early_ticks_due = True
        self._flushed = Traced()
        self._promised = (0, 0)

    # --- starting and stopping ------------------------------------------------

    async def start(self) -> None:
        """Recover, then serve. Raises DirectoryInUse, AddressInUse, DataRefused (the
        data of another member, or corrupt), DiskError."""
        config, world = self._config, self._world
        world.disk.lock()
        self._storage = await MemberStorage.open(world.disk, config)
        self.store = Store(self._storage.backend)
        self._storage.check_applied(self.store.consistent_index)
        self._remember(self._storage.recovered.entries)
        self._raft = self._recovered_raft()
        ids = RequestIds(config.member_id, self._storage.incarnation)
        self._ids = ids
        writes = Deadline(world.clock, config.request_timeout_s, errors.timed_out)
        reads = Deadline(world.clock, config.request_timeout_s, errors.timed_out)
        self._pending: Pending[Applied] = Pending(writes, PENDING_REQUESTS_MAX)
        self._reads = ReadBarrier(
            world.clock, reads, ids, self._ask_read_index, self._applied_index
        )
        self._trace_start()
        await self._connect()
        world.spawn(self._drive_raft(), "raft")
        world.spawn(self._apply_committed(), "apply")
        world.spawn(self._follow_with_backend(), "backend")
        self._tick()
        member_metrics.follow(self.metrics, self.status, lambda: len(self._pending))
        api = Api(self, metrics=self.metrics, admin=self.failpoints if config.admin else None)
        for url in config.listen_client_urls:
            self._served.append(await world.network.serve_clients(url, api))
        world.log(
            "info",
            "serving",
            clients=",".join(config.listen_client_urls),
            peers=",".join(config.listen_peer_urls),
            cluster=f"{config.cluster_id:x}",
            id=f"{config.member_id:x}",
            applied=self.store.consistent_index,
        )

    def _trace_start(self) -> None:
        hard_state = self._storage.recovered.hard_state
        found = Traced(term=hard_state.term, index=self.store.consistent_index)
        vote = self._names.get(hard_state.vote, "")
        self._path.trace("start", found, revision=self.store.revision, peer=vote)

    def _recovered_raft(self) -> Raft:
        config, found = self._config, self._storage.recovered
        return Raft(
            raft_config(config),
            self._world.random,
            hard_state=found.hard_state,
            snapshot=found.snapshot,
            entries=found.entries,
            applied=self.store.consistent_index,
        )

    async def _connect(self) -> None:
        config = self._config
        others = {p.id: p.peer_urls[0] for p in config.peers if p.id != config.member_id}
        self._transport = Transport(
            self._world,
            config.cluster_id,
            config.member_id,
            others,
            self._receive,
            self._report_unreachable,
        )
        for url in config.listen_peer_urls:
            listener = await self._world.network.listen_peers(url, self._transport.accept)
            self._served.append(listener)
        self._transport.start()

    async def stop(self) -> None:
        """Stop serving, and leave nothing in memory that the backend lacks."""
        for served in reversed(self._served):
            await served.close()
        self._served.clear()
        self._transport.close()
        await self._storage.backend.flush()
        self._storage.close()

    # --- what the API asks of a member ------------------------------------------

    async def propose(self, op: WriteRequest) -> WriteResponse:
        """A client's write: steps 1 and 11, and all between. Raises RpcError."""
        if self._pending.full:
            raise errors.too_many_requests()
        if self._storage.backend.size_in_use_bytes > self._config.backend_quota_bytes:
            raise errors.no_space()
        subject = Traced(self._ids.next())
        data = encode(InternalRequest(subject.request, op))
        try:
            await self._path.before("client_request")
            await self._path.after("client_request", subject)
            done = await self._pending.wait_for(
                subject.request, lambda: self._hand_to_raft(subject, data)
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
        await self.failpoints.reach("after_respond")

    async def linearizable_read(self) -> None:
        """Returns once this member has applied all that was committed at the call."""
        await self._reads.wait()

    def _applied_index(self) -> int:
        return self.store.consistent_index

    def header(self) -> ResponseHeader:
        return ResponseHeader(self.cluster_id, self.member_id, self.store.revision, self._raft.term)

    def health(self) -> tuple[bool, str]:
        """As etcd's /health: no leader, no service."""
        return (True, "") if self._raft.leader else (False, "RAFT NO LEADER")

    def status(self) -> StatusResponse:
        backend = self._storage.backend
        return StatusResponse(
            header=self.header(),
            version=VERSION,
            db_size=backend.size_bytes,
            leader=self._raft.leader,
            raft_index=self._raft.log.committed,
            raft_term=self._raft.term,
            raft_applied_index=self.store.consistent_index,
            db_size_in_use=backend.size_in_use_bytes,
        )

    def members(self) -> list[Member]:
        advertised = {self._config.member_id: self._config.advertise_client_urls}
        return [
            Member(
                id=peer.id,
                name=peer.name,
                peer_urls=peer.peer_urls,
                client_urls=advertised.get(peer.id, ()),
            )
            for peer in self._config.peers
        ]

    # --- into Raft: steps 2 and 3 -----------------------------------------------

    async def _hand_to_raft(self, subject: Traced, data: bytes) -> None:
        step = "leader_receive" if self._raft.role is Role.LEADER else "follower_forward"
        await self._path.before(step)
        self._raft.propose(data)
        self._path.trace(step, subject)
        self._wake.set()
        if self.failpoints.armed:
            await self.failpoints.reach(f"after_{step}")

    def _receive(self, message: Message) -> None:
        if len(self._inbox) < INBOX_MESSAGES_MAX:
            self._inbox.append(message)
            self._wake.set()

    async def _take_message(self, message: Message) -> None:
        forwarded = message.type is PROP and self._raft.role is Role.LEADER
        if not (forwarded and self._path.watched):
            self._raft.step(message)
            return
        try:
            await self._path.before("leader_receive")
            self._raft.step(message)
            sender = self._names.get(message.from_, "")
            for entry in message.entries:
                self._path.trace("leader_receive", _traced(entry), peer=sender)
            await self.failpoints.reach("after_leader_receive")
        except FailpointError as failure:
            self._world.log("warn", "a forwarded proposal was dropped", why=str(failure))

    def _ask_read_index(self, context: bytes) -> None:
        self._raft.read_index(context)
        self._wake.set()

    def _report_unreachable(self, peer: int) -> None:
        self._raft.report_unreachable(peer)

    def _tick(self) -> None:
        self._world.clock.call_later(self._config.heartbeat_ms / 1000, self._tick)
        self._raft.tick()
        if self._early_ticks_due:
            self._tick_early()
        if self._raft.has_ready():
            self._wake.set()

    def _tick_early(self) -> None:
        """A fresh start need not wait a whole election timeout for a leader that there
        is not: with a majority connected, all but two of its ticks pass at once.

        Source: etcd's --initial-election-tick-advance.
        """
        others = len(self._config.peers) - 1
        if self._raft.leader:
            self._early_ticks_due = False
        elif self._transport.connected_peers * 2 >= others:
            self._early_ticks_due = False
            for _ in range(self._config.election_ticks - 2):
                self._raft.tick()

    # --- out of Raft: steps 4 to 9 ----------------------------------------------

    async def _drive_raft(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._inbox or self._raft.has_ready():
                for _ in range(len(self._inbox)):
                    await self._take_message(self._inbox.popleft())
                if self._raft.has_ready():
                    await self._handle(self._raft.ready())

    async def _handle(self, ready: Ready) -> None:
        """One `Ready`, in the order that node.raft.ready demands."""
        leading = self._raft.role is Role.LEADER
        if ready.soft_state is not None:
            self._role_changed(ready.soft_state)
        for state in ready.read_states:
            self._reads.confirmed(state)
        # What is committed and in this member's log already need not wait for what this
        # Ready wants persisted. A leader's always is; a follower may learn of an entry
        # and of its commit at once.
        early = _are_durable(ready)
        if early:
            await self._commit(ready, leading)
        if ready.messages:
            await self._replicate(ready.messages)
        await self._persist(ready, leading)
        if ready.messages_after_sync:
            self._transport.send(ready.messages_after_sync)
        if not early:
            await self._commit(ready, leading)
        self._raft.advance(ready)

    async def _commit(self, ready: Ready, leading: bool) -> None:
        await self._mark_committed(ready.committed_entries, leading)
        await self._hand_to_apply(ready)

    def _role_changed(self, state: SoftState) -> None:
        self.metrics.leader_seen(bool(state.leader), leading=state.role is Role.LEADER)
        if state.role is Role.LEADER:
            self._path.trace("lead", Traced(term=self._raft.term))
        self._world.log(
            "info",
            "role changed",
            role=state.role.value,
            term=self._raft.term,
            leader=self._names.get(state.leader, "none"),
        )
        self._reads.leader_changed(errors.leader_changed())

    async def _replicate(self, messages: Sequence[Message]) -> None:
        plain = [message for message in messages if message.type is not SNAP]
        appended = self._path.watched and any(m.entries for m in plain if m.type is APP)
        if appended:
            await self._path.before("replicate")
        self._transport.send(plain)
        if appended:
            for message in plain:
                peer = self._names.get(message.to, "")
                for entry in message.entries if message.type is APP else ():
                    self._path.trace("replicate", _traced(entry), peer=peer)
            await self.failpoints.reach("after_replicate")
        for message in messages:
            if message.type is SNAP:
                self._world.spawn(self._send_snapshot(message), "send_snapshot")

    async def _persist(self, ready: Ready, leading: bool) -> None:
        step = "leader_wal" if leading else "follower_wal"
        if ready.entries and self._path.watched:
            await self._path.before(step)
        if ready.snapshot is not None:
            await self._storage.receive_snapshot(ready.snapshot)
        if ready.entries or ready.hard_state is not None:
            began_ns = self._world.clock.monotonic_ns()
            await self._storage.save(ready.hard_state, ready.entries, sync=ready.must_sync)
            if ready.must_sync:
                self.metrics.wal_synced(self._world.clock.monotonic_ns() - began_ns)
        if self._path.watched:
            self._trace_promises(ready, leading)
            if ready.entries:
                await self.failpoints.reach(f"after_{step}")

    def _trace_promises(self, ready: Ready, leading: bool) -> None:
        """What was just persisted, by the disk's own word: if anything is not synced, the
        trace does not say that it is."""
        self._remember(ready.entries)
        if self._storage.unsynced_bytes == 0:
            for entry in ready.entries:
                self._path.trace("leader_wal" if leading else "follower_wal", _traced(entry))
        hard_state = ready.hard_state
        if hard_state is None or (hard_state.term, hard_state.vote) == self._promised:
            return
        self._promised = (hard_state.term, hard_state.vote)
        if hard_state.vote:
            candidate = self._names.get(hard_state.vote, "")
            self._path.trace("vote", Traced(term=hard_state.term), peer=candidate)

    def _remember(self, entries: Sequence[Entry]) -> None:
        if self._path.watched:
            for entry in entries:
                self._in_log[entry.index] = _traced(entry)

    async def _mark_committed(self, entries: Sequence[Entry], leading: bool) -> None:
        if not entries:
            return
        if not self._path.watched:
            return
        subjects = [_traced(entry) for entry in entries]
        for step in ("quorum_ack", "leader_commit") if leading else ("follower_commit",):
            await self._path.before(step)
            await self._path.after_each(step, subjects)

    async def _hand_to_apply(self, ready: Ready) -> None:
        if not ready.committed_entries and ready.snapshot is None:
            return
        if self._path.watched:
            await self._path.before("apply_notify")
        while len(self._to_apply) >= APPLY_QUEUE_MAX:
            self._apply_room.clear()
            await self._apply_room.wait()
        self._to_apply.append(ToApply(ready.snapshot, ready.committed_entries))
        if self._path.watched:
            subjects = [_traced(entry) for entry in ready.committed_entries]
            await self._path.after_each("apply_notify", subjects)
        self._apply_wake.set()

    # --- the store: step 10 -----------------------------------------------------

    async def _apply_committed(self) -> None:
        while True:
            await self._apply_wake.wait()
            self._apply_wake.clear()
            while self._to_apply:
                batch = self._to_apply.popleft()
                self._apply_room.set()
                if batch.snapshot is not None:
                    await self._restore(batch.snapshot)
                for number, entry in enumerate(batch.entries, start=1):
                    await self._apply_entry(entry)
                    if number % APPLY_TURN_ENTRIES == 0:
                        await asyncio.sleep(0)
                self._reads.advanced(self.store.consistent_index)
                self._backend_follows()

    async def _apply_entry(self, entry: Entry) -> None:
        """Apply one entry, unless the store holds it already, and answer who waits for it."""
        if is_applied(self.store, entry):
            return
        if not entry.data:
            self.store.set_consistent_index(entry.index, entry.term)
            return
        request = decode(entry.data)
        subject = Traced(request.id, entry.term, entry.index)
        if self._path.watched:
            await self._path.before("apply_mvcc")
        # One step without an await: the backend's batch holds the entry's writes and
        # its index together, or neither.
        outcome = apply(self.store, request.op)
        self.store.set_consistent_index(entry.index, entry.term)
        if self._path.watched:
            await self._path.after("apply_mvcc", subject, revision=self.store.revision)
        if isinstance(outcome, RpcError):
            self._pending.resolve(request.id, outcome)
        else:
            self._pending.resolve(request.id, Applied(outcome, subject, self.store.revision))

    # --- the backend follows ----------------------------------------------------

    def _backend_follows(self) -> None:
        """See that what was just applied is flushed: soon, or now if it is much."""
        if self._storage.backend.pending_operations >= self._config.backend_batch_operations_max:
            self._flush_now.set()
        elif self._flush_timer is None:
            self._flush_timer = self._world.clock.call_later(
                self._config.backend_batch_interval_ms / 1000, self._flush_now.set
            )

    async def _follow_with_backend(self) -> None:
        while True:
            await self._flush_now.wait()
            self._flush_now.clear()
            if self._flush_timer is not None:
                self._flush_timer.cancel()
                self._flush_timer = None
            await self._flush_backend()
            while self.store.removals_pending:
                self.store.remove_compacted()
                await self._flush_backend()
            if self._snapshot_due():
                await self._take_snapshot()

    async def _flush_backend(self) -> None:
        subject = Traced(index=self.store.consistent_index, term=self.store.consistent_term)
        revision = self.store.revision
        await self._path.before("backend_flush")
        began_ns = self._world.clock.monotonic_ns()
        await self._storage.backend.flush()
        self.metrics.backend_committed(self._world.clock.monotonic_ns() - began_ns)
        await self._path.after("backend_flush", subject, revision=revision)
        self._flushed = subject

    # --- snapshots --------------------------------------------------------------

    def _snapshot_due(self) -> bool:
        return self._flushed.index - self._storage.snapshot.index >= self._config.snapshot_count

    async def _take_snapshot(self) -> None:
        """Let the log go up to what the backend holds durably, less some for slow followers."""
        metadata = self._raft.create_snapshot(self._flushed.index)
        await self._storage.save_snapshot(metadata)
        keep_from = metadata.index - self._config.catch_up_entries
        if keep_from > 0:
            self._raft.compact(keep_from)
        for index in [i for i in self._in_log if i <= keep_from]:
            del self._in_log[index]
        self._world.log("info", "took a snapshot", index=metadata.index, term=metadata.term)

    async def _send_snapshot(self, message: Message) -> None:
        """Send a follower the backend as it is now, which is past what Raft asked for."""
        index = self.store.consistent_index
        metadata = self._raft.describe_snapshot(index)
        data = await self._storage.backend.snapshot()
        filled = msgspec.structs.replace(message, snapshot=Snapshot(metadata, data))
        delivered = await self._transport.send_snapshot(filled)
        self._raft.report_snapshot(message.to, delivered)
        self._wake.set()
        self._world.log(
            "info",
            "sent a snapshot" if delivered else "could not send a snapshot",
            to=self._names.get(message.to, ""),
            index=index,
            bytes=len(data),
        )

    async def _restore(self, snapshot: Snapshot) -> None:
        """Become what a leader's snapshot holds; Raft and the WAL know of it already."""
        await self._storage.backend.replace_with(snapshot.data)
        # No await before this: nobody may read the new backend by the old index.
        self.store.restore()
        await self._storage.snapshot_installed(snapshot)
        self._reads.advanced(self.store.consistent_index)
        self._world.log("info", "restored a snapshot", index=snapshot.metadata.index)


def raft_config(config: Config) -> RaftConfig:
    return RaftConfig(
        id=config.member_id,
        voters=tuple(sorted(peer.id for peer in config.peers)),
        election_ticks=config.election_ticks,
        pre_vote=config.pre_vote,
    )


def is_applied(store: Store, entry: Entry) -> bool:
    """Whether the store holds `entry`'s effect: its index is saved with its writes."""
    return entry.index <= store.consistent_index


def _traced(entry: Entry) -> Traced:
    request = decode(entry.data).id if entry.data else 0
    return Traced(request, entry.term, entry.index)


def _are_durable(ready: Ready) -> bool:
    """Whether this member's log held the committed entries before this Ready."""
    if ready.snapshot is not None:
        return False
    committed, fresh = ready.committed_entries, ready.entries
    return not committed or not fresh or committed[-1].index < fresh[0].index


def _refusal(dropped: ProposalDropped) -> errors.RpcError:
    if dropped.why is DropReason.NO_LEADER:
        return errors.no_leader()
    return errors.too_many_requests()
