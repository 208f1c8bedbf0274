"""Changes a failing schedule so that real processes repeat its failure more often.

This module makes two changes. First, a fault that begins at a point in time is changed to begin at
a step of the write path. At a point in time, a real process does different work in each run. At a
step, for example just before the third entry is written to the log, it always does the same work.
Second, the times between events become longer.

The trace of a simulated run shows which steps a member executed before and after a fault began.
Each of these steps is a candidate for the fault. A candidate must still fail, and the one that
fails with the most other seeds is chosen. Another seed changes all delays in the simulation, as
another machine changes the delays of real processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random

import msgspec
from msgspec.structs import replace

from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.schedule import (
    Schedule,
    TimedOperation,
    with_changes,
    with_operations,
    with_seed,
)
from splitbrain.harness.shrinking.failing_run import fails, temporary_run
from splitbrain.harness.shrinking.sent_operations import sent_operations
from splitbrain.harness.shrinking.target_resolution import resolve_targets
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.workloads.workload import Draft
from splitbrain.harness.workloads.workload_of_run import workload_of
from splitbrain.histories.history import History
from splitbrain.histories.kv import Put
from splitbrain.histories.trace import TraceEvent, read_trace
from splitbrain.nemesis.fault import (
    AtStep,
    Kill,
    Partition,
    Pause,
    PowerLoss,
    ScheduledFault,
    StepAction,
)
from splitbrain.node.failpoint import STEPS

SEEDS = 8
"""The number of other seeds with which a candidate is tried."""
NEAR_STEPS = 4
"""A fault is tried at this many steps before the time at which it began, and at as many steps
after."""
GAPS_MS = (1_500, 700, 300)
"""The lengths of the times between events that are tried, in this order."""
ADDED_WRITE_FAILPOINTS = (
    "after_apply_mvcc", "before_respond", "after_client_request", "before_client_request",
)
"""If a write is added, the fault is tried at these failpoints of the write, in this order."""
DRAFTS_MAX = 1_000
TAIL_MS = 1_000
HEARTBEAT_MS, ELECTION_MS = 50, 500
"""Timeouts in ms that real processes on a busy machine can keep."""
QUIET_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class StepSchedule:
    """A failing schedule, and the number of other seeds with which it fails, too."""

    schedule: Schedule
    seeds_failing: int
    seeds: int
    """The number of other seeds that were tried."""

    @property
    def faults_at_steps(self) -> int:
        """The number of faults that begin at a step."""
        return sum(isinstance(one.fault, AtStep) for one in self.schedule.faults)


def at_steps(schedule: Schedule) -> StepSchedule:
    """Make `schedule` easier to repeat with real processes.

    In the result, faults begin at steps where possible, and the gaps between events are wide.
    `schedule` must fail by the checker `schedule.fails_by`. The result fails by this checker, too.
    """
    best = _best(schedule, [*_with_wide_gaps(resolve_targets(schedule)), schedule])
    # A fault that is moved to a step becomes the first one. Those after it keep their numbers.
    for place in range(len(best.schedule.faults)):
        found = _best(best.schedule, _at_nearby_steps(best.schedule, place))
        if found.seeds_failing < best.seeds_failing:
            found = _best(best.schedule, _at_added_write(best.schedule, place))
        if found.seeds_failing >= best.seeds_failing and found.schedule != best.schedule:
            best = found
    return best


def failing_seeds(schedule: Schedule) -> int:
    """Simulate `schedule` with `SEEDS` other seeds, and return the number of runs that fail."""
    return sum(
        fails(with_seed(schedule, seed), schedule.fails_by) for seed in range(101, 101 + SEEDS)
    )


def _best(before: Schedule, candidates: Iterable[Schedule]) -> StepSchedule:
    """Return the failing candidate that also fails with the most other seeds.

    If several candidates fail with equally many seeds, the first one is returned. If no candidate
    fails, the result is `before` with a `seeds_failing` of -1.
    """
    best = StepSchedule(before, -1, SEEDS)
    for candidate in candidates:
        if not fails(candidate, candidate.fails_by):
            continue
        count = failing_seeds(candidate)
        if count > best.seeds_failing:
            best = StepSchedule(candidate, count, SEEDS)
        if count == SEEDS:
            break
    return best


# --- times --------------------------------------------------------------------------


def _with_wide_gaps(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` with times that are long enough for real processes.

    All copies have longer timeouts. The copies with the longest times between events come first. In
    the last copy, the times between events are those of `schedule`.
    """
    slow = replace(
        schedule,
        options=replace(
            schedule.options, heartbeat_ms=HEARTBEAT_MS, election_ms=ELECTION_MS,
            quiet_timeout_ms=max(QUIET_TIMEOUT_MS, schedule.options.quiet_timeout_ms),
        ),
    )
    for gap_ms in GAPS_MS:
        for together_ms in (10, 0):
            for to_the_end in (False, True):
                yield _spaced(slow, gap_ms, together_ms, to_the_end=to_the_end)
    yield slow


