"""Requests of all services, and operations of leases, locks and elections.

In the file of a history, the operations of all services are in one common order. A `History` keeps
those of leases, locks and elections in a separate field, because most checkers judge only keys and
values.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.histories.call import Call
from splitbrain.histories.kv import Request, Result, writes
from splitbrain.histories.lease import LeaseRequest, LeaseResult, LeaseTimeToLive
from splitbrain.histories.lock import Leader, LockAnswer, LockRequest

ServiceRequest = LeaseRequest | LockRequest | Call
"""A `Call` is only sent to a client of the user."""
ServiceResult = LeaseResult | LockAnswer
AnyRequest = Request | ServiceRequest
AnyResult = Result | ServiceResult


class ServiceOperation(msgspec.Struct, frozen=True, gc=False):
    """One operation on leases, locks or elections.

    The fields are those of `splitbrain.histories.operation.Operation`.
    """

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
    """Whether `request` may change the store, including leases and their times to live."""
    if isinstance(request, LeaseTimeToLive | Leader):
        return False
    if isinstance(request, ServiceRequest):
        return True
    return writes(request)


def makes_keys(request: AnyRequest) -> bool:
    """Whether the store writes or deletes keys for `request`, a request of locks or elections."""
    return isinstance(request, LockRequest) and not isinstance(request, Leader)
