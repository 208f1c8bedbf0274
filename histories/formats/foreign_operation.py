"""Defines the events and operations that the readers of other tools' histories return.

Values are plain: None, bool, int, float, str, list and dict, or a subclass that
`splitbrain.histories.formats.value_identity` defines. The order of the lines of a file is the order
of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, cast

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.value_identity import identity

Kind = Literal["invoke", "ok", "fail", "info"]
Outcome = Literal["ok", "fail", "info"]


ARGUMENT_EXPECTED = frozenset(("write", "cas", "add", "enqueue", "put", "append", "txn"))
"""Functions whose invocation must have a value."""
ANSWER_EXPECTED = frozenset(("read", "get", "generate", "dequeue", "drain", "txn"))
"""Functions whose completion `ok` must have a value. The value may be nil."""
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""The byte order mark, which may be the first character of a text file. Readers skip it."""


class ForeignEvent(msgspec.Struct, frozen=True, gc=False):
    """One event. `place` is its position among all events of the file, from 0.

    `process` is None if the event belongs to no client, for example an event of Jepsen's nemesis.
    `line` is the number of the event's line, from 1, for messages. `time` is in ns. `key` is the
    value of the event's field `key`, which names an object. It is None without such a field.
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
    key: Any = None


class ForeignOperation(msgspec.Struct, frozen=True, gc=False):
    """One operation: its function, argument and answer, and the events between which it ran.

    `call` and `ret` are positions of events (line numbers in logs). `ret` is None if the operation
    may take effect at any later time. `ended` is the position of the completion, also if the
    operation ended in `info`. `call_ns` and `ended_ns` are the times in the file, in ns, or None.

    `argument` is the argument of the function `f`, and `answer` is its result. `outcome` has the
    same meaning as in a history of this project. `key` is "" if the history is about a single
    object.
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


T = TypeVar("T")


def pair_operations(events: Iterable[ForeignEvent], source: str) -> list[ForeignOperation]:
    """Return the operations whose invocations and completions are `events`, in the order of calls.

    `source` is the file's name for messages. `pair_events_as` describes the errors.
    """
    return pair_events_as(foreign_operation, events, source)


def pair_events_as(
    make: Callable[[ForeignEvent, ForeignEvent | None], T],
    events: Iterable[ForeignEvent],
    source: str,
) -> list[T]:
    """Pair each invocation with its completion, in the order of the calls.

    `make` is called with the two events of each pair, and the results of these calls are returned.
    If an invocation has no completion, the second event is None. Events that do not belong to a
    client are left out. Raises HistoryError for a completion without an invocation, and for a
    second invocation of a process while its first is pending. `source` is the file's name for the
    message.
    """
    pending: dict[int, tuple[int, ForeignEvent]] = {}
    operations: list[T | None] = []
    for event in events:
        process = event.process
        if process is None:
            continue
        if event.type == "invoke":
            if process in pending:
                earlier = pending[process][1]
                raise HistoryError(
                    f"{source}:{event.line}: process {process} invokes {event.f} while its "
                    f"operation of line {earlier.line} is still pending: expected one operation of "
                    "a process at a time (use a new process number after an info)"
                )
            pending[process] = (len(operations), event)
            operations.append(None)
            continue
        found = pending.pop(process, None)
        if found is None:
            raise HistoryError(
                f"{source}:{event.line}: process {process} completes {event.f} without an "
                "invocation: expected an event of the type invoke before it"
            )
        place, invoke = found
        if event.f != invoke.f or event.key is not None:
            _check_same_operation(invoke, event, source)
        operations[place] = make(invoke, event)
    for place, invoke in pending.values():
        operations[place] = make(invoke, None)
    return cast("list[T]", operations)


def _check_same_operation(invoke: ForeignEvent, end: ForeignEvent, source: str) -> None:
    """Raise HistoryError if `end` is a completion of another function or key than `invoke`."""
    for name, one, other in (
        ("function", invoke.f, end.f),
        ("key", identity(invoke.key), identity(end.key)),
    ):
        if one != other:
            raise HistoryError(
                f"{source}:{end.line}: process {end.process} completes an operation with the "
                f"{name} {other}: expected {one}, as in its invocation on line {invoke.line}"
            )


def check_client(process: int | None, name: object, kind: Kind) -> None:
    """Raise HistoryError if an event belongs neither to a client nor to the nemesis.

    `process` is the number of the client, or None if the process in the file is not a number.
    `name` is the process as the file contains it. An event belongs to the nemesis if its process is
    a name and its type, `kind`, is `info`.
    """
    if process is not None:
        return
    if not isinstance(name, str) or name.removeprefix(":").lstrip("-").isdigit():
        raise HistoryError(
            f"the process is {_shown(name)}: expected a number for a client, or a name such as "
            "nemesis"
        )
    if kind != "info":
        raise HistoryError(
            f"the process {_shown(name)} has an event of the type {kind}: expected a number for a "
            "client; only events of the type info may have a name"
        )


def check_value_present(f: str, kind: Kind) -> None:
    """Raise HistoryError if an event without a value must have a value.

    `f` is the function of the event, and `kind` is its type. For example, the invocation of a
    `write` and the completion of a `read` must have a value.
    """
    if kind == "invoke" and f in ARGUMENT_EXPECTED:
        raise HistoryError(f"the invocation of {f} has no value: expected its argument")
    if kind == "ok" and f in ANSWER_EXPECTED:
        raise HistoryError(f"the completion of {f} has no value: expected what it returned, or nil")


def check_index(index: int, last: int) -> int:
    """Return `index`. Raises HistoryError unless it is greater than the previous index, `last`."""
    if index <= last:
        raise HistoryError(
            f"the index is {index} after {last}: expected indexes that increase from line to line"
        )
    return index


def _shown(name: object) -> str:
    return "nil" if name is None else repr(name)


def foreign_operation(invoke: ForeignEvent, end: ForeignEvent | None) -> ForeignOperation:
    """Return the operation of an invocation and its completion; `end` is None if there is none."""
    outcome: Outcome = "info" if end is None else cast("Outcome", end.type)
    return ForeignOperation(
        process=cast("int", invoke.process),
        f=invoke.f,
        key="" if invoke.key is None else identity(invoke.key),
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


def is_keyed(operations: Iterable[ForeignOperation]) -> bool:
    """Return whether the values are pairs [key, value], as in Jepsen's independent tests.

    Every argument must be a pair. The argument of a compare-and-swap must be [key, [old, new]]. The
    result is False if the history contains only compare-and-swaps.
    """
    has_other = False
    for op in operations:
        argument = op.argument
        if not (isinstance(argument, list) and len(argument) == 2) or isinstance(argument[0], list):
            return False
        if op.f == "cas" and not (isinstance(argument[1], list) and len(argument[1]) == 2):
            return False
        has_other = has_other or op.f != "cas"
    return has_other


def by_key(operations: Iterable[ForeignOperation]) -> list[ForeignOperation]:
    """Move the key of each value [key, value] of `operations` to the field `key`."""
    return [
        msgspec.structs.replace(
            op, key=identity(op.argument[0]), argument=op.argument[1], answer=_second(op.answer)
        )
        for op in operations
    ]


def _second(value: Any) -> Any:
    return value[1] if isinstance(value, list) and len(value) == 2 else value
