"""The leases of a store, and the keys that are attached to them.

All members have the same leases, because the table changes only when a committed entry is applied.
The table does not know when a lease expires. Only the leader decides that
(`splitbrain.node.lease.lessor`).

The bucket `lease` contains each lease under its id, with its times to live. Attachments are not
stored, because each key-value contains its lease.

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
    """A lease as the backend contains it."""

    id: int
    ttl_s: int
    remaining_s: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


@dataclass(slots=True)
class Lease:
    """A lease that exists."""

    id: int
    ttl_s: int
    """The granted time to live."""
    remaining_s: int = 0
    """The time to live that a leader has recorded, or 0 if the whole time to live may remain."""
    keys: dict[bytes, None] = field(default_factory=dict)
    """The keys that are attached to the lease."""

    @property
    def recorded_s(self) -> int:
        """The time to live with which a new leader starts the lease again."""
        return self.remaining_s or self.ttl_s


class LeaseObserver(Protocol):
    """Follows the table. The lessor of a member implements it."""

    def granted(self, lease: Lease) -> None:
        """Called when a lease has been created."""
        ...

    def recorded(self, lease: Lease) -> None:
        """Called when the remaining time of the lease has been recorded."""
        ...

    def removed(self, lease_id: int) -> None:
        """Called when the lease has been revoked, or was removed by a leader's snapshot."""
        ...


class _NoObserver:
    def granted(self, lease: Lease) -> None:
        return

    def recorded(self, lease: Lease) -> None:
        return

    def removed(self, lease_id: int) -> None:
        return


class LeaseTable:
    """The leases of one store. `observer` is called after each change of a lease."""

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
        """Record the remaining time to live. 0 means that the whole time to live may remain.

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

        With the `lease_id` 0 the key is only detached. A lease that does not exist is treated like
        0. This happens only while the table is loaded, for old versions of a key, because a put
        with a missing lease is refused.
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
        """Load the leases from the backend, without keys. The caller then attaches the keys."""
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
