"""Draws random schedules of small actions on a Raft cluster, and runs them.

A schedule is a list of (action, number). The number selects the member, the link or the position
among those to which the action applies at that time. Therefore every list is a valid schedule, and
so is every part of it, and hypothesis can shrink schedules well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.message import Index, MemberId
from splitbrain.node.raft.ready import Role
from tests.unit.raft.cluster import Cluster, MemoryMember
from tests.unit.raft.invariants import InvariantBroken, Invariants

Schedule = list[tuple[str, int]]


class ScheduledCluster:
    """A cluster that executes a schedule and checks all invariants after each action."""

    def __init__(self, size: int, seed: int = 1, **settings: object) -> None:
        self.cluster = Cluster(size, seed, **settings)
        self.invariants = Invariants(self.cluster.voters)
        self._disks = {m.id: m.disk for m in self.cluster.members.values()}
        self._proposals = 0
        self._reads: dict[bytes, Index] = {}

    def run(self, schedule: Schedule) -> None:
        for action, number in schedule:
            ACTIONS[action](self, number)
            self.check()

    def check(self) -> None:
        self.invariants.check([m.up for m in self.cluster.running()], self._disks)
        self._check_applied()
        self._check_reads()

    def _check_applied(self) -> None:
        """State-machine safety: each applied entry is the committed entry of its index."""
        for member in self.cluster.running():
            for index, term, data in member.applied:
                entry = self.invariants.committed.get(index)
                if entry is None or (entry.term, entry.data) != (term, data):
                    raise InvariantBroken(
                        f"{member.id} applied {data!r} at {index}, but {entry} is committed there"
                    )

    def _check_reads(self) -> None:
        """A read index is not before any index that was committed before the read was requested."""
        for member in self.cluster.running():
            for read in member.reads:
                if read.index < self._reads[read.context]:
                    raise InvariantBroken(
                        f"{member.id} may read at {read.index}, but"
                        f" {self._reads[read.context]} was committed before the request"
                    )
            member.reads.clear()

    def heal(self) -> None:
        """Restart all members and repair all links; a leader must then commit an entry."""
        cluster = self.cluster
        for link in cluster.cut:
            cluster.cut[link] = False
        for member in cluster.members.values():
            if member.raft is None:
                member.start()
        for _ in range(200):
            cluster.tick()
            self.check()
            if self._commits_a_new_entry():
                return
        raise InvariantBroken("200 ticks after it was healed, the cluster commits nothing new")

    def _commits_a_new_entry(self) -> bool:
        """Whether a leader commits a new entry and all members apply it."""
        leader = self.cluster.leader()
        if leader is None:
            return False
        try:
            leader.up.propose(b"healed")
        except ProposalDropped:
            return False
        self.cluster.tick(2)
        self.check()
        members = self.cluster.members.values()
        return leader.applied[-1][2] == b"healed" and all(
            m.applied == leader.applied for m in members
        )

    # Actions

    def _member(self, number: int) -> MemoryMember | None:
        running = self.cluster.running()
        return running[number % len(running)] if running else None

    def tick(self, number: int) -> None:
        if member := self._member(number):
            for _ in range(1 + number // 64 % 4):
                member.up.tick()

    def campaign(self, number: int) -> None:
        if member := self._member(number):
            member.up.campaign()

    def expire(self, number: int) -> None:
        """The election timeout of all followers and candidates passes, and one member campaigns."""
        for member in self.cluster.running():
            if member.up.role is not Role.LEADER:
                member.up.election_elapsed = member.up.config.election_ticks
        self.campaign(number)

    def handle(self, number: int) -> None:
        if (member := self._member(number)) and member.up.has_ready():
            member.handle_ready()

    def interrupted_ready(self, number: int) -> None:
        """Messages arrive and time passes while a member processes a Ready."""
        member = self._member(number)
        if member is None or not member.up.has_ready():
            return
        ready = member.take()
        for link in self._links_to(member.id):
            self.cluster.deliver(link)
        if number % 3 == 0:
            member.up.tick()
        member.persist(ready)
        member.send_after_sync(ready)
        member.apply(ready)
        for link in self._links_to(member.id):
            self.cluster.deliver(link)
        member.up.advance(ready)

    def crash_in_ready(self, number: int) -> None:
        """A member crashes while it processes a Ready, before or after any of its stages."""
        member = self._member(number)
        if member is None:
            return
        ready = member.take()
        stage = number // 8 % 5
        if stage == 1:
            member.persist_torn(ready, number // 64 % (len(ready.entries) + 1))
        if stage >= 2:
            member.persist(ready)
        if stage >= 3:
            member.send_after_sync(ready)
        if stage >= 4:
            member.apply(ready)
            if number % 2:
                member.flush()
        self._crash(member, number)

    def crash(self, number: int) -> None:
        if member := self._member(number):
            self._crash(member, number)

    def _crash(self, member: MemoryMember, number: int) -> None:
        member.crash(keep_written=number % 2 == 0)
        self.invariants.forget(member.id)

    def lose_log(self, number: int) -> None:
        """A member of a fixed minority crashes and loses its log, and perhaps its state machine."""
        victims = (len(self.cluster.voters) - 1) // 2
        if not victims:
            return
        member = self.cluster[1 + number % victims]
        if member.raft is not None:
            self._crash(member, number)
        member.disk.lose_log(keep_backend=number // 8 % 2 == 0)

    def restart(self, number: int) -> None:
        down = [m for m in self.cluster.members.values() if m.raft is None]
        if down:
            down[number % len(down)].start()

    def flush(self, number: int) -> None:
        if member := self._member(number):
            member.flush()

    def compact(self, number: int) -> None:
        if member := self._member(number):
            member.snapshot_and_compact(keep=number // 8 % 4)

    def propose(self, number: int) -> None:
        if member := self._member(number):
            for _ in range(1 + number // 8 % 3):
                self._proposals += 1
                try:
                    member.up.propose(b"p%d" % self._proposals)
                except ProposalDropped:
                    return

    def read(self, number: int) -> None:
        if member := self._member(number):
            context = b"r%d" % len(self._reads)
            self._reads[context] = self.invariants.last_committed
            member.up.read_index(context)

    def _links_to(self, to: MemberId) -> list[tuple[MemberId, MemberId]]:
        links = self.cluster.links.items()
        return [link for link, in_flight in links if link[1] == to and in_flight]

    def _link(self, number: int) -> tuple[MemberId, MemberId] | None:
        links = [link for link, in_flight in self.cluster.links.items() if in_flight]
        return links[number % len(links)] if links else None

    def deliver(self, number: int) -> None:
        if link := self._link(number):
            self.cluster.deliver(link)

    def deliver_late(self, number: int) -> None:
        """Deliver a message out of order."""
        if link := self._link(number):
            self.cluster.deliver(link, number // 16 % len(self.cluster.links[link]))

    def duplicate(self, number: int) -> None:
        if link := self._link(number):
            at = number // 16 % len(self.cluster.links[link])
            self.cluster.deliver(link, at, keep=True)

    def drop(self, number: int) -> None:
        if link := self._link(number):
            self.cluster.links[link].pop(number // 16 % len(self.cluster.links[link]))

    def deliver_all(self, number: int) -> None:
        self.cluster.deliver_in_flight()

    def round(self, number: int) -> None:
        """All members handle their Readies, and all messages in flight arrive."""
        for _ in range(1 + number % 2):
            self.cluster.handle_readies()
            self.cluster.deliver_in_flight()

    def cut(self, number: int) -> None:
        links = list(self.cluster.cut)
        if links:
            link = links[number % len(links)]
            self.cluster.cut[link] = not self.cluster.cut[link]

    def isolate(self, number: int) -> None:
        self.cluster.isolate(1 + number % len(self.cluster.voters))

    def join(self, number: int) -> None:
        for link in self.cluster.cut:
            self.cluster.cut[link] = False

    def unreachable(self, number: int) -> None:
        if leader := self.cluster.leader():
            leader.up.report_unreachable(1 + number % len(self.cluster.voters))

    def snapshot_status(self, number: int) -> None:
        if leader := self.cluster.leader():
            leader.up.report_snapshot(1 + number % len(self.cluster.voters), number // 8 % 2 == 0)


Action = Callable[[ScheduledCluster, int], None]

ACTIONS: dict[str, Action] = {
    name: getattr(ScheduledCluster, name)
    for name in (
        "round", "propose", "handle", "deliver", "expire", "tick", "deliver_all",
        "interrupted_ready", "crash_in_ready", "restart", "read", "compact", "flush",
        "deliver_late", "duplicate", "drop", "crash", "campaign", "cut", "isolate",
        "join", "unreachable", "snapshot_status", "lose_log",
    )
}  # fmt: skip

# The relative frequency of the actions; with these, most schedules keep a leader for a while.
_FREQUENT = {
    "round": 24, "propose": 12, "handle": 12, "deliver": 14, "expire": 4, "restart": 12, "join": 4,
}  # fmt: skip
_RARE = {"crash": 1, "isolate": 1, "cut": 1, "campaign": 1, "drop": 2}
WEIGHTS: dict[str, int] = dict.fromkeys(ACTIONS, 3) | _FREQUENT | _RARE | {"lose_log": 0}
WITH_LOSSES = WEIGHTS | {"lose_log": 4}


def draw(random: Random, length: int, weights: Mapping[str, int] = WEIGHTS) -> Schedule:
    """Draw a schedule of `length` actions."""
    names = random.choices(list(weights), list(weights.values()), k=length)
    return [(name, random.randrange(1024)) for name in names]
