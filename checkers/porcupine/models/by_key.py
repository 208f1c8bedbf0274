"""Partitions by key, for models whose inputs have a `key` and whose keys are independent."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol, TypeVar

from splitbrain.checkers.porcupine.model import Event, Operation


class Keyed(Protocol):
    """The input of an operation on one object. The attribute `key` is the key of the object."""

    @property
    def key(self) -> Hashable: ...


K = TypeVar("K", bound=Keyed)


def by_key(operations: Sequence[Operation[K, Any]]) -> list[list[Operation[K, Any]]]:
    """Group the operations by key. The keys are in the order of their first operations."""
    parts: dict[Hashable, list[Operation[K, Any]]] = {}
    for op in operations:
        parts.setdefault(op.input.key, []).append(op)
    return list(parts.values())


def places_by_key(operations: Sequence[Operation[K, Any]]) -> list[list[int]]:
    """Group as `by_key` does, but return indexes in `operations` instead of operations."""
    parts: dict[Hashable, list[int]] = {}
    for n, op in enumerate(operations):
        parts.setdefault(op.input.key, []).append(n)
    return list(parts.values())


def events_by_key(events: Sequence[Event]) -> list[list[Event]]:
    """Group the events by the key of the operation. A return is in the group of its call."""
    parts: dict[Hashable, list[Event]] = {}
    keys: dict[int, Hashable] = {}
    for event in events:
        if event.kind == "call":
            keys[event.id] = event.value.key
        parts.setdefault(keys[event.id], []).append(event)
    return list(parts.values())
