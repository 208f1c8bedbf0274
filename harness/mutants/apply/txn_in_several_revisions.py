"""Bug: each operation of a transaction gets a separate revision.

Other clients can see the state between the operations.
"""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages.rpc import ResponseHeader, ResponseOp, TxnRequest, TxnResponse
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="a transaction is not atomic: it has several revisions",
    source="etcd's API guarantees: a transaction is atomic, and has one revision",
    found_by=("mvcc",),
)


def plant() -> None:
    def run_each(store: Store, chosen: store_requests.Chosen) -> list[ResponseOp]:
        responses = []
        for operation in chosen.operations:
            transaction = store.write()
            try:
                responses.append(store_requests.run_operation(transaction, operation))
            finally:
                transaction.end()
        return responses

    def apply_txn(store: Store, request: TxnRequest) -> TxnResponse:
        chosen = store_requests.chosen_branch(store, request)
        store_requests.check_chosen(store, chosen)
        responses = run_each(store, chosen)
        return TxnResponse(
            header=ResponseHeader(revision=store.revision),
            succeeded=chosen.succeeded,
            responses=tuple(responses),
        )

    store_requests.apply_txn = apply_txn
