"""Bug: a progress request is answered for all watches if one of them is synced."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream

MUTANT = Mutant(
    what="a progress request is answered although one of the watches of the connection starts at a"
    " future revision",
    source="etcd-io/etcd pull request 15237, progressIfSync: all watchers of the stream must be"
    " synced and have reached their start",
    found_by=("watch",),
    hunt={"workload": "watch"},
)


def plant() -> None:
    async def request_progress(self: WatchStream) -> None:
        revision = self._member.store.revision
        watchers = self._active().values()
        if any(one.synced and revision >= one.start_revision for one in watchers):
            self._progress_requested = revision
            await self._send_requested_progress()

    WatchStream._request_progress = request_progress  # type: ignore[method-assign]
