"""Bug: a member refuses a committed put if many of its writes are not flushed yet."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages import errors
from splitbrain.node.messages.rpc import PutRequest, PutResponse
from splitbrain.node.mvcc.store import Store

LIMIT = 12
"""A member that has more unflushed writes than this in its memory refuses a put."""

MUTANT = Mutant(
    what="members decide differently about the same committed entry",
    source="etcd-io/etcd issue 11651 (members apply or refuse an entry depending on their own"
    " memory)",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    original = store_requests.apply_put

    def apply_put(store: Store, request: PutRequest) -> PutResponse:
        if store._backend.pending_operations > LIMIT:
            raise errors.no_space()
        return original(store, request)

    store_requests.apply_put = apply_put
