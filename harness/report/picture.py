"""The pictures of anomalies as a page of their own: what `check --picture` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report import write_whole
from splitbrain.harness.report.anomaly_picture import picture_in_order, picture_to_scale, proof_of
from splitbrain.harness.report.page import DrawnAnomaly, page, span_table
from splitbrain.harness.report.spans import Span, last_time_ns
from splitbrain.histories.history import FaultWindow

DRAWN_MAX = 12


@dataclass(frozen=True, slots=True)
class Found:
    """An anomaly, who found it, and the operations that it is drawn among: as
    `splitbrain.harness.report.spans.pair` makes them of events, in the order of their
    invocations."""

    checker: str
    anomaly: Anomaly
    spans: Sequence[Span]


def render_pictures(
    found: Sequence[Found],
    faults: Sequence[FaultWindow] = (),
    members: Sequence[str] = (),
    title: str = "",
) -> str:
    """A page that opens without a network, of the first `DRAWN_MAX` anomalies."""
    drawn = [_drawn(n, one, faults, members) for n, one in enumerate(found[:DRAWN_MAX], start=1)]
    figures: dict[str, go.Figure] = {}
    spans: dict[int, Span] = {}
    hit: dict[int, FaultWindow] = {}
    for one in drawn:
        figures |= one.figures
        spans |= {span.invoked: span for span in one.proof.spans}
        hit |= {fault.fault: fault for fault in one.proof.faults}
    return page(
        "picture.html.j2",
        figures,
        title=title or (found[0].anomaly.kind if found else "nothing wrong"),
        anomalies=drawn,
        left_out=max(0, len(found) - DRAWN_MAX),
        spans=span_table([spans[at] for at in sorted(spans)]),
        fault_words={str(number): f"{number} {fault.f}" for number, fault in hit.items()},
    )


def _drawn(
    number: int, found: Found, faults: Sequence[FaultWindow], members: Sequence[str]
) -> DrawnAnomaly:
    proof = proof_of(found.anomaly, found.spans, faults, last_time_ns(found.spans))
    in_order = picture_in_order(proof, members) if proof.involved else None
    to_scale = picture_to_scale(proof, members) if proof.involved else None
    return DrawnAnomaly(number, found.checker, found.anomaly, proof, in_order, to_scale)


def write_pictures(
    path: Path,
    found: Sequence[Found],
    faults: Sequence[FaultWindow] = (),
    members: Sequence[str] = (),
    title: str = "",
) -> Path:
    """`render_pictures` into the file `path`. Raises OSError where it cannot be written."""
    return write_whole(path, render_pictures(found, faults, members, title))
