"""Attributes a run's anomalies to causes: known bugs of the tested store, or kinds of anomalies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from splitbrain.checkers.verdict import Anomaly, Verdict

DATA = "mvcc"
"""The checker whose anomalies explain those of the other checkers: if the members contain wrong
data, then watchers, leases and registers show wrong data, too."""
INDEPENDENT = ("crashed",)
"""Checkers whose anomalies are a separate cause, even if the members contain wrong data."""
SEVEREST = ("diverged", "hash mismatch", "duplicate revision", "lost write")
"""Kinds of anomalies of `DATA`. The first of them that a run shows names the cause, because the
other kinds follow from it."""


class Cause(msgspec.Struct, frozen=True):
    """What made a run invalid. Runs with the same `name` are assumed to show the same bug."""

    name: str
    because: str
    """The text of the first anomaly that shows the cause."""
    named: bool
    """Whether `name` is that of a known bug. If not, it consists of a checker and a kind of
    anomaly."""


def causes_of(verdicts: Sequence[Verdict], trigger: str = "") -> tuple[Cause, ...]:
    """Return the causes of an invalid run, each once.

    A known bug can have a signature, which selects the anomalies that show the bug. The cause of
    these anomalies is that bug. All other anomalies of one checker have one common cause, because
    one bug often makes several kinds of anomalies.

    `trigger` is the id of a known bug without a signature, if the run contains the trigger of
    exactly one such bug. The common cause is then this bug. If `trigger` is "", the common cause is
    named after the checker and the kind of its first anomaly.
    """
    causes: dict[str, Cause] = {}
    for one in _all(verdicts, trigger):
        causes.setdefault(one.name, one)
    return tuple(causes.values())


def _all(verdicts: Sequence[Verdict], trigger: str) -> Iterator[Cause]:
    for verdict in verdicts:
        for anomaly in verdict.known:
            yield Cause(anomaly.known, _text(anomaly), named=True)
    invalid = [one for one in verdicts if one.valid is False and one.anomalies]
    if any(one.checker == DATA for one in invalid):
        invalid = [one for one in invalid if one.checker in (DATA, *INDEPENDENT)]
    for verdict in invalid:
        shown = _naming(verdict)
        name = trigger or f"{verdict.checker}: {shown.kind}"
        yield Cause(name, _text(shown), named=bool(trigger))


def _naming(verdict: Verdict) -> Anomaly:
    """Return the anomaly of `verdict` whose kind names the cause."""
    firsts = {one.kind: one for one in reversed(verdict.anomalies)}
    severe = [firsts[kind] for kind in SEVEREST if verdict.checker == DATA and kind in firsts]
    return (severe or verdict.anomalies)[0]


def _text(anomaly: Anomaly) -> str:
    return f"{anomaly.kind}: {anomaly.because.splitlines()[0] if anomaly.because else ''}"
