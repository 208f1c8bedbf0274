"""Bug: a range in a transaction does not see the earlier puts of the transaction."""

from __future__ import annotations

from typing import Any

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import RangeResult
from splitbrain.node.mvcc.store import Store
from splitbrain.node.mvcc.write_transaction import WriteTransaction

MUTANT = Mutant(
    what="a transaction does not read its own writes",
    source="etcd's API: the operations of a transaction are applied in order",
    found_by=("mvcc", "transactions"),
)


def plant() -> None:
    original = WriteTransaction.range

    def range_before(
        self: WriteTransaction, key: bytes, range_end: bytes = b"", **options: Any
    ) -> RangeResult:
        assert isinstance(self._store, Store)
        before = max(self._main - 1, self._store.compacted_revision)
        if options.get("revision", 0) or not self._changes or before < 2:
            return original(self, key, range_end, **options)
        return original(self, key, range_end, **{**options, "revision": before})

    WriteTransaction.range = range_before  # type: ignore[method-assign]
