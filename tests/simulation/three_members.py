"""Starts a simulated cluster whose members are called directly, one request after another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.simulation.cluster import SimulatedCluster, client_url
from splitbrain.harness.simulation.simulated_system import SimulatedSystem
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages.current_client import CALLER, Caller
from splitbrain.node.messages.errors import RpcError

MEMBERS = ("n1", "n2", "n3")
TIMEOUT_S = 10.0


class ThreeMembers:
    """The members n1, n2 and n3 in simulation. `settings` are fields of the members' `Config`."""

    def __init__(self, folder: Path, seed: int, settings: Mapping[str, object]) -> None:
        schedule = parse_schedule(f"seed {seed}\nmembers n1 n2 n3\nlasts 1000 ms\n")
        self.loop = VirtualLoop()
        self.cluster = SimulatedCluster(self.loop, schedule, settings)
        self.system = SimulatedSystem(self.cluster, folder)
        self.token = ""
        """The token of authentication that is sent with each request."""

    async def call(self, member: str, route: str, request: Any) -> Any:
        """The member's response to `request`. Raises RpcError."""

        token = self.token

        async def serve(api: Api) -> Any:
            CALLER.set(Caller(token=token))
            return await api.methods[route](request)

        return await self.cluster.clients.ask(client_url(member), serve, TIMEOUT_S)

    async def refusal(self, member: str, route: str, request: Any) -> str:
        """The message of the error with which the member refuses `request`, or ""."""
        try:
            await self.call(member, route, request)
        except RpcError as error:
            return error.message
        return ""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_three(
    folder: Path,
    test: Callable[[ThreeMembers], Awaitable[None]],
    *,
    seed: int = 1,
    **settings: object,
) -> None:
    """Start three members, run `test`, and stop them."""
    members = ThreeMembers(folder, seed, settings)

    async def main() -> None:
        await members.system.start()
        await test(members)
        members.cluster.stop()

    try:
        members.loop.run_until_complete(main())
    finally:
        members.loop.close()
