"""The network between machines: connections over directed links that delay, hold and break.

By default a connection has the semantics of TCP. Its frames arrive complete, in order, and once.
The operating system retransmits packets that a link loses, so a lost packet is a long delay. A link
that is held (a black hole, or cut in one direction) keeps the frames and delivers them late, in
order. If a pair of machines is cut in both directions, its connections break, and frames in flight
are lost. When a process ends, the frames that it has sent still arrive. When a machine loses power,
only frames on the wire arrive. The peers of the machine do not notice the power loss until the
machine is back and they send to it again.

With `NetworkConditions.loose` a connection has message semantics: each frame may be lost, arrive
twice, or overtake other frames. Raft requires no more of a network.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from splitbrain.harness.schedule.conditions import IDEAL_NETWORK, NetworkConditions
from splitbrain.harness.simulation.loop import VirtualLoop
from splitbrain.harness.simulation.process import Process
from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.node.world import AddressInUse

CONNECT_TIMEOUT_NS = 1_000_000_000
BACKOFF_NS = (50_000_000, 100_000_000, 200_000_000, 400_000_000)
STALL_NS = 5_000_000_000
STALL_BYTES = 64 * 1024
"""As in `splitbrain.node.real.peer_connection`: a connection whose peer does not read is
replaced by a new one."""
RETRANSMIT_NS = 200_000_000
"""Source: Linux's TCP_RTO_MIN."""

DELAYS_IN_MEANS_MAX = 4
"""The longest random delay of a frame, as a multiple of the mean."""
LATE_NS = 100_000_000
"""A frame that takes longer than this on its way disturbs the link (`health.py`)."""

STRAGGLERS_PERCENT = 30.0
"""The share of reordered frames that are late by up to `STRAGGLE_NS_MAX`."""
STRAGGLE_NS_MAX = 1_000_000_000

Accept = Callable[[bytes], Callable[[bytes], None]]
OnFrame = Callable[[str, str, bytes], None]
"""Called with the names of the sending and the receiving machine, and a frame."""


class Link:
    """One direction between two machines, shared by all connections between them."""

    def __init__(
        self,
        loop: VirtualLoop,
        random: Random,
        conditions: NetworkConditions,
        reached: Callable[[str], None],
    ) -> None:
        self.reached = reached
        self.observers: tuple[OnFrame, OnFrame] | None = None
        """Called with each frame that is sent, and with each that arrives."""
        self.state: LinkState = NORMAL
        self.conditions = conditions
        self._loop = loop
        self._random = random
        self._free_at_ns = 0
        self.disturbed_ns = 0
        """When the link last lost or delayed a frame, or a connection over it began or ended."""
        self.effects = 0
        """How many frames and connections states of the link have held back, delayed or broken."""
        self.connections = 0
        """The number of established connections that were dialled over the link."""
        self.waiting: list[tuple[Connection, bytes]] = []
        """The frames that are held back, in order."""

    @property
    def held(self) -> bool:
        return self.state.black_hole or not self.state.open

    def transit_ns(self, size: int) -> int:
        """The delay of `size` bytes that are sent now, independent of other frames."""
        random, conditions, state = self._random, self.conditions, self.state
        least, mean = conditions.delay_us
        # The product of two draws is cheap and bounded by `DELAYS_IN_MEANS_MAX`.
        delay_ns = int((least + mean * 2 * random.random() * random.random() * 2) * 1000)
        if random.random() * 100 < conditions.slow_percent:
            delay_ns += RETRANSMIT_NS << random.randrange(3)
            self.reached("a frame waited for a retransmission")
            self.disturb(delay_ns)
        return delay_ns if state is NORMAL else delay_ns + self._added_ns(state, size)

    def _added_ns(self, state: LinkState, size: int) -> int:
        """The part of the delay that a fault adds."""
        added_ns = 0
        if state.delay_ms or state.jitter_ms:
            jitter_ms = (self._random.random() * 2 - 1) * state.jitter_ms
            added_ns += int(max(state.delay_ms + jitter_ms, 0.0) * 1_000_000)
        if state.rate_bytes_per_s:
            now_ns = self._loop.now_ns
            taken_ns = size * 1_000_000_000 // state.rate_bytes_per_s
            self._free_at_ns = max(self._free_at_ns, now_ns) + taken_ns
            added_ns += self._free_at_ns - now_ns
        self.effects += added_ns > 0
        if added_ns > LATE_NS:
            self.disturb(added_ns)
        return added_ns

    def disturb(self, for_ns: int = 0) -> None:
        """Record a disturbance whose effect lasts for `for_ns`."""
        self.disturbed_ns = max(self.disturbed_ns, self._loop.now_ns + for_ns)

    def happens(self, percent: float) -> bool:
        return percent > 0 and self._random.random() * 100 < percent

    def fraction(self) -> float:
        return self._random.random()


