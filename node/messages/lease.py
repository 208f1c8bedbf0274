"""The requests and responses of the Lease service as values.

`LeaseExpireRequest` and `LeaseCheckpointRequest` come from the leader itself, not from clients.
Both contain the term in which the leader proposed them. They have no effect if their entry has
another term, because then a deposed leader proposed them, and the new leader has extended the
leases.

Source: etcd 3.5.1, `api/etcdserverpb/rpc.proto`, `raft_internal.proto`; etcd issue 15247.
"""

from __future__ import annotations

from msgspec import Struct

from splitbrain.node.messages.rpc import Int64, ResponseHeader

TTL_S_MAX = 9_000_000_000
"""Source: etcd's MaxLeaseTTL."""


class LeaseGrantRequest(
    Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="op",
    tag="lease_grant",
):
    """Creates a lease. With the `id` 0, the member chooses an id."""

    ttl: Int64 = 0
    id: Int64 = 0


class LeaseRevokeRequest(
    Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="op",
    tag="lease_revoke",
):
    """Ends a lease, and deletes its keys."""

    id: Int64 = 0


class LeaseExpireRequest(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="lease_expire"
):
    """Ends a lease whose time to live has passed on the leader of `term`."""

    id: int
    term: int


class LeaseCheckpoint(Struct, frozen=True, array_like=True):
    """The remaining time to live of a lease. 0 means that the whole time to live may remain."""

    id: int
    remaining_s: int


class LeaseCheckpointRequest(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="lease_checkpoint"
):
    """Records the remaining times to live of leases on the leader of `term`."""

    checkpoints: tuple[LeaseCheckpoint, ...]
    term: int


class LeaseKeepAliveRequest(Struct, frozen=True, omit_defaults=True):
    id: int = 0


class LeaseTimeToLiveRequest(Struct, frozen=True, omit_defaults=True):
    id: int = 0
    keys: bool = False


class LeaseLeasesRequest(Struct, frozen=True):
    pass


class LeaseGrantResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    id: int = 0
    ttl: int = 0
    error: str = ""


class LeaseRevokeResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class LeaseCheckpointResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class LeaseKeepAliveResponse(Struct, frozen=True, omit_defaults=True):
    """The `ttl` is 0 if the lease does not exist."""

    header: ResponseHeader = ResponseHeader()
    id: int = 0
    ttl: int = 0


class LeaseTimeToLiveResponse(Struct, frozen=True, omit_defaults=True):
    """The `ttl` is -1 if the lease does not exist."""

    header: ResponseHeader = ResponseHeader()
    id: int = 0
    ttl: int = 0
    granted_ttl: int = 0
    keys: tuple[bytes, ...] = ()


class LeaseStatus(Struct, frozen=True, omit_defaults=True):
    id: int = 0


class LeaseLeasesResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    leases: tuple[LeaseStatus, ...] = ()


LeaseWriteRequest = LeaseGrantRequest | LeaseRevokeRequest
"""The writes of clients."""
LessorRequest = LeaseExpireRequest | LeaseCheckpointRequest
"""The writes of the leader itself."""
LeaseWriteResponse = LeaseGrantResponse | LeaseRevokeResponse | LeaseCheckpointResponse
