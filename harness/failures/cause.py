"""Finds the causes of a run's anomalies: known bugs of the tested store, or kinds of anomalies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from splitbrain.checkers.verdict import Anomaly, Verdict


class Cause(msgspec.Struct, frozen=True):
    """What made a run invalid. Runs with the same `name` are finds of the same bug."""

    name: str
    because: str
    """The text of the first anomaly that shows it."""
    named: bool
    """Whether the cause is a known bug; otherwise `name` is a checker and a kind of anomaly."""


def causes_of(verdicts: Sequence[Verdict], trigger: str = "") -> tuple[Cause, ...]:
    """The causes of a run, each once.

    `trigger` is a known bug without a signature, if the run has drawn the trigger of exactly one
    such bug. Anomalies that no signature explains are then attributed to it. Without `trigger`, the
    cause of such anomalies is their checker with the kind of the first one, because one bug often
    makes several kinds of anomalies.
    """
    causes: dict[str, Cause] = {}
    for one in _all(verdicts, trigger):
        causes.setdefault(one.name, one)
    return tuple(causes.values())


def _all(verdicts: Sequence[Verdict], trigger: str) -> Iterator[Cause]:
    for verdict in verdicts:
        for anomaly in verdict.known:
            yield Cause(anomaly.known, _text(anomaly), named=True)
        if verdict.valid is not False or not verdict.anomalies:
            continue
        first = verdict.anomalies[0]
        name = trigger or f"{verdict.checker}: {first.kind}"
        yield Cause(name, _text(first), named=bool(trigger))


def _text(anomaly: Anomaly) -> str:
    return f"{anomaly.kind}: {anomaly.because.splitlines()[0] if anomaly.because else ''}"
