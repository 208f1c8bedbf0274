"""Counts what a run reached that no earlier run of its campaign reached.

A condition is a situation that the simulation counts, such as an election. Three things are
counted: conditions, pairs of conditions that one run reached, and the order in which a run first
reached the two conditions of a pair. Source: Meng et al., "Greybox Fuzzing of Distributed Systems"
(Mallory), CCS 2023, which guides faults by the orders of observed events.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

CONDITION_WEIGHT = 20
PAIR_WEIGHT = 2
ORDER_WEIGHT = 1


class Novelty(NamedTuple):
    """The number of conditions, pairs and orders that a run was the first to reach.

    A condition is a situation such as an election. A pair is two conditions in one run. An order
    says which condition of a pair was reached first.
    """

    conditions: int = 0
    pairs: int = 0
    orders: int = 0

    @property
    def score(self) -> int:
        """The weighted sum of the numbers of conditions, pairs and orders."""
        return (
            CONDITION_WEIGHT * self.conditions + PAIR_WEIGHT * self.pairs
            + ORDER_WEIGHT * self.orders
        )


class Reached:
    """All conditions, pairs and orders (see `Novelty`) that the runs of a campaign have reached."""

    def __init__(self) -> None:
        self._conditions: set[str] = set()
        self._orders: set[tuple[str, str]] = set()

    def add(self, first_reached_s: Mapping[str, float]) -> Novelty:
        """Add a run, and return what it was the first to reach.

        `first_reached_s` maps each condition, a situation such as an election, to the time at which
        the run first reached it. Conditions with equal times are in the order of the mapping.
        """
        ordered = sorted(first_reached_s, key=lambda name: first_reached_s[name])
        conditions = set(ordered) - self._conditions
        orders = set(combinations(ordered, 2)) - self._orders
        pairs = sum(1 for one, other in orders if (other, one) not in self._orders)
        self._conditions |= conditions
        self._orders |= orders
        return Novelty(len(conditions), pairs, len(orders))

    @property
    def total(self) -> Novelty:
        """The number of conditions, pairs and orders that the campaign has reached."""
        both = sum(1 for one, other in self._orders if one < other and (other, one) in self._orders)
        return Novelty(len(self._conditions), len(self._orders) - both, len(self._orders))
