"""Bug: a follower answers a put as soon as it has forwarded the put, before the leader commits."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.messages.internal_request import (
    ClientWrite,
    InternalRequest,
    OperationResponse,
    encode,
)
from splitbrain.node.messages.rpc import (
    PutRequest,
    PutResponse,
    ResponseHeader,
)
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server
from splitbrain.node.step_trace import Traced

MUTANT = Mutant(
    what="a follower answers a put before it is committed",
    source="Raft paper, section 8: a request is answered after it has been applied",
    found_by=("write_path", "mvcc"),
    run={**SHORT_RUN, "workload": "kv", "nemesis": ("kill", "partition")},
)


def plant() -> None:
    original = Server.propose

    async def propose(self: Server, operation: ClientWrite) -> OperationResponse:
        if self.raft.role is Role.LEADER or not isinstance(operation, PutRequest):
            return await original(self, operation)
        subject = Traced(self.parts.ids.next())
        await self._path.after("client_request", subject)
        data = encode(InternalRequest(subject.request, operation))
        await self.parts.driver.propose(subject, data)
        self._path.trace("respond", subject, revision=self.store.revision + 1)
        return PutResponse(header=ResponseHeader(revision=self.store.revision + 1))

    Server.propose = propose  # type: ignore[method-assign]
