"""Bug: a range with an upper bound of the mod_revision does not return the key at the bound."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import range_read
from splitbrain.node.messages.rpc import RangeRequest
from splitbrain.node.mvcc.key_value import KeyValue

MUTANT = Mutant(
    what="the upper bound of the mod_revision of a range is exclusive",
    source="etcd's rpc.proto, RangeRequest.max_mod_revision",
    found_by=("mvcc",),
)


def plant() -> None:
    original = range_read.passes

    def passes(request: RangeRequest, kv: KeyValue) -> bool:
        return original(request, kv) and kv.mod_revision != request.max_mod_revision

    range_read.passes = passes
