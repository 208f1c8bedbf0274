"""Implements oracles that try every serial order of a few transactions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Any

from splitbrain.histories.transaction import Append, Read, Transaction, Write


def has_serial_order(transactions: Sequence[Transaction], order: str = "") -> bool:
    """Whether a serial order of the ok transactions, and some uncertain ones, gives the reads.

    With "process" or "realtime", only orders that respect it are tried.
    """
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
            if not isinstance(made, Read):
                _write(held, made)
            elif one.outcome == "ok" and (made.value or None) != (held.get(made.key) or None):
                return False
    return True


def _respects(order: Sequence[Transaction], which: str) -> bool:
    for place, later in enumerate(order):
        for earlier in order[:place]:
            # Wrong if the later transaction ended before the earlier one began.
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


def has_snapshot_order(transactions: Sequence[Transaction]) -> bool:
    """Whether an order of commits explains every read by a snapshot.

    The snapshot is taken after the last commit, before the transaction's own, of a transaction
    that wrote one of its keys.
    """
    certain = [one for one in transactions if one.outcome == "ok"]
    uncertain = [one for one in transactions if one.outcome == "info"]
    return any(
        _explained_by_snapshots(some)
        for count in range(len(uncertain) + 1)
        for chosen in combinations(uncertain, count)
        for some in permutations([*certain, *chosen])
    )


def _explained_by_snapshots(order: Sequence[Transaction]) -> bool:
    states: list[dict[Any, Any]] = [{}]
    last_writer: dict[Any, int] = {}
    for place, one in enumerate(order, start=1):
        writes = [made for made in one.operations if not isinstance(made, Read)]
        least = max((last_writer.get(made.key, 0) for made in writes), default=0)
        if not any(_reads_from(one, states[snapshot]) for snapshot in range(least, place)):
            return False
        after = dict(states[-1])
        for made in writes:
            _write(after, made)
            last_writer[made.key] = place
        states.append(after)
    return True


def _reads_from(one: Transaction, snapshot: dict[Any, Any]) -> bool:
    held = dict(snapshot)
    for made in one.operations:
        if not isinstance(made, Read):
            _write(held, made)
        elif one.outcome == "ok" and (made.value or None) != (held.get(made.key) or None):
            return False
    return True


def _write(held: dict[Any, Any], made: Append | Write) -> None:
    if isinstance(made, Append):
        held[made.key] = (*held.get(made.key, ()), made.element)
    else:
        held[made.key] = made.value