def _spaced(schedule: Schedule, gap_ms: int, together_ms: int, *, to_the_end: bool) -> Schedule:
    """Return a copy of `schedule` with gaps of `gap_ms` between events, in the same order.

    An event is the begin of an operation, or the begin or end of a fault. Events that are at most
    `together_ms` apart get the same time. With `to_the_end`, faults last until the end of the load.
    """
    operations = dict(enumerate(schedule.operations, start=1))
    faults = schedule.faults
    moments = [one.at_us / 1000 for one in operations.values()]
    moments += [float(one.begin_ms) for one in faults]
    if not to_the_end:
        moments += [float(one.end_ms) for one in faults]
    at_ms = _apart(sorted(moments), gap_ms, together_ms)
    end_ms = max(at_ms.values(), default=0) + TAIL_MS
    moved = {
        number: replace(one, at_us=at_ms[one.at_us / 1000] * 1000)
        for number, one in operations.items()
    }
    held = tuple(
        replace(
            one, begin_ms=at_ms[float(one.begin_ms)],
            end_ms=end_ms if to_the_end else max(
                at_ms[float(one.end_ms)], at_ms[float(one.begin_ms)] + gap_ms
            ),
        )
        for one in faults
    )
    end_ms = max([end_ms, *(one.end_ms + TAIL_MS for one in held)])
    return with_operations(with_changes(schedule, faults=held, time_limit_ms=end_ms), moved)


def _apart(moments: list[float], gap_ms: int, together_ms: int) -> Mapping[float, int]:
    """Return the new time in ms of each of `moments`, which are ascending times in ms.

    The new times are `gap_ms` apart. Moments that are at most `together_ms` apart get the same
    time.
    """
    found: dict[float, int] = {}
    now_ms, last = 0, float("-inf")
    for moment in moments:
        if moment - last > together_ms:
            now_ms += gap_ms
        found[moment] = now_ms
        last = moment
    return found


# --- steps --------------------------------------------------------------------------


def _at_nearby_steps(schedule: Schedule, place: int) -> Iterator[Schedule]:
    """Yield copies of `schedule` in which fault number `place` begins at a step of the write path.

    The step is one that the member executed near the time of the fault.
    """
    scheduled = schedule.faults[place]
    do = action_of(scheduled)
    if do is None:
        return
    (member,) = scheduled.fault.on
    with temporary_run(schedule, schedule.fails_by) as run:
        visits = _nearby_steps(RunFolder(run.folder), schedule, place, member)
    for operation, failpoint, visit in visits:
        step = AtStep(failpoint, do, operation, visit, on=(member,))
        yield with_fault(schedule, place, step)


def _at_added_write(schedule: Schedule, place: int) -> Iterator[Schedule]:
    """Yield copies of `schedule` with one more write. Fault `place` begins at a step of this write.

    The write is sent to the member that the fault hits, at the time of the fault. It gives the
    fault a step to begin at if the member executes no other step near that time.
    """
    scheduled = schedule.faults[place]
    do = action_of(scheduled)
    write = _further_write(schedule)
    if do is None or write is None:
        return
    (member,) = scheduled.fault.on
    client = len(schedule.clients)
    sent = ScheduledOperation(0, write.f, write.request, schedule.members.index(member))
    numbered = dict(enumerate(schedule.operations, start=1))
    numbered[len(numbered) + 1] = TimedOperation(scheduled.begin_ms * 1000, client, sent)
    extended = with_operations(schedule, numbered)
    number = next(
        number for number, one in enumerate(extended.operations, start=1)
        if one.operation.request == write.request
    )
    for failpoint in ADDED_WRITE_FAILPOINTS:
        yield with_fault(extended, place, AtStep(failpoint, do, number, on=(member,)))


