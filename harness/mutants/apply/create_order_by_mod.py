"""Bug: a range that is sorted by the create_revision is sorted by the mod_revision."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import range_read
from splitbrain.node.messages.rpc import SortTarget

MUTANT = Mutant(
    what="keys that are sorted by their create revision are in the order of their last changes",
    source="etcd's rpc.proto, RangeRequest.sort_target CREATE",
    found_by=("mvcc",),
)


def plant() -> None:
    range_read._SORT_KEYS[SortTarget.CREATE] = range_read._SORT_KEYS[SortTarget.MOD]
