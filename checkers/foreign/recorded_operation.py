"""Converts an operation from the log of another tool to an operation of a recorded history.

The indexes of its events are line numbers of the file.
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
    """A value as the text of a key: a text unchanged, any other value as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def times_of(op: ForeignOperation) -> tuple[int, int | None]:
    """The begin and end of `op` in ns. Without times in the log, each event takes a millisecond."""
    call = op.call * MS if op.call_ns is None else op.call_ns
    if op.ended is None:
        return call, None
    return call, op.ended * MS if op.ended_ns is None else max(op.ended_ns, call)


def recorded(
    op: ForeignOperation, request: Request, result: Result | None, f: str = ""
) -> Operation:
    """`op` as the operation `request`. It has the answer `result` if `op` succeeded."""
    call, end = times_of(op)
    return Operation(
        op.process, f or op.f, op.node, op.outcome, request, result if op.outcome == "ok" else None,
        op.error, op.call, op.ended, call, None if op.outcome == "info" else end, end,
    )
