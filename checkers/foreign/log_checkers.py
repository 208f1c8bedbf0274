"""Lists the checkers for runs with a user's client. The log of such a run has plain values."""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.checkers.evidence import Checker, Evidence
from splitbrain.checkers.foreign.bank import check_bank
from splitbrain.checkers.foreign.linearizable import check_mutexes, check_registers
from splitbrain.checkers.foreign.models import LogChecker
from splitbrain.checkers.foreign.objects import (
    check_counters,
    check_generated_ids,
    check_queues,
    check_sets,
)
from splitbrain.checkers.foreign.sessions import check_sessions
from splitbrain.checkers.service_level.budget import check_budget
from splitbrain.checkers.service_level.statistics import check_statistics
from splitbrain.checkers.transactions import NAME as TRANSACTIONS
from splitbrain.checkers.transactions import check_transactions
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.formats.jepsen_transactions import transactions_of


def _of_log(checker: LogChecker) -> Checker:
    def check(evidence: Evidence) -> Verdict:
        return checker(evidence.log, evidence.search_limit_s)

    check.__doc__ = checker.__doc__
    return check


def _bank(evidence: Evidence) -> Verdict:
    """Every read of all accounts has the same total, and no account is negative."""
    return check_bank(evidence.log, initial=evidence.initial)


def _transactions(evidence: Evidence) -> Verdict:
    """Transactions satisfy the consistency model of the workload."""
    found = transactions_of([op for op in evidence.log if op.f == "txn"])
    return check_transactions(found, evidence.consistency)


LOG_CHECKERS: Mapping[str, Checker] = {
    "linearizable": _of_log(check_registers),
    "mutex": _of_log(check_mutexes),
    "set_full": _of_log(check_sets),
    "queue": _of_log(check_queues),
    "counter": _of_log(check_counters),
    "unique_ids": _of_log(check_generated_ids),
    "sessions": _of_log(check_sessions),
    "bank": _bank,
    TRANSACTIONS: _transactions,
    "statistics": check_statistics,
    "budget": check_budget,
}
"""Name → checker. Each checker judges `Evidence.log`, or the times in `Evidence.history`."""
