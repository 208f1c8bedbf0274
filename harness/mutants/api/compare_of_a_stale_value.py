"""Bug: the member evaluates a transaction's comparisons when it receives the transaction.

It then proposes only the branch that it has chosen.
"""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply.store_requests import compare_holds
from splitbrain.node.messages.internal_request import ClientWrite, OperationResponse
from splitbrain.node.messages.rpc import TxnRequest, TxnResponse
from splitbrain.node.server import Server

MUTANT = Mutant(
    what="comparisons are evaluated before the transaction has its position in the log",
    source="etcd's server/etcdserver/apply.go: comparisons are evaluated when the entry is"
    " applied; Raft paper, section 8",
    found_by=("mvcc", "linearizable"),
)


def plant() -> None:
    original = Server.propose

    async def propose(self: Server, operation: ClientWrite) -> OperationResponse:
        if not isinstance(operation, TxnRequest):
            return await original(self, operation)
        succeeded = all(compare_holds(self.store, one) for one in operation.compare)
        branch = operation.success if succeeded else operation.failure
        response = await original(self, TxnRequest(success=branch))
        assert isinstance(response, TxnResponse)
        return msgspec.structs.replace(response, succeeded=succeeded)

    Server.propose = propose  # type: ignore[method-assign]
