"""A cluster for tests that are plain functions: an asynchronous system on its own event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from splitbrain.harness.campaign.corpus import SavedRun
from splitbrain.harness.clients.json_client import Completion, open_clients
from splitbrain.harness.drawing.draw import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import open_folder
from splitbrain.harness.schedule.options import Options, read_options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.factory import make_system
from splitbrain.harness.systems.process import log_tail
from splitbrain.harness.systems.system import System
from splitbrain.histories.kv import Request

T = TypeVar("T")

LOG_LINES_SHOWN = 8


class Cluster:
    """A started cluster.

    `run` awaits any coroutine of `system` from the test's own thread. The members run all the
    time; the event loop only runs while `run` does.
    """

    def __init__(
        self, system: System, schedule: Schedule, loop: asyncio.Runner, folder: Path
    ) -> None:
        self.system = system
        self.schedule = schedule
        self.folder = folder
        """The folder of the cluster, with a folder for each member."""
        self._loop = loop

    @property
    def members(self) -> Sequence[str]:
        return self.system.members

    def url(self, member: str) -> str:
        """The URL at which `member` serves clients, without a trailing slash."""
        return self.system.address(member).client_url

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await `coroutine`: `cluster.run(cluster.system.leader())`."""
        return self._loop.run(coroutine)

    def call(self, member: str, request: Request) -> Completion:
        """Send one request to `member`, and return its completion."""
        return self.run(self._call(member, request))

    async def _call(self, member: str, request: Request) -> Completion:
        async with open_clients(self.schedule.options.request_timeout_ms) as client:
            return await client.call(self.url(member), request)

    def kill(self, member: str) -> None:
        self.run(self._method("kill")(member))

    def restart(self, member: str) -> None:
        self.run(self._method("restart")(member))

    def pause(self, member: str) -> None:
        self.run(self._method("pause")(member))

    def resume(self, member: str) -> None:
        self.run(self._method("resume")(member))

    def _method(self, name: str) -> Any:
        method = getattr(self.system, name, None)
        if method is None:
            raise BadArguments(f"the system {self.system.name} has no method `{name}`")
        return method

    def describe(self) -> str:
        """The folder, and the last lines of each member's log."""
        lines = [f"folder: {self.folder}"]
        for member in self.members:
            path = self.system.log_path(member)
            lines.append(f"{member}, the end of {path}:")
            lines += [f"  {line}" for line in log_tail(path).splitlines()[-LOG_LINES_SHOWN:]]
        return "\n".join(lines)


@contextlib.contextmanager
def open_cluster(options: Options) -> Iterator[Cluster]:
    """Start the cluster that `options` name, with a folder in the store, and stop it at the
    end. Raises BadArguments and SystemFailed."""
    schedule = draw_schedule(options)
    folder = open_folder(schedule)
    system = make_system(schedule, folder.path)
    with asyncio.Runner() as loop:
        try:
            loop.run(system.start())
            yield Cluster(system, schedule, loop, folder.path)
        finally:
            loop.run(system.stop())


def options_of_case(
    base: Mapping[str, Any], seed: int | SavedRun, given: Mapping[str, Any]
) -> Options:
    """The options of one test case: `base`, then those of a saved run, then `given` by the
    test. The later ones win."""
    saved = seed.options if isinstance(seed, SavedRun) else {}
    number = seed.seed if isinstance(seed, SavedRun) else seed
    return read_options({**base, **saved, "seed": number, **given})
