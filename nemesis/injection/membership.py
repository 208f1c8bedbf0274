"""Injectors of changes of the members, which run at the same time as load and other faults.

The import of this module registers its injectors with `inject`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from random import Random

from splitbrain.nemesis.capabilities import JointlyResizable, ListedMember, Resizable, Transferable
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import JointChange, MembershipChange
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.fault_effect import Effect
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce, Undo
from splitbrain.nemesis.injection.inject import (
    Injected,
    inject,
    require,
    resolve_target,
    without_effect,
)

RETRY_S = 0.1
STOPS_LIMIT_S = 4.0
"""In half of the removals, the removed member gets this time to stop by itself."""
TRANSFER_EVERY = 3
"""One of this many tries of a contended change also requests a transfer of the leadership. During a
transfer, the leader drops the change."""
RESTORE_LIMIT_S = 60.0
"""How long the end of a run waits until each place has a voter again. A change whose message is
lost costs a request timeout, and each place may need several changes."""


class Places:
    """Removes and adds the members of one cluster. A place is the name and addresses of a member.

    The data of a removed member is deleted only after the cluster has confirmed the removal.
    Otherwise a member could return under its old id without the entries that it has acknowledged.
    """

    def __init__(self, system: Resizable, in_force: FaultsInForce) -> None:
        self._system = system
        self._in_force = in_force
        self._locks: dict[MemberName, asyncio.Lock] = {}
        self._open: dict[MemberName, None] = {}
        """The members' names that perhaps have no voter that serves."""
        self._stops: dict[MemberName, Undo] = {}
        """For each removed member: the function that allows a process of this name again."""
        self._removed: dict[int, None] = {}
        """The ids of the removed members."""
        self._requested = False
        """Whether the removal of a member was requested. The request may take effect later."""
        self._ending = False
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = 0
        in_force.restore_with(self.restore_all)

    @property
    def settled(self) -> bool:
        """Return whether each member's name is known to have a voter that serves."""
        return not self._open

    def begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run `work` as a task that the end of the run can cancel."""
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def remove(self, place: MemberName, fault: MembershipChange) -> None:
        """Request the removal of the member until the cluster confirms the removal.

        `place` is the member's name. After the confirmation, the member's data is deleted.
        """
        self._open[place] = None
        self._system.membership_changes(place, settled=False)
        async with self._lock(place):
            await self._until(lambda at: self._request_removal(at, place, fault), place)
            if self._turn % 2:
                await self._until_it_ends(place)
            await self._clear(place)

    async def restore(self, place: MemberName, fault: MembershipChange) -> None:
        """Request additions and promotions until a voter with the name `place` serves.

        Only what is missing is requested: the addition, the promotion, or both.
        """
        async with self._lock(place):
            if place in self._open:
                await self._until(lambda at: self._request_voter(at, place, fault), place)
                await self._until_it_serves(place)
                if not self._ending:
                    with contextlib.suppress(FaultError):
                        await self._update(place)
                del self._open[place]
                self._system.membership_changes(place, settled=True)

    async def restore_all(self) -> None:
        """Add and promote members until each name has a voter again, at the end of a run.

        All other faults are healed before this call. If a name still has no voter after
        `RESTORE_LIMIT_S`, the system is notified with `membership_lost`.
        """
        self._ending = True
        if self._requested:
            await asyncio.sleep(getattr(self._system, "in_flight_s", 1.0))
            self._open.update(dict.fromkeys(self._in_force.system.members))
        try:
            async with asyncio.timeout(RESTORE_LIMIT_S):
                for place in tuple(self._open):
                    await self.restore(place, MembershipChange())
        except TimeoutError:
            for task in self._tasks:
                task.cancel()
            for place in self._open:
                why = (
                    f"no voter serves in its place {RESTORE_LIMIT_S:g} s after all faults were "
                    "healed"
                )
                self._system.membership_lost(place, why)

    async def _update(self, place: MemberName) -> None:
        """Request an update of the new member's peer URLs at this member itself."""
        listed = await self._system.list_members(place)
        if place in listed:
            await self._system.update_member(place, place, listed[place])

    def _lock(self, place: MemberName) -> asyncio.Lock:
        return self._locks.setdefault(place, asyncio.Lock())

    # --- one request to one member ---------------------------------------------------------

    async def _request_removal(
        self, at: MemberName, place: MemberName, fault: MembershipChange
    ) -> bool:
        """Ask the member `at` to remove the member `place`.

        Returns whether the cluster confirms the removal.
        """
        listed = await self._system.list_members(at)
        if place in listed:
            self._requested = True
            self._removed[listed[place].id] = None
            request = self._system.remove_member(at, listed[place])
            await self._contend(at, place, listed, fault, request)
            return place not in await self._system.list_members(at)
        return True

    async def _request_voter(
        self, at: MemberName, place: MemberName, fault: MembershipChange
    ) -> bool:
        """Ask the member `at` for the next change that `place` needs to have a voter again.

        The change is an addition or a promotion. Returns True if `place` already has a voter.
        """
        try:
            listed = await self._system.list_members(at)
        except FaultError:
            await self._fill_if_added(at, place)
            raise
        found = listed.get(place)
        if found is None:
            await self._clear(place)
            add = self._system.add_member(at, place, learner=fault.learner)
            await self._contend(at, place, listed, fault, add)
            return False
        if place in self._stops:
            await self._fill(place)
        if found.is_learner:
            promote = self._system.promote_member(at, found)
            await self._contend(at, place, listed, fault, promote)
        return not found.is_learner

    async def _fill_if_added(self, at: MemberName, place: MemberName) -> None:
        """Start the new member in `place` if `at` has applied its addition.

        Without the new member, the other members may be too few for a quorum. Then no linearizable
        read succeeds.
        """
        listed = await self._system.list_members(at, linearizable=False)
        found = listed.get(place)
        if found is not None and found.id not in self._removed and place in self._stops:
            await self._fill(place)

    async def _contend(
        self,
        at: MemberName,
        place: MemberName,
        listed: Mapping[MemberName, ListedMember],
        fault: MembershipChange,
        request: Awaitable[None],
    ) -> None:
        """Await `request` and, if the fault is contended, send other requests at the same time.

        The other requests are an update of another member and, in some tries, a transfer of the
        leadership. They test a new leader: it must not accept a change before it has applied the
        previous one. At the end of a run no other requests are sent, because each change must
        succeed in limited time.
        """
        others = [one for one in listed if one != place]
        if not fault.contended or not others or self._ending:
            await request
            return
        other = others[self._turn % len(others)]
        update = self._system.update_member(at, other, listed[other])
        requests = [request, update]
        transfers = self._turn % TRANSFER_EVERY == 0
        if transfers and isinstance(self._system, Transferable):
            requests.append(self._system.transfer_leadership(other))
        answers = await asyncio.gather(*requests, return_exceptions=True)
        if isinstance(answers[0], BaseException):
            raise answers[0]

    async def _until(
        self, request: Callable[[MemberName], Awaitable[bool]], place: MemberName
    ) -> None:
        """Call `request` with one member after the other until it returns True.

        `place` is the member that the request is about; it is not asked.
        """
        others = [one for one in self._in_force.system.members if one != place]
        while True:
            self._turn += 1
            at = others[self._turn % len(others)]
            if at not in self._stops and not self._in_force.is_killed(at):
                with contextlib.suppress(FaultError):
                    if await request(at):
                        return
            await asyncio.sleep(RETRY_S)

    async def _until_it_serves(self, place: MemberName) -> None:
        while True:
            with contextlib.suppress(FaultError):
                if place in await self._system.list_members(place):
                    return
            if self._ending:
                # The member that was asked may have stopped itself because of a fault.
                await self._system.fill_member(place, start=True)
            await asyncio.sleep(RETRY_S)

    async def _until_it_ends(self, place: MemberName) -> None:
        """Wait until the removed member has stopped by itself, at most `STOPS_LIMIT_S`."""
        alive = getattr(self._in_force.system, "alive", None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOPS_LIMIT_S):
                while alive is not None and alive(place):  # noqa: ASYNC110 - polls the member
                    await asyncio.sleep(RETRY_S)

    async def _clear(self, place: MemberName) -> None:
        """Stop the removed member, and delete its data. No process starts there before `_fill`."""
        if place not in self._stops:
            self._stops[place] = await self._in_force.stop_members("killed", (place,))
            # While the member's machine has no power, or its disk fails, no data can be deleted.
            await _repeat(lambda: self._system.clear_member(place))

    async def _fill(self, place: MemberName) -> None:
        """Start a new member in `place`, unless another fault requires that it does not run."""
        start = self._stops.pop(place)
        await start()
        await self._system.fill_member(place, start=not self._in_force.is_killed(place))


