"""Judges the reads of the member list under load.

- *Not empty, and unique.* A list has members, and contains no id and no peer URL twice.
- *Never again.* After an id has disappeared from the list, no later read lists it. The cluster
  gives a new id to each member that is added. Therefore a linearizable read that lists the id of a
  removed member has read an old list. Only reads that do not overlap in time are compared.

Cost: linear in the number of listed members.

Source: etcd's API, Cluster.MemberList (`linearizable`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.membership.duplicate_entries import repeated
from splitbrain.histories.member_list import MemberList, MemberListResult
from splitbrain.histories.service_operation import ServiceOperation


class _Read:
    """An answered read of the member list. `call` and `ret` are in ns."""

    __slots__ = ("call", "ids", "op", "ret")

    def __init__(self, op: ServiceOperation, result: MemberListResult, ret: int) -> None:
        self.op = op
        self.ids = frozenset(one.id for one in result.members)
        self.call = op.call
        self.ret = ret


def judge_reads(services: Sequence[ServiceOperation], findings: Findings) -> int:
    """Judge the reads of the member list in a history. Returns the number of reads."""
    reads, count = [], 0
    for op in services:
        if not isinstance(op.result, MemberListResult) or op.ret is None:
            continue
        count += 1
        _judge_list(op, op.result, findings)
        if isinstance(op.request, MemberList) and op.request.linearizable:
            reads.append(_Read(op, op.result, op.ret))
    for member in sorted({one for read in reads for one in read.ids}):
        _judge_id(member, reads, findings)
    return count


def _judge_list(op: ServiceOperation, result: MemberListResult, findings: Findings) -> None:
    if not result.members:
        findings.add("empty list", f"{op.node} answered {_asked(op)} with no member", op)
    for what, one in repeated(result.members):
        findings.add(
            "listed twice", f"{op.node} answered {_asked(op)} with the {what} {one} twice", op
        )


def _judge_id(member: int, reads: Sequence[_Read], findings: Findings) -> None:
    """Report a read that lists the id `member`, although an earlier read shows its removal."""
    listed = [one for one in reads if member in one.ids]
    first = min(listed, key=lambda one: one.ret)
    later = [one for one in reads if member not in one.ids and one.call > first.ret]
    if not later:
        return
    removed = min(later, key=lambda one: one.ret)
    for stale in listed:
        if stale.call > removed.ret:
            findings.add(
                "removed member is listed again",
                f"{stale.op.node} answered {_asked(stale.op)} with {_names(stale.ids)}, although "
                f"{member:x} had been removed: {first.op.node} answered {_asked(first.op)} with "
                f"{_names(first.ids)}, and after that {removed.op.node} answered "
                f"{_asked(removed.op)} with {_names(removed.ids)}",
                first.op, removed.op, stale.op,
            )


def _asked(op: ServiceOperation) -> str:
    return f"process {op.process}'s read of the member list at {wording.seconds(op.ret or 0)}"


def _names(ids: Iterable[int]) -> str:
    return ", ".join(f"{one:x}" for one in sorted(ids)) or "no member"

