"""Finds the times of leader changes from the Raft terms in the answers."""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.histories.history import History, Operation
from splitbrain.histories.lease import LeaseGrant, LeaseRevoke
from splitbrain.histories.service_operation import ServiceOperation


@dataclass(frozen=True, slots=True)
class LeaderChange:
    """A leader of `term` was elected between `after` and `by`, in ns since the start of the run."""

    term: int
    after: int
    """The leader was elected after this time, because an operation that was invoked at this time
    was answered in an earlier term."""
    by: int
    """The leader was elected before this time, because the first answer with this term or a later
    term returned at this time."""


def leader_changes(history: History) -> tuple[LeaderChange, ...]:
    """Return one election for each term that an answer shows, in the order of the terms.

    The first one is the election before the first answer, so it is no change of leader during the
    run. The result is empty if the answers contain no terms.
    """
    everything: list[Operation | ServiceOperation] = [*history.operations, *history.services]
    answered = [
        op for op in everything
        if op.result is not None and op.ret is not None and op.result.header.raft_term
    ]
    answered.sort(key=lambda op: op.ret or 0)
    found: list[LeaderChange] = []
    highest = alive = 0
    for op in answered:
        assert op.result is not None
        term = op.result.header.raft_term
        if term > highest:
            found.append(LeaderChange(term, min(alive, op.ret or 0), op.ret or 0))
            highest = term
        if _needs_a_leader(op):
            alive = max(alive, op.call)
    return tuple(found)


def _needs_a_leader(op: Operation | ServiceOperation) -> bool:
    if isinstance(op, ServiceOperation):
        return isinstance(op.request, LeaseGrant | LeaseRevoke)
    return must_be_recent(op.request)
