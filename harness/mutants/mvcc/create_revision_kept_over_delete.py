"""A key that is put after it was deleted keeps the create revision of its first life."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import KeyValue
from splitbrain.node.mvcc.store import Store
from splitbrain.node.mvcc.write_transaction import WriteTransaction

MUTANT = Mutant(
    what="the create revision outlives the key",
    source="etcd's server/storage/mvcc/key_index.go: each generation has its own created revision",
    found_by=("mvcc",),
)


def plant() -> None:
    honest = WriteTransaction.put_over

    def put_over(
        self: WriteTransaction, previous: KeyValue | None, key: bytes, value: bytes, lease: int
    ) -> KeyValue:
        made = honest(self, previous, key, value, lease)
        assert isinstance(self._store, Store)
        lives = self._store._index.generations(key)
        if previous is not None or not lives:
            return made
        return msgspec.structs.replace(made, create_revision=lives[0][0].main)

    WriteTransaction.put_over = put_over  # type: ignore[method-assign]
