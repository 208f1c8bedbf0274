"""A workload of users whose roles and permissions change while they read and write keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.schedule import PASSWORD_COST_LOG2_LEAST
from splitbrain.harness.workloads.operations_outside_load import QUIET, SET_UP
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.auth import (
    AuthDisable,
    AuthEnable,
    AuthStatus,
    Permission,
    PermissionKind,
    RoleAdd,
    RoleDelete,
    RoleGet,
    RoleGrantPermission,
    RoleList,
    RoleRevokePermission,
    UserAdd,
    UserChangePassword,
    UserDelete,
    UserGet,
    UserGrantRole,
    UserList,
    UserRevokeRole,
)
from splitbrain.histories.kv import Compare, Delete, Put, Range, Txn
from splitbrain.histories.service_operation import AnyRequest

ROOT, ROOT_PASSWORD = "root", "root-0"
USERS = ("alice", "bob", "carol")
JWT_TTL_MS = 300_000
ROLES = ("r0", "r1", "r2", "r3")
ADMINISTRATOR_EVERY = 4
"""One of so many clients is an administrator, who changes users and roles."""
ANONYMOUS_SHARE = 0.04
OTHER_USER_SHARE = 0.15
OTHER_PASSWORD_SHARE = 0.15
PREVIOUS_SHARE = 0.2
"""The share of puts and deletions that also read the previous values."""
INTERVAL_SHARE = 0.6
"""The share of comparisons with all keys of an interval."""
KINDS: tuple[PermissionKind, ...] = ("READWRITE", "READWRITE", "READWRITE", "READ", "WRITE")


class Auth:
    """Reads and writes keys as one of three users, while administrators change the permissions.

    An administrator adds and deletes users and roles, grants and revokes roles and permissions,
    changes passwords, and enables and disables authentication. A permission covers one key or an
    interval of keys, and the intervals overlap. A client logs in when it must. A few requests are
    sent without a token, as another user or with a former password.

    Options:

    - `nested` 0: no transaction contains another one. This avoids a bug of etcd, which does not
      check the permissions of the inner transaction.
    - `txn_reads` 0: no transaction that writes contains a read. This avoids a bug of etcd before
      3.7: only the member that the client called checks the permission of such a read.
    - `same_start` 0: permissions that begin at the same key also end at the same key. This avoids a
      bug of etcd: if two permissions of a role begin at the same key, etcd adds a further one where
      it should change one of the two.
    - `jwt` 1: tokens are JSON Web Tokens. They become invalid with a new auth revision, or after
      five minutes.
    - `settings_percent`: the share of an administrator's operations that concern users and roles.
      If it is small, permissions stay the same for longer.
    - `disabling` 0: authentication is not disabled during the load.

    Users and roles are created, and authentication is enabled, before the load. After the faults,
    authentication is disabled, so that the members can be read.
    """

    name: ClassVar[str] = "auth"
    description: ClassVar[str] = "users whose roles and permissions change under load"
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "auth")
    may_always_fail: ClassVar[Sequence[str]] = (
        "put", "get", "range", "delete", "txn", "trespass", "user_add", "user_delete",
        "role_add", "role_delete", "grant_role", "revoke_role", "grant_permission",
        "revoke_permission", "change_password", "user_get", "role_get", "user_list", "role_list",
        "enable", "disable",
    )
    """A run is valid even if these functions never succeed, because the store may refuse them in
    every state of the users and roles that the run reaches."""

    def __init__(
        self,
        *,
        keys: int = 12,
        nested: int = 1,
        txn_reads: int = 1,
        same_start: int = 1,
        jwt: int = 0,
        disabling: int = 1,
        settings_percent: int = 70,
    ) -> None:
        if not 2 <= keys <= 1000 or {nested, txn_reads, same_start, jwt, disabling} - {0, 1}:
            raise BadArguments(
                f"the workload auth with keys={keys}, nested={nested}, txn_reads={txn_reads}, "
                f"same_start={same_start}, jwt={jwt}, disabling={disabling}: expected 2 to 1000 "
                "keys, and 0 or 1"
            )
        if not 1 <= settings_percent <= 100:
            raise BadArguments(
                f"the workload auth with settings_percent={settings_percent}: expected 1 to 100"
            )
        self.keys = keys
        self.nested = bool(nested)
        self.txn_reads = bool(txn_reads)
        self.same_start = bool(same_start)
        self.jwt = bool(jwt)
        self.disabling = bool(disabling)
        self.settings_percent = settings_percent

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        while True:
            if client % ADMINISTRATOR_EVERY == 0 and 100 * random.random() < self.settings_percent:
                yield self._administer(random)
            else:
                yield self._use(random, client, values)

    def member_settings(self) -> Mapping[str, int]:
        """Return the setting with which a login costs little CPU time."""
        settings = {"password_cost_log2": PASSWORD_COST_LOG2_LEAST}
        return {**settings, "jwt_ttl_ms": JWT_TTL_MS} if self.jwt else settings

    def set_up_operations(self, random: Random) -> Sequence[Draft]:
        return tuple(self._set_up(random))

    def administrator(self) -> tuple[str, str]:
        return ROOT, ROOT_PASSWORD

    def quiet_operations(self) -> Sequence[Draft]:
        return (_as_root(QUIET, AuthDisable()),)

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (
            _as_root(FINAL_READ, Range("k", "l")),
            _as_root(FINAL_READ, AuthStatus()),
            _as_root(FINAL_READ, UserList()),
            _as_root(FINAL_READ, RoleList()),
            *(_as_root(FINAL_READ, RoleGet(role)) for role in ROLES),
            *(_as_root(FINAL_READ, UserGet(user)) for user in (ROOT, *USERS)),
        )

    def _set_up(self, random: Random) -> Iterator[Draft]:
        requests: list[AnyRequest] = [UserAdd(ROOT, ROOT_PASSWORD), UserGrantRole(ROOT, ROOT)]
        for role in ROLES:
            requests += [RoleAdd(role), RoleGrantPermission(role, self._permission(random))]
        for user in USERS:
            requests += [UserAdd(user, password_of(user, 0)), UserGrantRole(user, ROLES[0])]
            requests += [UserGrantRole(user, random.choice(ROLES))]
        requests += [AuthEnable()]
        return (_as_root(SET_UP, request) for request in requests)

    # --- administrators ------------------------------------------------------------

    def _administer(self, random: Random) -> Draft:
        kind, user, role = random.random(), random.choice(USERS), random.choice(ROLES)
        if kind < 0.37:
            return self._change_permission(random, role)
        if kind < 0.54:
            return _as_root("grant_role", UserGrantRole(user, role))
        if kind < 0.64:
            return _as_root("revoke_role", UserRevokeRole(user, role))
        if kind < 0.69:
            number = int(random.random() < 0.25)
            change = UserChangePassword(user, password_of(user, number))
            return _as_root("change_password", change)
        if kind < 0.82:
            return self._change_existence(random, user, role)
        if kind < 0.84:
            return _as_root("user_add", UserAdd(ROOT, ROOT_PASSWORD))
        if kind < 0.86:
            return _as_root("grant_role", UserGrantRole(ROOT, ROOT))
        if kind < 0.94:
            return _as_root("enable", AuthEnable())
        if kind < 0.955 and self.disabling:
            return _as_root("disable", AuthDisable())
        return self._query(random, user, role)

    def _change_permission(self, random: Random, role: str) -> Draft:
        permission = self._permission(random)
        if random.random() < 0.55:
            return _as_root("grant_permission", RoleGrantPermission(role, permission))
        revoked = RoleRevokePermission(role, permission.key, permission.range_end)
        return _as_root("revoke_permission", revoked)

    def _change_existence(self, random: Random, user: str, role: str) -> Draft:
        kind = random.random()
        if kind < 0.35:
            return _as_root("user_add", UserAdd(user, password_of(user, 0)))
        if kind < 0.6:
            return _as_root("user_delete", UserDelete(user))
        if kind < 0.85:
            return _as_root("role_add", RoleAdd(role))
        return _as_root("role_delete", RoleDelete(role))

    def _query(self, random: Random, user: str, role: str) -> Draft:
        kind = random.random()
        if kind < 0.3:
            return _as_root("auth_status", AuthStatus())
        if kind < 0.55:
            return _as_root("user_get", UserGet(user))
        if kind < 0.65:
            return _as_root("user_list", UserList())
        if kind < 0.75:
            return _as_root("role_list", RoleList())
        return _as_root("role_get", RoleGet(role))

    def _permission(self, random: Random) -> Permission:
        """Draw a permission for one of a few keys or intervals.

        There are only a few, so that clients grant and revoke the same permissions.
        """
        places = min(self.keys, 6)
        place = random.randrange(places)
        first = place * self.keys // places
        kind = random.choice(KINDS)
        widths = (0, 0, self.keys // 3, self.keys // 2, self.keys)
        width = random.choice(widths) if self.same_start else widths[2 * place % len(widths)]
        if not width:
            return Permission(_key(first), "", kind)
        end = first + width
        return Permission(_key(first), _key(end) if end < self.keys else "l", kind)

    # --- users ---------------------------------------------------------------------

    def _use(self, random: Random, client: int, values: UniqueValues) -> Draft:
        if random.random() < 0.03:
            return self._trespass(random, client)
        user = self._user(random, client)
        if not user:
            return self._operation(random, values, "", "")
        password = ROOT_PASSWORD
        if user != ROOT:
            password = password_of(user, int(random.random() < OTHER_PASSWORD_SHARE))
        return self._operation(random, values, user, password)

    def _user(self, random: Random, client: int) -> str:
        """Draw the user of the client's next operation; "" for a request without a user."""
        draw = random.random()
        if draw < ANONYMOUS_SHARE:
            return ""
        if draw < ANONYMOUS_SHARE + OTHER_USER_SHARE:
            return random.choice(USERS)
        if client % ADMINISTRATOR_EVERY == 0:
            return ROOT
        return USERS[client % len(USERS)]

    def _trespass(self, random: Random, client: int) -> Draft:
        """Draw a request that only an administrator may send, or a query of the user's roles."""
        user = USERS[client % len(USERS)]
        request = random.choice((
            UserGrantRole(user, random.choice(ROLES)), RoleAdd(random.choice(ROLES)), UserGet(user),
            RoleGet(random.choice(ROLES)), AuthDisable(), UserList(), RoleList(),
        ))
        return Draft("trespass", request, user=user, password=password_of(user, 0))

    def _operation(
        self, random: Random, values: UniqueValues, user: str, password: str
    ) -> Draft:
        f, request = self._request(random, values)
        return Draft(f, request, user=user, password=password)

    def _request(
        self, random: Random, values: UniqueValues
    ) -> tuple[str, Put | Range | Delete | Txn]:
        kind, number = random.random(), random.randrange(self.keys)
        key = _key(number)
        if kind < 0.35:
            previous = random.random() < PREVIOUS_SHARE
            return "put", Put(key, values.take(), prev_kv=previous)
        if kind < 0.62:
            return "get", Range(key, serializable=random.random() < 0.1)
        if kind < 0.75:
            end = number + 1 + random.randrange(4)
            return "range", Range(key, self._end(end))
        if kind < 0.82:
            last = _key(number + 2) if random.random() < 0.3 and number + 2 < self.keys else ""
            return "delete", Delete(key, last, prev_kv=random.random() < PREVIOUS_SHARE)
        return "txn", self._txn(random, values, key)

    def _txn(self, random: Random, values: UniqueValues, key: str) -> Txn:
        number = random.randrange(self.keys)
        other = _key(number)
        end = ""
        if random.random() < INTERVAL_SHARE:
            end = self._end(number + 2 + random.randrange(3))
        inner: Put | Range | Txn = Put(key, values.take()) if random.random() < 0.5 else Range(key)
        compared = Compare(other, "version", ">", 0, range_end=end)
        compare = () if random.random() < 0.5 else (compared,)
        otherwise = () if random.random() < 0.5 else (Range(other),)
        if isinstance(inner, Put) and not self.txn_reads:
            otherwise = ()
        if self.nested and random.random() < 0.4:
            inner = Txn(success=(inner,))
        return Txn(compare, (inner,), otherwise)

    def _end(self, number: int) -> str:
        """Return the end of an interval: the key `number`, or "l", which comes after all keys."""
        return _key(number) if number < self.keys else "l"


def _as_root(f: str, request: AnyRequest) -> Draft:
    return Draft(f, request, user=ROOT, password=ROOT_PASSWORD)


def _key(number: int) -> str:
    return f"k{number:03d}"


def password_of(user: str, number: int) -> str:
    return f"{user}-{number}"
