"""Checks whether a history is linearizable, within limits of time and memory."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

from splitbrain.checkers.porcupine.blocks import Decision
from splitbrain.checkers.porcupine.memory import free_bytes, resident_bytes
from splitbrain.checkers.porcupine.model import CheckResult, Event, I, Model, O, Operation, S
from splitbrain.checkers.porcupine.search import Search

MEMORY_BYTES_MAX = 2 << 30
_FIRST_BUDGET_NODES = 500
_SLICE_S = 0.03
"""The maximal time between two checks of the limits. The steps of a model may be slow, and its
states may be large."""
_PARTIALS_NODES = 2_000
_PARTIALS_S = 1.0
"""Limits for the search for partial linearizations of a partition that is known to be illegal."""


@dataclass(frozen=True)
class PartitionInfo(Generic[I, O]):
    """The result for one partition of the history, with its operations."""

    operations: tuple[Operation[I, O], ...]
    result: CheckResult
    partials: tuple[tuple[int, ...], ...]
    """The longest partial linearizations found, as indexes in `operations`, the longest first. If
    the result is OK, the only element is a complete linearization."""


@dataclass(frozen=True)
class CheckInfo(Generic[I, O]):
    """The details of a result, for explanations and pictures.

    The search ends when it finds the first illegal partition. Partitions that are not yet decided
    at that time have the result UNKNOWN.
    """

    partitions: tuple[PartitionInfo[I, O], ...]
    why: str = ""
    """The limit that was reached, if the result is UNKNOWN."""


def check_operations(
    model: Model[S, I, O],
    operations: Sequence[Operation[I, O]],
    timeout_s: float | None = None,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> CheckResult:
    """Check whether `operations` are linearizable with respect to `model`.

    Returns UNKNOWN after `timeout_s` seconds (None: no limit), or if the search uses more than
    `memory_bytes_max` bytes, or more than half of the memory that was free at its start.
    """
    return _run(model, _partitions(model, operations), timeout_s, memory_bytes_max, False)[0]


def check_operations_verbose(
    model: Model[S, I, O],
    operations: Sequence[Operation[I, O]],
    timeout_s: float | None = None,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> tuple[CheckResult, CheckInfo[I, O]]:
    """Check like `check_operations`. Returns the result and its details."""
    return _run(model, _partitions(model, operations), timeout_s, memory_bytes_max, True)


def check_events(
    model: Model[S, Any, Any],
    events: Sequence[Event],
    timeout_s: float | None = None,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> CheckResult:
    """Check a history that is a list of calls and returns, in the order of their times.

    A call without a return may or may not have taken effect. The limits and the result are those of
    `check_operations`.
    """
    parts = _event_partitions(model, events)
    return _run(model, parts, timeout_s, memory_bytes_max, False)[0]


def check_events_verbose(
    model: Model[S, Any, Any],
    events: Sequence[Event],
    timeout_s: float | None = None,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> tuple[CheckResult, CheckInfo[Any, Any]]:
    """Check like `check_events`. Returns the result and its details."""
    return _run(model, _event_partitions(model, events), timeout_s, memory_bytes_max, True)


def operations_of(events: Sequence[Event]) -> list[Operation[Any, Any]]:
    """Pair the calls with the returns. The times of the operations are indexes in `events`.

    Raises ValueError if a return has no call, or if an id is called or returns twice.
    """
    called: dict[int, tuple[int, Event]] = {}
    paired: dict[int, Operation[Any, Any]] = {}
    for place, event in enumerate(events):
        if event.kind == "call":
            if event.id in called:
                raise ValueError(f"operation {event.id} is called again at index {place}")
            called[event.id] = (place, event)
            paired[event.id] = Operation(event.client, event.value, place, None)
        else:
            if event.id not in called:
                raise ValueError(f"operation {event.id} returns at index {place} without a call")
            call, start = called[event.id]
            if paired[event.id].ret != float("inf"):
                raise ValueError(f"operation {event.id} returns again at index {place}")
            paired[event.id] = Operation(start.client, start.value, call, event.value, place)
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
    deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
    parts = [_Part(model, operations, verbose) for operations in partitions]
    undecided = []
    illegal = False
    for part in parts if model.decide is not None else ():
        if part.decide() is CheckResult.ILLEGAL:
            illegal = True
            if not verbose:
                break
    if illegal:
        result, why = CheckResult.ILLEGAL, ""
    else:
        undecided = [part for part in parts if part.result is CheckResult.UNKNOWN]
        # Short partitions first: they are cheap, and an illegal one ends the search.
        undecided.sort(key=_size)
        result, why = _search_all(undecided, _Limits(deadline, memory_bytes_max))
    if not verbose:
        return result, CheckInfo((), why)
    return result, CheckInfo(tuple(part.info() for part in parts), why)


class _Part(Generic[S, I, O]):
    """One partition of the history, with the state of its search."""

    def __init__(
        self, model: Model[S, I, O], operations: Sequence[Operation[I, O]], verbose: bool
    ) -> None:
        self.operations = operations
        self.result = CheckResult.UNKNOWN
        self.search: Search[S, I, O] | None = None
        self._model = model
        self._verbose = verbose
        self._decision: Decision | None = None

    def decide(self) -> CheckResult:
        """Decide by the model's own algorithm. Returns UNKNOWN if the algorithm does not apply."""
        assert self._model.decide is not None
        self._decision = self._model.decide(self.operations)
        if self._decision is not None:
            self.result = CheckResult.OK if self._decision.legal else CheckResult.ILLEGAL
        return self.result

    def advance(self, nodes: int) -> int:
        """Continue the search by at most `nodes` configurations, and return how many were visited.

        A configuration is the set of operations that are linearized so far, with the state.
        """
        search = self._started()
        before = search.visited
        search.advance(nodes, time.monotonic() + _SLICE_S)
        if search.found is not None:
            self.result = CheckResult.OK if search.found else CheckResult.ILLEGAL
            search.forget()
        return search.visited - before

    @property
    def held_bytes(self) -> int:
        return 0 if self.search is None else self.search.held_bytes

    def info(self) -> PartitionInfo[I, O]:
        """Return the result for this partition, with the longest partial linearizations."""
        if self._decision is not None and self._decision.legal:
            partials: list[tuple[int, ...]] = [tuple(self._decision.order())]
        else:
            if self._decision is not None:
                # The algorithm gives no partial linearization, so search for a limited time.
                self._started().advance(_PARTIALS_NODES, time.monotonic() + _PARTIALS_S)
            partials = [] if self.search is None else self.search.longest_partials()
        return PartitionInfo(tuple(self.operations), self.result, tuple(partials))

    def _started(self) -> Search[S, I, O]:
        if self.search is None:
            self.search = Search(self._model, self.operations, keep_partials=self._verbose)
        return self.search


