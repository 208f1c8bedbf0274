"""Makes histories in which some operations are kept, and the others are weakened.

An operation cannot simply be removed, because that could make a valid history invalid. For example,
a read is invalid without the write of its value. Instead an operation is *weakened*: it is replaced
by an operation that claims less. A write with an answer becomes a write that may or may not have
happened. A read is removed. If the weaker history is invalid, the whole history is invalid, too.
The operations that cannot be weakened explain the anomaly.

Source: Zeller and Hildebrandt 2002 for the search, see `minimise/delta_debugging.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from splitbrain.checkers.minimise.delta_debugging import minimise, shortest_prefix

T = TypeVar("T")


class Weakening(Generic[T]):
    """Makes weaker histories from `items`, the operations of a history in the order of their calls.

    A weaker history claims less: some operations in it may or may not have happened.

    `ended(item)` is the end time of an item. It is infinite if the item has no end. `weaken(item)`
    returns the weaker form of an item, or None if the item is to be removed. `begun(item)` is the
    begin time of an item. If `begun` is given, a weaker history leaves out all items that begin
    after the last end of a kept item.
    """

    def __init__(
        self,
        items: Sequence[T],
        ended: Callable[[T], float],
        weaken: Callable[[T], T | None],
        begun: Callable[[T], float] | None = None,
    ) -> None:
        self.items = items
        self._ended = ended
        self._begun = begun
        self._weak = {id(item): weaken(item) for item in items}
        self._originals = {
            id(weak): item for item in items if (weak := self._weak[id(item)]) is not None
        }
        self.by_end = sorted((item for item in items if ended(item) != math.inf), key=ended)
        """The items that ended, in the order of their ends."""

    def keeping(self, kept: Sequence[T]) -> list[T]:
        """Return the history in which `kept` are unchanged and all other items are weakened."""
        whole = {id(item) for item in kept}
        last = max(map(self._ended, kept), default=-math.inf)
        return [
            one for item in self.items
            if self._begun is None or self._begun(item) <= last
            if (one := item if id(item) in whole else self._weak[id(item)]) is not None
        ]

    def original(self, item: T) -> T:
        """Return the item of which `item` is the weaker form, or `item` if it is not weakened."""
        return self._originals.get(id(item), item)

    def shortest_prefix(
        self, fails: Callable[[list[T]], bool], deadline: float
    ) -> list[T]:
        """Return the shortest prefix of `by_end` for which `fails` is true.

        `by_end` contains the items in the order of their ends. For each prefix, `fails` is called
        with the history in which all other items are weakened. `fails` returns whether this history
        is invalid. It must be true if all items are kept. At `deadline` (a time of
        `time.monotonic`) the method returns the best result so far.
        """
        def still_fails(count: int) -> bool:
            return count == len(self.by_end) or (
                time.monotonic() < deadline and fails(self.keeping(self.by_end[:count]))
            )

        return self.by_end[: shortest_prefix(len(self.by_end), still_fails)]

    def needed(
        self, prefix: Sequence[T], fails: Callable[[list[T]], bool], deadline: float
    ) -> list[T]:
        """Return a small part of `prefix` for which `fails` is true if all others are weakened.

        The items are in the order of their calls. `fails` returns whether a history is invalid, and
        must be true if all of `prefix` is kept. At `deadline` (a time of `time.monotonic`) the
        method returns the best result so far.
        """
        def still_fails(kept: Sequence[T]) -> bool:
            return time.monotonic() < deadline and fails(self.keeping(kept))

        own = {id(item) for item in prefix}
        part = [item for item in self.items if id(item) in own]
        return minimise(part, still_fails) if still_fails(part) else part
