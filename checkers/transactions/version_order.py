"""Infers the order of the versions of a register, as far as it is known.

A read of a register shows only the present value, so the order of the versions must be inferred.
Three facts are known:

- The initial value was before all written values.
- The value that a transaction read was before the value that it wrote to the same key, because any
  other order makes a cycle that read-committed forbids.
- If the model respects sessions or real time, the order of transactions also orders versions. The
  last version that a transaction read or wrote is not newer than the first version that a later
  transaction read or wrote. "Later" means later in the session, or in real time.

Source: Kingsbury and Alvaro 2020, section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from splitbrain.checkers.transactions.strongly_connected import components
from splitbrain.histories.transaction import Element, Key

Version = tuple[Key, Element | None]
"""A key and its value. None: the key was absent."""


@dataclass(slots=True)
class Use:
    """The use of one register by one transaction."""

    node: int
    process: int
    invoked: int
    returned: int | None
    first: Version
    """The first version that the transaction read or wrote."""
    last: Version
    """The last version that the transaction read or wrote."""


@dataclass(slots=True)
class VersionOrder:
    """Pairs of versions of registers (earlier, later), each with the reason for the order."""

    pairs: dict[tuple[Version, Version], str] = field(default_factory=dict)

    def add(self, earlier: Version, later: Version, why: str) -> None:
        if earlier != later:
            self.pairs.setdefault((earlier, later), why)


def by_process(uses: Iterable[Use]) -> VersionOrder:
    """Return the order of the versions of one register that follows from sessions.

    The last version that a transaction read or wrote is before the first version that the next
    transaction of its process read or wrote. A transaction without an end may take effect at any
    later time, so no pair begins with its version.
    """
    order = VersionOrder()
    before: dict[int, Use] = {}
    for use in sorted(uses, key=lambda use: use.invoked):
        last = before.get(use.process)
        if last is not None:
            order.add(last.last, use.first, "process")
        if use.returned is not None:
            before[use.process] = use
    return order


def by_realtime(uses: Iterable[Use]) -> VersionOrder:
    """Return the order of the versions of one register that follows from real time.

    The last version that a transaction read or wrote is before the first version that a later
    transaction read or wrote. A pair of transactions is left out if a third transaction is between
    them, because the pairs with the third transaction imply the same order.
    """
    order = VersionOrder()
    events: list[tuple[int, bool, Use]] = []
    for use in uses:
        events.append((use.invoked, True, use))
        if use.returned is not None:
            events.append((use.returned, False, use))
    frontier: list[Use] = []
    for _, begins, use in sorted(events, key=lambda event: event[0]):
        if begins:
            for ended in frontier:
                order.add(ended.last, use.first, "realtime")
        else:
            frontier = [one for one in frontier if (one.returned or 0) >= use.invoked]
            frontier.append(use)
    return order


def cyclic(pairs: Mapping[tuple[Version, Version], str]) -> list[list[Version]]:
    """Return the groups of versions that are ordered in a cycle by `pairs` (earlier, later).

    The versions of a group are in the order in which they first appear.
    """
    number: dict[Version, int] = {}
    for pair in pairs:
        for version in pair:
            number.setdefault(version, len(number))
    if not number:
        return []
    source = np.array([number[earlier] for earlier, _ in pairs], np.int32)
    target = np.array([number[later] for _, later in pairs], np.int32)
    labels = components(len(number), [(source, target)])
    groups: dict[int, list[Version]] = {}
    several = np.bincount(labels) > 1
    for version, place in number.items():
        if several[labels[place]]:
            groups.setdefault(int(labels[place]), []).append(version)
    return list(groups.values())
