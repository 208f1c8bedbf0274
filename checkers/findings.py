"""The anomalies that a checker has found so far, and what it could not decide."""

from __future__ import annotations

from dataclasses import dataclass, field

from splitbrain.checkers import wording
from splitbrain.checkers.verdict import Anomaly, merge
from splitbrain.histories.history import Operation

ANOMALIES_MAX = 50
"""Kept in full; further ones are counted."""


@dataclass(slots=True)
class Findings:
    """Anomalies, and what could not be known: texts that each keep a verdict from True."""

    anomalies: list[Anomaly] = field(default_factory=list)
    count: int = 0
    unknown: list[str] = field(default_factory=list)
    uncertain_applied: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)

    @property
    def valid(self) -> bool | None:
        """False with an anomaly, else None with something undecided, else True."""
        return merge((not self.count, None if self.unknown else True))

    def add(
        self, kind: str, because: str, *ops: Operation, members: tuple[str, ...] = (),
        revision: int = 0,
    ) -> None:
        self.count += 1
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1
        if self.by_kind[kind] <= ANOMALIES_MAX:
            detail = {"revision": revision} if revision else {}
            self.anomalies.append(
                Anomaly(kind, because, wording.indexes(*ops), members, detail)
            )


    def take(self, other: Findings) -> None:
        """Those of `other`, too."""
        self.anomalies += other.anomalies
        self.count += other.count
        self.unknown += other.unknown
        self.uncertain_applied += other.uncertain_applied
        for kind, count in other.by_kind.items():
            self.by_kind[kind] = self.by_kind.get(kind, 0) + count
