"""Defines the requests of all services, and operations of leases, locks, elections and users.

In the file of a history, the operations of all services are in one common order. A `History` keeps
those that are not of the key-value service in a separate field, because most checkers judge only
keys and values.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.histories.auth import Authenticate, AuthQuery, AuthRequest, AuthResult
from splitbrain.histories.client_call import Call
from splitbrain.histories.kv import Request, Result, writes
from splitbrain.histories.lease import LeaseRequest, LeaseResult, LeaseTimeToLive
from splitbrain.histories.lock_and_election import Leader, LockAnswer, LockRequest, Observe
from splitbrain.histories.maintenance import (
    AlarmList,
    MaintenanceRequest,
    MaintenanceResult,
    MemberSize,
    Snapshot,
)
from splitbrain.histories.member_list import MemberList, MemberListResult

ServiceRequest = LeaseRequest | LockRequest | AuthRequest | MaintenanceRequest | MemberList | Call
"""A request that is not of the key-value service. A `Call` is only sent to a client of the user."""
ServiceResult = LeaseResult | LockAnswer | AuthResult | MaintenanceResult | MemberListResult
AnyRequest = Request | ServiceRequest
AnyResult = Result | ServiceResult


class ServiceOperation(msgspec.Struct, frozen=True, gc=False):
    """One operation on leases, locks, elections, users, roles, alarms or the member list.

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
    """Return whether `request` may change the store, including leases, users and roles.

    A token is not part of the store: only the client that gets it can use it.
    """
    if isinstance(
        request,
        LeaseTimeToLive | Leader | Observe | Authenticate | AuthQuery | AlarmList | MemberSize
        | MemberList | Snapshot,
    ):
        return False
    if isinstance(request, ServiceRequest):
        return True
    return writes(request)


def token_of(request: AnyRequest) -> str:
    """Return the authentication token that is sent with `request`; "" if there is none."""
    return getattr(request, "token", "")


def with_token(request: AnyRequest, token: str) -> AnyRequest:
    """Return `request` with `token`. A request that cannot contain a token is not changed."""
    if not token or not hasattr(request, "token"):
        return request
    changed: AnyRequest = msgspec.structs.replace(request, token=token)
    return changed


def makes_keys(request: AnyRequest) -> bool:
    """Return whether the store itself puts or deletes keys because of `request`.

    This is the case for requests of locks and elections.
    """
    return isinstance(request, LockRequest) and not isinstance(request, Leader | Observe)
