"""Renders the page that `splitbrain check --picture` writes, which contains only anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report.anomaly.drawn_anomaly import DrawnAnomaly, draw_anomaly
from splitbrain.harness.report.html import render_figures
from splitbrain.harness.report.operation_spans import Span, last_time_ns, span_columns
from splitbrain.harness.report.page_file import write_page
from splitbrain.histories.history import FaultWindow

DRAWN_MAX = 12


@dataclass(frozen=True, slots=True)
class Found:
    """An anomaly, the checker that found it, and the operations that its picture may show.

    `spans` are in the order of their invocations, as
    `splitbrain.harness.report.operation_spans.pair` returns them.
    """

    checker: str
    anomaly: Anomaly
    spans: Sequence[Span]


def render_pictures(
    found: Sequence[Found],
    faults: Sequence[FaultWindow] = (),
    members: Sequence[str] = (),
    title: str = "",
) -> str:
    """Return the HTML page of the first `DRAWN_MAX` anomalies of `found`, with their pictures.

    The page loads nothing from the network.
    """
    drawn = [_drawn(n, one, faults, members) for n, one in enumerate(found[:DRAWN_MAX], start=1)]
    figures: dict[str, go.Figure] = {}
    spans: dict[int, Span] = {}
    shown_faults: dict[int, FaultWindow] = {}
    for one in drawn:
        figures |= one.figures
        spans |= {span.invoked: span for span in one.proof.spans}
        shown_faults |= {fault.fault: fault for fault in one.proof.faults}
    return render_figures(
        "picture.html.j2",
        figures,
        title=title or (found[0].anomaly.kind if found else "no anomaly"),
        anomalies=drawn,
        left_out=max(0, len(found) - DRAWN_MAX),
        spans=span_columns([spans[at] for at in sorted(spans)]),
        fault_words={str(number): f"{number} {fault.f}" for number, fault in shown_faults.items()},
    )


def _drawn(
    number: int, found: Found, faults: Sequence[FaultWindow], members: Sequence[str]
) -> DrawnAnomaly:
    return draw_anomaly(
        number, found.checker, found.anomaly,
        spans=found.spans, faults=faults, members=members, end_ns=last_time_ns(found.spans),
    )


def write_pictures(
    path: Path,
    found: Sequence[Found],
    faults: Sequence[FaultWindow] = (),
    members: Sequence[str] = (),
    title: str = "",
) -> Path:
    """Write the page of `render_pictures` to `path`. Raises OSError if that fails."""
    return write_page(path, render_pictures(found, faults, members, title))
