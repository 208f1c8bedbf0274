"""The watch on the members: what it says of members that do not agree."""

from __future__ import annotations

from random import Random

from harness.simulation.clock import MachineClock
from harness.simulation.conditions import Coverage
from harness.simulation.disk import MachineDisk
from harness.simulation.loop import VirtualLoop
from harness.simulation.member import Member
from harness.simulation.watch import Watch


def watched(*, betrayed: bool) -> Watch:
    loop = VirtualLoop()
    disk = MachineDisk(loop, Random(1))
    disk.betrayed = betrayed
    members = {"n1": Member("n1", MachineClock(loop), disk)}
    return Watch(members, loop, Coverage(), len(members))


def test_members_that_are_left_alone_must_agree() -> None:
    watch = watched(betrayed=False)
    watch.disagreed(30_000)
    assert watch.violations == [
        "0.000000 s: the members did not agree within 30 s after all was healed"
    ]


def test_a_disk_that_broke_its_word_may_keep_them_from_it() -> None:
    watch = watched(betrayed=True)
    watch.disagreed(30_000)
    assert watch.violations == []
