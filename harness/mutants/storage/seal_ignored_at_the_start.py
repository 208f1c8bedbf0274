"""Bug: a member that starts does not compare its log with the seal of the log."""

from __future__ import annotations

from typing import Any

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.durable_end import Seal
from splitbrain.node.storage.wal_replay import _Reader

MUTANT = Mutant(
    what="a member forgets acknowledged records that its disk has lost from the end of"
    " the log",
    source="Alagappan et al., FAST 2018 (protocol-aware recovery): a crash and a corruption"
    " of the last records look alike without a separate record",
    found_by=("invariants", "raft_safety", "write_path", "mvcc"),
    hunt={"nemesis": ("storage",)},
)


def plant() -> None:
    def __init__(self: _Reader, disk: Any, directory: str, _: Seal | None, **options: bool) -> None:
        original(self, disk, directory, None, **options)

    original = _Reader.__init__
    _Reader.__init__ = __init__  # type: ignore[method-assign,assignment]
