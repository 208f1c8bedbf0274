"""Bug: a member proposes a write again if it is not applied after a while."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft_driver import RaftDriver
from splitbrain.node.step_trace import Traced

PATIENCE_S = 0.2

MUTANT = Mutant(
    what="a write that the member retries is applied twice",
    source="etcd-io/etcd issue 14890 and etcd-io/jetcd issue 1444; Jepsen's analysis of jetcd"
    " 0.8.2",
    found_by=("write_path", "mvcc"),
)


def plant() -> None:
    original = RaftDriver.propose

    async def propose(self: RaftDriver, subject: Traced, data: bytes) -> None:
        await original(self, subject, data)
        self._world.spawn(again(self, subject, data), "retry")

    async def again(self: RaftDriver, subject: Traced, data: bytes) -> None:
        await self._world.clock.sleep(PATIENCE_S)
        if subject.request in self._applier._pending._futures and self._raft.leader:
            await original(self, subject, data)

    RaftDriver.propose = propose  # type: ignore[method-assign]
