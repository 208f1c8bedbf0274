"""Puts a schedule's faults at steps of the write path, and gives everything time.

A fault at a time hits whatever its member does then, which in a process is never twice
the same. A fault at a step hits where it must: before the third entry is in the log,
after the second was applied. Where a run's trace shows a member between two steps when
the fault began, the fault is tried at those steps, and kept there if the schedule still
fails. What is best is what fails with the most other seeds, for each of them shifts all
delays in the simulated world, as another machine would.
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
from splitbrain.harness.shrinking.failure import fails, temporary_run
from splitbrain.harness.shrinking.target_resolution import resolved
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.workloads.catalogue import make_workload
from splitbrain.harness.workloads.workload import Draft
from splitbrain.histories.history import History
from splitbrain.histories.kv import Put
from splitbrain.histories.trace import TraceEvent, read_trace
from splitbrain.nemesis.fault import (
    AtStep,
    Kill,
    Partition,
    Pause,
    PlannedFault,
    PowerLoss,
    StepAction,
)
from splitbrain.node.failpoint import STEPS

SEEDS = 8
"""Other seeds that a candidate is tried with."""
NEAR_STEPS = 4
"""Steps tried before a fault's moment, and after it."""
GAPS_MS = (1_500, 700, 300)
CARRIERS = ("after_apply_mvcc", "before_respond", "after_client_request", "before_client_request")
"""Where a fault is tried that is tied to a write of its own, best first."""
DRAFTS_MAX = 1_000
TAIL_MS = 1_000
HEARTBEAT_MS, ELECTION_MS = 50, 500
"""What a process of its own on a busy machine keeps to."""
QUIET_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Placed:
    """`schedule` failed with `seeds_failing` of `seeds` other seeds."""

    schedule: Schedule
    seeds_failing: int
    seeds: int

    @property
    def at_steps(self) -> int:
        """Faults that are at steps."""
        return sum(isinstance(one.fault, AtStep) for one in self.schedule.faults)


def at_steps(schedule: Schedule) -> Placed:
    """The same failure with faults at steps where that is possible, and all times wide.

    `schedule` must fail by its `fails_by`.
    """
    best = _best(schedule, [*_roomy(resolved(schedule)), schedule])
    # One that is placed goes to the front: those after it keep their places.
    for place in range(len(best.schedule.faults)):
        found = _best(best.schedule, _placed(best.schedule, place))
        if found.seeds_failing < best.seeds_failing:
            found = _best(best.schedule, _carried(best.schedule, place))
        if found.seeds_failing >= best.seeds_failing and found.schedule != best.schedule:
            best = found
    return best


def failing_seeds(schedule: Schedule) -> int:
    """With how many of `SEEDS` other seeds it fails, too."""
    return sum(
        fails(with_seed(schedule, seed), schedule.fails_by) for seed in range(101, 101 + SEEDS)
    )


def _best(before: Schedule, candidates: Iterable[Schedule]) -> Placed:
    """The first of those that fail with the most seeds; `before` if none does."""
    best = Placed(before, -1, SEEDS)
    for candidate in candidates:
        if not fails(candidate, candidate.fails_by):
            continue
        count = failing_seeds(candidate)
        if count > best.seeds_failing:
            best = Placed(candidate, count, SEEDS)
        if count == SEEDS:
            break
    return best


# --- time ---------------------------------------------------------------------------


def _roomy(schedule: Schedule) -> Iterator[Schedule]:
    """All moments so far apart that processes keep their order, the widest first; and
    elections as slow as processes need them."""
    calm = replace(
        schedule,
        options=replace(
            schedule.options, heartbeat_ms=HEARTBEAT_MS, election_ms=ELECTION_MS,
            quiet_timeout_ms=max(QUIET_TIMEOUT_MS, schedule.options.quiet_timeout_ms),
        ),
    )
    for gap_ms in GAPS_MS:
        for together_ms in (10, 0):
            for to_the_end in (False, True):
                yield _spaced(calm, gap_ms, together_ms, to_the_end=to_the_end)
    yield calm


