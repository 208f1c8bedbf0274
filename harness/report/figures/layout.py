"""Sets the layout that all figures of a report share.

All figures have the same left and right margins, so that their time axes line up. The page sets the
colours of text and grid, because it has a light and a dark form.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

LEFT_MARGIN_PX = 96
RIGHT_MARGIN_PX = 18
TOP_MARGIN_PX, BOTTOM_MARGIN_PX = 34, 40

INK = "ink"
"""The value of `meta` of a trace of pale bars. The page draws the labels of such bars in its text
colour."""


def plain_layout(figure: go.Figure, height_px: int) -> None:
    """Set the margins, put the legend in a line above the figure, and remove plotly's template."""
    figure.update_layout(
        template=go.layout.Template(),
        height=height_px,
        margin={
            "l": LEFT_MARGIN_PX, "r": RIGHT_MARGIN_PX, "t": TOP_MARGIN_PX, "b": BOTTOM_MARGIN_PX,
        },
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        hovermode="closest",
        hoverdistance=16,
        dragmode="zoom",
    )


def hide_long_labels(figure: go.Figure) -> None:
    """Hide each label that does not fit into its bar.

    The whole text is still in the tooltip of the bar.
    """
    figure.update_traces(constraintext="both", selector={"type": "bar"})
    figure.update_layout(uniformtext={"mode": "hide", "minsize": 8})


def time_axis(end_ns: int, **more: Any) -> dict[str, Any]:
    """Return an axis of time in s, from the start of the run to `end_ns`.

    `more` are further properties of the axis.
    """
    end_s = max(end_ns / 1e9, 0.001)
    return {
        "title": {"text": "s since the start of the run", "standoff": 6},
        "range": [-0.005 * end_s, 1.005 * end_s],
        "zeroline": False,
        **more,
    }


def plain(text: str) -> str:
    """Escape HTML in `text`.

    Plotly would otherwise interpret some tags in labels.
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
