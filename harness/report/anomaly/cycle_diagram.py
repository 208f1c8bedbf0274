"""Draws a cycle of transactions as SVG: boxes in a ring, and an arrow for each dependency.

The diagram needs no script. Its text has the colour of the page's text. The tooltip of an arrow
gives the reason of the dependency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any
from xml.sax.saxutils import escape

from splitbrain.harness.report.figures.palette import dependency_colour
from splitbrain.harness.report.value_text import clean, clip

CHARACTER_PX = 7.3
LINE_PX = 17
LINE_CHARACTERS_MAX = 48
OPERATION_LINES_MAX = 8
"""The text of one operation in a box, such as the read of a long list, is cut to this many
lines."""
LINES_MAX = 24
"""If a box needs more lines than this, its text is only the transaction's name and process."""
PADDING_PX = 10
BULGE_PX = 46
FULL_BOXES_MAX = 8
"""If a cycle has more transactions than this, the text of each box is only the transaction's name
and process."""
BOXES_MAX = 40
TOOLTIP_CHARACTERS_MAX = 600


@dataclass(frozen=True, slots=True)
class Box:
    """The box of a transaction: centre, half the width and half the height (in px), and text."""

    x: float
    y: float
    half_width: float
    half_height: float
    lines: tuple[str, ...]

    def edge_towards(self, x: float, y: float) -> tuple[float, float]:
        """Return the point at which the line from the box's centre to (x, y) leaves the box."""
        across, down = x - self.x, y - self.y
        if not across and not down:
            return self.x, self.y - self.half_height
        part = min(
            self.half_width / abs(across) if across else math.inf,
            self.half_height / abs(down) if down else math.inf,
        )
        return self.x + across * part, self.y + down * part


def cycle_diagram(cycle: Mapping[str, Any]) -> str:
    """Return the SVG of `cycle`, which is `Anomaly.detail["cycle"]` of the checker `transactions`.

    Returns "" for a cycle of more than `BOXES_MAX` transactions.
    """
    transactions = cycle["transactions"]
    if len(transactions) > BOXES_MAX:
        return ""
    boxes, width, height = _ring([_lines(one, len(transactions)) for one in transactions])
    placed = {one["name"]: box for one, box in zip(transactions, boxes, strict=True)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" '
        f'aria-label="{_quoted(_in_words(cycle["steps"]))}" font-size="12" '
        'font-family="ui-monospace, monospace">',
    ]
    parts += [_arrow(step, placed) for step in cycle["steps"]]
    parts += [_box(box) for box in boxes]
    return "".join([*parts, "</svg>"])


def _lines(transaction: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Return the lines of text in the box of `transaction`.

    `count` is the number of transactions in the diagram. If it is above `FULL_BOXES_MAX`, the text
    is only the transaction's name and process.
    """
    head = f"{transaction['name']} · process {transaction['process']}"
    if count > FULL_BOXES_MAX:
        return (head,)
    lines = [
        line for text in transaction["operations"]
        for line in wrap(
            clean(str(text)), LINE_CHARACTERS_MAX, subsequent_indent="  ",
            max_lines=OPERATION_LINES_MAX, placeholder=" …",
        )
    ]
    return (head, *lines) if len(lines) <= LINES_MAX else (head,)


def _ring(texts: Sequence[tuple[str, ...]]) -> tuple[list[Box], float, float]:
    """Place a box for each of `texts` on an ellipse, so that the boxes do not overlap.

    Returns the boxes, and the width and height of the diagram in px.
    """
    half_width = max(len(line) for lines in texts for line in lines) * CHARACTER_PX / 2 + PADDING_PX
    half_height = max(len(lines) for lines in texts) * LINE_PX / 2 + PADDING_PX
    count = len(texts)
    if count == 1:
        across = down = 0.0
    elif count == 2:
        across, down = half_width + 110, 0.0
    else:
        apart = 2 * math.sin(math.pi / count)
        across = (2 * half_width + 60) / apart
        down = (2 * half_height + 70) / apart
    width = 2 * (across + half_width + BULGE_PX)
    height = 2 * (down + half_height + BULGE_PX + LINE_PX)
    begin = math.pi if count == 2 else -math.pi / 2
    boxes = []
    for place, lines in enumerate(texts):
        angle = begin + 2 * math.pi * place / count
        boxes.append(Box(
            x=width / 2 + across * math.cos(angle), y=height / 2 + down * math.sin(angle),
            half_width=half_width, half_height=len(lines) * LINE_PX / 2 + PADDING_PX, lines=lines,
        ))
    return boxes, width, height


def _box(box: Box) -> str:
    left, top = box.x - box.half_width, box.y - box.half_height
    text = "".join(
        f'<text x="{left + PADDING_PX:.1f}" y="{top + PADDING_PX + LINE_PX * (place + 0.75):.1f}" '
        f'fill="currentColor"{" font-weight=" + chr(34) + "bold" + chr(34) if not place else ""}>'
        f"{escape(line)}</text>"
        for place, line in enumerate(box.lines)
    )
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{2 * box.half_width:.1f}" '
        f'height="{2 * box.half_height:.1f}" rx="6" fill="currentColor" fill-opacity="0.06" '
        f'stroke="currentColor" stroke-opacity="0.5"/>{text}'
    )


def _arrow(step: Mapping[str, Any], placed: Mapping[str, Box]) -> str:
    one, other = placed[step["from"]], placed[step["to"]]
    colour = dependency_colour(step["kind"])
    bend_x, bend_y = _bend(one, other)
    begin, end = one.edge_towards(bend_x, bend_y), other.edge_towards(bend_x, bend_y)
    label_x = (begin[0] + 2 * bend_x + end[0]) / 4
    reason = clip(str(step["because"]), TOOLTIP_CHARACTERS_MAX)
    label_y = (begin[1] + 2 * bend_y + end[1]) / 4
    return (
        f"<g><title>{escape(reason)}</title>"
        f'<path d="M{begin[0]:.1f},{begin[1]:.1f} Q{bend_x:.1f},{bend_y:.1f} '
        f'{end[0]:.1f},{end[1]:.1f}" fill="none" stroke="{colour}" stroke-width="2"/>'
        f"{_head(bend_x, bend_y, end, colour)}"
        f'<text x="{label_x:.1f}" y="{label_y - 6:.1f}" text-anchor="middle" fill="{colour}" '
        f'font-weight="bold">{escape(str(step["kind"]))}</text></g>'
    )


def _bend(one: Box, other: Box) -> tuple[float, float]:
    """Return the point (x, y) that bends the arrow from box `one` to box `other`.

    It is the control point of a quadratic Bézier curve, to the left of the line from `one` to
    `other`. Therefore two arrows between the same boxes, in opposite directions, bend to opposite
    sides.
    """
    across, down = other.x - one.x, other.y - one.y
    length = math.hypot(across, down) or 1.0
    return (
        (one.x + other.x) / 2 + down / length * 2 * BULGE_PX,
        (one.y + other.y) / 2 - across / length * 2 * BULGE_PX,
    )


def _head(from_x: float, from_y: float, tip: tuple[float, float], colour: str) -> str:
    angle = math.atan2(tip[1] - from_y, tip[0] - from_x)
    wings = [
        (tip[0] - 11 * math.cos(angle + turn), tip[1] - 11 * math.sin(angle + turn))
        for turn in (0.4, -0.4)
    ]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (tip, *wings))
    return f'<polygon points="{points}" fill="{colour}"/>'


def _in_words(steps: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{step['from']} before {step['to']} ({step['kind']})" for step in steps)


def _quoted(text: str) -> str:
    return escape(text, {'"': "&quot;"})
