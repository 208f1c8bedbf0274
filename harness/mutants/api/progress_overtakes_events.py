"""Bug: a watcher gets a progress notification for a revision whose events were not sent yet."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import NO_WATCH_ID, WatchStream
from splitbrain.node.messages.rpc import WatchResponse

MUTANT = Mutant(
    what="a progress notification arrives before events that it covers",
    source="etcd-io/etcd issue 15220: a requested progress notification is not ordered with events",
    found_by=("watch",),
)


def plant() -> None:
    async def request_progress(self: WatchStream) -> None:
        await self._answers.put(WatchResponse(header=self._header(), watch_id=NO_WATCH_ID))

    WatchStream._request_progress = request_progress  # type: ignore[method-assign]
    WatchStream._caught_up = lambda self, watch_id: True  # type: ignore[method-assign]
