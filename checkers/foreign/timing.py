"""Converts a log to a history without values, for the checkers `statistics` and `budget`."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.foreign.conversion import Logged, times_of
from splitbrain.histories.history import History
from splitbrain.histories.history import Operation as Recorded
from splitbrain.histories.kv import Put
from splitbrain.histories.transaction import Transaction


def has_times(logged: Logged) -> bool:
    """Return whether the log contains times."""
    return any(op.call_ns for op in logged)


def timed_history(logged: Logged) -> History:
    """Return a history that contains only the times and outcomes of the operations in a log.

    The history is empty if the log has no times.
    """
    if not has_times(logged):
        return History((), (), ())
    return History((), tuple(
        Recorded(
            op.process, op.f, op.node, op.outcome, NOTHING, None, op.error, op.call, op.ended,
            begin, None if op.outcome == "info" else end, end,
        )
        for op in logged
        for begin, end in (times_of(op),)
    ), ())


def timed_transactions(transactions: Sequence[Transaction]) -> History:
    """Return a history that contains only the times and outcomes of `transactions`.

    The history is empty if the transactions have no times.
    """
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
"""The request of every operation. No checker of times reads it."""
