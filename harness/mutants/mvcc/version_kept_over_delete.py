"""A key that is put after it was deleted goes on counting its versions."""

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
    honest = WriteTransaction.put_over

    def put_over(
        self: WriteTransaction, previous: KeyValue | None, key: bytes, value: bytes, lease: int
    ) -> KeyValue:
        made = honest(self, previous, key, value, lease)
        assert isinstance(self._store, Store)
        lives = self._store._index.generations(key)
        if previous is not None or not lives:
            return made
        return msgspec.structs.replace(made, version=sum(len(life) - 1 for life in lives) + 1)

    WriteTransaction.put_over = put_over  # type: ignore[method-assign]
