"""Generates traces of the write path that correct members could have written for a history."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.model.answer_facts import made_revision
from splitbrain.histories.history import History
from splitbrain.histories.trace import TraceEvent


def traces_of(history: History, members: Sequence[str]) -> dict[str, list[TraceEvent]]:
    """Generate a trace for each of `members`, the first of which is the leader.

    The traces contain the steps of each acknowledged write of `history`, in the order of revisions.
    The steps of a write come after its invocation. Other operations have no steps in the traces.
    """
    traces: dict[str, list[TraceEvent]] = {name: [] for name in members}
    leader, *followers = members
    for name in members:
        traces[name].append(TraceEvent(name, "start", 0))
    traces[leader].append(TraceEvent(leader, "lead", 1, term=2))
    written = sorted(
        (op.result.header.revision, op.call, op.node or leader)
        for op in history.operations
        if op.result is not None and made_revision(op.result)
    )
    clock = 1
    for request, (revision, call, node) in enumerate(written, start=1):
        clock = max(clock + 1, call)
        steps = _one_write(leader, followers, node, request, revision, clock)
        for event in steps:
            traces[event.member].append(event)
        clock = steps[-1].ns
    return traces


def _one_write(
    leader: str, followers: Sequence[str], node: str, request: int, revision: int, ns: int
) -> list[TraceEvent]:
    index = request + 1
    proposal = (request, 0, 0)
    entry = (request, 2, index)
    events: list[TraceEvent] = []

    def add(
        member: str, step: str, subject: tuple[int, int, int], peer: str = "", rev: int = 0
    ) -> None:
        request_id, term, position = subject
        events.append(TraceEvent(
            member=member, step=step, ns=ns + len(events), request=request_id, term=term,
            index=position, revision=rev, peer=peer,
        ))

    add(node, "client_request", proposal)
    if node != leader:
        add(node, "follower_forward", proposal)
    add(leader, "leader_receive", proposal, "" if node == leader else node)
    for follower in followers:
        add(leader, "replicate", entry, follower)
    add(leader, "leader_wal", entry)
    for follower in followers:
        add(follower, "follower_wal", entry)
    add(leader, "quorum_ack", entry)
    add(leader, "leader_commit", entry)
    for member in (leader, *followers):
        if member != leader:
            add(member, "follower_commit", entry)
        add(member, "apply_notify", entry)
        add(member, "apply_mvcc", entry, rev=revision)
    add(node, "respond", entry, rev=revision)
    return events
