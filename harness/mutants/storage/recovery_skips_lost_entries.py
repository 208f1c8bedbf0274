"""Bug: a member that recovers treats entries that its disk has lost as applied."""

from __future__ import annotations

import struct

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node import member_storage
from splitbrain.node.backend import Backend
from splitbrain.node.storage.durable_end import SealFile
from splitbrain.node.world import Disk

MUTANT = Mutant(
    what="a member that has lost its log continues after the lost entries, without their effects",
    source="Alagappan et al., FAST 2018: a truncated log must be repaired before it continues;"
    " etcd-io/etcd issue 13766 (skipped entries)",
    found_by=("invariants", "write_path", "mvcc", "watch"),
    hunt={"nemesis": ("storage",)},
)


def plant() -> None:
    original = member_storage._complete_backend

    async def _complete_backend(disk: Disk) -> Backend:
        backend = await original(disk)
        promised = member_storage._promises(disk, SealFile(disk, member_storage.SEAL))
        if promised is not None:
            applied = struct.pack(">QQ", promised.last_index, promised.last_term)
            backend.put(b"meta", b"consistent_index", applied)
        return backend

    member_storage._complete_backend = _complete_backend