def _further_write(schedule: Schedule) -> Draft | None:
    """Return a put that the workload can draw and that the schedule does not contain.

    Returns None if there is no such put.
    """
    options = schedule.options
    workload = workload_of(options)
    for draft in islice(workload.operations(Random(0), 0), DRAFTS_MAX):
        if isinstance(draft.request, Put) and all(
            one.operation.request != draft.request and not _mentions(one, draft.request.value)
            for one in schedule.operations
        ):
            return draft
    return None


def _mentions(one: TimedOperation, value: str) -> bool:
    return f'"{value}"' in msgspec.json.encode(one.operation.request).decode()


def with_fault(schedule: Schedule, place: int, fault: AtStep) -> Schedule:
    """Return a copy of `schedule` in which `fault` replaces fault number `place`.

    `fault` becomes the first fault, and lasts as long as the replaced one.
    """
    faults = schedule.faults
    held_ms = faults[place].end_ms - faults[place].begin_ms
    others = (*faults[:place], *faults[place + 1 :])
    return with_changes(schedule, faults=(ScheduledFault(0, held_ms, fault, 0), *others))


def action_of(scheduled: ScheduledFault) -> StepAction | None:
    """Return the action at a step that has the same effect as the fault.

    For example, a kill becomes a crash at the step. Returns None if there is no such action.
    """
    match scheduled.fault:
        case Kill(on=(_,)):
            return "crash"
        case PowerLoss(on=(_,)):
            return "power"
        case Pause(on=(_,)):
            return "pause"
        case Partition(shape="isolate", on=(_,), how="cut"):
            return "isolate"
        case _:
            return None


def _nearby_steps(
    folder: RunFolder, schedule: Schedule, place: int, member: str
) -> list[tuple[int, str, int]]:
    """Find failpoints near the time at which fault number `place` began.

    For the last steps that `member` executed before that time, the result contains the failpoint
    after each step. For its next steps, it contains the failpoint before each step. Each element is
    a tuple (operation, failpoint, visit) from `_visit`. The result is empty if the fault did not
    begin, or if `member` has no trace.
    """
    began_ns = _began_ns(folder, place)
    begun = _begun(folder, schedule)
    record = folder.read_record()
    trace = next(one.trace for one in record.members if one.name == member)
    if began_ns is None or trace is None:
        return []
    events = [event for event in read_trace(folder.path / trace) if event.step in STEPS]
    done = [event for event in events if event.ns <= began_ns]
    to_come = [event for event in events if event.ns > began_ns]
    found = [(event, f"after_{event.step}") for event in reversed(done[-NEAR_STEPS:])]
    found += [(event, f"before_{event.step}") for event in to_come[:NEAR_STEPS]]
    visits = [_visit(event, failpoint, events, begun) for event, failpoint in found]
    return list(dict.fromkeys(one for one in visits if one is not None))


def _visit(
    event: TraceEvent, failpoint: str, events: list[TraceEvent], begun: list[tuple[int, int]]
) -> tuple[int, str, int] | None:
    """Return the fields `operation`, `failpoint` and `visit` of an `AtStep` for the traced `event`.

    `operation` is the number of the last operation that began before `event`. `visit` counts how
    often the member has executed the step since this operation began. `begun` are the times and
    numbers of all operations. Returns None if `event` is before the first operation. The steps
    before the first operation differ from run to run, so they cannot be counted.
    """
    earlier = [(at_ns, number) for at_ns, number in begun if at_ns <= event.ns]
    if not earlier:
        return None
    at_ns, number = earlier[-1]
    moments = {one.ns for one in events if one.step == event.step and at_ns <= one.ns <= event.ns}
    return number, failpoint, len(moments)


def _began_ns(folder: RunFolder, place: int) -> int | None:
    """Return the time in ns at which fault number `place` began; None if it did not begin."""
    windows = History.read(folder.history).faults
    began = {event.fault for event in folder.fault_events() if event.phase == "began"}
    return next((one.begin for one in windows if one.fault == place and place in began), None)


def _begun(folder: RunFolder, schedule: Schedule) -> list[tuple[int, int]]:
    """Return the begin, in ns, and the number of each operation that was sent."""
    return [
        (one.call, one.number)
        for one in sent_operations(schedule, History.read(folder.history))
    ]
