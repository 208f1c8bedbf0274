"""Replaces the targets of a schedule, such as `leader`, by the names of members.

The schedule is simulated to see which members the targets select. A schedule with names is easier
to read, and its faults hit the same members when other parts of the schedule are removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from splitbrain.harness.schedule.leader_role import with_leader
from splitbrain.harness.schedule.schedule import Schedule, with_changes, with_operations
from splitbrain.harness.shrinking.failing_run import temporary_run
from splitbrain.harness.shrinking.sent_operations import sent_operations
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.histories.event import FaultEvent
from splitbrain.histories.history import History
from splitbrain.histories.trace import read_trace
from splitbrain.nemesis.fault import AtStep, Partition, ScheduledFault


def resolve_targets(schedule: Schedule) -> Schedule:
    """Replace the targets of faults and operations by the members that a simulated run selected."""
    with temporary_run(schedule, schedule.fails_by) as run:
        folder = RunFolder(run.folder)
        leader = first_leader(folder)
        schedule = with_leader(schedule, leader or None)
        faults = _faults(schedule.faults, folder)
        followers = _followers(schedule, folder)
    numbered = dict(enumerate(schedule.operations, start=1))
    for number, member in followers.items():
        one = numbered[number]
        place = schedule.members.index(member)
        operation = replace(one.operation, member=place, to_follower=False)
        numbered[number] = replace(one, operation=operation)
    return with_changes(with_operations(schedule, numbered), faults=faults, leader=leader)


def _faults(scheduled: Sequence[ScheduledFault], folder: RunFolder) -> tuple[ScheduledFault, ...]:
    began: dict[int, FaultEvent] = {}
    for event in folder.fault_events():
        if event.phase == "began":
            began[event.fault] = event
    return tuple(
        _named(one, began[number]) if number in began else one
        for number, one in enumerate(scheduled)
    )


def _named(scheduled: ScheduledFault, began: FaultEvent) -> ScheduledFault:
    fault, members = scheduled.fault, tuple(began.members)
    if isinstance(fault, AtStep):
        return replace(scheduled, fault=replace(fault, on=members, target="any"), seed=0)
    if not isinstance(fault, Partition):
        return replace(scheduled, fault=replace(fault, on=members, target="any"), seed=0)
    if fault.shape in ("isolate", "isolate_leader", "one_way"):
        exact = Partition(
            "one_way" if fault.shape == "one_way" else "isolate", "any", fault.how, on=members
        )
    else:
        exact = Partition(how=fault.how, links=tuple((a, b) for a, b in began.links))
    return replace(scheduled, fault=exact, seed=0)


def first_leader(folder: RunFolder) -> str:
    """Return the name of the leader at the beginning of the load, read from the members' traces.

    Returns "" if the traces contain no leader.
    """
    record = folder.read_record()
    load_ns = next((one.begin for one in record.phases if one.name == "load"), 0)
    leads = [
        (event.term, member.name)
        for member in record.members if member.trace
        for event in read_trace(folder.path / member.trace)
        if event.step == "lead" and event.ns <= load_ns
    ]
    return max(leads)[1] if leads else ""


def _followers(schedule: Schedule, folder: RunFolder) -> dict[int, str]:
    """Return which member served each operation that the schedule sends to any follower.

    The keys are the numbers of the operations.
    """
    return {
        one.number: one.member
        for one in sent_operations(schedule, History.read(folder.history))
        if one.member and schedule.clients[one.client].operations[one.place].to_follower
    }
