"""Faults under the operations: a band over the whole height while one is in force, and
a lane for each member that tells whom it hit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from splitbrain.harness.report.figure import plain
from splitbrain.harness.report.palette import faded, fault_colour
from splitbrain.histories.history import FaultWindow

CLUSTER = "cluster"
"""The lane of a fault that names no member."""
BAND_OPACITY = 0.13
BANDS_OPACITY_MAX = 0.3
"""Of all bands at one moment, added up."""
LABEL_SHARE = 0.02
"""The least distance of two numbers of bands, as a share of the run."""


def bands(
    faults: Sequence[FaultWindow], end_ns: int, *, labels: bool = True
) -> list[dict[str, Any]]:
    """One shape a fault, from its begin to its end; one never healed lasts to the end.

    The more bands lie over each other, the paler each is, so that their sum hides nothing.
    A band whose number would touch the number before it has none.
    """
    deepest = 1 + max(_slots(sorted(faults, key=lambda f: f.begin), end_ns), default=0)
    opacity = min(BAND_OPACITY, BANDS_OPACITY_MAX / deepest)
    shapes = []
    labelled_ns = -end_ns
    for fault in faults:
        shape = _band(fault, end_ns, opacity)
        if labels and fault.begin - labelled_ns >= end_ns * LABEL_SHARE:
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
    return max(fault.begin, end_ns if fault.end is None else fault.end)


def lane_names(faults: Sequence[FaultWindow], members: Sequence[str]) -> list[str]:
    """The members' lanes, and one for the faults that name none of them."""
    named = dict.fromkeys(members)
    named.update(dict.fromkeys(member for fault in faults for member in fault.members))
    if any(not fault.members for fault in faults):
        named[CLUSTER] = None
    return list(named)


@dataclass(frozen=True, slots=True)
class LaneBar:
    """One fault on one member's lane; overlapping ones share its height."""

    fault: FaultWindow
    y: float
    height: float


LANE_HEIGHT = 0.84


def lane_bars(
    faults: Sequence[FaultWindow], lanes: Sequence[str], end_ns: int
) -> tuple[LaneBar, ...]:
    """A bar for each fault and member that it hit."""
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
    """How many faults are at most on one lane at a time."""
    own = [[f for f in faults if lane in (f.members or (CLUSTER,))] for lane in lanes]
    return max((1 + max(_slots(some, end_ns), default=0) for some in own), default=1)


def _slots(faults: Sequence[FaultWindow], end_ns: int) -> list[int]:
    """For each of `faults`, in the order of their begins, the first free layer."""
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
    """A trace for each kind of fault, with a bar on the lane of each member that it hit."""
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
