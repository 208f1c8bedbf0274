"""The operations of a schedule's clients."""

from __future__ import annotations

import msgspec

from splitbrain.histories.service_operation import AnyRequest


class ScheduledOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation of a client.

    The operation begins `think_us` µs after the time at which the client's previous operation was
    scheduled to begin. If the previous operation has not ended by then, the operation begins when
    the previous one ends. `request` is sent to the member with index `member` in the schedule's
    members. With `to_follower`, it is sent to follower number `member` among the members that are
    followers when the operation begins.
    """

    think_us: int
    f: str
    request: AnyRequest
    member: int
    to_follower: bool = False
    expect_last_seen: tuple[int, ...] = ()
    """The positions of some comparisons in the transaction `request`. Their operands are replaced
    by the state of the compared key that this client last saw."""
    after_ok: bool = False
    """Whether the operation is skipped if this client's previous operation did not succeed.
    Operations with `after_ok` that follow a skipped operation are skipped, too."""
    revision_back: int | None = None
    """How far the revision of the range or compaction `request` is below the highest revision that
    this client has seen. A negative number gives a later revision. In a range with bounds of
    revisions, the bounds are replaced, and the range reads the newest revision. None: `request` is
    sent unchanged."""
    ranges_back: tuple[tuple[int, int], ...] = ()
    """The revisions of ranges in the transaction `request`. Each pair contains the position of a
    range in the order of `splitbrain.checkers.model.request_parts.ranges`, and a number as in
    `revision_back`."""
    continue_list: bool = False
    """Whether the range `request` is replaced by the continuation of this client's last range with
    a limit, at the revision of that range. If that range left no keys out, `request` is sent."""
    user: str = ""
    """The user who sends the request; "" for a client that is not logged in. The client first logs
    in with `password`, with an operation `log_in`, if authentication is enabled and the client has
    no token of the user."""
    password: str = ""
    append_to_seen: bool = False
    """Whether the values that the transaction `request` puts are lists (`histories/list_value.py`).
    If so, the client first reads the compared keys, with an operation `look`, and appends the new
    elements to the lists that it has read. If `look` does not succeed, the transaction is not
    sent."""


class ClientOperations(msgspec.Struct, frozen=True):
    """One client's operations, in order. The client stops after the last one."""

    operations: tuple[ScheduledOperation, ...]
