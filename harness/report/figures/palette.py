"""Defines the colours and symbols of the pages. Each colour and symbol has one meaning.

The colours of outcomes and faults follow Okabe and Ito (Color Universal Design, 2008). Very light
and very dark colours are left out, so that all colours are readable on a light and on a dark page.
No information is in a colour alone: each outcome also has a symbol and a hatching, and each fault
is labelled with its number and kind.
"""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.histories.history import Outcome


@dataclass(frozen=True, slots=True)
class Look:
    """The colour, symbol and hatching of operations with one outcome, and their legend text."""

    colour: str
    symbol: str
    """The name of a marker symbol of plotly."""
    hatching: str
    """The name of a fill pattern of plotly for bars; "" fills a bar evenly."""
    legend: str


OUTCOMES: dict[Outcome, Look] = {
    "ok": Look("#2b83c6", "circle", "", "ok: succeeded"),
    "fail": Look("#d9541e", "x", "x", "fail: did not happen"),
    "info": Look("#b4649e", "triangle-right", "/", "info: unknown, may still happen"),
}

FAULTS: dict[str, str] = {
    "kill": "#7a7f87",
    "pause": "#c9a400",
    "partition": "#0f9d78",
    "latency": "#6f74d8",
    "power": "#b5485d",
    "clock": "#3f9bb8",
    "drift": "#7fa33c",
    "disk": "#c4782b",
    "step": "#9a5fc0",
}
OTHER_FAULT = "#a0714f"
CRASH = "#d01c1c"
"""The colour of a crash: an end of a member that the harness did not cause."""

SERIES = ("#2b83c6", "#d98a1e", "#0f9d78", "#b4649e", "#7a7f87", "#6f74d8", "#a0714f")
"""The colours of members or functions, in the order in which they are used. `report.js` contains
the same colours."""

DEPENDENCIES = {
    "ww": "#d9541e",
    "wr": "#2b83c6",
    "rw": "#b4649e",
    "process": "#c9a400",
    "realtime": "#7a7f87",
}
"""The colours of the dependencies between transactions, by kind."""
OTHER_DEPENDENCY = "#7a7f87"


def fault_colour(kind: str) -> str:
    """Return the colour of a kind of fault. `kind` is `FaultWindow.f`."""
    return FAULTS.get(kind, OTHER_FAULT)


def dependency_colour(kind: str) -> str:
    """Return the colour of a dependency between transactions. `kind` is ww, wr, …"""
    return DEPENDENCIES.get(kind, OTHER_DEPENDENCY)


def faded(colour: str, opacity: float) -> str:
    """Return `colour`, in the form #rrggbb, as a CSS rgba() with `opacity`."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
