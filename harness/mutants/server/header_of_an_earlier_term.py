"""Bug: the term in the header of an answer is one lower than the member's term."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.messages.rpc import ResponseHeader
from splitbrain.node.server import Server

MUTANT = Mutant(
    what="the term in an answer is lower than the term of the entry that it answers",
    source="etcd's rpc.proto, ResponseHeader.raft_term: the term when the request was applied",
    found_by=("write_path",),
)


def plant() -> None:
    original = Server.header

    def header(self: Server) -> ResponseHeader:
        found = original(self)
        return replace(found, raft_term=max(found.raft_term - 1, 1))

    Server.header = header  # type: ignore[method-assign]
