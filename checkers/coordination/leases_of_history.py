"""Collects the leases of a history: who granted, renewed, revoked and queried each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from splitbrain.histories.lease import (
    LeaseGrant,
    LeaseGrantResult,
    LeaseKeepAlive,
    LeaseKeepAliveResult,
    LeaseRevoke,
    LeaseTimeToLive,
    LeaseTimeToLiveResult,
)
from splitbrain.histories.service_operation import ServiceOperation, ServiceResult

S = 1_000_000_000
CLOCK_ERROR_NS = 50_000_000
"""While a lease lives, the clocks of members and clients may drift apart by up to this time."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A grant or a keep-alive that was answered with a time to live."""

    call: int
    ended: int
    ttl_ns: int
    operation: ServiceOperation

    @property
    def lives_until(self) -> int:
        """Return the earliest time, in ns, at which the renewed lease can expire."""
        return self.call + self.ttl_ns - CLOCK_ERROR_NS


@dataclass(slots=True)
class Lease:
    """All operations on one lease, in the order of their invocations."""

    id: int
    grants: list[ServiceOperation] = field(default_factory=list)
    """The grants that may have taken effect. If there is more than one, there are several leases
    with this id."""
    ttl_ns: int = 0
    """The longest time to live that was requested or granted."""
    renewals: list[Renewal] = field(default_factory=list)
    tries: list[ServiceOperation] = field(default_factory=list)
    """The grants and keep-alives that may have taken effect."""
    revokes: list[ServiceOperation] = field(default_factory=list)
    """The revocations that may have taken effect."""
    queries: list[ServiceOperation] = field(default_factory=list)
    """The keep-alives and the time-to-live requests for the lease."""

    @property
    def uncertain(self) -> bool:
        """Return whether the outcome of a grant or a keep-alive is unknown.

        Such a request may take effect at any time after its invocation.
        """
        return any(op.outcome == "info" for op in self.tries)

    @property
    def only_granted(self) -> bool:
        """Return whether the lease was granted, but never renewed, revoked or queried."""
        return not self.queries and not self.revokes and len(self.tries) == len(self.grants)

    @property
    def granted(self) -> Renewal | None:
        """Return the only grant of the lease if it was answered, else None."""
        if len(self.grants) != 1:
            return None
        return next((one for one in self.renewals if one.operation is self.grants[0]), None)

    @property
    def first_start(self) -> int:
        """Return the latest time at which a grant may have started the lease; 0 without a grant."""
        return max((op.ended or op.call for op in self.grants), default=0)

    def last_try(self, until: int) -> int:
        """Return the latest time up to `until` at which the lease may have been granted or renewed.

        An operation without an answer counts at the time when its client gave up.
        """
        return max(
            (min(op.ended or op.call, until) for op in self.tries if op.call <= until), default=0
        )


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases of a history by their ids."""

    by_id: dict[int, Lease]
    some_id_unknown: bool
    """True if the store may have granted a lease whose id no answer shows."""

    def may_exist(self, number: int, until: int | None) -> bool:
        """Return whether the lease with the id `number` may have been granted by the time `until`.

        If `until` is None, it may have been granted at any time of the run.
        """
        lease = self.by_id.get(number)
        return self.some_id_unknown or (lease is not None and any(
            until is None or op.call <= until for op in lease.grants
        ))


def gather(services: Sequence[ServiceOperation]) -> Leases:
    """Collect the leases of a history. Operations of locks and elections are ignored."""
    by_id: dict[int, Lease] = {}
    some_id_unknown = False
    for op in services:
        request, result = op.request, op.result
        if not isinstance(request, LeaseGrant | LeaseKeepAlive | LeaseRevoke | LeaseTimeToLive):
            continue
        number = request.id or (result.id if isinstance(result, LeaseGrantResult) else 0)
        if not number:
            some_id_unknown |= op.outcome != "fail"
            continue
        lease = by_id.setdefault(number, Lease(number))
        if isinstance(request, LeaseKeepAlive | LeaseTimeToLive):
            lease.queries.append(op)
        if op.outcome == "fail" or isinstance(request, LeaseTimeToLive):
            continue
        if isinstance(request, LeaseRevoke):
            lease.revokes.append(op)
            continue
        lease.tries.append(op)
        if isinstance(request, LeaseGrant):
            lease.grants.append(op)
            lease.ttl_ns = max(lease.ttl_ns, request.ttl * S)
        if isinstance(result, LeaseGrantResult | LeaseKeepAliveResult) and result.ttl > 0:
            ttl_ns = result.ttl * S
            lease.ttl_ns = max(lease.ttl_ns, ttl_ns)
            lease.renewals.append(Renewal(op.call, op.ret or op.call, ttl_ns, op))
    return Leases(by_id, some_id_unknown)


def is_not_found(result: ServiceResult | None) -> bool:
    """Return whether the answer `result` says that the lease does not exist.

    The answer to a time-to-live request then has a `ttl` of -1 and no `granted_ttl`. A lease with
    any other negative `ttl` is overdue, but still exists.
    """
    if isinstance(result, LeaseKeepAliveResult):
        return result.ttl <= 0
    return isinstance(result, LeaseTimeToLiveResult) and result.ttl == -1 and not result.granted_ttl


def is_found(result: ServiceResult | None) -> bool:
    """Return whether an answer says that the lease exists."""
    known = isinstance(result, LeaseKeepAliveResult | LeaseTimeToLiveResult)
    return known and not is_not_found(result)


def answer(op: ServiceOperation) -> str:
    """Describe an answer: `n2 answered process 3's keep-alive of lease 7`."""
    request = op.request
    what = {
        LeaseGrant: "grant", LeaseRevoke: "revocation", LeaseKeepAlive: "keep-alive",
        LeaseTimeToLive: "time-to-live request",
    }.get(type(request), op.f)
    number = getattr(request, "id", 0) or getattr(op.result, "id", 0)
    return f"{op.node or 'a member'} answered process {op.process}'s {what} of lease {number}"
