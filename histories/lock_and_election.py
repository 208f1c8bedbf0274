"""Defines the operations of a v3 store's lock and election services in a history.

The answer to a lock request contains a key. The client holds the lock as long as this key exists.
The leader of an election is the client whose campaign has the oldest key. Both kinds of keys are
attached to a lease, and are deleted when the lease ends.

Source: etcd's `v3lock.proto` and `v3election.proto`, with the names of its JSON gateway.
"""

from __future__ import annotations

import msgspec

from splitbrain.histories.kv import Header, KeyValue


class Lock(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="lock"):
    """Acquires a lock. The request is answered when the client holds the lock."""

    name: str
    lease: int


class Unlock(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="unlock"
):
    """Releases a lock. `key` is the key in the answer to the lock."""

    key: str


class Campaign(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="campaign"
):
    """Takes part in an election. The answer comes when the client is elected."""

    name: str
    lease: int
    value: str = ""


class Proclaim(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="proclaim"
):
    """Replaces the value that the leader proclaims.

    `key` and `revision` are those in the answer to the campaign.
    """

    name: str
    key: str
    lease: int
    revision: int = 0
    value: str = ""


class Leader(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="leader"
):
    name: str


class Observe(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="observe"
):
    """Receives the leaders of an election for `for_ms` ms, and then closes the stream.

    The store sends the leader at first, and again whenever the leader or its value changes.
    """

    name: str
    for_ms: int


class Resign(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="resign"
):
    name: str
    key: str
    lease: int
    revision: int = 0


LockRequest = Lock | Unlock | Campaign | Proclaim | Leader | Observe | Resign


class LockResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="lock"
):
    header: Header = Header()
    key: str = ""


class UnlockResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="unlock"
):
    header: Header = Header()


class CampaignResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="campaign"
):
    """The answer to a `Campaign`. `revision` is the revision at which `key` was created."""

    header: Header = Header()
    key: str = ""
    revision: int = 0
    lease: int = 0


class ProclaimResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="proclaim"
):
    header: Header = Header()


class LeaderResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="leader"
):
    header: Header = Header()
    kv: KeyValue | None = None


class ObserveResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="observe"
):
    """The answers to an `Observe`, in the order in which they arrived.

    `header` is the header of the last answer. `broken` is the reason why the stream ended before
    the client closed it; "" if it did not.
    """

    header: Header = Header()
    answers: tuple[LeaderResult, ...] = ()
    broken: str = ""


class ResignResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="resign"
):
    header: Header = Header()


LockAnswer = (
    LockResult | UnlockResult | CampaignResult | ProclaimResult | LeaderResult | ObserveResult
    | ResignResult
)
