"""Bug: a write that is refused because too many requests wait is proposed nevertheless."""

from __future__ import annotations

import contextlib
from typing import Any

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.server import Server

MUTANT = Mutant(
    what="a write that is refused because too many requests wait is proposed nevertheless",
    source="etcd's v3_server.go, processInternalRaftRequestOnce: the check precedes the proposal",
    found_by=("mvcc", "linearizable"),
    hunt={"workload": "kv", "rate": 300.0, "nemesis": ()},
)


def plant() -> None:
    original = Server._refuse_when_overloaded
    propose = Server.propose

    async def propose_anyway(self: Server, operation: Any) -> None:
        with contextlib.suppress(RpcError):
            await self.replicate(operation)

    async def propose_first(self: Server, operation: Any) -> Any:
        try:
            original(self)
        except RpcError:
            self.spawn(propose_anyway(self, operation), "refused write")
            raise
        return await propose(self, operation)

    Server.propose = propose_first  # type: ignore[method-assign]
    Server._refuse_when_overloaded = lambda self: None  # type: ignore[method-assign]
