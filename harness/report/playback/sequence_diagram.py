"""Draws the messages of a simulated run as a sequence diagram.

Each client and each member is a vertical line. Time runs downwards. Each event has a row of its
own, in the order of virtual time, so the distances say nothing about durations. An arrow begins in
the row in which its message was sent and ends in the row in which it arrived. The diagram ends with
the first anomaly, because a later message cannot be a cause of that anomaly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from splitbrain.harness.report.operation_spans import Span
from splitbrain.harness.simulation.state_recording import DOWN, Recording

MESSAGES_MAX = 80
"""The maximal number of messages between members in the diagram. Earlier ones are left out."""
CALLS_MAX = 60
"""The maximal number of requests and answers in the diagram. Earlier ones are left out."""
ROW_PX, COLUMN_PX, TOP_PX, LEFT_PX, RIGHT_PX = 14, 190, 44, 84, 150
TIMES_EVERY = 4
LABEL_CHARACTERS_MAX = 46

Kind = Literal["request", "answer", "append", "vote", "heartbeat", "other"]


@dataclass(frozen=True, slots=True)
class Moved:
    """A request, an answer or a message on its way from `source` to `target`.

    Times are in µs. `arrived_us` is None if the message was lost.
    """

    kind: Kind
    source: str
    target: str
    sent_us: int
    arrived_us: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Noted:
    """An event at the time `us` that the diagram shows as text.

    `line` is the member at which it happened; "" if it concerns all members.
    """

    us: int
    line: str
    text: str
    style: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """The arrow of a message from (x1, y1) to (x2, y2), with its label at (x, y).

    `label` is the text as it is drawn, and `whole` is the text of the tooltip.
    """

    kind: Kind
    x1: float
    y1: float
    x2: float
    y2: float
    lost: bool
    label: str
    whole: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Note:
    x: float
    y: float
    text: str
    style: str


@dataclass(frozen=True, slots=True)
class Lifeline:
    x: float
    name: str
    is_client: bool


@dataclass(frozen=True, slots=True)
class SequenceDiagram:
    """The positions, in px, of everything in the diagram."""

    width: float
    height: float
    lifelines: tuple[Lifeline, ...]
    arrows: tuple[Arrow, ...]
    notes: tuple[Note, ...]
    times: tuple[tuple[float, str], ...]
    """The y position and the text of each time at the edge of the diagram."""
    left_out: int
    """The number of messages between members that are not drawn."""
    heartbeats: int
    """The number of heartbeats and their responses, which are not drawn."""


def sequence_diagram(
    recording: Recording, operations: Sequence[Span], marks: Sequence[tuple[int, str]],
    faults: Sequence[tuple[int, int | None, str]],
) -> SequenceDiagram:
    """Return the diagram of `recording` from the beginning of the run to the first anomaly.

    `marks` are the anomalies, each with its time in µs and its sentence. `faults` are tuples: begin
    in µs, end in µs (None if it was never healed), and name.
    """
    end_us = min((us for us, _ in marks), default=None)
    between = [
        one for one in _between_members(recording) if end_us is None or one.sent_us <= end_us
    ]
    telling = [one for one in between if one.kind != "heartbeat"]
    shown = telling[-MESSAGES_MAX:]
    begin_us = shown[0].sent_us if len(telling) > MESSAGES_MAX else 0
    calls = [
        one for one in _of_clients(operations) if end_us is None or one.sent_us <= end_us
    ][-CALLS_MAX:]
    noted = [
        one for one in (*_roles(recording), *_of_faults(faults), *_first_mark(marks))
        if one.us >= begin_us and (end_us is None or one.us <= end_us)
    ]
    clients = sorted({one.source for one in calls if one.kind == "request"}, key=_number)
    return _placed(
        (*clients, *recording.members), len(clients), [*calls, *shown], noted,
        left_out=len(telling) - len(shown), heartbeats=len(between) - len(telling),
    )


def _placed(
    names: Sequence[str], clients: int, moved: Sequence[Moved], noted: Sequence[Noted], *,
    left_out: int, heartbeats: int,
) -> SequenceDiagram:
    """Assign a row to every event and a column to every client and member.

    The first `clients` of `names` are clients, and the rest are members.
    """
    last_us = max([one.sent_us for one in moved] + [one.us for one in noted], default=0)
    events: list[tuple[int, int, int]] = []
    for place, sent in enumerate(moved):
        events.append((sent.sent_us, 0, place))
        if sent.arrived_us is not None and sent.sent_us < sent.arrived_us <= last_us:
            events.append((sent.arrived_us, 1, place))
    events += [(one.us, 2, place) for place, one in enumerate(noted)]
    y_of = {
        event: float(TOP_PX + (row + 1) * ROW_PX)
        for row, event in enumerate(sorted(events, key=lambda one: (one[0], one[1] == 2, one)))
    }
    x_of = {name: LEFT_PX + column * COLUMN_PX for column, name in enumerate(names)}
    bottom = TOP_PX + (len(events) + 2) * ROW_PX
    arrows = []
    for place, one in enumerate(moved):
        if one.source not in x_of or one.target not in x_of:
            continue
        sent_y = y_of[one.sent_us, 0, place]
        later = one.arrived_us is not None and one.arrived_us > one.sent_us
        arrived_y = y_of.get((one.arrived_us or 0, 1, place), bottom) if later else sent_y
        arrows.append(_arrow(one, x_of, sent_y, arrived_y))
    notes = [
        Note(x_of.get(one.line, 4) + 6 * bool(one.line), y_of[one.us, 2, place] - 3, one.text,
             one.style)
        for place, one in enumerate(noted)
    ]
    return SequenceDiagram(
        width=LEFT_PX + (len(names) - 1) * COLUMN_PX + RIGHT_PX, height=bottom + ROW_PX,
        lifelines=tuple(
            Lifeline(x_of[name], name, place < clients) for place, name in enumerate(names)
        ),
        arrows=tuple(arrows), notes=tuple(notes), times=tuple(_times(y_of)), left_out=left_out,
        heartbeats=heartbeats,
    )


def _times(y_of: Mapping[tuple[int, int, int], float]) -> Iterator[tuple[float, str]]:
    """Yield the y position and the text of the times at the edge of the diagram.

    Only some rows have a time. A row with a note about all members has no time.
    """
    for row, ((us, kind, _), y) in enumerate(y_of.items()):
        if row % TIMES_EVERY == 0 and kind != 2:
            yield y + 4, f"{us / 1e3:.1f} ms"


def _arrow(one: Moved, x_of: dict[str, int], sent: float, arrived: float) -> Arrow:
    lost = one.arrived_us is None
    x1, x2 = x_of[one.source], x_of[one.target]
    right = x2 > x1
    # The arrow of a lost message ends between the two lines.
    x2_drawn = x1 + (x2 - x1) * 0.6 if lost else x2
    y2 = sent + ROW_PX if lost else max(arrived, sent)
    label = one.text if len(one.text) <= LABEL_CHARACTERS_MAX else (
        one.text[: LABEL_CHARACTERS_MAX - 1] + "…"
    )
    return Arrow(
        kind=one.kind, x1=x1, y1=sent, x2=x2_drawn, y2=y2, lost=lost, label=label, whole=one.text,
        x=x1 + (7 if right else -7), y=sent - 3, anchor="start" if right else "end",
    )


def _between_members(recording: Recording) -> Iterator[Moved]:
    for one in recording.messages:
        yield Moved(
            kind=_kind(one.text), source=one.source, target=one.target, sent_us=one.sent_us,
            arrived_us=one.arrived_us, text=one.text,
        )


def _kind(text: str) -> Kind:
    """Return the kind of a frame, which is a batch of messages between two members.

    The kinds are heartbeat, append, vote and other. A frame is a heartbeat only if it contains
    nothing else.
    """
    parts = text.split("; ")
    if all(part.startswith("heartbeat") for part in parts):
        return "heartbeat"
    if any(part.startswith(("append", "app")) for part in parts):
        return "append"
    return "vote" if any("vote" in part for part in parts) else "other"


def _of_clients(operations: Sequence[Span]) -> Iterator[Moved]:
    """Yield an arrow for the request and one for the answer of each operation."""
    for one in operations:
        client = f"client {one.process}"
        if one.node is None:
            continue
        call = one.call // 1000
        yield Moved(
            kind="request", source=client, target=one.node, sent_us=call, arrived_us=call,
            text=one.request_text(),
        )
        if one.ended is not None:
            ended = one.ended // 1000
            yield Moved(
                kind="answer", source=one.node, target=client, sent_us=ended, arrived_us=ended,
                text=f"{one.outcome}: {one.result_text()}",
            )


def _roles(recording: Recording) -> Iterator[Noted]:
    """Yield a note whenever the role of a member changes."""
    before: dict[str, str] = {}
    for one in recording.moments:
        if before.get(one.member, DOWN) != one.role:
            role = one.role.replace("_", " ")
            text = role if role == DOWN else f"{role}, term {one.term}"
            yield Noted(one.us, one.member, text, one.role)
        before[one.member] = one.role


def _of_faults(faults: Sequence[tuple[int, int | None, str]]) -> Iterator[Noted]:
    for begin, end, name in faults:
        yield Noted(begin, "", f"{name} begins", "fault")
        if end is not None:
            yield Noted(end, "", f"{name} ends", "fault")


def _first_mark(marks: Sequence[tuple[int, str]]) -> Iterator[Noted]:
    if marks:
        us, text = min(marks)
        yield Noted(us, "", text, "anomaly")


def _number(client: str) -> int:
    return int(client.rpartition(" ")[2])
