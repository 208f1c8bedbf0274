"""Defines a copy of a member's Raft state, for metrics, logs, tests and the status request."""

from __future__ import annotations

import msgspec

from splitbrain.node.raft.message import ConfState, Index, MemberId, Term
from splitbrain.node.raft.progress import Progress, ProgressState
from splitbrain.node.raft.ready import Role


class ProgressStatus(msgspec.Struct, frozen=True):
    """What a leader knows about one member. For the leader itself, `match` is its durable index."""

    id: MemberId
    match: Index
    next: Index
    state: ProgressState
    paused: bool
    recent_active: bool
    pending_snapshot: Index
    inflight_messages: int
    inflight_full: bool
    is_learner: bool


class Status(msgspec.Struct, frozen=True):
    """The state of one member's Raft, for reports.

    `progress` is in the order of ids. It is empty unless the member is leader.

    `contradiction` describes the first message of a peer that contradicted this member's committed
    entries. Such a message means that some member's log has lost entries. The member ignored the
    message and is safe, but it may never catch up. The owner of the `Raft` should report the
    contradiction and stop the member.
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
    conf_state: ConfState
    transferee: MemberId
    progress: tuple[ProgressStatus, ...]
    contradiction: str | None


def progress_status(progress: Progress) -> ProgressStatus:
    return ProgressStatus(
        id=progress.id,
        match=progress.match,
        next=progress.next,
        state=progress.state,
        paused=progress.is_paused(),
        recent_active=progress.recent_active,
        pending_snapshot=progress.pending_snapshot,
        inflight_messages=len(progress.inflights),
        inflight_full=progress.inflights.full(),
        is_learner=progress.is_learner,
    )
