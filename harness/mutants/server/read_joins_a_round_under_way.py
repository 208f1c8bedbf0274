"""Bug: a read that arrives during a read-index round uses the result of that round."""

from __future__ import annotations

import asyncio

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.read_barrier import ReadBarrier

MUTANT = Mutant(
    what="a read is answered with a read index that was requested before the read arrived",
    source="etcd, linearizableReadLoop: a read waits for the next notifier, not the current one",
    found_by=("mvcc", "linearizable", "invariants"),
)


def plant() -> None:
    original = ReadBarrier.wait

    async def wait(self: ReadBarrier) -> None:
        if not self._asked:
            await original(self)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(future)
        self._deadline.register(future)  # type: ignore[arg-type]
        try:
            await future
        finally:
            self._deadline.release(future)  # type: ignore[arg-type]

    ReadBarrier.wait = wait  # type: ignore[method-assign]
