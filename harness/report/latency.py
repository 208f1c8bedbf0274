"""How long operations took, over time, above the same bands."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from splitbrain.harness.report.bands import bands
from splitbrain.harness.report.figure import quiet_layout, time_axis
from splitbrain.harness.report.palette import OUTCOMES, faded
from splitbrain.harness.report.spans import Span
from splitbrain.harness.report.timeline import SVG_SPANS_MAX
from splitbrain.harness.report.typed_array import GAP, floats, integers, times
from splitbrain.harness.report.write_steps import percentile
from splitbrain.histories.history import FaultWindow

BINS_MAX = 240
LEAST_LATENCY_MS = 0.001
"""A logarithm has no zero; a simulated operation may take no time at all."""


def latency(
    drawn: Sequence[Span], spans: Sequence[Span], faults: Sequence[FaultWindow], end_ns: int
) -> go.Figure:
    """A point for each of `drawn` that ended; percentiles over all `spans` that were
    answered. Milliseconds, on a logarithmic scale."""
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
                    name=look.says if outcome != "info" else "info: until the client gave up",
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
    quiet_layout(figure, height_px=300)
    figure.update_layout(shapes=bands(faults, end_ns), xaxis=time_axis(end_ns))
    figure.update_yaxes(
        type="log", title={"text": "latency, ms"}, dtick=1, fixedrange=True, zeroline=False
    )
    return figure


def bin_seconds(end_ns: int) -> float:
    """A round width of which at most `BINS_MAX` fit in the run."""
    least = max(end_ns / 1e9, 0.001) / BINS_MAX
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * 0.999)


def _percentiles(spans: Sequence[Span], end_ns: int, share: float, dash: str) -> go.Scatter:
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
