"""Checks transfers between accounts: no read of all accounts shows a wrong total.

Source: Jepsen's bank test, and Adya 1999 for the anomaly (read skew, or lost updates of accounts).
"""

from __future__ import annotations

from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.foreign.conversion import Logged, times_of
from splitbrain.checkers.verdict import Anomaly, Verdict
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.formats.value_identity import value_text

ANOMALIES_MAX = 50


def check_bank(
    logged: Logged, timeout_s: float | None = None, *, initial: Any = None
) -> Verdict:
    """Every read of all accounts has the same total, and no account is negative.

    The expected total is `initial`. If `initial` is None, it is the total of the first read. The
    verdict is unknown if no read succeeded. Linear in the number of reads. Raises HistoryError if a
    read returned no balances.
    """
    if initial is not None and type(initial) is not int:
        raise HistoryError(
            f"a bank cannot start with {value_text(initial)}: expected its total, a whole number"
        )
    reads = [op for op in logged if op.f == "read" and op.outcome == "ok"]
    if not reads:
        return Verdict(
            "bank", None,
            why="no read of the accounts was answered, so nothing could have shown a violation",
        )
    total = initial
    found: list[Anomaly] = []
    kinds: dict[str, int] = {}
    for op in reads:
        balances = _balances(op)
        shown = sum(balances.values())
        total = shown if total is None else total
        reasons = []
        if shown != total:
            reasons.append(("wrong-total", f"the total is {shown}, expected {total}"))
        overdrawn = {name: amount for name, amount in balances.items() if amount < 0}
        if overdrawn:
            text = ", ".join(f"{name} has {amount}" for name, amount in overdrawn.items())
            reasons.append(("negative-balance", f"account {text}"))
        for kind, reason in reasons:
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] <= ANOMALIES_MAX:
                found.append(_anomaly(kind, op, balances, reason))
    return Verdict(
        "bank", not found, tuple(found), {"reads": len(reads), "total": total}, kinds=kinds
    )


def _balances(op: ForeignOperation) -> dict[str, int]:
    answer = op.answer
    if isinstance(answer, dict) and all(type(amount) is int for amount in answer.values()):
        return {str(name): amount for name, amount in answer.items()}
    raise HistoryError(
        f"event {op.ended}: the read of the accounts returned {value_text(answer)}; expected "
        "account → balance, with whole numbers"
    )


def _anomaly(
    kind: str, op: ForeignOperation, balances: dict[str, int], reason: str
) -> Anomaly:
    _, ended = times_of(op)
    return Anomaly(
        kind,
        f"process {op.process}'s read of the accounts, which ended at "
        f"{wording.seconds(ended or 0)}, returned {value_text(balances)}: {reason}",
        events=(op.call,) if op.ended is None else (op.call, op.ended),
        members=() if op.node is None else (op.node,),
    )
