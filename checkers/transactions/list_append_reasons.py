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
    """Explains in words why one of `transactions` is before another.

    `writers` maps each element of a key to the transaction that appended it. `longest` contains the
    longest read of each key.
    """

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
        """Return the reason why the transaction `source` is before the transaction `target`.

        `kind` is the kind of the dependency. `name` returns the name of a transaction in the
        sentence.
        """
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
        """Return the elements before the one that `made` appended, as the longest read shows them.

        If the longest read lacks this element, these are all elements of the longest read.
        """
        whole = self._longest[made.key]
        return whole[: whole.index(made.element)] if made.element in whole else whole

    def _made_last(self, node: int, key: Key, before: tuple[Element, ...]) -> bool:
        """Return whether the transaction `node` appended the last element of `before`.

        Elements without a committed writer are skipped.
        """
        for element in reversed(before):
            writer = self._writers[key].get(element, -1)
            if writer >= 0 and self._committed[writer]:
                return writer == node
        return False

    def _external_read(self, node: int, key: Key) -> tuple[Element, ...] | None:
        """Return the list that the first operation of `node` on `key` read.

        Returns None if `node` appended to the key before it read the key, or does not read the key.
        """
        for made in self._transactions[node].operations:
            if made.key == key:
                held: Any = made.value or () if type(made) is Read else None
                return held  # type: ignore[no-any-return]
        return None

    def _adjacent(self, key: Key, held: tuple[Element, ...], before: tuple[Element, ...]) -> bool:
        """Return whether `held` and `before` show the same version of the list `key`.

        `held` is a prefix of `before`. The version is the same if no committed transaction appended
        an element of `before` that is not in `held`.
        """
        if len(held) > len(before):
            return False
        return not any(
            self._committed[self._writers[key][one]]
            for one in before[len(held):] if one in self._writers[key]
        )
