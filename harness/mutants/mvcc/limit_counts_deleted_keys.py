"""Bug: deleted keys count towards the limit of a range."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_index import KeyIndex
from splitbrain.node.mvcc.revision import Packed

MUTANT = Mutant(
    what="a range with a limit omits keys that follow deleted keys",
    source="etcd's API: the limit bounds the number of keys returned; TiKV's scan counts visible"
    " versions",
    found_by=("mvcc",),
)


def plant() -> None:
    original = KeyIndex.select

    def select(
        self: KeyIndex, start: bytes, end: bytes | None, main: int | None, limit: int = 0
    ) -> tuple[list[Packed], int]:
        found, count = original(self, start, end, main)
        if limit <= 0:
            return found, count
        first = list(self._in_order(start, end))[:limit]
        changes = (self.latest(key) if main is None else self.at(key, main) for key in first)
        return [packed for packed in changes if packed is not None], count

    KeyIndex.select = select  # type: ignore[method-assign]
