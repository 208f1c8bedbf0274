"""The picture of one anomaly as a page of its own: what `check --picture` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from checkers.verdict import Anomaly
from harness.report import write_whole
from harness.report.anomaly_picture import picture_in_order, picture_to_scale, proof_of
from harness.report.page import DrawnAnomaly, page, span_table
from harness.report.spans import Span, last_time_ns
from histories.history import FaultWindow


def render_picture(
    anomaly: Anomaly,
    spans: Sequence[Span],
    faults: Sequence[FaultWindow] = (),
    members: Sequence[str] = (),
    checker: str = "",
) -> str:
    """A page that opens without a network. `spans` as `harness.report.spans.pair` makes
    them of a history's events, in the order of their invocations."""
    proof = proof_of(anomaly, spans, faults, last_time_ns(spans))
    in_order = picture_in_order(proof, members) if proof.involved else None
    to_scale = picture_to_scale(proof, members) if proof.involved else None
    drawn = DrawnAnomaly(1, checker, anomaly, proof, in_order, to_scale)
    return page(
        "picture.html.j2",
        drawn.figures,
        title=anomaly.kind,
        drawn=drawn,
        spans=span_table(proof.spans),
        fault_words={str(fault.fault): f"{fault.fault} {fault.f}" for fault in proof.faults},
    )


def write_picture(
    path: Path,
    anomaly: Anomaly,
    spans: Sequence[Span],
    faults: Sequence[FaultWindow] = (),
    members: Sequence[str] = (),
    checker: str = "",
) -> Path:
    """`render_picture` into the file `path`. Raises OSError where it cannot be written."""
    return write_whole(path, render_picture(anomaly, spans, faults, members, checker))
