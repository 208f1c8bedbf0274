"""The logs of the members of a cluster of processes: files, or pipes that can be blocked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from splitbrain.harness.systems.processes.log_pipe import LogPipe
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName


class MemberLogs:
    """The pipes of the members' logs, from `open` to `close`.

    Without pipes, members write files.
    """

    def __init__(self) -> None:
        self._pipes: dict[MemberName, LogPipe] = {}

    def open(self, logs: Iterable[tuple[MemberName, Path]]) -> None:
        for member, path in logs:
            self._pipes[member] = LogPipe(path)

    def output(self, member: MemberName) -> int | None:
        """Return the file descriptor to which the member writes its output.

        Returns None if the member writes its log file itself.
        """
        pipe = self._pipes.get(member)
        return None if pipe is None else pipe.write_end

    def drain(self, member: MemberName) -> None:
        """Copy the member's output from its pipe to its log. Call this before the log is read."""
        if member in self._pipes:
            self._pipes[member].drain()

    def pipe_of(self, member: MemberName) -> LogPipe:
        """Return the pipe of the member's log.

        Raises FaultError if the cluster was started without pipes.
        """
        if member not in self._pipes:
            raise FaultError(f"the log of {member} is not a pipe, so it cannot be blocked")
        return self._pipes[member]

    def close(self) -> None:
        """Close all pipes. A second call has no effect."""
        pipes, self._pipes = self._pipes, {}
        for pipe in pipes.values():
            pipe.close()


class LogFaults:
    """Blocks and unblocks the pipes of the members' logs; implements `LogBlockable`."""

    _logs: MemberLogs

    def pid(self, member: MemberName) -> int | None:
        raise NotImplementedError

    def block_log(self, member: MemberName) -> None:
        self._logs.pipe_of(member).block()

    def unblock_log(self, member: MemberName) -> None:
        self._logs.pipe_of(member).unblock()

    def waits_for_log(self, member: MemberName) -> bool:
        pid = self.pid(member)
        return pid is not None and any(
            "pipe_w" in _waiting_point(task) for task in Path(f"/proc/{pid}/task").glob("*")
        )


def _waiting_point(task: Path) -> str:
    """Return the name of the kernel function in which a thread waits.

    `task` is the thread's folder in /proc. Returns "" if the thread runs or has ended.
    """
    try:
        return (task / "wchan").read_text()
    except OSError:
        return ""
