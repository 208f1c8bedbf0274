"""A read that comes while a round is under way takes that round's answer for its own."""

from __future__ import annotations

import asyncio

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.read_barrier import ReadBarrier

MUTANT = Mutant(
    what="a read is answered by an index that was asked for before it came",
    source="etcd, linearizableReadLoop: a read waits for the next notifier, not the current one",
    found_by=("mvcc", "linearizable", "invariants"),
)


def plant() -> None:
    honest = ReadBarrier.wait

    async def wait(self: ReadBarrier) -> None:
        if not self._asked:
            await honest(self)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(future)
        self._deadline.watch(future)  # type: ignore[arg-type]
        try:
            await future
        finally:
            self._deadline.release(future)  # type: ignore[arg-type]

    ReadBarrier.wait = wait  # type: ignore[method-assign]
