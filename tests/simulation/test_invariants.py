"""Invariants of a simulated run: agreement of healthy members, and reads of committed entries."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from splitbrain.harness.simulation.clock import MachineClock
from splitbrain.harness.simulation.conditions import Coverage
from splitbrain.harness.simulation.disk import MachineDisk
from splitbrain.harness.simulation.invariants import InvariantMonitor
from splitbrain.harness.simulation.loop import VirtualLoop
from splitbrain.harness.simulation.member import Member


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
        "0.000000 s: the members did not agree within 30 s after all was healed"
    ]


def test_members_need_not_agree_after_a_disk_lost_durable_data() -> None:
    invariants = monitor(lost_durable_data=True)
    invariants.disagreed(30_000)
    assert invariants.violations == []


@pytest.mark.parametrize(("applied", "violations"), [(4, 1), (5, 0), (6, 0)])
def test_a_read_waits_for_the_entries_that_were_committed_when_it_began(
    applied: int, violations: int
) -> None:
    invariants = monitor(lost_durable_data=False)
    invariants._last_committed = 5

    async def too_early() -> None:
        invariants._last_committed = 9  # committed after the read began

    store = SimpleNamespace(consistent_index=applied)
    server: Any = SimpleNamespace(linearizable_read=too_early, store=store)
    invariants._check_reads("n1", server)
    invariants._loop.run_until_complete(server.linearizable_read())
    assert len(invariants.violations) == violations
