"""Implements members in memory that process each Ready in order, and may crash within it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import msgspec

from splitbrain.node.raft.config import Config
from splitbrain.node.raft.message import (
    START,
    Entry,
    HardState,
    Index,
    MemberId,
    Message,
    MessageType,
    Position,
    Snapshot,
    SnapshotMetadata,
    Term,
)
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import ReadState, Ready, Role

Applied = list[tuple[Index, Term, bytes]]


@dataclass
class MemoryDisk:
    """The state that survives a crash. `hard_state` is synced; `written` may be lost in a crash."""

    hard_state: HardState = field(default_factory=HardState)
    written: HardState = field(default_factory=HardState)
    snapshot: SnapshotMetadata = field(default_factory=SnapshotMetadata)
    entries: list[Entry] = field(default_factory=list)
    backend: Applied = field(default_factory=list)
    """The state machine at its last flush."""
    promised: tuple[Term, Position] = (0, START)
    """The seal: the term and the end of the log at the last sync."""
    floor: Position = START

    @property
    def snapshot_index(self) -> Index:
        return self.snapshot.index

    @property
    def end(self) -> Position:
        if self.entries:
            return self.entries[-1].term, self.entries[-1].index
        return self.snapshot.term, self.snapshot.index

    def seal(self) -> None:
        if self.end >= self.floor:
            self.floor = START
        self.promised = (self.hard_state.term, max(self.end, self.floor))

    def lose_log(self, *, keep_backend: bool) -> None:
        """Lose all entries, and perhaps the state machine; start again from what is left."""
        if not keep_backend:
            self.backend = []
        index, term, _ = self.backend[-1] if self.backend else (0, 0, b"")
        self.snapshot, self.entries = SnapshotMetadata(index, term), []
        promised_term, end = self.promised
        self.hard_state = self.written = HardState(promised_term + 1, 0, index)
        self.floor = end
        self.seal()

    def honours(self, entry: Entry) -> bool:
        """Whether the disk contains `entry`, or a record that this member may have had it."""
        if entry.index <= self.snapshot_index or self.term_at(entry.index) == entry.term:
            return True
        return self.floor >= (entry.term, entry.index)

    def term_at(self, index: Index) -> Term | None:
        at = index - self.snapshot.index
        if at == 0:
            return self.snapshot.term
        return self.entries[at - 1].term if 0 < at <= len(self.entries) else None

    def put_entries(self, entries: tuple[Entry, ...]) -> None:
        """Append `entries`; they replace the entries at their indexes and after."""
        if entries:
            keep = entries[0].index - self.snapshot.index - 1
            assert 0 <= keep <= len(self.entries), "a gap in the log on disk"
            self.entries[keep:] = entries

    def put_hard_state(self, state: HardState, *, sync: bool) -> None:
        self.written = state
        if sync:
            self.hard_state = state

    def install(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot.metadata
        self.entries = []
        self.backend = decode(snapshot.data)

    def compact(self, metadata: SnapshotMetadata) -> None:
        del self.entries[: metadata.index - self.snapshot.index]
        self.snapshot = metadata


def encode(applied: Applied) -> bytes:
    return msgspec.msgpack.encode(applied)


def decode(data: bytes) -> Applied:
    return msgspec.msgpack.decode(data, type=Applied)


class MemoryMember:
    """One member: its disk, its Raft, and its state machine, a list of all applied entries."""

    def __init__(self, config: Config, random: Random, send: Callable[[Message], None]) -> None:
        self.config = config
        self.id = config.id
        self.disk = MemoryDisk()
        self.applied: Applied = []
        self.reads: list[ReadState] = []
        self.readies = 0
        self._random = random
        self._send = send
        self.raft: Raft | None = None
        self.start()

    @property
    def up(self) -> Raft:
        assert self.raft is not None, f"{self.id} is down"
        return self.raft

    def start(self) -> None:
        disk = self.disk
        self.applied = list(disk.backend)
        self.reads = []
        self.raft = Raft(
            self.config,
            self._random,
            hard_state=disk.hard_state,
            snapshot=disk.snapshot,
            entries=list(disk.entries),
            applied=self.applied_index,
            floor=disk.floor,
        )

    def crash(self, *, keep_written: bool = False) -> None:
        """Lose everything except the disk, and there the hard state that is written but not synced.

        With `keep_written` the disk keeps it.
        """
        self.raft = None
        if keep_written:
            self.disk.hard_state = self.disk.written
        else:
            self.disk.written = self.disk.hard_state

    @property
    def applied_index(self) -> Index:
        return self.applied[-1][0] if self.applied else 0

    # The steps of a Ready, in order

    def handle_ready(self) -> Ready:
        ready = self.take()
        self.persist(ready)
        self.send_after_sync(ready)
        self.apply(ready)
        self.up.advance(ready)
        return ready

    def take(self) -> Ready:
        self.readies += 1
        ready = self.up.ready()
        for message in ready.messages:
            self._dispatch(message)
        return ready

    def persist(self, ready: Ready) -> None:
        if ready.snapshot is not None:
            self.disk.install(ready.snapshot)
        self.disk.put_entries(ready.entries)
        if ready.hard_state is not None:
            self.disk.put_hard_state(ready.hard_state, sync=ready.must_sync)
        elif ready.must_sync:
            self.disk.hard_state = self.disk.written
        if ready.must_sync:
            self.disk.seal()

    def persist_torn(self, ready: Ready, entries: int) -> None:
        """Persist only the first `entries` entries: the rest of the WAL record is lost."""
        if ready.snapshot is None:
            self.disk.put_entries(ready.entries[:entries])

    def send_after_sync(self, ready: Ready) -> None:
        for message in ready.messages_after_sync:
            self._dispatch(message)

    def apply(self, ready: Ready) -> None:
        if ready.snapshot is not None:
            self.applied = list(self.disk.backend)
        for entry in ready.committed_entries:
            if entry.index <= self.applied_index:
                continue  # the snapshot of this or an earlier Ready contains it
            assert entry.index == self.applied_index + 1, "entries to apply have a gap"
            self.applied.append((entry.index, entry.term, entry.data))
        self.reads.extend(ready.read_states)

    def flush(self) -> None:
        self.disk.backend = list(self.applied)

    def snapshot_and_compact(self, keep: int = 0) -> None:
        """Save the state machine, then compact the log up to the last `keep` applied entries."""
        index = self.applied_index
        if self.raft is None or index <= self.raft.log.snapshot.index:
            return
        self.flush()
        self.disk.compact(self.raft.create_snapshot(index))
        self.raft.compact(max(index - keep, 0))

    def _dispatch(self, message: Message) -> None:
        assert message.to != self.id
        assert message.from_ != 0
        if message.type is MessageType.SNAP:
            metadata = self.up.describe_snapshot(self.applied_index)
            message = msgspec.structs.replace(
                message, snapshot=Snapshot(metadata, encode(self.applied))
            )
        self._send(message)


class Cluster:
    """Members, and the messages in flight on each link, in order."""

    def __init__(self, size: int, seed: int = 1, **settings: object) -> None:
        self.voters = tuple(range(1, size + 1))
        self.links: dict[tuple[MemberId, MemberId], list[Message]] = {
            (a, b): [] for a in self.voters for b in self.voters if a != b
        }
        self.cut: dict[tuple[MemberId, MemberId], bool] = dict.fromkeys(self.links, False)
        self.members = {
            member: MemoryMember(
                config_of(member, self.voters, settings),
                Random(f"{seed}/{member}"),
                self._send,
            )
            for member in self.voters
        }

    def __getitem__(self, member: MemberId) -> MemoryMember:
        return self.members[member]

    def _send(self, message: Message) -> None:
        if not self.cut[message.from_, message.to]:
            self.links[message.from_, message.to].append(message)

    def running(self) -> list[MemoryMember]:
        return [member for member in self.members.values() if member.raft is not None]

    def leader(self) -> MemoryMember | None:
        """The leader of the highest term, if any."""
        leaders = [m for m in self.running() if m.up.role is Role.LEADER]
        return max(leaders, key=lambda m: m.up.term, default=None)

    def isolate(self, member: MemberId, *, cut: bool = True) -> None:
        for link in self.links:
            if member in link:
                self.cut[link] = cut

    def deliver(self, link: tuple[MemberId, MemberId], at: int = 0, *, keep: bool = False) -> None:
        """Deliver the message at position `at` of a link; `keep` leaves a copy in flight."""
        messages = self.links[link]
        message = messages[at] if keep else messages.pop(at)
        if self.members[link[1]].raft is not None:
            self.members[link[1]].up.step(message)

    def deliver_in_flight(self) -> None:
        """Deliver the messages that are in flight now, but not the answers to them."""
        for link, messages in self.links.items():
            for _ in range(len(messages)):
                self.deliver(link)

    def handle_readies(self) -> bool:
        busy = False
        for member in self.running():
            while member.up.has_ready():
                member.handle_ready()
                busy = True
        return busy

    def run_until_quiet(self, rounds_max: int = 1000) -> None:
        """Handle Readies and deliver messages until nothing is left to do without a tick."""
        for _ in range(rounds_max):
            busy = self.handle_readies()
            self.deliver_in_flight()
            if not busy and not any(self.links.values()):
                return
        raise AssertionError(f"members still send messages after {rounds_max} rounds")

    def tick(self, ticks: int = 1) -> None:
        """Tick all running members; after each tick, handle and deliver everything."""
        for _ in range(ticks):
            for member in self.running():
                member.up.tick()
            self.run_until_quiet()

    def elect(self, member: MemberId) -> None:
        self.members[member].up.campaign()
        self.run_until_quiet()
        assert self.members[member].up.role is Role.LEADER


def config_of(
    member: MemberId, voters: tuple[MemberId, ...], settings: dict[str, object]
) -> Config:
    return msgspec.convert({"id": member, "voters": voters, **settings}, Config)
