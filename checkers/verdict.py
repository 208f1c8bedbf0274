"""Defines verdicts and anomalies, which all checkers return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

KEPT_OF_A_KIND_MAX = 50
NOT_APPLICABLE = "not applicable: "
"""`Verdict.why` begins with this text if the history contains nothing for the checker to judge."""


class Anomaly(msgspec.Struct, frozen=True, omit_defaults=True):
    """One violation of a guarantee of the store, and the proof of the violation."""

    kind: str
    because: str
    """A sentence in the store's terms that contains the decisive values."""
    events: tuple[int, ...] = ()
    """The indexes of the events in the history that show the violation."""
    members: tuple[str, ...] = ()
    """The names of the members that are involved."""
    detail: dict[str, Any] = {}
    """The same facts for programs, such as the revision. The keys depend on the checker."""
    known: str = ""
    """The id of the known bug that the anomaly shows, or "" if the anomaly shows no known bug."""


class Verdict(msgspec.Struct, frozen=True, omit_defaults=False):
    """The result of one checker."""

    checker: str
    valid: bool | None
    """True: valid. False: invalid, with at least one anomaly. None: unknown, for the reason
    in `why`."""
    anomalies: tuple[Anomaly, ...] = ()
    counts: dict[str, Any] = {}
    """Numbers for the report, such as the operations judged, by outcome."""
    why: str = ""
    seconds: float = 0.0
    """The run time of the checker."""
    kinds: dict[str, int] = {}
    """The number of anomalies of each kind, including those that `anomalies` does not contain."""
    known: tuple[Anomaly, ...] = ()
    """Anomalies that show a known bug of the tested store. They do not make the verdict invalid."""

    @property
    def anomaly_count(self) -> int:
        """Return the number of all anomalies, including those that `anomalies` does not contain."""
        return sum(self.count_of(kind) for kind in by_kind(self.anomalies))

    def count_of(self, kind: str) -> int:
        """Return the number of anomalies of one kind, including those not in `anomalies`."""
        return self.kinds.get(kind) or sum(one.kind == kind for one in self.anomalies)

    @property
    def applies(self) -> bool:
        """Return whether the checker found anything to judge. If not, `valid` proves nothing."""
        return not (self.valid and self.why.startswith(NOT_APPLICABLE))


def not_applicable(checker: str, reason: str, counts: dict[str, Any] | None = None) -> Verdict:
    """Return the verdict of a checker that found nothing to judge.

    `reason` is added to the text "not applicable".
    """
    return Verdict(checker, True, counts=counts or {}, why=NOT_APPLICABLE + reason)


def by_kind(anomalies: Iterable[Anomaly]) -> dict[str, list[Anomaly]]:
    """Return the anomalies of each kind. The kinds are in the order of their first anomalies."""
    kinds: dict[str, list[Anomaly]] = {}
    for one in anomalies:
        kinds.setdefault(one.kind, []).append(one)
    return kinds


def grouped(verdict: Verdict) -> Verdict:
    """Return `verdict` with its anomalies grouped by kind, and with the number of each kind.

    At most `KEPT_OF_A_KIND_MAX` anomalies of a kind are kept. Otherwise a frequent kind could hide
    the others.
    """
    kinds = by_kind(verdict.anomalies)
    return msgspec.structs.replace(
        verdict,
        anomalies=_first_of(kinds),
        kinds={kind: verdict.count_of(kind) for kind in kinds},
        known=_first_of(by_kind(verdict.known)),
    )


def _first_of(kinds: Mapping[str, Sequence[Anomaly]]) -> tuple[Anomaly, ...]:
    return tuple(one for group in kinds.values() for one in group[:KEPT_OF_A_KIND_MAX])


def with_evidence(verdict: Verdict, found: object, missing: str) -> Verdict:
    """Return `verdict`, or an unknown verdict if `verdict` is valid and `found` is false.

    `found` is true if the history contains evidence: anything that could have shown a violation.
    `missing` is the reason of the unknown verdict, such as "no read succeeded".
    """
    if found or verdict.valid is not True or not verdict.applies:
        return verdict
    return msgspec.structs.replace(verdict, valid=None, why=missing)


def merge(valids: Iterable[bool | None]) -> bool | None:
    """Return False if a verdict is False, otherwise None if one is None, and otherwise True."""
    merged: bool | None = True
    for valid in valids:
        if valid is False:
            return False
        if valid is None:
            merged = None
    return merged
