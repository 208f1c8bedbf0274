"""`mvcc`: the history is linearizable and agrees with the MVCC state of the members.

- Revisions are unique and increase along real time.
- Each acknowledged write is in the change log at its revision, with the right version and
  create_revision.
- The change log contains no failed write. Each of its changes can have been made by an operation.
- Each answer shows the state of the store at its revision.
- All members have the same state.

The check is sound and complete. `mvcc/revision_order.py` contains the proof.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.sequential_store import NoPastError
from splitbrain.checkers.mvcc.change_log import ChangeLog, change_log
from splitbrain.checkers.mvcc.compaction import Compactions, check_reached
from splitbrain.checkers.mvcc.convergence import check_members_equal
from splitbrain.checkers.mvcc.replay import Replay
from splitbrain.checkers.mvcc.revision_order import Answers, check_real_time, order_answers
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.history import Operation
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.service_operation import makes_keys

NAME = "mvcc"

AUTOMATIC_COMPACTION = ("compaction_period_ms", "compaction_revisions")
"""The settings with which a store compacts by itself."""


def check_mvcc(evidence: Evidence) -> Verdict:
    """Each answer is that of a sequential store at its revision; no acknowledged write is lost.

    The checker judges the history, and the members' change logs and hashes if they are known. In a
    history with locks or elections, the store creates keys itself, and the checker can only
    compare the members. If the members agree, the verdict on such a history is "not applicable".

    The verdict is unknown in each of these cases:

    - No operation succeeded, and no state of a member is known.
    - The state of a member could not be read, or a member was behind when its state was read.
    - An answer has no revision.
    - Some revisions have no known writer, and the search for their writers reached its limit.
    """
    service = next((op for op in evidence.history.services if makes_keys(op.request)), None)
    findings = Findings()
    with collector_paused():
        check_members_equal(evidence.members, findings)
        if service is not None and not findings.count:
            why = f"event {service.invoked} is a {service.f}, and the store makes its keys itself"
            return not_applicable(NAME, why)
        if service is not None:
            return _verdict(findings, {"members": len(evidence.members)})
        log = change_log(evidence.members, findings)
        # If the store also compacts by itself, the members' states do not show all compactions.
        compacts = any(evidence.settings.get(name) for name in AUTOMATIC_COMPACTION)
        members = () if compacts else evidence.members
        check_operations(
            evidence.history.operations, log, findings, members, evidence.search_limit_s
        )
    counts = _counts(evidence, log, findings)
    found = counts["ok"] or evidence.members
    return with_evidence(_verdict(findings, counts), found, "no operation succeeded")


def check_operations(
    operations: Sequence[Operation],
    log: ChangeLog,
    findings: Findings,
    members: Sequence[MemberState] = (),
    search_limit_s: float = math.inf,
) -> None:
    """Check that the operations are linearizable by their revisions, and agree with the change log.

    The rules are those of `mvcc/revision_order.py` and `mvcc/compaction.py`. Anomalies, and reasons
    why the verdict is unknown, are added to `findings`. If revisions have no known writer, the
    search for their writers ends after `search_limit_s` seconds.
    """
    compactions = Compactions(operations, members)
    refused = compactions.seen_by_refused()
    answers = order_answers(operations, findings, refused)
    without = answers.without
    if without:
        findings.unknown.append(
            f"{len(without)} answers have no revision (the first is event {without[0].returned}), "
            "and this checker orders operations by their revisions"
        )
        return
    if log.final:
        check_reached(refused, log.last, findings)
    check_real_time(answers, findings)
    compactions.check_order(findings)
    compactions.check_reads(findings)
    compactions.check_refusals(answers.certain, findings)
    findings.extend(_replayed(operations, answers, log, compactions, search_limit_s))


def _replayed(
    operations: Sequence[Operation],
    answers: Answers,
    log: ChangeLog,
    compactions: Compactions,
    search_limit_s: float,
) -> Findings:
    for past in (False, True):
        findings = Findings()
        try:
            Replay(
                operations=operations, answers=answers, log=log, findings=findings,
                compacted_before=compactions.certain_before, past=past,
                search_limit_s=search_limit_s,
            ).run()
        except NoPastError:
            continue
        return findings
    raise AssertionError("NoPastError from a store that keeps the past")


def _verdict(findings: Findings, counts: dict[str, int]) -> Verdict:
    anomalies = sorted(findings.anomalies, key=lambda a: a.detail.get("revision", 0))
    return Verdict(
        NAME, findings.valid, tuple(anomalies), counts, why="; ".join(findings.unknown[:5]),
        kinds=findings.by_kind,
    )


def _counts(evidence: Evidence, log: ChangeLog, findings: Findings) -> dict[str, int]:
    outcomes = Counter(op.outcome for op in evidence.history.operations)
    return {
        "operations": len(evidence.history.operations),
        "ok": outcomes["ok"],
        "fail": outcomes["fail"],
        "info": outcomes["info"],
        "uncertain writes that happened": findings.uncertain_applied,
        "members": len(evidence.members),
        "revisions in the change log": max(0, log.last - log.first + 1) if log.changes else 0,
        "anomalies": findings.count,
    }
