"""Checks that all members have the same change log, revision and hash.

Each member is compared with the reference member, which has the highest revision. A member
with a lower revision is an anomaly only if it has applied the Raft log at least as far as the
reference member. Otherwise its state was read too early, and the verdict is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.mvcc.change_log import changes_between
from splitbrain.checkers.mvcc.change_match import same_changes
from splitbrain.checkers.reference_member import readable, reference
from splitbrain.histories.member_state import Change, MemberState


def check_members_equal(members: Sequence[MemberState], findings: Findings) -> None:
    """Compare the state of each member with that of the reference member, and compare the hashes.

    The reference member is the one with the highest revision. Adds anomalies, and reasons why the
    verdict is unknown, to `findings`.
    """
    for member in members:
        if member.error is not None:
            findings.unknown.append(
                f"the state of {member.member} could not be read: {member.error}"
            )
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
                f"{known.member} up to {known.raft_applied_index}, but {member.member} is at "
                f"revision {member.revision} and {known.member} at {known.revision}",
                members=(known.member, member.member), revision=member.revision + 1,
            )
        else:
            findings.unknown.append(
                f"{member.member} was behind when its state was read: revision {member.revision}, "
                f"{known.member} had {known.revision}"
            )
    revision = first_divergence(known, member)
    if revision is not None:
        one, other = _at(known, revision), _at(member, revision)
        findings.add(
            "diverged",
            f"at revision {revision} the log of {known.member} contains {wording.changes(one)} and "
            f"the log of {member.member} {wording.changes(other)}"
            f"{wording.hidden_difference(one, other)}",
            members=(known.member, member.member), revision=revision,
        )


def _applied_as_much(member: MemberState, known: MemberState) -> bool:
    applied_all = known.raft_applied_index >= known.raft_index
    return applied_all and 0 < known.raft_applied_index <= member.raft_applied_index


def first_divergence(one: MemberState, other: MemberState) -> int | None:
    """Return the first revision at which the change logs of two members differ, or None.

    The comparison begins at the first revision that neither member has compacted, and ends at the
    lower of their last revisions. If only one of the logs contains a revision in this interval,
    this is a difference.
    """
    first = max(one.first_revision, other.first_revision)
    last = min(one.revision, other.revision)
    ours, theirs = changes_between(one, first, last), changes_between(other, first, last)
    if ours == theirs:
        return None
    for a, b in zip(ours, theirs, strict=False):
        if a.revision != b.revision or not same_changes((a,), (b,)):
            return min(a.revision, b.revision)
    if len(ours) == len(theirs):
        return None
    shorter = min(len(ours), len(theirs))
    return (ours if len(ours) > shorter else theirs)[shorter].revision


def _at(member: MemberState, revision: int) -> Sequence[Change]:
    return changes_between(member, revision, revision)


def _compare_hashes(members: Sequence[MemberState], findings: Findings) -> None:
    groups: dict[tuple[int, int], list[MemberState]] = {}
    for member in members:
        if member.hash_revision:
            groups.setdefault((member.hash_revision, member.compact_revision), []).append(member)
    for (revision, _), group in groups.items():
        hashes = {member.member: member.hash for member in group}
        if len(set(hashes.values())) > 1:
            listed = ", ".join(f"{name} {value}" for name, value in hashes.items())
            findings.add(
                "hash mismatch",
                f"HashKV at revision {revision} differs: {listed}",
                members=tuple(hashes), revision=revision,
            )
