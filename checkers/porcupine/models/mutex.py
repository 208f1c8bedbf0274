"""Models locks, one for each key, with the operations acquire and release.

Both operations have the output None. A lock that is held cannot be acquired, and a lock that is
free cannot be released. A refused attempt is not an operation.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from splitbrain.checkers.porcupine.model import Model
from splitbrain.checkers.porcupine.models.by_key import by_key, events_by_key


class Acquire(NamedTuple):
    """Acquire the lock `key`."""

    key: Hashable


class Release(NamedTuple):
    """Release the lock `key`."""

    key: Hashable


Input = Acquire | Release


def _step(held: bool, given: Input, output: None) -> tuple[bool, bool]:
    acquires = isinstance(given, Acquire)
    return held != acquires, acquires


def _describe(given: Input, output: None) -> str:
    return "acquire" if isinstance(given, Acquire) else "release"


def mutex() -> Model[bool, Input, None]:
    """Return a model of locks that are all free at the start.

    The state does not contain the holder. A release without an answer may happen at any later
    time, and its client may have acquired the lock again by then.
    """
    return Model(
        init=bool,
        step=_step,
        partition=by_key,
        partition_events=events_by_key,
        describe_operation=_describe,
        describe_state=lambda held: "held" if held else "free",
    )
