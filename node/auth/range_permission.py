"""Decides whether the permissions of a user cover the keys of a request.

Source: etcd 3.5.1, `server/auth/range_perm_cache.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from splitbrain.node.messages.auth import Permission

ALL_FROM = b"\0"
"""The end of an interval that has no upper end."""


def covers(permissions: Iterable[Permission], key: bytes, range_end: bytes) -> bool:
    """Return whether `permissions` together contain every key of a request's range.

    `range_end` is that of a request: empty for a single key, "\\0" for all keys from `key` on.
    Several adjacent or overlapping permissions together can cover one range.
    """
    if not range_end:
        return any(contains_key(one, key) for one in permissions)
    end = None if range_end == ALL_FROM else range_end
    if end is not None and end <= key:
        return any(touches_empty(one, key, end) for one in permissions)
    covered = key
    for one in sorted(permissions, key=lambda permission: permission.key):
        if one.key > covered:
            return False
        reached = end_of(one)
        if reached is None:
            return True
        covered = max(covered, reached)
        if end is not None and covered >= end:
            return True
    return False


def contains_key(permission: Permission, key: bytes) -> bool:
    if not permission.range_end:
        return key == permission.key
    end = end_of(permission)
    return permission.key <= key and (end is None or key < end)


def touches_empty(permission: Permission, key: bytes, end: bytes) -> bool:
    """Return whether a permission covers a range without keys (`end` <= `key`).

    etcd's interval tree decides in the same way: the permission must begin at or before `end`, and
    must end after `key`.
    """
    reached = end_of(permission)
    return permission.key <= end and (reached is None or key < reached)


def end_of(permission: Permission) -> bytes | None:
    """Return the first key after the interval of a permission, or None if it has no end."""
    if permission.range_end == ALL_FROM:
        return None
    return permission.range_end or permission.key + b"\0"
