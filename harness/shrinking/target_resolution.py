"""A schedule with nothing left open: each fault names its members, each operation its own.

Who leads, and whom an aim picks, is known of a run that has been; a schedule that says so
reads better, and means the same when other parts of it go.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from splitbrain.harness.schedule.leader_role import with_leader
from splitbrain.harness.schedule.schedule import Schedule, with_changes, with_operations
from splitbrain.harness.shrinking.failure import temporary_run
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.histories.event import FaultEvent
from splitbrain.histories.history import History
from splitbrain.histories.trace import read_trace
from splitbrain.nemesis.fault import AtStep, Partition, PlannedFault


def resolved(schedule: Schedule) -> Schedule:
    """What a run of it resolved, written down."""
    with temporary_run(schedule, schedule.fails_by) as run:
        folder = RunFolder(run.folder)
        leader = first_leader(folder)
        schedule = with_leader(schedule, leader or None)
        faults = _faults(schedule.faults, folder)
        asked = _asked(schedule, folder)
    numbered = dict(enumerate(schedule.operations, start=1))
    for number, member in asked.items():
        one = numbered[number]
        place = schedule.members.index(member)
        operation = replace(one.operation, member=place, to_follower=False)
        numbered[number] = replace(one, operation=operation)
    return with_changes(with_operations(schedule, numbered), faults=faults, leader=leader)


def _faults(planned: Sequence[PlannedFault], folder: RunFolder) -> tuple[PlannedFault, ...]:
    began: dict[int, FaultEvent] = {}
    for event in folder.fault_events():
        if event.phase == "began":
            began[event.fault] = event
    return tuple(
        _named(one, began[number]) if number in began else one
        for number, one in enumerate(planned)
    )


def _named(planned: PlannedFault, began: FaultEvent) -> PlannedFault:
    fault, members = planned.fault, tuple(began.members)
    if isinstance(fault, AtStep):
        return replace(planned, fault=replace(fault, on=members, target="any"), seed=0)
    if not isinstance(fault, Partition):
        return replace(planned, fault=replace(fault, on=members, target="any"), seed=0)
    if fault.shape in ("isolate", "isolate_leader", "one_way"):
        exact = Partition(
            "one_way" if fault.shape == "one_way" else "isolate", "any", fault.how, on=members
        )
    else:
        exact = Partition(how=fault.how, links=tuple((a, b) for a, b in began.links))
    return replace(planned, fault=exact, seed=0)


def first_leader(folder: RunFolder) -> str:
    """Who led when the load began, by the members' traces; "" if they say nothing."""
    record = folder.read_record()
    load_ns = next((one.begin for one in record.phases if one.name == "load"), 0)
    leads = [
        (event.term, member.name)
        for member in record.members if member.trace
        for event in read_trace(folder.path / member.trace)
        if event.step == "lead" and event.ns <= load_ns
    ]
    return max(leads)[1] if leads else ""


def _asked(schedule: Schedule, folder: RunFolder) -> dict[int, str]:
    """Which member each operation that was sent to some follower went to, by its number."""
    order, count = schedule.operation_numbers(), len(schedule.clients)
    sent = [0] * count
    asked: dict[int, str] = {}
    for operation in sorted(History.read(folder.history).operations,
                            key=lambda one: one.call):
        client = operation.process % count if count else 0
        if operation.f == "final_read" or not count or sent[client] >= len(order[client]):
            continue
        number, place = order[client][sent[client]], sent[client]
        sent[client] += 1
        if schedule.clients[client].operations[place].to_follower and operation.node:
            asked[number] = operation.node
    return asked
