"""`limits`: a store refuses exactly the requests that exceed its limits.

    space      While the alarm NOSPACE is raised, requests that put keys are refused for lack of
               space, and no others. The alarm remains until it is cleared. No request is refused
               for lack of space before the backend can be full, even if all uncertain changes took
               effect. No put is acknowledged long after the backend must be full, even if no
               uncertain change took effect.
    room       After all keys were deleted, compacted and defragmented, the backend is small.
    size       A request is refused if and only if it is larger than the limit, or contains more
               operations than the limit.
    corruption No member raises the alarm CORRUPT in a run without faults that change its data.
    retention  Automatic compaction keeps the revisions that it should keep, and removes older
               ones soon. At the end of a run, the members are compacted as far as they should
               be, and not further.

Cost: n log n; the rule about the quota compares each put with the earlier ones. Source: etcd's
quota.go, v3_server.go, apply.go (applierV3Capped) and api/v3compactor.
"""

from __future__ import annotations

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.limits.automatic_compaction import check_retention
from splitbrain.checkers.limits.corruption import check_corruption_alarm
from splitbrain.checkers.limits.last_compaction import check_last_compaction
from splitbrain.checkers.limits.request_sizes import TOO_LARGE, TOO_MANY, check_sizes
from splitbrain.checkers.limits.settings import Limits
from splitbrain.checkers.limits.space_quota import (
    NO_SPACE,
    Space,
    check_alarm,
    check_defragmentation,
    check_full_members,
    check_lists,
    check_quota,
    check_room,
)
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence

NAME = "limits"


def check_limits(evidence: Evidence) -> Verdict:
    """Requests over the store's limits are refused; no other request is refused for a limit.

    The checker applies only to runs whose members have limits in their settings.
    """
    limits, history = Limits.of(evidence.settings), evidence.history
    if not limits.any:
        return not_applicable(NAME, "the members' settings contain no limit")
    found, space = Findings(), Space.of(history)
    for op in history.operations:
        check_sizes(limits, op, found)
        check_alarm(space, op, found)
    check_lists(space, found)
    check_room(limits, space, found)
    check_quota(limits, space, found)
    check_full_members(limits, space, found)
    check_defragmentation(space, found)
    check_corruption_alarm(history, found)
    past = check_retention(limits, history, found)
    check_last_compaction(limits, history, evidence.members, found)
    errors = [op.error or "" for op in history.operations]
    counts = {
        "without space": sum(NO_SPACE in one for one in errors),
        "too large": sum(TOO_LARGE in one or TOO_MANY in one for one in errors),
        "alarms listed": len(space.lists),
        "reads of the past": past,
        "anomalies": found.count,
    }
    verdict = Verdict(
        checker=NAME, valid=found.valid, anomalies=tuple(found.anomalies), counts=counts,
        kinds=found.by_kind,
    )
    succeeded = any(op.outcome == "ok" for op in history.operations)
    return with_evidence(verdict, succeeded, "no operation succeeded")
