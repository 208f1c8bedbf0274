"""Defines the messages between members, and the entries of the log.

A member is identified by a 64-bit id. The id 0 means no member. Terms and indexes start at 1, and 0
is before the first.

Source: etcd-io/raft's `raft.proto`; figure 2 of the Raft paper.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

MemberId = int
Term = int
Index = int
NONE: MemberId = 0
Position = tuple[Term, Index]
"""The term and index of an entry. As tuples, positions compare logs in the same way as a vote."""
START: Position = (0, 0)
"""The position before the first entry."""

# The values of this module do not refer to each other in cycles, so the garbage collector need not
# track them (`gc=False`). With a log of 100,000 tracked entries, each full collection would be
# slow.


class EntryType(IntEnum):
    """The kinds of entries, with the numbers of etcd-io/raft."""

    NORMAL = 0
    CONF_CHANGE = 1
    """One change of the configuration, without joint consensus."""
    CONF_CHANGE_V2 = 2
    """Any change of the configuration. Empty `data` leaves a joint configuration."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of the log. A leader begins its term with an entry whose `data` is empty."""

    term: Term
    index: Index
    type: EntryType = EntryType.NORMAL
    data: bytes = b""


class HardState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The state that must be durable before a message that depends on it is sent.

    A change of `commit` alone needs no sync.
    """

    term: Term = 0
    vote: MemberId = NONE
    commit: Index = 0


class ConfState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A configuration of the cluster: its voters and learners.

    A configuration with `voters_outgoing` is joint: elections and commits then need a majority of
    `voters` and also a majority of `voters_outgoing`. A member in `learners_next` becomes a learner
    when the joint configuration is left; until then it is an outgoing voter. With `auto_leave`, the
    leader leaves the joint configuration by itself.

    Source: Raft thesis, 4.3; etcd-io/raft, `ConfState`.
    """

    voters: tuple[MemberId, ...] = ()
    learners: tuple[MemberId, ...] = ()
    voters_outgoing: tuple[MemberId, ...] = ()
    learners_next: tuple[MemberId, ...] = ()
    auto_leave: bool = False

    @property
    def is_joint(self) -> bool:
        """Whether the configuration is joint, so that two majorities are needed."""
        return bool(self.voters_outgoing)

    @property
    def all_voters(self) -> tuple[MemberId, ...]:
        """The incoming and the outgoing voters, in the order of their ids."""
        if not self.voters_outgoing:
            return self.voters
        return tuple(sorted({*self.voters, *self.voters_outgoing}))

    @property
    def members(self) -> tuple[MemberId, ...]:
        """All voters and learners, in the order of their ids."""
        return tuple(sorted({*self.voters, *self.voters_outgoing, *self.learners}))


class SnapshotMetadata(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The position of the last entry that a snapshot contains, and the configuration there."""

    index: Index = 0
    term: Term = 0
    conf_state: ConfState = ConfState()


class Snapshot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The content of the state machine at `metadata.index`. Raft does not interpret `data`."""

    metadata: SnapshotMetadata = SnapshotMetadata()
    data: bytes = b""


class MessageType(IntEnum):
    """The types of messages. The names are those of etcd-io/raft, without the prefix Msg."""

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
    TIMEOUT_NOW = 13
    UNREACHABLE = 14  # local: the transport lost the connection to a peer
    SNAP_STATUS = 15  # local: a snapshot was delivered, or (with `reject`) was not
    TRANSFER_LEADER = 16  # `from_` is the member to become leader


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message between members. `type` decides which other fields are used, as in etcd-io/raft."""

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
