"""Converts an operation from the log of another tool to an operation of a recorded history.

The event indexes of the converted operation are line numbers of the file.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Request, Result

Logged = Sequence[ForeignOperation]
MS = 1_000_000


def times_of(op: ForeignOperation) -> tuple[int, int | None]:
    """Return the times in ns at which `op` was invoked and ended. The end is None if it is unknown.

    If the log has no times, events are taken to be 1 ms apart.
    """
    call = op.call * MS if op.call_ns is None else op.call_ns
    if op.ended is None:
        return call, None
    return call, op.ended * MS if op.ended_ns is None else max(op.ended_ns, call)


def recorded(
    op: ForeignOperation, request: Request, result: Result | None, f: str = ""
) -> Operation:
    """Convert `op` to a recorded operation with `request`.

    The recorded operation has the answer `result` if `op` succeeded. Its function is `f`, or the
    function of `op` if `f` is empty.
    """
    call, end = times_of(op)
    return Operation(
        process=op.process, f=f or op.f, node=op.node, outcome=op.outcome, request=request,
        result=result if op.outcome == "ok" else None, error=op.error, invoked=op.call,
        returned=op.ended, call=call, ret=None if op.outcome == "info" else end, ended=end,
    )
