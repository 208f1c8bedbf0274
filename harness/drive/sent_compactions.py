"""The compactions that the clients of a run have sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SentCompactions:
    """The highest revision in any compaction that was sent so far, whatever its outcome."""

    highest: int = 0

    def sent(self, revision: int) -> None:
        self.highest = max(self.highest, revision)
