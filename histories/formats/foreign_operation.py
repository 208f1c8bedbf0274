"""Somebody else's history: its events as they were written down, paired into operations.

What readers of all formats come to. Values are plain: None, bool, int, float, str, list,
dict. A format's own order of lines is the order of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, cast

import msgspec

from splitbrain.histories.errors import HistoryError

Kind = Literal["invoke", "ok", "fail", "info"]
Outcome = Literal["ok", "fail", "info"]


class LoggedEvent(msgspec.Struct, frozen=True, gc=False):
    """One event. `place` is its place among all events of the file, in their order.

    `process` is None for whoever is no client (Jepsen's nemesis).
    """

    place: int
    process: int | None
    type: Kind
    f: str
    value: Any
    time: int | None = None
    error: str | None = None
    node: str | None = None
    line: int = 0


class LoggedOperation(msgspec.Struct, frozen=True, gc=False):
    """What was asked and answered, and between which events.

    `call` and `ret` are places of events (numbers of lines in logs); `ret` is None where
    it is not known to have ended. `argument` is what `f` was given, `answer` what came
    back. `outcome` is as in a history of ours. `key` is "" where the log is of one
    object. `call_ns` and `ended_ns` are the times that were written down, if any were;
    `ended` is the place of the completion, also of one that ended in `info`.
    """

    process: int
    f: str
    key: Any
    argument: Any
    outcome: Outcome
    answer: Any
    call: int
    ret: int | None
    ended: int | None = None
    call_ns: int | None = None
    ended_ns: int | None = None
    error: str | None = None
    node: str | None = None


Made = TypeVar("Made")


def paired(events: Iterable[LoggedEvent], source: str) -> list[LoggedOperation]:
    """Operations in the order of their calls, see `paired_as`."""
    return paired_as(logged_operation, events, source)


def paired_as(
    make: Callable[[LoggedEvent, LoggedEvent | None], Made],
    events: Iterable[LoggedEvent],
    source: str,
) -> list[Made]:
    """What `make` makes of each invocation and its completion (None: there is none), in the
    order of the calls; events of no client are left out.

    Raises HistoryError for a completion without an invocation, or a second invocation
    of one process while its first is under way; `source` is the file, for the message.
    """
    under_way: dict[int, tuple[int, LoggedEvent]] = {}
    operations: list[Made | None] = []
    for event in events:
        process = event.process
        if process is None:
            continue
        if event.type == "invoke":
            if process in under_way:
                earlier = under_way[process][1]
                raise HistoryError(
                    f"{source}:{event.line}: process {process} invokes {event.f} while its "
                    f"operation of line {earlier.line} is still under way; expected one at a time "
                    "(a process that ended in info is retired, and a new number takes its place)"
                )
            under_way[process] = (len(operations), event)
            operations.append(None)
            continue
        begun = under_way.pop(process, None)
        if begun is None:
            raise HistoryError(
                f"{source}:{event.line}: process {process} ends {event.f} without invoking it"
            )
        operations[begun[0]] = make(begun[1], event)
    for place, invoke in under_way.values():
        operations[place] = make(invoke, None)
    return cast("list[Made]", operations)


def logged_operation(invoke: LoggedEvent, end: LoggedEvent | None) -> LoggedOperation:
    outcome: Outcome = "info" if end is None else cast("Outcome", end.type)
    return LoggedOperation(
        process=cast("int", invoke.process),
        f=invoke.f,
        key="",
        argument=invoke.value,
        outcome=outcome,
        answer=end.value if end is not None and outcome == "ok" else None,
        call=invoke.place,
        ret=end.place if end is not None and outcome != "info" else None,
        ended=end.place if end is not None else None,
        call_ns=invoke.time,
        ended_ns=end.time if end is not None else None,
        error=end.error if end is not None and outcome != "ok" else None,
        node=(end.node if end is not None else None) or invoke.node,
    )


def is_keyed(operations: Iterable[LoggedOperation]) -> bool:
    """Whether values are pairs [key, value], as Jepsen's independent tests write them: all
    that was asked is a pair, and a compare-and-swap's second a pair again."""
    some = False
    for op in operations:
        asked = op.argument
        if not (isinstance(asked, list) and len(asked) == 2) or isinstance(asked[0], list):
            return False
        if op.f == "cas" and not (isinstance(asked[1], list) and len(asked[1]) == 2):
            return False
        some = some or op.f != "cas"
    return some


def by_key(operations: Iterable[LoggedOperation]) -> list[LoggedOperation]:
    """Operations whose values are pairs [key, value], with the key apart."""
    return [
        msgspec.structs.replace(
            op, key=frozen(op.argument[0]), argument=op.argument[1], answer=_second(op.answer)
        )
        for op in operations
    ]


def _second(value: Any) -> Any:
    return value[1] if isinstance(value, list) and len(value) == 2 else value


def frozen(value: Any) -> Any:
    """`value` with lists as tuples and maps as tuples of pairs: fit to be a key or a state."""
    if isinstance(value, list | tuple):
        return tuple(frozen(one) for one in value)
    if isinstance(value, dict):
        return tuple((frozen(key), frozen(one)) for key, one in value.items())
    return value
