"""`members`: no read lists a removed member again, and all members have the same list at the end.

- *Same list.* All members list the same ids, with the same peer URLs, as learners or as voters.
- *Unique.* No list contains an id or a peer URL twice.
- *Itself.* A member that answers lists its own id. A removed member must not serve.
- *Existing.* Each listed id is that of a member that answers, so no removed member is listed.
- *Complete.* Each member that answers at the end of a run is listed, as a voter. (A run replaces
  the members that it removes, and promotes all learners before its end.)

These lists are read when all faults are healed, so they are read after restarts and snapshots. The
last two rules are judged only if all members have answered, and no member was permitted to stop
because of a fault. The rules for reads under load are in `list_reads.py`.

Cost: n squared in the number of members, and linear in the number of reads.

Source: etcd's API, Cluster.MemberList; etcd's membership documents on the ids of removed members.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.membership.duplicate_entries import repeated
from splitbrain.checkers.membership.list_reads import judge_reads
from splitbrain.checkers.verdict import Verdict, not_applicable
from splitbrain.histories.member_state import ListedMember, MemberState

NAME = "members"


def check_members(evidence: Evidence) -> Verdict:
    """No read lists a removed member again, and at the end all lists are equal and complete.

    The checker applies only to stores with a member list.
    """
    states = [one for one in evidence.members if one.error is None and one.members]
    findings = Findings()
    reads = judge_reads(evidence.history.services, findings)
    if not states and not reads:
        return not_applicable(NAME, "no member list was read")
    for state in states:
        _check_list(state, findings)
        _check_same(states[0], state, findings)
    if states and len(states) == len(evidence.members) and not evidence.excused:
        _check_complete(states, findings)
    counts = {"lists": len(states), "reads": reads, "anomalies": findings.count}
    return Verdict(
        NAME, not findings.count, tuple(findings.anomalies), counts, kinds=findings.by_kind
    )


def _check_list(state: MemberState, findings: Findings) -> None:
    for what, one in repeated(state.members):
        findings.add(
            "listed twice", f"{state.member} lists the {what} {one} twice", members=(state.member,)
        )
    if state.member_id not in {one.id for one in state.members}:
        findings.add(
            "serves without being a member",
            f"{state.member} serves with the id {state.member_id:x}, and lists the members "
            f"{_text(state.members)}",
            members=(state.member,),
        )


def _check_same(first: MemberState, other: MemberState, findings: Findings) -> None:
    if sorted(first.members, key=_by_id) != sorted(other.members, key=_by_id):
        findings.add(
            "different lists",
            f"{first.member} lists the members {_text(first.members)}, and {other.member} lists "
            f"{_text(other.members)}",
            members=(first.member, other.member),
        )


def _check_complete(states: Sequence[MemberState], findings: Findings) -> None:
    serving = {one.member_id: one.member for one in states}
    for state in states:
        for one in state.members:
            if one.id not in serving:
                findings.add(
                    "no such member",
                    f"{state.member} lists the id {one.id:x}, which no member of the run has",
                    members=(state.member,),
                )
            elif one.is_learner:
                findings.add(
                    "still a learner",
                    f"{state.member} lists {serving[one.id]} as a learner",
                    members=(state.member, serving[one.id]),
                )
        for identity, name in serving.items():
            if identity not in {one.id for one in state.members}:
                findings.add(
                    "not listed", f"{state.member} does not list {name}, which serves",
                    members=(state.member, name),
                )


def _by_id(one: ListedMember) -> int:
    return one.id


def _text(members: Sequence[ListedMember]) -> str:
    return ", ".join(
        f"{one.id:x} ({', '.join(one.peer_urls)}{'; learner' if one.is_learner else ''})"
        for one in sorted(members, key=_by_id)
    )
