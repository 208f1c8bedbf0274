"""Bug: if several batches of committed entries wait, the store applies the newest batch first."""

from __future__ import annotations

from collections import deque
from typing import Any

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply.applier import Applier, ToApply

MUTANT = Mutant(
    what="a waiting batch is overtaken by a later batch, and its entries are skipped",
    source="Raft paper, 5.3: each server applies entries in log order; CockroachDB and TiKV"
    " queue committed entries for apply",
    found_by=("mvcc", "write_path", "invariants"),
)


class _Stack(deque[ToApply]):
    def popleft(self) -> ToApply:
        return self.pop()


def plant() -> None:
    original = Applier.__init__

    def __init__(self: Applier, **parts: Any) -> None:
        original(self, **parts)
        self._queue = _Stack()

    Applier.__init__ = __init__  # type: ignore[method-assign]
