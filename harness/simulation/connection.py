"""One connection over a directed link between two machines.

By default a connection has the semantics of TCP. Its frames arrive complete, in order, and once.
The operating system retransmits packets that a link loses, so a lost packet only causes a long
delay. A link that is held (it is a black hole, or is cut in one direction) keeps the frames. When
the link is restored, it delivers them in order.

With `NetworkConditions.loose` a connection has the semantics of messages: each frame may be lost,
arrive twice, or overtake other frames. Raft requires no more of a network.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from splitbrain.harness.schedule.network_and_disk_conditions import NetworkConditions
from splitbrain.harness.simulation.link_delay import RETRANSMIT_NS, LinkDelay
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.nemesis.capabilities import NORMAL
from splitbrain.node import peer_frame

STRAGGLERS_PERCENT = 30.0
"""The percentage of reordered frames that are delayed by up to `STRAGGLE_NS_MAX`."""
STRAGGLE_NS_MAX = 1_000_000_000

Accept = Callable[[bytes], Callable[[bytes], None]]
OnFrame = Callable[[str, str, bytes], None]
"""A function that is called with the name of the sending machine, the name of the receiving
machine, and a frame."""


class DiallingEnd(Protocol):
    """The interface by which a connection uses the machine that opened it."""

    machine: Machine

    @property
    def unanswered(self) -> bool:
        """Return whether a machine that sends data on a broken connection gets no reset.

        A machine answers data for an unknown connection with a reset, which the network can lose.
        """

    def lost(self, connection: Connection) -> None:
        """Handle the end of `connection`, which has broken."""


class Link(LinkDelay):
    """One direction between two machines. All connections between them share it."""

    def __init__(
        self,
        loop: VirtualLoop,
        random: Random,
        conditions: NetworkConditions,
        reached: Callable[[str], None],
    ) -> None:
        super().__init__(loop, random, conditions, reached)
        self.observers: tuple[OnFrame, OnFrame] | None = None
        """Two functions: the first is called with each frame that is sent, the second with each
        that arrives."""
        self.connections = 0
        """The number of connections over this link. Connections of which one end is gone do not
        count."""
        self.dialling = 0
        """The number of peers that dial over this link and have no connection yet."""
        self.waiting: list[tuple[Connection, bytes]] = []
        """The frames that the link holds back, in order, with their connections."""

    @property
    def held(self) -> bool:
        """Return whether the link keeps its frames until its state changes."""
        return self.state.black_hole or not self.state.open

    def with_flipped_bit(self, frame: bytes) -> bytes:
        """Return a copy of `frame` in which one random bit is flipped."""
        changed = bytearray(frame)
        changed[self._random.randrange(len(frame))] ^= 1 << self._random.randrange(8)
        return bytes(changed)


class Machine:
    """A machine on the network: whether it has power, and which process listens on it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.powered = True
        self.listener: tuple[Process, Accept] | None = None
        self.connections: dict[Connection, None] = {}
        """The connections with an end on this machine."""


