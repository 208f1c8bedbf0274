"""What a checker says of a history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

NOT_APPLICABLE = "not applicable: "
"""How `Verdict.why` begins where a checker found nothing to judge, and so nothing wrong."""


class Anomaly(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that must not be, and its proof.

    `because` says it in the store's terms; `events` are the indexes of the history's
    events that show it; `members` those concerned; `detail` is for machines.
    """

    kind: str
    because: str
    events: tuple[int, ...] = ()
    members: tuple[str, ...] = ()
    detail: dict[str, Any] = {}


class Verdict(msgspec.Struct, frozen=True, omit_defaults=False):
    """`valid` is True, False, or None: undecided, and `why` says why.

    `counts` are numbers worth a line in a report (operations judged, by outcome …).
    """

    checker: str
    valid: bool | None
    anomalies: tuple[Anomaly, ...] = ()
    counts: dict[str, Any] = {}
    why: str = ""
    seconds: float = 0.0

    @property
    def applies(self) -> bool:
        """False where there was nothing that this checker judges: it is no evidence then."""
        return not (self.valid and self.why.startswith(NOT_APPLICABLE))


def not_applicable(checker: str, reason: str, counts: dict[str, Any] | None = None) -> Verdict:
    """The verdict of a checker that found nothing to judge; `reason` says what is missing."""
    return Verdict(checker, True, counts=counts or {}, why=NOT_APPLICABLE + reason)


def merge(valids: Iterable[bool | None]) -> bool | None:
    """False over None over True: unknown is never a pass. Of nothing, True."""
    merged: bool | None = True
    for valid in valids:
        if valid is False:
            return False
        if valid is None:
            merged = None
    return merged
