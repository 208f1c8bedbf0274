"""Starts the processes of members on this machine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from splitbrain.harness.systems.clusters.member_processes import MemberProcesses, Named
from splitbrain.harness.systems.processes.member_process import spawn
from splitbrain.harness.systems.processes.process_tree import LocalTree
from splitbrain.nemesis.fault_target import MemberName


class Local(Named, Protocol):
    """A member on this machine."""

    @property
    def namespace(self) -> Path | None:
        """Return the network namespace of the member; None if it is in the harness's namespace."""


H = TypeVar("H", bound=Local)
"""The type of the value that describes a member."""


class ProcessesOfThisMachine(MemberProcesses[H]):
    """A cluster whose members are processes of this machine.

    The members are killed when the thread of the asyncio loop ends.
    """

    def pids(self, member: MemberName) -> tuple[int, ...]:
        """Return the process ids of the member's running processes, without their descendants."""
        return tuple(tree.process.pid for tree in self._running_trees(member))

    def is_stopped(self, member: MemberName) -> bool:
        """Return whether the member is stopped at a failpoint.

        A member that `pause` has stopped does not count.
        """
        trees = tuple(self._running_trees(member))
        return bool(trees) and member not in self._paused and all(one.is_stopped() for one in trees)

    @abstractmethod
    def _environment(self, place: H) -> Mapping[str, str]:
        """Return all environment variables of the member's processes."""

    def _working_folder(self, place: H) -> Path | None:
        """Return the working directory of the member, or None for that of the harness."""
        return None

    def _user_name(self) -> str | None:
        """Return the user as whom the members run, or None for the user of the harness."""
        return None

    async def _start_process(self, place: H, command: Sequence[str], log: Path) -> LocalTree:
        return LocalTree(spawn(
            command, self._environment(place), log, user=self._user_name(),
            folder=self._working_folder(place), namespace=place.namespace,
            output=self._logs.output(place.name),
        ))

    def _owners(self) -> Mapping[MemberName, tuple[int, ...]]:
        return {name: self.pids(name) for name in self._processes}

    def _running_trees(self, member: MemberName) -> Iterator[LocalTree]:
        return (one for one in self._running(member) if isinstance(one, LocalTree))
