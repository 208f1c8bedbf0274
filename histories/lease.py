"""Defines the operations of a v3 store's lease service in a history.

Times to live (`ttl`) are in whole seconds. If a lease does not exist, the answer to a keep-alive
has a `ttl` of 0, and the answer to a time-to-live request has a `ttl` of -1 and a `granted_ttl` of
0. In an answer with another negative `ttl`, the time of the lease is over, but the lease still
exists.

Source: etcd's `rpc.proto` (Lease service), with the names of its JSON gateway.
"""

from __future__ import annotations

import msgspec

from splitbrain.histories.kv import Header


class LeaseGrant(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="lease_grant"
):
    """Creates a lease. The client chooses the `id`."""

    id: int
    ttl: int


class LeaseRevoke(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="lease_revoke"
):
    id: int


class LeaseKeepAlive(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op",
    tag="lease_keep_alive",
):
    id: int


class LeaseKeepAlives(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op",
    tag="lease_keep_alives",
):
    """Sends keep-alives for several leases on one stream, in the order of `ids`.

    All requests are sent before the first answer is read. Then the client closes its side of the
    stream, and reads the answers to the end.
    """

    ids: tuple[int, ...]


class LeaseTimeToLive(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op",
    tag="lease_time_to_live",
):
    """Asks for the time to live of a lease.

    With `keys`, the answer also lists the keys that are attached to the lease.
    """

    id: int
    keys: bool = False


LeaseRequest = LeaseGrant | LeaseRevoke | LeaseKeepAlive | LeaseKeepAlives | LeaseTimeToLive


class LeaseGrantResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="lease_grant"
):
    """The answer to a `LeaseGrant`. The granted `ttl` may be longer than the requested one."""

    header: Header = Header()
    id: int = 0
    ttl: int = 0


class LeaseRevokeResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="lease_revoke"
):
    header: Header = Header()


class LeaseKeepAliveResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op",
    tag="lease_keep_alive",
):
    header: Header = Header()
    id: int = 0
    ttl: int = 0


class LeaseKeepAlivesResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op",
    tag="lease_keep_alives",
):
    """The answers to `LeaseKeepAlives`, in the order in which they arrived.

    `header` is the header of the last answer.
    """

    header: Header = Header()
    answers: tuple[LeaseKeepAliveResult, ...] = ()


class LeaseTimeToLiveResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op",
    tag="lease_time_to_live",
):
    header: Header = Header()
    id: int = 0
    ttl: int = 0
    granted_ttl: int = 0
    keys: tuple[str, ...] = ()


LeaseResult = (
    LeaseGrantResult | LeaseRevokeResult | LeaseKeepAliveResult | LeaseKeepAlivesResult
    | LeaseTimeToLiveResult
)
