"""The scenarios of limits and of authentication find planted bugs.

Each bug replaces a part of the member. The scenario that the correct member passes must then fail.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from splitbrain.harness.simulation.backend import SimulatedBackend
from splitbrain.node.alarms import Alarms
from splitbrain.node.auth import access, auth_store
from splitbrain.node.auth.auth_store import ANONYMOUS, AuthStore, Identity
from splitbrain.node.auth.authenticator import Authenticator
from splitbrain.node.auth.intervals import covers
from splitbrain.node.auth.tokens import SimpleTokens
from splitbrain.node.maintenance.auto_compaction import ByAge, ByRevision
from splitbrain.node.maintenance.space_quota import SpaceQuota
from splitbrain.node.messages import space_cost
from splitbrain.node.messages.auth import PermissionType
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import DeleteRangeRequest, PutRequest, TxnRequest
from tests.simulation import test_auth, test_limits

Plant = Callable[[pytest.MonkeyPatch], None]
Scenario = Callable[[Path], None]


def nothing(*_: object, **__: object) -> None:
    """Replaces a function that must have an effect."""


def replaced(owner: Any, name: str, by: Any) -> Plant:
    return lambda patch: patch.setattr(owner, name, by)


def nested_puts_are_free(patch: pytest.MonkeyPatch) -> None:
    def cost(operations: tuple[object, ...]) -> int:
        return sum(space_cost.space_cost(one) for one in operations if isinstance(one, PutRequest))

    patch.setattr(space_cost, "_branch_cost", cost)


def deletions_need_space(patch: pytest.MonkeyPatch) -> None:
    from splitbrain.node.apply import admission

    def cost(request: object) -> int:
        return 1 if isinstance(request, DeleteRangeRequest) else space_cost.space_cost(request)

    patch.setattr(admission, "space_cost", cost)


def nested_transactions_are_unchecked(patch: pytest.MonkeyPatch) -> None:
    original = access.check_operations

    def check(auth: AuthStore, caller: Identity, operations: Any) -> None:
        original(auth, caller, [one for one in operations if not isinstance(one, TxnRequest)])

    patch.setattr(access, "check_operations", check)


def only_the_first_key_is_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(auth_store, "covers", lambda granted, key, _end: covers(granted, key, b""))


def permissions_are_cached(patch: pytest.MonkeyPatch) -> None:
    original = AuthStore._check
    allowed: dict[tuple[Any, ...], None] = {}

    def check(
        self: AuthStore, caller: Identity, key: bytes, end: bytes,
        kinds: tuple[PermissionType, ...],
    ) -> None:
        question = (caller.name, key, end, kinds)
        if caller.name and question in allowed:
            return
        original(self, caller, key, end, kinds)
        allowed[question] = None

    patch.setattr(AuthStore, "_check", check)


def nobody_may_do_everything(patch: pytest.MonkeyPatch) -> None:
    original = AuthStore._check

    def check(
        self: AuthStore, caller: Identity, key: bytes, end: bytes,
        kinds: tuple[PermissionType, ...],
    ) -> None:
        if caller != ANONYMOUS:
            original(self, caller, key, end, kinds)

    patch.setattr(AuthStore, "_check", check)


FULL = test_limits.test_a_full_member_raises_an_alarm_that_stops_writes_at_every_member
KEPT = test_limits.test_alarms_survive_restarts_and_end_when_they_are_cleared
ROOM = test_limits.test_a_defragmented_cluster_has_room_again
REVISIONS = test_limits.test_the_leader_keeps_the_given_number_of_revisions
PERIOD = test_limits.test_the_leader_keeps_the_revisions_of_the_given_period
PERMITTED = test_auth.test_every_member_accepts_a_token_and_checks_permissions
REVOKED = test_auth.test_a_revoked_permission_ends_at_every_member_at_once
RESTART = test_auth.test_users_survive_restarts_and_tokens_do_not
ENDED = test_auth.test_a_token_ends_with_a_new_password_and_when_authentication_is_disabled
ADMIN = test_auth.test_only_an_administrator_changes_the_members

BUGS: dict[str, tuple[Scenario, Plant]] = {
    "the quota raises no alarm": (FULL, replaced(SpaceQuota, "_has_room", lambda *_: True)),
    "puts of nested transactions need no space": (FULL, nested_puts_are_free),
    "deletions are refused without space": (FULL, deletions_need_space),
    "alarms are forgotten at a restart": (KEPT, replaced(Alarms, "restore", nothing)),
    "defragmentation frees nothing": (ROOM, replaced(SimulatedBackend, "_defragment", nothing)),
    "one revision too many is compacted": (
        REVISIONS, replaced(ByRevision, "target", lambda self, now: now - self._retention + 1),
    ),
    "the newest revision is compacted": (
        PERIOD, replaced(ByAge, "target", lambda _self, now: now),
    ),
    "nested transactions are unchecked": (PERMITTED, nested_transactions_are_unchecked),
    "only the first key of a range is checked": (PERMITTED, only_the_first_key_is_checked),
    "clients without a token may do everything": (PERMITTED, nobody_may_do_everything),
    "reads are unchecked": (PERMITTED, replaced(Authenticator, "check", nothing)),
    "revoked permissions are remembered": (REVOKED, permissions_are_cached),
    "users are forgotten at a restart": (RESTART, replaced(AuthStore, "restore", nothing)),
    "a token survives a new password": (ENDED, replaced(SimpleTokens, "end_of_user", nothing)),
    "a token survives the end of authentication": (
        ENDED, replaced(SimpleTokens, "end_all", nothing),
    ),
    "everyone is an administrator": (ADMIN, replaced(AuthStore, "check_admin", nothing)),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_fails_its_scenario(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, plant = BUGS[name]
    plant(monkeypatch)
    with pytest.raises((AssertionError, RpcError)):
        scenario(tmp_path)
