"""Starts a cluster of each system, for tests that inject faults."""

from __future__ import annotations

import asyncio
import base64
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import aiohttp
import psutil
import pytest

from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.etcd import Etcd
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from splitbrain.harness.systems.networks.network import LOOPBACK
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce

SYSTEMS = [pytest.param(Etcd, marks=pytest.mark.etcd), PythonNode]
ELECTION_MS = 500


class Running:
    """A running cluster, with a client and an observer of the members' states."""

    def __init__(self, system: ProcessCluster, session: aiohttp.ClientSession) -> None:
        self.system = system
        self.in_force = FaultsInForce(system)
        self.session = session
        self.written = 0

    async def reconnect(self) -> None:
        """Close all connections to the members."""
        await self.session.close()
        self.session = aiohttp.ClientSession()

    async def put(self, member: str, timeout_s: float = 10.0, size_bytes: int = 0) -> bool:
        """Put a new key at `member`; returns whether the put was acknowledged within `timeout_s`.

        A put that is refused, for example during an election, is sent again.
        """
        self.written += 1
        key = base64.b64encode(f"k{self.written}".encode()).decode()
        message = {"key": key, "value": "A" * size_bytes or key}
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not await self._acknowledged(member, message):
                    await asyncio.sleep(0.05)
                return True
        return False

    async def _acknowledged(self, member: str, message: dict[str, str]) -> bool:
        url = self.system.address(member).client_url + "/v3/kv/put"
        try:
            async with self.session.post(url, json=message) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def leader(self, other_than: str | None = None) -> str:
        async with asyncio.timeout(10):
            while (leader := await self.system.leader()) in (None, other_than):
                await asyncio.sleep(0.05)
        assert leader is not None
        return leader

    async def agreement(self) -> int:
        """Wait until all members have applied the same entries; returns their revision.

        Asserts that the hashes and the change logs of the members are equal at this revision.
        """
        async with asyncio.timeout(45):
            while True:
                statuses = await self.system._statuses()
                applied = {(s.raft_applied_index, s.header.revision, s.leader)
                           for s in statuses.values()}
                if len(statuses) == len(self.system.members) and len(applied) == 1:
                    break
                await asyncio.sleep(0.05)
        ((_, revision, _),) = applied
        states = [await self.system.state(member, revision) for member in self.system.members]
        errors = [state.error for state in states]
        assert errors == [None] * len(states), errors
        assert len({state.hash for state in states}) == 1
        assert states[0].hash != 0
        # A write that a fault delayed may still arrive, so later changes are ignored.
        logs = {tuple(one for one in state.changes if one.revision <= revision)
                for state in states}
        assert len(logs) == 1
        assert [one.revision for one in logs.pop()] == list(range(2, revision + 1))
        return revision


@asynccontextmanager
async def cluster(
    make: Callable[..., ProcessCluster], folder: Path, *, mounted_disks: bool = False,
    network: str = LOOPBACK, piped_logs: bool = False,
    flags: tuple[str, ...] = (), members: tuple[str, ...] = ("n1", "n2", "n3"),
) -> AsyncIterator[Running]:
    settings = ClusterSettings(
        members=members, folder=folder, heartbeat_ms=50, election_ms=ELECTION_MS,
        mounted_disks=mounted_disks, network=network, piped_logs=piped_logs,
        extra_args=flags,
    )
    system = make(settings)
    running = Running(system, aiohttp.ClientSession())
    try:
        await system.start()
        yield running
    finally:
        await running.session.close()
        pids = [pid for name in members for pid in system.pids(name)]
        await system.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)


def on_a_cluster(test: Callable[[Running], Awaitable[None]]) -> Callable[..., None]:
    """Decorate `test(running)` to run on a started cluster of each system."""

    @pytest.mark.parametrize("make", SYSTEMS)
    @functools.wraps(test)
    def started(make: Callable[..., ProcessCluster], tmp_path: Path) -> None:
        async def main() -> None:
            async with cluster(make, tmp_path) as running:
                await test(running)

        asyncio.run(asyncio.wait_for(main(), 60))

    del started.__wrapped__  # otherwise pytest requests the arguments of the inner function
    return cast("Callable[..., None]", started)


def on_etcd(test: Callable[[Running], Awaitable[None]]) -> Callable[..., None]:
    """Decorate `test(running)` to run on etcd alone: it tests the injector and not the store."""

    def started(tmp_path: Path) -> None:
        async def main() -> None:
            async with cluster(Etcd, tmp_path) as running:
                await test(running)

        asyncio.run(asyncio.wait_for(main(), 60))

    started.__name__, started.__doc__ = test.__name__, test.__doc__
    return cast("Callable[..., None]", pytest.mark.etcd(started))