class Machine:
    """A machine on the network: whether it has power, and the listener on it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.powered = True
        self.listener: tuple[Process, Accept] | None = None
        self.connections: dict[Connection, None] = {}
        """The connections with an end on this machine."""


class Connection:
    """Carries frames from the machine that dialled to the machine that listens."""

    __slots__ = (
        "_last_ns", "_loop", "_receive", "broken", "dialler", "link", "listener", "queued_bytes",
        "source", "stalled_since_ns", "target",
    )

    def __init__(
        self, loop: VirtualLoop, link: Link, dialler: Dialler, target: Machine
    ) -> None:
        assert target.listener is not None
        self._loop = loop
        self.link = link
        self.dialler: Dialler | None = dialler
        self.source = dialler.machine
        self.target = target
        self.listener, accept = target.listener
        self.broken = False
        self.queued_bytes = 0
        self.stalled_since_ns = 0
        self._last_ns = 0
        self._receive: Callable[[bytes], Callable[[bytes], None] | None] | None = accept
        self.source.connections[self] = None
        target.connections[self] = None
        link.connections += 1
        link.disturb()

    def send(self, frame: bytes) -> None:
        """Put a frame into the kernel's buffer, and send it."""
        self.queued_bytes += len(frame)
        link = self.link
        if link.observers is not None:
            link.observers[0](self.source.name, self.target.name, frame)
        if link.state is not NORMAL and link.held:
            link.waiting.append((self, frame))
            link.effects += 1
            return
        if link.conditions.loose:
            self._send_loosely(frame)
            return
        due_ns = max(self._loop.now_ns + link.transit_ns(len(frame)), self._last_ns)
        self._last_ns = due_ns
        self._loop.at_ns(due_ns, self.listener, self._arrive, frame)

    def _send_loosely(self, frame: bytes) -> None:
        """Send with message semantics. The first frame, which identifies the peer, stays first."""
        link, conditions, loop = self.link, self.link.conditions, self._loop
        is_first = self._last_ns == 0
        if not is_first and link.happens(conditions.loss_percent):
            self.queued_bytes -= len(frame)
            link.reached("a frame was lost")
            link.disturb()
            return
        due_ns = loop.now_ns + link.transit_ns(len(frame))
        if is_first or not link.happens(conditions.reorder_percent):
            due_ns = max(due_ns, self._last_ns)
            self._last_ns = due_ns
        elif link.happens(STRAGGLERS_PERCENT):
            # Later frames do not wait for this one.
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
        """Deliver a frame, on behalf of the listening process, unless that has ended."""
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
        """Break the connection for both ends. Frames in flight are lost. It may be called twice."""
        if self.broken:
            return
        if self.queued_bytes:
            self.link.reached("a connection broke with frames in flight")
        self._detach()
        dialler, self.dialler = self.dialler, None
        if dialler is not None:
            self._loop.soon(None, dialler.lost, self)

    def finish(self) -> None:
        """The dialling process has ended. It sends no more, but sent frames still arrive."""
        self.dialler = None
        if self.queued_bytes == 0:
            self._detach()

    def vanish(self) -> None:
        """The listening end is gone, and the dialling end is not notified."""
        self._receive = None
        self.target.connections.pop(self, None)
        self._loop.at_ns(self._loop.now_ns + RETRANSMIT_NS, None, self._retransmit)

    def _retransmit(self) -> None:
        """Retransmit the data that was not acknowledged.

        A machine that was restarted does not know the connection and answers with a reset.
        """
        if self.broken or self.dialler is None:
            return
        if self.queued_bytes and self.target.powered and not self.dialler.cut_off:
            self.link.reached("a connection outlived its listener's machine")
            self.reset()
        else:
            self._loop.at_ns(self._loop.now_ns + RETRANSMIT_NS, None, self._retransmit)

    @property
    def half_open(self) -> bool:
        """Whether the listening end is gone and the dialling end has not noticed."""
        return not self.broken and self._receive is None

    def _detach(self) -> None:
        if not self.broken:
            self.link.connections -= 1
            self.link.disturb()
        self.broken = True
        self._receive = None
        self.source.connections.pop(self, None)
        self.target.connections.pop(self, None)


