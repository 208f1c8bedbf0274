"""The checker `auth` accepts answers that are permitted, and reports those that are not."""

from __future__ import annotations

import pytest

from splitbrain.checkers.auth.checker import check_auth
from splitbrain.checkers.auth.intervals import covers
from splitbrain.checkers.evidence import Evidence
from splitbrain.histories.auth import (
    AuthChanged,
    AuthDisable,
    AuthEnable,
    Authenticate,
    AuthenticateResult,
    AuthStatus,
    AuthStatusResult,
    Permission,
    RoleAdd,
    RoleDelete,
    RoleGet,
    RoleGetResult,
    RoleGrantPermission,
    RoleList,
    RoleListResult,
    RoleRevokePermission,
    UserAdd,
    UserChangePassword,
    UserDelete,
    UserGet,
    UserGetResult,
    UserGrantRole,
    UserList,
    UserListResult,
    UserRevokeRole,
)
from splitbrain.histories.kv import Compare, Put, PutResult, Range, RangeResult, Txn, TxnResult
from splitbrain.histories.service_operation import AnyRequest
from tests.unit.checkers.service_history import Told, told

OK = AuthChanged()
DENIED = "403 etcdserver: permission denied"
NO_USER = "400 etcdserver: user name is empty"
BOB, ROOT = "bob-token", "root-token"
PUT, READ = Put("k1", "1", token=BOB), Range("k2", token=BOB)


def set_up(*more: Told) -> tuple[Told, ...]:
    """Bob may read and write from k0 to k5, and authentication is enabled at 0.9 s."""
    changes: list[AnyRequest] = [
        UserAdd("root", "r"), UserGrantRole("root", "root"), UserAdd("bob", "b"), RoleAdd("r1"),
        RoleGrantPermission("r1", Permission("k0", "k5", "READWRITE")), UserGrantRole("bob", "r1"),
        AuthEnable(),
    ]  # fmt: skip
    done: list[Told] = [
        (number / 10, number / 10 + 0.05, one, OK) for number, one in enumerate(changes)
    ]
    return (
        *done,
        (0.7, 0.75, Authenticate("root", "r"), AuthenticateResult(token=ROOT)),
        (0.8, 0.85, Authenticate("bob", "b"), AuthenticateResult(token=BOB)),
        *more,
    )


REVOKE = RoleRevokePermission("r1", "k0", "k5", token=ROOT)

VALID: dict[str, tuple[Told, ...]] = {
    "permitted": ((1, 2, PUT, PutResult()), (1, 2, READ, RangeResult())),
    "refused after a revocation": ((1, 2, REVOKE, OK), (3, 4, PUT, DENIED)),
    "either during a revocation": (
        (1, 4, REVOKE, OK), (2, 3, PUT, PutResult()), (2, 3, READ, DENIED),
    ),
    "either after a revocation without an answer": (
        (1, 2, REVOKE, None), (5, 6, PUT, PutResult()), (7, 8, READ, DENIED),
    ),
    "another key": ((1, 2, Put("k7", "1", token=BOB), DENIED),),
    "without a token": ((1, 2, Put("k1", "1"), NO_USER),),
    "without a token after disabling": (
        (1, 2, AuthDisable(token=ROOT), OK), (3, 4, Put("k1", "1"), PutResult()),
    ),
    "a stale serializable read": (
        (1, 2, REVOKE, OK), (3, 4, Range("k2", serializable=True, token=BOB), RangeResult()),
    ),
    "lists of the users and roles": (
        (1, 2, UserList(token=ROOT), UserListResult(users=("bob", "root"))),
        (3, 4, RoleList(token=ROOT), RoleListResult(roles=("r1",))),
    ),
    "a query of the user's own roles": (
        (1, 2, UserGet("bob", token=BOB), UserGetResult(roles=("r1",))),
    ),
    "two permissions cover a range together": (
        (1, 2, RoleGrantPermission("r1", Permission("k5", "k9"), token=ROOT), OK),
        (3, 4, Range("k1", "k7", token=BOB), RangeResult()),
    ),
}  # fmt: skip

