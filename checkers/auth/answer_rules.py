"""Judges the answers of the auth service itself, for the checker `auth`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from splitbrain.checkers.auth import wording
from splitbrain.checkers.auth.fact_values import Register
from splitbrain.checkers.auth.facts import ROOT, AuthState
from splitbrain.checkers.auth.facts_in_period import Period
from splitbrain.checkers.findings import NO_FACTS, Findings
from splitbrain.histories.auth import (
    AuthEnable,
    Authenticate,
    AuthStatusResult,
    RoleAdd,
    RoleDelete,
    RoleGet,
    RoleGetResult,
    RoleGrantPermission,
    RoleListResult,
    RoleRevokePermission,
    UserAdd,
    UserChangePassword,
    UserDelete,
    UserGet,
    UserGetResult,
    UserGrantRole,
    UserListResult,
    UserRevokeRole,
)
from splitbrain.histories.service_operation import ServiceOperation


class Condition(NamedTuple):
    """A condition of a request to the auth service, for example that a user exists.

    The condition is about one fact, such as "the user bob exists". `register` contains the values
    that this fact had during the run. The condition is met if the value at the time of the request
    is in `values`. Otherwise the store refuses the request with an error that contains `error`.
    `text` describes the unmet condition, for messages. If `register` is None, the condition is not
    judged.
    """

    register: Register[bool] | Register[str] | None
    values: frozenset[bool | str]
    error: str
    text: str


def _is(register: Register[bool] | None, value: bool, error: str, text: str) -> Condition:
    return Condition(register, frozenset((value,)), error, text)


def conditions(state: AuthState, op: ServiceOperation) -> Iterator[Condition]:
    """Yield the conditions under which the auth service accepts the request of `op`.

    They are in the order in which a store checks them.
    """
    match op.request:
        case UserAdd(name=user):
            yield _is(state.users[user], False, "already exists", f"the user {user} existed")
        case UserDelete(name=user) | UserChangePassword(name=user) | UserGrantRole(name=user):
            yield _user_exists(state, user)
        case UserRevokeRole(name=user, role=role):
            yield _user_exists(state, user)
            yield _is(
                state.granted[user, role], True, "role is not granted",
                f"{user} did not have the role {role}",
            )
        case UserGet(name=user) if user in state.users:
            yield _user_exists(state, user)
        case RoleAdd(role=role):
            yield _is(state.roles[role], False, "already exists", f"the role {role} existed")
        case RoleDelete(role=role) | RoleGrantPermission(role=role):
            yield _role_exists(state, role)
        case RoleGet(role=role) if role in state.roles:
            yield _role_exists(state, role)
        case RoleRevokePermission(role=role, key=key, range_end=end):
            yield _role_exists(state, role)
            yield Condition(
                state.permissions[role][key, end], frozenset(("READ", "WRITE", "READWRITE")),
                "permission is not granted", f"{role} had no such permission",
            )
        case AuthEnable():
            yield from _root_exists(state)
        case Authenticate(name=user, password=password):
            yield _is(
                state.enabled, True, "authentication is not enabled", "authentication was disabled"
            )
            yield Condition(
                state.passwords[user], frozenset((password,)), "authentication failed",
                f"{user} did not exist or had another password",
            )
    if isinstance(op.request, UserGrantRole) and op.request.role != ROOT:
        yield _role_exists(state, op.request.role)


def _user_exists(state: AuthState, user: str) -> Condition:
    return _is(state.users[user], True, "user name not found", f"the user {user} did not exist")


def _role_exists(state: AuthState, role: str) -> Condition:
    return _is(state.roles[role], True, "role name not found", f"the role {role} did not exist")


def _root_exists(state: AuthState) -> Iterator[Condition]:
    yield _is(
        state.users.get(ROOT), True, "root user does not exist", "the user root did not exist"
    )
    yield _is(
        state.granted.get((ROOT, ROOT)), True, "root user does not have root role",
        "the user root did not have the role root",
    )


def check_conditions(state: AuthState, op: ServiceOperation, found: Findings) -> None:
    """Check that a request of the auth service succeeds if and only if its conditions are met.

    An example of a condition is that a user exists.
    """
    if op.ret is None:
        return
    for one in conditions(state, op):
        if one.register is None:
            continue
        possible = one.register.possible(op.call, op.ret, op)
        if op.outcome == "ok" and not possible & one.values:
            found.add(
                "wrong success", f"{wording.succeeded(op)}, although {one.text}", op,
                *_shown_by(one.register, op),
                facts=_earlier_password(state, op, one.values),
            )
        elif op.outcome == "fail" and one.error in (op.error or "") and possible <= one.values:
            found.add(
                "wrong refusal",
                f"{wording.was_refused(op)}; the refusal is right only if {one.text}, which is "
                "certainly not true", op,
                *_shown_by(one.register, op),
                facts=_earlier_password(state, op, _values_of(one.register) - one.values),
            )


def _shown_by(
    register: Register[bool] | Register[str], op: ServiceOperation
) -> Iterator[ServiceOperation]:
    """Return the operations that may have written the value that `register` had during `op`."""
    sources = register.sources(op.call, op.ret or op.call, op)
    return (one.op for one in sources if one.op is not None)


def _values_of(register: Register[bool] | Register[str]) -> frozenset[bool | str]:
    """Return all values of `register`, without the empty text.

    An empty password means that the user does not exist.
    """
    return frozenset(one.value for one in register.writes if one.value != "")


def _earlier_password(
    state: AuthState, op: ServiceOperation, values: Set[bool | str]
) -> Mapping[str, bool]:
    """Return the fact `earlier` of a wrong answer to the login `op`: true or false.

    It is true if an operation may have set one of the passwords `values` before the answer.
    Returns no fact if `op` is not a login.
    """
    if not isinstance(op.request, Authenticate):
        return {}
    return _earlier(state.passwords[op.request.name], values, op)


def _earlier(
    register: Register[bool] | Register[str], values: Set[bool | str], op: ServiceOperation
) -> Mapping[str, bool]:
    """Return the fact `earlier` of a wrong answer to `op`: true or false.

    It is true if an operation may have set `register` to one of `values` before the answer. Then
    the answer may be that of an earlier state of a user or a role.
    """
    end = op.ret or op.call
    return {"earlier": any(
        one.value in values and one.op is not None and one.call < end for one in register.writes
    )}


def check_query(state: AuthState, op: ServiceOperation, found: Findings) -> None:
    """Check the answer to a query of a user, of a role or of the status.

    A role or a permission in the answer is wrong if it was certainly not granted during the query.
    A missing role or permission is wrong if it was certainly granted during the whole query.
    """
    if op.ret is None:
        return
    period = Period(state, op.call, op.ret)
    match op.request, op.result:
        case UserGet(name=user), UserGetResult(roles=roles) if user in state.users:
            for role in state.roles_of(user):
                granted = state.granted[user, role]
                if (role in roles) not in granted.possible(period.begin, period.end):
                    shown = "shows" if role in roles else "does not show"
                    facts = _earlier(granted, {role in roles}, op)
                    _wrong(op, f"{shown} the role {role}", granted, found, facts)
        case RoleGet(role=role), RoleGetResult(permissions=permissions) if role in state.roles:
            kinds = {(one.key, one.range_end): str(one.kind) for one in permissions}
            for keys, register in state.permissions[role].items():
                kind = kinds.get(keys, "")
                if kind not in register.possible(period.begin, period.end):
                    shown = f"shows {kind}" if kind else "shows no permission"
                    facts = _earlier(register, {kind}, op)
                    _wrong(op, f"{shown} for the keys {list(keys)}", register, found, facts)
            unknown = sorted(set(kinds) - set(state.permissions[role]))
            if unknown:
                found.add(
                    "wrong answer",
                    f"{wording.succeeded(op)} and shows a permission for the keys "
                    f"{list(unknown[0])}, which no operation granted", op,
                )
        case _, UserListResult(users=users):
            _check_list(op, "user", users, state.users, found)
        case _, RoleListResult(roles=roles):
            _check_list(op, "role", roles, state.roles, found)
        case _, AuthStatusResult(enabled=enabled):
            if enabled not in state.enabled.possible(period.begin, period.end):
                _wrong(op, f"shows enabled: {enabled}", state.enabled, found)


def _check_list(
    op: ServiceOperation, kind: str, listed: Sequence[str], exists: Mapping[str, Register[bool]],
    found: Findings,
) -> None:
    """Check that a list names each user or role that certainly exists, and no others, once."""
    assert op.ret is not None
    for name, register in exists.items():
        if kind == "role" and name == ROOT:
            continue  # A store may list the role root, which always exists, or not.
        if (name in listed) not in register.possible(op.call, op.ret):
            shown = "lists" if name in listed else "does not list"
            _wrong(op, f"{shown} the {kind} {name}", register, found)
    twice = sorted(name for name in set(listed) if listed.count(name) > 1)
    unknown = sorted(set(listed) - set(exists) - {ROOT})
    if twice or unknown:
        why = f"{twice[0]} twice" if twice else f"{unknown[0]}, which no operation added"
        found.add("wrong answer", f"{wording.succeeded(op)} and lists the {kind} {why}", op)


def _wrong(
    op: ServiceOperation, shows: str, register: Register[bool] | Register[str],
    found: Findings, facts: Mapping[str, bool] = NO_FACTS,
) -> None:
    found.add(
        "wrong answer", f"{wording.succeeded(op)} and {shows}, which is certainly not true", op,
        *_shown_by(register, op), facts=facts,
    )


def check_revisions(services: Sequence[ServiceOperation], found: Findings) -> None:
    """Check that the auth revision never decreases from one answer to a later answer."""
    ended: list[tuple[int, int, ServiceOperation]] = []
    statuses = [op for op in services if isinstance(op.result, AuthStatusResult)]
    for op in sorted(statuses, key=lambda one: one.call):
        assert isinstance(op.result, AuthStatusResult)
        before = max(
            ((revision, ret, one) for revision, ret, one in ended if ret < op.call),
            key=lambda one: one[0], default=None,
        )
        if before is not None and op.result.revision < before[0]:
            found.add(
                "auth revision went back",
                f"{wording.succeeded(op)} and shows the auth revision {op.result.revision}, but "
                f"{wording.operation(before[2])} had already shown {before[0]}", op, before[2],
            )
        ended.append((op.result.revision, op.ret or op.call, op))
