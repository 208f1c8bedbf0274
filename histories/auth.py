"""Defines the operations of a v3 store's auth service in a history.

A request that needs a user contains the `token` that was sent with it ("": no token). The answers
to `Authenticate` show to which user a token belongs. A permission covers the key `key`, or the keys
from `key` up to, not including, `range_end`.

Source: etcd's `rpc.proto` (Auth service) and `auth.proto`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.histories.kv import Header

PermissionKind = Literal["READ", "WRITE", "READWRITE"]


class Permission(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A permission of a role: to read or write, or both, a key or an interval of keys."""

    key: str
    range_end: str = ""
    kind: PermissionKind = "READ"


class _Request(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op",
    forbid_unknown_fields=True,
):
    """A request of the auth service."""


class _WithToken(_Request, frozen=True, kw_only=True):
    """A request that is sent with the token of a user."""

    token: str = ""


class Authenticate(_Request, frozen=True, tag="authenticate"):
    """Asks for a token of the user `name`."""

    name: str
    password: str


class AuthEnable(_WithToken, frozen=True, tag="auth_enable"):
    pass


class AuthDisable(_WithToken, frozen=True, tag="auth_disable"):
    pass


class AuthStatus(_WithToken, frozen=True, tag="auth_status"):
    """Asks whether authentication is enabled, and for the auth revision."""


class UserAdd(_WithToken, frozen=True, tag="user_add"):
    name: str
    password: str


class UserDelete(_WithToken, frozen=True, tag="user_delete"):
    name: str


class UserChangePassword(_WithToken, frozen=True, tag="user_change_password"):
    name: str
    password: str


class UserGrantRole(_WithToken, frozen=True, tag="user_grant_role"):
    name: str
    role: str


class UserRevokeRole(_WithToken, frozen=True, tag="user_revoke_role"):
    name: str
    role: str


class UserGet(_WithToken, frozen=True, tag="user_get"):
    """Asks for the roles of a user."""

    name: str


class UserList(_WithToken, frozen=True, tag="user_list"):
    """Asks for the names of all users."""


class RoleAdd(_WithToken, frozen=True, tag="role_add"):
    role: str


class RoleDelete(_WithToken, frozen=True, tag="role_delete"):
    role: str


class RoleGrantPermission(_WithToken, frozen=True, tag="role_grant_permission"):
    """Adds a permission to a role, or replaces the role's permission for the same keys."""

    role: str
    permission: Permission


class RoleRevokePermission(_WithToken, frozen=True, tag="role_revoke_permission"):
    role: str
    key: str
    range_end: str = ""


class RoleGet(_WithToken, frozen=True, tag="role_get"):
    """Asks for the permissions of a role."""

    role: str


class RoleList(_WithToken, frozen=True, tag="role_list"):
    """Asks for the names of all roles, except the role root."""


AuthChange = (
    AuthEnable | AuthDisable | UserAdd | UserDelete | UserChangePassword | UserGrantRole
    | UserRevokeRole | RoleAdd | RoleDelete | RoleGrantPermission | RoleRevokePermission
)
"""A request that changes the users, the roles, or whether authentication is enabled."""
AuthQuery = AuthStatus | UserGet | RoleGet | UserList | RoleList
AuthRequest = Authenticate | AuthChange | AuthQuery


class _Result(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op"):
    """An answer of the auth service."""

    header: Header = Header()


class AuthChanged(_Result, frozen=True, tag="auth_changed"):
    """The answer to an `AuthChange`, a request that changes users, roles or the auth service.

    `header` is its only content.
    """


class AuthenticateResult(_Result, frozen=True, tag="authenticate"):
    token: str = ""


class AuthStatusResult(_Result, frozen=True, tag="auth_status"):
    enabled: bool = False
    revision: int = 0


class UserGetResult(_Result, frozen=True, tag="user_get"):
    roles: tuple[str, ...] = ()


class RoleGetResult(_Result, frozen=True, tag="role_get"):
    permissions: tuple[Permission, ...] = ()


class UserListResult(_Result, frozen=True, tag="user_list"):
    users: tuple[str, ...] = ()


class RoleListResult(_Result, frozen=True, tag="role_list"):
    roles: tuple[str, ...] = ()


AuthResult = (
    AuthChanged | AuthenticateResult | AuthStatusResult | UserGetResult | RoleGetResult
    | UserListResult | RoleListResult
)
