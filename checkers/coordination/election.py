"""`election`: who is told to lead does, by the members' change log.

    campaign   answered after its key had its turn: not while another key was first in the
               queue, nor when the key went with its lease before its turn came
    leader     the answer is the key whose turn it was at the revision answered, with the
               value that it held then; and not behind what was acknowledged before
    proclaim   acknowledged: the value was put on the leader's key, at the revision answered
    resign     acknowledged: the key is gone

Two may believe at once that they lead, by the time on the wall, as with any lease: that is
counted, not judged (see `splitbrain.checkers.coordination.lock`).

Cost: n log n. Source: etcd's Election service and its concurrency package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.revision_times import RevisionTimes, answered_revision
from splitbrain.checkers.coordination.wait_queue import Turns
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import ANOMALIES_MAX
from splitbrain.checkers.reference_member import reference
from splitbrain.checkers.verdict import Anomaly, Verdict, merge, not_applicable
from splitbrain.histories.history import History, Operation
from splitbrain.histories.lock import (
    Campaign,
    CampaignResult,
    Leader,
    LeaderResult,
    Proclaim,
    ProclaimResult,
    Resign,
    ResignResult,
)
from splitbrain.histories.service import ServiceOperation

NAME = "election"


def check_election(evidence: Evidence) -> Verdict:
    """Who was elected had its turn, who is told to lead does, proclamations and resignations hold.

    Judges histories with elections; to others it does not apply.
    """
    history = evidence.history
    named = [op for op in history.services if isinstance(op.request, Campaign | Leader)]
    if not named:
        return not_applicable(NAME, "nobody campaigned")
    known = reference(evidence.members)
    if known is None:
        return Verdict(NAME, None, why="no member's change log tells whose turn it was")
    names = [op.request.name for op in named if isinstance(op.request, Campaign | Leader)]
    turns = Turns(names, known.changes)
    times = RevisionTimes(history)
    anomalies = [
        *(one for op in history.services for one in _judge(op, turns, times)),
        *_stale_leaders(history),
    ]
    why = ""
    if known.first_revision > 2:
        why = f"the change log begins at revision {known.first_revision}"
    counts = {
        "elected": sum(isinstance(op.result, CampaignResult) for op in history.services),
        "asked who leads": sum(isinstance(op.result, LeaderResult) for op in history.services),
        "proclaimed": sum(isinstance(op.result, ProclaimResult) for op in history.services),
        "resigned": sum(isinstance(op.result, ResignResult) for op in history.services),
        "anomalies": len(anomalies),
    }
    valid = merge((not anomalies, None if why else True))
    return Verdict(NAME, valid, tuple(anomalies[:ANOMALIES_MAX]), counts, why=why)


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
                f"at revision {revision}, but {request.key} was not put then", op, revision,
            )
    elif isinstance(request, Resign) and isinstance(result, ResignResult):
        turn = turns.of_key(request.key, revision)
        if turn is not None and turn.there_at(revision):
            yield _anomaly(
                "resigned in vain",
                f"{op.node} acknowledged process {op.process}'s resignation at revision "
                f"{revision}, at which {request.key} is still there", op, revision,
            )


def _campaign(
    op: ServiceOperation, request: Campaign, result: CampaignResult, turns: Turns,
    times: RevisionTimes,
) -> Iterator[Anomaly]:
    told = (
        f"{op.node} told process {op.process} at {wording.seconds(op.ret or 0)} that it leads "
        f"{request.name}"
    )
    turn = turns.of_key(result.key, max(result.revision, answered_revision(op)))
    if turn is None:
        yield _anomaly(
            "elected without a key", f"{told} as {result.key}, but no member holds that key",
            op, result.revision,
        )
    elif turn.created != result.revision:
        yield _anomaly(
            "wrong revision",
            f"{told} by revision {result.revision}; {result.key} was created at {turn.created}",
            op, result.revision,
        )
    elif turn.began is None:
        gone = f"it went at revision {turn.ended}" if turn.ended else "it still waits"
        yield _anomaly(
            "elected out of turn", f"{told}, but {result.key} never had its turn: {gone}", op,
            result.revision,
        )
    elif times.not_made_at(turn.began) > (op.ret or 0):
        yield _anomaly(
            "elected out of turn",
            f"{told}, but its turn began at revision {turn.began}, which did not stand yet at "
            f"{wording.seconds(times.not_made_at(turn.began))}", op, turn.began,
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
            f"{op.node} said at {wording.seconds(op.ret or 0)}, revision {revision}, that "
            f"{_who(given)} leads {request.name}; by the members' logs it was {_who(expected)}",
            op, revision,
        )


def _who(named: tuple[str, str] | None) -> str:
    return "nobody" if named is None else f"{named[0]}={named[1]!r}"


def _stale_leaders(history: History) -> Iterator[Anomaly]:
    """An answer who leads is read as any other that must be recent."""
    ended: list[tuple[int, int, Operation | ServiceOperation]] = []
    for op in history.operations:
        if op.result is not None and op.returned is not None:
            ended.append((op.returned, op.result.header.revision, op))
    asked: list[ServiceOperation] = []
    for service in history.services:
        if isinstance(service.result, LeaderResult) and service.returned is not None:
            ended.append((service.returned, answered_revision(service), service))
            asked.append(service)
    ended.sort(key=lambda one: one[0])
    place, highest = 0, 0
    for service in sorted(asked, key=lambda one: one.invoked):
        while place < len(ended) and ended[place][0] < service.invoked:
            highest = max(highest, ended[place][1])
            place += 1
        revision = answered_revision(service)
        if revision < highest:
            yield _anomaly(
                "stale leader",
                f"{service.node} answered who leads at revision {revision}, at "
                f"{wording.seconds(service.ret or 0)}, though revision {highest} had been answered "
                f"before it was asked at {wording.seconds(service.call)}", service, revision,
            )


def _anomaly(kind: str, because: str, op: ServiceOperation, revision: int) -> Anomaly:
    events: Sequence[int] = [one for one in (op.invoked, op.returned) if one is not None]
    return Anomaly(
        kind, because, tuple(events), (op.node,) if op.node else (), {"revision": revision}
    )
