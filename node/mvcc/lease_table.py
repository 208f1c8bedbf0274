"""Stores the leases that exist, and the keys that are attached to them.

All members have the same leases, because the table changes only when a committed entry is applied.
The table does not know when a lease expires. Only the leader decides that
(`splitbrain.node.lease.lessor`).

In the backend, the bucket `lease` contains the times to live of each lease, by the lease's id. It
does not contain the keys of a lease, because each key-value contains the id of its lease.

Source: etcd's `server/lease/lessor.go`, the part that is the same on all members.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from splitbrain.node.backend import Backend

_LEASES = b"lease"


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    """The times of a lease as the backend contains them."""

    id: int
    ttl_s: int
    remaining_s: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


@dataclass(slots=True)
class Lease:
    """A lease that exists, with its times and its keys. Times are in seconds."""

    id: int
    ttl_s: int
    """The time to live that was granted."""
    remaining_s: int = 0
    """The remaining time to live in the last checkpoint, or 0 if there is no checkpoint."""
    keys: dict[bytes, None] = field(default_factory=dict)
    """The keys that are attached to the lease."""

    @property
    def recorded_s(self) -> int:
        """The time with which a new leader restarts the lease."""
        return self.remaining_s or self.ttl_s


class LeaseObserver(Protocol):
    """Is notified of changes of the table. The lessor of a member implements this interface."""

    def granted(self, lease: Lease) -> None:
        """React to a lease that has been created."""
        ...

    def recorded(self, lease: Lease) -> None:
        """React to a checkpoint: the remaining time of the lease has been recorded."""
        ...

    def removed(self, lease_id: int) -> None:
        """React to a lease that was revoked, has expired, or is missing in a leader's snapshot."""
        ...


class _NoObserver:
    def granted(self, lease: Lease) -> None:
        return

    def recorded(self, lease: Lease) -> None:
        return

    def removed(self, lease_id: int) -> None:
        return


class LeaseTable:
    """The leases of one store. After each change of a lease, `observer` is called."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._leases: dict[int, Lease] = {}
        self._lease_of: dict[bytes, int] = {}
        self.observer: LeaseObserver = _NoObserver()

    def __len__(self) -> int:
        return len(self._leases)

    def get(self, lease_id: int) -> Lease | None:
        return self._leases.get(lease_id)

    def all(self) -> Iterable[Lease]:
        return self._leases.values()

    def grant(self, lease_id: int, ttl_s: int) -> Lease:
        """Create a lease. The caller has checked that no lease with this id exists."""
        assert lease_id not in self._leases, f"lease {lease_id} exists"
        lease = Lease(lease_id, ttl_s)
        self._leases[lease_id] = lease
        self._store(lease)
        self.observer.granted(lease)
        return lease

    def remove(self, lease_id: int) -> None:
        """Remove a lease. The caller has deleted its keys in the same transaction."""
        lease = self._leases.pop(lease_id)
        assert not lease.keys, f"lease {lease_id} has {len(lease.keys)} keys"
        self._backend.delete(_LEASES, _key(lease_id))
        self.observer.removed(lease_id)

    def record_remaining(self, lease_id: int, remaining_s: int) -> None:
        """Record the remaining time to live of a lease. 0 means the whole time to live.

        An unknown lease is ignored: it was revoked before the entry was applied.
        """
        lease = self._leases.get(lease_id)
        if lease is not None:
            lease.remaining_s = min(remaining_s, lease.ttl_s)
            self._store(lease)
            self.observer.recorded(lease)

    # --- keys ---------------------------------------------------------------------

    def attach(self, key: bytes, lease_id: int) -> None:
        """Attach `key` to a lease, and detach it from its previous lease.

        If `lease_id` is 0, or the lease does not exist, the key is only detached. A missing lease
        is possible only for an old version of a key, when the member loads the table at its start.
        A new put with a missing lease is refused.
        """
        previous = self._lease_of.pop(key, 0)
        if previous:
            self._leases[previous].keys.pop(key, None)
        lease = self._leases.get(lease_id)
        if lease is not None:
            lease.keys[key] = None
            self._lease_of[key] = lease_id

    # --- start and restore --------------------------------------------------------

    def load(self) -> None:
        """Load the leases from the backend, without their keys.

        The caller then attaches the keys.
        """
        before = self._leases
        self._leases = {}
        self._lease_of = {}
        for _, value in self._backend.range(_LEASES, b""):
            stored = _decode(value)
            self._leases[stored.id] = Lease(stored.id, stored.ttl_s, stored.remaining_s)
        for lease_id in before:
            if lease_id not in self._leases:
                self.observer.removed(lease_id)

    def _store(self, lease: Lease) -> None:
        stored = _Stored(lease.id, lease.ttl_s, lease.remaining_s)
        self._backend.put(_LEASES, _key(lease.id), _encode(stored))


def _key(lease_id: int) -> bytes:
    return (lease_id & (1 << 64) - 1).to_bytes(8, "big")
