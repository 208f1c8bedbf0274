"""Bug: the seal of the log is written, but not synced."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.durable_end import SLOT_BYTES, SLOTS, Seal, SealFile, encode_slot

MUTANT = Mutant(
    what="after a power loss the seal is older than the acknowledged records",
    source="TigerBeetle and Alagappan et al., FAST 2018 (protocol-aware recovery): the"
    " record that makes data durable must itself be durable",
    found_by=("invariants", "raft_safety", "write_path", "mvcc"),
    hunt={"nemesis": ("storage", "kill")},
)


def plant() -> None:
    async def write(self: SealFile, seal: Seal) -> None:
        file = self._file or await self._open()
        self._number += 1
        seal = msgspec.structs.replace(seal, starts=self.starts)
        slot = encode_slot(self._number, seal)
        file.write(self._number % SLOTS * SLOT_BYTES, slot)

    SealFile.write = write  # type: ignore[method-assign]
