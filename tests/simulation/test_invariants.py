"""The invariants of a simulated run find a healthy member that does not agree with the others."""

from __future__ import annotations

from random import Random

from splitbrain.harness.simulation.clock import MachineClock
from splitbrain.harness.simulation.coverage import Coverage
from splitbrain.harness.simulation.machine_disk import MachineDisk
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.raft_invariants.monitor import InvariantMonitor
from splitbrain.harness.simulation.virtual_loop import VirtualLoop


def monitor(*, lost_durable_data: bool) -> InvariantMonitor:
    loop = VirtualLoop()
    disk = MachineDisk(loop, Random(1))
    disk.lost_durable_data = lost_durable_data
    members = {"n1": Member("n1", MachineClock(loop), disk)}
    return InvariantMonitor(
        members=members, loop=loop, coverage=Coverage(), count=len(members)
    )


def test_healthy_members_must_agree() -> None:
    invariants = monitor(lost_durable_data=False)
    invariants.disagreed(30_000)
    assert invariants.violations == [
        "0.000000 s: the members did not agree within 30 s after all faults were healed"
    ]


def test_members_need_not_agree_after_a_disk_lost_durable_data() -> None:
    invariants = monitor(lost_durable_data=True)
    invariants.disagreed(30_000)
    assert invariants.violations == []
