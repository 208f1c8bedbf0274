"""Asking whether a history is linearizable, within limits of time and memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

from checkers.porcupine.model import CheckResult, Event, I, Model, O, Operation, S
from checkers.porcupine.search import Search

MEMORY_BYTES_MAX = 2 << 30
_FIRST_BUDGET_NODES = 500
_SLICE_NODES = 20_000
"""Between two looks at the clock: some 50 ms."""


@dataclass(frozen=True, slots=True)
class PartitionInfo(Generic[I, O]):
    """One partition: its operations, the verdict on it alone, and the longest partial
    linearizations found, longest first, each a tuple of places in `operations`
    (a whole linearization where the result is OK)."""

    operations: tuple[Operation[I, O], ...]
    result: CheckResult
    partials: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class CheckInfo(Generic[I, O]):
    """What a search leaves to be drawn or explained. Once a partition is illegal the
    others are left as they stand, some of them UNKNOWN."""

    partitions: tuple[PartitionInfo[I, O], ...]
    why: str = ""
    """Which limit came first, where the result is UNKNOWN."""


def check_operations(
    model: Model[S, I, O],
    operations: Sequence[Operation[I, O]],
    timeout_s: float | None = None,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> CheckResult:
    """Whether `operations` are linearizable with respect to `model`.

    UNKNOWN after `timeout_s` seconds (None: no limit), or when the caches would exceed
    `memory_bytes_max`.
    """
    return _run(model, _partitions(model, operations), timeout_s, memory_bytes_max, False)[0]


def check_operations_verbose(
    model: Model[S, I, O],
    operations: Sequence[Operation[I, O]],
    timeout_s: float | None = None,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> tuple[CheckResult, CheckInfo[I, O]]:
    """As `check_operations`, and what was found on the way."""
    return _run(model, _partitions(model, operations), timeout_s, memory_bytes_max, True)


def check_events(
    model: Model[S, Any, Any],
    events: Sequence[Event],
    timeout_s: float | None = None,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> CheckResult:
    """As `check_operations`, of calls and returns in the order of their times; a call
    that has no return may have taken effect or not."""
    parts = _event_partitions(model, events)
    return _run(model, parts, timeout_s, memory_bytes_max, False)[0]


def check_events_verbose(
    model: Model[S, Any, Any],
    events: Sequence[Event],
    timeout_s: float | None = None,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> tuple[CheckResult, CheckInfo[Any, Any]]:
    """As `check_events`, and what was found on the way."""
    return _run(model, _event_partitions(model, events), timeout_s, memory_bytes_max, True)


def operations_of(events: Sequence[Event]) -> list[Operation[Any, Any]]:
    """Calls paired with returns; times are places in `events`. Raises ValueError where
    a return has no call, or an id is called twice."""
    called: dict[int, tuple[int, Event]] = {}
    paired: dict[int, Operation[Any, Any]] = {}
    for place, event in enumerate(events):
        if event.kind == "call":
            if event.id in called:
                raise ValueError(f"operation {event.id} is called twice, again at place {place}")
            called[event.id] = (place, event)
            paired[event.id] = Operation(event.client, event.value, place, None)
        else:
            if event.id not in called:
                raise ValueError(f"operation {event.id} returns at place {place} without a call")
            call, begun = called[event.id]
            if paired[event.id].ret != float("inf"):
                raise ValueError(f"operation {event.id} returns twice, again at place {place}")
            paired[event.id] = Operation(begun.client, begun.value, call, event.value, place)
    return list(paired.values())


def _partitions(
    model: Model[S, I, O], operations: Sequence[Operation[I, O]]
) -> list[Sequence[Operation[I, O]]]:
    return list(model.partition(operations)) if model.partition else [operations]


def _event_partitions(
    model: Model[S, Any, Any], events: Sequence[Event]
) -> list[Sequence[Operation[Any, Any]]]:
    if model.partition_events:
        return [operations_of(part) for part in model.partition_events(events)]
    return _partitions(model, operations_of(events))


def _run(
    model: Model[S, I, O],
    partitions: Sequence[Sequence[Operation[I, O]]],
    timeout_s: float | None,
    memory_bytes_max: int,
    verbose: bool,
) -> tuple[CheckResult, CheckInfo[I, O]]:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    # Short partitions first: they are cheap, and one that is illegal ends the run.
    searches = [Search(model, part, keep_partials=verbose) for part in partitions]
    result, why = _in_turn(sorted(searches, key=_size), deadline, memory_bytes_max)
    return result, CheckInfo(tuple(_info(search) for search in searches), why)


def _size(search: Search[S, I, O]) -> int:
    return len(search.operations)


def _in_turn(
    searches: list[Search[S, I, O]], deadline: float | None, memory_bytes_max: int
) -> tuple[CheckResult, str]:
    """Search all partitions by budgets that double, so that an exponential partition
    cannot keep an illegal one from being seen."""
    open_searches = searches
    budget = _FIRST_BUDGET_NODES
    done_bytes = 0
    while open_searches:
        still_open = []
        for search in open_searches:
            left = budget
            while search.found is None and left > 0:
                search.advance(min(left, _SLICE_NODES))
                left -= _SLICE_NODES
                if deadline is not None and time.monotonic() > deadline:
                    break
            if search.found is False:
                return CheckResult.ILLEGAL, ""
            if search.found is None:
                still_open.append(search)
                if deadline is not None and time.monotonic() > deadline:
                    return CheckResult.UNKNOWN, "the limit of time was reached"
                held = done_bytes + sum(s.entries_bytes for s in open_searches)
                if held > memory_bytes_max:
                    why = f"the limit of memory, {memory_bytes_max} bytes, was reached"
                    return CheckResult.UNKNOWN, why
        open_searches = still_open
        budget *= 2
    return CheckResult.OK, ""


def _info(search: Search[S, I, O]) -> PartitionInfo[I, O]:
    result = {True: CheckResult.OK, False: CheckResult.ILLEGAL, None: CheckResult.UNKNOWN}
    return PartitionInfo(
        tuple(search.operations), result[search.found], tuple(search.longest_partials())
    )
