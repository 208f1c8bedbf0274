"""Drives Raft: passes messages and ticks to it, and each `Ready` to the log, peers and store.

The driver performs steps 2 to 9 of the write path. `splitbrain.node.raft.ready` defines the order
in which it handles a `Ready`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from splitbrain.node.apply.applier import Applier, ToApply
from splitbrain.node.config import Config
from splitbrain.node.failpoint import FailpointError
from splitbrain.node.member_metrics import MemberMetrics
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.membership import Membership
from splitbrain.node.messages.internal_request import decode
from splitbrain.node.mvcc.store import Store
from splitbrain.node.raft import confchange
from splitbrain.node.raft.confchange import ConfChange, ConfChangeType
from splitbrain.node.raft.errors import StateInvalid
from splitbrain.node.raft.message import (
    Entry,
    EntryType,
    MemberId,
    Message,
    MessageType,
    Snapshot,
)
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Ready, Role, SoftState
from splitbrain.node.read_barrier import ReadBarrier
from splitbrain.node.step_trace import Traced, WritePath
from splitbrain.node.transport import Transport
from splitbrain.node.wakeup import Wakeup
from splitbrain.node.world import World

# A constant of the module is faster than an attribute of an enum class.
APP, PROP, SNAP = MessageType.APP, MessageType.PROP, MessageType.SNAP
LEADER = Role.LEADER
NORMAL = EntryType.NORMAL

INBOX_MESSAGES_MAX = 8192
"""The maximal number of received messages that wait for Raft.

