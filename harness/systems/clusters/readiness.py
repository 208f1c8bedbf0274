"""Waits until the members of a cluster are ready, and explains a start that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.processes.crash import PORT_LOST
from splitbrain.harness.systems.processes.member_process import log_tail
from splitbrain.harness.systems.processes.process_tree import ProcessTree
from splitbrain.nemesis.fault_target import MemberName

POLL_S = 0.05


class PortLost(SystemFailed):
    """Raised when a member cannot bind a port, because another program has taken it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReady:
    """The reason why a cluster is not ready."""

    reason: str
    """The reason in words, such as "no leader that all members know"."""
    members: Sequence[MemberName]
    """The members that are not ready, or all members if the reason concerns the whole cluster."""
    detail: str = ""
    """More about the present state, for the message of a start that takes too long."""


async def wait_until_ready(
    members: Sequence[MemberName],
    not_ready: Callable[[Sequence[MemberName]], Awaitable[NotReady | None]],
    *,
    refuse_ended: Callable[[], None],
    describe: Callable[[NotReady], str],
    timeout_s: float,
) -> None:
    """Wait until all of `members` are ready. Raises SystemFailed after `timeout_s`.

    `not_ready` is called with members and returns which of them are not ready, or None if all are.
    A member that was ready once is not checked again. `refuse_ended` raises an error if a process
    has ended. `describe` makes the message of the SystemFailed.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        refuse_ended()
        problem = await not_ready(members)
        if problem is None:
            return
        if loop.time() > deadline:
            raise SystemFailed(describe(problem))
        members = problem.members
        await asyncio.sleep(POLL_S)


def refuse_ended(cluster: str, member: MemberName, process: ProcessTree, log: Path) -> None:
    """Raise an error if a process of `member` has ended while the cluster started.

    The error is PortLost if the log ends with the message that a port was in use, and SystemFailed
    otherwise.
    """
    if process.exit_code is None:
        return
    tail = log_tail(log)
    port_lost = any(words in tail.lower() for words in PORT_LOST)
    kind = PortLost if port_lost else SystemFailed
    raise kind(
        f"{cluster}: member {member} ended with exit code {process.exit_code} while the cluster "
        f"started; its log ({log}) ends:\n{tail}"
    )
