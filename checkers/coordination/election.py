"""`election`: each answer about a leader agrees with the members' change log.

Each candidate of an election puts a key. These keys form a queue (`coordination/wait_queue.py`).
The *turn* of a key begins when the key is first in the queue, and ends when the key is deleted.
The checker judges five kinds of answers:

    campaign   A campaign succeeds only after the turn of the candidate's key began. If the key was
               deleted before its turn, the campaign does not succeed. The revision in the answer
               is the one at which the key was created. The key is attached to the lease of the
               request then, so that it is deleted when this lease ends.
    leader     The answer contains the key that has its turn at the revision of the answer, and
               this key's value at that revision. Without such a key the answer contains no key.
               No earlier answer shows a higher revision. Only answers to key-value operations
               and to leader requests are compared.
    proclaim   If the request is acknowledged, the value was put on the leader's key at the
               revision of the answer, and the key is still attached to the lease of the request.
    observe    The stream shows leaders in order, and each value of a leader that it shows
               (`coordination/observed_leaders.py`).
    resign     If the request is acknowledged, the leader's key does not exist at the revision of
               the answer.

Two candidates may believe at the same time that they lead, because a lease can expire unnoticed.
This is not an anomaly here (see `splitbrain.checkers.coordination.lock`).

Cost: n log n. Source: etcd's Election service and its concurrency package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.leader_changes import leader_changes
from splitbrain.checkers.coordination.leases_of_history import S
from splitbrain.checkers.coordination.observed_leaders import judge_observation
from splitbrain.checkers.coordination.revision_times import RevisionTimes, answered_revision
from splitbrain.checkers.coordination.wait_queue import Turn, Turns
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import first_of_each_kind
from splitbrain.checkers.reference_member import reference
from splitbrain.checkers.verdict import Anomaly, Verdict, merge, not_applicable, with_evidence
from splitbrain.histories.fault_window import disturbed
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Range
from splitbrain.histories.lock_and_election import (
    Campaign,
    CampaignResult,
    Leader,
    LeaderResult,
    Observe,
    ObserveResult,
    Proclaim,
    ProclaimResult,
    Resign,
    ResignResult,
)
from splitbrain.histories.service_operation import ServiceOperation

NAME = "election"
AnyOperation = Operation | ServiceOperation


def check_election(evidence: Evidence) -> Verdict:
    """Campaigns succeed in order; answers name the leader; proclaim and resign take effect.

    The checker applies only to histories that contain elections. The verdict is unknown if no
    member's change log begins at the first revision.
    """
    history = evidence.history
    named = [op for op in history.services if isinstance(op.request, Campaign | Leader | Observe)]
    if not named:
        return not_applicable(NAME, "the history has no election")
    known = reference(evidence.members)
    if known is None:
        return Verdict(NAME, None, why="no member's change log is known")
    names = [
        op.request.name for op in named if isinstance(op.request, Campaign | Leader | Observe)
    ]
    turns = Turns(names, known.changes)
    times = RevisionTimes(history)
    anomalies = [
        *(one for op in history.services for one in _judge(op, turns, times)),
        *_observations(evidence, turns, times),
        *_stale_leaders(history),
    ]
    why = ""
    if known.first_revision > 2:
        why = f"the change log contains no revision before {known.first_revision}"
    counts = {
        "elected": sum(isinstance(op.result, CampaignResult) for op in history.services),
        "asked who leads": sum(isinstance(op.result, LeaderResult) for op in history.services),
        "observed": sum(
            len(op.result.answers) for op in history.services
            if isinstance(op.result, ObserveResult)
        ),
        "proclaimed": sum(isinstance(op.result, ProclaimResult) for op in history.services),
        "resigned": sum(isinstance(op.result, ResignResult) for op in history.services),
        "anomalies": len(anomalies),
    }
    valid = merge((not anomalies, None if why else True))
    kept, kinds = first_of_each_kind(anomalies)
    verdict = Verdict(NAME, valid, kept, counts, why=why, kinds=kinds)
    return with_evidence(verdict, any(counts.values()), "no operation of an election succeeded")


def _judge(op: ServiceOperation, turns: Turns, times: RevisionTimes) -> Iterator[Anomaly]:
    request, result = op.request, op.result
    revision = answered_revision(op)
    if isinstance(request, Campaign) and isinstance(result, CampaignResult):
        yield from _campaign(op, request, result, turns, times)
    elif isinstance(request, Leader) and isinstance(result, LeaderResult):
        yield from _leader(op, request, result, turns)
    elif isinstance(request, Proclaim) and isinstance(result, ProclaimResult):
        turn = turns.of_key(request.key, revision)
        if turn is None or (revision, request.value) not in turn.puts:
            yield _anomaly(
                "lost proclamation",
                f"{op.node} acknowledged process {op.process}'s proclamation of {request.value!r} "
                f"at revision {revision}, but the change log contains "
                f"{wording.changes(turns.changes_at(revision))} at that revision", op, revision,
            )
        else:
            yield from _lease(op, request, turn, revision)
    elif isinstance(request, Resign) and isinstance(result, ResignResult):
        turn = turns.of_key(request.key, revision)
        if turn is not None and turn.exists_at(revision):
            yield _anomaly(
                "resigned without effect",
                f"{op.node} acknowledged process {op.process}'s resignation at revision "
                f"{revision}, but {request.key} still exists at that revision", op, revision,
            )


def _campaign(
    op: ServiceOperation, request: Campaign, result: CampaignResult, turns: Turns,
    times: RevisionTimes,
) -> Iterator[Anomaly]:
    answer = (
        f"{op.node} answered process {op.process} at {wording.seconds(op.ret or 0)} that it leads "
        f"{request.name}"
    )
    turn = turns.of_key(result.key, max(result.revision, answered_revision(op)))
    if turn is None:
        yield _anomaly(
            "elected without a key",
            f"{answer} with {result.key}, but the change log has no such key", op, result.revision,
        )
    elif turn.created != result.revision:
        yield _anomaly(
            "wrong revision",
            f"{answer} with {result.key} of revision {result.revision}; the key was created at "
            f"revision {turn.created}",
            op, result.revision,
        )
    elif turn.began is None:
        reason = f"it was deleted at revision {turn.ended}" if turn.ended else "it still waits"
        yield _anomaly(
            "elected out of turn", f"{answer}, but {result.key} never had its turn: {reason}", op,
            result.revision,
        )
    elif times.not_made_at(turn.began) > (op.ret or 0):
        yield _anomaly(
            "elected out of turn",
            f"{answer}, but its turn began at revision {turn.began}, which did not exist yet at "
            f"{wording.seconds(times.not_made_at(turn.began))}", op, turn.began,
        )
    if turn is not None and turn.created == result.revision:
        yield from _lease(op, request, turn, result.revision)


def _lease(
    op: ServiceOperation, request: Campaign | Proclaim, turn: Turn, revision: int
) -> Iterator[Anomaly]:
    """Check that the key is attached to the lease of the request since `revision`.

    If the request names no lease, the member has created one, whose id is unknown here.
    """
    if request.lease not in (0, turn.lease_at(revision)):
        yield _anomaly(
            "wrong lease",
            f"{op.node} answered process {op.process}, which leads {turn.name} with lease "
            f"{request.lease}, but revision {revision} attached {turn.key} to "
            f"{turn.lease_text(revision)}", op, revision,
        )


def _leader(
    op: ServiceOperation, request: Leader, result: LeaderResult, turns: Turns
) -> Iterator[Anomaly]:
    revision = answered_revision(op)
    holder = turns.holder(request.name, revision)
    given = None if result.kv is None else (result.kv.key, result.kv.value)
    expected = None if holder is None else (holder.key, holder.value_at(revision))
    if given != expected:
        yield _anomaly(
            "wrong leader",
            f"{op.node} answered at {wording.seconds(op.ret or 0)}, revision {revision}, that "
            f"{_leader_text(given)} leads {request.name}; in the change log it is "
            f"{_leader_text(expected)}",
            op, revision,
        )


def _observations(
    evidence: Evidence, turns: Turns, times: RevisionTimes
) -> Iterator[Anomaly]:
    history = evidence.history
    changes, reads = leader_changes(history), _reads_by_member(history)

    def is_calm(node: str | None, begin: int, end: int) -> bool:
        return _answered_soon(reads.get(node, ()), begin, end) and not (
            disturbed(history.faults, begin, end)
            or any(one.after <= end and one.by >= begin for one in changes[1:])
        )

    for op in history.services:
        if isinstance(op.result, ObserveResult) and op.node not in evidence.excused:
            for kind, because, revision in judge_observation(op, turns, times, is_calm):
                yield _anomaly(kind, because, op, revision)


def _reads_by_member(history: History) -> Mapping[str | None, Sequence[AnyOperation]]:
    """Return the linearizable reads of the history, grouped by the members that received them."""
    found: dict[str | None, list[AnyOperation]] = {}
    everything: list[AnyOperation] = [*history.operations, *history.services]
    for op in everything:
        if isinstance(op.request, Leader) or (
            isinstance(op.request, Range) and not op.request.serializable
        ):
            found.setdefault(op.node, []).append(op)
    return found


def _answered_soon(reads: Sequence[AnyOperation], begin: int, end: int) -> bool:
    """Return whether each of `reads` between `begin` and `end` was answered within a second.

    The times are in ns. Reads in the last second before `end` are left out. Returns False if no
    read remains.
    """
    sent = [op for op in reads if begin <= op.call <= end - S]
    return bool(sent) and all(
        op.outcome == "ok" and op.ret is not None and op.ret - op.call <= S for op in sent
    )


def _leader_text(named: tuple[str, str] | None) -> str:
    return "no key" if named is None else f"{named[0]}={named[1]!r}"


def _stale_leaders(history: History) -> Iterator[Anomaly]:
    """Report each answer to a leader request (who leads the election?) with too low a revision.

    A revision is too low if an earlier answer shows a higher one. An answer is earlier if it
    arrived before the leader request was invoked. Answers to key-value operations and to leader
    requests are compared. The first answer of a stream of leaders counts as the answer to a leader
    request.
    """
    ended: list[tuple[int, int, AnyOperation]] = []
    for op in history.operations:
        if op.result is not None and op.returned is not None:
            ended.append((op.returned, op.result.header.revision, op))
    leaders: list[tuple[ServiceOperation, int]] = []
    for service in history.services:
        if isinstance(service.result, LeaderResult) and service.returned is not None:
            ended.append((service.returned, answered_revision(service), service))
            leaders.append((service, answered_revision(service)))
        elif isinstance(service.result, ObserveResult) and service.result.answers:
            leaders.append((service, service.result.answers[0].header.revision))
    ended.sort(key=lambda one: one[0])
    place, highest = 0, 0
    for service, revision in sorted(leaders, key=lambda one: one[0].invoked):
        while place < len(ended) and ended[place][0] < service.invoked:
            highest = max(highest, ended[place][1])
            place += 1
        if revision < highest:
            yield _anomaly(
                "stale leader",
                f"{service.node} named the leader at revision {revision}, at "
                f"{wording.seconds(service.ret or 0)}, although an answer had shown revision "
                f"{highest} before the invocation at {wording.seconds(service.call)}",
                service, revision,
            )


def _anomaly(kind: str, because: str, op: ServiceOperation, revision: int) -> Anomaly:
    events: Sequence[int] = [one for one in (op.invoked, op.returned) if one is not None]
    return Anomaly(
        kind=kind, because=because, events=tuple(events), members=(op.node,) if op.node else (),
        detail={"revision": revision},
    )
