"""Computes the waterfall of one write: a bar for each step of the write path on each member.

The bar of a step begins when the last of the step's predecessors is complete, and ends when the
step is complete. `_PREDECESSORS` lists the predecessors of each step, most of which are on the same
member. The bars are in the order of their ends, and can overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from splitbrain.harness.report.write_path.steps import WriteSteps
from splitbrain.histories.random_stream import stream

# The maximal number of writes in each group of the list. The sum is 200.
OF_ANOMALIES_MAX = 50
SLOWEST_MAX = 60
AROUND_MEDIAN_MAX = 30
UNANSWERED_MAX = 30
AT_RANDOM_MAX = 30

_PREDECESSORS: dict[str, tuple[tuple[str, bool], ...]] = {
    # Each step is mapped to its predecessors, and to whether each must be on the same member.
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
    """The bar of a step on a member. Times are in ms since the client's request was accepted."""

    step: str
    member: str
    begin_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class ChosenWrite:
    """A write that the page offers: its row in `WriteSteps`, and its group in the page's list."""

    row: int
    group: str


def bars_of(steps: WriteSteps, row: int) -> tuple[StepBar, ...]:
    """Return a bar for each completed step of the write in `row`.

    The bars are in the order of their ends.
    """
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
    """Return the time in ns at which the bar of `step` on `member` begins.

    The step was complete at the time `ns`. Its bar begins when the last of its predecessors in
    `done` was complete.
    """
    before = [
        other_ns
        for other_ns, other, where in done
        if other_ns <= ns
        and any(
            other == name and (not same_member or where == member)
            for name, same_member in _PREDECESSORS[step]
        )
    ]
    return max(before, default=ns)


def choose_writes(
    steps: WriteSteps, seed: int, revisions: Iterable[int] = (), requests: Iterable[int] = ()
) -> tuple[ChosenWrite, ...]:
    """Choose at most 200 different writes for which the page shows waterfalls, in groups.

    These are the groups:

    - writes that anomalies name (by `revisions` and `requests`);
    - the slowest writes;
    - writes around the median;
    - writes that were never answered;
    - some writes at random, drawn from `seed`.
    """
    named_revisions, named_requests = set(revisions) - {0}, set(requests) - {0}
    rows = range(len(steps.requests))
    named = [
        row
        for row in rows
        if steps.revisions[row] in named_revisions or steps.requests[row] in named_requests
    ]
    timed = [(latency, row) for row in rows if (latency := steps.latency_ns(row)) is not None]
    timed.sort(reverse=True)
    answered = {row for _, row in timed}
    unanswered = [row for row in rows if row not in answered and steps.called(row)]
    middle = max(0, len(timed) // 2 - AROUND_MEDIAN_MAX // 2)
    drawn = stream(seed, "report", "waterfall").sample(rows, min(AT_RANDOM_MAX, len(rows)))
    groups = (
        ("named by an anomaly", named[:OF_ANOMALIES_MAX]),
        ("slowest", [row for _, row in timed[:SLOWEST_MAX]]),
        ("around the median", [row for _, row in timed[middle : middle + AROUND_MEDIAN_MAX]]),
        ("never answered", unanswered[:UNANSWERED_MAX]),
        ("drawn at random", drawn),
    )
    seen: dict[int, str] = {}
    for group, members in groups:
        for row in members:
            seen.setdefault(row, group)
    return tuple(ChosenWrite(row, group) for row, group in seen.items())
