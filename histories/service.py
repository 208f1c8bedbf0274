"""Requests of all the services that a history may hold, and operations of those beside
the key-value service: leases, locks, elections.

They stand in the same file and in one order with the key-value operations; a `History`
keeps them apart, for most checkers judge keys and values alone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.histories.kv import Request, Result, writes
from splitbrain.histories.lease import LeaseRequest, LeaseResult, LeaseTimeToLive
from splitbrain.histories.lock import Leader, LockAnswer, LockRequest

ServiceRequest = LeaseRequest | LockRequest
ServiceResult = LeaseResult | LockAnswer
AnyRequest = Request | ServiceRequest
AnyResult = Result | ServiceResult


class ServiceOperation(msgspec.Struct, frozen=True, gc=False):
    """As `splitbrain.histories.history.Operation`, of another service."""

    process: int
    f: str
    node: str | None
    outcome: Literal["ok", "fail", "info"]
    request: ServiceRequest
    result: ServiceResult | None
    error: str | None
    invoked: int
    returned: int | None
    call: int
    ret: int | None
    ended: int | None = None


def changes_store(request: AnyRequest) -> bool:
    """Whether `request` may change what the store holds, leases and their times included."""
    if isinstance(request, LeaseTimeToLive | Leader):
        return False
    if isinstance(request, ServiceRequest):
        return True
    return writes(request)


def makes_keys(request: AnyRequest) -> bool:
    """Whether the store writes or deletes keys of its own for it: those of locks and elections."""
    return isinstance(request, LockRequest) and not isinstance(request, Leader)
