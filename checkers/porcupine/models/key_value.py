"""Models a key-value store of strings with the operations get, put and append.

A key that was never written has the value "". `key_value` partitions by key. `whole_key_value` has
all keys in one state, for histories that cannot be partitioned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from splitbrain.checkers.porcupine.blocks import ILLEGAL, Decision, merged
from splitbrain.checkers.porcupine.model import Model, Operation
from splitbrain.checkers.porcupine.models.by_key import by_key, events_by_key, places_by_key
from splitbrain.checkers.porcupine.unique_texts import What, decide_text


class Get(NamedTuple):
    """Read a key. The output is its string, "" if the key was never written."""

    key: str


class Put(NamedTuple):
    """Replace the string of a key. The output is None."""

    key: str
    value: str


class Append(NamedTuple):
    """Append to the string of a key. The output is None."""

    key: str
    value: str


Input = Get | Put | Append
Output = str | None
"""The string that a get returned. None for the other operations."""

Texts = tuple[tuple[str, str], ...]
"""All keys with their values, sorted."""


def _step(state: str, given: Input, output: Output) -> tuple[bool, str]:
    if isinstance(given, Get):
        return output == state, state
    return True, given.value if isinstance(given, Put) else state + given.value


def _whole_step(state: Texts, given: Input, output: Output) -> tuple[bool, Texts]:
    texts = dict(state)
    before = texts.get(given.key, "")
    fits, after = _step(before, given, output)
    if not fits or after == before:
        return fits, state
    texts[given.key] = after
    return True, tuple(sorted(texts.items()))


def _read_only(given: Input, output: Output) -> bool:
    return isinstance(given, Get)


def _describe(given: Input, output: Output) -> str:
    match given:
        case Get(key):
            return f"get {key} -> {output!r}"
        case Put(key, value):
            return f"put {key} = {value!r}"
        case Append(key, value):
            return f"append {key} + {value!r}"


def _decide(operations: Sequence[Operation[Input, Output]]) -> Decision | None:
    """Decide one key by sorting, if all strings that are put or appended are unique.

    Returns None if the operations need a search.
    """
    whats: list[What] = []
    texts: list[str] = []
    for op in operations:
        given = op.input
        if isinstance(given, Get):
            whats.append("get")
            texts.append(op.output or "")
        else:
            whats.append("put" if isinstance(given, Put) else "append")
            texts.append(given.value)
    calls, rets = [op.call for op in operations], [op.ret for op in operations]
    return decide_text(whats, texts, calls, rets)


def _decide_whole(operations: Sequence[Operation[Input, Output]]) -> Decision | None:
    """Decide a history of several keys: it is legal if the operations of each key are legal.

    Returns None if the operations of a key need a search.
    """
    orders = []
    undecided = False
    for places in places_by_key(operations):
        decision = _decide([operations[n] for n in places])
        if decision is None:
            undecided = True
        elif not decision.legal:
            return ILLEGAL
        else:
            orders.append((places, decision))
    if undecided:
        return None

    def order() -> list[int]:
        found = [[places[n] for n in decision.order()] for places, decision in orders]
        return merged(found, [op.call for op in operations])

    return Decision(True, order)


def key_value() -> Model[str, Input, Output]:
    """Return a model of a key-value store, partitioned by key."""
    return Model(
        init=str,
        step=_step,
        partition=by_key,
        partition_events=events_by_key,
        read_only=_read_only,
        decide=_decide,
        describe_operation=_describe,
    )


def whole_key_value() -> Model[Texts, Input, Output]:
    """Return a model of a key-value store with all keys in one state."""
    return Model(
        init=tuple,
        step=_whole_step,
        read_only=_read_only,
        touches=lambda given: (given.key,),
        decide=_decide_whole,
        describe_operation=_describe,
    )
