"""Creates a history from requests of any service, with their answers and times."""

from __future__ import annotations

import msgspec

from splitbrain.histories.event import Event
from splitbrain.histories.history import History
from splitbrain.histories.service_operation import AnyRequest, AnyResult

Told = tuple[float, float, AnyRequest, AnyResult | str | None]
"""The times of invocation and return in s, the request, and the answer. A text is the error of an
operation that failed. None: the operation has no answer."""


def told(*asked: Told) -> History:
    """The history of operations, each of a new process on n1."""
    events = []
    for process, (call_s, ret_s, request, result) in enumerate(asked):
        kind = "info" if result is None else "fail" if isinstance(result, str) else "ok"
        value = None if isinstance(result, str) else result
        for second, type_, content, error in (
            (call_s, "invoke", request, None), (ret_s, kind, value, result),
        ):
            events.append((second, Event(
                0, round(second * 10**9), process, type_, "any",  # type: ignore[arg-type]
                msgspec.Raw(msgspec.json.encode(content)), "n1",
                error if isinstance(error, str) else None,
            )))
    events.sort(key=lambda one: one[0])
    return History.of(
        msgspec.structs.replace(event, index=index) for index, (_, event) in enumerate(events)
    )
