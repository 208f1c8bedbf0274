"""Pairs the events of a history into spans: operations in the form in which a report shows them.

`splitbrain.histories.history` raises an error if the events do not form a history. The function
`pair` of this module accepts any events, because reports matter most for runs that went wrong.
Values are not decoded into types, because workloads may use any JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from splitbrain.harness.report.value_text import answer_text, clip, request_text
from splitbrain.histories.event import NEMESIS, Event
from splitbrain.histories.history import Outcome


class Span(msgspec.Struct, frozen=True, gc=False):
    """One operation: its request, its result, and its times in ns since the start of the run."""

    process: int
    f: str
    node: str | None
    outcome: Outcome
    request: bytes
    """The JSON value of the invocation."""
    answer: bytes
    """The JSON value of the completion if the outcome is `ok`; otherwise empty."""
    error: str | None
    invoked: int
    """The index of the invocation's event."""
    returned: int | None
    """The index of the completion's event."""
    call: int
    """The time of the invocation."""
    ended: int | None
    """The time at which the client stopped waiting, also for an `info`. None if the run ended
    before that time."""

    @property
    def latency_ms(self) -> float | None:
        return None if self.ended is None else (self.ended - self.call) / 1e6

    def request_text(self) -> str:
        """Return the request as text, such as `put r1=40`; `f` if the invocation has no value."""
        return request_text(self.request) or clip(self.f)

    def result_text(self) -> str:
        """Return the answer of an operation with outcome `ok` as short text; otherwise the error.

        If there is no error text, a word for the outcome is returned.
        """
        if self.outcome == "ok":
            return answer_text(self.answer)
        return clip(self.error or ("refused" if self.outcome == "fail" else "no answer"))


def pair(events: Iterable[Event]) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """Pair each invocation with its completion.

    Returns the operations in the order of their invocations, and sentences about events that cannot
    be paired. If a process invokes an operation before its previous operation completed, the
    previous operation gets the outcome `info`. A completion without an invocation is left out.
    """
    pending: dict[int, tuple[int, Event]] = {}
    spans: list[Span | None] = []
    without_invocation: list[int] = []
    before_completion: list[int] = []
    for event in events:
        if event.process == NEMESIS:
            continue
        process = int(event.process)
        begun = pending.pop(process, None)
        if event.type == "invoke":
            if begun is not None:
                before_completion.append(event.index)
                spans[begun[0]] = _span(begun[1], None)
            pending[process] = (len(spans), event)
            spans.append(None)
        elif begun is None:
            without_invocation.append(event.index)
        else:
            spans[begun[0]] = _span(begun[1], event)
    for place, invoke in pending.values():
        spans[place] = _span(invoke, None)
    problems = [
        *_problem(without_invocation, "completions have no invocation and are left out"),
        *_problem(before_completion, "invocations came before the process's previous completion"),
    ]
    return tuple(span for span in spans if span is not None), tuple(problems)


def _span(invoke: Event, end: Event | None) -> Span:
    outcome: Outcome = "info" if end is None or end.type == "invoke" else end.type
    return Span(
        process=int(invoke.process),
        f=invoke.f,
        node=invoke.node,
        outcome=outcome,
        request=bytes(invoke.value),
        answer=bytes(end.value) if end is not None and outcome == "ok" else b"",
        error=end.error if end is not None else None,
        invoked=invoke.index,
        returned=end.index if end is not None else None,
        call=invoke.time,
        ended=max(end.time, invoke.time) if end is not None else None,
    )


def _problem(indexes: list[int], sentence: str) -> list[str]:
    if not indexes:
        return []
    first = ", ".join(str(index) for index in indexes[:5])
    return [f"history.jsonl: {len(indexes)} {sentence} (events {first}{' …' * (len(indexes) > 5)})"]


def last_time_ns(spans: Sequence[Span]) -> int:
    """Return the time in ns of the last invocation or completion; 0 if there are no operations."""
    return max((max(span.call, span.ended or 0) for span in spans), default=0)


def lanes(spans: Sequence[Span]) -> dict[int, int]:
    """Return the row of each process in a figure.

    After an `info`, a client continues as a new process. To save space, a new process gets the row
    of an earlier process that ended with an `info`. The operations of a row never overlap.
    """
    first: dict[int, int] = {}
    last: dict[int, Span] = {}
    for span in spans:
        first.setdefault(span.process, span.call)
        last[span.process] = span
    row: dict[int, int] = {}
    free_rows: list[int] = []
    retirements = sorted(
        (span.ended, process)
        for process, span in last.items()
        if span.outcome == "info" and span.ended is not None
    )
    waiting = 0
    rows = 0
    for process in sorted(first, key=lambda process: (first[process], process)):
        while waiting < len(retirements) and retirements[waiting][0] <= first[process]:
            old_process = retirements[waiting][1]
            waiting += 1
            if old_process in row:
                free_rows.append(row[old_process])
        if free_rows:
            row[process] = free_rows.pop()
        else:
            row[process] = rows
            rows += 1
    order = {old: new for new, old in enumerate(dict.fromkeys(row[p] for p in sorted(row)))}
    return {process: order[old] for process, old in row.items()}


def span_columns(spans: Sequence[Span]) -> dict[str, list[Any]]:
    """Return the fields of the operations that a tooltip shows: a list for each field.

    Times are in µs.
    """
    return {
        "event": [span.invoked for span in spans],
        "returned": [span.returned for span in spans],
        "process": [span.process for span in spans],
        "node": [span.node or "" for span in spans],
        "outcome": [span.outcome for span in spans],
        "call_us": [span.call // 1_000 for span in spans],
        "took_us": [None if s.ended is None else (s.ended - s.call) // 1_000 for s in spans],
        "request": [span.request_text() for span in spans],
        "result": [span.result_text() for span in spans],
    }