class Connection:
    """A connection, which carries frames from the machine that dialled to the one that listens."""

    __slots__ = (
        "_last_ns", "_loop", "_receive", "_whole", "broken", "dialler", "link", "listener",
        "queued_bytes", "source", "stalled_since_ns", "target",
    )

    def __init__(
        self, loop: VirtualLoop, link: Link, dialler: DiallingEnd, target: Machine
    ) -> None:
        assert target.listener is not None
        self._loop = loop
        self.link = link
        self.dialler: DiallingEnd | None = dialler
        self.source = dialler.machine
        self.target = target
        self.listener, accept = target.listener
        self.broken = False
        self._whole = True
        self.queued_bytes = 0
        self.stalled_since_ns = 0
        self._last_ns = 0
        self._receive: Callable[[bytes], Callable[[bytes], None] | None] | None = accept
        self.source.connections[self] = None
        target.connections[self] = None
        link.connections += 1
        link.disturb()

    def send(self, frame: bytes) -> None:
        """Put a frame into the kernel's buffer, and send it over the link."""
        self.queued_bytes += len(frame)
        link = self.link
        if link.observers is not None:
            link.observers[0](self.source.name, self.target.name, frame)
        if link.state is not NORMAL and link.held:
            link.waiting.append((self, frame))
            link.effects += 1
            return
        if frame and link.happens(link.state.corrupt_percent):
            self._send_corrupted(frame)
            return
        if link.conditions.loose:
            self._send_loosely(frame)
            return
        due_ns = max(self._loop.now_ns + link.transit_ns(len(frame)), self._last_ns)
        self._last_ns = due_ns
        self._loop.at_ns(due_ns, self.listener, self._arrive, frame)

    def _send_corrupted(self, frame: bytes) -> None:
        """Send a frame of which one bit is flipped on its way.

        Members send a checksum with each frame. If the checksum does not match, the listening
        member closes the connection. This method then breaks the connection instead of delivering
        the frame.
        """
        link = self.link
        link.effects += 1
        link.reached("a frame was corrupted")
        due_ns = max(self._loop.now_ns + link.transit_ns(len(frame)), self._last_ns)
        self._last_ns = due_ns
        _, checksum = peer_frame.HEADER.unpack_from(peer_frame.framed(frame))
        changed = link.with_flipped_bit(frame)
        if peer_frame.intact(changed, checksum):
            self._loop.at_ns(due_ns, self.listener, self._arrive, changed)
        else:
            self._loop.at_ns(due_ns, None, self.reset)

    def _send_loosely(self, frame: bytes) -> None:
        """Send a frame with the semantics of messages: it can be lost, duplicated or reordered.

        The first frame of a connection is neither lost nor overtaken, because it names the peer.
        """
        link, conditions, loop = self.link, self.link.conditions, self._loop
        is_first = self._last_ns == 0
        if not is_first and link.happens(max(conditions.loss_percent, link.state.lost_percent)):
            self.queued_bytes -= len(frame)
            link.effects += link.state.lost_percent > 0
            link.reached("a frame was lost")
            link.disturb()
            return
        due_ns = loop.now_ns + link.transit_ns(len(frame))
        if is_first or not link.happens(conditions.reorder_percent):
            due_ns = max(due_ns, self._last_ns)
            self._last_ns = due_ns
        elif link.happens(STRAGGLERS_PERCENT):
            # This frame arrives late, and the frames that are sent after it do not wait for it.
            due_ns += int(link.fraction() ** 3 * STRAGGLE_NS_MAX)
            link.disturb(due_ns - loop.now_ns)
            link.reached("a frame came long after later ones")
        elif due_ns < self._last_ns:
            link.reached("a frame overtook another")
        loop.at_ns(due_ns, self.listener, self._arrive, frame)
        if not is_first and link.happens(conditions.duplicate_percent):
            self.queued_bytes += len(frame)
            again_ns = due_ns + link.transit_ns(len(frame)) * 5
            loop.at_ns(again_ns, self.listener, self._arrive, frame)

    def _arrive(self, frame: bytes) -> None:
        """Pass a frame that has arrived to the listening process.

        Drop it if that process has ended.
        """
        self.queued_bytes -= len(frame)
        if self.broken or self._receive is None:
            return
        if self.link.observers is not None:
            self.link.observers[1](self.source.name, self.target.name, frame)
        try:
            then = self._receive(frame)
        except ConnectionRefusedError:
            self._loop.soon(None, self.reset)
            return
        if then is not None:
            self._receive = then

    def reset(self) -> None:
        """Break the connection for both ends. Frames in flight are lost.

        A second call has no effect.
        """
        if self.broken:
            return
        if self.queued_bytes:
            self.link.reached("a connection broke with frames in flight")
        self._detach()
        dialler, self.dialler = self.dialler, None
        if dialler is not None:
            self._loop.soon(None, dialler.lost, self)

    def finish(self) -> None:
        """Handle the end of the dialling process. Frames that it has sent still arrive."""
        self.dialler = None
        self.end_lost()
        if self.queued_bytes == 0:
            self._detach()

    def end_lost(self) -> None:
        """Record that one end of the connection is gone, so that the link no longer counts it."""
        if self._whole:
            self._whole = False
            self.link.connections -= 1
            self.link.disturb()

    def vanish(self) -> None:
        """Remove the listening end without notifying the dialling end."""
        self._receive = None
        self.end_lost()
        self.target.connections.pop(self, None)
        self._loop.at_ns(self._loop.now_ns + RETRANSMIT_NS, None, self._retransmit)

    def forget_dialler(self) -> None:
        """Close the connection at the dialling end without notifying the listening end."""
        self.end_lost()
        dialler, self.dialler = self.dialler, None
        if dialler is not None:
            self._loop.soon(None, dialler.lost, self)

    def _retransmit(self) -> None:
        """Retransmit the data that was not acknowledged, repeatedly, until a reset comes back.

        A machine that was restarted does not know the connection and answers with a reset.
        """
        if self.broken or self.dialler is None:
            return
        if self.queued_bytes and self.target.powered and not self.dialler.unanswered:
            self.link.reached("a connection outlived its listener's machine")
            self.reset()
        else:
            self._loop.at_ns(self._loop.now_ns + RETRANSMIT_NS, None, self._retransmit)

    @property
    def half_open(self) -> bool:
        """Return whether the listening end is gone and the dialling end has not noticed that."""
        return not self.broken and self._receive is None

    @property
    def is_forgotten(self) -> bool:
        """Return whether the dialling end is gone and everything that it sent has arrived."""
        return not self.broken and self.dialler is None and not self.queued_bytes

    def _detach(self) -> None:
        self.end_lost()
        self.broken = True
        self._receive = None
        self.source.connections.pop(self, None)
        self.target.connections.pop(self, None)
