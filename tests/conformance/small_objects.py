"""Draws small random histories of sequential objects, valid and corrupt.

Operations take effect at random times between their calls and returns, with the object's answers.
Then some answers or times may be corrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from splitbrain.checkers.linearizable import store_register
from splitbrain.checkers.porcupine import Model, NondeterministicModel, Operation
from splitbrain.checkers.porcupine.models import counter, key_value, register, sets

Choose = Callable[[Sequence[Any]], Any]
History = list[Operation[Any, Any]]


@dataclass(frozen=True)
class SmallObject:
    """A sequential object and how to draw its requests and answers.

    - `draw_request(choose, number, state)` draws a request that takes effect in `state`.
    - `answer(state, request)` is the object: it returns the answer and the next state.
    - `corrupt_answer(choose, request, states)` draws an answer that may be wrong.
    """

    model: Model[Any, Any, Any]
    first: Any
    draw_request: Callable[[Choose, int, Any], Any]
    answer: Callable[[Any, Any], tuple[Any, Any]]
    corrupt_answer: Callable[[Choose, Any, Sequence[Any]], Any]


def _corrupt_answer(choose: Choose, request: Any, states: Sequence[Any]) -> Any:
    if isinstance(request, (register.CompareAndSwap, sets.Add, sets.Remove, sets.Contains)):
        return choose((True, False))
    if isinstance(request, (register.Write, key_value.Put, key_value.Append, counter.Add)):
        return None
    return choose(states)


def _register_answer(state: Any, request: Any) -> tuple[Any, Any]:
    match request:
        case register.Read():
            return state, state
        case register.Write(_, value):
            return None, value
        case register.CompareAndSwap(_, expected, value):
            return state == expected, value if state == expected else state
    raise AssertionError(request)


def _draw_register(choose: Choose, number: int, state: Any) -> Any:
    kind = choose(("read", "read", "write", "cas"))
    if kind == "read":
        return register.Read("k")
    if kind == "write":
        return register.Write("k", choose((0, 1, 2)))
    return register.CompareAndSwap("k", choose((0, 1, 2)), choose((0, 1, 2)))


def _draw_unique_register(choose: Choose, number: int, state: Any) -> Any:
    kind = choose(("read", "read", "read", "write", "write", "cas", "cas"))
    if kind == "read":
        return register.Read("k")
    if kind == "write":
        return register.Write("k", number)
    return register.CompareAndSwap("k", choose((state, state, state, 0, None)), number)


def _text_answer(state: str, request: Any) -> tuple[Any, str]:
    match request:
        case key_value.Get():
            return state, state
        case key_value.Put(_, value):
            return None, value
        case key_value.Append(_, value):
            return None, state + value
    raise AssertionError(request)


def _draw_text(choose: Choose, number: int, state: Any) -> Any:
    kind = choose(("get", "get", "get", "put", "append", "append", "append"))
    # Most pieces are unique; some are written again, and some are prefixes of others.
    piece = choose((f"{number};", f"{number};", f"{number};", f"{number};", "0;", "x", "xy"))
    match kind:
        case "get":
            return key_value.Get("k")
        case "put":
            return key_value.Put("k", piece)
    return key_value.Append("k", piece)


def _keys_answer(state: tuple[str, str], request: Any) -> tuple[Any, tuple[str, str]]:
    position = "ab".index(request.key)
    answer, after = _text_answer(state[position], request)
    return answer, (after, state[1]) if position == 0 else (state[0], after)


def _draw_keys(choose: Choose, number: int, state: Any) -> Any:
    return _draw_text(choose, number, state)._replace(key=choose("ab"))


def _element_answer(there: bool, request: Any) -> tuple[bool, bool]:
    match request:
        case sets.Add():
            return not there, True
        case sets.Remove():
            return there, False
    return there, there


def _grow_only_answer(state: frozenset[str], request: Any) -> tuple[Any, frozenset[str]]:
    if isinstance(request, sets.ReadAll):
        return state, state
    return None, state | {request.key}


def _draw_grow_only(choose: Choose, number: int, state: Any) -> Any:
    if choose((True, False)):
        return sets.ReadAll()
    return sets.Add(choose((f"{number}", f"{number}", "0")))


def _counter_answer(state: int, request: Any) -> tuple[Any, int]:
    if isinstance(request, counter.ReadSum):
        return state, state
    return None, state + request.amount


def _draw_store_register(choose: Choose, number: int, state: Any) -> Any:
    value = f"{number}"
    kind = choose(("read", "read", "put", "put", "swap", "swap", "swap", "delete"))
    match kind:
        case "read":
            return store_register.Read("k")
        case "put":
            return store_register.Write("k", value)
        case "delete":
            return store_register.Write("k", choose((None, value, value)))
    expected = choose((state, state, None, "0"))
    return store_register.Swap("k", expected, choose((False, False, True)), value)


def _store_register_answer(state: Any, request: Any) -> tuple[Any, Any]:
    match request:
        case store_register.Read():
            return state, state
        case store_register.Write(_, value):
            return store_register.Before(True, value != "1", state), value
    swapped = (state == request.expected) != request.negated
    known = not swapped or request.value != "2"
    return store_register.Before(swapped, known, state), request.value if swapped else state


def _corrupt_store_register(choose: Choose, request: Any, states: Sequence[Any]) -> Any:
    if isinstance(request, store_register.Read):
        return choose(states)
    swapped = isinstance(request, store_register.Write) or choose((True, False))
    return store_register.Before(swapped, choose((True, True, False)), choose(states))


def _dice_step(state: int, request: str, output: int | None) -> tuple[int, ...]:
    """A toss changes the value to one of the two others; a look returns the value."""
    if request == "toss":
        return ((state + 1) % 3, (state + 2) % 3)
    return (state,) if output == state else ()


Cells = tuple[int, int, int]
CELLS = (0, 1, 2)


def _cells_answer(state: Cells, request: tuple[Any, ...]) -> tuple[Any, Cells]:
    """Three cells: some operations use one cell, some two, and a sum reads all of them."""
    cells = list(state)
    match request:
        case ("write", place, value):
            cells[place] = value
        case ("exchange", one, other):
            cells[one], cells[other] = cells[other], cells[one]
        case ("read", place):
            return state[place], state
        case ("sum",):
            return sum(state), state
    return None, (cells[0], cells[1], cells[2])


def _cells_step(state: Cells, request: tuple[Any, ...], output: Any) -> tuple[bool, Cells]:
    answer, after = _cells_answer(state, request)
    return output == answer, after


def _draw_cells(choose: Choose, number: int, state: Cells) -> tuple[Any, ...]:
    match choose(("write", "write", "read", "read", "exchange", "sum")):
        case "write":
            return ("write", choose(CELLS), choose((1, 2)))
        case "read":
            return ("read", choose(CELLS))
        case "exchange":
            return ("exchange", choose(CELLS), choose(CELLS))
    return ("sum",)


def _touched_cells(request: tuple[Any, ...]) -> tuple[int, ...] | None:
    match request:
        case ("write", place, _) | ("read", place):
            return (place,)
        case ("exchange", one, other):
            return (one, other)
    return None


OBJECTS: dict[str, SmallObject] = {
    "register": SmallObject(
        register.register(), None, _draw_register, _register_answer, _corrupt_answer
    ),
    "unique register": SmallObject(
        register.register(), None, _draw_unique_register, _register_answer, _corrupt_answer
    ),
    "register of a store": SmallObject(
        store_register.REGISTERS, None, _draw_store_register, _store_register_answer,
        _corrupt_store_register,
    ),
    "text": SmallObject(key_value.key_value(), "", _draw_text, _text_answer, _corrupt_answer),
    "texts of two keys": SmallObject(
        key_value.whole_key_value(), ("", ""), _draw_keys, _keys_answer,
        lambda choose, request, states: _corrupt_answer(
            choose, request, [text for state in states for text in state]
        ),
    ),
    "cells": SmallObject(
        Model(
            init=lambda: (0, 0, 0), step=_cells_step, touches=_touched_cells,
            read_only=lambda request, output: request[0] in ("read", "sum"),
        ), (0, 0, 0), _draw_cells, _cells_answer,
        lambda choose, request, states: (
            choose((0, 1, 2, 3)) if request[0] in ("read", "sum") else None
        ),
    ),
    "element": SmallObject(
        sets.element_set(), False,
        lambda choose, number, state: choose((sets.Add, sets.Remove, sets.Contains))("k"),
        _element_answer, _corrupt_answer,
    ),
    "growing set": SmallObject(
        sets.grow_only_set(), frozenset(), _draw_grow_only, _grow_only_answer,
        lambda choose, request, states: (
            choose(states) if isinstance(request, sets.ReadAll) else None
        ),
    ),
    "counter": SmallObject(
        counter.counter(), 0,
        lambda choose, number, state: choose(
            (counter.ReadSum(), counter.Add(1), counter.Add(1), counter.Add(2))
        ),
        _counter_answer, _corrupt_answer,
    ),
    "dice": SmallObject(
        NondeterministicModel(
            init=lambda: (0, 1), step=_dice_step, read_only=lambda given, output: given == "look"
        ).to_model(), 0,
        lambda choose, number, state: choose(("toss", "look", "look")),
        lambda state, request: (None, (state + 1) % 3) if request == "toss" else (state, state),
        lambda choose, request, states: None if request == "toss" else choose(states),
    ),
}  # fmt: skip


@st.composite
def histories(draw: st.DrawFn, small_object: SmallObject, operations_max: int = 7) -> History:
    """Histories that are valid, and histories that were corrupted."""

    def choose(among: Sequence[Any]) -> Any:
        return among[draw(st.integers(0, len(among) - 1))]

    return small_history(choose, small_object, operations_max)


def small_history(choose: Choose, small_object: SmallObject, operations_max: int = 7) -> History:
    """Draw a history by `choose`, which is hypothesis or a random generator."""
    count = choose(range(1, operations_max)) + 1
    times = []
    for _ in range(count):
        effect = choose(range(3 * count))
        times.append((effect - choose((0, 1, 2, 4)), effect, effect + choose((0, 1, 2, 4))))

    state, states = small_object.first, [small_object.first]
    history: History = []
    for number, (call, _, ret) in enumerate(sorted(times, key=lambda one: one[1])):
        request = small_object.draw_request(choose, number, state)
        answer, after = small_object.answer(state, request)
        completed = choose((True, True, True, True, False))
        if completed:
            history.append(Operation(number, request, call, answer, ret))
        elif not small_object.model.read_only(request, answer):
            history.append(Operation(number, request, call, None))
        if completed or choose((True, False)):
            state = after
            states.append(state)
    for _ in range(choose((0, 1, 2, 4))):
        if history:
            _corrupt(choose, small_object, history, states)
    return history


def _corrupt(
    choose: Choose, small_object: SmallObject, history: History, states: Sequence[Any]
) -> None:
    position = choose(range(len(history)))
    op = history[position]
    if op.ret == math.inf or choose((True, False, False)):
        shift = choose((-3, -2, -1, 1, 2, 3))
        history[position] = replace(op, call=op.call + shift, ret=op.ret + shift)
    else:
        answer = small_object.corrupt_answer(choose, op.input, states)
        history[position] = replace(op, output=answer)
