"""Bug: a read at an old revision returns the state before that revision."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc import key_index
from splitbrain.node.mvcc.key_index import Changes
from splitbrain.node.mvcc.revision import Packed

MUTANT = Mutant(
    what="a read at an old revision is one revision behind",
    source="etcd's api/etcdserverpb/rpc.proto: RangeRequest.revision is the point in time to use"
    " for the range",
    found_by=("mvcc",),
)


def plant() -> None:
    original = key_index.visible_at

    def visible_at(changes: Changes, main: int) -> Packed | None:
        return original(changes, main - 1)

    key_index.visible_at = visible_at
