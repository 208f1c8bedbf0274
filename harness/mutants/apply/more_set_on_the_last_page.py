"""Bug: a range result that exactly fills its limit has `more` set, also if no key follows."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api import v3_service
from splitbrain.node.apply import range_read, store_requests
from splitbrain.node.messages.rpc import RangeRequest, RangeResponse

MUTANT = Mutant(
    what="the last page of a paged read claims that another page follows",
    source="etcd's rpc.proto, RangeResponse.more: whether there are more keys to return",
    found_by=("mvcc",),
)


def plant() -> None:
    original = range_read.read_range

    def read_range(source: range_read.Readable, request: RangeRequest) -> RangeResponse:
        answer = original(source, request)
        return replace(answer, more=answer.more or 0 < request.limit <= len(answer.kvs))

    store_requests.read_range = read_range  # type: ignore[attr-defined]
    v3_service.read_range = read_range  # type: ignore[attr-defined]
