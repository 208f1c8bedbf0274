"""Bug: the apply loop does not wake the Raft task that waits for room in the apply queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply.applier import Applier, ToApply

MUTANT = Mutant(
    what="a member whose apply queue was full once never applies another entry",
    source="etcd-io/etcd issue 22214 (the loop of linearizable reads is blocked for ever while the"
    " member reports healthy); lost wake-ups in Lu et al., ASPLOS 2008",
    found_by=("invariants", "availability"),
)


class _NeverWoken(asyncio.Event):
    """An event that never wakes the tasks that wait for it."""

    async def wait(self) -> bool:  # type: ignore[override]
        await asyncio.get_running_loop().create_future()
        return True


def plant() -> None:
    original: Callable[[Applier, ToApply], Awaitable[None]] = Applier.enqueue

    async def enqueue(self: Applier, batch: ToApply) -> None:
        self._room = _NeverWoken()
        await original(self, batch)

    Applier.enqueue = enqueue  # type: ignore[method-assign]
