"""Starts a cluster for a test, with blocking methods for tests that are not coroutines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from splitbrain.harness.clients.carriers import clients_of
from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.failures.corpus import SavedRun
from splitbrain.harness.runs.execute import keep_or_remove_data, open_folder
from splitbrain.harness.schedule.options import Options, read_options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.systems.factory import make_system
from splitbrain.harness.systems.processes.member_process import log_tail
from splitbrain.harness.systems.system import System, tls_of
from splitbrain.histories.kv import Request

T = TypeVar("T")

LOG_LINES_SHOWN = 8
"""The number of last lines of each member's log that a failing test shows."""


class Cluster:
    """A started cluster with blocking methods.

    The members run all the time, in their own processes. The event loop of the harness runs only
    while a method of this class is being called.
    """

    def __init__(
        self, system: System, schedule: Schedule, loop: asyncio.Runner, folder: Path
    ) -> None:
        self.system = system
        self.schedule = schedule
        self.folder = folder
        """The folder of the run, which contains a folder for each member."""
        self._loop = loop

    @property
    def members(self) -> Sequence[str]:
        return self.system.members

    def url(self, member: str) -> str:
        """Return the URL at which `member` serves clients, without a trailing slash."""
        return self.system.address(member).client_url

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await `coroutine` and return its result: `cluster.run(cluster.system.leader())`."""
        return self._loop.run(coroutine)

    def call(self, member: str, request: Request) -> Completion:
        """Send one request to `member`, and return its completion: outcome, result and error."""
        return self.run(self._call(member, request))

    async def _call(self, member: str, request: Request) -> Completion:
        options = self.schedule.options
        opened = clients_of(options.carrier, lambda: tls_of(self.system))
        async with opened(options.request_timeout_ms) as client:
            return await client.call(self.url(member), request)

    def kill(self, member: str) -> None:
        """Send SIGKILL to `member`. Raises BadArguments if the system does not support kills."""
        self.run(self._method("kill")(member))

    def restart(self, member: str) -> None:
        """Start `member` again with its existing data."""
        self.run(self._method("restart")(member))

    def pause(self, member: str) -> None:
        """Send SIGSTOP to `member`. Raises BadArguments if the system does not support pauses."""
        self.run(self._method("pause")(member))

    def resume(self, member: str) -> None:
        """Send SIGCONT to `member`."""
        self.run(self._method("resume")(member))

    def _method(self, name: str) -> Any:
        method = getattr(self.system, name, None)
        if method is None:
            raise BadArguments(f"the system {self.system.name} does not support `{name}`")
        return method

    def describe(self) -> str:
        """Return the folder of the run and the last lines of each member's log, as text."""
        lines = [f"folder: {self.folder}"]
        for member in self.members:
            path = self.system.log_path(member)
            lines.append(f"{member}, the end of {path}:")
            lines += [f"  {line}" for line in log_tail(path).splitlines()[-LOG_LINES_SHOWN:]]
        return "\n".join(lines)


@contextlib.contextmanager
def open_cluster(options: Options) -> Iterator[Cluster]:
    """Start the cluster that `options` describe, and stop it at the end of the context.

    The cluster gets a new folder in the store. Raises BadArguments if the options are wrong, and
    SystemFailed if the cluster cannot be started.
    """
    schedule = draw_schedule(options)
    folder = open_folder(schedule)
    system = make_system(schedule, folder.path)
    with asyncio.Runner() as loop:
        try:
            loop.run(system.start())
            yield Cluster(system, schedule, loop, folder.path)
        finally:
            loop.run(system.stop())


def keep_or_remove_cluster_data(cluster: Cluster, *, failed: bool) -> None:
    """Remove the data of a stopped cluster, unless the option `keep_data` keeps it.

    `failed` is True if the test has failed.
    """
    keep_or_remove_data(RunFolder(cluster.folder), cluster.schedule, failed=failed)


def options_of_case(
    base: Mapping[str, Any], seed: int | SavedRun, given: Mapping[str, Any]
) -> Options:
    """Return the options of one test case.

    `base` are the options from the command line, the marks and the configuration. An option in
    `given`, which the test sets, replaces the same option in `base`. If `seed` is a saved run, its
    options replace all others, so that the run is repeated unchanged.
    """
    if isinstance(seed, SavedRun):
        return read_options({**base, **given, **seed.options, "seed": seed.seed})
    return read_options({**base, "seed": seed, **given})
