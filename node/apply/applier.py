"""Applies committed entries to the store, in order and exactly once: step 10 of the write path.

If a client waits at this member for the result of an entry, the applier also passes the result to
the waiting request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from splitbrain.node.alarms import Alarms
from splitbrain.node.apply.alarm_refusal import refusal
from splitbrain.node.apply.flush_and_snapshot import BackendFlusher
from splitbrain.node.apply.store_requests import apply
from splitbrain.node.auth.auth_requests import AuthApplier
from splitbrain.node.auth.auth_store import AuthStore, Identity
from splitbrain.node.auth.request_permission import check_access
from splitbrain.node.auth.tokens import Tokens
from splitbrain.node.lease.lessor import Lessor
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.membership import Membership
from splitbrain.node.messages.auth import AuthWriteRequest
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.internal_request import (
    InternalRequest,
    MemberAttributesRequest,
    Operation,
    OperationResponse,
    decode,
)
from splitbrain.node.messages.member_change import member_change_of
from splitbrain.node.messages.rpc import AlarmRequest
from splitbrain.node.mvcc.store import Store
from splitbrain.node.raft import confchange
from splitbrain.node.raft.confchange import ConfChange
from splitbrain.node.raft.message import Entry, EntryType, Index, Snapshot
from splitbrain.node.read_barrier import ReadBarrier
from splitbrain.node.step_trace import Traced, WritePath
from splitbrain.node.waiting_requests import Pending
from splitbrain.node.wakeup import Wakeup
from splitbrain.node.world import World

QUEUE_MAX = 64
"""The maximal number of batches that wait to be applied. Raft waits while the queue is full."""
TURN_ENTRIES = 64
"""The number of entries that are applied before other tasks run."""


@dataclass(frozen=True, slots=True)
class ToApply:
    """A batch of committed entries from Raft. If there is a `snapshot`, it is restored first."""

    snapshot: Snapshot | None
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of applying a client's request at the member that the client called."""

    response: OperationResponse
    subject: Traced
    revision: int


