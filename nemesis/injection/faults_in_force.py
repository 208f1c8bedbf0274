"""What the nemesis holds of a system: overlapping faults compose here.

Each fault in force is a token. A member is down while any token kills it, stands
still while any pauses it and none kills it, and runs otherwise: it restarts when the
last kill ends, and stands still again at once if a pause is still in force then.
Links compose in the `LinkTable`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Literal

from splitbrain.nemesis.capabilities import (
    NORMAL,
    Killable,
    Led,
    LinkState,
    Partitionable,
    Pausable,
)
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import MemberName
from splitbrain.nemesis.injection.link_table import LinkTable
from splitbrain.nemesis.topology import Link

Undo = Callable[[], Awaitable[None]]
"""Heals what it belongs to; safe to call twice, and again after it failed."""

Hold = Literal["killed", "paused"]
Condition = Literal["up", "down", "still", "unknown"]
"""Of a member; unknown after a step that was cancelled or failed half way."""


class FaultsInForce:
    """All that is done to `system` and not undone yet. One per system and run."""

    def __init__(self, system: Led) -> None:
        self.system = system
        self._tokens = 0
        self._holds: dict[int, tuple[Hold, tuple[MemberName, ...]]] = {}
        self._condition: dict[MemberName, Condition] = {}
        self._busy: dict[MemberName, asyncio.Lock] = {}
        self._links = LinkTable()
        self._set: dict[Link, LinkState | None] = {}
        """What links were last set to; None where that is not known."""
        self._links_busy = asyncio.Lock()
        self._others: dict[int, Undo] = {}
        """Heals whatever else is in force: clocks, disks."""

    async def hold(self, how: Hold, members: tuple[MemberName, ...]) -> Undo:
        """Kill or pause `members`, until the returned Undo. What fails is taken back."""
        token = self._next_token()
        self._holds[token] = (how, members)

        async def undo() -> None:
            self._holds.pop(token, None)
            await self._settle_members(members)

        await self._inject(self._settle_members(members), undo)
        return undo

    async def condition(self, links: Mapping[Link, LinkState]) -> Undo:
        """Put a condition on each of `links`, until the returned Undo. What fails is taken back."""
        token = self._next_token()
        self._links.add(token, links)
        touched = tuple(links)

        async def undo() -> None:
            self._links.remove(token)
            await self._settle_links(touched)

        await self._inject(self._settle_links(touched), undo)
        return undo

    def is_down(self, member: MemberName) -> bool:
        """Whether some fault in force wants `member` dead: nobody may start it meanwhile."""
        return self._wanted(member) == "down"

    def keep(self, heal: Undo) -> Undo:
        """Something of another kind is in force until the returned Undo, which does `heal`."""
        token = self._next_token()
        self._others[token] = heal

        async def undo() -> None:
            if token in self._others:
                await heal()
                self._others.pop(token, None)

        return undo

    async def release_all(self) -> None:
        """End everything in force, also what a cancelled or failed fault left half done.

        Every member and link is tried; the first error is raised after all.
        """
        self._holds.clear()
        self._links = LinkTable()
        await _each((
            self._settle_links(tuple(self._set)),
            self._settle_members(tuple(self._condition)),
            self._heal_others(),
        ))

    async def _heal_others(self) -> None:
        others, self._others = self._others, {}
        await _each(heal() for heal in others.values())

    async def _inject(self, settle: Awaitable[None], undo: Undo) -> None:
        try:
            await settle
        except Exception:
            with contextlib.suppress(Exception):  # the first error is the one to know
                await undo()
            raise

    def _next_token(self) -> int:
        self._tokens += 1
        return self._tokens

    # --- members ---------------------------------------------------------------

    def _wanted(self, member: MemberName) -> Condition:
        holds = {how for how, members in self._holds.values() if member in members}
        if "killed" in holds:
            return "down"
        return "still" if "paused" in holds else "up"

    async def _settle_members(self, members: Iterable[MemberName]) -> None:
        await _each(self._settle(member) for member in members)

    async def _settle(self, member: MemberName) -> None:
        """Bring one member to the condition that the holds in force want, step by step."""
        async with self._busy.setdefault(member, asyncio.Lock()):
            while (now := self._condition.get(member, "up")) != (wanted := self._wanted(member)):
                self._condition[member] = "unknown"
                self._condition[member] = await self._step(member, now, wanted)

    async def _step(self, member: MemberName, now: Condition, wanted: Condition) -> Condition:
        if wanted == "down":
            await self._killable().kill(member)
            return "down"
        if now == "down":
            await self._killable().restart(member)
            return "up"
        if now == "unknown":
            await self._revive(member)
            return "up"
        if wanted == "still":
            await self._pausable().pause(member)
            return "still"
        await self._pausable().resume(member)
        return "up"

    async def _revive(self, member: MemberName) -> None:
        """Undo whatever may have been done to it; both are harmless where nothing was."""
        if isinstance(self.system, Killable):
            await self.system.restart(member)
        if isinstance(self.system, Pausable):
            await self.system.resume(member)

    def _killable(self) -> Killable:
        if isinstance(self.system, Killable):
            return self.system
        raise FaultError(f"{_name(self.system)} cannot be killed: it has no `kill` and `restart`")

    def _pausable(self) -> Pausable:
        if isinstance(self.system, Pausable):
            return self.system
        raise FaultError(f"{_name(self.system)} cannot be paused: it has no `pause` and `resume`")

    # --- links -----------------------------------------------------------------

    async def _settle_links(self, links: Iterable[Link]) -> None:
        async with self._links_busy:
            await _each(self._settle_link(link) for link in links)

    async def _settle_link(self, link: Link) -> None:
        state = self._links.effective(link)
        if self._set.get(link, NORMAL) == state:
            return
        if not isinstance(self.system, Partitionable):
            raise FaultError(f"{_name(self.system)} cannot be partitioned: it has no `set_link`")
        self._set[link] = None
        await self.system.set_link(*link, state)
        self._set[link] = state


async def _each(steps: Iterable[Awaitable[None]]) -> None:
    """Every step in turn, whatever fails; then the first failure, if any."""
    failure: Exception | None = None
    for step in steps:
        try:
            await step
        except Exception as problem:
            failure = failure or problem
    if failure is not None:
        raise failure


def _name(system: Led) -> str:
    return str(getattr(system, "name", type(system).__name__))
