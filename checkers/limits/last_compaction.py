"""Judges the revision to which the members have compacted at the end, for the checker `limits`.

At the end of a run, all faults are healed and clients only read. The workload then waits for long
enough that automatic compaction must have run at the last revision
(`splitbrain.harness.workloads.limits`).
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.limits.automatic_compaction import CLOCKS, LATE_NS, Revisions
from splitbrain.checkers.limits.corruption import is_corrupt
from splitbrain.checkers.limits.settings import Limits
from splitbrain.histories.history import History
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import MemberState


def check_last_compaction(
    limits: Limits, history: History, members: Sequence[MemberState], found: Findings
) -> None:
    """Check that the final states of `members` are compacted far enough, and not too far.

    A member that was compacted too far keeps fewer revisions than it should, and no client has
    requested this compaction.
    """
    states = [one for one in members if one.error is None]
    if not (limits.keep_revisions or limits.keep_ns) or not states:
        return
    if limits.keep_revisions:
        for state in states:
            _check_not_too_far(limits, history, state, found)
    _check_far_enough(limits, history, states, found)


def _check_not_too_far(
    limits: Limits, history: History, state: MemberState, found: Findings
) -> None:
    compacted = state.compact_revision
    requested = any(
        isinstance(op.request, Compact) and op.outcome != "fail"
        and op.request.revision == compacted
        for op in history.operations
    )
    if not requested and compacted > max(0, state.revision - limits.keep_revisions):
        found.add(
            "compacted too far",
            f"{state.member} was compacted to revision {compacted} at the end, but its last "
            f"revision was {state.revision}, it keeps {limits.keep_revisions} revisions, and no "
            f"client had requested a compaction to {compacted}",
            members=(state.member,), revision=compacted,
        )


def _check_far_enough(
    limits: Limits, history: History, states: Sequence[MemberState], found: Findings
) -> None:
    """Report that no member was compacted as far as it must be at the end of the run.

    Let T be a time long before the states were read. At the end, some member must be compacted at
    least as far as was due at T. The rule is judged only if the cluster acknowledged a request
    between the last fault and T. It is not judged if an answer lists the alarm CORRUPT, because
    nothing is compacted then.
    """
    ended = [window.end for window in history.faults]
    if None in ended or is_corrupt(history):
        return
    if limits.keep_ns and any(window.f in CLOCKS for window in history.faults):
        return
    healed = max((end for end in ended if end is not None), default=0)
    last = max((op.call for op in history.operations), default=0)
    since = last - 2 * limits.interval_ns - LATE_NS
    if since < 0 or not any(
        op.outcome == "ok" and op.call >= healed and op.ret is not None and op.ret <= since
        for op in history.operations
    ):
        return
    lowest = Revisions(history).at_least(since)
    highest = max(states, key=lambda one: one.compact_revision)
    if highest.compact_revision < lowest - limits.keep_revisions:
        found.add(
            "not compacted",
            f"{highest.member} was compacted to revision {max(0, highest.compact_revision)} at the "
            f"end, and no member was compacted further, although the store had at least revision "
            f"{lowest} by {wording.seconds(since)}, which is "
            f"{wording.seconds(last - since)} before the last read",
            members=(highest.member,), revision=lowest,
        )
