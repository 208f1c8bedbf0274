"""The watch on the members: what it says of members that do not agree, and of early reads."""

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


def watched(*, lost_durable_data: bool) -> InvariantMonitor:
    loop = VirtualLoop()
    disk = MachineDisk(loop, Random(1))
    disk.lost_durable_data = lost_durable_data
    members = {"n1": Member("n1", MachineClock(loop), disk)}
    return InvariantMonitor(
        members=members, loop=loop, coverage=Coverage(), count=len(members)
    )


def test_members_that_are_left_alone_must_agree() -> None:
    watch = watched(lost_durable_data=False)
    watch.disagreed(30_000)
    assert watch.violations == [
        "0.000000 s: the members did not agree within 30 s after all was healed"
    ]


def test_a_disk_that_broke_its_word_may_keep_them_from_it() -> None:
    watch = watched(lost_durable_data=True)
    watch.disagreed(30_000)
    assert watch.violations == []


@pytest.mark.parametrize(("applied", "told"), [(4, 1), (5, 0), (6, 0)])
def test_a_read_waits_for_what_was_committed_when_it_was_asked(applied: int, told: int) -> None:
    watch = watched(lost_durable_data=False)
    watch._last_committed = 5

    async def too_early() -> None:
        watch._last_committed = 9  # committed since: a read need not wait for it

    store = SimpleNamespace(consistent_index=applied)
    server: Any = SimpleNamespace(linearizable_read=too_early, store=store)
    watch._check_reads("n1", server)
    watch._loop.run_until_complete(server.linearizable_read())
    assert len(watch.violations) == told
