"""Checks the guarantees of sessions, for registers with one writer each.

Source: Terry et al., Session Guarantees for Weakly Consistent Replicated Data, 1994.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.foreign.conversion import Logged, times_of
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.formats.value_identity import value_text

ANOMALIES_MAX = 50


@dataclass(frozen=True, slots=True)
class _Known:
    """The highest value of a register that a process knows, and the operation that shows it."""

    value: int
    shown_by: ForeignOperation


def check_sessions(
    logged: Logged, timeout_s: float | None = None, *, initial: Any = None
) -> Verdict:
    """A process reads its own writes, only written values, and no older value than before.

    The test must write each register by one client at a time, with increasing values. This is not
    checked. A write without an answer may have happened, so its value may be read. The verdict is
    unknown if no read succeeded. The check is sound and complete for these three guarantees. Its
    cost is linear in the number of operations.
    """
    reads = sum(op.f == "read" and op.outcome == "ok" for op in logged)
    if not reads:
        return Verdict(
            "sessions", None,
            why="no read was answered, so that nothing could have shown a violation",
        )
    kept: list[Anomaly] = []
    kinds: dict[str, int] = {}
    for anomaly in _anomalies(logged, initial):
        kinds[anomaly.kind] = kinds.get(anomaly.kind, 0) + 1
        if kinds[anomaly.kind] <= ANOMALIES_MAX:
            kept.append(anomaly)
    return Verdict("sessions", not kept, tuple(kept), {"reads": reads}, kinds=kinds)


def _anomalies(logged: Logged, initial: Any) -> Iterator[Anomaly]:
    written = {
        (op.key, _number(op, op.argument)) for op in logged
        if op.f == "write" and op.outcome != "fail"
    }
    known: dict[tuple[int, Any], _Known] = {}
    for op in logged:
        if op.outcome != "ok":
            continue
        place = (op.process, op.key)
        before = known.get(place)
        if op.f == "write":
            known[place] = _Known(_number(op, op.argument), op)
            continue
        absent = op.answer is None or op.answer == initial
        value = -1 if absent else _number(op, op.answer)
        if not absent and (op.key, value) not in written:
            yield _anomaly(
                "unwritten-value", op, f"{value}, which no process wrote to this register"
            )
        if before is not None and value < before.value:
            what = "wrote" if before.shown_by.f == "write" else "read"
            kind = "own-write-not-read" if what == "wrote" else "non-monotonic-read"
            yield _anomaly(
                kind, op, f"{value_text(op.answer)}, after the same process {what} {before.value}",
                before.shown_by,
            )
        elif value >= 0:
            known[place] = _Known(value, op)


def _number(op: ForeignOperation, value: object) -> int:
    if type(value) is int:
        return value
    raise HistoryError(
        f"event {op.call}: the {op.f} has the value {value_text(value)}; expected a whole number"
    )


def _anomaly(
    kind: str, op: ForeignOperation, because: str, earlier: ForeignOperation | None = None
) -> Anomaly:
    _, ended = times_of(op)
    shown = (op,) if earlier is None else (earlier, op)
    return Anomaly(
        kind,
        f"process {op.process}'s read of register {value_text(op.key)}, which ended at "
        f"{wording.seconds(ended or 0)}, returned {because}",
        events=tuple(
            at for one in shown for at in (one.call, one.ended) if at is not None
        ),
        members=tuple(dict.fromkeys(one.node for one in shown if one.node)),
    )
