"""Checks two rules for the linearizable reads of each member.

    committed         a read waits until its member has applied all entries that any member had
                      committed when the read began (Raft thesis, 6.4)
    applied           a read ends soon after its member has applied the index that Raft returned for
                      the read
"""

from __future__ import annotations

from collections.abc import Callable

from splitbrain.harness.simulation.health import Health
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.node.raft.ready import Ready
from splitbrain.node.server import Server

BOUND_NS = 500_000_000
"""How long a read may still wait after its index was applied. The member may first have to finish a
batch of entries or the installation of a snapshot."""


class _Waiting:
    """A linearizable read that has begun and has not ended."""

    __slots__ = ("applied_ns", "began_ns", "index")

    def __init__(self, began_ns: int) -> None:
        self.began_ns = began_ns
        self.index: int | None = None
        """The index that Raft returned for this read or for a later one; None if it has returned
        none yet."""
        self.applied_ns: int | None = None
        """When the monitor first saw that the member had applied `index`; None before that."""


class _Reads:
    """The linearizable reads that wait at one process of a member."""

    def __init__(self, member: Member, server: Server) -> None:
        self.member = member
        self.server = server
        self.waiting: dict[_Waiting, None] = {}
        self.asked: dict[bytes, int] = {}
        """Maps the context of a ReadIndex request to the time at which it was first sent to
        Raft."""


class ReadMonitor:
    """Checks the linearizable reads of every member.

    `last_committed` returns the largest index that any member has committed.
    """

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        health: Health,
        violated: Callable[[str], None],
        last_committed: Callable[[], int],
    ) -> None:
        self._loop = loop
        self._health = health
        self._violated = violated
        self._last_committed = last_committed

    def began(self, member: Member) -> None:
        """Observe the reads of a member whose process has started to serve."""
        server = member.server
        assert server is not None
        reads = _Reads(member, server)
        self._observe_waits(reads)
        raft = server.raft
        read_index, ready, tick = raft.read_index, raft.ready, raft.tick

        def observed_read_index(context: bytes) -> None:
            reads.asked.setdefault(context, self._loop.now_ns)
            read_index(context)

        def observed_ready() -> Ready:
            made = ready()
            for state in made.read_states:
                self._confirmed(reads, state.context, state.index)
            return made

        def observed_tick() -> None:
            tick()
            if reads.waiting:
                self._check_waiting(reads)

        raft.read_index = observed_read_index  # type: ignore[method-assign]
        raft.ready = observed_ready  # type: ignore[method-assign]
        raft.tick = observed_tick  # type: ignore[method-assign]

    def _observe_waits(self, reads: _Reads) -> None:
        server, name = reads.server, reads.member.name
        wait = server.linearizable_read

        async def linearizable_read() -> None:
            committed, began_s = self._last_committed(), self._loop.time()
            one = _Waiting(self._loop.now_ns)
            reads.waiting[one] = None
            try:
                await wait()
            finally:
                reads.waiting.pop(one, None)
            applied = server.store.consistent_index
            if applied < committed:
                self._violated(
                    f"{name} answers a read that began at {began_s:.6f} s, and has applied entry "
                    f"{applied}; entry {committed} was committed then"
                )

        server.linearizable_read = linearizable_read  # type: ignore[method-assign]

    def _confirmed(self, reads: _Reads, context: bytes, index: int) -> None:
        """Record that Raft has returned `index` for the ReadIndex request with `context`.

        The index is sufficient for every read that began before the request was first sent. The
        method assigns `index` to these reads.
        """
        asked_ns = reads.asked.pop(context, None)
        if asked_ns is None:
            return
        for one in reads.waiting:
            if one.index is None and one.began_ns < asked_ns:
                one.index = index

    def _check_waiting(self, reads: _Reads) -> None:
        applied, now_ns = reads.server.store.consistent_index, self._loop.now_ns
        for one in list(reads.waiting):
            if one.index is None or one.index > applied:
                continue
            if one.applied_ns is None:
                one.applied_ns = now_ns
            healthy_ns = self._health.member_since(reads.member.name)
            if healthy_ns is None:
                continue
            waited_ns = now_ns - max(one.applied_ns, healthy_ns)
            if waited_ns > BOUND_NS:
                del reads.waiting[one]
                self._violated(
                    f"{reads.member.name} keeps a read waiting that began at "
                    f"{one.began_ns / 1e9:.6f} s: its index {one.index} was applied "
                    f"{waited_ns / 1e9:.3f} s ago, and the member has applied entry {applied}"
                )
