"""Bug: a member ignores progress requests once its store has changed."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream

MUTANT = Mutant(
    what="a progress request is not answered once the store has changed",
    source="etcd-io/etcd pull request 15237: 3.5.8 drops a progress request if a watcher is not"
    " synced; here it is dropped although the watcher is synced",
    found_by=("watch",),
)


def plant() -> None:
    async def request_progress(self: WatchStream) -> None:
        if self._member.store.revision <= 1:
            self._progress_requested = 1
            await self._send_requested_progress()

    WatchStream._request_progress = request_progress  # type: ignore[method-assign]
