"""What members say to each other, and what stands in the log.

Members are 64-bit ids; 0 is none. Terms and indexes start at 1; 0 is before all.
Source: etcd-io/raft's `raft.proto`, figure 2 of the Raft paper.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

MemberId = int
Term = int
Index = int
NONE: MemberId = 0

# All values here are trees without cycles, so the garbage collector need not look at
# them (`gc=False`): a log of 100,000 entries would make each full collection slow.


class EntryType(IntEnum):
    NORMAL = 0
    CONF_CHANGE = 1  # membership change comes with its own feature; its place is kept


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of the log. Empty `data` is the entry that a leader begins its term with."""

    term: Term
    index: Index
    type: EntryType = EntryType.NORMAL
    data: bytes = b""


class HardState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What must be durable before any message that depends on it leaves."""

    term: Term = 0
    vote: MemberId = NONE
    commit: Index = 0


class ConfState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    voters: tuple[MemberId, ...] = ()
    learners: tuple[MemberId, ...] = ()


class SnapshotMetadata(msgspec.Struct, frozen=True, array_like=True, gc=False):
    index: Index = 0
    term: Term = 0
    conf_state: ConfState = ConfState()


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The state machine up to `metadata.index`; `data` is the server's, opaque here."""

    metadata: SnapshotMetadata = SnapshotMetadata()
    data: bytes = b""


class MessageType(IntEnum):
    PROP = 1
    APP = 2
    APP_RESP = 3
    VOTE = 4
    VOTE_RESP = 5
    PRE_VOTE = 6
    PRE_VOTE_RESP = 7
    SNAP = 8
    HEARTBEAT = 9
    HEARTBEAT_RESP = 10
    READ_INDEX = 11
    READ_INDEX_RESP = 12
    TIMEOUT_NOW = 13  # leadership transfer; its place is kept
    UNREACHABLE = 14  # local: the transport lost a peer
    SNAP_STATUS = 15  # local: a snapshot was delivered, or (reject) was not


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message. Which fields mean something depends on `type`, as in etcd-io/raft."""

    type: MessageType
    to: MemberId = NONE
    from_: MemberId = NONE
    term: Term = 0
    log_term: Term = 0
    index: Index = 0
    commit: Index = 0
    entries: tuple[Entry, ...] = ()
    reject: bool = False
    reject_hint: Index = 0
    context: bytes = b""
    snapshot: Snapshot | None = None
