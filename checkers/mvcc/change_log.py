"""Joins the change logs of the members to one change log of the cluster."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from splitbrain.checkers.findings import Findings
from splitbrain.checkers.reference_member import readable, reference
from splitbrain.histories.member_state import Change, MemberState

REVISION_MAX = 1 << 61
"""A revision is an int64 in the protocol. Below this limit its rank is an int64, too."""


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """All changes of the revisions `first` to `last`."""

    first: int
    last: int
    changes: Sequence[Change]
    """The changes in the order of their revisions."""
    revisions: NDArray[np.int64]
    """The revision of each change."""
    final: bool = True
    """True if no revision above `last` can have been committed. If so, an acknowledged write with
    a revision above `last` is lost."""

    def covers(self, revision: int) -> bool:
        """Return whether the log contains the changes of `revision`."""
        return self.first <= revision <= self.last

    def by_revision(self) -> Iterator[tuple[int, list[Change]]]:
        """Yield each revision with its changes, in the order of the revisions."""
        for revision, changes in groupby(self.changes, _revision):
            yield revision, list(changes)


NO_LOG = ChangeLog(first=1, last=0, changes=(), revisions=np.array([], np.int64), final=False)


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
    changes, first = known.changes, known.first_revision
    longest = min(readable(members), key=lambda m: m.first_revision)
    if longest.first_revision < first <= longest.revision + 1:
        changes = (*changes, *changes_between(longest, longest.first_revision, first - 1))
        first = longest.first_revision
    revisions = _revisions(changes)
    if np.any(np.diff(revisions) < 0):
        order = np.argsort(revisions, kind="stable")
        changes, revisions = tuple(changes[place] for place in order.tolist()), revisions[order]
    _find_holes(known, max(first, 2), revisions, findings)
    return ChangeLog(
        first=first, last=known.revision, changes=changes, revisions=revisions,
        final=_is_final(members),
    )


def _revisions(changes: Sequence[Change]) -> NDArray[np.int64]:
    count = len(changes)
    try:
        return np.fromiter((one.revision for one in changes), np.int64, count)
    except OverflowError:
        capped = (max(-1, min(one.revision, REVISION_MAX)) for one in changes)
        return np.fromiter(capped, np.int64, count)


def _find_holes(
    known: MemberState, first: int, revisions: NDArray[np.int64], findings: Findings
) -> None:
    end = min(known.revision, REVISION_MAX) + 1
    present = np.append(np.unique(revisions[revisions >= first]), end)
    expected = np.append(first, present[:-1] + 1)
    for place in np.flatnonzero(present > expected).tolist():
        begin, revision = int(expected[place]), int(present[place])
        findings.add(
            "missing revision",
            f"{known.member} is at revision {known.revision}, but its change log contains "
            f"nothing from revision {begin} to {revision - 1}",
            members=(known.member,), revision=begin,
        )


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
