"""The smallest part of a history that proves an anomaly, drawn.

Each operation that the anomaly names is a bar on its process's row, with what was
asked and answered written in it; around them, faded, a few of their neighbours. Time
is drawn twice: in order, where each bar is as wide as its words (which came first is
what a proof rests on), and to scale. Where an anomaly tells of the longest order that
fits, its steps stand as numbers on their bars, and the operation that has to come next
and cannot is crossed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import msgspec
import plotly.graph_objects as go

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.report.bands import LaneBar, band_end, lane_bars, lane_names
from splitbrain.harness.report.figure import INK, plain, quiet_layout
from splitbrain.harness.report.palette import OUTCOMES, faded, fault_colour
from splitbrain.harness.report.spans import Span
from splitbrain.harness.report.value_text import clip, keys_of
from splitbrain.histories.history import FaultWindow, Outcome

INVOLVED_MAX = 200
NEIGHBOURS_MAX = 10
NEIGHBOURS_LOOKED_AT = 2_000
LABEL_CHARACTERS_MAX = 64
NEIGHBOUR_CHARACTERS_MAX = 22
CHARACTER_PX = 6.4
STEP_PX = 22
LAST_RANK = 1_000_000_000
"""The place among the events of one time of an end that comes after all begins."""
TICK_PX = 78
WIDTH_PX_MIN = 900
WIDTH_WITH_NEIGHBOURS_PX_MAX = 1_200
"""Neighbours are drawn only while the picture in order is no wider than this."""
ROW_PX = 34
ROW_WITH_ORDER_PX = 44
ROW_OF_CYCLE_PX = 64
BAR = 0.74
BAR_OF_CYCLE = 0.42
"""How much of its row a bar is high."""
ORDER_COLOUR = "#3d7a2f"
STUCK_COLOUR = "#c8102e"


@dataclass(frozen=True, slots=True)
class Arrow:
    """One step of a cycle, between transactions named by `invoked`."""

    source: int
    target: int
    kind: str
    because: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What is drawn of an anomaly. `left_out` are named operations past `INVOLVED_MAX`."""

    involved: tuple[Span, ...]
    neighbours: tuple[Span, ...]
    faults: tuple[FaultWindow, ...]
    left_out: int
    order: tuple[int, ...] = ()
    """The longest order that fits, by `invoked`."""
    stuck: int | None = None
    """What has to come next, and cannot."""
    state: str = ""
    """What the object holds after that order."""
    cycle: tuple[Arrow, ...] = ()
    """Why each of some transactions comes before the next, and so before itself."""
    names: Mapping[int, str] = field(default_factory=dict)
    """What the anomaly calls the transactions of the cycle, by `invoked`."""

    @property
    def spans(self) -> tuple[Span, ...]:
        return tuple(sorted((*self.involved, *self.neighbours), key=lambda span: span.invoked))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bar begins and ends, on whichever axis."""

    begin: float
    end: float


def proof_of(
    anomaly: Anomaly, spans: Sequence[Span], faults: Sequence[FaultWindow], end_ns: int
) -> Proof:
    """The operations that `anomaly` names and a few that touch the same keys about then.

    `spans` in the order of their invocations.
    """
    stuck, order = _order_of(anomaly)
    named = {*anomaly.events, *order}
    found = [span for span in spans if span.invoked in named or span.returned in named]
    involved = tuple(found[:INVOLVED_MAX])
    if not involved:
        return Proof((), (), (), 0)
    begin, end = min(s.call for s in involved), max(_end(s, s.call) for s in involved)
    neighbours = () if "cycle" in anomaly.detail else _neighbours(involved, spans, begin, end)
    shown = (*involved, *neighbours)
    begin, end = min(s.call for s in shown), max(_end(s, s.call) for s in shown)
    within = tuple(f for f in faults if f.begin <= end and band_end(f, end_ns) >= begin)
    drawn = {span.invoked for span in involved}
    return Proof(
        involved, neighbours, within, len(found) - len(involved),
        tuple(at for at in order if at in drawn), stuck if stuck in drawn else None,
        clip(str(anomaly.detail.get("state", "")), LABEL_CHARACTERS_MAX),
        *_cycle_of(anomaly, drawn),
    )


class _CycleTransaction(msgspec.Struct):
    name: str
    event: int


class _CycleStep(msgspec.Struct):
    begin: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    kind: str = ""
    because: str = ""


class _Cycle(msgspec.Struct):
    """`detail["cycle"]`, as `splitbrain.checkers.transactions` tells it."""

    transactions: list[_CycleTransaction]
    steps: list[_CycleStep]


def _cycle_of(anomaly: Anomaly, drawn: set[int]) -> tuple[tuple[Arrow, ...], dict[int, str]]:
    """The arrows between transactions that are drawn, and what those are called."""
    try:
        cycle = msgspec.convert(anomaly.detail.get("cycle"), _Cycle)
    except msgspec.ValidationError:
        return (), {}
    at = {one.name: one.event for one in cycle.transactions if one.event in drawn}
    arrows = tuple(
        Arrow(at[step.begin], at[step.end], clip(step.kind, 12), clip(step.because))
        for step in cycle.steps
        if step.begin in at and step.end in at
    )
    return arrows, {event: clip(name, 12) for name, event in at.items()}


def _order_of(anomaly: Anomaly) -> tuple[int | None, tuple[int, ...]]:
    """What is stuck, and the order up to there, if the anomaly tells of both."""
    stuck, order = anomaly.detail.get("stuck"), anomaly.detail.get("linearization", ())
    if not isinstance(stuck, int) or not isinstance(order, list | tuple):
        return None, ()
    return stuck, tuple(at for at in order if isinstance(at, int))


def _end(span: Span, otherwise: int) -> int:
    return otherwise if span.ended is None else span.ended


def _neighbours(
    involved: Sequence[Span], spans: Sequence[Span], begin: int, end: int
) -> tuple[Span, ...]:
    """The nearest in time that name one of the same keys, if those have keys."""
    own = {span.invoked for span in involved}
    keys = {key for span in involved for key in keys_of(span.request)}
    calls = [span.call for span in spans]
    first, last = bisect_left(calls, begin), bisect_right(calls, end)
    around = spans[max(0, first - NEIGHBOURS_LOOKED_AT) : last + NEIGHBOURS_LOOKED_AT]
    moments = [span.call for span in involved]

    def distance(span: Span) -> tuple[int, int]:
        return min(abs(span.call - moment) for moment in moments), span.invoked

    near = sorted((span for span in around if span.invoked not in own), key=distance)
    chosen: list[Span] = []
    for span in near[:NEIGHBOURS_LOOKED_AT]:
        if len(chosen) == NEIGHBOURS_MAX:
            break
        if not keys or keys.intersection(keys_of(span.request)):
            if _width_px(involved, (*chosen, span)) > WIDTH_WITH_NEIGHBOURS_PX_MAX:
                break
            chosen.append(span)
    return tuple(chosen)


def _width_px(involved: Sequence[Span], neighbours: Sequence[Span]) -> float:
    proof = Proof(tuple(involved), tuple(neighbours), (), 0)
    places, _ = places_in_order(proof.spans, labels_of(proof))
    return max(place.end for place in places.values()) + STEP_PX


# --- places -------------------------------------------------------------------


def places_in_order(
    spans: Sequence[Span], labels: Mapping[int, str]
) -> tuple[dict[int, Place], list[tuple[int, float]]]:
    """Where each span (by `invoked`) stands when only order counts, in px, and the marks
    (ns, px) of all begins and ends, both increasing.

    Invocations stand before completions of the same time: those operations are
    concurrent. Each bar is as wide as its label, and an open one lasts to the edge.
    """
    edges = _edges(spans)
    needs = {span.invoked: len(labels[span.invoked]) * CHARACTER_PX + 16 for span in spans}
    begins: dict[int, float] = {}
    finishes: dict[int, float] = {}
    marks: list[tuple[int, float]] = []
    at = 0.0
    for ns, is_end, invoked in edges:
        at += STEP_PX
        if is_end:
            at = max(at, begins[invoked] + needs[invoked])
            finishes[invoked] = at
        else:
            begins[invoked] = at
        marks.append((ns, at))
    open_ends = [begins[s.invoked] + needs[s.invoked] for s in spans if s.invoked not in finishes]
    edge = max([at + STEP_PX, *open_ends])
    places = {s.invoked: Place(begins[s.invoked], finishes.get(s.invoked, edge)) for s in spans}
    return places, marks


def _edges(spans: Sequence[Span]) -> list[tuple[int, bool, int]]:
    """Each begin and end as (ns, whether it is an end, `invoked`), from left to right.

    At one time, begins come before ends. The exception is a process that ends an operation
    and begins its next one at that time: its operations must not overlap.
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


