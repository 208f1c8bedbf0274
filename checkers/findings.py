"""Collects the anomalies that a checker finds, and the reasons why it cannot decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.verdict import Anomaly, by_kind, merge
from splitbrain.histories.history import Operation
from splitbrain.histories.service_operation import ServiceOperation

ANOMALIES_MAX = 10_000
"""This many anomalies of one kind are kept in full. Further ones are only counted."""
NO_FACTS: Mapping[str, Any] = MappingProxyType({})


def first_of_each_kind(anomalies: Iterable[Anomaly]) -> tuple[tuple[Anomaly, ...], dict[str, int]]:
    """Return the first `ANOMALIES_MAX` anomalies of each kind, and the number of each kind."""
    kinds = by_kind(anomalies)
    kept = tuple(one for group in kinds.values() for one in group[:ANOMALIES_MAX])
    return kept, {kind: len(group) for kind, group in kinds.items()}


@dataclass(slots=True)
class Findings:
    """Collects the anomalies of one checker, and the reasons why its verdict may be unknown."""

    anomalies: list[Anomaly] = field(default_factory=list)
    count: int = 0
    """The number of all anomalies, including those that are not kept."""
    unknown: list[str] = field(default_factory=list)
    """Reasons why a part of the history could not be judged. If there is a reason and no anomaly,
    the verdict is unknown."""
    uncertain_applied: int = 0
    """The number of writes without an answer that took effect."""
    by_kind: dict[str, int] = field(default_factory=dict)

    @property
    def valid(self) -> bool | None:
        """Return False if there is an anomaly, else None if `unknown` has a reason, else True."""
        return merge((not self.count, None if self.unknown else True))

    def add(
        self, kind: str, because: str, *ops: Operation | ServiceOperation,
        members: tuple[str, ...] = (), revision: int = 0, facts: Mapping[str, Any] = NO_FACTS,
    ) -> None:
        """Add an anomaly that the operations `ops` show.

        `because` is a sentence with the decisive values. `facts` are added to the detail of the
        anomaly.
        """
        self.count += 1
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
        if self.by_kind[kind] <= ANOMALIES_MAX:
            detail = {**({"revision": revision} if revision else {}), **facts}
            self.anomalies.append(
                Anomaly(
                    kind=kind, because=because, events=wording.indexes(*ops), members=members,
                    detail=detail,
                )
            )

    def extend(self, other: Findings) -> None:
        """Add everything that `other` contains."""
        self.anomalies += other.anomalies
        self.count += other.count
        self.unknown += other.unknown
        self.uncertain_applied += other.uncertain_applied
        for kind, count in other.by_kind.items():
            self.by_kind[kind] = self.by_kind.get(kind, 0) + count
