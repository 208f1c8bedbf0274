"""Implements one node of an interaction test: a Raft, and the storage that its owner keeps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random

from splitbrain.node.raft.async_storage import (
    AsyncRaft,
    StorageAppend,
    StorageAppendResponse,
    StorageApply,
)
from splitbrain.node.raft.confchange import conf_change_of
from splitbrain.node.raft.config import Config
from splitbrain.node.raft.message import (
    Entry,
    HardState,
    Index,
    MemberId,
    Message,
    MessageType,
    Snapshot,
    SnapshotMetadata,
)
from splitbrain.node.raft.raft import Raft, must_sync
from splitbrain.node.raft.ready import Role

PROPOSAL_DROPPED = "raft proposal dropped"
PEER_UNKNOWN = "raft: cannot step as peer not found"

_RESPONSES = frozenset(
    {
        MessageType.APP_RESP, MessageType.VOTE_RESP, MessageType.HEARTBEAT_RESP,
        MessageType.READ_INDEX_RESP, MessageType.PRE_VOTE_RESP,
    }
)  # fmt: skip


class CommandFailed(Exception):
    """An error of a command that is part of its output."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A message in flight.

    `local` is true for the messages between a node and its threads or itself, which are not lost.
    """

    to: MemberId
    kind: str
    lines: tuple[str, ...]
    payload: Message | StorageAppendResponse | StorageApply
    local: bool


class Storage:
    """The log of a node as its owner has written it."""

    def __init__(self, snapshot: Index) -> None:
        self._snapshot = snapshot
        self._compacted = snapshot
        self.entries: list[Entry] = []

    @property
    def first_index(self) -> Index:
        return self._compacted + 1

    @property
    def last_index(self) -> Index:
        return self._compacted + len(self.entries)

    def append(self, entries: tuple[Entry, ...]) -> None:
        new = [entry for entry in entries if entry.index > self._compacted]
        if new:
            del self.entries[new[0].index - self.first_index :]
            self.entries += new

    def install(self, snapshot: Snapshot) -> None:
        index = snapshot.metadata.index
        if self._snapshot and self._snapshot >= index:
            raise CommandFailed("requested index is older than the existing snapshot")
        self._snapshot = self._compacted = index
        self.entries = []

    def compact(self, index: Index) -> None:
        if index <= self._compacted:
            raise CommandFailed("requested index is unavailable due to compaction")
        del self.entries[: index - self._compacted]
        self._compacted = index


class Node:
    """A node that starts from `snapshot`, with an empty hard state."""

    def __init__(self, config: Config, snapshot: SnapshotMetadata, *, asynchronous: bool) -> None:
        self.id = config.id
        kind = AsyncRaft if asynchronous else Raft
        start = HardState(0, 0, snapshot.index)
        self.raft: Raft = kind(
            config, Random(config.id), hard_state=start, snapshot=snapshot, applied=snapshot.index
        )
        # etcd-io/raft does not conclude the term from the snapshot.
        self.raft.term = 0
        self.config = config
        self.storage = Storage(snapshot.index)
        self.append_work: deque[StorageAppend] = deque()
        self.apply_work: deque[StorageApply] = deque()
        self._hard_state = start

    @property
    def asynchronous(self) -> bool:
        return isinstance(self.raft, AsyncRaft)

    def must_sync(self, state: HardState | None, entries: tuple[Entry, ...]) -> bool:
        """Whether a Ready with this content requires a sync. Called once for each Ready."""
        needed = must_sync(self._hard_state, state, entries)
        self._hard_state = state or self._hard_state
        return needed

    def write(self, entries: tuple[Entry, ...], snapshot: Snapshot | None) -> None:
        if snapshot is None:
            self.storage.append(entries)
        elif entries:
            raise CommandFailed("can't apply snapshot and entries at the same time")
        else:
            self.storage.install(snapshot)

    def apply(self, entries: tuple[Entry, ...]) -> None:
        """Apply entries. As in the original suite, each applied entry makes a new snapshot."""
        for entry in entries:
            change = conf_change_of(entry)
            if change is not None:
                self.raft.apply_conf_change(change, entry.index)
            if entry.index > self.raft.log.snapshot.index:
                self.raft.create_snapshot(entry.index)

    def step(self, flight: Flight) -> str:
        """Pass a message to Raft. Returns the error that etcd-io/raft reports, or ""."""
        payload, raft = flight.payload, self.raft
        if isinstance(payload, Message):
            return self._step_message(payload)
        assert isinstance(raft, AsyncRaft)
        if isinstance(payload, StorageAppendResponse):
            raft.appended(payload)
        else:
            raft.applied(payload.entries)
        return ""

    def _step_message(self, message: Message) -> str:
        raft = self.raft
        if message.type in _RESPONSES and message.from_ not in raft.conf_state.members:
            return PEER_UNKNOWN
        if message.type is MessageType.PROP and self._refuses_proposals():
            return PROPOSAL_DROPPED
        dropped = raft.proposals_dropped
        raft.step(message)
        return PROPOSAL_DROPPED if raft.proposals_dropped > dropped else ""

    def _refuses_proposals(self) -> bool:
        return self.raft.role is not Role.LEADER and not self.raft.leader
