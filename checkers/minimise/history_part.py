"""The smallest part of a history that still shows an anomaly.

An operation cannot simply be removed, because that could make a valid history invalid. For
example, a read is invalid without the write of its value. Instead an operation is *weakened*: it
is replaced by an operation that claims less. A write with an answer becomes a write that may or
may not have happened. A read is removed. If the weaker history is invalid, the whole history is
invalid, too. The operations that cannot be weakened explain the anomaly.

Source: Zeller and Hildebrandt 2002 for the search, see `minimise/delta_debugging.py`.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.minimise.delta_debugging import minimise, shortest_prefix
from splitbrain.checkers.porcupine import CheckResult, Model, Operation, check_operations_verbose
from splitbrain.checkers.verdict import Anomaly
from splitbrain.histories.history import History
from splitbrain.histories.history import Operation as Recorded
from splitbrain.histories.kv import writes

T = TypeVar("T")

QUESTION_S_MAX = 2.0
"""The time limit in seconds for refuting one part of a history. If the limit is reached, the part
is not used as an explanation."""


def needed(
    items: Sequence[T],
    ended: Callable[[T], float],
    weaken: Callable[[T], T | None],
    fails: Callable[[list[T]], bool],
    deadline: float,
    begun: Callable[[T], float] | None = None,
) -> list[T]:
    """Return a small part of `items` that must stay unchanged so that the history remains invalid.

    `items` are in the order of their calls. All other items are weakened.

    `ended` returns the end time of an item. The time is infinite for an item without an end, which
    is already weak. `weaken` returns a weaker item, or None to remove the item. `fails` returns
    whether a history is invalid, and must be true for `items`. With `begun`, items that begin
    after the last end of a kept item are left out. At `deadline` (a time of `time.monotonic`) the
    function returns the best result so far.
    """
    weak = {id(item): weaken(item) for item in items}

    def weakened(kept: Sequence[T]) -> list[T]:
        whole = {id(item) for item in kept}
        last = max(map(ended, kept), default=-math.inf)
        return [
            one for item in items
            if begun is None or begun(item) <= last
            if (one := item if id(item) in whole else weak[id(item)]) is not None
        ]

    def still_fails(kept: Sequence[T]) -> bool:
        return time.monotonic() < deadline and fails(weakened(kept))

    by_end = sorted((item for item in items if ended(item) != math.inf), key=ended)
    until = shortest_prefix(len(by_end), lambda n: n == len(by_end) or still_fails(by_end[:n]))
    first = {id(item) for item in by_end[:until]}
    part = [item for item in items if id(item) in first]
    return minimise(part, still_fails) if still_fails(part) else part


# --- partitions that porcupine finds illegal


@dataclass(frozen=True, slots=True)
class NoOrder:
    """Explains why operations are not linearizable."""

    needed: tuple[Operation[Any, Any], ...]
    """These operations have no linearization, whether or not each other operation took effect."""
    order: tuple[Operation[Any, Any], ...]
    """The longest partial linearization of `needed`. It may contain other operations."""
    stuck: Operation[Any, Any] | None
    """The operation that must come next after `order` and does not fit, if there is one."""
    state: str
    """The state after `order`, as text."""


def no_order(
    model: Model[Any, Any, Any], operations: Sequence[Operation[Any, Any]], deadline: float
) -> NoOrder:
    """Explain a partition that is not linearizable."""

    def weaken(op: Operation[Any, Any]) -> Operation[Any, Any] | None:
        if model.read_only(op.input, op.output):
            return None
        return Operation(op.client, op.input, op.call, None)

    def illegal(kept: list[Operation[Any, Any]]) -> bool:
        limit = max(0.01, min(QUESTION_S_MAX, (deadline - time.monotonic()) / 4))
        return check_operations_verbose(whole, kept, limit)[0] is CheckResult.ILLEGAL

    whole = dataclasses.replace(model, partition=None)
    ordered = sorted(operations, key=lambda op: (op.call, op.ret))
    kept = needed(
        ordered, lambda op: op.ret, weaken, illegal, deadline, begun=lambda op: op.call
    )
    last = max(op.ret for op in kept)
    others = [op for op in ordered if op.call <= last and weaken(op) is not None]
    return furthest(whole, kept, others)


def furthest(
    model: Model[Any, Any, Any],
    needed: Sequence[Operation[Any, Any]],
    others: Sequence[Operation[Any, Any]],
) -> NoOrder:
    """Explain why the operations `needed`, all of one partition, have no linearization.

    The explanation contains the longest partial linearization. This linearization may contain some
    operations of `others`.
    """
    whole = dataclasses.replace(model, partition=None)
    own = {id(op) for op in needed}
    placeable = [*needed, *(op for op in others if id(op) not in own)]
    placeable.sort(key=lambda op: (op.call, op.ret))
    order = _longest(whole, placeable)
    while len(without := _one_less(whole, order, own)) < len(order):
        order = without
    state = whole.init()
    for op in order:
        state = whole.step(state, op.input, op.output)[1]
    placed = {id(op) for op in order}
    left = [op for op in needed if id(op) not in placed]
    stuck = min(left, key=lambda op: op.ret, default=None)
    return NoOrder(tuple(needed), tuple(order), stuck, whole.describe_state(state))


def _longest(
    model: Model[Any, Any, Any], operations: list[Operation[Any, Any]]
) -> list[Operation[Any, Any]]:
    """Return the partial linearization with the most operations that returned."""
    _, info = check_operations_verbose(model, operations, QUESTION_S_MAX)
    found: list[Operation[Any, Any]] = []
    for part in info.partitions:
        orders = [[part.operations[n] for n in order] for order in part.partials]
        found = max([found, *orders], key=lambda order: sum(op.ret != math.inf for op in order))
    return found


def _one_less(
    model: Model[Any, Any, Any], order: list[Operation[Any, Any]], own: set[int]
) -> list[Operation[Any, Any]]:
    """Remove from `order` one unnecessary operation that is not in `own`, if there is one."""
    for place in reversed(range(len(order))):
        if id(order[place]) not in own:
            rest = order[:place] + order[place + 1 :]
            if _is_legal(model, rest):
                return rest
    return order


def _is_legal(model: Model[Any, Any, Any], order: Sequence[Operation[Any, Any]]) -> bool:
    state = model.init()
    for op in order:
        possible, state = model.step(state, op.input, op.output)
        if not possible:
            return False
    return True


# --- recorded histories, with a checker as the oracle


def shortest_history(
    evidence: Evidence, checker: Checker, anomaly: Anomaly, deadline: float
) -> tuple[Recorded, ...]:
    """Return the operations that `checker` needs to find an anomaly of the kind of `anomaly`.

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
    """Return the operations that must stay unchanged so that `fails` remains true.

    Only operations whose invocation index is in `candidates` can be in the result. All others are
    weakened.
    """

    def ended(op: Recorded) -> float:
        if op.outcome == "info" or op.invoked not in candidates or op.returned is None:
            return math.inf
        return op.returned

    return needed(operations, ended, weaken, fails, deadline)


def weaken(op: Recorded) -> Recorded | None:
    """Turn a write into a write that may or may not have happened. Return None for a read."""
    if not writes(op.request):
        return None
    return msgspec.structs.replace(op, outcome="info", result=None, ret=None)
