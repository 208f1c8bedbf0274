"""Changes of the members are repeated while other requests prevent them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from splitbrain.nemesis.capabilities import ListedMember
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import MembershipChange
from splitbrain.nemesis.injection import membership
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.membership import Places


class Contended:
    """A cluster that refuses each change during which an update is requested."""

    in_flight_s = 0.0

    def __init__(self) -> None:
        self.members = ("n1", "n2", "n3")
        self.listed = {name: ListedMember(number) for number, name in enumerate(self.members, 1)}
        self.updates = 0
        self.lost: list[str] = []

    async def leader(self) -> str:
        return "n1"

    async def kill(self, member: str) -> None: ...

    async def restart(self, member: str) -> None: ...

    async def list_members(
        self, at: str, *, linearizable: bool = True
    ) -> Mapping[str, ListedMember]:
        return dict(self.listed)

    async def add_member(self, at: str, member: str, *, learner: bool) -> None:
        await self._change()
        self.listed[member] = ListedMember(9)

    async def remove_member(self, at: str, listed: ListedMember) -> None:
        await self._change()
        self.listed = {name: one for name, one in self.listed.items() if one != listed}

    async def promote_member(self, at: str, listed: ListedMember) -> None: ...

    async def update_member(self, at: str, member: str, listed: ListedMember) -> None:
        self.updates += 1

    async def clear_member(self, member: str) -> None: ...

    async def fill_member(self, member: str, *, start: bool) -> None: ...

    def membership_changes(self, member: str, *, settled: bool) -> None: ...

    def membership_lost(self, member: str, why: str) -> None:
        self.lost.append(member)

    async def _change(self) -> None:
        before = self.updates
        await asyncio.sleep(0)
        if self.updates != before:
            raise FaultError("another change is not applied yet")


def test_all_restorations_run_at_the_same_time_and_the_first_error_is_raised() -> None:
    """Seed 11200991: voters of a joint change needed a member that a later restoration starts."""

    async def main() -> None:
        in_force, started = FaultsInForce(Contended()), asyncio.Event()

        async def fails() -> None:
            raise FaultError("the first")

        async def start() -> None:
            started.set()

        async def needs_the_start() -> None:
            await started.wait()

        for restore in (needs_the_start, fails, start):
            in_force.restore_with(restore)
        async with asyncio.timeout(5):
            with pytest.raises(FaultError, match="the first"):
                await in_force.restore_all()
        assert started.is_set()

    asyncio.run(main())


def test_a_change_that_is_contended_for_ever_succeeds_at_the_end() -> None:
    async def main() -> None:
        system = Contended()
        places = Places(system, FaultsInForce(system))
        places.begin(places.remove("n2", MembershipChange(contended=True)))
        await asyncio.sleep(5 * membership.RETRY_S)
        assert system.updates >= 3
        assert "n2" in system.listed
        await places.restore_all()
        assert system.lost == []
        assert system.listed["n2"].id == 9

    asyncio.run(main())


class WithoutPower(Contended):
    """The machine of the removed member has no power at first, so no data can be deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals = 2
        self.cleared: list[str] = []

    async def clear_member(self, member: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise FaultError("the data cannot be deleted: Input/output error")
        self.cleared.append(member)

    async def fill_member(self, member: str, *, start: bool) -> None:
        assert self.cleared == [member], "no member starts with the data of its predecessor"


def test_the_deletion_of_data_is_repeated_until_the_disk_accepts_it() -> None:
    async def main() -> None:
        system = WithoutPower()
        places = Places(system, FaultsInForce(system))
        await places.remove("n2", MembershipChange())
        await places.restore("n2", MembershipChange())
        assert system.cleared == ["n2"]
        assert system.listed["n2"].id == 9

    asyncio.run(main())
