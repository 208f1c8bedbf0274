"""The network of a run: machines, the links between them, and the peers that dial each other.

If a pair of machines is cut in both directions, its connections break, and frames in flight are
lost. When a process ends, the frames that it has sent still arrive. When a machine loses power,
only frames on the wire arrive. The peers of the machine do not notice the power loss until the
machine is back and they send to it again. `connection.py` describes one connection.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from splitbrain.harness.schedule.network_and_disk_conditions import IDEAL_NETWORK, NetworkConditions
from splitbrain.harness.simulation.connection import Accept, Connection, Link, Machine, OnFrame
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.node.world import AddressInUse

CONNECT_TIMEOUT_NS = 1_000_000_000
BACKOFF_NS = (50_000_000, 100_000_000, 200_000_000, 400_000_000)
STALL_NS = 5_000_000_000
STALL_BYTES = 64 * 1024
"""A connection that has more than this number of queued bytes for `STALL_NS` is replaced by a new
one, because its peer does not read. The values are those of real members."""


class Dialler:
    """Keeps a connection to one peer. If the connection breaks, it dials again, until `close`.

    Implements `splitbrain.node.world.PeerLink`.
    """

    def __init__(
        self,
        *,
        network: Network,
        process: Process,
        target: Machine,
        url: str,
        hello: bytes,
        queue_bytes_max: int,
    ) -> None:
        self.url = url
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
        self._dialling = False
        self._set_dialling(True)
        self._loop.soon(None, self._dial)

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def send(self, frame: bytes) -> bool:
        connection = self._connection
        if connection is None or connection.queued_bytes > self._limit_bytes(connection):
            return False
        if connection.queued_bytes > STALL_BYTES:
            if not connection.stalled_since_ns:
                connection.stalled_since_ns = self._loop.now_ns
            elif self._loop.now_ns - connection.stalled_since_ns > STALL_NS:
                connection.reset()
                return False
        else:
            connection.stalled_since_ns = 0
        if connection.half_open and self._back.state.half_open:
            self._back.effects += 1  # nobody receives the frame
        elif connection.half_open and self._target.powered:
            # The machine has restarted, so it does not know this connection.
            self._network.reached("a connection outlived its listener's machine")
            connection.reset()
            return False
        self._process.frames += 1
        connection.send(frame)
        return True

    def _limit_bytes(self, connection: Connection) -> int:
        """Return the number of queued bytes beyond which `send` refuses frames."""
        limit = connection.link.state.buffer_bytes_max
        if limit and connection.queued_bytes > limit:
            connection.link.effects += 1
        return limit or self._queue_bytes_max

    @property
    def queued_bytes(self) -> int:
        return 0 if self._connection is None else self._connection.queued_bytes

    @property
    def cut_off(self) -> bool:
        """Return whether at least one of the two directions holds frames back."""
        return self._out.held or self._back.held

    @property
    def unanswered(self) -> bool:
        """Return whether a machine that sends data on a broken connection gets no reset.

        A machine answers data for an unknown connection with a reset, which the network can lose.
        """
        return self.cut_off or self._back.state.half_open

    def finish(self) -> None:
        self._end()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finish()

    def close(self) -> None:
        self._end()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.dialler = None
            connection.reset()

    def _process_ended(self) -> None:
        self._end()
        if self._connection is not None:
            self._connection.finish()
            self._connection = None

    def _end(self) -> None:
        self._closed = True
        self._set_dialling(False)

    def _set_dialling(self, dialling: bool) -> None:
        self._out.dialling += dialling - self._dialling
        self._dialling = dialling

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
        self._set_dialling(False)
        connection.send(self._hello)

    def lost(self, connection: Connection) -> None:
        if self._connection is not connection:
            return
        self._connection = None
        # The listener refused the connection soon after it was established.
        was_brief = self._loop.now_ns - self._since_ns < CONNECT_TIMEOUT_NS
        self._dial_later(self._failures + 1 if was_brief else 0)

    def _failed(self) -> None:
        self._dial_later(self._failures + 1)

    def _dial_later(self, failures: int) -> None:
        self._failures = failures
        if self._closed:
            return
        self._set_dialling(True)
        backoff_ns = BACKOFF_NS[min(failures, len(BACKOFF_NS) - 1)]
        pause_ns = int(backoff_ns * (0.5 + self._out.fraction()))
        self._loop.at_ns(self._loop.now_ns + pause_ns, None, self._dial)


class Network:
    """All machines and links of a run. Each peer URL of a machine identifies it."""

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
        """Call `sent` for each frame that is sent, and `arrived` for each that arrives.

        These functions must not influence the run.
        """
        self._observers = (sent, arrived)
        for link in self._links.values():
            link.observers = self._observers

    def add_machine(self, name: str, *peer_urls: str) -> Machine:
        machine = Machine(name)
        self._machines[name] = machine
        self._by_url.update(dict.fromkeys(peer_urls, machine))
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
        """Make all links fast from now on. They no longer lose, duplicate or reorder frames."""
        self.conditions = IDEAL_NETWORK
        for link in self._links.values():
            link.conditions = IDEAL_NETWORK

    def set_link(self, source: str, target: str, state: LinkState) -> None:
        """Set the state of the link from `source` to `target`, for a fault that begins or ends.

        See `splitbrain.nemesis.capabilities.LinkState`.
        """
        link, back = self.link(source, target), self.link(target, source)
        before, link.state = link.state, state if state != NORMAL else NORMAL
        link.disturb()
        if state.half_open != before.half_open:
            self._change_half_open(self._machines[source], link, back, state.half_open)
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

    def _change_half_open(self, machine: Machine, link: Link, back: Link, begins: bool) -> None:
        """If `begins`, make connections of `machine` half-open; otherwise reset the half-open ones.

        `link` is the direction from `machine` to the peer, and `back` the opposite direction.
        `machine` loses its end of the connections, and the peer does not notice that.
        """
        for connection in [*machine.connections, *self._lost_by(machine, back)]:
            listens, half_open = connection.link is back, connection.half_open
            dials = connection.link is link
            if begins and ((listens and not half_open) or (dials and connection.dialler)):
                self.reached("a connection became half-open")
                link.effects += 1
                if dials:
                    connection.forget_dialler()
                else:
                    connection.vanish()
            elif not begins and ((listens and half_open) or (dials and connection.is_forgotten)):
                connection.reset()

    def _lost_by(self, machine: Machine, back: Link) -> list[Connection]:
        """Return the connections whose listening end `machine` has lost.

        `back` is the direction from the dialling peer to `machine`.
        """
        return [
            connection for other in self._machines.values() if other is not machine
            for connection in other.connections
            if connection.link is back and connection.half_open
        ]

    # --- the end of processes and machines ------------------------------------------------

    def process_ended(self, name: str) -> None:
        """Reset the connections to the process that has ended on the machine `name`.

        If a link loses the reset, the dialling end does not notice the end of the process.
        """
        machine = self._machines[name]
        machine.listener = None
        for connection in list(machine.connections):
            if connection.target is not machine:
                continue
            connection.end_lost()
            back = self.link(name, connection.source.name)
            if back.held:
                # The reset is lost. The next byte that arrives at the machine causes another one.
                connection.vanish()
            else:
                due_ns = self.loop.now_ns + back.transit_ns(64)
                self.loop.at_ns(due_ns, None, connection.reset)

    def power_lost(self, name: str) -> None:
        """Handle the power loss of the machine `name`, which sends no resets."""
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
            network=self, process=process, target=target, url=url, hello=hello,
            queue_bytes_max=queue_bytes_max,
        )
