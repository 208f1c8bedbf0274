"""Colours and symbols, one meaning each, told apart without colour as well.

Outcomes and faults are spaced in hue and in lightness after Okabe and Ito (Color
Universal Design, 2008), moved to a middle lightness so that the same colour reads
on a dark and on a light page. Each outcome also has a symbol and a hatching, each
fault a letter.
"""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.histories.history import Outcome


@dataclass(frozen=True, slots=True)
class Look:
    colour: str
    symbol: str
    """A marker symbol of plotly."""
    hatching: str
    """A bar's pattern of plotly: "" is plain."""
    says: str


OUTCOMES: dict[Outcome, Look] = {
    "ok": Look("#2b83c6", "circle", "", "ok: answered"),
    "fail": Look("#d9541e", "x", "x", "fail: certainly did not happen"),
    "info": Look("#b4649e", "triangle-right", "/", "info: may have happened, or still may"),
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

MEMBERS = ("#2b83c6", "#d98a1e", "#0f9d78", "#b4649e", "#7a7f87", "#6f74d8", "#a0714f")


def fault_colour(kind: str) -> str:
    return FAULTS.get(kind, OTHER_FAULT)


def member_colour(place: int) -> str:
    return MEMBERS[place % len(MEMBERS)]


def faded(colour: str, opacity: float) -> str:
    """`colour` (#rrggbb) as an rgba() of that opacity."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
