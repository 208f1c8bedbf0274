"""Finds the smallest part of a recorded history in which a checker still finds an anomaly."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import msgspec

from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.minimise.weakening import Weakening
from splitbrain.checkers.verdict import Anomaly
from splitbrain.histories.history import History
from splitbrain.histories.history import Operation as Recorded
from splitbrain.histories.kv import writes


def shortest_history(
    evidence: Evidence, checker: Checker, anomaly: Anomaly, deadline: float
) -> tuple[Recorded, ...]:
    """Return the operations that `checker` needs to find an anomaly of the same kind as `anomaly`.

    The found anomaly must have an event in common with `anomaly`. The result is empty if `anomaly`
    names no operation of the history. The members' states and traces are kept unchanged.
    """
    operations = evidence.history.operations
    named = set(anomaly.events)
    about = [op for op in operations if op.invoked in named or op.returned in named]
    if not about:
        return ()

    def fails(kept: list[Recorded]) -> bool:
        history = History(evidence.history.events, tuple(kept), evidence.history.faults)
        verdict = checker(dataclasses.replace(evidence, history=history))
        return any(
            found.kind == anomaly.kind and named.intersection(found.events)
            for found in verdict.anomalies
        )

    own = {op.invoked for op in about}
    rest = [one for op in operations if (one := op if op.invoked in own else weaken(op))]
    if fails(rest):
        return tuple(needed_of(rest, own, fails, deadline))
    whole = {op.invoked for op in operations}
    return tuple(needed_of(list(operations), whole, fails, deadline))


def needed_of(
    operations: Sequence[Recorded],
    candidates: set[int],
    fails: Callable[[list[Recorded]], bool],
    deadline: float,
) -> list[Recorded]:
    """Return the operations of a history that must stay unchanged so that `fails` remains true.

    Only operations whose invocation index is in `candidates` can be in the result. All operations
    that are not in the result are weakened: reads are removed, and writes may or may not have
    happened. The search ends at `deadline`, a time of `time.monotonic`, with the best result so
    far.
    """

    def ended(op: Recorded) -> float:
        if op.outcome == "info" or op.invoked not in candidates or op.returned is None:
            return math.inf
        return op.returned

    history = Weakening(operations, ended, weaken)
    return history.needed(history.shortest_prefix(fails, deadline), fails, deadline)


def weaken(op: Recorded) -> Recorded | None:
    """Weaken `op`: return a write that may or may not have happened, or None for a read."""
    if not writes(op.request):
        return None
    return msgspec.structs.replace(op, outcome="info", result=None, ret=None)
