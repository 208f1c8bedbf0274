"""Computes the horizontal position of each operation in the pictures of an anomaly.

Each anomaly has two pictures. The picture "in order" shows only in which order operations began and
ended, and each bar is as wide as its label. In the picture "to scale", the axis is the time of the
run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from splitbrain.harness.report.operation_spans import Span

CHARACTER_PX = 6.4
LABEL_PADDING_PX = 16
STEP_PX = 22
"""The distance in px between two begins or ends of operations, in the picture "in order"."""
LAST_RANK = 1_000_000_000
"""The rank that sorts the end of an operation after all begins at the same time."""


@dataclass(frozen=True, slots=True)
class Place:
    """The left and right end of a bar, in px (picture "in order") or in s (picture "to scale")."""

    begin: float
    end: float


def places_in_order(
    spans: Sequence[Span], labels: Mapping[int, Sequence[str]]
) -> tuple[dict[int, Place], list[tuple[int, float]]]:
    """Compute the position of each bar in the picture that shows only the order of operations.

    Returns a pair:

    - the position of each bar in px, by the index of the event of its invocation (`Span.invoked`);
    - a mark (ns, px) for each begin and end of a bar, from left to right.

    `labels` contains the lines of each bar's label, by the same index. Each bar is at least as wide
    as its label. The bar of an operation without an end, or with an unknown outcome, extends to the
    right edge.
    """
    widths = {
        span.invoked: max(map(len, labels[span.invoked])) * CHARACTER_PX + LABEL_PADDING_PX
        for span in spans
    }
    begins: dict[int, float] = {}
    ends: dict[int, float] = {}
    marks: list[tuple[int, float]] = []
    px = 0.0
    for ns, is_end, invoked in _edges(spans):
        px += STEP_PX
        if is_end:
            px = max(px, begins[invoked] + widths[invoked])
            ends[invoked] = px
        else:
            begins[invoked] = px
        marks.append((ns, px))
    open_ends = [begins[s.invoked] + widths[s.invoked] for s in spans if s.invoked not in ends]
    edge = max([px + STEP_PX, *open_ends])
    places = {s.invoked: Place(begins[s.invoked], ends.get(s.invoked, edge)) for s in spans}
    return places, marks


def _edges(spans: Sequence[Span]) -> list[tuple[int, bool, int]]:
    """Return the begins and ends of operations from left to right.

    Each is a tuple: the time in ns, whether it is an end, and the index of the event of the
    operation's invocation. If a begin and an end have the same time, there are two cases. If they
    belong to different processes, the begin comes first, because the operations are concurrent. If
    they belong to one process, the end comes first, because operations of one process must not
    overlap.
    """
    operations_of: dict[int, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.call, span.invoked)):
        operations_of.setdefault(span.process, []).append(span)
    keyed: list[tuple[int, int, int, bool]] = []
    for own in operations_of.values():
        rank, end = 0, -1
        for span, next_span in zip_longest(own, own[1:]):
            rank = rank + 1 if span.call == end else 0
            keyed.append((span.call, rank, span.invoked, False))
            if span.outcome == "info" or span.ended is None:
                continue
            end = span.ended
            rank = rank + 1 if span.call == end else 1
            begins_again = next_span is not None and next_span.call == end
            keyed.append((end, rank if begins_again else LAST_RANK, span.invoked, True))
    return [(ns, is_end, invoked) for ns, _, invoked, is_end in sorted(keyed)]


def width_px(spans: Sequence[Span], labels: Mapping[int, Sequence[str]]) -> float:
    """Return the width in px of the picture of `spans` that shows only the order of operations."""
    places, _ = places_in_order(spans, labels)
    return max(place.end for place in places.values()) + STEP_PX


def places_to_scale(spans: Sequence[Span]) -> dict[int, Place]:
    """Return the position of each bar in the picture "to scale", whose axis is the time of the run.

    The keys are the indexes of the events of invocations (`Span.invoked`). Positions are in seconds
    since the start of the run. The bar of an operation without an end, or with an unknown outcome,
    extends to the right edge.
    """
    begin = min(span.call for span in spans)
    last = max(span.call if span.ended is None else span.ended for span in spans)
    edge = last + max(1, (last - begin) // 20)
    return {
        span.invoked: Place(
            span.call / 1e9,
            (edge if span.outcome == "info" or span.ended is None else span.ended) / 1e9,
        )
        for span in spans
    }
