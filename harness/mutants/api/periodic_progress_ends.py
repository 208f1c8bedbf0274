"""Bug: a watcher gets only one periodic progress notification."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream
from splitbrain.node.messages.rpc import WatchResponse

MUTANT = Mutant(
    what="an idle watcher is notified of its progress once, and never again",
    source="etcd's rpc.proto: with progress_notify, the server sends a response without events"
    " periodically if there are no recent events; etcd's sendLoop sets `progress` at each tick",
    found_by=("watch",),
)


def plant() -> None:
    async def notify_progress(self: WatchStream) -> None:
        while True:
            await self._member.sleep(self._member.watch_progress_interval_ms / 1000)
            for watch_id, due in list(self._progress_due.items()):
                if due and watch_id in self._watchers and self._caught_up(watch_id):
                    await self._answers.put(
                        WatchResponse(header=self._header(), watch_id=watch_id)
                    )
                if watch_id in self._progress_due:
                    self._progress_due[watch_id] = False

    WatchStream._notify_progress = notify_progress  # type: ignore[method-assign]
