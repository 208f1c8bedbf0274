"""Decides whether a run contains evidence: without evidence, the verdict `evidence` is unknown.

A run is valid only if something in it could have shown a violation. If evidence is missing, the run
gets the verdict `evidence`, which is unknown for one of these reasons:

- No operation succeeded.
- No checker judged the content of answers, because no checker was applicable. `headers`,
  `availability` and `statistics` do not count, because they do not judge the content.
- A function never succeeded, although it was invoked at least `INVOCATIONS_MIN` times. At least
  `SERVED_MIN` of these invocations must have been sent to a member that was able to serve;
  otherwise faults explain the failures. A member was able to serve if it answered two operations
  that need a majority: the last one before the invocation and the first one after it.

Some functions may always fail, such as the revoke of a lease that may have ended. A workload lists
these functions in `may_always_fail`, and a user lists them in `--allow-unanswered`.

Source: Jepsen's checker `stats`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.checkers.verdict import NOT_APPLICABLE, Verdict
from splitbrain.harness.drive.load import LOG_IN
from splitbrain.harness.judging.operation_counts import by_function
from splitbrain.harness.workloads.operations_outside_load import FINAL_WRITE
from splitbrain.histories.history import History, Operation
from splitbrain.histories.service_operation import ServiceOperation

EVIDENCE = "evidence"
INVOCATIONS_MIN = 10
SERVED_MIN = 5
NOT_CONTENT = ("headers", "availability", "statistics")
"""The checkers that judge only the times or the headers of answers, not their content."""


def missing_evidence(
    verdicts: Sequence[Verdict],
    history: History | None = None,
    may_always_fail: Collection[str] | None = None,
) -> Verdict | None:
    """Return an unknown verdict that says which evidence the run lacks; None if it lacks none.

    `verdicts` are the verdicts of the run's checkers. `history` contains the outcomes of the
    operations; if it is None, no outcomes are judged. `may_always_fail` are the functions whose
    operations may all fail; if it is None, no function has to succeed.
    """
    reasons = []
    if history is not None:
        reasons += _no_success(by_function(history))
    reasons += _no_judge(verdicts)
    if history is not None and may_always_fail is not None and not reasons:
        reasons += [
            f"{f}: 0 of {count} ok; if that is right, accept it with --allow-unanswered {f}"
            for f, count in unanswered(history).items() if f not in may_always_fail
        ]
    return Verdict(EVIDENCE, None, why="; ".join(reasons)) if reasons else None


def unanswered(history: History) -> dict[str, int]:
    """Return the functions that never succeeded, with the number of their invocations.

    Functions with few invocations, and functions whose failures are explained by faults, are left
    out. The writes at the end of a run, which `availability` judges, and logins, which the checker
    `auth` judges, are also left out.
    """
    operations = by_function(history)
    tries = {f: sum(row.values()) for f, row in operations.items() if f != "all"}
    suspects = {
        f: count for f, count in tries.items()
        if count >= INVOCATIONS_MIN and not operations[f]["ok"] and f not in (FINAL_WRITE, LOG_IN)
    }
    if not suspects:
        return {}
    served = _served(history, suspects)
    return {f: count for f, count in suspects.items() if served[f] >= SERVED_MIN}


def _served(history: History, functions: Collection[str]) -> Counter[str]:
    """Count the invocations of each of `functions` that were sent to a member able to serve.

    A member was able to serve if it answered two operations that need a majority: the last one
    before the invocation and the first one after it.
    """
    everything: list[Operation | ServiceOperation] = [*history.operations, *history.services]
    by_member: dict[str | None, list[Operation | ServiceOperation]] = {}
    for op in sorted(everything, key=lambda one: one.invoked):
        needs_majority = isinstance(op, ServiceOperation) or must_be_recent(op.request)
        if needs_majority or op.f in functions:
            by_member.setdefault(op.node, []).append(op)
    served: Counter[str] = Counter()
    for ops in by_member.values():
        for f in functions:
            pending, answered = 0, False
            for op in ops:
                if op.f == f:
                    pending += answered
                    continue
                answered = op.outcome == "ok"
                served[f] += pending * answered
                pending = 0
    return served


def _no_success(operations: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the reason why the run is not valid if no operation succeeded; otherwise [].

    The writes at the end of a run do not count, because they are the same in every run.
    """
    rows = {f: row for f, row in operations.items() if f not in ("all", FINAL_WRITE)}
    if any(row["ok"] for row in rows.values()):
        return []
    count = sum(sum(row.values()) for row in rows.values())
    return [f"no operation succeeded: 0 of {count} ok" if count else "there is no operation"]


def _no_judge(verdicts: Sequence[Verdict]) -> list[str]:
    others = [verdict for verdict in verdicts if verdict.checker not in NOT_CONTENT]
    if any(verdict.applies for verdict in others):
        return []
    if not others:
        names = " and ".join(verdict.checker for verdict in verdicts)
        only = f", only {names}" if names else ""
        return [f"no checker judged the answers of the store{only}"]
    whys = "; ".join(
        f"{verdict.checker}: {verdict.why.removeprefix(NOT_APPLICABLE)}" for verdict in others
    )
    return [f"no checker had anything to judge ({whys})"]
