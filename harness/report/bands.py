"""Faults under the operations: a band over the whole height while one is in force, and
a lane for each member that tells whom it hit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from harness.report.figure import plain
from harness.report.palette import faded, fault_colour
from histories.history import FaultWindow

CLUSTER = "cluster"
"""The lane of a fault that names no member."""


def bands(
    faults: Sequence[FaultWindow], end_ns: int, *, labels: bool = True
) -> list[dict[str, Any]]:
    """One shape a fault, from its begin to its end; one never healed lasts to the end."""
    return [_band(fault, end_ns, labels) for fault in faults]


def _band(fault: FaultWindow, end_ns: int, labels: bool) -> dict[str, Any]:
    colour = fault_colour(fault.f)
    shape: dict[str, Any] = {
        "type": "rect",
        "layer": "below",
        "xref": "x",
        "yref": "paper",
        "x0": fault.begin / 1e9,
        "x1": band_end(fault, end_ns) / 1e9,
        "y0": 0,
        "y1": 1,
        "fillcolor": faded(colour, 0.13),
        "line": {"width": 0},
    }
    if labels:
        shape["label"] = {
            "text": plain(f"{fault.fault}"),
            "textposition": "top left",
            "font": {"size": 9, "color": colour},
            "padding": 1,
        }
    return shape


def band_end(fault: FaultWindow, end_ns: int) -> int:
    return max(fault.begin, end_ns if fault.end is None else fault.end)


def lane_names(faults: Sequence[FaultWindow], members: Sequence[str]) -> list[str]:
    """The members' lanes, and one for the faults that name none of them."""
    named = dict.fromkeys(members)
    named.update(dict.fromkeys(member for fault in faults for member in fault.members))
    if any(not fault.members for fault in faults):
        named[CLUSTER] = None
    return list(named)


def lane_traces(
    faults: Sequence[FaultWindow], lanes: Sequence[str], end_ns: int, *, axis: str
) -> list[go.Bar]:
    """A trace for each kind of fault, with a bar on the lane of each member that it hit."""
    kinds = dict.fromkeys(fault.f for fault in faults)
    return [_lane_trace(kind, faults, lanes, end_ns, axis) for kind in kinds]


def _lane_trace(
    kind: str, faults: Sequence[FaultWindow], lanes: Sequence[str], end_ns: int, axis: str
) -> go.Bar:
    hit = [
        (fault, lanes.index(member))
        for fault in faults
        if fault.f == kind
        for member in (fault.members or (CLUSTER,))
    ]
    colour = fault_colour(kind)
    return go.Bar(
        orientation="h",
        name=plain(kind),
        yaxis=axis,
        y=[lane for _, lane in hit],
        base=[fault.begin / 1e9 for fault, _ in hit],
        x=[(band_end(fault, end_ns) - fault.begin) / 1e9 for fault, _ in hit],
        width=0.72,
        text=[plain(f"{fault.fault} {fault.f}") for fault, _ in hit],
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        textfont={"size": 10, "color": "#fff"},
        constraintext="none",
        marker={"color": faded(colour, 0.85), "line": {"color": colour, "width": 1}},
        customdata=[["fault", fault.fault] for fault, _ in hit],
        hoverinfo="none",
    )
