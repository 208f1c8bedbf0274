"""In a cluster of three, every member knows users, permissions and tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.node.jwt_settings import JwtSettings
from splitbrain.node.messages import auth, auth_errors, cluster
from splitbrain.node.messages.auth import Permission, PermissionType
from splitbrain.node.messages.rpc import (
    AlarmAction,
    AlarmRequest,
    AlarmType,
    PutRequest,
    RangeRequest,
    TxnRequest,
)
from tests.simulation.three_members import MEMBERS, ThreeMembers, run_three

PUT, RANGE, TXN = "/v3/kv/put", "/v3/kv/range", "/v3/kv/txn"
DENIED = auth_errors.permission_denied().message
NO_USER = auth_errors.user_empty().message
INVALID = auth_errors.invalid_auth_token().message
OLD = auth_errors.old_auth_revision().message
OWN, OTHER = PutRequest(b"a", b"1"), PutRequest(b"z", b"1")


async def prepare(members: ThreeMembers) -> dict[str, str]:
    """Add the user u1, who may write the keys from a to c, enable, and return the tokens."""
    steps: list[tuple[str, Any]] = [
        ("user/add", auth.AuthUserAddRequest("root", "r")),
        ("user/grant", auth.AuthUserGrantRoleRequest("root", "root")),
        ("user/add", auth.AuthUserAddRequest("u1", "p1")),
        ("role/add", auth.AuthRoleAddRequest("r1")),
        ("role/grant", auth.AuthRoleGrantPermissionRequest(
            "r1", Permission(PermissionType.READWRITE, b"a", b"c"))),
        ("user/grant", auth.AuthUserGrantRoleRequest("u1", "r1")),
        ("enable", auth.AuthEnableRequest()),
    ]  # fmt: skip
    for number, (path, request) in enumerate(steps):
        await members.call(MEMBERS[number % 3], f"/v3/auth/{path}", request)
    return await log_in(members)


async def log_in(members: ThreeMembers) -> dict[str, str]:
    path = "/v3/auth/authenticate"
    return {
        name: (await members.call(member, path, auth.AuthenticateRequest(name, word))).token
        for member, name, word in (("n1", "root", "r"), ("n2", "u1", "p1"))
    }


def test_every_member_accepts_a_token_and_checks_permissions(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        tokens = await prepare(members)
        nested = TxnRequest(success=(TxnRequest(success=(OTHER,)),))
        for member in MEMBERS:
            members.token = tokens["u1"]
            assert not await members.refusal(member, PUT, OWN)
            assert await members.refusal(member, PUT, OTHER) == DENIED
            assert await members.refusal(member, TXN, nested) == DENIED
            assert await members.refusal(member, RANGE, RangeRequest(b"z")) == DENIED
            assert await members.refusal(member, RANGE, RangeRequest(b"a", b"d")) == DENIED
            assert not await members.refusal(member, RANGE, RangeRequest(b"a", b"c"))
            members.token = ""
            assert await members.refusal(member, PUT, OWN) == NO_USER
            assert await members.refusal(member, RANGE, RangeRequest(b"a")) == NO_USER
            members.token = tokens["root"]
            assert not await members.refusal(member, PUT, OTHER)

    run_three(tmp_path, scenario, password_cost_log2=1)


def test_a_revoked_permission_ends_at_every_member_at_once(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        tokens = await prepare(members)
        members.token = tokens["u1"]
        for member in MEMBERS:
            assert not await members.refusal(member, PUT, OWN)
            assert not await members.refusal(member, RANGE, RangeRequest(b"a"))
        members.token = tokens["root"]
        revoked = auth.AuthRoleRevokePermissionRequest("r1", b"a", b"c")
        await members.call("n3", "/v3/auth/role/revoke", revoked)
        members.token = tokens["u1"]
        for member in MEMBERS:
            assert await members.refusal(member, PUT, OWN) == DENIED
            assert await members.refusal(member, RANGE, RangeRequest(b"a")) == DENIED

    run_three(tmp_path, scenario, password_cost_log2=1)


def test_users_survive_restarts_and_tokens_do_not(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        tokens = await prepare(members)
        await members.sleep(1.0)
        for member in MEMBERS:
            members.cluster.kill(member)
            members.cluster.start(member)
        await members.system.start()
        members.token = ""
        await members.sleep(1.0)
        for member in MEMBERS:
            assert await members.refusal(member, PUT, OWN) == NO_USER
        fresh = await log_in(members)
        members.token = fresh["u1"]
        for member in MEMBERS:
            assert not await members.refusal(member, PUT, OWN)
            assert await members.refusal(member, PUT, OTHER) == DENIED
        assert tokens["u1"] != fresh["u1"]

    run_three(tmp_path, scenario, password_cost_log2=1)


def test_a_token_ends_with_a_new_password_and_when_authentication_is_disabled(
    tmp_path: Path,
) -> None:
    async def scenario(members: ThreeMembers) -> None:
        tokens = await prepare(members)
        members.token = tokens["root"]
        changed = auth.AuthUserChangePasswordRequest("u1", "p2")
        await members.call("n1", "/v3/auth/user/changepw", changed)
        for member in MEMBERS:
            members.token = tokens["root"]
            await members.call(member, PUT, OWN)
            members.token = tokens["u1"]
            assert await members.refusal(member, PUT, OWN) == INVALID
        members.token = tokens["root"]
        await members.call("n2", "/v3/auth/disable", auth.AuthDisableRequest())
        members.token = ""
        for member in MEMBERS:
            assert not await members.refusal(member, PUT, OTHER)
        members.token = tokens["root"]
        assert await members.refusal("n2", PUT, OTHER) == INVALID

    run_three(tmp_path, scenario, password_cost_log2=1)


def test_only_an_administrator_changes_the_members(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        tokens = await prepare(members)
        changes = (
            ("add", cluster.MemberAddRequest(("http://n4:2380",))),
            ("remove", cluster.MemberRemoveRequest(7)),
            ("update", cluster.MemberUpdateRequest(7, ("http://n4:2380",))),
            ("promote", cluster.MemberPromoteRequest(7)),
        )
        for path, request in changes:
            members.token = tokens["u1"]
            route = f"/v3/cluster/member/{path}"
            assert await members.refusal("n1", route, request) == DENIED
            members.token = ""
            assert await members.refusal("n1", route, request) == NO_USER

    run_three(tmp_path, scenario, password_cost_log2=1)


def test_permissions_are_checked_while_an_alarm_is_raised(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        tokens = await prepare(members)
        members.token = tokens["root"]
        raised = AlarmRequest(AlarmAction.ACTIVATE, 7, AlarmType.NOSPACE)
        await members.call("n1", "/v3/maintenance/alarm", raised)
        members.token = tokens["u1"]
        for member in MEMBERS:
            assert await members.refusal(member, PUT, OTHER) == DENIED

    run_three(tmp_path, scenario, password_cost_log2=1)


JWT = JwtSettings("HS256", b"secret", ttl_ms=60_000)


def test_every_member_verifies_a_signed_token_also_after_a_restart(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        tokens = await prepare(members)
        for member in MEMBERS:
            await members.system.kill(member)
            await members.system.restart(member)
            await members.sleep(3.0)
            members.token = tokens["u1"]
            assert not await members.refusal(member, PUT, OWN)
            assert await members.refusal(member, PUT, OTHER) == DENIED
        members.token = tokens["u1"][:-2]
        assert await members.refusal("n1", PUT, OWN) == INVALID

    run_three(tmp_path, scenario, password_cost_log2=1, auth_token=JWT)


def test_a_signed_token_ends_with_a_change_of_users_and_with_its_time(tmp_path: Path) -> None:
    async def scenario(members: ThreeMembers) -> None:
        tokens = await prepare(members)
        members.token = tokens["root"]
        await members.call("n1", "/v3/auth/user/add", auth.AuthUserAddRequest("u2", "p"))
        for member in MEMBERS:
            assert await members.refusal(member, RANGE, RangeRequest(b"a")) == OLD
        # As in etcd, an administrator may go on.
        await members.call("n2", "/v3/auth/user/delete", auth.AuthUserDeleteRequest("u2"))
        tokens = await log_in(members)
        await members.sleep(59.0)
        members.token = tokens["u1"]
        assert not await members.refusal("n3", PUT, OWN)
        await members.sleep(3.0)
        for member in MEMBERS:
            assert await members.refusal(member, PUT, OWN) == INVALID

    run_three(tmp_path, scenario, password_cost_log2=1, auth_token=JWT)


def test_a_token_that_ended_in_a_skipped_entry_is_refused_after_a_snapshot(tmp_path: Path) -> None:
    """Seed 4400038: a member that restored a snapshot accepted a token of a former password."""

    async def scenario(members: ThreeMembers) -> None:
        tokens = await prepare(members)
        local = RangeRequest(b"a", serializable=True)
        members.token = tokens["u1"]
        await members.sleep(1.0)
        assert not await members.refusal("n3", RANGE, local)
        between = [(a, b) for a in MEMBERS for b in MEMBERS if a != b and "n3" in (a, b)]
        for link in between:
            await members.system.set_link(*link, LinkState(open=False))
        await members.sleep(2.0)
        members.token = tokens["root"]
        changed = auth.AuthUserChangePasswordRequest("u1", "p2")
        await members.call("n1", "/v3/auth/user/changepw", changed)
        for _ in range(30):
            await members.call("n1", PUT, OWN)
        for link in between:
            await members.system.set_link(*link, NORMAL)
        await members.sleep(5.0)
        members.token = tokens["u1"]
        assert await members.refusal("n3", RANGE, local) == INVALID

    run_three(tmp_path, scenario, password_cost_log2=1, snapshot_count=5, catch_up_entries=1)