def _spaced(schedule: Schedule, gap_ms: int, together_ms: int, *, to_the_end: bool) -> Schedule:
    """`gap_ms` between any two moments, in their order; those within `together_ms` are
    one. `to_the_end`: faults hold until the load is over."""
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
    found: dict[float, int] = {}
    now_ms, last = 0, float("-inf")
    for moment in moments:
        if moment - last > together_ms:
            now_ms += gap_ms
        found[moment] = now_ms
        last = moment
    return found


# --- steps --------------------------------------------------------------------------


def _placed(schedule: Schedule, place: int) -> Iterator[Schedule]:
    """The schedule with its fault number `place` at a step near its moment."""
    planned = schedule.faults[place]
    do = action_of(planned)
    if do is None:
        return
    (member,) = planned.fault.on
    with temporary_run(schedule, schedule.fails_by) as run:
        visits = _near(RunFolder(run.folder), schedule, place, member)
    for operation, failpoint, visit in visits:
        step = AtStep(failpoint, do, operation, visit, on=(member,))
        yield with_fault(schedule, place, step)


def _carried(schedule: Schedule, place: int) -> Iterator[Schedule]:
    """The fault at a step of a write that is sent to its member when the fault was to come:
    where its member did nothing that it could be tied to."""
    planned = schedule.faults[place]
    do = action_of(planned)
    write = _further_write(schedule)
    if do is None or write is None:
        return
    (member,) = planned.fault.on
    client = len(schedule.clients)
    sent = ScheduledOperation(0, write.f, write.request, schedule.members.index(member))
    numbered = dict(enumerate(schedule.operations, start=1))
    numbered[len(numbered) + 1] = TimedOperation(planned.begin_ms * 1000, client, sent)
    carried = with_operations(schedule, numbered)
    number = next(
        number for number, one in enumerate(carried.operations, start=1)
        if one.operation.request == write.request
    )
    for failpoint in CARRIERS:
        yield with_fault(carried, place, AtStep(failpoint, do, number, on=(member,)))


def _further_write(schedule: Schedule) -> Draft | None:
    """A write of the workload's that is not in the schedule yet."""
    options = schedule.options
    workload = make_workload(options.workload, options.workload_options)
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
    """Fault number `place` at an operation's step: it has no time but that."""
    faults = schedule.faults
    held_ms = faults[place].end_ms - faults[place].begin_ms
    others = (*faults[:place], *faults[place + 1 :])
    return with_changes(schedule, faults=(PlannedFault(0, held_ms, fault, 0), *others))


def action_of(planned: PlannedFault) -> StepAction | None:
    """What the fault would be at a step; None where it cannot be at one."""
    match planned.fault:
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


def _near(
    folder: RunFolder, schedule: Schedule, place: int, member: str
) -> list[tuple[int, str, int]]:
    """Operation, failpoint and visit of the steps around the moment at which the fault
    began: after those that were done, before those that came next."""
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
    """The operation that began last before `event`, and how often the member came to the
    step from then on. None before the first one: what it did without being asked differs
    from run to run."""
    earlier = [(at_ns, number) for at_ns, number in begun if at_ns <= event.ns]
    if not earlier:
        return None
    at_ns, number = earlier[-1]
    moments = {one.ns for one in events if one.step == event.step and at_ns <= one.ns <= event.ns}
    return number, failpoint, len(moments)


def _began_ns(folder: RunFolder, place: int) -> int | None:
    times = History.read(folder.history).faults
    told = {event.fault for event in folder.fault_events() if event.phase == "began"}
    return next((one.begin for one in times if one.fault == place and place in told), None)


def _begun(folder: RunFolder, schedule: Schedule) -> list[tuple[int, int]]:
    """When each operation of the plan began, in ns, with its number."""
    order, count = schedule.operation_numbers(), len(schedule.clients)
    sent = [0] * count
    found = []
    for operation in sorted(
        History.read(folder.history).operations, key=lambda one: one.call
    ):
        client = operation.process % count if count else 0
        if operation.f == "final_read" or not count or sent[client] >= len(order[client]):
            continue
        found.append((operation.call, order[client][sent[client]]))
        sent[client] += 1
    return found
