"""An explanation shows operations that have no linearization, and names the one that is wrong."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings

from splitbrain.checkers.linearizable.explanation import useful_writes
from splitbrain.checkers.linearizable.store_register import (
    REGISTERS,
    Before,
    Read,
    Swap,
    Write,
)
from splitbrain.checkers.minimise.linearization_explanation import NoOrder, no_order
from splitbrain.checkers.porcupine import Operation
from splitbrain.checkers.porcupine.models import mutex
from tests.conformance.small_objects import OBJECTS, History, SmallObject, histories
from tests.unit.checkers.exhaustive import linearizable

FOREVER = math.inf

LOCK = SmallObject(
    mutex.mutex(), False,
    lambda choose, number, state: mutex.Release("k") if state else mutex.Acquire("k"),
    lambda state, request: (None, isinstance(request, mutex.Acquire)),
    lambda choose, request, states: None,
)
ALL_OBJECTS = OBJECTS | {"lock": LOCK}


def explain(name: str, history: History) -> NoOrder | None:
    """The explanation of a partition of `history` that is not linearizable, if there is one."""
    model = ALL_OBJECTS[name].model
    for part in model.partition(history) if model.partition else [history]:
        if not linearizable(model, part):
            if name == "register of a store":
                return no_order(model, part, FOREVER, useful=useful_writes)
            return no_order(model, part, FOREVER)
    return None


def uncertain(op: Operation[Any, Any]) -> Operation[Any, Any]:
    return Operation(op.client, op.input, op.call, None)


def assert_explains(name: str, history: History, found: NoOrder) -> None:
    model = ALL_OBJECTS[name].model
    shown, blamed = found.shown, found.blamed
    assert blamed in found.needed
    own = {id(op) for op in shown}
    assert {id(op) for op in (*found.needed, *found.order)} <= own
    needed = {id(op) for op in found.needed}

    # Nothing else of the history, whether it took effect or not, makes the shown part fit.
    rest = [uncertain(op) for op in history
            if id(op) not in needed and not model.read_only(op.input, op.output)]
    assert not linearizable(model, [*found.needed, *rest])
    assert not linearizable(model, shown)

    # Without the blamed operation, the shown part has a linearization.
    others = [op if id(op) in needed else uncertain(op) for op in shown if op is not blamed]
    if linearizable(model, others):
        return
    # Other needed operations saw the effect of each needed one: its answer alone is wrong.
    for op in found.needed:
        rest = [one if id(one) in needed else uncertain(one) for one in shown if one is not op]
        assert not linearizable(model, rest)
    assert blamed is not None
    assert linearizable(model, [*others, uncertain(blamed)])


@pytest.mark.parametrize("name", ALL_OBJECTS)
def test_the_shown_part_proves_it_and_the_blamed_operation_is_the_wrong_one(name: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(histories(ALL_OBJECTS[name]))
    def explained(history: History) -> None:
        found = explain(name, history)
        if found is not None:
            assert_explains(name, history, found)

    explained()


def op(number: int, request: Any, answer: Any, call: float, ret: float = math.inf) -> Any:
    return Operation(number, request, call, answer, ret)


PUT = Before(True, False, None)


def swapped(found: str | None) -> Before:
    return Before(True, True, found)


def not_swapped(found: str | None) -> Before:
    return Before(False, True, found)


CHAINS: dict[str, tuple[History, list[int], int]] = {
    "a swap's expected value is shown": (
        [op(0, Write("r", "d"), PUT, 0, 1), op(1, Swap("r", "d", False, "e"), PUT, 2, 3),
         op(2, Read("r"), "e", 4, 5), op(3, Read("r"), "d", 6, 7)],
        [0, 1, 2, 3], 3,
    ),
    "a chain of swaps is shown to its begin": (
        [op(0, Write("r", "a"), PUT, 0, 1), op(1, Swap("r", "a", False, "b"), PUT, 2, 3),
         op(2, Swap("r", "b", False, "c"), PUT, 4, 5), op(3, Write("r", "z"), PUT, 6, 7),
         op(4, Read("r"), "z", 8, 9), op(5, Read("r"), "c", 10, 11)],
        [0, 1, 2, 3, 4, 5], 5,
    ),
    "the swap itself is wrong": (
        [op(0, Write("r", "a"), PUT, 0, 1), op(1, Read("r"), "a", 2, 3),
         op(2, Swap("r", None, False, "b"), PUT, 4, 5)],
        [0, 1, 2], 2,
    ),
    "a swap that failed although it found what it expected": (
        [op(0, Write("r", "a"), PUT, 0, 1),
         op(1, Swap("r", "a", False, "b"), not_swapped("a"), 2, 3)],
        [1], 1,
    ),
    "a value that a failed swap wrote": (
        [op(0, Write("r", "a"), PUT, 0, 1),
         op(1, Swap("r", "x", False, "b"), not_swapped("a"), 2, 3), op(2, Read("r"), "b", 4, 5)],
        [2], 2,
    ),
    "an uncertain swap may have written it, but once": (
        [op(0, Write("r", "a"), PUT, 0, 1), op(1, Swap("r", "a", False, "b"), None, 2),
         op(2, Read("r"), "b", 3, 4), op(3, Read("r"), "a", 5, 6)],
        [0, 1, 2, 3], 3,
    ),
    "a negated swap needs another value than the one it compares with": (
        [op(0, Swap("r", None, True, "b"), PUT, 0, 1)],
        [0], 0,
    ),
    "the value that a put replaced": (
        [op(0, Write("r", "a"), PUT, 0, 1), op(1, Write("r", "b"), swapped("a"), 2, 3),
         op(2, Write("r", "c"), swapped("a"), 4, 5)],
        [0, 1, 2], 2,
    ),
    "a delete that found a key which was deleted": (
        [op(0, Write("r", "a"), PUT, 0, 1), op(1, Write("r", None), PUT, 2, 3),
         op(2, Write("r", None), Before(True, False, None, present=True), 4, 5)],
        [0, 1, 2], 2,
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_register_of_a_store_is_explained(name: str) -> None:
    history, shown, blamed = CHAINS[name]
    found = no_order(REGISTERS, history, FOREVER, useful=useful_writes)
    assert_explains("register of a store", history, found)
    assert [one.client for one in found.shown] == shown
    assert found.blamed is history[blamed]
    assert found.is_first


def test_without_time_nothing_is_blamed_that_is_not_proved() -> None:
    history = [op(n, Write("r", f"{n}"), PUT, 2 * n, 2 * n + 1) for n in range(20)]
    history.insert(5, op(77, Read("r"), "never", 9.5, 9.7))
    found = no_order(REGISTERS, history, -FOREVER, useful=useful_writes)
    assert len(found.needed) == 21
    assert found.blamed is None or found.blamed.client == 77
