"""Combines the invocations and the completions of a history into operations.

An operation without a completion, or with an indeterminate one (`info`), has no end: it may take
effect at any later time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.event import NEMESIS, Event
from splitbrain.histories.operation import Operation, Outcome
from splitbrain.histories.service_operation import (
    AnyRequest,
    AnyResult,
    ServiceOperation,
    ServiceRequest,
)


def pair_events(events: Iterable[Event]) -> tuple[list[Operation], list[ServiceOperation]]:
    """Pair invocations with completions, in the order of the invocations.

    Returns the operations of the key-value service and those of the other services. Raises
    HistoryError for an event that does not fit the events before it, such as a completion without
    an invocation. HistoryError is also raised for a value that is neither a request nor an answer.
    """
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
                        f"operation of event {pending[process][1].index} is still pending; "
                        "expected one operation of a process at a time"
                    )
                pending[process] = (len(operations), event, requests.decode(event.value))
                operations.append(None)
                continue
            if process not in pending:
                raise HistoryError(
                    f"event {event.index}: process {process} completes {event.f!r} without an "
                    'invocation; expected an event of the type "invoke" before it'
                )
            place, invoke, request = pending.pop(process)
            result = results.decode(event.value) if event.type == "ok" else None
        except msgspec.MsgspecError as problem:
            expected = "an answer" if event.type == "ok" else "a request"
            raise HistoryError(
                f"event {event.index}: the value {bytes(event.value)[:200]!r} of the {event.type} "
                f"of {event.f!r} is not valid: {problem}. Expected {expected} as in "
                "docs/reference/history-format.md"
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
    make: Any = ServiceOperation if isinstance(request, ServiceRequest) else Operation
    return make(  # type: ignore[no-any-return]
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
