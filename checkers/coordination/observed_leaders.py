"""Judges the answers of `Observe`, the stream of an election's leaders, for `election`.

A stream begins with the leader, and continues with each value that this leader puts. After the key
of the leader was deleted, the store looks up the present leader and shows this leader next. So the
stream may skip a leader that led only for a short time. It must not skip a value of a leader that
it has shown.

    answer      The change log contains the put that the answer shows. At the revision of the
                answer, the turn of the key had begun. An answer that shows a new leader contains
                the leader and its value at the revision of the answer.
    next        An answer about the same leader contains the next value that the leader put. An
                answer about another leader follows after the end of the former one's turn, and
                after all of its values.
    first       The revision of the first answer is not too low: no operation that was answered
                before the stream began shows a higher one.
    missing     If an answer of any operation has shown a revision, the stream shows the leader and
                its value at this revision, or later ones, within `LATE_NS`. This is judged only if
                the last `CALM_NS` of the stream were calm: no fault was in force, the leader of
                Raft did not change, and the member answered linearizable reads, each within a
                second. Otherwise the stream's own read may still wait. Adverse conditions that
                last for a whole simulated run do not count as faults. A stream without an answer
                is not judged.

Source: etcd's client/v3/concurrency/election.go, `Observe`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from splitbrain.checkers import wording
from splitbrain.checkers.coordination.leases_of_history import S
from splitbrain.checkers.coordination.revision_times import RevisionTimes
from splitbrain.checkers.coordination.wait_queue import Turn, Turns
from splitbrain.histories.lock_and_election import LeaderResult, Observe, ObserveResult
from splitbrain.histories.service_operation import ServiceOperation

LATE_NS = 2 * S
"""The time allowed for an answer of the stream on its way to the client."""
CALM_NS = 3 * S
"""The rule `missing` applies if there was no fault for this time before the end of the stream."""

IsCalm = Callable[[str | None, int, int], bool]
"""A function of a member, a begin and an end. It returns whether, between these times, no fault was
in force, the leader of Raft did not change, and the member answered linearizable reads soon."""
Problem = tuple[str, str, int]
"""A kind of anomaly, a sentence with the decisive values, and a revision."""


def judge_observation(
    op: ServiceOperation, turns: Turns, times: RevisionTimes, is_calm: IsCalm
) -> Iterator[Problem]:
    """Judge the answers of `op`, and yield the first problem."""
    request, result = op.request, op.result
    assert isinstance(request, Observe)
    assert isinstance(result, ObserveResult)
    before: LeaderResult | None = None
    shown: Turn | None = None
    for number, answer in enumerate(result.answers, start=1):
        prefix = (
            f"{op.node} sent process {op.process} answer {number} of a stream of the leaders of "
            f"{request.name}, at revision {answer.header.revision}: {_text(answer)}"
        )
        turn = _turn_of(answer, request.name, turns)
        if turn is None:
            why = "; in the change log, this is no value of a key whose turn it was"
            yield "wrong leader", prefix + why, answer.header.revision
            return
        if turn is not shown and (wrong := _wrong_leader(answer, turn, turns)):
            yield "wrong leader", prefix + wrong, answer.header.revision
            return
        if before and shown and (wrong := _wrong_order(before, answer, shown, turn)):
            yield "wrong sequence", prefix + wrong, answer.header.revision
            return
        before, shown = answer, turn
    yield from _missing(op, request, result, turns, times, is_calm)


def _text(answer: LeaderResult) -> str:
    kv = answer.kv
    return "no key" if kv is None else f"{kv.key}={kv.value!r} of revision {kv.mod_revision}"


def _turn_of(answer: LeaderResult, name: str, turns: Turns) -> Turn | None:
    """Return the turn of the key in `answer`.

    Returns None if the change log does not contain the put that `answer` shows. Also returns None
    if the turn of the key had not begun at the revision of `answer`.
    """
    kv, revision = answer.kv, answer.header.revision
    if kv is None or kv.mod_revision > revision:
        return None
    turn = turns.of_key(kv.key, kv.mod_revision)
    if (
        turn is None or turn.name != name or turn.created != kv.create_revision
        or (kv.mod_revision, kv.value) not in turn.puts
        or turn.began is None or turn.began > revision
    ):
        return None
    return turn


def _wrong_leader(answer: LeaderResult, turn: Turn, turns: Turns) -> str:
    """Return why `answer`, the first one about `turn`, is wrong, or "" if it is right.

    It must show the leader at the revision of `answer`, and the leader's value at this revision.
    """
    revision = answer.header.revision
    holder = turns.holder(turn.name, revision)
    if holder is not turn:
        led = "no key" if holder is None else f"{holder.key}={holder.value_at(revision)!r}"
        return f"; in the change log, {led} leads at that revision"
    if turn.put_at(revision) != _put_of(answer):
        return f"; its value at that revision is {turn.value_at(revision)!r}"
    return ""


def _put_of(answer: LeaderResult) -> int:
    """Return the revision of the put that `answer` shows."""
    return 0 if answer.kv is None else answer.kv.mod_revision


def _wrong_order(before: LeaderResult, answer: LeaderResult, shown: Turn, turn: Turn) -> str:
    """Return why `answer` cannot follow the answer `before`, or "".

    `shown` is the turn of the answer `before`, and `turn` is that of `answer`.
    """
    due = shown.put_after(_put_of(before))
    if turn is shown:
        if _put_of(answer) == due:
            return ""
        expected = f"the one of revision {due}" if due else "none"
        return f", after {_text(before)}; the next value that this leader put is {expected}"
    if due:
        return f", after {_text(before)}; the value of revision {due} of that leader was not sent"
    if shown.ended is None or shown.ended > answer.header.revision:
        return f", after {_text(before)}, whose turn had not ended at that revision"
    return ""


def _missing(
    op: ServiceOperation, request: Observe, result: ObserveResult, turns: Turns,
    times: RevisionTimes, is_calm: IsCalm,
) -> Iterator[Problem]:
    """Report the last leader that the stream should have shown, if the stream does not show it.

    Nothing is reported if the stream shows a later leader, or a later value of this leader.
    """
    if result.broken or not result.answers or op.ret is None or op.ret - op.call < LATE_NS:
        return
    revision = times.shown_by(op.ret - LATE_NS)
    holder = turns.holder(request.name, revision)
    if holder is None or holder.began is None or not is_calm(op.node, op.ret - CALM_NS, op.ret):
        return
    put = holder.put_at(revision)
    for answer in result.answers:
        turn = _turn_of(answer, request.name, turns)
        assert turn is not None
        assert turn.began is not None
        if turn.began > holder.began or (turn is holder and _put_of(answer) >= put):
            return
    yield (
        "missing leader",
        f"{op.node} sent process {op.process} {len(result.answers)} answers of a stream of the "
        f"leaders of {request.name}, which was open from {wording.seconds(op.call)} to "
        f"{wording.seconds(op.ret)}; none of them is about "
        f"{holder.key}={holder.value_at(revision)!r}, which led at revision {revision}, made "
        f"before {wording.seconds(op.ret - LATE_NS)}",
        revision,
    )
