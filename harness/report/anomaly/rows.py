"""Computes the rows of a picture of an anomaly: their positions and heights, in px from the top.

There is a row for each process, as high as its highest label. Below these rows, each member that a
fault hit has a row of smaller height.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from splitbrain.harness.report.anomaly.proof import Proof

LINE_PX = 15
BAR_PADDING_PX = 12
GAP_PX = 8
GAP_WITH_ORDER_PX = 20
"""The gap below each bar in px, if the bars have numbers of a linearization on their lower
edges."""
GAP_WITH_CYCLE_PX = 42
"""The gap below each bar in px, if labels of arrows are between the bars."""
LANE_PX = 24
TOP_PX = 6


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a picture. All positions are y coordinates in px."""

    centres: Mapping[int, float]
    """The y position of the centre of the row of each process."""
    bars: Mapping[int, float]
    """The height of the bars of each process."""
    gap: float
    """The distance between the bars of one row and those of the next."""
    lanes: Sequence[float]
    """The y position of the centre of the row of each member that a fault hit."""
    height: float
    """The height of all rows together."""

    def lower_edge(self, process: int) -> float:
        """Return the y position of the lower edge of the bars of `process`."""
        return self.centres[process] + self.bars[process] / 2

    def upper_edge(self, process: int) -> float:
        """Return the y position of the upper edge of the bars of `process`."""
        return self.centres[process] - self.bars[process] / 2


def rows_of(proof: Proof, labels: Mapping[int, Sequence[str]], lanes: int) -> Rows:
    """Return the rows of the picture of `proof`: one for each process, then `lanes` rows.

    `lanes` is the number of members that faults hit. The processes are in the order of their first
    operations in the picture.
    """
    lines: dict[int, int] = {}
    for span in sorted(proof.spans, key=lambda one: one.call):
        lines[span.process] = max(lines.get(span.process, 1), len(labels[span.invoked]))
    gap = GAP_WITH_CYCLE_PX if proof.cycle else GAP_WITH_ORDER_PX if proof.order else GAP_PX
    top: float = TOP_PX
    centres, bars = {}, {}
    for process, count in lines.items():
        bars[process] = float(count * LINE_PX + BAR_PADDING_PX)
        centres[process] = top + bars[process] / 2
        top += bars[process] + gap
    members = [top + LANE_PX * (lane + 0.5) for lane in range(lanes)]
    return Rows(
        centres=centres, bars=bars, gap=gap, lanes=members, height=top + LANE_PX * lanes
    )
