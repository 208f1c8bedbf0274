"""Explains in words why one transaction over lists must come before another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from splitbrain.checkers.transactions import wording
from splitbrain.checkers.transactions.dependencies import KINDS
from splitbrain.histories.transaction import Append, Element, Key, Read, Transaction


class Reasons:
    """Explains the edges between `transactions`; `longest` is the longest read of each key."""

    def __init__(
        self,
        transactions: Sequence[Transaction],
        committed: npt.NDArray[np.bool_],
        writers: Mapping[Key, Mapping[Element, int]],
        longest: Mapping[Key, tuple[Element, ...]],
    ) -> None:
        self._transactions = transactions
        self._committed = committed
        self._writers = writers
        self._longest = longest

    def because(self, source: int, target: int, kind: int, name: Callable[[int], str]) -> str:
        """Return the reason for the edge from `source` to `target`. `name` names a transaction."""
        one, other = name(source), name(target)
        if KINDS[kind] == "wr":
            for made in self._transactions[target].operations:
                if type(made) is Read and made.value:
                    held: Any = made.value
                    if self._writers[made.key].get(held[-1]) == source:
                        return f"{other} read {made.key} = {wording.value(held)}, and {one} had " \
                            f"appended {held[-1]}"
        for made in self._transactions[target].operations:
            if type(made) is not Append:
                continue
            before = self._before(made)
            if KINDS[kind] == "ww" and self._made_last(source, made.key, before):
                last = next(one for one in reversed(before) if self._is(source, made.key, one))
                return f"{other} appended {made.element} to {made.key} after {one} had " \
                    f"appended {last}"
            if KINDS[kind] == "rw":
                held = self._external_read(source, made.key)
                if held is not None and self._adjacent(made.key, held, before):
                    return f"{one} read {made.key} = {wording.value(held)} without " \
                        f"{made.element}, which {other} appended"
        return f"{one} precedes {other} ({KINDS[kind]})"

    def _is(self, node: int, key: Key, element: Element) -> bool:
        return self._writers[key].get(element) == node

    def _before(self, made: Append) -> tuple[Element, ...]:
        """Return the elements before `made` in its list, or all if no read shows `made`."""
        whole = self._longest[made.key]
        return whole[: whole.index(made.element)] if made.element in whole else whole

    def _made_last(self, node: int, key: Key, before: tuple[Element, ...]) -> bool:
        """Whether `node` appended the last element in `before` with a committed writer."""
        for element in reversed(before):
            writer = self._writers[key].get(element, -1)
            if writer >= 0 and self._committed[writer]:
                return writer == node
        return False

    def _external_read(self, node: int, key: Key) -> tuple[Element, ...] | None:
        """Return the list that `node` read of `key` before its own appends, or None."""
        for made in self._transactions[node].operations:
            if made.key == key:
                held: Any = made.value or () if type(made) is Read else None
                return held  # type: ignore[no-any-return]
        return None

    def _adjacent(self, key: Key, held: tuple[Element, ...], before: tuple[Element, ...]) -> bool:
        """Whether no committed transaction appended the elements in `before` after `held`."""
        if len(held) > len(before):
            return False
        return not any(
            self._committed[self._writers[key][one]]
            for one in before[len(held):] if one in self._writers[key]
        )
