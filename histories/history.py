"""A whole history, read back: operations paired, faults as windows.

A run is written event by event (`splitbrain.histories.recorder`) and judged as a `History`; a file
is read by `splitbrain.histories.reader`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.event import NEMESIS, Event, FaultEvent
from splitbrain.histories.kv import Request, Result
from splitbrain.histories.service import AnyRequest, AnyResult, ServiceOperation, ServiceRequest

Outcome = Literal["ok", "fail", "info"]


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One operation of one client, from its invocation to what became of it.

    `invoked` and `returned` are indexes of events, `call` and `ret` their times in
    ns. An operation with no completion at all (the harness died) has the outcome
    `info`, `returned` None and `ret` None; so has one that ended in `info`, since
    it may take effect at any later time.
    """

    process: int
    f: str
    node: str | None
    outcome: Outcome
    request: Request
    result: Result | None
    error: str | None
    invoked: int
    returned: int | None
    call: int
    ret: int | None
    """When it is certain to have ended: None for an `info`."""
    ended: int | None = None
    """When the client stopped waiting, also for an `info`: for pictures and latencies only."""


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """One fault, from when it was about to begin to when it was healed (None: never)."""

    fault: int
    f: str
    members: tuple[str, ...]
    begin: int
    end: int | None
    detail: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"null"))
    failed: str = ""
    """Why it could not be inflicted, or not be healed."""


@dataclass(frozen=True, slots=True)
class History:
    """Events in the order observed, and what they amount to."""

    events: Sequence[Event]
    """Of a history that was read from a file, made anew when they are first looked at."""
    operations: tuple[Operation, ...]
    faults: tuple[FaultWindow, ...]
    services: tuple[ServiceOperation, ...] = ()
    """Operations of leases, locks and elections, in the order of their invocations."""

    @property
    def end_ns(self) -> int:
        """When the last thing was observed that an operation or a fault tells of; 0: nothing."""
        seen = [op.call if op.ended is None else op.ended for op in self.operations]
        seen += [op.call if op.ended is None else op.ended for op in self.services]
        seen += [fault.begin if fault.end is None else fault.end for fault in self.faults]
        return max(seen, default=0)

    @classmethod
    def read(cls, path: Path) -> History:
        """The history in the JSON Lines file `path`. Raises HistoryError with the line."""
        from splitbrain.histories.reader import read_history

        return read_history(path)

    @classmethod
    def of(cls, events: Iterable[Event]) -> History:
        """Pair invocations with completions. Raises HistoryError where a history is no history."""
        ordered = tuple(events)
        operations, services = _pair(ordered)
        return cls(ordered, tuple(operations), tuple(fault_windows(ordered)), tuple(services))


def read_events(path: Path) -> Iterator[Event]:
    """Events of `path` one by one; a last line cut short by a crash is dropped."""
    decoder = msgspec.json.Decoder(Event)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as problem:
                if not line.endswith(b"\n"):
                    return
                raise HistoryError(
                    f"{path}:{number}: not an event of a history: {problem}. Expected one JSON "
                    'object a line with "index", "time", "process", "type" and "f"'
                ) from problem


def _pair(events: tuple[Event, ...]) -> tuple[list[Operation], list[ServiceOperation]]:
    requests: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)
    results: msgspec.json.Decoder[AnyResult] = msgspec.json.Decoder(AnyResult)
    pending: dict[int, tuple[int, Event, AnyRequest]] = {}
    operations: list[Operation | ServiceOperation | None] = []
    for event in events:
        if event.process == NEMESIS:
            continue
        process = int(event.process)
        try:
            if event.type == "invoke":
                if process in pending:
                    raise HistoryError(
                        f"event {event.index}: process {process} invokes {event.f!r} while its "
                        f"operation of event {pending[process][1].index} is still under way"
                    )
                pending[process] = (len(operations), event, requests.decode(event.value))
                operations.append(None)
                continue
            if process not in pending:
                raise HistoryError(
                    f"event {event.index}: process {process} ends {event.f!r} without invoking it"
                )
            place, invoke, request = pending.pop(process)
            result = results.decode(event.value) if event.type == "ok" else None
        except msgspec.MsgspecError as problem:
            raise HistoryError(
                f"event {event.index}: {bytes(event.value)[:200]!r} is not a value of "
                f"{event.type} {event.f!r}: {problem}"
            ) from problem
        operations[place] = _operation(invoke, request, event, result)
    for place, invoke, request in pending.values():
        operations[place] = _operation(invoke, request, None, None)
    return (
        [one for one in operations if isinstance(one, Operation)],
        [one for one in operations if isinstance(one, ServiceOperation)],
    )


def _operation(
    invoke: Event, request: AnyRequest, end: Event | None, result: AnyResult | None
) -> Operation | ServiceOperation:
    outcome: Outcome = "info" if end is None or end.type == "invoke" else end.type
    made: Any = ServiceOperation if isinstance(request, ServiceRequest) else Operation
    return made(  # type: ignore[no-any-return]
        process=int(invoke.process),
        f=invoke.f,
        node=invoke.node,
        outcome=outcome,
        request=request,
        result=result,
        error=end.error if end else None,
        invoked=invoke.index,
        returned=end.index if end else None,
        call=invoke.time,
        ret=end.time if end and outcome != "info" else None,
        ended=end.time if end else None,
    )


def fault_windows(events: Iterable[Event]) -> list[FaultWindow]:
    """The faults of the nemesis' events among `events`, in the order of their beginnings."""
    decoder = msgspec.json.Decoder(FaultEvent)
    begun: dict[int, FaultWindow] = {}
    in_force: dict[int, None] = {}
    for event in events:
        if event.process != NEMESIS:
            continue
        try:
            value = decoder.decode(event.value)
        except msgspec.MsgspecError:
            continue  # a nemesis of someone else's history; it has no windows
        seen = begun.get(value.fault)
        if seen is None:
            begun[value.fault] = FaultWindow(
                value.fault, event.f, value.members, event.time, None, value.detail
            )
            continue
        if value.phase == "began":
            in_force[value.fault] = None
        # What could not be inflicted is over with that; what could not be healed is not.
        over = value.phase == "ended" or (value.phase == "failed" and value.fault not in in_force)
        begun[value.fault] = FaultWindow(
            seen.fault, seen.f, value.members or seen.members, seen.begin,
            event.time if over else seen.end, seen.detail,
            value.error or event.error or "failed" if value.phase == "failed" else seen.failed,
        )
    return list(begun.values())