def places_to_scale(spans: Sequence[Span]) -> dict[int, Place]:
    """Seconds of the run; an open one lasts to the edge."""
    begin = min(span.call for span in spans)
    last = max(_end(span, span.call) for span in spans)
    edge = last + max(1, (last - begin) // 20)
    return {
        span.invoked: Place(
            span.call / 1e9, (edge if span.outcome == "info" else _end(span, edge)) / 1e9
        )
        for span in spans
    }


def labels_of(proof: Proof) -> dict[int, str]:
    """What stands in each bar, by `invoked`: a neighbour gets fewer words."""
    near = {s.invoked: clip(_words(s), NEIGHBOUR_CHARACTERS_MAX) for s in proof.neighbours}
    return near | {span.invoked: _whole_label(span, proof) for span in proof.involved}


def _words(span: Span) -> str:
    return f"{span.asked()} → {span.answered()}"


def _whole_label(span: Span, proof: Proof) -> str:
    name = f"{proof.names[span.invoked]}: " if span.invoked in proof.names else ""
    node = f" · {span.node}" if span.node else ""
    return name + clip(_words(span), LABEL_CHARACTERS_MAX) + node


# --- figures ------------------------------------------------------------------


def picture_in_order(proof: Proof, members: Sequence[str]) -> go.Figure:
    """Drawn by order alone."""
    places, marks = places_in_order(proof.spans, labels_of(proof))
    width = max(WIDTH_PX_MIN, max(place.end for place in places.values()) + STEP_PX)
    figure = _picture(proof, members, places, lambda ns: _between(marks, ns))
    shown: list[tuple[int, float]] = []
    for ns, at in marks:
        if not shown or at - shown[-1][1] >= TICK_PX:
            shown.append((ns, at))
    figure.update_xaxes(
        range=[0, width],
        tickvals=[at for _, at in shown],
        ticktext=[f"{ns / 1e9:.4f} s" for ns, _ in shown],
    )
    return figure


def picture_to_scale(proof: Proof, members: Sequence[str]) -> go.Figure:
    places = places_to_scale(proof.spans)
    figure = _picture(proof, members, places, lambda ns: ns / 1e9)
    low, high = min(p.begin for p in places.values()), max(p.end for p in places.values())
    pad = (high - low) * 0.01 or 0.001
    figure.update_xaxes(range=[low - pad, high], title={"text": "s since the start of the run"})
    return figure


def _between(marks: Sequence[tuple[int, float]], ns: int) -> float:
    """Where time `ns` falls among the marks; the edges stand for all beyond them."""
    place = bisect_left(marks, (ns, 0.0))
    if place == 0:
        return 0.0
    if place == len(marks):
        return marks[-1][1] + STEP_PX
    (before_ns, before), (after_ns, after) = marks[place - 1], marks[place]
    return before + (after - before) * (ns - before_ns) / max(1, after_ns - before_ns)


def _picture(
    proof: Proof,
    members: Sequence[str],
    places: Mapping[int, Place],
    position: Callable[[int], float],
) -> go.Figure:
    spans = proof.spans
    processes = list(dict.fromkeys(span.process for span in sorted(spans, key=lambda s: s.call)))
    own = {span.invoked for span in proof.involved}
    labels = {span.invoked: _whole_label(span, proof) for span in spans}
    figure = go.Figure()
    for outcome in OUTCOMES:
        for involved in (True, False):
            part = [s for s in spans if s.outcome == outcome and (s.invoked in own) == involved]
            if part:
                bars = _bars(outcome, involved, part, processes, places, labels)
                figure.add_trace(bars.update(width=BAR_OF_CYCLE if proof.cycle else BAR))
    for trace in _order_traces(proof, processes, places):
        figure.add_trace(trace)
    _draw_cycle(figure, proof, processes, places)
    lanes = lane_names(proof.faults, [m for m in members if _is_hit(m, proof.faults)])
    left, right = min(p.begin for p in places.values()), max(p.end for p in places.values())
    lane_bars_ = lane_bars(proof.faults, lanes, round(max(s.ended or s.call for s in spans)))
    for fault in proof.faults:
        own_bars = [bar for bar in lane_bars_ if bar.fault is fault]
        figure.add_trace(_fault_bar(fault, own_bars, len(processes), (left, right), position))
    rows = len(processes) + len(lanes)
    quiet_layout(figure, height_px=rows * _row_px(proof) + 90)
    figure.update_layout(barmode="overlay", showlegend=True)
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(
        range=[rows - 0.45, -0.55],
        tickvals=list(range(rows)),
        ticktext=[*(f"process {process}" for process in processes), *map(plain, lanes)],
        fixedrange=True,
        zeroline=False,
        showgrid=False,
    )
    return figure


def _row_px(proof: Proof) -> int:
    return ROW_OF_CYCLE_PX if proof.cycle else ROW_WITH_ORDER_PX if proof.order else ROW_PX


def _is_hit(member: str, faults: Sequence[FaultWindow]) -> bool:
    return any(member in fault.members for fault in faults)


def _bars(
    outcome: Outcome,
    involved: bool,
    spans: Sequence[Span],
    processes: Sequence[int],
    places: Mapping[int, Place],
    labels: Mapping[int, str],
) -> go.Bar:
    look = OUTCOMES[outcome]
    return go.Bar(
        orientation="h",
        name=outcome if involved else f"{outcome}, a neighbour",
        y=[processes.index(span.process) for span in spans],
        base=[round(places[span.invoked].begin, 7) for span in spans],
        x=[round(places[s.invoked].end - places[s.invoked].begin, 9) for s in spans],
        text=[plain(labels[span.invoked]) for span in spans],
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        constraintext="none",
        insidetextfont={"size": 11},
        meta=INK,
        customdata=[span.invoked for span in spans],
        hoverinfo="none",
        marker={
            "color": faded(look.colour, 0.32 if involved else 0.08),
            "line": {"color": look.colour, "width": 2 if involved else 0.8},
            "pattern": {
                "shape": look.hatching,
                "fgcolor": faded(look.colour, 0.35),
                "size": 7,
                "solidity": 0.2,
                "fillmode": "overlay",
            },
        },
    )


def order_points(order: Sequence[int], places: Mapping[int, Place]) -> list[float]:
    """A moment within each bar at which it can take effect, none before the one before."""
    whole = max(p.end for p in places.values()) - min(p.begin for p in places.values())
    step = whole / 80
    at = -math.inf
    points = []
    for invoked in order:
        place = places[invoked]
        at = max(at, min(max(at + step, place.begin + step / 3), place.end))
        points.append(at)
    return points


def _order_traces(
    proof: Proof, processes: Sequence[int], places: Mapping[int, Place]
) -> list[go.Scatter]:
    """The steps of the order as numbers along the lower edges of their bars, and the cross."""
    process_of = {span.invoked: span.process for span in proof.involved}
    edge = BAR / 2
    traces = []
    if proof.order:
        traces.append(go.Scatter(
            name="the longest order that fits",
            mode="lines+markers+text",
            x=order_points(proof.order, places),
            y=[processes.index(process_of[at]) + edge for at in proof.order],
            text=[str(number) for number in range(1, len(proof.order) + 1)],
            textfont={"size": 9, "color": "#fff"},
            line={"color": ORDER_COLOUR, "width": 1.5, "dash": "dot"},
            marker={"size": 14, "color": ORDER_COLOUR, "opacity": 1},
            customdata=[
                ["note", f"step {number} of the longest order that fits"
                 + (f"; then the state is {proof.state}" if number == len(proof.order) else "")]
                for number in range(1, len(proof.order) + 1)
            ],
            hoverinfo="none",
            cliponaxis=False,
        ))
    if proof.stuck is not None:
        after = f"after step {len(proof.order)}" if proof.order else "at the beginning"
        traces.append(go.Scatter(
            name="has to come next, and cannot",
            mode="markers",
            x=[places[proof.stuck].end],
            y=[processes.index(process_of[proof.stuck])],
            marker={"size": 17, "symbol": "x", "color": STUCK_COLOUR,
                    "line": {"color": "#fff", "width": 1.5}},
            customdata=[["note", f"has to come before here, and does not fit: {after} the state "
                                 f"is {proof.state}"]],
            hoverinfo="none",
            cliponaxis=False,
        ))
    return traces


def _draw_cycle(
    figure: go.Figure, proof: Proof, processes: Sequence[int], places: Mapping[int, Place]
) -> None:
    """An arrow for each step, from bar to bar, and on it a mark that tells the reason."""
    row = {span.invoked: processes.index(span.process) for span in proof.involved}
    marks: list[tuple[float, float, Arrow]] = []
    for number, arrow in enumerate(proof.cycle, start=1):
        one, other = places[arrow.source], places[arrow.target]
        down = row[arrow.target] - row[arrow.source]
        share = number / (len(proof.cycle) + 1)
        begin = one.begin + share * (one.end - one.begin)
        end = other.begin + share * (other.end - other.begin)
        edge = math.copysign(BAR_OF_CYCLE / 2, down) if down else BAR_OF_CYCLE / 2
        low, high = row[arrow.source] + edge, row[arrow.target] - (edge if down else -edge)
        figure.add_annotation(
            x=end, y=high, ax=begin, ay=low, xref="x", yref="y", axref="x", ayref="y", text="",
            showarrow=True, arrowhead=2, arrowsize=1.3, arrowwidth=1.8,
            arrowcolor=step_colour(arrow.kind),
        )
        marks.append(((begin + end) / 2, (low + high) / 2, arrow))
    for x, y, arrow in marks:  # above the arrows, which lie above all traces
        figure.add_annotation(
            x=x, y=y, showarrow=False, text=plain(STEP_SHORT.get(arrow.kind, arrow.kind)),
            font={"size": 11, "color": "#fff"}, bgcolor=step_colour(arrow.kind), borderpad=3,
        )
    if marks:
        figure.add_trace(go.Scatter(
            name="comes before", mode="markers",
            x=[x for x, _, _ in marks], y=[y for _, y, _ in marks],
            marker={"size": 24, "color": [step_colour(arrow.kind) for _, _, arrow in marks],
                    "opacity": 1},
            customdata=[
                ["note", f"{arrow.kind}: {arrow.because}: {proof.names[arrow.source]} comes before "
                         f"{proof.names[arrow.target]}"]
                for _, _, arrow in marks
            ],
            hoverinfo="none", cliponaxis=False,
        ))


STEP_COLOURS = {"ww": "#b3261e", "wr": "#1b5f9e", "rw": "#8a5a00"}
STEP_SHORT = {"realtime": "rt", "process": "p"}


def step_colour(kind: str) -> str:
    return STEP_COLOURS.get(kind, "#5c646e")


def _fault_bar(
    fault: FaultWindow,
    bars: Sequence[LaneBar],
    row_count: int,
    edges: tuple[float, float],
    position: Callable[[int], float],
) -> go.Bar:
    """`fault` on the lanes of the members that it hit, below `row_count` rows of processes."""
    left, right = edges
    begin = min(right, max(left, position(fault.begin)))
    end = right if fault.end is None else min(right, max(begin, position(fault.end)))
    colour = fault_colour(fault.f)
    return go.Bar(
        orientation="h",
        name=plain(f"fault {fault.fault}: {fault.f}"),
        y=[row_count + bar.y for bar in bars],
        base=[begin] * len(bars),
        x=[end - begin] * len(bars),
        width=[bar.height for bar in bars],
        text=[plain(f"{fault.fault} {fault.f}")] * len(bars),
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        constraintext="none",
        textfont={"size": 10, "color": "#fff"},
        marker={"color": faded(colour, 0.85), "line": {"width": 0}},
        customdata=[["fault", fault.fault]] * len(bars),
        hoverinfo="none",
    )
