"""What all figures of a report share: margins that line their time axes up, no chrome.

Colours of text and grid are left to the page, which knows whether it is dark.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

LEFT_MARGIN_PX = 96
RIGHT_MARGIN_PX = 18

INK = "ink"
"""The `meta` of a trace of pale bars, whose text the page writes in its own colour."""


def quiet_layout(figure: go.Figure, height_px: int) -> None:
    """No template, a legend in one line above, the same margins left and right."""
    figure.update_layout(
        template=go.layout.Template(),
        height=height_px,
        margin={"l": LEFT_MARGIN_PX, "r": RIGHT_MARGIN_PX, "t": 34, "b": 40},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        hovermode="closest",
        hoverdistance=16,
        dragmode="zoom",
    )


def hide_long_words(figure: go.Figure) -> None:
    """Words that do not fit into their bar are left out; pointing at it tells them."""
    figure.update_traces(constraintext="both", selector={"type": "bar"})
    figure.update_layout(uniformtext={"mode": "hide", "minsize": 8})


def time_axis(end_ns: int, **more: Any) -> dict[str, Any]:
    """Seconds of the run, from its start to its end."""
    end_s = max(end_ns / 1e9, 0.001)
    return {
        "title": {"text": "s since the start of the run", "standoff": 6},
        "range": [-0.005 * end_s, 1.005 * end_s],
        "zeroline": False,
        **more,
    }


def plain(text: str) -> str:
    """`text` with no meaning to plotly, whose labels read a little HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
