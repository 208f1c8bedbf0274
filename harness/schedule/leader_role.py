"""Exchanges two members in a schedule: the expected leader, and the member that really leads."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from splitbrain.harness.schedule.operation import ClientOperations, ScheduledOperation
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.nemesis.fault import Fault, Partition
from splitbrain.nemesis.fault_target import MemberName


def with_leader(schedule: Schedule, leader: MemberName | None) -> Schedule:
    """Return a copy of `schedule` in which `leader` has the role of the expected leader.

    The operations and faults of `leader` and of the expected leader are exchanged. The copy expects
    `leader` to lead. `schedule` is returned unchanged if it expects no leader, or if `leader` is
    None.
    """
    expected = schedule.leader
    if not expected or leader is None or leader == expected or leader not in schedule.members:
        return schedule
    exchanged = {expected: leader, leader: expected}
    places = {
        schedule.members.index(old): schedule.members.index(new)
        for old, new in exchanged.items()
    }
    return replace(
        schedule,
        leader=leader,
        clients=tuple(
            ClientOperations(tuple(_redirected(one, places) for one in client.operations))
            for client in schedule.clients
        ),
        faults=tuple(
            replace(one, fault=_renamed(one.fault, exchanged)) for one in schedule.faults
        ),
    )


def _redirected(operation: ScheduledOperation, places: Mapping[int, int]) -> ScheduledOperation:
    if operation.to_follower:
        return operation
    return replace(operation, member=places.get(operation.member, operation.member))


def _renamed(fault: Fault, exchanged: Mapping[MemberName, MemberName]) -> Fault:
    on = tuple(sorted(exchanged.get(name, name) for name in fault.on))
    if isinstance(fault, Partition):
        links = tuple((exchanged.get(a, a), exchanged.get(b, b)) for a, b in fault.links)
        return replace(fault, on=on, links=links)
    return replace(fault, on=on)
