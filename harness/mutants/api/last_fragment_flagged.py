"""Bug: the last fragment of a large watch response says that more fragments follow."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api import watch
from splitbrain.node.mvcc.key_value import Event

Pieces = list[tuple[Event, ...]]


class _OneMore(Pieces):
    """A sequence of pieces that reports, even for the last piece, that another piece follows."""

    def __len__(self) -> int:
        count = super().__len__()
        return count + (count > 1)

MUTANT = Mutant(
    what="every part of a large watch response is flagged as a fragment, also the last one",
    source="etcd's sendFragments (v3rpc/watch.go)",
    found_by=("watch",),
    hunt={"workload": "watch"},
)


def plant() -> None:
    original = watch.fragments
    watch.fragments = lambda events, bytes_max: _OneMore(original(events, bytes_max))
