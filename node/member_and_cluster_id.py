"""Derives the ids of members and clusters from the initial configuration, as etcd does.

A member's id is the first eight bytes of the SHA-1 of its peer URLs and the cluster's token. A
cluster's id is the first eight bytes of the SHA-1 of its members' ids in ascending order. Members
that were started with different configurations therefore refuse each other.

Source: etcd, server/etcdserver/api/membership (`NewMember`, `genID`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def member_id(peer_urls: Sequence[str], token: str) -> int:
    """Return the id of a member of the initial configuration. `token` is the cluster's token."""
    digest = hashlib.sha1(("".join(sorted(peer_urls)) + token).encode(), usedforsecurity=False)
    return int.from_bytes(digest.digest()[:8], "big")


def added_member_id(peer_urls: Sequence[str], request: int) -> int:
    """Return the id of a member that is added to a running cluster.

    `request` is the id of the request that adds the member. Another request with the same URLs
    gives another id, because the id of a removed member must never be used again.
    """
    return member_id(peer_urls, f"request {request}")


def cluster_id(member_ids: Iterable[int]) -> int:
    """Return the id of the cluster that begins with the members `member_ids`."""
    packed = b"".join(identity.to_bytes(8, "big") for identity in sorted(member_ids))
    return int.from_bytes(hashlib.sha1(packed, usedforsecurity=False).digest()[:8], "big")
