"""Bug: the version of a key that is put again after a delete continues from its old value."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import KeyValue
from splitbrain.node.mvcc.store import Store
from splitbrain.node.mvcc.write_transaction import WriteTransaction

MUTANT = Mutant(
    what="the version is not reset by a delete",
    source="etcd's mvccpb/kv.proto: a deletion resets the version to zero, and any modification"
    " increases it",
    found_by=("mvcc", "linearizable"),
)


def plant() -> None:
    original = WriteTransaction.put_over

    def put_over(
        self: WriteTransaction, previous: KeyValue | None, key: bytes, value: bytes, lease: int
    ) -> KeyValue:
        kv = original(self, previous, key, value, lease)
        assert isinstance(self._store, Store)
        generations = self._store._index.generations(key)
        if previous is not None or not generations:
            return kv
        puts_before = sum(len(generation) - 1 for generation in generations)
        return msgspec.structs.replace(kv, version=puts_before + 1)

    WriteTransaction.put_over = put_over  # type: ignore[method-assign]
