"""`budget`: the latencies, the availability and the recovery times stay within given limits.

A budget is a list of limits, for example:

    p99=200ms,availability=99%,recovery=5s

These quantities can be limited:

    p50 … p99.9, max    The latencies of the operations that were answered. `p99.put` limits the
                        latencies of puts only.
    availability        The share of the operations that must be answered. `availability.kill`
                        limits the share for operations that were invoked during a kill.
    recovery            The time from the healing of the last active fault to the next answer of
                        the cluster.

Cost: n log n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from splitbrain.checkers import wording
from splitbrain.checkers.budget_limits import Limit, shown
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.service_level.rates import (
    by_latency,
    during_faults,
    latency_ns,
    percentile,
    recoveries,
    share_answered,
)
from splitbrain.checkers.verdict import Anomaly, Verdict, merge, not_applicable
from splitbrain.histories.history import History, Operation

NAME = "budget"
SHOWN_MAX = 3
"""The number of operations that an anomaly names."""


class Measured(NamedTuple):
    """A measured value, such as a latency, and the operations that show it best."""

    value: float
    """In nanoseconds. For availability: a share from 0 to 1."""
    by: Sequence[Operation] = ()
    explanation: str = ""


def check_budget(evidence: Evidence) -> Verdict:
    """Latencies, availability and recovery times stay within the budget.

    The checker applies only if a budget is set. The verdict is unknown if the history contains
    nothing that one of the limits measures.
    """
    if not evidence.budget:
        return not_applicable(NAME, "no budget is set")
    anomalies: list[Anomaly] = []
    unmeasured: list[str] = []
    counts: dict[str, dict[str, str]] = {}
    for limit in evidence.budget:
        name = f"{limit.measure} {limit.of}".strip()
        measured = _measure(limit, evidence.history)
        if isinstance(measured, str):
            unmeasured.append(f"{name}: {measured}")
            continue
        counts[name] = {
            "measured": shown(limit.measure, measured.value), "budget": limit.shown(),
        }
        if not _within(limit, measured.value):
            anomalies.append(_anomaly(limit, measured))
    valid = merge((not anomalies, None if unmeasured else True))
    return Verdict(
        checker=NAME, valid=valid, anomalies=tuple(anomalies), counts=counts,
        why="; ".join(unmeasured),
    )


def _within(limit: Limit, value: float) -> bool:
    return value >= limit.bound if limit.measure == "availability" else value <= limit.bound


def _measure(limit: Limit, history: History) -> Measured | str:
    """Return the value that `limit` bounds, or the reason why it could not be measured."""
    if limit.measure == "recovery":
        return _recovery(history)
    if limit.measure == "availability":
        return _availability(limit, history)
    return _latency(limit, history)


def _latency(limit: Limit, history: History) -> Measured | str:
    chosen = [op for op in history.operations if not limit.of or op.f == limit.of]
    answered = by_latency(chosen)
    if not answered:
        return f"no {limit.of or 'operation'} was answered"
    latencies = [latency_ns(op) for op in answered]
    return Measured(percentile(latencies, limit.percent), answered[-SHOWN_MAX:])


def _availability(limit: Limit, history: History) -> Measured | str:
    operations: Sequence[Operation] = history.operations
    if limit.of:
        operations = during_faults(history).get(limit.of, ())
    if not operations:
        return f"no operation was invoked{' during such a fault' if limit.of else ''}"
    missed = [op for op in operations if op.outcome != "ok"]
    explanation = f"{len(missed)} of {len(operations)} operations were not answered"
    return Measured(share_answered(operations), missed[:SHOWN_MAX], explanation)


def _recovery(history: History) -> Measured | str:
    found = recoveries(history)
    if not found:
        return "no fault was healed" if history.faults else "there was no fault"
    worst = max(found, key=lambda recovery: recovery.took_ns)
    first = (worst.first,) if worst.first else ()
    at = wording.seconds(worst.healed)
    explanation = f"all faults were healed at {at}, and " + (
        f"the next answer came at {wording.seconds(worst.healed + worst.took_ns)}" if first
        else f"no answer came by {wording.seconds(worst.until)}"
    )
    return Measured(worst.took_ns, first, explanation)


def _anomaly(limit: Limit, measured: Measured) -> Anomaly:
    of = f" of {limit.of}" if limit.of else ""
    if limit.measure == "availability":
        of = f" during {limit.of}" if limit.of else ""
    over = "under" if limit.measure == "availability" else "over"
    because = (
        f"{limit.measure}{of} is {shown(limit.measure, measured.value)}, {over} the budget of "
        f"{limit.shown()}"
    )
    if measured.explanation:
        because += f": {measured.explanation}"
    return Anomaly(f"{over} budget", because, wording.indexes(*measured.by))
