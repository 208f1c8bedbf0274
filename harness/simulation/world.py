"""The simulated world as one process of a member sees it: clock, disk, network, randomness.

Implements `splitbrain.node.world.World`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import NoReturn

import msgspec

from splitbrain.harness.simulation.client_network import ClientNetwork
from splitbrain.harness.simulation.clock import MachineClock, SimulatedClock
from splitbrain.harness.simulation.connection import Accept
from splitbrain.harness.simulation.machine_disk import MachineDisk, SimulatedDisk
from splitbrain.harness.simulation.network import Dialler, Network
from splitbrain.harness.simulation.simulated_process import Ended, Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.node.api.client_network import Carriers
from splitbrain.node.api.v3_service import Api
from splitbrain.node.world import Clock, Closable, Disk


class _Listening:
    """A listener for clients or peers. It ends with its process, so `close` does nothing."""

    async def close(self) -> None:
        return


class _ListeningForPeers:
    def __init__(self, process: Process, network: Network, url: str) -> None:
        self._process = process
        self._network = network
        self._url = url

    async def close(self) -> None:
        self._network.stop_listening(self._process, self._url)


class MemberNetwork:
    """The network of one process of a member; implements `splitbrain.node.world.Network`."""

    def __init__(self, process: Process, network: Network, clients: ClientNetwork) -> None:
        self._process = process
        self._network = network
        self._clients = clients

    async def listen_peers(self, url: str, accept: Accept) -> Closable:
        self._network.listen(self._process, url, accept)
        return _ListeningForPeers(self._process, self._network, url)

    def dial_peer(self, url: str, hello: bytes, *, queue_bytes_max: int) -> Dialler:
        return self._network.dial(
            self._process, url, hello, queue_bytes_max=queue_bytes_max
        )

    async def serve_clients(
        self, url: str, api: Api, carriers: Carriers = Carriers.BOTH
    ) -> Closable:
        self._clients.serve(url, self._process, api)
        return _Listening()


class SimulatedWorld:
    """Everything outside one process of a member; implements `splitbrain.node.world.World`.

    `on_stop` is called with an exit code and a reason when the member stops itself or crashes at a
    failpoint. `on_pause` is called with the name of the failpoint when a failpoint pauses the
    member.
    """

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        process: Process,
        machine: MachineClock,
        disk: MachineDisk,
        network: Network,
        clients: ClientNetwork,
        random: Random,
        on_stop: Callable[[Process, int, str], None],
        on_pause: Callable[[Process, str], None],
        buggify: Callable[[str], bool],
    ) -> None:
        self.random = random
        self.clock: Clock = SimulatedClock(loop, machine, process)
        self.disk: Disk = SimulatedDisk(loop, disk, process)
        self.network = MemberNetwork(process, network, clients)
        self.trace_lines: list[bytes] = []
        self.log_lines: list[bytes] = []
        self._loop = loop
        self._process = process
        self._on_stop = on_stop
        self._on_pause = on_pause
        self.buggify = buggify
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def trace(self, line: bytes) -> None:
        self.trace_lines.append(line)

    def spawn(self, work: Awaitable[None], name: str) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as problem:
                self.stop(1, f"{name}: {type(problem).__name__}: {problem}")

        self._loop.create_task(run(), name=name)

    def log(self, level: str, message: str, **fields: object) -> None:
        entry = {
            "level": level, "ns": self._loop.now_ns, "member": self._process.name,
            "life": self._process.life, "msg": message, **fields,
        }
        self.log_lines.append(self._encode(entry) + b"\n")

    def stop(self, code: int, why: str) -> None:
        self.log("info" if code == 0 else "fatal", "stopping", why=why)
        self._loop.soon(None, self._on_stop, self._process, code, why)

    def crash(self) -> NoReturn:
        self._on_stop(self._process, -9, "crashed")
        self._process.end()
        raise Ended

    def stand_still(self, place: str) -> None:
        self._process.pause()
        self._loop.soon(None, self._on_pause, self._process, place)
