"""Finds the part of a history that proves an anomaly.

A proof contains the operations that the anomaly names, a few neighbours that use the same keys at
about the same time, and the faults during that time. Some anomalies consist of a linearization and
of one operation that fits nowhere into it. Their proof contains both. If the anomaly is a cycle of
transactions, the proof contains the dependencies of the cycle.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

import msgspec

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report.anomaly.bar_positions import width_px
from splitbrain.harness.report.figures.fault_bands import band_end
from splitbrain.harness.report.operation_spans import Span
from splitbrain.harness.report.value_text import clip, keys_of
from splitbrain.histories.history import FaultWindow

INVOLVED_MAX = 200
NEIGHBOURS_MAX = 10
NEIGHBOUR_CANDIDATES_MAX = 2_000
WIDTH_WITH_NEIGHBOURS_PX_MAX = 1_200
"""No more neighbours (operations that the anomaly does not name) are added when the picture reaches
this width."""
STATE_CHARACTERS_MAX = 64
LINE_CHARACTERS_MAX = 48
"""The maximal length of a line in the label of an operation that the anomaly names."""
NEIGHBOUR_LINE_CHARACTERS_MAX = 26
NEIGHBOUR_LINES_MAX = 3
"""The label of a neighbour (an operation that the anomaly does not name) is cut to this many
lines."""
NAME_CHARACTERS_MAX = 12


@dataclass(frozen=True, slots=True)
class CycleEdge:
    """One dependency of a cycle: the transaction `source` comes before the transaction `target`.

    A transaction is given by the index of the event of its invocation. `kind` is ww, wr, …;
    `because` is the reason as a sentence.
    """

    source: int
    target: int
    kind: str
    because: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The operations and faults in the picture of an anomaly.

    The fields refer to an operation by `Span.invoked`, the index of the event of its invocation.
    """

    involved: tuple[Span, ...]
    """The operations that the anomaly names."""
    neighbours: tuple[Span, ...]
    faults: tuple[FaultWindow, ...]
    left_out: int
    """The number of operations that the anomaly names beyond the first `INVOLVED_MAX`."""
    order: tuple[int, ...] = ()
    """An order (linearization) of the operations other than `stuck`; () if the anomaly contains
    none."""
    stuck: int | None = None
    """The operation that fits into no order of the other operations; None if the anomaly contains
    no order."""
    state: str = ""
    """The state of the object (a register, for example) after the operations in `order`."""
    cycle: tuple[CycleEdge, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    """The names, such as T1, that the anomaly gives to the transactions in `cycle`."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """All operations, in the order of their invocations."""
        return tuple(sorted((*self.involved, *self.neighbours), key=lambda span: span.invoked))


def proof_of(
    anomaly: Anomaly, spans: Sequence[Span], faults: Sequence[FaultWindow], end_ns: int
) -> Proof:
    """Collect the proof of `anomaly`: the operations and faults that its picture shows.

    The proof is empty if the anomaly names no operation. `spans` are all operations of the history,
    in the order of their invocations. `end_ns` is the end of the run.
    """
    stuck, order = _order_of(anomaly)
    named = {*anomaly.events, *order}
    found = [span for span in spans if span.invoked in named or span.returned in named]
    involved = tuple(found[:INVOLVED_MAX])
    if not involved:
        return Proof((), (), (), 0)
    neighbours = () if "cycle" in anomaly.detail else _neighbours(involved, spans)
    begin, end = _window((*involved, *neighbours))
    active = tuple(f for f in faults if f.begin <= end and band_end(f, end_ns) >= begin)
    drawn = {span.invoked for span in involved}
    cycle, names = _cycle_of(anomaly, drawn)
    return Proof(
        involved=involved,
        neighbours=neighbours,
        faults=active,
        left_out=len(found) - len(involved),
        order=tuple(at for at in order if at in drawn),
        stuck=stuck if stuck in drawn else None,
        state=clip(str(anomaly.detail.get("state", "")), STATE_CHARACTERS_MAX),
        cycle=cycle,
        names=names,
    )


def _window(spans: Sequence[Span]) -> tuple[int, int]:
    """Return the time of the first invocation and of the last end of `spans`, in ns."""
    ends = (span.call if span.ended is None else span.ended for span in spans)
    return min(span.call for span in spans), max(ends)


# --- details of an anomaly ----------------------------------------------------


class _Transaction(msgspec.Struct):
    name: str
    event: int


class _Step(msgspec.Struct):
    begin: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    kind: str = ""
    because: str = ""


class _Cycle(msgspec.Struct):
    """The structure of `Anomaly.detail["cycle"]`, which the checker `transactions` writes."""

    transactions: list[_Transaction]
    steps: list[_Step]


def _cycle_of(anomaly: Anomaly, drawn: set[int]) -> tuple[tuple[CycleEdge, ...], dict[int, str]]:
    """Return the dependencies of the cycle of `anomaly`, and the name of each transaction.

    Transactions that are not in `drawn` are left out. Returns ((), {}) if the anomaly is not a
    cycle.
    """
    try:
        cycle = msgspec.convert(anomaly.detail.get("cycle"), _Cycle)
    except msgspec.ValidationError:
        return (), {}
    event_of = {one.name: one.event for one in cycle.transactions if one.event in drawn}
    steps = tuple(
        CycleEdge(
            event_of[step.begin], event_of[step.end], clip(step.kind, NAME_CHARACTERS_MAX),
            clip(step.because),
        )
        for step in cycle.steps
        if step.begin in event_of and step.end in event_of
    )
    return steps, {event: clip(name, NAME_CHARACTERS_MAX) for name, event in event_of.items()}


def _order_of(anomaly: Anomaly) -> tuple[int | None, tuple[int, ...]]:
    """Return the operation that fits at no place into the linearization, and the linearization.

    The linearization is an order of the other operations. Each operation is given by the index of
    the event of its invocation. Returns (None, ()) if the anomaly lacks one of the two.
    """
    stuck, order = anomaly.detail.get("stuck"), anomaly.detail.get("linearization", ())
    if not isinstance(stuck, int) or not isinstance(order, list | tuple):
        return None, ()
    return stuck, tuple(at for at in order if isinstance(at, int))


# --- neighbours ---------------------------------------------------------------


def _neighbours(involved: Sequence[Span], spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return other operations that use a key of `involved` and began at about the same time.

    If the operations in `involved` have no keys, all other operations are candidates. The nearest
    in time are taken first, until the picture would become too wide.
    """
    begin, end = _window(involved)
    own = {span.invoked for span in involved}
    keys = {key for span in involved for key in keys_of(span.request)}
    calls = [span.call for span in spans]
    first, last = bisect_left(calls, begin), bisect_right(calls, end)
    around = spans[max(0, first - NEIGHBOUR_CANDIDATES_MAX) : last + NEIGHBOUR_CANDIDATES_MAX]
    moments = [span.call for span in involved]

    def distance(span: Span) -> tuple[int, int]:
        return min(abs(span.call - moment) for moment in moments), span.invoked

    near = sorted((span for span in around if span.invoked not in own), key=distance)
    chosen: list[Span] = []
    for span in near[:NEIGHBOUR_CANDIDATES_MAX]:
        if len(chosen) == NEIGHBOURS_MAX:
            break
        if not keys or keys.intersection(keys_of(span.request)):
            larger = Proof(tuple(involved), (*chosen, span), (), 0)
            if width_px(larger.spans, label_lines(larger)) > WIDTH_WITH_NEIGHBOURS_PX_MAX:
                break
            chosen.append(span)
    return tuple(chosen)


# --- labels -------------------------------------------------------------------


def label_lines(proof: Proof) -> dict[int, tuple[str, ...]]:
    """Return the lines of each bar's label, by the index of the operation's first event.

    A label contains the request, the answer and the member. If the anomaly names the operation, the
    label contains the whole text. Otherwise, it has at most `NEIGHBOUR_LINES_MAX` lines, and they
    are shorter.
    """
    near = {
        span.invoked: tuple(wrap(
            _label(span, proof), NEIGHBOUR_LINE_CHARACTERS_MAX, max_lines=NEIGHBOUR_LINES_MAX,
            placeholder=" …",
        ))
        for span in proof.neighbours
    }
    named = {
        span.invoked: tuple(wrap(_label(span, proof), LINE_CHARACTERS_MAX))
        for span in proof.involved
    }
    return near | named


def _label(span: Span, proof: Proof) -> str:
    name = f"{proof.names[span.invoked]}: " if span.invoked in proof.names else ""
    node = f" · {span.node}" if span.node else ""
    return f"{name}{span.request_text()} → {span.result_text()}{node}"
