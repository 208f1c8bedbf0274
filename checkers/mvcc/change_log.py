"""Joins the change logs of the members to one change log of the cluster."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from splitbrain.checkers.findings import Findings
from splitbrain.checkers.reference_member import readable, reference
from splitbrain.histories.member_state import Change, MemberState


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """All changes of the revisions `first` to `last`, by revision."""

    first: int
    last: int
    changes: Mapping[int, Sequence[Change]]
    final: bool = True
    """True if no revision above `last` can have been committed. If so, an acknowledged write with
    a revision above `last` is lost."""

    def covers(self, revision: int) -> bool:
        """Return whether the log contains the changes of `revision`."""
        return self.first <= revision <= self.last


NO_LOG = ChangeLog(1, 0, {}, final=False)


def change_log(members: Sequence[MemberState], findings: Findings) -> ChangeLog:
    """Return the change log of the reference member, which is the member with the highest revision.

    Revisions that the reference member has compacted are taken from the member that compacted
    least. The function reports a missing revision as an anomaly.

    The log is marked as final if the state of a majority of the members is known and at least one
    of these members knew a leader. A member without a Raft log counts as a member that knew a
    leader.
    """
    known = reference(members)
    if known is None:
        return NO_LOG
    changes: dict[int, list[Change]] = {}
    first = known.first_revision
    for change in known.changes:
        made = changes.get(change.revision)
        if made is None:
            changes[change.revision] = [change]
        else:
            made.append(change)
    longest = min(readable(members), key=lambda m: m.first_revision)
    if longest.first_revision < first <= longest.revision + 1:
        for change in changes_between(longest, longest.first_revision, first - 1):
            changes.setdefault(change.revision, []).append(change)
        first = longest.first_revision
    _find_holes(known, max(first, 2), changes, findings)
    return ChangeLog(first, known.revision, changes, _is_final(members))


def _find_holes(
    known: MemberState, first: int, changes: dict[int, list[Change]], findings: Findings
) -> None:
    expected = first
    for revision in [*sorted(r for r in changes if r >= first), known.revision + 1]:
        if revision > expected:
            findings.add(
                "missing revision",
                f"{known.member} is at revision {known.revision}, but its change log contains "
                f"nothing from revision {expected} to {revision - 1}",
                members=(known.member,), revision=expected,
            )
        expected = revision + 1


def _is_final(members: Sequence[MemberState]) -> bool:
    known = readable(members)
    if 2 * len(known) <= len(members):
        return False
    return any(member.leader_id or not member.raft_index for member in known)


def changes_between(member: MemberState, first: int, last: int) -> Sequence[Change]:
    """Return the changes of the revisions `first` to `last` in the change log of `member`."""
    changes = member.changes
    start = bisect_left(changes, first, key=_revision)
    return changes[start : bisect_left(changes, last + 1, key=_revision)]


def _revision(change: Change) -> int:
    return change.revision
