"""Bug: a key that is put again after a delete keeps its former create revision."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import KeyValue
from splitbrain.node.mvcc.store import Store
from splitbrain.node.mvcc.write_transaction import WriteTransaction

MUTANT = Mutant(
    what="the create revision is not reset by a delete",
    source="etcd's server/storage/mvcc/key_index.go: each generation has a created revision",
    found_by=("mvcc",),
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
        return msgspec.structs.replace(kv, create_revision=generations[0][0].main)

    WriteTransaction.put_over = put_over  # type: ignore[method-assign]
