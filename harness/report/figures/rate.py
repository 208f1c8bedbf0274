"""Draws the number of operations per second over the time of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from splitbrain.harness.report.figures.fault_bands import bands
from splitbrain.harness.report.figures.latency import bin_seconds
from splitbrain.harness.report.figures.layout import plain, plain_layout, time_axis
from splitbrain.harness.report.figures.palette import OUTCOMES, SERIES
from splitbrain.harness.report.figures.typed_array import floats, times
from splitbrain.harness.report.operation_spans import Span
from splitbrain.histories.history import FaultWindow


def rate(spans: Sequence[Span], faults: Sequence[FaultWindow], end_ns: int) -> go.Figure:
    """Draw the number of operations that ended in each second, in two halves.

    The upper half counts all operations, by outcome. The lower half counts the operations with
    outcome `ok`, by function.
    """
    width = bin_seconds(end_ns) * 2
    count = math.ceil(max(end_ns / 1e9, 0.001) / width)
    middles = [(place + 0.5) * width for place in range(count)]
    figure = go.Figure()
    for outcome, look in OUTCOMES.items():
        ends = [span.ended for span in spans if span.outcome == outcome and span.ended is not None]
        if ends:
            figure.add_trace(
                go.Scatter(
                    mode="lines",
                    name=outcome,
                    x=times(middles),
                    y=floats(_per_second(ends, width, count)),
                    line={
                        "color": look.colour,
                        "width": 1.6,
                        "shape": "hvh",
                        "dash": {"ok": "solid", "fail": "dash", "info": "dot"}[outcome],
                    },
                    hovertemplate=f"{outcome}: %{{y:.4g}}/s<extra></extra>",
                )
            )
    for place, f in enumerate(dict.fromkeys(span.f for span in spans)):
        ends = [s.ended for s in spans if s.f == f and s.outcome == "ok" and s.ended is not None]
        figure.add_trace(
            go.Scatter(
                mode="lines",
                name=plain(f"ok {f}"),
                x=times(middles),
                y=floats(_per_second(ends, width, count)),
                yaxis="y2",
                line={"width": 1.2, "shape": "hvh", "color": SERIES[place % len(SERIES)]},
                hovertemplate=plain(f) + ": %{y:.4g}/s<extra></extra>",
            )
        )
    plain_layout(figure, height_px=330)
    axis = {"rangemode": "tozero", "fixedrange": True, "zeroline": False}
    figure.update_layout(
        shapes=bands(faults, end_ns),
        hovermode="x",
        xaxis=time_axis(end_ns, anchor="y2"),
        yaxis={"title": {"text": "all, per s"}, "domain": [0.54, 1], **axis},
        yaxis2={"title": {"text": "ok by kind, per s"}, "domain": [0, 0.46], **axis},
    )
    return figure


def _per_second(ends_ns: Sequence[int], width_s: float, count: int) -> list[float]:
    """Return the number of `ends_ns` per second, in each of `count` bins.

    Each bin is `width_s` seconds wide.
    """
    counts = [0] * count
    for end in ends_ns:
        counts[min(int(end / 1e9 / width_s), count - 1)] += 1
    return [number / width_s for number in counts]
