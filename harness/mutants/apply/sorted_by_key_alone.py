"""Bug: a sorted range is sorted by key, whatever its sort target."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import range_read
from splitbrain.node.messages.rpc import RangeRequest, SortTarget
from splitbrain.node.mvcc.key_value import KeyValue

MUTANT = Mutant(
    what="the target of a sorted range is ignored",
    source="etcd's rpc.proto, RangeRequest.sort_target",
    found_by=("mvcc",),
)


def plant() -> None:
    original = range_read.sorted_kvs

    def sorted_kvs(kvs: list[KeyValue], request: RangeRequest) -> list[KeyValue]:
        return original(kvs, replace(request, sort_target=SortTarget.KEY))

    range_read.sorted_kvs = sorted_kvs
