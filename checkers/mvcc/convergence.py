"""All members hold the same: their change logs, revisions and hashes.

Members are compared with the one that stands at the highest revision. A member behind
it is an anomaly only if it has applied as much of the Raft log; else its state was
taken too early to say, and the verdict is undecided.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.mvcc.change_match import same_changes
from splitbrain.checkers.mvcc.revisions import NO_LOG, ChangeLog, Findings
from splitbrain.histories.member_state import Change, MemberState


def readable(members: Sequence[MemberState]) -> list[MemberState]:
    return [member for member in members if member.error is None]


def reference(members: Sequence[MemberState]) -> MemberState | None:
    """The member that knows most: the highest revision, then the longest change log."""
    asked = readable(members)
    return min(asked, key=lambda m: (-m.revision, m.first_revision)) if asked else None


def check_members_equal(members: Sequence[MemberState], findings: Findings) -> None:
    """Compare each member with the reference, and hashes with one another."""
    for member in members:
        if member.error is not None:
            findings.unknown.append(f"{member.member} could not be asked: {member.error}")
    known = reference(members)
    if known is None:
        return
    for member in readable(members):
        if member is not known:
            _compare(known, member, findings)
    _compare_hashes(readable(members), findings)


def _compare(known: MemberState, member: MemberState, findings: Findings) -> None:
    if member.revision < known.revision:
        if _applied_as_much(member, known):
            findings.add(
                "diverged",
                f"{member.member} has applied the log up to {member.raft_applied_index}, "
                f"{known.member} up to {known.raft_applied_index}, but {member.member} stands at "
                f"revision {member.revision} and {known.member} at {known.revision}",
                members=(known.member, member.member), revision=member.revision + 1,
            )
        else:
            findings.unknown.append(
                f"{member.member} was behind when its state was taken: revision {member.revision}, "
                f"{known.member} had {known.revision}"
            )
    revision = first_divergence(known, member)
    if revision is not None:
        findings.add(
            "diverged",
            f"at revision {revision} {known.member} holds "
            f"{wording.changes(_at(known, revision))} and {member.member} "
            f"{wording.changes(_at(member, revision))}",
            members=(known.member, member.member), revision=revision,
        )


def _applied_as_much(member: MemberState, known: MemberState) -> bool:
    settled = known.raft_applied_index >= known.raft_index
    return settled and 0 < known.raft_applied_index <= member.raft_applied_index


def first_divergence(one: MemberState, other: MemberState) -> int | None:
    """The first revision, of those that both have, at which their change logs differ."""
    first = max(one.first_revision, other.first_revision)
    last = min(one.revision, other.revision)
    ours, theirs = _between(one, first, last), _between(other, first, last)
    if ours == theirs:
        return None
    for mine, yours in zip(ours, theirs, strict=False):
        if mine.revision != yours.revision or not same_changes((mine,), (yours,)):
            return min(mine.revision, yours.revision)
    if len(ours) == len(theirs):
        return None
    shorter = min(len(ours), len(theirs))
    return (ours if len(ours) > shorter else theirs)[shorter].revision


def _between(member: MemberState, first: int, last: int) -> Sequence[Change]:
    changes = member.changes
    start = bisect_left(changes, first, key=_revision)
    return changes[start : bisect_left(changes, last + 1, key=_revision)]


def _at(member: MemberState, revision: int) -> Sequence[Change]:
    return _between(member, revision, revision)


def _revision(change: Change) -> int:
    return change.revision


def _compare_hashes(members: Sequence[MemberState], findings: Findings) -> None:
    groups: dict[tuple[int, int], list[MemberState]] = {}
    for member in members:
        if member.hash_revision:
            groups.setdefault((member.hash_revision, member.compact_revision), []).append(member)
    for (revision, _), group in groups.items():
        hashes = {member.member: member.hash for member in group}
        if len(set(hashes.values())) > 1:
            told = ", ".join(f"{name} {value}" for name, value in hashes.items())
            findings.add(
                "hash mismatch",
                f"HashKV at revision {revision} differs: {told}",
                members=tuple(hashes), revision=revision,
            )


def change_log(members: Sequence[MemberState], findings: Findings) -> ChangeLog:
    """The reference's change log, prolonged to the left by members that compacted less.

    A revision that it ought to have and has not is an anomaly. It is final if most
    members could be asked and one of them knew a leader (a member that is not told of
    any, and of no Raft log, is taken at its word).
    """
    known = reference(members)
    if known is None:
        return NO_LOG
    changes: dict[int, list[Change]] = {}
    first = known.first_revision
    for change in known.changes:
        changes.setdefault(change.revision, []).append(change)
    longest = min(readable(members), key=lambda m: m.first_revision)
    if longest.first_revision < first <= longest.revision + 1:
        for change in _between(longest, longest.first_revision, first - 1):
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
                f"{known.member} stands at revision {known.revision}, but its change log has "
                f"nothing from revision {expected} to {revision - 1}",
                members=(known.member,), revision=expected,
            )
        expected = revision + 1


def _is_final(members: Sequence[MemberState]) -> bool:
    asked = readable(members)
    if 2 * len(asked) <= len(members):
        return False
    return any(member.leader_id or not member.raft_index for member in asked)
