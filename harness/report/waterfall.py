"""One write's way through the eleven steps, drawn like a network's waterfall.

A row for each step on each member, in the order of time. A bar lasts from when the
step before it on the write's way was done (on whichever member that was) until this
one was: what it shows is where the time went.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from splitbrain.harness.report.write_steps import WriteSteps
from splitbrain.histories.random_stream import stream

SLOWEST = 60
AROUND_MEDIAN = 30
UNANSWERED = 30
OF_ANOMALIES = 50
AT_RANDOM = 30

_BEFORE: dict[str, tuple[tuple[str, bool], ...]] = {
    # step: what must come before it, and whether on the same member
    "client_request": (),
    "follower_forward": (("client_request", True),),
    "leader_receive": (("follower_forward", False), ("client_request", True)),
    "leader_wal": (("leader_receive", True),),
    "replicate": (("leader_receive", True),),
    "follower_wal": (("replicate", False),),
    "quorum_ack": (("leader_wal", True), ("follower_wal", False)),
    "leader_commit": (("quorum_ack", True),),
    "follower_commit": (("leader_commit", False), ("follower_wal", True)),
    "apply_notify": (("leader_commit", True), ("follower_commit", True)),
    "apply_mvcc": (("apply_notify", True),),
    "backend_flush": (("apply_mvcc", True),),
    "respond": (("apply_mvcc", True),),
}


@dataclass(frozen=True, slots=True)
class StepBar:
    """ms since the client's request was accepted."""

    step: str
    member: str
    begin_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class ChosenWrite:
    row: int
    group: str


def bars_of(steps: WriteSteps, row: int) -> tuple[StepBar, ...]:
    """Each step that was done for the write in `row`, in the order of time."""
    done = steps.of_row(row)
    if not done:
        return ()
    called = steps.called(row)
    zero = called[0] if called else done[0][0]
    return tuple(
        StepBar(step, member, (_begin(done, ns, step, member) - zero) / 1e6, (ns - zero) / 1e6)
        for ns, step, member in done
    )


def _begin(done: Sequence[tuple[int, str, str]], ns: int, step: str, member: str) -> int:
    """When the last of the steps before `step` was done, no later than `ns`."""
    before = [
        other_ns
        for other_ns, other, where in done
        if other_ns <= ns
        and any(other == name and (not same or where == member) for name, same in _BEFORE[step])
    ]
    return max(before, default=ns)


def choose_writes(
    steps: WriteSteps, seed: int, revisions: Iterable[int] = (), requests: Iterable[int] = ()
) -> tuple[ChosenWrite, ...]:
    """At most 200 writes worth a look, none twice: those that anomalies name by revision
    or request, the slowest, those never answered, those around the median, some at random.
    """
    wanted_revisions, wanted_requests = set(revisions) - {0}, set(requests) - {0}
    rows = range(len(steps.requests))
    named = [
        row
        for row in rows
        if steps.revisions[row] in wanted_revisions or steps.requests[row] in wanted_requests
    ]
    timed = [(latency, row) for row in rows if (latency := steps.latency_ns(row)) is not None]
    timed.sort(reverse=True)
    answered = {row for _, row in timed}
    unanswered = [row for row in rows if row not in answered and steps.called(row)]
    middle = max(0, len(timed) // 2 - AROUND_MEDIAN // 2)
    drawn = stream(seed, "report", "waterfall").sample(rows, min(AT_RANDOM, len(rows)))
    groups = (
        ("named by an anomaly", named[:OF_ANOMALIES]),
        ("slowest", [row for _, row in timed[:SLOWEST]]),
        ("around the median", [row for _, row in timed[middle : middle + AROUND_MEDIAN]]),
        ("never answered", unanswered[:UNANSWERED]),
        ("drawn at random", drawn),
    )
    seen: dict[int, str] = {}
    for group, members in groups:
        for row in members:
            seen.setdefault(row, group)
    return tuple(ChosenWrite(row, group) for row, group in seen.items())
