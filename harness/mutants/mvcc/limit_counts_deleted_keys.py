"""A range's limit is reached by keys that are deleted, too."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_index import KeyIndex
from splitbrain.node.mvcc.revision import Packed

MUTANT = Mutant(
    what="a limited range leaves out keys that come after deleted ones",
    source="etcd's API: limit bounds the keys returned; TiKV's scan counts visible versions",
    found_by=("mvcc",),
)


def plant() -> None:
    honest = KeyIndex.select

    def select(
        self: KeyIndex, start: bytes, end: bytes | None, main: int | None, limit: int = 0
    ) -> tuple[list[Packed], int]:
        found, count = honest(self, start, end, main)
        if limit <= 0:
            return found, count
        first = list(self._in_order(start, end))[:limit]
        stood = (self.latest(key) if main is None else self.at(key, main) for key in first)
        return [packed for packed in stood if packed is not None], count

    KeyIndex.select = select  # type: ignore[method-assign]
