"""Bug: a transaction that succeeds runs its failure branch, too."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages.rpc import TxnRequest, TxnResponse
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="both branches of a transaction run",
    source="etcd's api/etcdserverpb/rpc.proto, TxnRequest: success if the comparisons hold,"
    " failure if not",
    found_by=("mvcc", "linearizable"),
)


def plant() -> None:
    original = store_requests.run_chosen

    def apply_txn(store: Store, request: TxnRequest) -> TxnResponse:
        response = original_apply(store, request)
        if response.succeeded:
            failure = tuple(one for one in request.failure if one is not None)
            other = store_requests.Chosen(True, failure)  # type: ignore[arg-type]
            transaction = store.write()
            try:
                original(transaction, other)
            finally:
                transaction.end()
        return response

    original_apply = store_requests.apply_txn
    store_requests.apply_txn = apply_txn
