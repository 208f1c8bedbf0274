"""Operations as a picture needs them: from when to when, what was asked and answered.

Unlike `splitbrain.histories.history`, which refuses what is no history, pairing here takes any
events: a report is wanted most of a run that went wrong. Values stay as they stand,
also those of a workload that is not about keys and values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from splitbrain.harness.report.value_text import answer_text, clip, request_text
from splitbrain.histories.event import NEMESIS, Event
from splitbrain.histories.history import Outcome

NS_PER_S = 1e9


class Span(msgspec.Struct, frozen=True, gc=False):
    """One operation. Times are ns since the start of the run.

    `ended` is when the client stopped waiting, also for an `info`, and None for one
    that the run's end cut off.
    """

    process: int
    f: str
    node: str | None
    outcome: Outcome
    request: bytes
    answer: bytes
    error: str | None
    invoked: int
    returned: int | None
    call: int
    ended: int | None

    @property
    def latency_ms(self) -> float | None:
        return None if self.ended is None else (self.ended - self.call) / 1e6

    def asked(self) -> str:
        return request_text(self.request) or clip(self.f)

    def answered(self) -> str:
        """The answer of an `ok`; for others the error, or that none came."""
        if self.outcome == "ok":
            return answer_text(self.answer)
        return clip(self.error or ("refused" if self.outcome == "fail" else "no answer"))


def pair(events: Iterable[Event]) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """Operations in the order of their invocations, and what did not fit, in words.

    An invocation by a process whose last one is still under way ends that one as
    `info`; a completion that nobody invoked is left out.
    """
    pending: dict[int, tuple[int, Event]] = {}
    spans: list[Span | None] = []
    orphans: list[int] = []
    overrun: list[int] = []
    for event in events:
        if event.process == NEMESIS:
            continue
        process = int(event.process)
        begun = pending.pop(process, None)
        if event.type == "invoke":
            if begun is not None:
                overrun.append(event.index)
                spans[begun[0]] = _span(begun[1], None)
            pending[process] = (len(spans), event)
            spans.append(None)
        elif begun is None:
            orphans.append(event.index)
        else:
            spans[begun[0]] = _span(begun[1], event)
    for place, invoke in pending.values():
        spans[place] = _span(invoke, None)
    odd = [
        *_odd(orphans, "completions that nobody invoked, left out"),
        *_odd(overrun, "invocations by a process whose last operation had not ended"),
    ]
    return tuple(span for span in spans if span is not None), tuple(odd)


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


def _odd(indexes: list[int], what: str) -> list[str]:
    if not indexes:
        return []
    first = ", ".join(str(index) for index in indexes[:5])
    return [f"history.jsonl: {len(indexes)} {what} (events {first}{' …' * (len(indexes) > 5)})"]


def last_time_ns(spans: Sequence[Span]) -> int:
    """When the last thing that a client saw happened."""
    return max((max(span.call, span.ended or 0) for span in spans), default=0)


def lanes(spans: Sequence[Span]) -> dict[int, int]:
    """The row of each process: its own, or that of a retired process whose place it took.

    A process is retired by an `info`, and a new number takes its place, so that each
    row is one client with never more than one operation at a time.
    """
    first: dict[int, int] = {}
    last: dict[int, Span] = {}
    for span in spans:
        first.setdefault(span.process, span.call)
        last[span.process] = span
    row: dict[int, int] = {}
    retired: list[tuple[int, int]] = []
    retirements = sorted(
        (span.ended, process)
        for process, span in last.items()
        if span.outcome == "info" and span.ended is not None
    )
    waiting = 0
    rows = 0
    for process in sorted(first, key=lambda process: (first[process], process)):
        while waiting < len(retirements) and retirements[waiting][0] <= first[process]:
            ended, gone = retirements[waiting]
            waiting += 1
            if gone in row:
                retired.append((ended, row[gone]))
        if retired:
            row[process] = retired.pop()[1]
        else:
            row[process] = rows
            rows += 1
    order = {old: new for new, old in enumerate(dict.fromkeys(row[p] for p in sorted(row)))}
    return {process: order[old] for process, old in row.items()}