class Applier:
    """Applies batches in the order in which `enqueue` accepts them. `run` is the task.

    `change_configuration` passes a committed change of the configuration to Raft. It is called only
    for changes that have an effect. `members_changed` is called after each change of the members.
    """

    def __init__(
        self,
        *,
        world: World,
        path: WritePath,
        storage: MemberStorage,
        store: Store,
        lessor: Lessor,
        membership: Membership,
        alarms: Alarms,
        auth: AuthStore,
        tokens: Tokens,
        pending: Pending[Applied],
        published: Pending[None],
        changes: Pending[None],
        reads: ReadBarrier,
        backend: BackendFlusher,
        members_changed: Callable[[], None],
        change_configuration: Callable[[ConfChange, Entry], None],
    ) -> None:
        self._world = world
        self._path = path
        self._storage = storage
        self._store = store
        self._lessor = lessor
        self._membership = membership
        self._alarms = alarms
        self._auth = auth
        self._tokens = tokens
        self._auth_applier = AuthApplier(auth, tokens)
        self._pending = pending
        self._published = published
        self._changes = changes
        self._members_changed = members_changed
        self._change_configuration = change_configuration
        self._reads = reads
        self._backend = backend
        self._queue: deque[ToApply] = deque()
        self._filled = Wakeup()
        self._room = asyncio.Event()
        self._advanced = Wakeup()

    async def enqueue(self, batch: ToApply) -> None:
        """Add a batch to the queue. Wait while the queue is full."""
        queue_max = 1 if self._world.buggify("a short apply queue") else QUEUE_MAX
        while len(self._queue) >= queue_max:
            self._room.clear()
            await self._room.wait()
        self._queue.append(batch)
        self._filled.set()

    async def wait_until_applied(self, index: Index) -> None:
        """Wait until this member has applied the entry at `index`."""
        while self._store.consistent_index < index:
            await self._advanced.wait()

    async def run(self) -> None:
        """Apply the batches of the queue, in order. Does not return.

        If an error is raised, the member must stop.
        """
        while True:
            await self._filled.wait()
            while self._queue:
                batch = self._queue.popleft()
                self._room.set()
                if self._world.buggify("a batch waits to be applied"):
                    await self._world.clock.sleep(self._world.random.uniform(0.0, 0.05))
                if batch.snapshot is not None:
                    await self._path.before("snapshot_restore")
                    await self._restore(batch.snapshot)
                    await self._path.reached_after("snapshot_restore")
                yields = self._world.buggify("other tasks run between two entries")
                turn = 1 if yields else TURN_ENTRIES
                for number, entry in enumerate(batch.entries, start=1):
                    await self._apply_entry(entry)
                    if number % turn == 0:
                        await asyncio.sleep(0)
                self._reads.advanced(self._store.consistent_index)
                self._backend.schedule_flush()

    async def _apply_entry(self, entry: Entry) -> None:
        store = self._store
        if is_applied(store, entry):
            return
        if entry.type is not EntryType.NORMAL:
            self._apply_conf_change(entry)
            return
        if not entry.data:
            store.set_consistent_index(entry.index, entry.term)
            self._lessor.first_entry_applied(entry.term)
            return
        request = decode(entry.data)
        if isinstance(request.op, MemberAttributesRequest):
            self._membership.record(request.op)
            store.set_consistent_index(entry.index, entry.term)
            self._published.resolve(request.id, None)
            return
        subject = Traced(request.id, entry.term, entry.index)
        if self._path.observed:
            await self._path.before("apply_mvcc")
        # There is no await between these two calls, so that one batch of the backend contains both
        # the entry's writes and its index.
        outcome = self._outcome(request, request.op, entry)
        store.set_consistent_index(entry.index, entry.term)
        if self._path.observed:
            await self._path.after("apply_mvcc", subject, revision=store.revision)
        if isinstance(outcome, RpcError):
            self._pending.resolve(request.id, outcome)
        else:
            self._pending.resolve(request.id, Applied(outcome, subject, store.revision))

    def _outcome(
        self, request: InternalRequest, operation: Operation, entry: Entry
    ) -> OperationResponse | RpcError:
        identity = Identity(request.user, request.auth_revision)
        try:
            if isinstance(operation, AuthWriteRequest):
                return self._auth_applier.apply(operation, identity, entry.index)
            if self._auth.enabled:
                check_access(self._auth, self._store, identity, operation)
        except RpcError as refused:
            return refused
        refused_by_alarm = refusal(operation, self._alarms)
        if refused_by_alarm is not None:
            return refused_by_alarm
        if isinstance(operation, AlarmRequest):
            return self._alarms.apply(operation)
        return apply(self._store, operation, entry.term)

    def _apply_conf_change(self, entry: Entry) -> None:
        """Store a change of the members, and pass it to Raft.

        There is no await between storing the change and passing it to Raft. A snapshot of the store
        therefore contains the same members as the configuration that Raft records for the snapshot.
        """
        change = confchange.decode(entry.data)
        refused = self._membership.apply(change)
        self._store.set_consistent_index(entry.index, entry.term)
        if refused is None:
            self._change_configuration(change, entry)
        self._advanced.set()
        one = member_change_of(change) if change.context else None
        if refused is None:
            self._members_changed()
            self._world.log("info", "the members have changed", change=one and one.kind.name)
        if one is not None:
            self._changes.resolve(one.request, refused)

    async def _restore(self, snapshot: Snapshot) -> None:
        """Replace the store by a snapshot from the leader. Raft and the WAL already contain it."""
        await self._storage.backend.replace_with(snapshot.data)
        self._storage.backend.check()
        # No await before this call: a read must not use the old index with the new backend.
        self._store.restore()
        self._advanced.set()
        self._membership.restore()
        self._alarms.restore()
        self._restore_auth()
        if self._membership.is_changed:
            self._members_changed()
        await self._storage.snapshot_installed(snapshot)
        self._reads.advanced(self._store.consistent_index)
        self._world.log("info", "restored a snapshot", index=snapshot.metadata.index)

    def _restore_auth(self) -> None:
        """Load users and roles from the backend. If they have changed, end all tokens.

        The snapshot contains the effect of entries that this member has skipped. Such an entry may
        have ended tokens, for example by a new password, but the snapshot does not contain which
        tokens.
        """
        before = self._auth.revision
        self._auth.restore()
        if self._auth.revision != before:
            self._tokens.end_all()


def is_applied(store: Store, entry: Entry) -> bool:
    """Return whether the store already contains the effect of `entry`."""
    return entry.index <= store.consistent_index
