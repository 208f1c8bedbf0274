"""Locks, one for each key, with the operations acquire and release.

Both have the output None. It is impossible to acquire a lock that is held, or to release one that
is free. A refused attempt is not an operation.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from splitbrain.checkers.porcupine.model import Model
from splitbrain.checkers.porcupine.models.by_key import by_key, events_by_key


class Acquire(NamedTuple):
    key: Hashable


class Release(NamedTuple):
    key: Hashable


Input = Acquire | Release


def _step(held: bool, given: Input, output: None) -> tuple[bool, bool]:
    acquires = isinstance(given, Acquire)
    return held != acquires, acquires


def _describe(given: Input, output: None) -> str:
    return "acquire" if isinstance(given, Acquire) else "release"


def mutex() -> Model[bool, Input, None]:
    """Locks that are all free at the start.

    The state does not contain the holder, because an operation without an answer may have happened
    at any time.
    """
    return Model(
        init=bool,
        step=_step,
        partition=by_key,
        partition_events=events_by_key,
        describe_operation=_describe,
        describe_state=lambda held: "held" if held else "free",
    )
