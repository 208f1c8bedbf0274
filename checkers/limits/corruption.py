"""Judges the alarm that a member raises when its data differs from that of another member."""

from __future__ import annotations

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.histories.history import History
from splitbrain.histories.maintenance import AlarmListResult

CORRUPT = "CORRUPT"
DAMAGE = frozenset(("storage",))
"""The kinds of faults that change the data of a member."""


def is_corrupt(history: History) -> bool:
    """Return whether an answer lists the alarm CORRUPT."""
    return any(
        one.kind == CORRUPT
        for op in history.services if isinstance(op.result, AlarmListResult)
        for one in op.result.alarms
    )


def check_corruption_alarm(history: History, found: Findings) -> None:
    """Report each answer that lists the alarm CORRUPT, unless a fault of the run changes data.

    If the data of two members really differs, the checker `mvcc` reports this, too.
    """
    if any(window.f in DAMAGE for window in history.faults):
        return
    for op in history.services:
        if not isinstance(op.result, AlarmListResult):
            continue
        corrupt = [one.member for one in op.result.alarms if one.kind == CORRUPT]
        if corrupt:
            found.add(
                "corruption alarm",
                f"{op.node} listed the alarm CORRUPT of the member {min(corrupt):x} at "
                f"{wording.seconds(op.ret or 0)}, although no fault has changed the data of a "
                "member",
                op,
            )