@inject.register
async def _membership_change(
    fault: MembershipChange, in_force: FaultsInForce, random: Random
) -> Injected:
    """Begin the changes of the members in the background, so that other faults can hit them."""
    places: Places = in_force.part(Places, require(in_force, Resizable))
    members = await resolve_target(fault.target, in_force, random, fault.on)
    if not places.settled:
        return without_effect(members)
    if len(members) >= len(in_force.system.members):
        raise FaultError("all members cannot be removed: expected at least one that stays")
    done: list[str] = []

    async def change(place: MemberName) -> None:
        await places.remove(place, fault)
        done.append(f"removed {place}")
        if fault.do == "replace":
            await places.restore(place, fault)

    tasks = [places.begin(change(one)) for one in members]

    async def heal() -> None:
        # A removal is not cancelled, because it may take effect at any later time.
        if tasks:
            await asyncio.wait(tasks)
        for place in members:
            await places.restore(place, fault)

    return Injected(members, (), heal, _effect(done), ends_with_undo=True)


class JointChanges:
    """Changes the configuration of one cluster by joint consensus, one change at a time."""

    def __init__(self, system: JointlyResizable, in_force: FaultsInForce) -> None:
        self._system = system
        self._members: tuple[MemberName, ...] = ()
        """The members that were made learners and perhaps are not voters again."""
        self.demotion: asyncio.Task[None] | None = None
        in_force.restore_with(self.restore)

    @property
    def settled(self) -> bool:
        """Return whether all members are known to be voters again."""
        return not self._members

    async def demote(self, members: tuple[MemberName, ...], *, explicit: bool) -> None:
        """Make the voters `members` learners. Requests the change until it has taken effect."""
        self._members = members
        self._system.membership_changes("joint", settled=False)
        await _repeat(
            lambda: self._system.change_jointly(members, voters=False, explicit=explicit)
        )

    async def promote(self) -> None:
        """Repeat the request to make all members voters again, until all are voters."""
        await _repeat(self._request_voters)
        self._members = ()
        self._system.membership_changes("joint", settled=True)

    async def _request_voters(self) -> None:
        await self._system.leave_joint()
        await self._system.change_jointly(self._members, voters=True, explicit=False)

    async def restore(self) -> None:
        """Make all members voters at the end of a run, after all other faults are healed."""
        if self.demotion is not None:
            self.demotion.cancel()
        if self._members:
            # A request without an answer may still take effect.
            await asyncio.sleep(getattr(self._system, "in_flight_s", 1.0))
            try:
                async with asyncio.timeout(RESTORE_LIMIT_S):
                    await self.promote()
            except TimeoutError:
                self._system.membership_lost(self._members[0], "it did not become a voter again")


@inject.register
async def _joint_change(fault: JointChange, in_force: FaultsInForce, random: Random) -> Injected:
    """Begin to make voters learners, in the background.

    The end of the fault waits until all members are voters again.
    """
    changes: JointChanges = in_force.part(JointChanges, require(in_force, JointlyResizable))
    members = await resolve_target(fault.target, in_force, random, fault.on)
    if not changes.settled:
        return without_effect(members)
    if len(members) >= len(in_force.system.members):
        raise FaultError("no voter would remain: expected at least one member that stays a voter")
    done: list[str] = []

    async def demote() -> None:
        await changes.demote(members, explicit=fault.explicit)
        done.append(f"made {', '.join(members)} learners")

    task = changes.demotion = asyncio.create_task(demote())

    async def heal() -> None:
        await asyncio.wait([task])
        await changes.promote()

    return Injected(members, (), heal, _effect(done), ends_with_undo=True)


async def _repeat(request: Callable[[], Awaitable[None]]) -> None:
    """Call `request` again and again until it raises no FaultError."""
    while True:
        with contextlib.suppress(FaultError):
            await request()
            return
        await asyncio.sleep(RETRY_S)


def _effect(done: list[str]) -> Effect:
    return lambda: ", ".join(done)
