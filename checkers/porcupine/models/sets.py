"""Models sets in two ways: with add, remove and contains, or with add and reads of the whole set.

`element_set` is judged element by element. `grow_only_set` has reads of the whole set, as in
Jepsen's `set` tests. Of two such reads, the one with the smaller set comes first, so the model is
decided by sorting.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from splitbrain.checkers.porcupine.blocks import ILLEGAL, Decision
from splitbrain.checkers.porcupine.model import Model, Operation
from splitbrain.checkers.porcupine.models.by_key import by_key, events_by_key


class Add(NamedTuple):
    """Add an element. The output is True if the element was absent before, None if unknown."""

    key: Hashable


class Remove(NamedTuple):
    """Remove an element. The output is True if the element was present before, None if unknown."""

    key: Hashable


class Contains(NamedTuple):
    """Look for an element. The output is True if the element is present."""

    key: Hashable


class ReadAll(NamedTuple):
    """Read the whole set. The output is a frozenset of all elements."""


def _step(
    present: bool, given: Add | Remove | Contains, output: bool | None
) -> tuple[bool, bool]:
    match given:
        case Add():
            return output is None or output is not present, True
        case Remove():
            return output is None or output is present, False
        case Contains():
            return output is present, present


def _read_only(given: Add | Remove | Contains, output: bool | None) -> bool:
    return isinstance(given, Contains) or output is False


def _describe(given: Add | Remove | Contains, output: bool | None) -> str:
    answer = {None: "?", True: "yes", False: "no"}[output]
    return f"{type(given).__name__.lower()} {given.key} -> {answer}"


def element_set() -> Model[bool, Add | Remove | Contains, bool | None]:
    """Return a model of a set that is judged element by element.

    The search is polynomial, because an element has only two states (absent and present), and only
    two kinds of operations change its state (add and remove).
    """
    return Model(
        init=bool,
        step=_step,
        partition=by_key,
        partition_events=events_by_key,
        read_only=_read_only,
        describe_operation=_describe,
    )


Elements = frozenset[Hashable]


def _step_whole(
    state: Elements, given: Add | ReadAll, output: Elements | None
) -> tuple[bool, Elements]:
    if isinstance(given, ReadAll):
        return output == state, state
    return True, state if given.key in state else state | {given.key}


def _decide_growing(operations: Sequence[Operation[Add | ReadAll, Elements | None]]) -> Decision:
    """Decide a set that only grows.

    Of two reads, the one with the smaller set comes first. An add takes effect between the last
    read without its element and the first read with the element. If an element was added several
    times, only the add that takes effect first changes the set. The algorithm assumes that this is
    the add that was called first. This assumption never makes a legal history illegal, because the
    other adds of the element change nothing and can take effect later.
    """
    reads: dict[Elements, list[int]] = {}
    adds: dict[Hashable, list[int]] = {}
    for n, op in enumerate(operations):
        if isinstance(op.input, Add):
            adds.setdefault(op.input.key, []).append(n)
        elif op.ret != math.inf:
            reads.setdefault(op.output or frozenset(), []).append(n)
    shown: Elements = frozenset()
    levels: list[tuple[list[list[int]], list[int]]] = []
    for elements in sorted(reads, key=len):
        if not shown <= elements or not elements <= adds.keys():
            return ILLEGAL
        levels.append(([adds[element] for element in elements - shown], reads[elements]))
        shown = elements
    unseen = [
        [n for n in places if operations[n].ret != math.inf]
        for element, places in adds.items()
        if element not in shown
    ]
    levels.append(([places for places in unseen if places], []))
    order: list[int] = []
    latest = -math.inf
    for new, level_reads in levels:
        before = latest
        for places in new:
            if any(operations[n].ret < before for n in places):
                return ILLEGAL
            latest = max(latest, min(operations[n].call for n in places))
        added = latest
        if any(operations[n].ret < added for n in level_reads):
            return ILLEGAL
        latest = max([latest, *(operations[n].call for n in level_reads)])
        firsts = [min(places, key=lambda n: operations[n].call) for places in new]
        order += sorted(firsts, key=lambda n: (operations[n].call, n))
        order += sorted(level_reads, key=lambda n: operations[n].call)
    return Decision(True, lambda: _with_repeated_adds(operations, order, adds))


def _with_repeated_adds(
    operations: Sequence[Operation[Add | ReadAll, Elements | None]],
    order: list[int],
    adds: dict[Hashable, list[int]],
) -> list[int]:
    """Insert into `order` the adds that it lacks, each as early as possible.

    The element of each such add is also added by another operation in `order`. `adds` contains the
    adds of each element, as indexes in `operations`.
    """
    points: list[tuple[float, int]] = []
    latest = -math.inf
    first_add: dict[Hashable, float] = {}
    for n in order:
        latest = max(latest, operations[n].call)
        points.append((latest, n))
        given = operations[n].input
        if isinstance(given, Add):
            first_add[given.key] = latest
    placed = set(order)
    for element, places in adds.items():
        points += [
            (max(first_add[element], operations[n].call), n)
            for n in places
            if n not in placed and operations[n].ret != math.inf and element in first_add
        ]
    points.sort(key=lambda point: point[0])
    return [n for _, n in points]


def grow_only_set() -> Model[Elements, Add | ReadAll, Elements | None]:
    """Return a model of a set whose elements are never removed and whose reads show all elements.

    The output of an add is ignored.
    """
    return Model(
        init=frozenset,
        step=_step_whole,
        read_only=lambda given, output: isinstance(given, ReadAll),
        decide=_decide_growing,
    )
