"""Separates the anomalies that show a known bug from the other anomalies of a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from splitbrain.checkers.verdict import Anomaly, Verdict, by_kind
from splitbrain.harness.known_bugs.known_bug import KnownBug

KNOWN_BUGS = "known bugs"
"""The name of the entry in `Verdict.counts` that counts the anomalies of each known bug."""
NOT_ALL_COMPARED = (
    "only the first anomalies of each kind were compared with the known bugs: "
    "there are {count}, of which {kept} are kept"
)


def excused(verdict: Verdict, bugs: Sequence[KnownBug]) -> Verdict:
    """Move the anomalies that are signs of `bugs` to the field `known`, and return the verdict.

    If other anomalies are left, the verdict stays invalid. If none is left, it becomes valid. It
    becomes unknown instead if the checker did not keep all anomalies, or did not decide everything.
    """
    if verdict.valid is not False or not any(bug.signature for bug in bugs):
        return verdict
    left: list[Anomaly] = []
    known: list[Anomaly] = []
    for anomaly in verdict.anomalies:
        bug = _shown_by(verdict.checker, anomaly, bugs)
        if bug is None:
            left.append(anomaly)
        else:
            known.append(replace(anomaly, known=bug.id))
    if not known:
        return verdict
    valid: bool | None = False
    why = verdict.why
    if not left:
        count = sum(map(verdict.count_of, by_kind(verdict.anomalies)))
        dropped = NOT_ALL_COMPARED.format(count=count, kept=len(known))
        why = "; ".join(filter(None, (why, dropped if count > len(known) else "")))
        valid = None if why else True
    known_of = Counter(one.kind for one in known)
    kinds = {kind: verdict.count_of(kind) - known_of[kind] for kind in by_kind(left)}
    shown = Counter(one.known for one in known)
    return replace(
        verdict, valid=valid, anomalies=tuple(left), known=tuple(known), why=why, kinds=kinds,
        counts={**verdict.counts, KNOWN_BUGS: dict(shown)},
    )


def _shown_by(checker: str, anomaly: Anomaly, bugs: Sequence[KnownBug]) -> KnownBug | None:
    return next(
        (
            bug for bug in bugs
            if any(signature.matches(checker, anomaly) for signature in bug.signature)
        ),
        None,
    )