class Dialler:
    """`splitbrain.node.world.PeerLink`: maintains a connection to one peer until closed."""

    def __init__(
        self,
        *,
        network: Network,
        process: Process,
        target: Machine,
        hello: bytes,
        queue_bytes_max: int,
    ) -> None:
        self.machine = network.machine(process.name)
        self._network = network
        self._loop = network.loop
        self._process = process
        self._target = target
        self._hello = hello
        self._queue_bytes_max = queue_bytes_max
        self._out = network.link(process.name, target.name)
        self._back = network.link(target.name, process.name)
        self._connection: Connection | None = None
        self._since_ns = 0
        self._failures = 0
        self._closed = False
        process.at_end.append(self._process_ended)
        self._loop.soon(None, self._dial)

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def send(self, frame: bytes) -> bool:
        connection = self._connection
        if connection is None or connection.queued_bytes > self._queue_bytes_max:
            return False
        if connection.queued_bytes > STALL_BYTES:
            if not connection.stalled_since_ns:
                connection.stalled_since_ns = self._loop.now_ns
            elif self._loop.now_ns - connection.stalled_since_ns > STALL_NS:
                connection.reset()
                return False
        else:
            connection.stalled_since_ns = 0
        if connection.half_open and self._target.powered:
            # The machine is back and does not know this connection.
            self._network.reached("a connection outlived its listener's machine")
            connection.reset()
            return False
        connection.send(frame)
        return True

    @property
    def queued_bytes(self) -> int:
        return 0 if self._connection is None else self._connection.queued_bytes

    @property
    def cut_off(self) -> bool:
        """Whether frames do not pass in one of the two directions."""
        return self._out.held or self._back.held

    def finish(self) -> None:
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finish()

    def close(self) -> None:
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.dialler = None
            connection.reset()

    def _process_ended(self) -> None:
        self._closed = True
        if self._connection is not None:
            self._connection.finish()
            self._connection = None

    # --- dialling is done by the operating system, also for a paused process -------------

    def _dial(self) -> None:
        if self._closed:
            return
        loop, out, back = self._loop, self._out, self._back
        if self._target.listener is not None:
            out.effects += out.held
            back.effects += back.held
        if not out.state.open and not back.state.open:
            loop.at_ns(loop.now_ns + out.transit_ns(0) + back.transit_ns(0), None, self._failed)
        elif out.held or back.held or not self._target.powered:
            self._network.reached("a dial ran into its timeout")
            loop.at_ns(loop.now_ns + CONNECT_TIMEOUT_NS, None, self._failed)
        else:
            loop.at_ns(loop.now_ns + out.transit_ns(64), None, self._reach_target)

    def _reach_target(self) -> None:
        listener = self._target.listener
        answers = self._target.powered and listener is not None and not listener[0].ended
        if not answers:
            self._network.reached("a dial was refused")
        then = self._established if answers else self._failed
        self._loop.at_ns(self._loop.now_ns + self._back.transit_ns(64), None, then)

    def _established(self) -> None:
        listener = self._target.listener
        if self._closed:
            return
        if listener is None or listener[0].ended or self._out.held:
            self._failed()
            return
        connection = Connection(self._loop, self._out, self, self._target)
        self._since_ns = self._loop.now_ns
        self._connection = connection
        connection.send(self._hello)

    def lost(self, connection: Connection) -> None:
        if self._connection is not connection:
            return
        self._connection = None
        # The listener refused a connection that broke soon after it was established.
        was_brief = self._loop.now_ns - self._since_ns < CONNECT_TIMEOUT_NS
        self._dial_later(self._failures + 1 if was_brief else 0)

    def _failed(self) -> None:
        self._dial_later(self._failures + 1)

    def _dial_later(self, failures: int) -> None:
        self._failures = failures
        if self._closed:
            return
        backoff_ns = BACKOFF_NS[min(failures, len(BACKOFF_NS) - 1)]
        pause_ns = int(backoff_ns * (0.5 + self._out.fraction()))
        self._loop.at_ns(self._loop.now_ns + pause_ns, None, self._dial)


