"""Draws faults in a figure: bands behind the operations, and lanes for the members.

A band covers the whole height of a figure while its fault is active. A lane is a row for one
member, with a bar for each fault that hit that member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from splitbrain.harness.report.figures.layout import plain
from splitbrain.harness.report.figures.palette import CRASH, faded, fault_colour
from splitbrain.harness.store.lenient_records import CrashFacts
from splitbrain.histories.history import FaultWindow

CLUSTER = "cluster"
"""The name of the lane for faults that name no member."""
BAND_OPACITY = 0.13
BANDS_OPACITY_MAX = 0.3
"""The maximal total opacity of bands that overlap."""
LABEL_DISTANCE_MIN = 0.02
"""The minimal distance between the labels of two bands, as a share of the run's time."""


def bands(faults: Sequence[FaultWindow], end_ns: int) -> list[dict[str, Any]]:
    """Return a band for each fault, as a shape of plotly.

    A band begins with its fault and ends when the fault was healed, or at `end_ns` if it never was.
    If many bands overlap, each of them is paler, so that together they do not hide the operations.
    The label of a band is the fault's number. It is left out if it would touch the label before it.
    """
    deepest = 1 + max(_slots(sorted(faults, key=lambda f: f.begin), end_ns), default=0)
    opacity = min(BAND_OPACITY, BANDS_OPACITY_MAX / deepest)
    shapes = []
    labelled_ns = -end_ns
    for fault in faults:
        shape = _band(fault, end_ns, opacity)
        if fault.begin - labelled_ns >= end_ns * LABEL_DISTANCE_MIN:
            shape["label"] = _label(fault)
            labelled_ns = fault.begin
        shapes.append(shape)
    return shapes


def _band(fault: FaultWindow, end_ns: int, opacity: float) -> dict[str, Any]:
    colour = fault_colour(fault.f)
    return {
        "type": "rect",
        "layer": "below",
        "xref": "x",
        "yref": "paper",
        "x0": fault.begin / 1e9,
        "x1": band_end(fault, end_ns) / 1e9,
        "y0": 0,
        "y1": 1,
        "fillcolor": faded(colour, opacity),
        "line": {"width": 0},
    }


def _label(fault: FaultWindow) -> dict[str, Any]:
    return {
        "text": plain(f"{fault.fault}"),
        "textposition": "top left",
        "font": {"size": 9, "color": fault_colour(fault.f)},
        "padding": 1,
    }


def band_end(fault: FaultWindow, end_ns: int) -> int:
    """Return the time in ns at which `fault` was healed, or `end_ns` if it never was."""
    return max(fault.begin, end_ns if fault.end is None else fault.end)


def lane_names(faults: Sequence[FaultWindow], members: Sequence[str]) -> list[str]:
    """Return the names of the lanes: all members, and `CLUSTER` if a fault names no member."""
    named = dict.fromkeys(members)
    named.update(dict.fromkeys(member for fault in faults for member in fault.members))
    if any(not fault.members for fault in faults):
        named[CLUSTER] = None
    return list(named)


@dataclass(frozen=True, slots=True)
class LaneBar:
    """The bar of a fault on a lane.

    Lane number r is centred at y = r. Faults that overlap in time share the height of the lane.
    """

    fault: FaultWindow
    y: float
    """The y position of the centre of the bar."""
    height: float


LANE_HEIGHT = 0.84
"""The total height of the bars of one lane. The distance between the centres of two lanes is 1."""


def lane_bars(
    faults: Sequence[FaultWindow], lanes: Sequence[str], end_ns: int
) -> tuple[LaneBar, ...]:
    """Return a bar for each fault and each member that it hit.

    `lanes` are the names of the lanes. A fault that was never healed lasts until `end_ns`.
    """
    bars: list[LaneBar] = []
    for row, lane in enumerate(lanes):
        own = [f for f in faults if lane in (f.members or (CLUSTER,))]
        slots = _slots(own, end_ns)
        height = LANE_HEIGHT / max(1, 1 + max(slots, default=0))
        bars += (
            LaneBar(fault, row - LANE_HEIGHT / 2 + (slot + 0.5) * height, height)
            for fault, slot in zip(own, slots, strict=True)
        )
    return tuple(bars)


def lane_layers(faults: Sequence[FaultWindow], lanes: Sequence[str], end_ns: int) -> int:
    """Return the largest number of faults that are active on one lane at the same time."""
    own = [[f for f in faults if lane in (f.members or (CLUSTER,))] for lane in lanes]
    return max((1 + max(_slots(some, end_ns), default=0) for some in own), default=1)


def _slots(faults: Sequence[FaultWindow], end_ns: int) -> list[int]:
    """Return the layer, from 0, in which each of `faults` is drawn within its lane.

    Faults that are active at the same time have different layers. `faults` are in the order of
    their begins.
    """
    busy_until: list[int] = []
    slots = []
    for fault in faults:
        free = [slot for slot, until in enumerate(busy_until) if until <= fault.begin]
        slot = free[0] if free else len(busy_until)
        if not free:
            busy_until.append(0)
        busy_until[slot] = band_end(fault, end_ns)
        slots.append(slot)
    return slots


def lane_traces(
    faults: Sequence[FaultWindow], lanes: Sequence[str], end_ns: int, *, axis: str
) -> list[go.Bar]:
    """Return the bars of all lanes, with one trace of plotly for each kind of fault.

    `axis` is the name of the y axis.
    """
    bars = lane_bars(faults, lanes, end_ns)
    kinds = dict.fromkeys(fault.f for fault in faults)
    return [
        _lane_trace(kind, [b for b in bars if b.fault.f == kind], end_ns, axis) for kind in kinds
    ]


def _lane_trace(kind: str, bars: Sequence[LaneBar], end_ns: int, axis: str) -> go.Bar:
    colour = fault_colour(kind)
    return go.Bar(
        orientation="h",
        name=plain(kind),
        yaxis=axis,
        y=[bar.y for bar in bars],
        base=[bar.fault.begin / 1e9 for bar in bars],
        x=[(band_end(bar.fault, end_ns) - bar.fault.begin) / 1e9 for bar in bars],
        width=[bar.height for bar in bars],
        text=[plain(f"{bar.fault.fault} {bar.fault.f}") for bar in bars],
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        textfont={"size": 10, "color": "#fff"},
        constraintext="none",
        marker={"color": faded(colour, 0.85), "line": {"color": colour, "width": 1}},
        customdata=[["fault", bar.fault.fault] for bar in bars],
        hoverinfo="none",
    )


def crash_trace(crashes: Sequence[CrashFacts], lanes: Sequence[str], *, axis: str) -> go.Scatter:
    """Return a cross on the lane of each member that ended by itself, at the time of its end.

    `axis` is the name of the y axis.
    """
    drawn = [crash for crash in crashes if crash.member in lanes]
    return go.Scatter(
        mode="markers",
        name="ended by itself",
        yaxis=axis,
        x=[crash.at / 1e9 for crash in drawn],
        y=[lanes.index(crash.member) for crash in drawn],
        marker={"symbol": "x", "size": 13, "color": CRASH, "line": {"color": "#fff", "width": 1}},
        customdata=[
            ["note", f"{crash.member} ended by itself at {crash.at / 1e9:.3f} s: {crash.how}"]
            for crash in drawn
        ],
        hoverinfo="none",
    )
