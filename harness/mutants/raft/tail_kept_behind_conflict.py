"""Bug: a conflicting entry is replaced, but the entries after it are kept."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Entry

MUTANT = Mutant(
    what="a deposed leader's tail is kept behind the new leader's entries",
    source="mofa-org/mofa pull request 1151; Raft paper, 5.3",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    original = Log.append

    def append(self: Log, entries: Sequence[Entry]) -> None:
        tail: tuple[Entry, ...] = ()
        if entries and entries[-1].index < self.last_index:
            tail = self.between(entries[-1].index + 1, self.last_index)
        original(self, entries)
        original(self, tail)

    Log.append = append  # type: ignore[method-assign]
