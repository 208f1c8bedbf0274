"""Defines the requests and responses of the Lease service as values.

Two requests, `LeaseExpireRequest` and `LeaseCheckpointRequest`, are proposed by the leader itself,
not by clients. They contain the term of this leader, and have no effect if their entry has another
term. In this case the leader was deposed before the entry was appended, and the new leader has
restarted the leases.

Source: etcd 3.5.1, `api/etcdserverpb/rpc.proto`, `raft_internal.proto`; etcd issue 15247.
"""

from __future__ import annotations

from msgspec import Struct

from splitbrain.node.messages.rpc import Int64, ResponseHeader

TTL_S_MAX = 9_000_000_000
"""The maximal time to live of a lease, in seconds. Source: etcd's MaxLeaseTTL."""


class LeaseGrantRequest(
    Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="op",
    tag="lease_grant",
):
    """Creates a lease. If the `id` is 0, the member chooses an id."""

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
    """Ends a lease that has expired by the clock of the leader of `term`."""

    id: int
    term: int


class LeaseCheckpoint(Struct, frozen=True, array_like=True):
    """The remaining time to live of a lease, in seconds. 0 means the whole time to live."""

    id: int
    remaining_s: int


class LeaseCheckpointRequest(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="lease_checkpoint"
):
    """Records the remaining times to live of leases, by the clock of the leader of `term`."""

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
    """The answer to a keep-alive. `ttl` is 0 if the lease does not exist."""

    header: ResponseHeader = ResponseHeader()
    id: int = 0
    ttl: int = 0


class LeaseTimeToLiveResponse(Struct, frozen=True, omit_defaults=True):
    """The answer to a query of a lease. `ttl` is -1 if the lease does not exist."""

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
"""The requests that clients send and that are replicated."""
LessorRequest = LeaseExpireRequest | LeaseCheckpointRequest
"""The requests that the leader proposes by itself."""
LeaseWriteResponse = LeaseGrantResponse | LeaseRevokeResponse | LeaseCheckpointResponse
