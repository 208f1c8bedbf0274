"""A sequential store that records its change log."""

from __future__ import annotations

from splitbrain.checkers.model.sequential_store import Made, SequentialStore, changes_of
from splitbrain.histories.member_state import Change


class RecordedStore(SequentialStore):
    """A sequential store that keeps all versions of its keys.

    `changes` is its change log, from revision 2 on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[Change] = []

    def commit(self, changes: Made) -> None:
        """Write `changes` at the next revision, and append them to the change log."""
        revision = self.revision + 1
        self.write(revision, changes)
        self.changes.extend(changes_of(revision, changes))
