"""Whether a put is applied depends on how much this member has yet to flush."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import apply
from splitbrain.node.messages import errors
from splitbrain.node.messages.rpc import PutRequest, PutResponse
from splitbrain.node.mvcc.store import Store

LIMIT = 12
"""Writes in memory above which a put is refused."""

MUTANT = Mutant(
    what="members decide differently about the same entry",
    source="etcd-io/etcd issue 11651 (members apply or refuse by what each has in memory)",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    honest = apply.apply_put

    def apply_put(store: Store, request: PutRequest) -> PutResponse:
        if store._backend.pending_operations > LIMIT:
            raise errors.no_space()
        return honest(store, request)

    apply.apply_put = apply_put
