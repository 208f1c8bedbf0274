"""Implements a model of the multi-version store: all keys at every revision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from splitbrain.node.mvcc.key_value import Event, EventType, KeyValue

State = dict[bytes, KeyValue]
Operation = tuple[Any, ...]
"""("put", key, value, lease) or ("delete", key, end)."""
Before = KeyValue | None | list[KeyValue]
"""The result of a put (the previous version of the key) or of a delete (the deleted versions)."""


@dataclass
class ModelStore:
    states: list[State] = field(default_factory=lambda: [{}, {}])
    """The state at each revision; an empty store is at revision 1."""
    events: dict[int, list[Event]] = field(default_factory=dict)
    compacted: int = -1

    @property
    def revision(self) -> int:
        return len(self.states) - 1

    def write(self, operations: list[Operation]) -> list[Before]:
        """Apply `operations` as one transaction; returns the result of each."""
        main = self.revision + 1
        state = dict(self.states[-1])
        events: list[Event] = []
        results: list[Before] = []
        for name, key, *rest in operations:
            if name == "put":
                before = state.get(key)
                kv = KeyValue(
                    key,
                    before.create_revision if before else main,
                    main,
                    before.version + 1 if before else 1,
                    rest[0],
                    rest[1],
                )
                state[key] = kv
                events.append(Event(EventType.PUT, kv, before))
                results.append(before)
            else:
                deleted = select(state, key, rest[0])
                for kv in deleted:
                    del state[kv.key]
                    tombstone = KeyValue(kv.key, mod_revision=main)
                    events.append(Event(EventType.DELETE, tombstone, kv))
                results.append(deleted)
        if events:
            self.states.append(state)
            self.events[main] = events
        return results


def select(state: State, key: bytes, range_end: bytes) -> list[KeyValue]:
    return [state[one] for one in sorted(state) if inside(key, range_end, one)]


def inside(key: bytes, range_end: bytes, one: bytes) -> bool:
    if range_end == b"":
        return one == key
    if range_end == b"\0":
        return one >= key
    return key <= one < range_end
