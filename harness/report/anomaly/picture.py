"""The picture of an anomaly: a bar for each operation of its proof, on the row of its process.

The label of a bar is the request and the answer. Pale bars are neighbours: operations that the
anomaly does not name. Below the rows of processes, there is a row for each member that a fault hit.
If the anomaly contains a linearization, its operations are numbered, and a cross marks the
operation that fits into no order of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

import plotly.graph_objects as go

from splitbrain.harness.report.anomaly.cycle_arrows import draw_cycle
from splitbrain.harness.report.anomaly.places import (
    STEP_PX,
    Place,
    places_in_order,
    places_to_scale,
)
from splitbrain.harness.report.anomaly.proof import Proof, labels, short_labels
from splitbrain.harness.report.figures.fault_bands import LaneBar, lane_bars, lane_names
from splitbrain.harness.report.figures.layout import INK, plain, plain_layout
from splitbrain.harness.report.figures.palette import OUTCOMES, faded, fault_colour
from splitbrain.harness.report.spans import Span
from splitbrain.histories.history import FaultWindow, Outcome

WIDTH_PX_MIN = 900
TICK_PX = 78
ROW_PX = 34
ROW_WITH_ORDER_PX = 44
ROW_OF_CYCLE_PX = 64
BAR_SHARE = 0.74
BAR_OF_CYCLE_SHARE = 0.42
"""The height of a bar as a share of its row."""
ORDER_COLOUR = "#3d7a2f"
STUCK_COLOUR = "#c8102e"


def picture_in_order(proof: Proof, members: Sequence[str]) -> go.Figure:
    """The picture "in order", which shows the order of begins and ends, but not the times."""
    places, marks = places_in_order(proof.spans, short_labels(proof))
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
    """The picture "to scale", on the time axis of the run."""
    places = places_to_scale(proof.spans)
    figure = _picture(proof, members, places, lambda ns: ns / 1e9)
    low, high = min(p.begin for p in places.values()), max(p.end for p in places.values())
    pad = (high - low) * 0.01 or 0.001
    figure.update_xaxes(range=[low - pad, high], title={"text": "s since the start of the run"})
    return figure


def _between(marks: Sequence[tuple[int, float]], ns: int) -> float:
    """The horizontal position, in px, of the time `ns` in a picture in order.

    It is interpolated between the neighbouring `marks`, which are pairs (ns, px). A time outside
    the marks is at the edge of the picture.
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
    """The figure of `proof`, with bars at `places`. `position` maps a time in ns to the x axis."""
    spans = proof.spans
    processes = list(dict.fromkeys(span.process for span in sorted(spans, key=lambda s: s.call)))
    figure = go.Figure()
    figure.add_traces(_operation_bars(proof, processes, places))
    figure.add_traces(_order_traces(proof, processes, places))
    draw_cycle(figure, proof, processes, places, bar_height=BAR_OF_CYCLE_SHARE)
    lanes = lane_names(proof.faults, [m for m in members if _is_hit(m, proof.faults)])
    left, right = min(p.begin for p in places.values()), max(p.end for p in places.values())
    bars = lane_bars(proof.faults, lanes, max(s.ended or s.call for s in spans))
    kinds: set[str] = set()
    for fault in proof.faults:
        own = [bar for bar in bars if bar.fault is fault]
        in_legend = fault.f not in kinds
        kinds.add(fault.f)
        edges = left, right
        figure.add_trace(_fault_bar(fault, own, len(processes), edges, position, in_legend))
    rows = len(processes) + len(lanes)
    plain_layout(figure, height_px=rows * _row_px(proof) + 90)
    figure.update_layout(barmode="overlay", showlegend=True)
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(
        range=[rows - 0.45, -0.55],
        tickvals=list(range(rows)),
        ticktext=[*(f"process {process}" for process in processes), *map(plain, lanes)],
        fixedrange=True,
        zeroline=False,
        showgrid=False,
    )
    return figure


