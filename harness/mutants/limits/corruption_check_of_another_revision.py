"""Bug: a member answers the corruption check with the hash of its newest revision."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.maintenance import corruption_check
from splitbrain.node.maintenance.corruption_check import CorruptionCheck

MUTANT = Mutant(
    what="a member answers the corruption check with the hash of its newest revision",
    source="etcd's server/etcdserver/corrupt.go",
    found_by=("limits", "crashed"),
    hunt={
        "workload": "limits",
        "nemesis": ("kill", "latency"),
        "workload_options": {"keep_revisions": 20, "quota_kib": 4096, "check_ms": 200},
        "time_limit_s": 12.0,
        "rate": 200.0,
    },
)


def plant() -> None:
    def answer(self: CorruptionCheck, data: bytes) -> bytes | None:
        try:
            msgspec.msgpack.decode(data, type=corruption_check.HashQuestion)
        except msgspec.MsgspecError:
            return None
        return msgspec.msgpack.encode(self._store.hash_kv(self._store.revision))

    CorruptionCheck.answer = answer  # type: ignore[method-assign]
