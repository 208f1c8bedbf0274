"""A cluster for tests that are plain functions: its asynchronous system on a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from splitbrain.harness.campaign.corpus import SavedSeed
from splitbrain.harness.clients.json_client import Completion, open_clients
from splitbrain.harness.drawing.draw import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import open_folder
from splitbrain.harness.schedule.options import Options, read_options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.factory import make_system
from splitbrain.harness.systems.system import System
from splitbrain.histories.kv import Request

T = TypeVar("T")


class Cluster:
    """A started cluster. `run` awaits anything of `system`, from the test's own thread.

    Members run all the time; the loop turns only while `run` does.
    """

    def __init__(self, system: System, schedule: Schedule, loop: asyncio.Runner) -> None:
        self.system = system
        self.schedule = schedule
        self._loop = loop

    @property
    def members(self) -> Sequence[str]:
        return self.system.members

    def url(self, member: str) -> str:
        """Where `member` serves clients, without a trailing slash."""
        return self.system.address(member).client_url

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """`cluster.run(cluster.system.leader())`"""
        return self._loop.run(coroutine)

    def call(self, member: str, request: Request) -> Completion:
        """Send one request to `member`; what became of it."""
        return self.run(self._call(member, request))

    async def _call(self, member: str, request: Request) -> Completion:
        async with open_clients(self.schedule.options.request_timeout_ms) as client:
            return await client.call(self.url(member), request)

    def kill(self, member: str) -> None:
        self.run(self._able("kill")(member))

    def restart(self, member: str) -> None:
        self.run(self._able("restart")(member))

    def pause(self, member: str) -> None:
        self.run(self._able("pause")(member))

    def resume(self, member: str) -> None:
        self.run(self._able("resume")(member))

    def _able(self, name: str) -> Any:
        method = getattr(self.system, name, None)
        if method is None:
            raise BadArguments(f"the system {self.system.name} has no `{name}`")
        return method


@contextlib.contextmanager
def open_cluster(options: Options) -> Iterator[Cluster]:
    """Start what `options` name in a folder of the store; everything is ended at the end."""
    schedule = draw_schedule(options)
    folder = open_folder(schedule)
    system = make_system(schedule, folder.path)
    with asyncio.Runner() as loop:
        try:
            loop.run(system.start())
            yield Cluster(system, schedule, loop)
        finally:
            loop.run(system.stop())


def settle(base: Mapping[str, Any], seed: int | SavedSeed, given: Mapping[str, Any]) -> Options:
    """The options of one case: `base`, what its saved seed says, what the test says.

    A saved seed is run as it was found: it wins over `base` alone.
    """
    saved = seed.options if isinstance(seed, SavedSeed) else {}
    number = seed.seed if isinstance(seed, SavedSeed) else seed
    return read_options({**base, **saved, "seed": number, **given})
