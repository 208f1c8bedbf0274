"""Records which conditions of `coverage.py` occur with the leases of a member.

For this purpose, the module replaces methods of the member's parts by methods that do the same and
also record the condition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from splitbrain.harness.simulation.coverage import Coverage
from splitbrain.node.api.wait_queue import WITHDRAWAL
from splitbrain.node.server import Server


def observe_leases(coverage: Coverage, server: Server) -> None:
    """Count situations with the leases of `server` from now on.

    A situation is, for example, "the time of a lease ran out".
    """
    lessor, service = server.parts.lessor, server.leases
    start, ended = lessor.first_entry_applied, lessor.ended

    def first_entry_applied(term: int) -> None:
        before = lessor.primary_term
        start(term)
        fresh = lessor.primary_term != before and len(server.store.leases) > 0
        coverage.sometimes("a new leader started leases again", fresh)

    def waiting_for_end(lease_id: int) -> Any:
        coverage.reached("a keep-alive waited for the end of an expired lease")
        return ended(lease_id)

    spawn = server.spawn

    def spawn_and_count(work: Awaitable[None], name: str) -> None:
        coverage.sometimes("a client left the queue of a lock or an election", name == WITHDRAWAL)
        spawn(work, name)

    server.spawn = spawn_and_count  # type: ignore[method-assign]
    lessor.first_entry_applied = first_entry_applied  # type: ignore[method-assign]
    lessor.ended = waiting_for_end  # type: ignore[method-assign]
    lessor._propose_end = _counted(  # type: ignore[method-assign]
        coverage, "the time of a lease ran out", lessor._propose_end
    )
    lessor._propose_checkpoint = _counted(  # type: ignore[method-assign]
        coverage, "a remaining time was recorded", lessor._propose_checkpoint
    )
    service._forget_remaining = _counted_later(  # type: ignore[method-assign, assignment]
        coverage, "a keep-alive replaced a recorded time", service._forget_remaining
    )
    service.answer_peer = _counted_later(  # type: ignore[method-assign, assignment]
        coverage, "a member asked the leader about a lease", service.answer_peer
    )


def _counted(
    coverage: Coverage, condition: str, method: Callable[..., None]
) -> Callable[..., None]:
    def counted(*given: Any) -> None:
        coverage.reached(condition)
        method(*given)

    return counted


def _counted_later(
    coverage: Coverage, condition: str, method: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[Any]]:
    async def counted(*given: Any) -> Any:
        coverage.reached(condition)
        return await method(*given)

    return counted
