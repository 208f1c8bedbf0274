"""The faults that are in force on a system, and how faults that overlap combine.

A member is killed while any fault kills it. It is paused while any fault pauses it and no fault
kills it. Otherwise it runs. When the last kill of a member ends, the member restarts. If a pause is
still in force, the member is paused again at once. The states of links are combined in the
`LinkTable`, and those of disks in the `DiskTable`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Literal, TypeVar, cast

from splitbrain.nemesis.capabilities import (
    NORMAL,
    HasLeader,
    Killable,
    LinkState,
    Partitionable,
    Pausable,
)
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.disk_table import DiskTable
from splitbrain.nemesis.injection.link_table import LinkTable
from splitbrain.nemesis.linux.undo_journal import Journal
from splitbrain.nemesis.partition_shapes import Link

S = TypeVar("S")
T = TypeVar("T")
Undo = Callable[[], Awaitable[None]]
"""A function that heals one fault. It may be called twice, and again after it raised."""

OnRestart = Callable[[MemberName], Awaitable[None]]
"""A function that is called with a member that has just restarted, to inject a fault into its new
process."""

Stop = Literal["killed", "paused"]
Condition = Literal["running", "killed", "paused", "unknown"]
"""The condition of a member. It is unknown after an action on the member was cancelled or raised an
error."""


class FaultsInForce:
    """The faults on `system` that are not healed yet. There is one object for each run."""

    def __init__(self, system: HasLeader) -> None:
        self.system = system
        self._tokens = 0
        self._stops: dict[int, tuple[Stop, tuple[MemberName, ...]]] = {}
        self._conditions: dict[MemberName, Condition] = {}
        self._member_locks: dict[MemberName, asyncio.Lock] = {}
        self._links = LinkTable()
        self._link_states: dict[Link, LinkState | None] = {}
        """The state to which each link was last set; None if that is unknown because setting it
        failed."""
        self._links_lock = asyncio.Lock()
        self.disks = DiskTable()
        self._other_undos: dict[int, Undo] = {}
        """Functions that heal the other faults in force: those of clocks, disks, failpoints and
        processes."""
        self._restart_hooks: dict[int, OnRestart] = {}
        self.journal = Journal()
        """Records what must be undone on this machine if the harness is killed."""
        self._parts: dict[type, object] = {}
        self._final_undos: list[Undo] = []
        self._restorations: list[Undo] = []

    async def stop_members(self, how: Stop, members: tuple[MemberName, ...]) -> Undo:
        """Kill or pause `members`, as `how` says, until the returned Undo is called.

        On error, the members are healed before the error is raised.
        """
        token = self._next_token()
        self._stops[token] = (how, members)

        async def undo() -> None:
            self._stops.pop(token, None)
            await self._reconcile_members(members)

        await self._undo_on_error(self._reconcile_members(members), undo)
        return undo

    async def set_links(self, links: Mapping[Link, LinkState]) -> Undo:
        """Add a `LinkState` to each link in `links` until the returned Undo is called.

        Other faults may affect the same link; `LinkTable` combines their states. On error, the
        added states are removed before the error is raised.
        """
        token = self._next_token()
        self._links.add(token, links)
        changed = tuple(links)

        async def undo() -> None:
            self._links.remove(token)
            await self._reconcile_links(changed)

        await self._undo_on_error(self._reconcile_links(changed), undo)
        return undo

    def part(self, kind: Callable[[S, FaultsInForce], T], system: S) -> T:
        """Return the object `kind(system, self)`, which all faults of a kind share.

        The first call creates it, and later calls return it.
        """
        key = cast("type", kind)
        if key not in self._parts:
            self._parts[key] = kind(system, self)
        return cast("T", self._parts[key])

    def at_end(self, heal: Undo) -> None:
        """Register the function `heal`. `release_all` calls it after it has healed all faults."""
        self._final_undos.append(heal)

    def restore_with(self, restore: Undo) -> None:
        """Register the function `restore`, which undoes a fault but needs a cluster without faults.

        `restore_all` calls it at the end of the run.
        """
        self._restorations.append(restore)

    @property
    def needs_restoration(self) -> bool:
        """Return whether a function was registered for `restore_all`."""
        return bool(self._restorations)

    async def restore_all(self) -> None:
        """Call the functions that were registered with `restore_with`.

        Call this method after `release_all`, because the functions need a cluster without other
        faults. All functions run at the same time, because one may have to wait for another. For
        example, a change of the members has to wait until a joint configuration is left. Raises the
        first error at the end.
        """
        restorations, self._restorations = self._restorations, []
        results = await asyncio.gather(
            *(restore() for restore in restorations), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def is_killed(self, member: MemberName) -> bool:
        """Return whether a fault in force keeps `member` killed. If so, it must not be started."""
        return self._required(member) == "killed"

    def is_paused(self, member: MemberName) -> bool:
        """Return whether a fault in force pauses `member`. If so, it must not be resumed."""
        return self._required(member) == "paused"

    def after_restart(self, hook: OnRestart) -> Callable[[], None]:
        """Call `hook` after each restart of a member, until the returned function is called.

        A fault uses the hook to affect the member's new process too. A FaultError or OSError of the
        hook is ignored, because the restart itself has succeeded.
        """
        token = self._next_token()
        self._restart_hooks[token] = hook

        def forget() -> None:
            self._restart_hooks.pop(token, None)

        return forget

    def register(self, heal: Undo) -> Undo:
        """Add a fault that affects no link and stops no member, such as a fault of a clock.

        The function `heal` heals the fault. The returned Undo calls `heal`, and does nothing after
        `heal` has succeeded once.
        """
        token = self._next_token()
        self._other_undos[token] = heal

        async def undo() -> None:
            if token in self._other_undos:
                await heal()
                self._other_undos.pop(token, None)

        return undo

    async def release_all(self) -> None:
        """Heal every fault, also a fault whose injection has failed or was cancelled.

        The method tries every member and link, and raises the first error at the end.
        """
        self._stops.clear()
        self._links = LinkTable()
        await _run_all((
            self._reconcile_links(tuple(self._link_states)),
            self._reconcile_members(tuple(self._conditions)),
            self._heal_others(),
            *(heal() for heal in self._final_undos),
        ))

    async def _heal_others(self) -> None:
        undos, self._other_undos = self._other_undos, {}
        await _run_all(heal() for heal in undos.values())

    async def _undo_on_error(self, injection: Awaitable[None], undo: Undo) -> None:
        try:
            await injection
        except Exception:
            with contextlib.suppress(Exception):  # the first error is the one to report
                await undo()
            raise

    def _next_token(self) -> int:
        self._tokens += 1
        return self._tokens

    # --- members ---------------------------------------------------------------

    def _required(self, member: MemberName) -> Condition:
        stops = {how for how, members in self._stops.values() if member in members}
        if "killed" in stops:
            return "killed"
        return "paused" if "paused" in stops else "running"

    async def _reconcile_members(self, members: Iterable[MemberName]) -> None:
        await _run_all(self._reconcile_member(member) for member in members)

    async def _reconcile_member(self, member: MemberName) -> None:
        """Kill, restart, pause or resume one member until it is as the faults in force require."""
        async with self._member_locks.setdefault(member, asyncio.Lock()):
            while True:
                now = self._conditions.get(member, "running")
                required = self._required(member)
                if now == required:
                    return
                self._conditions[member] = "unknown"
                self._conditions[member] = await self._act(member, now, required)

    async def _act(self, member: MemberName, now: Condition, required: Condition) -> Condition:
        """Take the first action that leads from the condition `now` towards `required`.

        Returns the condition after the action.
        """
        if required == "killed":
            await self._killable().kill(member)
            return "killed"
        if now == "killed":
            await self._killable().restart(member)
            await self._call_restart_hooks(member)
            return "running"
        if now == "unknown":
            await self._restart_and_resume(member)
            return "running"
        if required == "paused":
            await self._pausable().pause(member)
            return "paused"
        await self._pausable().resume(member)
        return "running"

    async def _call_restart_hooks(self, member: MemberName) -> None:
        for hook in tuple(self._restart_hooks.values()):
            with contextlib.suppress(FaultError, OSError):
                await hook(member)

    async def _restart_and_resume(self, member: MemberName) -> None:
        """Restart the member if it was killed, and resume it if it was paused."""
        if isinstance(self.system, Killable):
            await self.system.restart(member)
        if isinstance(self.system, Pausable):
            await self.system.resume(member)

    def _killable(self) -> Killable:
        if isinstance(self.system, Killable):
            return self.system
        raise FaultError(
            f"{system_name(self.system)} cannot be killed: its class lacks `kill` or `restart`"
        )

    def _pausable(self) -> Pausable:
        if isinstance(self.system, Pausable):
            return self.system
        raise FaultError(
            f"{system_name(self.system)} cannot be paused: its class lacks `pause` or `resume`"
        )

    # --- links -----------------------------------------------------------------

    async def _reconcile_links(self, links: Iterable[Link]) -> None:
        async with self._links_lock:
            await _run_all(self._reconcile_link(link) for link in links)

    async def _reconcile_link(self, link: Link) -> None:
        state = self._links.effective(link)
        if self._link_states.get(link, NORMAL) == state:
            return
        if not isinstance(self.system, Partitionable):
            raise FaultError(
                f"{system_name(self.system)} cannot be partitioned: its class lacks `set_link`"
            )
        self._link_states[link] = None
        await self.system.set_link(*link, state)
        self._link_states[link] = state


async def _run_all(steps: Iterable[Awaitable[None]]) -> None:
    """Await all of `steps`, one after another. Then raise the first error, if there was any."""
    failure: Exception | None = None
    for step in steps:
        try:
            await step
        except Exception as problem:
            failure = failure or problem
    if failure is not None:
        raise failure


def system_name(system: HasLeader) -> str:
    """Return the name of the system in messages: its `name`, or the name of its class."""
    return str(getattr(system, "name", type(system).__name__))
