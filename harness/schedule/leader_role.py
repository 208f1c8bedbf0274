"""Who plays which part: a plan that counts on a leader is given to whoever leads."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from splitbrain.harness.schedule.plan import ClientPlan, Plan, PlannedOperation
from splitbrain.nemesis.fault import Fault, MemberName, Partition


def cast(plan: Plan, leader: MemberName | None) -> Plan:
    """`plan` with `leader` in the part of the plan's own, and that member in its part.

    The same plan if it counts on no leader, or none is known. Members differ in nothing
    but their names, so that what the plan asks for is asked for still.
    """
    if not plan.leader or leader is None or leader == plan.leader or leader not in plan.members:
        return plan
    parts = {plan.leader: leader, leader: plan.leader}
    places = {
        plan.members.index(old): plan.members.index(new) for old, new in parts.items()
    }
    return replace(
        plan,
        leader=leader,
        clients=tuple(
            ClientPlan(tuple(_sent(one, places) for one in client.operations))
            for client in plan.clients
        ),
        faults=tuple(replace(one, fault=_renamed(one.fault, parts)) for one in plan.faults),
    )


def _sent(operation: PlannedOperation, places: Mapping[int, int]) -> PlannedOperation:
    if operation.to_follower:
        return operation
    return replace(operation, member=places.get(operation.member, operation.member))


def _renamed(fault: Fault, parts: Mapping[MemberName, MemberName]) -> Fault:
    on = tuple(sorted(parts.get(name, name) for name in fault.on))
    if isinstance(fault, Partition):
        links = tuple((parts.get(a, a), parts.get(b, b)) for a, b in fault.links)
        return replace(fault, on=on, links=links)
    return replace(fault, on=on)
