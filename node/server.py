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

from node import raft
from node.api import errors
from node.api.rpc import Member, ResponseHeader, StatusResponse
from node.apply import Operation, Response, apply
from node.config import Config
from node.failpoint import FailpointError, Failpoints, parse_all
from node.internal_request import InternalRequest, decode, encode
from node.metrics import Metrics
from node.mvcc.store import Store
from node.pending import Deadline, Pending, RequestIds
from node.raft.message import Entry, Message, MessageType, Snapshot
from node.raft.ready import Ready, Role, SoftState
from node.read_barrier import ReadBarrier
from node.storage.member_storage import MemberStorage
from node.transport import Transport
from node.world import Closable, World
from node.write_path import Traced, WritePath

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
