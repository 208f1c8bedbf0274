"""Whether a few transactions have a serial order: every order is tried."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Any

from histories.transaction import Append, Read, Transaction, Write


def has_serial_order(transactions: Sequence[Transaction], order: str = "") -> bool:
    """Whether some serial order of all that are ok, and of some that are uncertain, gives
    every read; with "process" or "realtime" only orders that respect it."""
    certain = [one for one in transactions if one.outcome == "ok"]
    uncertain = [one for one in transactions if one.outcome == "info"]
    return any(
        _explains(some) and _respects(some, order)
        for count in range(len(uncertain) + 1)
        for chosen in combinations(uncertain, count)
        for some in permutations([*certain, *chosen])
    )


def _explains(order: Sequence[Transaction]) -> bool:
    held: dict[Any, Any] = {}
    for one in order:
        for made in one.operations:
            match made:
                case Append(key, element):
                    held[key] = (*held.get(key, ()), element)
                case Write(key, value):
                    held[key] = value
                case Read(key, value):
                    if one.outcome == "ok" and (value or None) != (held.get(key) or None):
                        return False
    return True


def _respects(order: Sequence[Transaction], which: str) -> bool:
    for place, later in enumerate(order):
        for earlier in order[:place]:
            # Wrong if what stands later here had ended before the earlier one began.
            if which == "realtime" and later.returned is not None:
                if later.returned < earlier.invoked:
                    return False
            elif (
                which == "process"
                and later.process == earlier.process
                and later.invoked < earlier.invoked
            ):
                return False
    return True