def _operation_bars(
    proof: Proof, processes: Sequence[int], places: Mapping[int, Place]
) -> list[go.Bar]:
    """For each outcome, a trace of the named operations and a trace of the neighbours."""
    height = BAR_OF_CYCLE_SHARE if proof.cycle else BAR_SHARE
    texts = labels(proof)
    traces = []
    for outcome in OUTCOMES:
        for is_named, group in ((True, proof.involved), (False, proof.neighbours)):
            own = [span for span in group if span.outcome == outcome]
            if own:
                bars = _bars(outcome, is_named, own, processes, places, texts)
                traces.append(bars.update(width=height))
    return traces


def _row_px(proof: Proof) -> int:
    return ROW_OF_CYCLE_PX if proof.cycle else ROW_WITH_ORDER_PX if proof.order else ROW_PX


def _is_hit(member: str, faults: Sequence[FaultWindow]) -> bool:
    return any(member in fault.members for fault in faults)


def _bars(
    outcome: Outcome,
    is_named: bool,
    spans: Sequence[Span],
    processes: Sequence[int],
    places: Mapping[int, Place],
    texts: Mapping[int, str],
) -> go.Bar:
    look = OUTCOMES[outcome]
    return go.Bar(
        orientation="h",
        name=outcome if is_named else f"{outcome}, a neighbour",
        y=[processes.index(span.process) for span in spans],
        base=[round(places[span.invoked].begin, 7) for span in spans],
        x=[round(places[s.invoked].end - places[s.invoked].begin, 9) for s in spans],
        text=[plain(texts[span.invoked]) for span in spans],
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
    """An x position within the bar of each operation in `order`, at which it can take effect.

    The positions never decrease.
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


def _order_traces(
    proof: Proof, processes: Sequence[int], places: Mapping[int, Place]
) -> list[go.Scatter]:
    """The numbers of the partial linearization, on the lower edges of the bars, and the cross."""
    process_of = {span.invoked: span.process for span in proof.involved}
    edge = BAR_SHARE / 2
    traces = []
    if proof.order:
        traces.append(go.Scatter(
            name="an order of the others",
            mode="lines+markers+text",
            x=order_points(proof.order, places),
            y=[processes.index(process_of[at]) + edge for at in proof.order],
            text=[str(number) for number in range(1, len(proof.order) + 1)],
            textfont={"size": 9, "color": "#fff"},
            line={"color": ORDER_COLOUR, "width": 1.5, "dash": "dot", "shape": "vh"},
            marker={"size": 14, "color": ORDER_COLOUR, "opacity": 1},
            customdata=[
                ["note", f"step {number} of an order of the others"
                 + (f"; the state after it is {proof.state}" if number == len(proof.order) else "")]
                for number in range(1, len(proof.order) + 1)
            ],
            hoverinfo="none",
            cliponaxis=False,
        ))
    if proof.stuck is not None:
        after = f"after step {len(proof.order)}" if proof.order else "at the start"
        traces.append(go.Scatter(
            name="does not fit",
            mode="markers",
            x=[places[proof.stuck].end],
            y=[processes.index(process_of[proof.stuck])],
            marker={"size": 17, "symbol": "x", "color": STUCK_COLOUR,
                    "line": {"color": "#fff", "width": 1.5}},
            customdata=[["note", f"this operation fits into no order of the others; {after} of the "
                                 f"order that is shown the state is {proof.state}"]],
            hoverinfo="none",
            cliponaxis=False,
        ))
    return traces


def _fault_bar(
    fault: FaultWindow,
    bars: Sequence[LaneBar],
    row_count: int,
    edges: tuple[float, float],
    position: Callable[[int], float],
    in_legend: bool,
) -> go.Bar:
    """`fault` on the rows of the members that it hit, below `row_count` rows of processes."""
    left, right = edges
    begin = min(right, max(left, position(fault.begin)))
    end = right if fault.end is None else min(right, max(begin, position(fault.end)))
    colour = fault_colour(fault.f)
    return go.Bar(
        orientation="h",
        name=plain(fault.f),
        showlegend=in_legend,
        y=[row_count + bar.y for bar in bars],
        base=[begin] * len(bars),
        x=[end - begin] * len(bars),
        width=[bar.height for bar in bars],
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