Further messages are dropped, as a network can drop them.
"""


class LogContradicted(Exception):
    """A peer's message contradicts this member's committed entries, so this member stops.

    The log of some member has lost entries, and it is impossible to determine which one.
    """


class RaftDriver:
    """Drives the Raft of one member.

    `run` is the task. Only this task passes peers' messages to Raft. `leader_changed` is called
    when this member's role changes, or when another member becomes leader.
    """

    def __init__(
        self,
        *,
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
        membership: Membership,
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
        self._membership = membership
        self._names: Mapping[MemberId, str] = names_of(membership)
        self._wake = Wakeup()
        self._inbox: deque[Message] = deque()
        self._early_ticks_due = True
        self._marked = raft.log.applied
        """The index up to which the trace contains the commits of entries."""
        hard_state = storage.recovered.hard_state
        self._promised = (hard_state.term, hard_state.vote)
        self.transport = Transport(
            world,
            cluster=config.cluster_id,
            member=config.member_id,
            peers=membership.peer_urls(),
            receive=self._receive,
            unreachable=raft.report_unreachable,
        )

    # --- input of Raft: ticks, messages, steps 2 and 3 ----------------------------

    def start_ticking(self) -> None:
        """Advance Raft's clock by one tick now, and then once every heartbeat interval."""
        self._world.clock.call_later(self._config.heartbeat_ms / 1000, self.start_ticking)
        self._raft.tick()
        if self._early_ticks_due:
            self._tick_early()
        if self._raft.has_ready():
            self._wake.set()

    def _tick_early(self) -> None:
        """After the start, shorten the wait for the first election once a majority is connected.

        If no leader is known at that moment, Raft's clock advances by `election_ticks - 2` ticks.
        Source: etcd's --initial-election-tick-advance.
        """
        others = len(self._raft.conf_state.all_voters) - 1
        if self._raft.leader:
            self._early_ticks_due = False
        elif self.transport.connected_peers * 2 >= others:
            self._early_ticks_due = False
            for _ in range(self._config.election_ticks - 2):
                self._raft.tick()

    async def propose(self, subject: Traced, data: bytes) -> None:
        """Pass the entry of a client's write to Raft: step 2 or, on the leader, step 3.

        The steps are those of the write path. Raft forwards the entry if this member is not the
        leader. Raises ProposalDropped, FailpointError.
        """
        step = "leader_receive" if self._raft.role is LEADER else "follower_forward"
        await self._path.before(step)
        self._raft.propose(data)
        self._path.trace(step, subject)
        self._wake.set()
        await self._path.reached_after(step)

    def propose_conf_change(self, change: ConfChange) -> None:
        """Propose a change of the configuration. Raises ProposalDropped."""
        self._raft.propose_conf_change(change)
        self._wake.set()

    def transfer_leadership(self, to: MemberId) -> None:
        self._raft.transfer_leadership(to)
        self._wake.set()

    def members_changed(self) -> None:
        """Connect to the present members.

        The applier calls this after each change of the members.
        """
        self._names = names_of(self._membership)
        self.transport.set_peers(self._membership.peer_urls())

    def propose_own(self, data: bytes) -> None:
        """Propose an entry of this member that is not part of a client's write.

        Raises ProposalDropped.
        """
        self._raft.propose(data)
        self._wake.set()

    def ask_read_index(self, context: bytes) -> None:
        """Ask Raft for a read index. Raft's answer is part of a later Ready."""
        self._raft.read_index(context)
        self._wake.set()

    def _receive(self, message: Message) -> None:
        if self._world.buggify("the inbox is full"):
            return
        if len(self._inbox) < INBOX_MESSAGES_MAX:
            self._inbox.append(message)
            self._wake.set()

    async def _take_messages(self) -> None:
        """Pass the received messages to Raft, in the order in which they arrived."""
        inbox, step = self._inbox, self._raft.step
        for _ in range(len(inbox)):
            message = inbox.popleft()
            if message.type is PROP and self._raft.role is LEADER and self._path.observed:
                await self._take_forwarded(message)
            else:
                step(message)

    async def _take_forwarded(self, message: Message) -> None:
        """Pass a forwarded proposal of another member to Raft: step 3 of the write path."""
        try:
            await self._path.before("leader_receive")
            self._raft.step(message)
            sender = self._names.get(message.from_, "")
            await self._path.after_each(
                "leader_receive", [traced(entry) for entry in message.entries], peer=sender
            )
        except FailpointError as failure:
            self._world.log("warn", "a forwarded proposal was dropped", why=str(failure))

    # --- output of Raft: steps 4 to 9 ---------------------------------------------

    async def run(self) -> None:
        """Handle the Readies of Raft, one after the other. Does not return.

        Raises DiskError and LogContradicted. The member must then stop.
        """
        raft, inbox = self._raft, self._inbox
        while True:
            await self._wake.wait()
            while inbox or raft.has_ready():
                await self._take_messages()
                if raft.contradiction is not None:
                    raise LogContradicted(raft.contradiction)
                if raft.has_ready():
                    await self._handle(raft.ready())

    async def _handle(self, ready: Ready) -> None:
        leading = self._raft.role is LEADER
        marked = self._newly_committed()
        if ready.soft_state is not None:
            self._role_changed(ready.soft_state)
        for state in ready.read_states:
            self._reads.confirmed(state)
        # Committed entries that are already durable here need not wait until this Ready is
        # persisted. A leader's committed entries are always durable. A follower's may not be
        # durable yet, because it can receive an entry together with its commit.
        commits = bool(marked or ready.committed_entries or ready.snapshot is not None)
        early = commits and are_durable(ready, marked)
        if early:
            await self._commit(ready, marked, leading)
        if ready.messages:
            await self._replicate(ready.messages)
        if ready.entries or ready.hard_state is not None or ready.snapshot is not None:
            await self._persist(ready, leading)
        if ready.messages_after_sync:
            self.transport.send(ready.messages_after_sync)
        if commits and not early:
            await self._commit(ready, marked, leading)
        if ready.committed_entries:
            await self._wait_for_changes(ready.committed_entries)
        self._raft.advance(ready)

    async def _wait_for_changes(self, entries: Sequence[Entry]) -> None:
        """Wait until the applier has passed the changes of the configuration in `entries` to Raft.

        A change must be in effect before Raft treats its entry as applied.
        """
        changes = [entry.index for entry in entries if entry.type is not NORMAL]
        if changes:
            await self._applier.wait_until_applied(changes[-1])

    def change_configuration(self, change: ConfChange, entry: Entry) -> None:
        """Tell Raft to put a change into effect.

        The applier calls this when it applies the entry.
        """
        conf_state = self._raft.apply_conf_change(change, entry.index)
        self._path.trace_configuration("configuration", traced(entry), conf_state)
        self._wake.set()

    def is_leaving(self, member: MemberId) -> bool:
        """Return whether the log contains a removal of `member` that is not applied yet."""
        log = self._raft.log
        first = max(self._store.consistent_index, log.compacted_index) + 1
        return any(
            one.type is ConfChangeType.REMOVE_NODE and one.member == member
            for entry in log.between(first, log.last_index) if entry.type is not NORMAL
            for one in confchange.decode(entry.data).changes
        )

    def _role_changed(self, state: SoftState) -> None:
        self._metrics.leader_seen(bool(state.leader), leading=state.role is LEADER)
        if state.role is LEADER:
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
        if self._path.observed:
            await self._replicate_observed(plain)
        else:
            self.transport.send(plain)
        for message in messages:
            if message.type is SNAP:
                self._world.spawn(self._send_snapshot(message), "send_snapshot")

    async def _replicate_observed(self, messages: Sequence[Message]) -> None:
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
            restored = ready.snapshot.metadata
            at = Traced(term=restored.term, index=restored.index)
            self._path.trace_configuration("configuration", at, restored.conf_state)
            # A restart uses the snapshot only if the hard state with its commit index is saved.
            await self._path.before("snapshot_commit")
            await self._perhaps_slowly()
        if ready.entries or ready.hard_state is not None:
            await self._save(ready)
        if self._path.tracing:
            self._trace_promises(ready, step)
        if ready.entries:
            await self._path.reached_after(step)
        if ready.snapshot is not None:
            await self._path.reached_after("snapshot_commit")
            await self._perhaps_slowly()
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
        """Write trace events for the entries and the vote that this Ready has made durable.

        The entries are traced only if the disk reports that all bytes of the log are synced.
        """
        if self._storage.unsynced_bytes == 0:
            for entry in ready.entries:
                self._path.trace(step, traced(entry))
        hard_state = ready.hard_state
        if hard_state is None or (hard_state.term, hard_state.vote) == self._promised:
            return
        self._promised = (hard_state.term, hard_state.vote)
        if hard_state.vote:
            candidate = self._names.get(hard_state.vote, "")
            self._path.trace_vote(hard_state.term, hard_state.vote, candidate)

    def _newly_committed(self) -> Sequence[Entry]:
        """Return the newly committed entries, for trace events and failpoints.

        Returns () if traces and failpoints are off. The present Ready can contain fewer entries
        than the result, because `committed_bytes_max` limits it. But its messages already announce
        the commit of all these entries to the other members.
        """
        log = self._raft.log
        if log.committed <= self._marked:
            return ()
        first = max(self._marked, log.compacted_index) + 1
        self._marked = log.committed
        if not self._path.observed or first > log.committed:
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
        await self._applier.enqueue(ToApply(ready.snapshot, entries))
        if self._path.observed:
            await self._path.after_each("apply_notify", [traced(entry) for entry in entries])

    async def _send_snapshot(self, message: Message) -> None:
        """Send the present content of the backend to a follower that needs a snapshot.

        `message` is the SNAP from Raft. The content may be newer than the snapshot that it
        announces.
        """
        if self.transport.sends_snapshot(message.to):
            return  # Raft gave up on the earlier snapshot, but its result is still reported
        try:
            snapshot = await self._snapshot_of_now()
        except StateInvalid as problem:
            # This member was deposed in the meantime, and is installing a snapshot of the new
            # leader.
            self._raft.report_snapshot(message.to, False)
            self._world.log("warn", "no snapshot to send", why=str(problem))
            return
        if self._world.buggify("a snapshot is slow to leave"):
            await self._world.clock.sleep(self._world.random.uniform(0.0, 3.0))
        filled = msgspec.structs.replace(message, snapshot=snapshot)
        await self._deliver(filled)
        if self._world.buggify("a snapshot is sent twice"):
            # The follower must accept duplicates and any order of snapshot and later messages.
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
        """Return the present content of the backend as a snapshot.

        Raises StateInvalid if no snapshot is possible at the applied index.
        """
        metadata = self._raft.describe_snapshot(self._store.consistent_index)
        # No await before this call, which captures the current content and then encodes it.
        return Snapshot(metadata, await self._storage.backend.snapshot())


def are_durable(ready: Ready, marked: Sequence[Entry]) -> bool:
    """Return whether all newly committed entries were durable before `ready` was persisted.

    The newly committed entries are `marked`. If `marked` is empty, they are
    `ready.committed_entries`. If `ready` contains a snapshot, the result is False.
    """
    if ready.snapshot is not None:
        return False
    committed, fresh = marked or ready.committed_entries, ready.entries
    return not committed or not fresh or committed[-1].index < fresh[0].index


def names_of(membership: Membership) -> dict[MemberId, str]:
    return {member.id: member.name for member in membership.members()}


def traced(entry: Entry) -> Traced:
    is_request = entry.data and entry.type is NORMAL
    request = decode(entry.data).client_id if is_request else 0
    return Traced(request, entry.term, entry.index)
