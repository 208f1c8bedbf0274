"""An operation of somebody else's log as one that a client of a store recorded.

For checkers of our own histories; events are places in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Request, Result

Logged = Sequence[ForeignOperation]
MS = 1_000_000


def element_text(value: Any) -> str:
    """A value as a key: a text as it is, anything else as its JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def times_of(op: ForeignOperation) -> tuple[int, int | None]:
    """When it began and ended, in ns; without times, a millisecond an event."""
    call = op.call * MS if op.call_ns is None else op.call_ns
    if op.ended is None:
        return call, None
    return call, op.ended * MS if op.ended_ns is None else max(op.ended_ns, call)


def recorded(
    op: ForeignOperation, asked: Request, said: Result | None, f: str = ""
) -> Operation:
    """`op` as if `asked`, and answered by `said` if it was answered."""
    call, end = times_of(op)
    return Operation(
        op.process, f or op.f, op.node, op.outcome, asked, said if op.outcome == "ok" else None,
        op.error, op.call, op.ended, call, None if op.outcome == "info" else end, end,
    )
