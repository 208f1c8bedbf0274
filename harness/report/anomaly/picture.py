"""Draws an anomaly: each operation of its proof is a bar in the row of the operation's process.

The label of a bar is the request and the answer. Pale bars are neighbours: operations that the
anomaly does not name. Below the rows of processes, there is a row for each member that a fault hit.

Some anomalies contain a linearization, and one operation that fits at no place into it. The
operations of the linearization are numbered in its order. A cross marks the other operation.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from splitbrain.harness.report.anomaly.bar_positions import (
    STEP_PX,
    Place,
    places_in_order,
    places_to_scale,
)
from splitbrain.harness.report.anomaly.cycle_arrows import draw_cycle
from splitbrain.harness.report.anomaly.proof import Proof, label_lines
from splitbrain.harness.report.anomaly.rows import LANE_PX, Rows, rows_of
from splitbrain.harness.report.figures.fault_bands import LaneBar, lane_bars, lane_names
from splitbrain.harness.report.figures.layout import (
    BOTTOM_MARGIN_PX,
    INK,
    TOP_MARGIN_PX,
    plain,
    plain_layout,
)
from splitbrain.harness.report.figures.palette import OUTCOMES, faded, fault_colour
from splitbrain.harness.report.operation_spans import Span
from splitbrain.histories.history import FaultWindow, Outcome

WIDTH_PX_MIN = 900
TICK_PX = 78
ORDER_COLOUR = "#3d7a2f"
MARKER_PX = 14
STUCK_COLOUR = "#c8102e"


def picture_in_order(proof: Proof, members: Sequence[str]) -> go.Figure:
    """Draw `proof` without a time axis: only the order of begins and ends is shown."""
    places, marks = places_in_order(proof.spans, label_lines(proof))
    width = max(WIDTH_PX_MIN, max(place.end for place in places.values()) + STEP_PX)
    figure = _picture(proof, members, places, lambda ns: _between(marks, ns))
    shown: list[tuple[int, float]] = []
    for ns, at in marks:
        if not shown or at - shown[-1][1] >= TICK_PX:
            shown.append((ns, at))
    figure.update_xaxes(
        range=[0, width],
        tickvals=[at for _, at in shown],
        ticktext=[f"{ns / 1e9:.4f} s" for ns, _ in shown],
    )
    return figure


def picture_to_scale(proof: Proof, members: Sequence[str]) -> go.Figure:
    """Draw `proof` with the time of the run as the horizontal axis."""
    places = places_to_scale(proof.spans)
    figure = _picture(proof, members, places, lambda ns: ns / 1e9)
    low, high = min(p.begin for p in places.values()), max(p.end for p in places.values())
    pad = (high - low) * 0.01 or 0.001
    figure.update_xaxes(range=[low - pad, high], title={"text": "s since the start of the run"})
    return figure


def _between(marks: Sequence[tuple[int, float]], ns: int) -> float:
    """Convert the time `ns` to a horizontal position in px, in a picture that shows no times.

    `marks` are pairs (ns, px) of known positions, in ascending order. The position is interpolated
    between the neighbouring marks. A time outside the marks is at the edge of the picture.
    """
    place = bisect_left(marks, (ns, 0.0))
    if place == 0:
        return 0.0
    if place == len(marks):
        return marks[-1][1] + STEP_PX
    (before_ns, before), (after_ns, after) = marks[place - 1], marks[place]
    return before + (after - before) * (ns - before_ns) / max(1, after_ns - before_ns)


def _picture(
    proof: Proof,
    members: Sequence[str],
    places: Mapping[int, Place],
    position: Callable[[int], float],
) -> go.Figure:
    """Draw `proof` as a figure, with the bars of the operations at `places`.

    `places` maps the index of the event of an invocation to the begin and end of the bar.
    `position` converts a time in ns to a position on the x axis.
    """
    labels = label_lines(proof)
    lanes = lane_names(proof.faults, [m for m in members if _is_hit(m, proof.faults)])
    rows = rows_of(proof, labels, len(lanes))
    figure = go.Figure()
    figure.add_traces(_operation_bars(proof, rows, places, labels))
    figure.add_traces(_order_traces(proof, rows, places))
    figure.update_layout(shapes=_order_lines(proof, rows, places))
    draw_cycle(figure, proof, rows, places)
    left, right = min(p.begin for p in places.values()), max(p.end for p in places.values())
    bars = lane_bars(proof.faults, lanes, max(s.ended or s.call for s in proof.spans))
    kinds: set[str] = set()
    for fault in proof.faults:
        own = [bar for bar in bars if bar.fault is fault]
        in_legend = fault.f not in kinds
        kinds.add(fault.f)
        edges = left, right
        figure.add_trace(_fault_bar(fault, own, rows, edges, position, in_legend))
    plain_layout(figure, height_px=round(rows.height) + TOP_MARGIN_PX + BOTTOM_MARGIN_PX)
    figure.update_layout(barmode="overlay", showlegend=True)
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(
        range=[rows.height, 0],
        tickvals=[*rows.centres.values(), *rows.lanes],
        ticktext=[*(f"process {process}" for process in rows.centres), *map(plain, lanes)],
        fixedrange=True,
        zeroline=False,
        showgrid=False,
    )
    return figure


def _operation_bars(
    proof: Proof, rows: Rows, places: Mapping[int, Place], labels: Mapping[int, Sequence[str]]
) -> list[go.Bar]:
    """Return the bars of the operations, as traces of plotly.

    Each outcome has two traces: one of the operations that the anomaly names, and one of the
    neighbours, which are other operations at the same time.
    """
    traces = []
    for outcome in OUTCOMES:
        for is_named, group in ((True, proof.involved), (False, proof.neighbours)):
            own = [span for span in group if span.outcome == outcome]
            if own:
                traces.append(_bars(outcome, is_named, own, rows, places, labels))
    return traces


def _is_hit(member: str, faults: Sequence[FaultWindow]) -> bool:
    return any(member in fault.members for fault in faults)


def _bars(
    outcome: Outcome,
    is_named: bool,
    spans: Sequence[Span],
    rows: Rows,
    places: Mapping[int, Place],
    labels: Mapping[int, Sequence[str]],
) -> go.Bar:
    look = OUTCOMES[outcome]
    return go.Bar(
        orientation="h",
        name=outcome if is_named else f"{outcome}, a neighbour",
        y=[rows.centres[span.process] for span in spans],
        width=[rows.bars[span.process] for span in spans],
        base=[round(places[span.invoked].begin, 7) for span in spans],
        x=[round(places[s.invoked].end - places[s.invoked].begin, 9) for s in spans],
        text=["<br>".join(map(plain, labels[span.invoked])) for span in spans],
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        constraintext="none",
        insidetextfont={"size": 11},
        meta=INK,
        customdata=[span.invoked for span in spans],
        hoverinfo="none",
        marker={
            "color": faded(look.colour, 0.32 if is_named else 0.08),
            "line": {"color": look.colour, "width": 2 if is_named else 0.8},
            "pattern": {
                "shape": look.hatching,
                "fgcolor": faded(look.colour, 0.35),
                "size": 7,
                "solidity": 0.2,
                "fillmode": "overlay",
            },
        },
    )


def order_points(order: Sequence[int], places: Mapping[int, Place]) -> list[float]:
    """Return the x position of the number of each operation in the linearization `order`.

    The position shows when the operation takes effect. It is within the operation's bar, and never
    left of the position of the operation before it.
    """
    whole = max(p.end for p in places.values()) - min(p.begin for p in places.values())
    step = whole / 80
    at = -math.inf
    points = []
    for invoked in order:
        place = places[invoked]
        at = max(at, min(max(at + step, place.begin + step / 3), place.end))
        points.append(at)
    return points


def _order_lines(
    proof: Proof, rows: Rows, places: Mapping[int, Place]
) -> list[dict[str, Any]]:
    """Return the line that connects the numbers of the linearized operations, as plotly shapes."""
    if not proof.order:
        return []
    process_of = {span.invoked: span.process for span in proof.involved}
    points = [
        (x, rows.lower_edge(process_of[at]))
        for x, at in zip(order_points(proof.order, places), proof.order, strict=True)
    ]
    begin, *others = points
    path = f"M {begin[0]},{begin[1]} " + " ".join(f"V {y} H {x}" for x, y in others)
    line = {"color": faded(ORDER_COLOUR, 0.5), "width": 1.5, "dash": "dot"}
    return [{"type": "path", "path": path, "layer": "below", "line": line}]


def _order_traces(proof: Proof, rows: Rows, places: Mapping[int, Place]) -> list[go.Scatter]:
    """Return the numbers of the linearized operations, and a cross, as traces of plotly.

    The numbers are on the lower edges of the bars. The cross marks the operation that fits at no
    place into the linearization.
    """
    process_of = {span.invoked: span.process for span in proof.involved}
    traces = []
    if proof.order:
        traces.append(go.Scatter(
            name="an order of the other operations",
            mode="markers+text",
            x=order_points(proof.order, places),
            y=[rows.lower_edge(process_of[at]) + MARKER_PX / 2 for at in proof.order],
            text=[str(number) for number in range(1, len(proof.order) + 1)],
            textfont={"size": 9, "color": "#fff"},
            marker={"size": MARKER_PX, "color": ORDER_COLOUR, "opacity": 1},
            customdata=[
                ["note", f"number {number} in an order of the other operations"
                 + (f"; the state after it is {proof.state}" if number == len(proof.order) else "")]
                for number in range(1, len(proof.order) + 1)
            ],
            hoverinfo="none",
            cliponaxis=False,
        ))
    if proof.stuck is not None:
        after = (
            f"after number {len(proof.order)} of the order" if proof.order else "at the start"
        )
        traces.append(go.Scatter(
            name="does not fit",
            mode="markers",
            x=[places[proof.stuck].end],
            y=[rows.centres[process_of[proof.stuck]]],
            marker={"size": 17, "symbol": "x", "color": STUCK_COLOUR,
                    "line": {"color": "#fff", "width": 1.5}},
            customdata=[["note", "this operation fits into no order of the other operations; "
                                 f"{after}, the state is {proof.state}"]],
            hoverinfo="none",
            cliponaxis=False,
        ))
    return traces


def _fault_bar(
    fault: FaultWindow,
    bars: Sequence[LaneBar],
    rows: Rows,
    edges: tuple[float, float],
    position: Callable[[int], float],
    in_legend: bool,
) -> go.Bar:
    """Return the bars of `fault`, in the row of each member that it hit, as one trace of plotly.

    `edges` are the x positions of the left and right edge of the picture. `position` converts a
    time in ns to an x position. With `in_legend`, the trace has an entry in the legend.
    """
    left, right = edges
    begin = min(right, max(left, position(fault.begin)))
    end = right if fault.end is None else min(right, max(begin, position(fault.end)))
    colour = fault_colour(fault.f)
    return go.Bar(
        orientation="h",
        name=plain(fault.f),
        showlegend=in_legend,
        y=[rows.lanes[0] + LANE_PX * bar.y for bar in bars],
        base=[begin] * len(bars),
        x=[end - begin] * len(bars),
        width=[LANE_PX * bar.height for bar in bars],
        text=[plain(f"{fault.fault} {fault.f}")] * len(bars),
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        constraintext="none",
        textfont={"size": 10, "color": "#fff"},
        marker={"color": faded(colour, 0.85), "line": {"width": 0}},
        customdata=[["fault", fault.fault]] * len(bars),
        hoverinfo="none",
    )
