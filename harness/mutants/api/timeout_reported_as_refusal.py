"""Bug: a write that timed out gets the error of a refused write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.waiting_requests import Pending

MUTANT = Mutant(
    what="an uncertain write is reported as failed",
    source="ArcadeData/arcadedb issue 4790 (a commit that timed out is rolled back, but commits);"
    " Raft paper, section 8",
    found_by=("mvcc", "linearizable", "set_full"),
)


def plant() -> None:
    original = Pending.wait_for

    async def wait_for(
        self: Pending[Any], request: int, begin: Callable[[], Awaitable[None]]
    ) -> Any:
        try:
            return await original(self, request, begin)
        except RpcError as problem:
            if problem == errors.timed_out():
                raise errors.too_many_requests() from problem
            raise

    Pending.wait_for = wait_for  # type: ignore[method-assign]
