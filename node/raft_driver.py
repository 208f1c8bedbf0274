"""Drives Raft: messages and ticks in, and each `Ready` out to log, peers and store.

Steps 2 to 9 of the write path; splitbrain.node.raft.ready says in which order and why.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from splitbrain.node.apply.applier import Applier, ToApply
from splitbrain.node.config import Config
from splitbrain.node.failpoint import FailpointError
from splitbrain.node.member_metrics import MemberMetrics
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.messages.internal_request import decode
from splitbrain.node.mvcc.store import Store
from splitbrain.node.raft.errors import StateInvalid
from splitbrain.node.raft.message import Entry, MemberId, Message, MessageType, Snapshot
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Ready, Role, SoftState
from splitbrain.node.read_barrier import ReadBarrier
from splitbrain.node.transport import Transport
from splitbrain.node.world import World
from splitbrain.node.write_path import Traced, WritePath

APP, PROP, SNAP = MessageType.APP, MessageType.PROP, MessageType.SNAP

INBOX_MESSAGES_MAX = 8192
"""Messages received and not yet stepped; more are dropped, as a network would."""


class LogContradicted(Exception):
    """A peer contradicted what is committed here: some member's log has lost entries,
    and which one no member can know. This one stops rather than serve on."""


class RaftDriver:
    """`run` is the task that does it; nothing else steps Raft with peers' messages.

    `leader_changed` is called when another member leads, or none.
    """

    def __init__(
        self,
        world: World,
        config: Config,
        path: WritePath,
        raft: Raft,
        storage: MemberStorage,
        store: Store,
        applier: Applier,
        reads: ReadBarrier,
        metrics: MemberMetrics,
        leader_changed: Callable[[], None],
    ) -> None:
        self._world = world
        self._config = config
        self._path = path
        self._raft = raft
        self._storage = storage
        self._store = store
        self._applier = applier
        self._reads = reads
        self._metrics = metrics
        self._leader_changed = leader_changed
        self._names: Mapping[MemberId, str] = {peer.id: peer.name for peer in config.peers}
        self._wake = asyncio.Event()
        self._inbox: deque[Message] = deque()
        self._early_ticks_due = True
        self._marked = raft.log.applied
        """Entries up to here were marked committed, for the trace."""
        hard_state = storage.recovered.hard_state
        self._promised = (hard_state.term, hard_state.vote)
        others = {p.id: p.peer_urls[0] for p in config.peers if p.id != config.member_id}
        self.transport = Transport(
            world,
            config.cluster_id,
            config.member_id,
            others,
            self._receive,
            raft.report_unreachable,
        )

    # --- into Raft: ticks, messages, steps 2 and 3 --------------------------------

    def start_ticking(self) -> None:
        """Tick now and from then on."""
        self._world.clock.call_later(self._config.heartbeat_ms / 1000, self.start_ticking)
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
        elif self.transport.connected_peers * 2 >= others:
            self._early_ticks_due = False
            for _ in range(self._config.election_ticks - 2):
                self._raft.tick()

    async def propose(self, subject: Traced, data: bytes) -> None:
        """Hand a client's entry to Raft, which forwards it if this member does not lead.
        Raises ProposalDropped, FailpointError."""
        step = "leader_receive" if self._raft.role is Role.LEADER else "follower_forward"
        await self._path.before(step)
        self._raft.propose(data)
        self._path.trace(step, subject)
        self._wake.set()
        await self._path.reached_after(step)

    def propose_own(self, data: bytes) -> None:
        """Hand an entry of the member's own to Raft: no step of a client's write.
        Raises ProposalDropped."""
        self._raft.propose(data)
        self._wake.set()

    def ask_read_index(self, context: bytes) -> None:
        self._raft.read_index(context)
        self._wake.set()

    def _receive(self, message: Message) -> None:
        if self._world.buggify("the inbox is full"):
            return
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
            await self._path.after_each(
                "leader_receive", [traced(entry) for entry in message.entries], peer=sender
            )
        except FailpointError as failure:
            self._world.log("warn", "a forwarded proposal was dropped", why=str(failure))

    # --- out of Raft: steps 4 to 9 ------------------------------------------------

    async def run(self) -> None:
        """Never returns. Raises DiskError: then the member must stop."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._inbox or self._raft.has_ready():
                for _ in range(len(self._inbox)):
                    await self._take_message(self._inbox.popleft())
                if self._raft.contradiction is not None:
                    raise LogContradicted(self._raft.contradiction)
                if self._raft.has_ready():
                    await self._handle(self._raft.ready())

    async def _handle(self, ready: Ready) -> None:
        leading = self._raft.role is Role.LEADER
        marked = self._newly_committed()
        if ready.soft_state is not None:
            self._role_changed(ready.soft_state)
        for state in ready.read_states:
            self._reads.confirmed(state)
        # What is committed and in this member's log already need not wait for what this
        # Ready wants persisted. A leader's always is; a follower may learn of an entry
        # and of its commit at once.
        early = are_durable(ready, marked)
        if early:
            await self._commit(ready, marked, leading)
        if ready.messages:
            await self._replicate(ready.messages)
        await self._persist(ready, leading)
        if ready.messages_after_sync:
            self.transport.send(ready.messages_after_sync)
        if not early:
            await self._commit(ready, marked, leading)
        self._raft.advance(ready)

    def _role_changed(self, state: SoftState) -> None:
        self._metrics.leader_seen(bool(state.leader), leading=state.role is Role.LEADER)
        if state.role is Role.LEADER:
            self._path.trace("lead", Traced(term=self._raft.term))
        self._world.log(
            "info",
            "role changed",
            role=state.role.value,
            term=self._raft.term,
            leader=self._names.get(state.leader, "none"),
        )
        self._leader_changed()

    async def _replicate(self, messages: Sequence[Message]) -> None:
        plain = [message for message in messages if message.type is not SNAP]
        if self._path.watched:
            await self._replicate_watched(plain)
        else:
            self.transport.send(plain)
        for message in messages:
            if message.type is SNAP:
                self._world.spawn(self._send_snapshot(message), "send_snapshot")

    async def _replicate_watched(self, messages: Sequence[Message]) -> None:
        appends = [m for m in messages if m.type is APP and m.entries]
        if appends:
            await self._path.before("replicate")
        self.transport.send(messages)
        for message in appends:
            peer = self._names.get(message.to, "")
            for entry in message.entries:
                self._path.trace("replicate", traced(entry), peer=peer)
        if appends:
            await self._path.reached_after("replicate")

    async def _persist(self, ready: Ready, leading: bool) -> None:
        step = "leader_wal" if leading else "follower_wal"
        if ready.entries:
            await self._path.before(step)
        if ready.snapshot is not None:
            await self._path.before("snapshot_receive")
            await self._perhaps_slowly()
            await self._storage.receive_snapshot(ready.snapshot)
        if ready.entries or ready.hard_state is not None:
            await self._save(ready)
        if self._path.tracing:
            self._trace_promises(ready, step)
        if ready.entries:
            await self._path.reached_after(step)
        if ready.snapshot is not None:
            await self._perhaps_slowly()
            # Only now that the log says how far is committed does the snapshot count.
            await self._path.reached_after("snapshot_receive")

    async def _save(self, ready: Ready) -> None:
        began_ns = self._world.clock.monotonic_ns()
        if self._world.buggify("the log is slow to write"):
            await self._world.clock.sleep(self._world.random.uniform(0.0, 0.02))
        await self._storage.save(ready.hard_state, ready.entries, sync=ready.must_sync)
        if ready.must_sync:
            self._metrics.wal_synced(self._world.clock.monotonic_ns() - began_ns)

    async def _perhaps_slowly(self) -> None:
        if self._world.buggify("a snapshot is slow to write"):
            await self._world.clock.sleep(self._world.random.uniform(0.0, 0.3))

    def _trace_promises(self, ready: Ready, step: str) -> None:
        """What was just persisted, by the disk's own word: if anything is not synced, the
        trace does not say that it is."""
        if self._storage.unsynced_bytes == 0:
            for entry in ready.entries:
                self._path.trace(step, traced(entry))
        hard_state = ready.hard_state
        if hard_state is None or (hard_state.term, hard_state.vote) == self._promised:
            return
        self._promised = (hard_state.term, hard_state.vote)
        if hard_state.vote:
            candidate = self._names.get(hard_state.vote, "")
            self._path.trace("vote", Traced(term=hard_state.term), peer=candidate)

    def _newly_committed(self) -> Sequence[Entry]:
        """Also what this Ready does not hand out yet (`committed_bytes_max`): its messages
        tell the others that it is committed. Nothing while nobody watches."""
        log = self._raft.log
        first = max(self._marked, log.compacted_index) + 1
        self._marked = max(self._marked, log.committed)
        if not self._path.watched or first > log.committed:
            return ()
        return log.between(first, log.committed)

    async def _commit(self, ready: Ready, marked: Sequence[Entry], leading: bool) -> None:
        if marked:
            subjects = [traced(entry) for entry in marked]
            for step in ("quorum_ack", "leader_commit") if leading else ("follower_commit",):
                await self._path.before(step)
                await self._path.after_each(step, subjects)
        entries = ready.committed_entries
        if not entries and ready.snapshot is None:
            return
        await self._path.before("apply_notify")
        await self._applier.hand(ToApply(ready.snapshot, entries))
        if self._path.watched:
            await self._path.after_each("apply_notify", [traced(entry) for entry in entries])

    async def _send_snapshot(self, message: Message) -> None:
        """Send a follower the backend as it is now, which is past what Raft asked for."""
        if self.transport.sends_snapshot(message.to):
            return  # Raft lost patience with it; what becomes of it is told all the same
        try:
            snapshot = await self._snapshot_of_now()
        except StateInvalid as problem:
            # Deposed meanwhile, and a snapshot of the new leader's is on its way into
            # this member's own store.
            self._raft.report_snapshot(message.to, False)
            self._world.log("warn", "no snapshot to send", why=str(problem))
            return
        if self._world.buggify("a snapshot is slow to leave"):
            await self._world.clock.sleep(self._world.random.uniform(0.0, 3.0))
        filled = msgspec.structs.replace(message, snapshot=snapshot)
        await self._deliver(filled)
        if self._world.buggify("a snapshot is sent twice"):
            # Nobody promises that it comes once, or before what was sent after it.
            await self._world.clock.sleep(self._world.random.uniform(0.0, 2.0))
            await self._deliver(filled)

    async def _deliver(self, message: Message) -> None:
        if self.transport.sends_snapshot(message.to):
            return
        assert message.snapshot is not None
        delivered = await self.transport.send_snapshot(message)
        self._raft.report_snapshot(message.to, delivered)
        self._wake.set()
        self._world.log(
            "info",
            "sent a snapshot" if delivered else "could not send a snapshot",
            to=self._names.get(message.to, ""),
            index=message.snapshot.metadata.index,
            bytes=len(message.snapshot.data),
        )

    async def _snapshot_of_now(self) -> Snapshot:
        """Raises StateInvalid where Raft knows of no snapshot at what is applied."""
        metadata = self._raft.describe_snapshot(self._store.consistent_index)
        # No await before this, which takes the content as it is now and then encodes it.
        return Snapshot(metadata, await self._storage.backend.snapshot())


def are_durable(ready: Ready, marked: Sequence[Entry]) -> bool:
    """Whether this member's log held the committed entries before this Ready."""
    if ready.snapshot is not None:
        return False
    committed, fresh = marked or ready.committed_entries, ready.entries
    return not committed or not fresh or committed[-1].index < fresh[0].index


def traced(entry: Entry) -> Traced:
    request = decode(entry.data).client_id if entry.data else 0
    return Traced(request, entry.term, entry.index)
