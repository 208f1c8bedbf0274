"""Starts a simulated cluster without clients and faults, for tests of its monitors."""

from __future__ import annotations

import asyncio

from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.simulation.cluster import SimulatedCluster, client_url
from splitbrain.harness.simulation.simulated_client import SimulatedClient
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.histories.service_operation import AnyRequest
from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.node.raft.raft import Raft

HEARTBEAT_MS = 20
ELECTION_MS = 200
CUT = LinkState(open=False)


class SimulatedMembers:
    """Members n1, n2, …, with a leader."""

    def __init__(self, count: int = 3, **settings: int | bool) -> None:
        names = [f"n{number}" for number in range(1, count + 1)]
        self.loop = VirtualLoop()
        schedule = parse_schedule(f"seed 1\nmembers {' '.join(names)}\nlasts 1 ms\n")
        times = {"heartbeat_ms": HEARTBEAT_MS, "election_ms": ELECTION_MS}
        self.cluster = SimulatedCluster(self.loop, schedule, {**times, **settings})
        for name in names:
            self.cluster.start(name)
        self.wait(2.0)

    @property
    def violations(self) -> list[str]:
        return self.cluster.invariants.violations

    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def leader(self) -> str:
        found = self.cluster.elections.leader()
        assert found is not None
        return found[0]

    def followers(self) -> list[str]:
        leader = self.leader()
        return [name for name in self.cluster.members if name != leader]

    def raft(self, name: str) -> Raft:
        server = self.cluster.members[name].server
        assert server is not None
        return server.raft

    def isolate(self, name: str, state: LinkState = CUT) -> None:
        for other in self.cluster.members:
            if other != name:
                self.cluster.network.set_link(name, other, state)
                self.cluster.network.set_link(other, name, state)

    def heal(self, name: str) -> None:
        self.isolate(name, NORMAL)

    def call(self, name: str, request: AnyRequest, timeout_ms: int = 2_000) -> str:
        """The outcome of a request to the member."""
        client = SimulatedClient(self.cluster.clients, self.cluster.requests, timeout_ms)
        outcome = self.loop.run_until_complete(client.call(client_url(name), request)).outcome
        self.wait(0.01)  # the member notices later that the client has given up
        return outcome
