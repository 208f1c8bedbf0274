"""Bug: the member answers a put when the put is committed, before it is applied."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply.applier import Applied
from splitbrain.node.messages.internal_request import decode
from splitbrain.node.messages.rpc import PutRequest, PutResponse, ResponseHeader
from splitbrain.node.raft.message import Entry
from splitbrain.node.raft.ready import Ready
from splitbrain.node.raft_driver import RaftDriver
from splitbrain.node.step_trace import Traced

MUTANT = Mutant(
    what="a put is answered before the store contains the write",
    source="Raft paper, figure 2: the leader responds after the entry is applied to its state"
    " machine",
    found_by=("write_path", "mvcc"),
)


def plant() -> None:
    original = RaftDriver._commit

    async def _commit(
        self: RaftDriver, ready: Ready, marked: Sequence[Entry], leading: bool
    ) -> None:
        pending = self._applier._pending
        revision = self._store.revision
        for entry in ready.committed_entries:
            request = decode(entry.data) if entry.data else None
            if request is not None and isinstance(request.op, PutRequest):
                revision += 1
                answer = PutResponse(header=ResponseHeader(revision=revision))
                subject = Traced(request.id, entry.term, entry.index)
                pending.resolve(request.id, Applied(answer, subject, revision))
        await original(self, ready, marked, leading)

    RaftDriver._commit = _commit  # type: ignore[method-assign]
