"""A key-value store of texts: get, put, append. A key that was never written holds "".

`key_value` partitions by key; `whole_key_value` has all keys in one state, for
histories in which one operation's place depends on several keys (and to see what
partitions are worth).
"""

from __future__ import annotations

from typing import NamedTuple

from checkers.porcupine.model import Model
from checkers.porcupine.models.by_key import by_key, events_by_key


class Get(NamedTuple):
    key: str


class Put(NamedTuple):
    key: str
    value: str


class Append(NamedTuple):
    key: str
    value: str


Input = Get | Put | Append
Output = str | None
"""The text that a get found; None for the others."""

Texts = tuple[tuple[str, str], ...]
"""All keys with their texts, sorted."""


def _step(state: str, given: Input, output: Output) -> tuple[bool, str]:
    match given:
        case Get():
            return output == state, state
        case Put(_, value):
            return True, value
        case Append(_, value):
            return True, state + value


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


def key_value() -> Model[str, Input, Output]:
    return Model(
        init=str,
        step=_step,
        partition=by_key,
        partition_events=events_by_key,
        read_only=_read_only,
        describe_operation=_describe,
    )


def whole_key_value() -> Model[Texts, Input, Output]:
    return Model(
        init=tuple, step=_whole_step, read_only=_read_only, describe_operation=_describe
    )
