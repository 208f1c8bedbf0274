"""Draws the latencies of operations over the time of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from splitbrain.harness.report.figures.fault_bands import bands
from splitbrain.harness.report.figures.layout import plain_layout, time_axis
from splitbrain.harness.report.figures.palette import OUTCOMES, faded
from splitbrain.harness.report.figures.timeline import SVG_SPANS_MAX
from splitbrain.harness.report.figures.typed_array import GAP, floats, integers, times
from splitbrain.harness.report.operation_spans import Span
from splitbrain.harness.report.percentile import percentile
from splitbrain.histories.history import FaultWindow

BINS_MAX = 240
LEAST_LATENCY_MS = 0.001
"""A latency below this is drawn as this value. A simulated operation may take 0 ms, and a
logarithmic axis has no zero."""


def latency(
    drawn: Sequence[Span], spans: Sequence[Span], faults: Sequence[FaultWindow], end_ns: int
) -> go.Figure:
    """Draw a point for each operation of `drawn` that ended, and lines of percentiles.

    The percentiles are computed from all operations in `spans` with outcome `ok`. The latency axis
    is in ms and logarithmic. `end_ns` is the end of the run.
    """
    figure = go.Figure()
    points = go.Scattergl if len(drawn) > SVG_SPANS_MAX // 2 else go.Scatter
    for outcome, look in OUTCOMES.items():
        own = [
            (span, ms)
            for span in drawn
            if span.outcome == outcome and (ms := span.latency_ms) is not None
        ]
        if own:
            figure.add_trace(
                points(
                    mode="markers",
                    name=look.legend if outcome != "info" else "info: until the client gave up",
                    x=times(span.call / 1e9 for span, _ in own),
                    y=floats(max(ms, LEAST_LATENCY_MS) for _, ms in own),
                    customdata=integers(span.invoked for span, _ in own),
                    marker={
                        "symbol": look.symbol,
                        "size": 4 if outcome == "ok" else 7,
                        "color": faded(look.colour, 0.5 if outcome == "ok" else 0.9),
                    },
                    hoverinfo="none",
                )
            )
    for share, dash in ((0.5, "solid"), (0.99, "dot")):
        figure.add_trace(_percentiles(spans, end_ns, share, dash))
    plain_layout(figure, height_px=300)
    figure.update_layout(shapes=bands(faults, end_ns), xaxis=time_axis(end_ns))
    figure.update_yaxes(
        type="log", title={"text": "latency, ms"}, dtick=1, fixedrange=True, zeroline=False
    )
    return figure


def bin_seconds(end_ns: int) -> float:
    """Return the time, in s, over which each percentile and rate is computed.

    It is 1, 2 or 5 times a power of ten: the shortest such time that divides the run into at most
    `BINS_MAX` bins.
    """
    least = max(end_ns / 1e9, 0.001) / BINS_MAX
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * 0.999)


def _percentiles(spans: Sequence[Span], end_ns: int, share: float, dash: str) -> go.Scatter:
    """Return the line of the percentile `share`, for each bin of time.

    The line has a gap where no operation succeeded. `dash` is the style of the line.
    """
    width = bin_seconds(end_ns) * 4
    bins: dict[int, list[float]] = {}
    for span in spans:
        ms = span.latency_ms
        if span.outcome == "ok" and ms is not None:
            bins.setdefault(int(span.call / 1e9 / width), []).append(ms)
    xs: list[float] = []
    ys: list[float] = []
    for place in range(max(bins, default=-1) + 1):
        xs.append((place + 0.5) * width)
        values = sorted(bins.get(place, ()))
        ys.append(max(percentile(values, share), LEAST_LATENCY_MS) if values else GAP)
    return go.Scatter(
        mode="lines",
        name=f"p{share * 100:g} of ok, per {width:g} s",
        x=times(xs),
        y=floats(ys),
        line={"color": OUTCOMES["ok"].colour, "width": 1.5, "dash": dash},
        hovertemplate=f"p{share * 100:g}: %{{y:.3g}} ms<extra></extra>",
        connectgaps=False,
    )
