"""The order of a register's versions, as far as it is known: which came before which.

A register does not tell its past. Known are: nothing was before all that was written;
what a transaction read of a key was before what it wrote to it (any other order makes a
cycle that read committed forbids); and, for a model that respects sessions or real time, what one
transaction left behind was before what a later one found.

Source: Kingsbury and Alvaro 2020, section 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from splitbrain.histories.transaction import Element, Key

Version = tuple[Key, Element | None]
"""A key and its value; None: nothing was there yet."""


@dataclass(slots=True)
class Use:
    """What one transaction found of a key (`first`) and left (`last`), and when."""

    node: int
    process: int
    invoked: int
    returned: int | None
    first: Version
    last: Version


@dataclass(slots=True)
class VersionOrder:
    """Pairs of versions, the earlier first, each with what says so."""

    pairs: dict[tuple[Version, Version], str] = field(default_factory=dict)

    def add(self, earlier: Version, later: Version, why: str) -> None:
        if earlier != later:
            self.pairs.setdefault((earlier, later), why)


def by_process(uses: Iterable[Use]) -> VersionOrder:
    """`uses` of one key: from what a process left to what it found next; what has no end may
    take effect at any later time."""
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
    """`uses` of one key: from what each left to what those found that began after its end and
    before the end of another such."""
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
    """Versions that precede one another: each such group, in the order of their appearance."""
    import numpy as np

    from splitbrain.checkers.transactions.components import components

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
