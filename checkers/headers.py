"""`headers`: each answer names its cluster and its member, and a member's terms do not decrease.

The header of an answer contains the ids of the cluster and of the member, and the member's term.
The rules are true of every correct cluster:

- *One cluster.* All answers contain the same cluster id.
- *One member.* A member id is in the answers of one member only. A member may change its id,
  because it can be removed and added again.
- *Terms do not decrease.* After a member has answered with a term, it answers each later
  linearizable request with this term or a later one. Answers before and after a fault of the member
  are not compared, because a member that restarts may have lost a term that it had not stored.

An id or term of 0 is unknown. Cost: n log n.

Source: etcd's rpc.proto, ResponseHeader; Raft paper, figure 2, for terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.checkers.verdict import Verdict, not_applicable
from splitbrain.histories.history import FaultWindow, History, Operation
from splitbrain.histories.kv import Header
from splitbrain.histories.service_operation import ServiceOperation

NAME = "headers"

Answered = Operation | ServiceOperation


def check_headers(evidence: Evidence) -> Verdict:
    """Each answer names its cluster and member, and the terms of a member do not decrease."""
    history = evidence.history
    answered = [op for op in _answered(history) if _header(op) != Header()]
    named = [op for op in answered if _header(op).member_id or _header(op).cluster_id]
    if not named:
        return not_applicable(NAME, "no answer names its cluster or its member")
    findings = Findings()
    _check_clusters(named, findings)
    _check_members(named, findings)
    _check_terms(history, answered, findings)
    counts = {
        "answers with ids": len(named),
        "member ids": len({_header(op).member_id for op in named} - {0}),
        "anomalies": findings.count,
    }
    return Verdict(
        NAME, not findings.count, tuple(findings.anomalies), counts, kinds=findings.by_kind
    )


def _answered(history: History) -> Iterator[Answered]:
    """Yield the operations that a known member answered, in the order of their invocations."""
    operations: list[Answered] = [*history.operations, *history.services]
    for op in sorted(operations, key=attrgetter("invoked")):
        if op.result is not None and op.node is not None and op.ret is not None:
            yield op


def _header(op: Answered) -> Header:
    assert op.result is not None
    return op.result.header


def _check_clusters(answered: list[Answered], findings: Findings) -> None:
    first: Answered | None = None
    for op in answered:
        cluster = _header(op).cluster_id
        if not cluster:
            continue
        if first is None:
            first = op
        elif cluster != _header(first).cluster_id:
            findings.add(
                "two clusters",
                f"{_answer(op)} with the cluster id {cluster:x}, and {_answer(first)} with "
                f"{_header(first).cluster_id:x}",
                first, op, members=_nodes(first, op),
            )


def _check_members(answered: list[Answered], findings: Findings) -> None:
    first: dict[int, Answered] = {}
    """The first answer with each member id."""
    for op in answered:
        member = _header(op).member_id
        if not member:
            continue
        known = first.setdefault(member, op)
        if known.node != op.node:
            findings.add(
                "answer of another member",
                f"{_answer(op)} with the member id {member:x}, but {_answer(known)} with the same "
                "id",
                known, op, members=_nodes(known, op),
            )


def _check_terms(history: History, answered: list[Answered], findings: Findings) -> None:
    by_node: dict[str, list[Operation]] = {}
    for op in answered:
        if isinstance(op, Operation) and op.node is not None and _header(op).raft_term:
            by_node.setdefault(op.node, []).append(op)
    for node, operations in by_node.items():
        faults = [one for one in history.faults if node in one.members]
        _check_terms_of(sorted(operations, key=attrgetter("invoked")), faults, findings)


def _check_terms_of(
    operations: list[Operation], faults: list[FaultWindow], findings: Findings
) -> None:
    """Check the terms in the answers of one member. `operations` are in order of invocation."""
    returned = sorted(operations, key=lambda op: op.returned or 0)
    latest: Operation | None = None
    """The operation with the highest term among those that returned before the present one."""
    at = 0
    for op in operations:
        while (returned[at].returned or 0) < op.invoked:
            if latest is None or _header(returned[at]).raft_term >= _header(latest).raft_term:
                latest = returned[at]
            at += 1
        if latest is None or _header(op).raft_term >= _header(latest).raft_term:
            continue
        if must_be_recent(op.request) and not _is_disturbed(latest.call, op.ret or 0, faults):
            findings.add(
                "term decreased",
                f"{_answer(op)} in term {_header(op).raft_term}, but it had answered "
                f"process {latest.process}'s {latest.f} at {wording.seconds(latest.ret or 0)} in "
                f"term {_header(latest).raft_term}",
                latest, op, members=_nodes(op),
            )


def _is_disturbed(begin: int, end: int, faults: list[FaultWindow]) -> bool:
    """Return whether one of `faults` was in force at some time from `begin` to `end`, in ns."""
    return any(one.overlaps(begin, end) for one in faults)


def _answer(op: Answered) -> str:
    return f"{op.node} answered process {op.process}'s {op.f} at {wording.seconds(op.ret or 0)}"


def _nodes(*ops: Answered) -> tuple[str, ...]:
    return tuple(dict.fromkeys(op.node for op in ops if op.node is not None))