def _size(part: _Part[S, I, O]) -> int:
    return len(part.operations)


class _Limits:
    """The limits of a search. Memory is estimated and, on Linux, also measured."""

    def __init__(self, deadline: float, memory_bytes_max: int) -> None:
        self._deadline = deadline
        self._memory_bytes_max = memory_bytes_max
        self._resident_at_first: int | None = None

    def reached(self, parts: Sequence[_Part[S, I, O]]) -> str:
        """Describe the limit that is reached. Returns "" if no limit is reached."""
        if time.monotonic() > self._deadline:
            return "the time limit was reached"
        resident = resident_bytes()
        if self._resident_at_first is None:
            self._resident_at_first = resident
            free = free_bytes()
            # Half of the free memory, so that other processes can continue.
            self._memory_bytes_max = min(self._memory_bytes_max, free // 2)
        grown = resident - self._resident_at_first
        if max(grown, sum(part.held_bytes for part in parts)) > self._memory_bytes_max:
            return f"the memory limit of {self._memory_bytes_max} bytes was reached"
        return ""


def _search_all(parts: list[_Part[S, I, O]], limits: _Limits) -> tuple[CheckResult, str]:
    """Search all partitions in turn, with a budget of configurations that doubles in each round.

    Returns the result and the limit that was reached, or "". Because of the rounds, a partition
    whose search is exponential does not delay the other partitions for long.
    """
    open_parts = parts
    budget = _FIRST_BUDGET_NODES
    while open_parts:
        for part in open_parts:
            left = budget
            while left > 0:
                left -= part.advance(left)
                if part.result is not CheckResult.UNKNOWN:
                    break
                why = limits.reached(parts)
                if why:
                    return CheckResult.UNKNOWN, why
            if part.result is CheckResult.ILLEGAL:
                return CheckResult.ILLEGAL, ""
        open_parts = [part for part in open_parts if part.result is CheckResult.UNKNOWN]
        budget *= 2
    return CheckResult.OK, ""
