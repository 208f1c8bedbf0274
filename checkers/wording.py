"""Formats operations, changes and times for the messages of checkers."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compact, Delete, Put, Range, Request, Txn
from splitbrain.histories.member_state import Change
from splitbrain.histories.service import ServiceOperation


def seconds(ns: int) -> str:
    """Format a time: `3.200 s`."""
    return f"{ns / 1e9:.3f} s"


def together(count: int) -> str:
    """Return `this operation`, or `these 3 operations together`."""
    return "this operation" if count == 1 else f"these {count} operations together"


VALUE_SHOWN = 60
"""A message shortens a value that has more characters than this."""


def value(text: str) -> str:
    """Format a value: `'40'`. A long value is shown by its beginning and its length."""
    if len(text) <= VALUE_SHOWN:
        return repr(text)
    return f"{text[: VALUE_SHOWN // 2]!r}… ({len(text):,} characters)"


def node(op: Operation) -> str:
    """Return the name of the member, such as `n2`, or `process 3` if the member is unknown."""
    return op.node or f"process {op.process}"


def request(given: Request) -> str:
    """Describe a request: `put r1='40'`, `get r1`, `range [a, c)`, `txn of 2 comparisons`."""
    match given:
        case Put(key, written):
            return f"put {key}={value(written)}"
        case Range(key, end):
            if end == "\0" and key in ("", "\0"):
                return "read of all"
            return f"get {key}" if not end else f"range [{key}, {_end(end)})"
        case Delete(key, end):
            return f"delete {key}" if not end else f"delete [{key}, {_end(end)})"
        case Txn(compare):
            return f"txn of {len(compare)} comparison{'s' * (len(compare) != 1)}"
        case Compact(revision):
            return f"compact {revision}"


def _end(end: str) -> str:
    return "∞" if end == "\0" else end


def operation(op: Operation) -> str:
    """Describe an operation: `process 3's put r1='40' on n2`. `on n2` requires a known member."""
    on = f" on {op.node}" if op.node else ""
    return f"process {op.process}'s {request(op.request)}{on}"


def answered(op: Operation) -> str:
    """Describe an answer: `n3 answered revision 41 at 3.200 s`."""
    revision = op.result.header.revision if op.result else 0
    return f"{node(op)} answered revision {revision} at {seconds(op.ret or 0)}"


def changes(made: Sequence[Change]) -> str:
    """Describe changes: `put r1='40' (create 3, version 2), delete r2`."""
    shown = ", ".join(change(one) for one in made[:4])
    return f"{shown}, …" if len(made) > 4 else shown or "nothing"


def change(made: Change) -> str:
    """Describe a change: `put r1='40' (create 3, version 2)` or `delete r2`."""
    if made.kind == "delete":
        return f"delete {made.key}"
    lease = f", lease {made.lease}" if made.lease else ""
    return (
        f"put {made.key}={value(made.value)} "
        f"(create {made.create_revision}, version {made.version}{lease})"
    )


def indexes(*ops: Operation | ServiceOperation) -> tuple[int, ...]:
    """Return the indexes of the invocations and returns of `ops`, ascending."""
    found = {
        index
        for op in ops
        for index in (op.invoked, op.returned)
        if index is not None
    }
    return tuple(sorted(found))
