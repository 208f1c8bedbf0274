"""Draws the operations of each process over time, below the lanes of the members that faults hit.

A bar lasts from the invocation to the completion of an operation. If the outcome is unknown, a
dotted line follows the bar, because the operation may take effect at any later time. The dotted
line ends where another process begins in the same row. Each invocation has a tick, so that
operations that are shorter than a pixel are visible.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from splitbrain.harness.report.figures.fault_bands import (
    bands,
    crash_trace,
    lane_layers,
    lane_names,
    lane_traces,
)
from splitbrain.harness.report.figures.layout import (
    hide_long_labels,
    plain,
    plain_layout,
    time_axis,
)
from splitbrain.harness.report.figures.palette import OUTCOMES, Look, faded
from splitbrain.harness.report.figures.typed_array import GAP, integers, times
from splitbrain.harness.report.operation_spans import Span, lanes
from splitbrain.harness.store.lenient_records import CrashFacts
from splitbrain.histories.history import FaultWindow, Outcome

SVG_SPANS_MAX = 6_000
"""If there are more operations than this, WebGL draws the bars instead of SVG."""

ROW_PX = (9, 20)
"""The minimal and the maximal height of the row of a process."""
ROWS_PX_MAX = 640
LANE_PX = 20
"""The height in px that a lane needs for each of the faults that are active on it at the same
time."""
LAYERS_MAX = 4


def timeline(
    spans: Sequence[Span],
    faults: Sequence[FaultWindow],
    members: Sequence[str],
    end_ns: int,
    rows: Mapping[int, int] | None = None,
    crashes: Sequence[CrashFacts] = (),
) -> go.Figure:
    """Draw the operations in `spans`.

    `rows` maps each process to its row. If `rows` is None, the function computes the rows from
    `spans`. If `spans` is a sample, the caller must pass rows that were computed from all
    operations. Each of `crashes` is drawn as a cross on the lane of its member.
    """
    row_of = lanes(spans) if rows is None else rows
    row_count = max(row_of.values(), default=-1) + 1
    row_px = max(ROW_PX[0], min(ROW_PX[1], ROWS_PX_MAX // max(1, row_count)))
    fault_lanes = lane_names(faults, members)
    layers = min(LAYERS_MAX, lane_layers(faults, fault_lanes, end_ns))
    rows_px, lanes_px = row_px * max(1, row_count), LANE_PX * layers * len(fault_lanes)
    figure = go.Figure()
    rows_of_drawn = _Rows(row_of, row_starts(spans, row_of), row_px, end_ns)
    line = go.Scattergl if len(spans) > SVG_SPANS_MAX else go.Scatter
    for outcome in OUTCOMES:
        own = [span for span in spans if span.outcome == outcome]
        if own:
            figure.add_traces(_traces(outcome, own, rows_of_drawn, line))
    if fault_lanes:
        figure.add_traces(lane_traces(faults, fault_lanes, end_ns, axis="y2"))
    if crashes:
        figure.add_trace(crash_trace(crashes, fault_lanes, axis="y2"))
    hide_long_labels(figure)
    plain_layout(figure, height_px=rows_px + lanes_px + 34 + 40 + 12)
    share = rows_px / (rows_px + lanes_px + 12)
    figure.update_layout(
        barmode="overlay",
        shapes=bands(faults, end_ns),
        xaxis=time_axis(end_ns),
        yaxis=_row_axis(row_of, row_px, [0, share]),
        yaxis2=_lane_axis(fault_lanes, [share + 12 / (rows_px + lanes_px + 12), 1]),
    )
    return figure


@dataclass(frozen=True, slots=True)
class _Rows:
    """The row of each process in the timeline, and the times at which processes begin in a row."""

    row_of: Mapping[int, int]
    """The row of each process."""
    starts: Mapping[int, Sequence[int]]
    """The times in ns, ascending, at which processes begin in each row."""
    row_px: int
    end_ns: int


def _traces(outcome: Outcome, own: Sequence[Span], rows: _Rows, line: Any) -> list[Any]:
    """Return the bars of the operations `own`, which all have the outcome `outcome`.

    `line` is the class of plotly that draws a line: `Scatter` or `Scattergl`.
    """
    look = OUTCOMES[outcome]
    xs: list[float] = []
    ys: list[float] = []
    events: list[int] = []
    for span in own:
        end = rows.end_ns if span.ended is None else span.ended
        row = rows.row_of[span.process]
        xs += (span.call / 1e9, (span.call + end) / 2e9, end / 1e9, GAP)
        ys += (row, row, row, GAP)
        events += (span.invoked, span.invoked, span.invoked, -1)
    bars = line(
        mode="lines",
        name=f"{look.legend} ({len(own):,})",
        legendgroup=outcome,
        x=times(xs),
        y=times(ys),
        customdata=integers(events),
        line={
            "color": faded(look.colour, 0.55 if outcome == "info" else 1),
            "width": rows.row_px * 0.6,
        },
        hoverinfo="none",
        connectgaps=False,
    )
    tails = [_tails(line, own, rows)] if outcome == "info" else []
    return [*tails, bars, _ticks(line, look, outcome, own, rows)]


def _ticks(line: Any, look: Look, outcome: Outcome, own: Sequence[Span], rows: _Rows) -> Any:
    """Return a mark at the invocation of each operation in `own`.

    If `outcome` is `ok`, the mark is a tick; otherwise it is the symbol of the outcome. All ticks
    are one line with gaps, because thousands of markers are slow to draw.
    """
    if outcome != "ok":
        return line(
            mode="markers",
            legendgroup=outcome,
            showlegend=False,
            x=times(span.call / 1e9 for span in own),
            y=times(rows.row_of[span.process] for span in own),
            marker={
                "symbol": look.symbol,
                "size": max(5, rows.row_px * 0.55),
                "color": look.colour,
            },
            customdata=integers(span.invoked for span in own),
            hoverinfo="none",
        )
    xs: list[float] = []
    ys: list[float] = []
    for span in own:
        row = rows.row_of[span.process]
        xs += (span.call / 1e9, span.call / 1e9, GAP)
        ys += (row - 0.3, row + 0.3, GAP)
    return line(
        mode="lines",
        legendgroup=outcome,
        showlegend=False,
        x=times(xs),
        y=times(ys),
        line={"color": look.colour, "width": 1},
        hoverinfo="skip",
        connectgaps=False,
    )


def _tails(line: Any, own: Sequence[Span], rows: _Rows) -> Any:
    """Return the dotted lines after operations of unknown outcome.

    A line begins when the client stopped waiting, and ends when another process begins in the row.
    """
    xs: list[float] = []
    ys: list[float] = []
    for span in own:
        if span.ended is None:
            continue
        row = rows.row_of[span.process]
        later = bisect_left(rows.starts[row], max(span.ended, span.call + 1))
        end = rows.starts[row][later] if later < len(rows.starts[row]) else rows.end_ns
        xs += (span.ended / 1e9, end / 1e9, GAP)
        ys += (row, row, GAP)
    return line(
        mode="lines",
        legendgroup="info",
        showlegend=False,
        x=times(xs),
        y=times(ys),
        line={"color": faded(OUTCOMES["info"].colour, 0.7), "width": 1.5, "dash": "dot"},
        hoverinfo="skip",
        connectgaps=False,
    )


def row_starts(spans: Sequence[Span], row_of: Mapping[int, int]) -> dict[int, list[int]]:
    """Return the times in ns, ascending, at which processes begin in each row.

    `row_of` maps each process to its row.
    """
    first: dict[int, int] = {}
    for span in spans:
        first[span.process] = min(span.call, first.get(span.process, span.call))
    starts: dict[int, list[int]] = {}
    for process, call in sorted(first.items(), key=lambda item: item[1]):
        starts.setdefault(row_of[process], []).append(call)
    return starts


def _row_axis(row_of: Mapping[int, int], row_px: int, domain: list[float]) -> dict[str, Any]:
    processes: dict[int, list[int]] = {}
    for process, row in row_of.items():
        processes.setdefault(row, []).append(process)
    step = 1 if row_px >= 12 else 2
    shown = [row for row in sorted(processes) if row % step == 0]
    return {
        "domain": domain,
        "title": {"text": "process", "standoff": 4},
        "range": [max(processes, default=0) + 0.6, -0.6],
        "tickvals": shown,
        "ticktext": [_row_label(processes[row]) for row in shown],
        "tickfont": {"size": min(11, row_px)},
        "fixedrange": True,
        "zeroline": False,
        "showgrid": False,
    }


def _row_label(processes: Sequence[int]) -> str:
    first = min(processes)
    return f"{first}" if len(processes) == 1 else f"{first} +{len(processes) - 1}"


def _lane_axis(names: Sequence[str], domain: list[float]) -> dict[str, Any]:
    return {
        "domain": domain if names else [1, 1],
        "visible": bool(names),
        "range": [len(names) - 0.5, -0.5],
        "tickvals": list(range(len(names))),
        "ticktext": [plain(name) for name in names],
        "fixedrange": True,
        "zeroline": False,
        "showgrid": False,
    }
