"""Bug: permissions for the beginning and for the end of a range permit the whole range."""

from __future__ import annotations

from collections.abc import Iterable

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth import auth_store, range_permission
from splitbrain.node.messages.auth import Permission

MUTANT = Mutant(
    what="permissions for the beginning and for the end of a range permit the whole range",
    source="etcd's range_perm_cache.go, which joins intervals",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    def covers(permissions: Iterable[Permission], key: bytes, range_end: bytes) -> bool:
        listed = list(permissions)
        if not range_end:
            return range_permission.covers(listed, key, b"")
        reaches = any(one.range_end >= range_end for one in listed)
        return reaches and range_permission.covers(listed, key, b"")

    auth_store.covers = covers  # type: ignore[attr-defined]
