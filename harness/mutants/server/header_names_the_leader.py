"""Bug: the header of an answer contains the leader's member id, not the answering member's."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.messages.rpc import ResponseHeader
from splitbrain.node.server import Server

MUTANT = Mutant(
    what="the member id in an answer is that of the leader",
    source="etcd's rpc.proto, ResponseHeader.member_id: the member that sent the response",
    found_by=("headers",),
    run={**SHORT_RUN, "workload": "kv", "nemesis": ()},
)


def plant() -> None:
    original = Server.header

    def header(self: Server) -> ResponseHeader:
        return replace(original(self), member_id=self.raft.leader or self.member_id)

    Server.header = header  # type: ignore[method-assign]
