"""Bug: the limit of a range is applied before its bounds of revisions, not after them."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import range_read
from splitbrain.node.messages.rpc import RangeRequest

MUTANT = Mutant(
    what="the limit of a range is applied before the bounds of revisions",
    source="etcd's applyRange: a range with bounds is fetched completely and cut afterwards",
    found_by=("mvcc",),
)


def plant() -> None:
    original = range_read.fetch_limit

    def fetch_limit(request: RangeRequest) -> int:
        return original(
            replace(
                request, min_mod_revision=0, max_mod_revision=0, min_create_revision=0,
                max_create_revision=0,
            )
        )

    range_read.fetch_limit = fetch_limit
