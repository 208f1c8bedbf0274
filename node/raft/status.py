"""How a member stands: a copy, for metrics, logs, tests and the status request."""

from __future__ import annotations

import msgspec

from splitbrain.node.raft.message import Index, MemberId, Term
from splitbrain.node.raft.progress import ProgressState
from splitbrain.node.raft.ready import Role


class ProgressStatus(msgspec.Struct, frozen=True):
    """A leader's view of one member; its own `match` is its durable log."""

    id: MemberId
    match: Index
    next: Index
    state: ProgressState
    paused: bool
    recent_active: bool
    pending_snapshot: Index
    inflight_messages: int
    is_learner: bool


class Status(msgspec.Struct, frozen=True):
    """`progress` is empty unless the member leads; it is in the order of ids.

    `contradiction` says how a peer contradicted what is committed here, the first
    time one did: some log has lost entries. The message was refused, and the member
    is safe, but may never catch up: its owner should say so and stop.
    """

    id: MemberId
    role: Role
    leader: MemberId
    term: Term
    vote: MemberId
    commit: Index
    applied: Index
    first_index: Index
    last_index: Index
    last_term: Term
    durable_index: Index
    snapshot_index: Index
    voters: tuple[MemberId, ...]
    progress: tuple[ProgressStatus, ...]
    contradiction: str | None
