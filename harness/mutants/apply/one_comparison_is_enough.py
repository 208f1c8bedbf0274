"""Bug: a transaction succeeds as soon as one of its comparisons succeeds."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.apply.range_read import Readable
from splitbrain.node.messages.rpc import TxnRequest

MUTANT = Mutant(
    what="the comparisons of a transaction are combined with 'or' instead of 'and'",
    source="etcd's api/etcdserverpb/rpc.proto, TxnRequest: compare is a list of predicates, a"
    " conjunction",
    found_by=("mvcc",),
)


def plant() -> None:
    original = store_requests.chosen_branch

    def chosen_branch(source: Readable, request: TxnRequest) -> store_requests.Chosen:
        successful = tuple(
            one for one in request.compare if store_requests.compare_holds(source, one)
        )
        compare = successful or request.compare
        return original(source, msgspec.structs.replace(request, compare=compare))

    store_requests.chosen_branch = chosen_branch
