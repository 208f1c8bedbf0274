"""Implements a Raft that does not wait for storage: two threads write the log and apply entries.

The owner of an `AsyncRaft` does not call `advance`. Each Ready contains at most one `StorageAppend`
for the thread that writes the log, and one `StorageApply` for the thread that applies entries. Each
thread handles its messages in order and loses none. Further Readies can follow before a thread has
finished, so that writes are pipelined and batched.

When the data of a `StorageAppend` is durable, its thread delivers the `responses`, which are
messages to other members and to this member. It then passes the `response` to `AsyncRaft.appended`.
When the entries of a `StorageApply` are applied, its thread calls `AsyncRaft.applied`. Entries are
applied only when they are durable in this member's own log.

Source: etcd-io/raft, `Config.AsyncStorageWrites`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

import msgspec

from splitbrain.node.raft.config import Config
from splitbrain.node.raft.message import (
    ConfState,
    Entry,
    HardState,
    Index,
    Message,
    Snapshot,
    SnapshotMetadata,
    Term,
)
from splitbrain.node.raft.raft import Raft
from splitbrain.node.raft.ready import Ready


class StorageAppendResponse(msgspec.Struct, frozen=True, gc=False):
    """Confirms that the log is durable up to `index`, and that `snapshot`, if any, is durable.

    `term` is the member's term when the write was requested, and `log_term` is the term of the
    entry at `index`. `index` is 0 if nothing of the log had to be written.
    """

    term: Term
    index: Index
    log_term: Term
    snapshot: Snapshot | None


class StorageAppend(msgspec.Struct, frozen=True, gc=False):
    """The data that the append thread writes, and the messages that it delivers afterwards.

    `responses` and `response` are delivered when all of the data is durable.
    """

    hard_state: HardState | None
    entries: tuple[Entry, ...]
    snapshot: Snapshot | None
    responses: tuple[Message, ...]
    response: StorageAppendResponse | None


class StorageApply(msgspec.Struct, frozen=True, gc=False):
    """The entries that the apply thread applies.

    Afterwards, the thread passes `entries` to `AsyncRaft.applied`.
    """

    entries: tuple[Entry, ...]


class AsyncReady(msgspec.Struct, frozen=True, gc=False):
    """A Ready, and the parts of it that the two threads handle.

    The owner sends `ready.messages` at once. The append thread handles `append`, and the apply
    thread handles `apply`. The data of `append` and `apply` is also in `ready`, where the owner
    must not handle it a second time.
    """

    ready: Ready
    append: StorageAppend | None
    apply: StorageApply | None


class AsyncRaft(Raft):
    """A Raft whose storage writes are asynchronous. `config.merge_messages` must be False.

    `config.committed_bytes_max` limits the entries that were handed out and are not applied yet.
    """

    def __init__(
        self,
        config: Config,
        random: Random,
        *,
        hard_state: HardState = HardState(),  # noqa: B008  (frozen)
        snapshot: SnapshotMetadata = SnapshotMetadata(),  # noqa: B008  (frozen)
        entries: Sequence[Entry] = (),
        applied: Index = 0,
        conf_state: ConfState | None = None,
    ) -> None:
        assert not config.merge_messages, "asynchronous writes need a message for each write"
        super().__init__(
            config, random, hard_state=hard_state, snapshot=snapshot, entries=entries,
            applied=applied, conf_state=conf_state,
        )  # fmt: skip
        self.log.apply_unstable = False
        self._applying: deque[int] = deque()
        """The payload, in bytes, of each batch of entries that was handed out and is not applied
        yet."""

    def async_ready(self) -> AsyncReady:
        """Return the work that must be done next.

        It may be called again before this work is done.
        """
        waiting = tuple(self.messages_after_sync)
        self.messages_after_sync = []
        before = self.log.durable
        room = self.config.committed_bytes_max - sum(self._applying)
        ready = self._take_ready(max(room, 1))
        self._in_flight = None
        return AsyncReady(
            ready,
            self._storage_append(ready, waiting, durable=before),
            self._storage_apply(ready.committed_entries),
        )

    def _storage_append(
        self, ready: Ready, waiting: tuple[Message, ...], *, durable: Index
    ) -> StorageAppend | None:
        if not (ready.entries or ready.hard_state or ready.snapshot or waiting):
            return None
        log = self.log
        response = None
        if durable < log.last_index or ready.snapshot is not None:
            # The position is repeated until it is durable. A response of an earlier term is
            # ignored, because a later write may replace the entries that it confirms.
            end = (log.last_index, log.last_term) if durable < log.last_index else (0, 0)
            response = StorageAppendResponse(self.term, *end, ready.snapshot)
        return StorageAppend(
            hard_state=ready.hard_state,
            entries=ready.entries,
            snapshot=ready.snapshot,
            responses=waiting,
            response=response,
        )

    def _storage_apply(self, entries: tuple[Entry, ...]) -> StorageApply | None:
        if not entries:
            return None
        self._applying.append(sum(len(entry.data) for entry in entries))
        log = self.log
        # Entries that did not fit wait until some of the earlier entries are applied.
        log.applying_paused = log.applying < log.appliable or self._is_full()
        return StorageApply(entries)

    def _is_full(self) -> bool:
        return sum(self._applying) >= self.config.committed_bytes_max

    def appended(self, response: StorageAppendResponse) -> None:
        """Record that a `StorageAppend` is durable. The argument is its field `response`."""
        if response.index and response.term == self.term:
            self.log.stable_to(response.index, response.log_term)
        if response.snapshot is not None:
            self.log.snapshot_persisted(response.snapshot)
            self._leave_joint_when_due()

    def applied(self, entries: tuple[Entry, ...]) -> None:
        """Report that the entries of a `StorageApply` are applied."""
        self._applying.popleft()
        self.log.applying_paused = self._is_full()
        self._applied(entries)
