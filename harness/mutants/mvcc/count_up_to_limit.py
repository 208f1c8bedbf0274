"""Bug: if a range has a limit, its count is never higher than the limit."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_index import KeyIndex
from splitbrain.node.mvcc.revision import Packed

MUTANT = Mutant(
    what="the count of a range is the number of keys returned",
    source="etcd-io/etcd pull request 11990 and issue 13068; issue 6145",
    found_by=("mvcc",),
)


def plant() -> None:
    original = KeyIndex.select

    def select(
        self: KeyIndex, start: bytes, end: bytes | None, main: int | None, limit: int = 0
    ) -> tuple[list[Packed], int]:
        found, count = original(self, start, end, main, limit)
        return found, min(count, limit) if limit > 0 else count

    KeyIndex.select = select  # type: ignore[method-assign]
