"""Collects the facts that determine who is permitted what, from the operations of a history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from splitbrain.checkers.auth.fact_values import Register
from splitbrain.checkers.auth.intervals import Interval
from splitbrain.histories.auth import (
    AuthChange,
    AuthDisable,
    AuthEnable,
    Authenticate,
    AuthenticateResult,
    RoleAdd,
    RoleDelete,
    RoleGrantPermission,
    RoleRevokePermission,
    UserAdd,
    UserChangePassword,
    UserDelete,
    UserGrantRole,
    UserRevokeRole,
)
from splitbrain.histories.service_operation import ServiceOperation

ROOT = "root"
"""The role with all permissions; etcd has it from the start."""


@dataclass(slots=True)
class AuthState:
    """All facts about users and roles.

    The users and roles are those whose names appear in the history. The password "" means that the
    user does not exist. The permission "" means that the permission is not granted.
    """

    enabled: Register[bool] = field(default_factory=lambda: Register(False))
    users: dict[str, Register[bool]] = field(default_factory=dict)
    passwords: dict[str, Register[str]] = field(default_factory=dict)
    roles: dict[str, Register[bool]] = field(default_factory=dict)
    granted: dict[tuple[str, str], Register[bool]] = field(default_factory=dict)
    """User and role → whether the user has the role."""
    permissions: dict[str, dict[Interval, Register[str]]] = field(default_factory=dict)
    """Role → keys → the kind of the permission."""
    logins: dict[str, ServiceOperation] = field(default_factory=dict)
    """Token → the login that returned it first."""
    token_ends: dict[str, list[ServiceOperation]] = field(default_factory=dict)
    """User → the acknowledged operations that end all of the user's tokens."""

    def has_role(self, user: str, role: str) -> Register[bool]:
        """Return the values that the fact "`user` has `role`" had during the run."""
        return self.granted[user, role]

    def roles_of(self, user: str) -> list[str]:
        """Return all roles that the user may have had at any time."""
        return [role for name, role in self.granted if name == user]


def gather(services: Iterable[ServiceOperation]) -> AuthState:
    """Collect the facts about users and roles from the operations that may change them."""
    state, listed = AuthState(), [op for op in services if isinstance(op.request, _AUTH)]
    for op in listed:
        _declare(state, op)
    for op in listed:
        if isinstance(op.result, AuthenticateResult):
            state.logins.setdefault(op.result.token, op)
        elif op.outcome != "fail":
            _apply(state, op)
    for register in _registers(state):
        register.close()
    return state


_AUTH = AuthChange | Authenticate


def _declare(state: AuthState, op: ServiceOperation) -> None:
    """Create the registers of the facts about the users, roles and permissions that `op` names."""
    match op.request:
        case Authenticate(name=user) | UserAdd(name=user) | UserDelete(name=user):
            _user(state, user)
        case UserChangePassword(name=user):
            _user(state, user)
        case UserGrantRole(name=user, role=role) | UserRevokeRole(name=user, role=role):
            _user(state, user)
            _role(state, role)
            state.granted.setdefault((user, role), Register(False))
        case RoleAdd(role=role) | RoleDelete(role=role):
            _role(state, role)
        case RoleGrantPermission(role=role, permission=one):
            _role(state, role)
            state.permissions[role].setdefault((one.key, one.range_end), Register(""))
        case RoleRevokePermission(role=role, key=key, range_end=end):
            _role(state, role)
            state.permissions[role].setdefault((key, end), Register(""))


def _user(state: AuthState, user: str) -> None:
    state.users.setdefault(user, Register(False))
    state.passwords.setdefault(user, Register(""))
    state.token_ends.setdefault(user, [])


def _role(state: AuthState, role: str) -> None:
    state.roles.setdefault(role, Register(role == ROOT))
    state.permissions.setdefault(role, {})


def _apply(state: AuthState, op: ServiceOperation) -> None:
    """Add a write to each register that `op` changes.

    `op` succeeded, or its outcome is unknown.
    """
    match op.request:
        case AuthEnable():
            state.enabled.write(True, op)
        case AuthDisable():
            state.enabled.write(False, op)
            _end_tokens(state, op, state.users)
        case UserAdd(name=user, password=password):
            state.users[user].write(True, op)
            state.passwords[user].write(password, op)
        case UserChangePassword(name=user, password=password):
            state.passwords[user].write(password, op)
            _end_tokens(state, op, (user,))
        case UserDelete(name=user):
            state.users[user].write(False, op)
            state.passwords[user].write("", op)
            _end_tokens(state, op, (user,))
            for role in state.roles_of(user):
                state.granted[user, role].write(False, op)
        case UserGrantRole(name=user, role=role):
            state.granted[user, role].write(True, op)
        case UserRevokeRole(name=user, role=role):
            state.granted[user, role].write(False, op)
        case _:
            _apply_to_role(state, op)


def _apply_to_role(state: AuthState, op: ServiceOperation) -> None:
    match op.request:
        case RoleAdd(role=role):
            state.roles[role].write(True, op)
        case RoleDelete(role=role):
            state.roles[role].write(False, op)
            for (_, name), register in state.granted.items():
                if name == role:
                    register.write(False, op)
            for permission in state.permissions[role].values():
                permission.write("", op)
        case RoleGrantPermission(role=role, permission=one):
            state.permissions[role][one.key, one.range_end].write(one.kind, op)
        case RoleRevokePermission(role=role, key=key, range_end=end):
            state.permissions[role][key, end].write("", op)


def _end_tokens(state: AuthState, op: ServiceOperation, users: Iterable[str]) -> None:
    if op.outcome == "ok":
        for user in users:
            state.token_ends[user].append(op)


def _registers(state: AuthState) -> Iterator[Register[bool] | Register[str]]:
    yield state.enabled
    yield from state.users.values()
    yield from state.passwords.values()
    yield from state.roles.values()
    yield from state.granted.values()
    for intervals in state.permissions.values():
        yield from intervals.values()
