"""Bug: a permission for the first key of a range permits the whole range."""

from __future__ import annotations

from collections.abc import Iterable

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth import auth_store, range_permission
from splitbrain.node.messages.auth import Permission

MUTANT = Mutant(
    what="a permission for the first key of a range permits the whole range",
    source="etcd's range_perm_cache.go, whose intervals decide about ranges",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    def covers(permissions: Iterable[Permission], key: bytes, range_end: bytes) -> bool:
        return range_permission.covers(permissions, key, b"")

    auth_store.covers = covers  # type: ignore[attr-defined]
