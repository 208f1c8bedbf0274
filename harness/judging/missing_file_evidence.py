"""Decides whether a history file contains evidence. Without evidence, the verdict is unknown.

A file contains evidence if some answer in it could have violated the checked property.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.history import History
from splitbrain.histories.transaction import Read, Transaction

NAME = "evidence"
WITHOUT_EVIDENCE = ("headers", "statistics", "budget")
"""Checkers that judge headers, times and counts, and not the content of the store's answers."""


def missing_evidence(
    history: History | None,
    transactions: Sequence[Transaction],
    verdicts: Sequence[Verdict],
    named: bool,
) -> tuple[Verdict, ...]:
    """Decide whether anything in the file could have shown a violation.

    Returns () if something could have. Otherwise returns one unknown verdict with the reason.
    `history` is the history in a file of this project; None for a file of another tool.
    `transactions` are the transactions in the file. `named` is True if the user named the checkers.
    If it is False, the checkers in `WITHOUT_EVIDENCE` do not count.
    """
    if transactions and not any(map(_reads, transactions)):
        why = "no completed transaction read anything, so that nothing could have shown a violation"
        return (Verdict(NAME, None, why=why),)
    if history is not None and not _succeeded(history):
        return (Verdict(NAME, None, why="no operation succeeded, so no answer shows anything"),)
    judged = [
        verdict for verdict in verdicts
        if verdict.applies and (named or verdict.checker not in WITHOUT_EVIDENCE)
    ]
    if judged:
        return ()
    return (Verdict(NAME, None, why="no checker found anything to judge"),)


def _reads(transaction: Transaction) -> bool:
    return transaction.outcome == "ok" and any(type(one) is Read for one in transaction.operations)


def _succeeded(history: History) -> bool:
    return any(op.outcome == "ok" for op in history.operations) or any(
        op.outcome == "ok" for op in history.services
    )
