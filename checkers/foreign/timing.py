"""The times and outcomes of a log, as a history without values."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.foreign.recorded_operation import Logged, times_of
from splitbrain.histories.history import History
from splitbrain.histories.history import Operation as Recorded
from splitbrain.histories.kv import Put
from splitbrain.histories.transaction import Transaction


def has_times(logged: Logged) -> bool:
    return any(op.call_ns for op in logged)


def timed_history(logged: Logged) -> History:
    """The times and outcomes of a log, without its values: for statistics and budgets."""
    if not has_times(logged):
        return History((), (), ())
    return History((), tuple(
        Recorded(
            op.process, op.f, op.node, op.outcome, NOTHING, None, op.error, op.call, op.ended,
            begun, None if op.outcome == "info" else end, end,
        )
        for op in logged
        for begun, end in (times_of(op),)
    ), ())


def timed_transactions(transactions: Sequence[Transaction]) -> History:
    """The same of transactions; () without times."""
    if not any(one.call_ns > 0 for one in transactions):
        return History((), (), ())
    return History((), tuple([
        Recorded(
            one.process, "txn", one.node or None, one.outcome, NOTHING, None, None, one.invoked,
            one.returned, one.call_ns, None if one.outcome == "info" else one.ended_ns,
            one.ended_ns,
        )
        for one in transactions
    ]), ())


NOTHING = Put("")
