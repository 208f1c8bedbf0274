"""Draws one anomaly, and prepares the values that `templates/anomaly.html.j2` shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from markupsafe import Markup

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report.anomaly.cycle_diagram import cycle_diagram
from splitbrain.harness.report.anomaly.picture import picture_in_order, picture_to_scale
from splitbrain.harness.report.anomaly.proof import Proof, proof_of
from splitbrain.harness.report.figures.layout import LEFT_MARGIN_PX, RIGHT_MARGIN_PX
from splitbrain.harness.report.html import to_json
from splitbrain.harness.report.operation_spans import Span
from splitbrain.harness.report.value_text import clip
from splitbrain.histories.history import FaultWindow

OPERATIONS_LISTED_MAX = 60
"""The maximal number of operations in the table below the picture of an anomaly."""
DETAIL_CHARACTERS_MAX = 4_000
ORDER_PX_MAX = 20_000
"""The maximal width in px of the picture that shows the order of operations. If a picture needs
more, its labels are cut."""


@dataclass(frozen=True, slots=True)
class DrawnAnomaly:
    """An anomaly as a page shows it.

    `number` is its position on the page. If the page lists the anomaly without pictures, `in_order`
    and `to_scale` are None. Otherwise, `in_order` shows the order of begins and ends, and
    `to_scale` shows the times.
    """

    number: int
    checker: str
    anomaly: Anomaly
    proof: Proof
    in_order: go.Figure | None
    to_scale: go.Figure | None

    @property
    def listed(self) -> tuple[Span, ...]:
        """The operations in the table below the picture."""
        return self.proof.involved[:OPERATIONS_LISTED_MAX]

    @property
    def figures(self) -> dict[str, go.Figure]:
        """The two figures, by the id of the HTML element that shows each; {} without pictures."""
        if self.in_order is None or self.to_scale is None:
            return {}
        return {
            f"anomaly-{self.number}-order": self.in_order,
            f"anomaly-{self.number}-scale": self.to_scale,
        }

    @property
    def order_px(self) -> int:
        """The width in px at which no label of `in_order` is cut, at most `ORDER_PX_MAX`."""
        if self.in_order is None:
            return 0
        width: int = int(self.in_order.layout.xaxis.range[1]) + LEFT_MARGIN_PX + RIGHT_MARGIN_PX
        return min(width, ORDER_PX_MAX)

    @property
    def cycle(self) -> Markup:
        """The anomaly's cycle of transactions as SVG; empty if the anomaly is not a cycle."""
        cycle = self.anomaly.detail.get("cycle")
        return Markup(cycle_diagram(cycle) if cycle else "")

    @property
    def detail(self) -> str:
        """`Anomaly.detail` as indented JSON."""
        detail = self.anomaly.detail
        return clip(to_json(detail, indent=2), DETAIL_CHARACTERS_MAX) if detail else ""


def draw_anomaly(
    number: int,
    checker: str,
    anomaly: Anomaly,
    *,
    spans: Sequence[Span],
    faults: Sequence[FaultWindow],
    members: Sequence[str],
    end_ns: int,
    with_pictures: bool = True,
) -> DrawnAnomaly:
    """Find the operations that prove `anomaly` among `spans`, and draw them.

    `spans` are all operations, in the order of their invocations. The pictures also show the faults
    of `faults` that were active during the drawn operations, on the rows of `members`. A fault that
    was never healed lasts until `end_ns`, the end of the run. There are no pictures if
    `with_pictures` is False, or if the anomaly names no operation.
    """
    proof = proof_of(anomaly, spans, faults, end_ns)
    drawn = with_pictures and bool(proof.involved)
    in_order = picture_in_order(proof, members) if drawn else None
    to_scale = picture_to_scale(proof, members) if drawn else None
    return DrawnAnomaly(
        number=number, checker=checker, anomaly=anomaly, proof=proof, in_order=in_order,
        to_scale=to_scale,
    )
