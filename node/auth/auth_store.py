"""Stores users, roles and permissions, which are replicated through the log.

The *auth revision* is a number that increases with each change of this state. A token belongs to an
auth revision, and a proposed request contains the auth revision at which its client was identified.
A request with an older auth revision is refused, because the permissions may have changed since.

In the backend, the bucket `auth` contains the auth revision and whether authentication is enabled.
The buckets `authUsers` and `authRoles` contain users and roles by name. A change is written in the
same batch as the consistent index of its entry.

Source: etcd 3.5.1, `server/auth/store.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from splitbrain.node.auth.range_permission import covers
from splitbrain.node.backend import Backend
from splitbrain.node.messages import auth_errors as errors
from splitbrain.node.messages.auth import Permission, PermissionType

ROOT = "root"
"""The name of the administrator and of the role that permits everything."""
FIRST_REVISION = 1
_AUTH, _USERS, _ROLES = b"auth", b"authUsers", b"authRoles"
_STATE = b"state"

READS = (PermissionType.READ, PermissionType.READWRITE)
WRITES = (PermissionType.WRITE, PermissionType.READWRITE)


class User(msgspec.Struct, frozen=True):
    """A user: name, hash of the password, and names of the roles.

    A user with `no_password` cannot log in with a password.
    """

    name: str
    hashed_password: str = ""
    no_password: bool = False
    roles: tuple[str, ...] = ()


class Role(msgspec.Struct, frozen=True):
    """A role: name and permissions."""

    name: str
    permissions: tuple[Permission, ...] = ()


class Identity(msgspec.Struct, frozen=True):
    """The user who sent a request, and the auth revision at which the member identified the user.

    The revision is 0 if the client sent no token.
    """

    name: str = ""
    revision: int = 0


ANONYMOUS = Identity()


class _State(msgspec.Struct, frozen=True):
    enabled: bool = False
    revision: int = FIRST_REVISION


class AuthStore:
    """The replicated users, roles and permissions.

    All methods run without await and raise RpcError.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._state = _State()
        self.users: dict[str, User] = {}
        self.roles: dict[str, Role] = {}
        self.restore()

    @property
    def enabled(self) -> bool:
        return self._state.enabled

    @property
    def revision(self) -> int:
        return self._state.revision

    def restore(self) -> None:
        """Load the state from the backend, at the start and after `Backend.replace_with`."""
        found = self._backend.get(_AUTH, _STATE)
        self._state = _State() if found is None else msgspec.msgpack.decode(found, type=_State)
        users = [msgspec.msgpack.decode(value, type=User) for value in self._values(_USERS)]
        roles = [msgspec.msgpack.decode(value, type=Role) for value in self._values(_ROLES)]
        self.users = {user.name: user for user in users}
        self.roles = {role.name: role for role in roles}

    def _values(self, bucket: bytes) -> Iterator[bytes]:
        return (value for _, value in self._backend.range(bucket, b""))

    # --- changes ------------------------------------------------------------------

    def set_enabled(self, enabled: bool) -> None:
        """Enable or disable authentication. Only disabling increases the auth revision."""
        if enabled == self.enabled:
            return
        if enabled:
            root = self.users.get(ROOT)
            if root is None:
                raise errors.root_user_missing()
            if ROOT not in root.roles:
                raise errors.root_role_missing()
        self._set_state(_State(enabled, self.revision + (not enabled)))

    def changed(self) -> None:
        """Increase the auth revision, after a change of a user or role."""
        self._set_state(_State(self.enabled, self.revision + 1))

    def put_user(self, user: User) -> None:
        """Add a user, or replace the user of the same name."""
        self.users[user.name] = user
        self._backend.put(_USERS, _key(user.name), msgspec.msgpack.encode(user))

    def put_role(self, role: Role) -> None:
        """Add a role, or replace the role of the same name."""
        self.roles[role.name] = role
        self._backend.put(_ROLES, _key(role.name), msgspec.msgpack.encode(role))

    def remove_user(self, name: str) -> None:
        del self.users[name]
        self._backend.delete(_USERS, _key(name))

    def remove_role(self, name: str) -> None:
        del self.roles[name]
        self._backend.delete(_ROLES, _key(name))

    def _set_state(self, state: _State) -> None:
        self._state = state
        self._backend.put(_AUTH, _STATE, msgspec.msgpack.encode(state))

    # --- look-ups -----------------------------------------------------------------

    def user(self, name: str) -> User:
        """Return the user `name`. Raises RpcError if there is none."""
        user = self.users.get(name)
        if user is None:
            raise errors.user_not_found()
        return user

    def role(self, name: str) -> Role:
        """Return the role `name`. Raises RpcError if there is none."""
        role = self.roles.get(name)
        if role is None:
            raise errors.role_not_found()
        return role

    # --- permissions --------------------------------------------------------------

    def check_read(self, caller: Identity, key: bytes, range_end: bytes = b"") -> None:
        """Raise RpcError unless the caller may read every key of the range."""
        self._check(caller, key, range_end, READS)

    def check_write(self, caller: Identity, key: bytes, range_end: bytes = b"") -> None:
        """Raise RpcError unless the caller may put and delete every key of the range."""
        self._check(caller, key, range_end, WRITES)

    def check_admin(self, caller: Identity) -> None:
        """Raise RpcError unless the caller has the role root."""
        if not self.enabled:
            return
        if not caller.name:
            raise errors.user_empty()
        if ROOT not in self.user(caller.name).roles:
            raise errors.permission_denied()

    def _check(
        self, caller: Identity, key: bytes, range_end: bytes, kinds: tuple[PermissionType, ...]
    ) -> None:
        if not self.enabled:
            return
        if caller.revision == 0:
            raise errors.user_empty()
        if caller.revision < self.revision:
            raise errors.old_auth_revision()
        user = self.users.get(caller.name)
        if user is None:
            raise errors.permission_denied()
        if ROOT in user.roles:
            return
        granted = [
            permission
            for name in user.roles
            if name in self.roles
            for permission in self.roles[name].permissions
            if permission.perm_type in kinds
        ]
        if not covers(granted, key, range_end):
            raise errors.permission_denied()


def _key(name: str) -> bytes:
    # LMDB has no empty keys, and its keys have at most 511 bytes.
    return name.encode("utf-8", "surrogateescape")
