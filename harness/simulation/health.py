"""Records since when each member and each link of a simulated cluster has been healthy.

A liveness invariant, such as "a request is answered within its bound", can be required only while
nothing disturbs the members that must answer. A disturbance is a fault, a frame that is lost or
late, a connection that breaks or begins, and the start or resumption of a member. The simulation
knows all disturbances, so a bound is judged exactly for the time since the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.network import Network
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.nemesis.capabilities import NORMAL
from splitbrain.nemesis.disk_fault import HEALTHY

HARMLESS = (
    "tiny snapshot chunks",
    "a snapshot's queue is short",
    "a short apply queue",
    "the backend is flushed at once",
    "a short election timeout",
    "a watcher's buffer is small",
    "a watch's answer is cut early",
    "a watch stream's queue is short",
    "a watch catches up in small pieces",
    "few leases end at once",
    "few compacted changes are removed at once",
    "other tasks run between two entries",
)
"""Rare conditions (`buggify.py`) that do not delay any answer."""
LIMITING = ("tiny appends", "few appends in flight", "few committed entries at once")
"""Rare conditions that limit the throughput of a member during its whole life."""
BRIEF_S = {"a batch waits to be applied": 0.05, "the log is slow to write": 0.02}
"""The longest delay, in seconds, that each of these rare conditions causes. A rare condition that
is in no list of this module counts as a disturbance of `RARE_S` seconds."""
RARE_S = 3.0


class Calm(NamedTuple):
    """A majority of members that have been healthy and connected to `leader` since `since_ns`."""

    since_ns: int
    leader: str
    members: tuple[str, ...]


class Health:
    """The disturbances of one run, and the time since when each member has been free of them."""

    def __init__(
        self, loop: VirtualLoop, members: Mapping[str, Member], network: Network
    ) -> None:
        self._loop = loop
        self._members = members
        self._network = network
        self._disturbed_ns: dict[str, int] = {}
        self._limited = False
        self.unsettled: dict[str, None] = {}
        """The changes of the membership that are in progress. During a change it is unknown which
        members are a majority, so no member counts as healthy."""

    def rare_condition(self, name: str) -> None:
        """Record that the rare condition `name` has occurred in some member."""
        if name in HARMLESS:
            return
        self._limited = self._limited or name in LIMITING
        for member in self._members:
            self.disturb(member, BRIEF_S.get(name, RARE_S))

    def rare_conditions_end(self) -> None:
        """Record that from now on no rare condition occurs, and that the load is over."""
        self._limited = False
        for member in self._members:
            self.disturb(member)

    def disturb(self, member: str, for_s: float = 0.0) -> None:
        """Record a disturbance of `member` that has an effect for `for_s` more seconds."""
        until_ns = self._loop.now_ns + round(for_s * 1e9)
        self._disturbed_ns[member] = max(self._disturbed_ns.get(member, 0), until_ns)

    def member_since(self, name: str) -> int | None:
        """Return the time since which the member has been healthy, in ns; None if it is not."""
        member = self._members[name]
        if (
            not member.runs
            or member.server is None
            or self._limited
            or self.unsettled
            or member.disk.state != HEALTHY
            or member.disk.lost_durable_data
            or member.clock.drifts
            or member.server.failpoints.armed
        ):
            return None
        return self._past(max(self._disturbed_ns.get(name, 0), member.disk.slow_until_ns))

    def link_since(self, source: str, target: str) -> int | None:
        """Return the time since which a link has been connected and healthy; None if it is not.

        A link can have several connections, for example one for snapshots. All must be established.
        """
        link = self._network.link(source, target)
        if link.state is not NORMAL or not link.connections or link.dialling:
            return None
        return self._past(link.disturbed_ns)

    def pair_since(self, one: str, other: str) -> int | None:
        """Return the time since which two members and the links between them have been healthy.

        Returns None if one of these members or links is not healthy.
        """
        return _latest(
            self.member_since(one), self.member_since(other),
            self.link_since(one, other), self.link_since(other, one),
        )

    def all_since(self, names: tuple[str, ...]) -> int | None:
        """Return the time since which all of `names`, and all links among them, have been healthy.

        Returns None if one of them is not healthy.
        """
        alone = [self.member_since(name) for name in names]
        return _latest(*alone, *(self.pair_since(a, b) for a, b in combinations(names, 2)))

    def calm_around(self, leader: str, member: str) -> Calm | None:
        """Return the majority that contains `leader` and `member` and has been healthy for longest.

        Returns None if there is none. Only the links to and from the leader must be healthy.
        """
        leader_ns = self.member_since(leader)
        if leader_ns is None:
            return None
        since = {
            other: _latest(
                leader_ns, self.member_since(other),
                self.link_since(leader, other), self.link_since(other, leader),
            )
            for other in self._members if other != leader
        }
        own = leader_ns if member == leader else since[member]
        chosen = [leader] if member == leader else [leader, member]
        others = sorted(
            (found, name) for name, found in since.items()
            if found is not None and name not in chosen
        )
        others = others[: len(self._members) // 2 + 1 - len(chosen)]
        if own is None or 2 * (len(chosen) + len(others)) <= len(self._members):
            return None
        names = tuple(sorted([*chosen, *(name for _, name in others)]))
        return Calm(max([own, *(found for found, _ in others)]), leader, names)

    def _past(self, ns: int) -> int | None:
        return ns if ns <= self._loop.now_ns else None


def _latest(*since: int | None) -> int | None:
    return None if None in since else max(since, default=0)  # type: ignore[type-var]
