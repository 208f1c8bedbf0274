"""Bug: a range includes its end key."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc import interval, store, write_transaction

MUTANT = Mutant(
    what="a range contains one key too many",
    source="etcd-io/etcd pull request 6152 (a range does not include its end key); etcd's"
    " rpc.proto: [key, range_end)",
    found_by=("mvcc",),
)


def plant() -> None:
    original = interval.end_of

    def end_of(key: bytes, range_end: bytes) -> bytes | None:
        end = original(key, range_end)
        return end + b"\0" if end is not None and range_end else end

    store.end_of = end_of  # type: ignore[attr-defined]
    write_transaction.end_of = end_of  # type: ignore[attr-defined]