class Network:
    """All machines and links of a run. Peers are identified by their URL."""

    def __init__(
        self,
        loop: VirtualLoop,
        stream: Callable[[str, str], Random],
        conditions: NetworkConditions,
        reached: Callable[[str], None],
    ) -> None:
        self.loop = loop
        self.reached = reached
        self.conditions = conditions
        self._stream = stream
        self._machines: dict[str, Machine] = {}
        self._by_url: dict[str, Machine] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._observers: tuple[OnFrame, OnFrame] | None = None

    def observe_frames(self, sent: OnFrame, arrived: OnFrame) -> None:
        """Call `sent` and `arrived` for each frame. They must not change the run."""
        self._observers = (sent, arrived)
        for link in self._links.values():
            link.observers = self._observers

    def add_machine(self, name: str, peer_url: str) -> Machine:
        machine = Machine(name)
        self._machines[name] = machine
        self._by_url[peer_url] = machine
        return machine

    def machine(self, name: str) -> Machine:
        return self._machines[name]

    def link(self, source: str, target: str) -> Link:
        found = self._links.get((source, target))
        if found is None:
            found = Link(self.loop, self._stream(source, target), self.conditions, self.reached)
            found.observers = self._observers
            self._links[source, target] = found
        return found

    def make_ideal(self) -> None:
        """From now on links are fast and lose, duplicate and reorder no frames."""
        self.conditions = IDEAL_NETWORK
        for link in self._links.values():
            link.conditions = IDEAL_NETWORK

    def set_link(self, source: str, target: str, state: LinkState) -> None:
        """Set the state of a link; see `splitbrain.nemesis.capabilities.LinkState`."""
        link, back = self.link(source, target), self.link(target, source)
        link.state = state if state != NORMAL else NORMAL
        link.disturb()
        if not link.state.open and not back.state.open:
            for machine in (self._machines[source], self._machines[target]):
                for connection in list(machine.connections):
                    if connection.link in (link, back):
                        connection.reset()
                        link.effects += 1
                        back.effects += 1
            link.waiting.clear()
            back.waiting.clear()
        elif not link.held:
            waiting, link.waiting = link.waiting, []
            if waiting:
                self.reached("frames were held back and came late")
            for connection, frame in waiting:
                connection.queued_bytes -= len(frame)
                if not connection.broken:
                    connection.send(frame)

    # --- the end of processes and machines ------------------------------------------------

    def process_ended(self, name: str) -> None:
        """Notify the other ends of the process's connections, if the links let the resets pass."""
        machine = self._machines[name]
        machine.listener = None
        for connection in list(machine.connections):
            if connection.target is not machine:
                continue
            back = self.link(name, connection.source.name)
            if back.held:
                # The reset is lost. The next byte that arrives causes another one.
                connection.vanish()
            else:
                due_ns = self.loop.now_ns + back.transit_ns(64)
                self.loop.at_ns(due_ns, None, connection.reset)

    def power_lost(self, name: str) -> None:
        """The machine loses power, so it sends no resets."""
        machine = self._machines[name]
        machine.powered = False
        machine.listener = None
        for connection in list(machine.connections):
            if connection.target is machine:
                connection.vanish()
            elif connection.dialler is None:
                connection.link.waiting = [
                    one for one in connection.link.waiting if one[0] is not connection
                ]

    def listen(self, process: Process, url: str, accept: Accept) -> None:
        machine = self._by_url.get(url)
        if machine is None or machine.name != process.name:
            raise AddressInUse(f"cannot listen on {url}: it is not an address of {process.name}")
        if machine.listener is not None and not machine.listener[0].ended:
            raise AddressInUse(f"another process listens on {url}; give the member another address")
        machine.listener = (process, accept)

    def stop_listening(self, process: Process, url: str) -> None:
        machine = self._by_url[url]
        if machine.listener is not None and machine.listener[0] is process:
            machine.listener = None

    def dial(
        self, process: Process, url: str, hello: bytes, *, queue_bytes_max: int
    ) -> Dialler:
        target = self._by_url.get(url)
        if target is None:  # a member was added whose machine does not exist
            target = self.add_machine(url, url)
            target.powered = False
        return Dialler(
            network=self, process=process, target=target, hello=hello,
            queue_bytes_max=queue_bytes_max,
        )
