"""Defines the requests and responses of the Lock service as values.

Source: etcd 3.5.1, `server/etcdserver/api/v3lock/v3lockpb/v3lock.proto`.
"""

from __future__ import annotations

from msgspec import Struct

from splitbrain.node.messages.rpc import Int64, ResponseHeader


class LockRequest(Struct, frozen=True, omit_defaults=True):
    """Acquires the lock `name`. The lock is released when the lease ends.

    If `lease` is 0, the member grants a lease.
    """

    name: bytes = b""
    lease: Int64 = 0


class LockResponse(Struct, frozen=True, omit_defaults=True):
    """The client has acquired the lock, and holds it as long as `key` exists."""

    header: ResponseHeader = ResponseHeader()
    key: bytes = b""


class UnlockRequest(Struct, frozen=True, omit_defaults=True):
    key: bytes = b""


class UnlockResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
