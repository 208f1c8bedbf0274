"""The operations of a v3 store's locks and elections as they stand in a history.

A lock is held by the key that its answer names, an election's leader is the key of the
campaign that came first: both hang on a lease, and go with it.

Source: etcd's `v3lock.proto` and `v3election.proto`, with the names of its JSON gateway.
"""

from __future__ import annotations

import msgspec

from splitbrain.histories.kv import Header, KeyValue


class Lock(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="lock"):
    """Answered when the lock is held."""

    name: str
    lease: int


class Unlock(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="unlock"
):
    """`key`: as the lock's answer named it."""

    key: str


class Campaign(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="campaign"
):
    """Answered when it is elected."""

    name: str
    lease: int
    value: str = ""


class Proclaim(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="proclaim"
):
    """The leader says something else. `key`, `revision`: as the campaign's answer named them."""

    name: str
    key: str
    lease: int
    revision: int = 0
    value: str = ""


class Leader(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="leader"
):
    name: str


class Resign(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="resign"
):
    name: str
    key: str
    lease: int
    revision: int = 0


LockRequest = Lock | Unlock | Campaign | Proclaim | Leader | Resign


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
    """`revision` is that at which `key` was made."""

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


class ResignResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="resign"
):
    header: Header = Header()


LockAnswer = (
    LockResult | UnlockResult | CampaignResult | ProclaimResult | LeaderResult | ResignResult
)
