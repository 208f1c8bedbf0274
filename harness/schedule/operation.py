"""The operations of a schedule's clients."""

from __future__ import annotations

import msgspec

from splitbrain.histories.service import AnyRequest


class ScheduledOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation of a client.

    The operation is due `think_us` µs after the client's previous operation was due. If the
    previous operation has not ended by then, the operation begins when the previous one ends.
    `request` is sent to the member with index `member` in the schedule's members. With
    `to_follower`, it is sent to follower number `member` among the members that are followers when
    the operation begins.
    """

    think_us: int
    f: str
    request: AnyRequest
    member: int
    to_follower: bool = False
    expect_last_seen: tuple[int, ...] = ()
    """The positions of those comparisons of the transaction `request` whose operand is
    replaced by what this client last saw of their key."""
    after_ok: bool = False
    """The operation is skipped unless this client's previous operation succeeded. Operations
    with `after_ok` that follow a skipped one are skipped, too."""
    revision_back: int = 0
    """A range or compaction is sent at this many revisions before the highest revision that
    this client has seen."""
    append_to_seen: bool = False
    """The values that the transaction `request` puts are lists (`histories/list_value.py`).
    The client first reads the keys that are compared, by an operation `look`, and puts the
    values that it read in front. If `look` is not answered, the transaction is not sent."""


class ClientOperations(msgspec.Struct, frozen=True):
    """One client's operations, in order. The client stops after the last one."""

    operations: tuple[ScheduledOperation, ...]