INVALID: dict[str, tuple[str, tuple[Told, ...]]] = {
    "after a revocation": (
        "granted without permission", ((1, 2, REVOKE, OK), (3, 4, PUT, PutResult())),
    ),
    "another key": (
        "granted without permission", ((1, 2, Put("k7", "1", token=BOB), PutResult()),),
    ),
    "a range that is covered in part": (
        "granted without permission", ((1, 2, Range("k1", "k7", token=BOB), RangeResult()),),
    ),
    "a compared key": (
        "granted without permission",
        ((1, 2, Txn((Compare("k7", "mod", ">", 0),), (Put("k1", "1"),), token=BOB), TxnResult()),),
    ),
    "a nested put": (
        "granted without permission",
        ((1, 2, Txn((), (Txn((), (Put("k7", "1"),)),), token=BOB), TxnResult()),),
    ),
    "after the role was deleted": (
        "granted without permission",
        ((1, 2, RoleDelete("r1", token=ROOT), OK), (3, 4, PUT, PutResult())),
    ),
    "a change by a user": (
        "granted without permission", ((1, 2, RoleAdd("r2", token=BOB), OK),),
    ),
    "no token": ("granted without a user", ((1, 2, Put("k1", "1"), PutResult()),)),
    "a deleted user": (
        "granted to a deleted user",
        ((1, 2, UserDelete("bob", token=ROOT), OK), (3, 4, PUT, PutResult())),
    ),
    "a token of a former password": (
        "granted with an ended token",
        ((1, 2, UserChangePassword("bob", "c", token=ROOT), OK), (3, 4, PUT, PutResult())),
    ),
    "an ended token is not noticed": (
        "ended token not noticed",
        ((1, 2, UserDelete("bob", token=ROOT), OK), (3, 4, PUT, DENIED)),
    ),
    "refused with permission": ("refused with permission", ((1, 2, PUT, DENIED),)),
    "refused without authentication": (
        "refused without authentication",
        ((1, 2, AuthDisable(token=ROOT), OK), (3, 4, Put("k1", "1"), NO_USER)),
    ),
    "an administrator is refused": (
        "refused with permission", ((1, 2, RoleAdd("r2", token=ROOT), DENIED),),
    ),
    "a login with a former password": (
        "wrong success",
        (
            (1, 2, UserChangePassword("bob", "c", token=ROOT), OK),
            (3, 4, Authenticate("bob", "b"), AuthenticateResult(token="other")),
        ),
    ),
    "a login is refused": (
        "wrong refusal",
        ((1, 2, Authenticate("bob", "b"), "400 etcdserver: authentication failed, invalid"),),
    ),
    "a user that exists is added": (
        "wrong success", ((1, 2, UserAdd("bob", "c", token=ROOT), OK),),
    ),
    "a user is not found": (
        "wrong refusal",
        ((1, 2, UserDelete("bob", token=ROOT), "400 etcdserver: user name not found"),),
    ),
    "a user is missing in the list": (
        "wrong answer", ((1, 2, UserList(token=ROOT), UserListResult(users=("root",))),),
    ),
    "an unknown user is in the list": (
        "wrong answer", ((1, 2, UserList(token=ROOT), UserListResult(users=("bob", "eve"))),),
    ),
    "a deleted role is in the list": (
        "wrong answer", (
            (1, 2, RoleDelete("r1", token=ROOT), OK),
            (3, 4, RoleList(token=ROOT), RoleListResult(roles=("r1",))),
        ),
    ),
    "a user without the role root lists the users": (
        "granted without permission",
        ((1, 2, UserList(token=BOB), UserListResult(users=("bob", "root"))),),
    ),
    "a role is missing": (
        "wrong answer", ((1, 2, UserGet("bob", token=ROOT), UserGetResult()),),
    ),
    "a permission is missing": (
        "wrong answer", ((1, 2, RoleGet("r1", token=ROOT), RoleGetResult()),),
    ),
    "a permission was never granted": (
        "wrong answer",
        ((1, 2, RoleGet("r1", token=ROOT), RoleGetResult(permissions=(
            Permission("k0", "k5", "READWRITE"), Permission("z"),
        ))),),
    ),
    "the status is wrong": (
        "wrong answer", ((1, 2, AuthStatus(token=ROOT), AuthStatusResult()),),
    ),
    "the auth revision goes back": (
        "auth revision went back",
        (
            (1, 2, AuthStatus(token=ROOT), AuthStatusResult(enabled=True, revision=9)),
            (3, 4, AuthStatus(token=ROOT), AuthStatusResult(enabled=True, revision=8)),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VALID)
def test_a_correct_history_is_valid(name: str) -> None:
    verdict = check_auth(Evidence(told(*set_up(*VALID[name]))))
    assert verdict.valid is True, verdict.anomalies


@pytest.mark.parametrize("name", INVALID)
def test_a_wrong_answer_is_reported(name: str) -> None:
    kind, operations = INVALID[name]
    verdict = check_auth(Evidence(told(*set_up(*operations))))
    assert verdict.valid is False
    assert {one.kind for one in verdict.anomalies} == {kind}
    assert all(one.events for one in verdict.anomalies)


def test_without_authentication_the_verdict_is_unknown_or_does_not_apply() -> None:
    added = check_auth(Evidence(told((1, 2, UserAdd("bob", "b"), OK))))
    assert added.valid is None
    other = check_auth(Evidence(told((1, 2, Put("k", "1"), PutResult()))))
    assert not other.applies


def test_intervals_cover_a_range_only_without_a_gap() -> None:
    assert covers([("a", "c"), ("c", "f")], ("a", "e"))
    assert covers([("a", "\0")], ("b", "\0"))
    assert covers([("a", "")], ("a", ""))
    assert not covers([("a", "b"), ("c", "f")], ("a", "e"))
    assert not covers([("a", "")], ("a", "b"))
    assert not covers([("a", "f")], ("a", "\0"))
    assert not covers([], ("a", ""))


CHANGED = (1, 2, UserChangePassword("bob", "c", token=ROOT), OK)
REFUSED = "400 etcdserver: authentication failed, invalid user ID or password"


@pytest.mark.parametrize(
    ("operations", "earlier"),
    [
        ((CHANGED, (3, 4, Authenticate("bob", "b"), AuthenticateResult(token="other"))), True),
        ((CHANGED, (3, 4, Authenticate("bob", "d"), AuthenticateResult(token="other"))), False),
        ((CHANGED, (3, 4, Authenticate("bob", "c"), REFUSED)), True),
        (((1, 2, Authenticate("bob", "b"), REFUSED),), False),
        (((1, 2, UserGet("bob", token=ROOT), UserGetResult()),), False),
        (((1, 2, UserRevokeRole("bob", "r1", token=ROOT), OK),
          (3, 4, UserGet("bob", token=ROOT), UserGetResult(roles=("r1",)))), True),
    ],
)  # fmt: skip
def test_the_detail_tells_whether_a_wrong_answer_is_that_of_an_earlier_state(
    operations: tuple[Told, ...], earlier: bool
) -> None:
    verdict = check_auth(Evidence(told(*set_up(*operations))))
    assert [one.detail["earlier"] for one in verdict.anomalies] == [earlier]
