"""Draws the dependencies of a cycle of transactions as arrows between the bars of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from splitbrain.harness.report.anomaly.bar_positions import Place
from splitbrain.harness.report.anomaly.proof import CycleEdge, Proof
from splitbrain.harness.report.anomaly.rows import Rows
from splitbrain.harness.report.figures.layout import plain
from splitbrain.harness.report.figures.palette import dependency_colour

SHORT_KINDS = {"realtime": "rt", "process": "p"}


def draw_cycle(
    figure: go.Figure, proof: Proof, rows: Rows, places: Mapping[int, Place]
) -> None:
    """Add an arrow to `figure` for each dependency in `proof.cycle`, from bar to bar.

    The label of an arrow is the kind of dependency (ww, wr, …), and its tooltip is the reason. The
    label is in the gap beside the bar where the arrow begins, so that the label hides no text.
    """
    process_of = {span.invoked: span.process for span in proof.involved}
    labels: list[tuple[float, float, CycleEdge]] = []
    for number, step in enumerate(proof.cycle, start=1):
        source, target = places[step.source], places[step.target]
        one, other = process_of[step.source], process_of[step.target]
        share = number / (len(proof.cycle) + 1)
        begin_x = source.begin + share * (source.end - source.begin)
        end_x = target.begin + share * (target.end - target.begin)
        if one == other:
            begin_y = end_y = label_y = rows.lower_edge(one) + rows.gap / 2
            label_x = (begin_x + end_x) / 2
        else:
            down = rows.centres[other] > rows.centres[one]
            begin_y = rows.lower_edge(one) if down else rows.upper_edge(one)
            end_y = rows.upper_edge(other) if down else rows.lower_edge(other)
            label_y = begin_y + (rows.gap if down else -rows.gap) / 2
            label_x = begin_x + (end_x - begin_x) * (label_y - begin_y) / (end_y - begin_y)
        figure.add_annotation(
            x=end_x, y=end_y, ax=begin_x, ay=begin_y, xref="x", yref="y", axref="x", ayref="y",
            text="", showarrow=True, arrowhead=2, arrowsize=1.3, arrowwidth=1.8,
            arrowcolor=dependency_colour(step.kind),
        )
        labels.append((label_x, label_y, step))
    for x, y, step in labels:  # The markers are added last, so that they lie above the arrows.
        figure.add_annotation(
            x=x, y=y, showarrow=False, text=plain(SHORT_KINDS.get(step.kind, step.kind)),
            font={"size": 11, "color": "#fff"}, bgcolor=dependency_colour(step.kind), borderpad=3,
        )
    if labels:
        figure.add_trace(_tooltips(proof, labels))


def _tooltips(proof: Proof, middles: Sequence[tuple[float, float, CycleEdge]]) -> go.Scatter:
    """Return markers that show the tooltips of the arrows, at the arrows' labels.

    `middles` are (x, y, dependency) of each label. Plotly's annotations, which draw the arrows,
    cannot have tooltips.
    """
    return go.Scatter(
        name="comes before", mode="markers",
        x=[x for x, _, _ in middles], y=[y for _, y, _ in middles],
        marker={"size": 24, "color": [dependency_colour(step.kind) for _, _, step in middles],
                "opacity": 1},
        customdata=[
            ["note", f"{step.kind}: {step.because}: {proof.names[step.source]} comes before "
                     f"{proof.names[step.target]}"]
            for _, _, step in middles
        ],
        hoverinfo="none", cliponaxis=False,
    )
