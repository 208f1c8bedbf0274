"""Judges requests for keys, and requests of administrators, for the checker `auth`."""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.checkers import wording as store_wording
from splitbrain.checkers.auth import wording
from splitbrain.checkers.auth.facts import AuthState
from splitbrain.checkers.auth.facts_in_period import Access, Period, accesses
from splitbrain.checkers.findings import Findings
from splitbrain.histories.auth import Authenticate, RoleGet, UserGet
from splitbrain.histories.kv import Compact, Range, Txn
from splitbrain.histories.operation import Operation
from splitbrain.histories.service_operation import ServiceOperation, token_of

DENIED = "permission denied"
NO_USER = "user name is empty"
JWT_DOTS = 2


@dataclass(frozen=True, slots=True)
class Sender:
    """The user who sent a request, and the login that returned the request's token.

    A request without a token has the user "" and the login None.
    """

    user: str
    login: ServiceOperation | None


def sender(state: AuthState, op: Operation | ServiceOperation) -> Sender | None:
    """Return the sender of `op`, or None if no login in the history returned the token of `op`."""
    token = token_of(op.request)
    if not token:
        return Sender("", None)
    login = state.logins.get(token)
    if login is None or not isinstance(login.request, Authenticate):
        return None
    return Sender(login.request.name, login)


def check_access(state: AuthState, op: Operation, found: Findings) -> bool:
    """Check whether a request for keys was rightly permitted, or rightly refused.

    Returns False if the answer cannot be judged: `op` has no answer or is a compaction, or its
    sender is unknown.
    """
    who = sender(state, op)
    if who is None or isinstance(op.request, Compact) or op.ret is None:
        return False
    # A serializable read may be answered from an old state.
    begin = 0 if _reads_an_old_state(op) else op.call
    period = Period(state, begin, op.ret)
    needed = list(accesses(op.request))
    if op.outcome == "ok":
        _check_granted(period, op, who, needed, found)
    elif op.outcome == "fail":
        _check_refused(period, op, who, needed, found)
    return True


def _reads_an_old_state(op: Operation) -> bool:
    match op.request:
        case Range(serializable=serializable):
            return serializable
        case Txn(success=success, failure=failure):
            return all(isinstance(one, Range) and one.serializable for one in (*success, *failure))
        case _:
            return False


def _check_granted(
    period: Period, op: Operation, who: Sender, needed: list[Access], found: Findings
) -> None:
    if not period.surely_enabled:
        return
    if _is_stranger(period, op, who, found) or who.login is None:
        return
    for access in needed:
        if not period.may_access(who.user, access):
            found.add(
                "granted without permission",
                f"{wording.succeeded(op)} as {who.user}, but the user had no permission to "
                f"{access}: {wording.permissions(period, who.user)}",
                op, who.login,
            )
            return


def _is_stranger(
    period: Period, op: Operation | ServiceOperation, who: Sender, found: Findings
) -> bool:
    """Report `op` if it succeeded without a valid token, while authentication was enabled.

    `who` is the sender of `op`. Returns True if `op` was reported, and False otherwise.
    """
    if who.login is None:
        found.add(
            "granted without a user",
            f"{wording.succeeded(op)} without a token, while authentication was certainly enabled",
            op,
        )
        return True
    if not period.may_exist(who.user):
        found.add(
            "granted to a deleted user",
            f"{wording.succeeded(op)} as {who.user}, but this user certainly did not exist",
            op, who.login,
        )
        return True
    ended = period.ended(who.login, who.user)
    if ended is not None and not _outlives(op, token_of(op.request)):
        found.add(
            "granted with an ended token",
            f"{wording.succeeded(op)} as {who.user}, but {wording.operation(ended)} had ended the "
            f"token by {store_wording.seconds(ended.ret or 0)}",
            op, who.login, ended,
        )
        return True
    return False


def _outlives(op: Operation | ServiceOperation, token: str) -> bool:
    """Return whether a correct store may accept `op` with `token` after the token has ended.

    This is true if `op` is a request for users or roles, and `token` is a JSON Web Token. etcd
    compares the auth revision in such a token only for requests for keys. A simple token is never
    accepted after its end. A JSON Web Token has three parts that are separated by dots, and a
    simple token has two.
    """
    return isinstance(op, ServiceOperation) and token.count(".") == JWT_DOTS


def _check_refused(
    period: Period, op: Operation, who: Sender, needed: list[Access], found: Findings
) -> None:
    error = op.error or ""
    if DENIED not in error and NO_USER not in error:
        return
    if period.surely_disabled:
        found.add(
            "refused without authentication",
            f"{wording.was_refused(op)} while authentication was certainly disabled", op,
        )
        return
    if DENIED not in error or who.login is None:
        return
    ended = period.ended(who.login, who.user)
    if ended is not None:
        found.add(
            "ended token not noticed",
            f"{wording.was_refused(op)} as {who.user}; expected a refusal of the token, because "
            f"{wording.operation(ended)} had ended it by {store_wording.seconds(ended.ret or 0)}",
            op, who.login, ended,
        )
    elif all(
        period.surely_may_access(who.user, one) for one in needed
    ):
        found.add(
            "refused with permission",
            f"{wording.was_refused(op)}, but {who.user} certainly had every permission that it "
            f"needs: {wording.permissions(period, who.user)}",
            op, who.login,
        )


def check_authority(state: AuthState, op: ServiceOperation, found: Findings) -> None:
    """Check that only users with the role root change users and roles.

    A user without the role root may only query its own roles, and the permissions of these roles.
    The function also reports a request that was refused although its user certainly had the role
    root, or although authentication was certainly disabled.
    """
    who = sender(state, op)
    if who is None or op.ret is None or isinstance(op.request, Authenticate):
        return
    period = Period(state, op.call, op.ret, without=op)
    if op.outcome == "ok":
        if period.surely_enabled and not _is_stranger(period, op, who, found):
            _check_administrator(period, op, who, found)
        return
    error = op.error or ""
    if op.outcome != "fail" or (DENIED not in error and NO_USER not in error):
        return
    if period.surely_disabled:
        found.add(
            "refused without authentication",
            f"{wording.was_refused(op)} while authentication was certainly disabled", op,
        )
    elif DENIED in error and who.login is not None and period.surely_root(who.user):
        found.add(
            "refused with permission",
            f"{wording.was_refused(op)}, but {who.user} certainly had the role root",
            op, who.login,
        )


def _check_administrator(
    period: Period, op: ServiceOperation, who: Sender, found: Findings
) -> None:
    if period.may_be_root(who.user):
        return
    match op.request:
        case UserGet(name=who.user):
            return
        case RoleGet(role=role) if role in period.possible_roles(who.user):
            return
    found.add(
        "granted without permission",
        f"{wording.succeeded(op)} as {who.user}, who certainly did not have the role root", op,
        *(() if who.login is None else (who.login,)),
    )
