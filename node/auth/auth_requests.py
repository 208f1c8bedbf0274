"""Executes committed requests of the Auth service.

Source: etcd 3.5.1, `server/auth/store.go`, `server/etcdserver/apply_auth.go`.
"""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.node.auth.auth_store import ROOT, AuthStore, Identity, Role, User
from splitbrain.node.auth.tokens import Tokens
from splitbrain.node.messages import auth
from splitbrain.node.messages import auth_errors as errors


class AuthApplier:
    """Executes requests on the replicated users and roles, and on this member's tokens.

    The methods contain no await. They raise RpcError.
    """

    def __init__(self, store: AuthStore, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens

    def apply(
        self, request: auth.AuthWriteRequest, caller: Identity, index: int
    ) -> auth.AuthWriteResponse:
        """Execute `request` for the user `caller`. The entry at `index` contains the request."""
        self._check_caller(request, caller)
        store = self._store
        match request:
            case auth.AuthEnableRequest():
                store.set_enabled(True)
                return auth.AuthEnableResponse()
            case auth.AuthDisableRequest():
                store.set_enabled(False)
                self._tokens.end_all()
                return auth.AuthDisableResponse()
            case auth.AuthStatusRequest():
                return auth.AuthStatusResponse(
                    enabled=store.enabled, auth_revision=store.revision
                )
            case auth.TokenAssignRequest():
                return self._assign(request, index)
            case (
                auth.AuthUserAddRequest() | auth.AuthUserGetRequest() | auth.AuthUserListRequest()
                | auth.AuthUserDeleteRequest() | auth.AuthUserChangePasswordRequest()
                | auth.AuthUserGrantRoleRequest() | auth.AuthUserRevokeRoleRequest()
            ):
                return self._apply_to_users(request)
            case _:
                return self._apply_to_roles(request)

    def _check_caller(self, request: auth.AuthWriteRequest, caller: Identity) -> None:
        """Raise RpcError unless the caller may make this request.

        Users with the role root may make all requests of the Auth service. Others may only read
        their own user, and the roles that this user has.
        """
        store = self._store
        if isinstance(request, auth.TokenAssignRequest):
            return
        user = store.users.get(caller.name)
        match request:
            case auth.AuthUserGetRequest(name=caller.name):
                return
            case auth.AuthRoleGetRequest(role=role) if user is not None and role in user.roles:
                return
        store.check_admin(caller)

    def _assign(self, request: auth.TokenAssignRequest, index: int) -> auth.AuthenticateResponse:
        if not self._store.enabled:
            raise errors.auth_not_enabled()
        if request.name not in self._store.users:
            raise errors.authentication_failed()
        if request.revision != self._store.revision:
            raise errors.old_auth_revision()
        return auth.AuthenticateResponse(
            token=self._tokens.assign(request.prefix, index, request.name)
        )

    # --- users --------------------------------------------------------------------

    def _apply_to_users(
        self,
        request: auth.AuthUserAddRequest
        | auth.AuthUserGetRequest
        | auth.AuthUserListRequest
        | auth.AuthUserDeleteRequest
        | auth.AuthUserChangePasswordRequest
        | auth.AuthUserGrantRoleRequest
        | auth.AuthUserRevokeRoleRequest,
    ) -> auth.AuthWriteResponse:
        store = self._store
        match request:
            case auth.AuthUserAddRequest():
                return self._add_user(request)
            case auth.AuthUserGetRequest():
                return auth.AuthUserGetResponse(roles=store.user(request.name).roles)
            case auth.AuthUserListRequest():
                return auth.AuthUserListResponse(users=tuple(sorted(store.users)))
            case auth.AuthUserDeleteRequest():
                if store.enabled and request.name == ROOT:
                    raise errors.invalid_auth_management()
                store.user(request.name)
                store.remove_user(request.name)
                self._user_changed(request.name)
                return auth.AuthUserDeleteResponse()
            case auth.AuthUserChangePasswordRequest():
                user = store.user(request.name)
                store.put_user(replace(user, hashed_password=request.hashed_password))
                self._user_changed(request.name)
                return auth.AuthUserChangePasswordResponse()
            case auth.AuthUserGrantRoleRequest():
                return self._grant_role(request)
            case auth.AuthUserRevokeRoleRequest():
                return self._revoke_role(request)

    def _user_changed(self, name: str) -> None:
        self._tokens.end_of_user(name)
        self._store.changed()

    def _add_user(self, request: auth.AuthUserAddRequest) -> auth.AuthUserAddResponse:
        if not request.name:
            raise errors.user_empty()
        if request.name in self._store.users:
            raise errors.user_exists()
        no_password = request.options is not None and request.options.no_password
        hashed = "" if no_password else request.hashed_password
        self._store.put_user(User(request.name, hashed, no_password))
        self._store.changed()
        return auth.AuthUserAddResponse()

    def _grant_role(
        self, request: auth.AuthUserGrantRoleRequest
    ) -> auth.AuthUserGrantRoleResponse:
        user = self._store.user(request.user)
        if request.role != ROOT:
            self._store.role(request.role)
        if request.role not in user.roles:
            roles = tuple(sorted((*user.roles, request.role)))
            self._store.put_user(replace(user, roles=roles))
            self._store.changed()
        return auth.AuthUserGrantRoleResponse()

    def _revoke_role(
        self, request: auth.AuthUserRevokeRoleRequest
    ) -> auth.AuthUserRevokeRoleResponse:
        if self._store.enabled and (request.name, request.role) == (ROOT, ROOT):
            raise errors.invalid_auth_management()
        user = self._store.user(request.name)
        if request.role not in user.roles:
            raise errors.role_not_granted()
        self._store.put_user(without_role(user, request.role))
        self._store.changed()
        return auth.AuthUserRevokeRoleResponse()

    # --- roles --------------------------------------------------------------------

    def _apply_to_roles(
        self,
        request: auth.AuthRoleAddRequest
        | auth.AuthRoleGetRequest
        | auth.AuthRoleListRequest
        | auth.AuthRoleDeleteRequest
        | auth.AuthRoleGrantPermissionRequest
        | auth.AuthRoleRevokePermissionRequest,
    ) -> auth.AuthWriteResponse:
        store = self._store
        match request:
            case auth.AuthRoleAddRequest():
                if not request.name:
                    raise errors.role_empty()
                if request.name in store.roles:
                    raise errors.role_exists()
                store.put_role(Role(request.name))
                store.changed()
                return auth.AuthRoleAddResponse()
            case auth.AuthRoleGetRequest():
                return auth.AuthRoleGetResponse(perm=store.role(request.role).permissions)
            case auth.AuthRoleListRequest():
                return auth.AuthRoleListResponse(roles=tuple(sorted(store.roles)))
            case auth.AuthRoleDeleteRequest():
                return self._delete_role(request)
            case auth.AuthRoleGrantPermissionRequest():
                return self._grant_permission(request)
            case auth.AuthRoleRevokePermissionRequest():
                return self._revoke_permission(request)

    def _delete_role(self, request: auth.AuthRoleDeleteRequest) -> auth.AuthRoleDeleteResponse:
        store = self._store
        if store.enabled and request.role == ROOT:
            raise errors.invalid_auth_management()
        store.role(request.role)
        store.remove_role(request.role)
        for user in list(store.users.values()):
            if request.role in user.roles:
                store.put_user(without_role(user, request.role))
        store.changed()
        return auth.AuthRoleDeleteResponse()

    def _grant_permission(
        self, request: auth.AuthRoleGrantPermissionRequest
    ) -> auth.AuthRoleGrantPermissionResponse:
        granted = request.perm
        if granted is None:
            raise errors.permission_not_given()
        role = self._store.role(request.name)
        kept = [one for one in role.permissions if not is_same_range(one, granted)]
        permissions = sorted([*kept, granted], key=lambda one: one.key)
        self._store.put_role(Role(role.name, tuple(permissions)))
        self._store.changed()
        return auth.AuthRoleGrantPermissionResponse()

    def _revoke_permission(
        self, request: auth.AuthRoleRevokePermissionRequest
    ) -> auth.AuthRoleRevokePermissionResponse:
        role = self._store.role(request.role)
        revoked = auth.Permission(key=request.key, range_end=request.range_end)
        kept = tuple(one for one in role.permissions if not is_same_range(one, revoked))
        if len(kept) == len(role.permissions):
            raise errors.permission_not_granted()
        self._store.put_role(Role(role.name, kept))
        self._store.changed()
        return auth.AuthRoleRevokePermissionResponse()


def without_role(user: User, role: str) -> User:
    return replace(user, roles=tuple(one for one in user.roles if one != role))


def is_same_range(one: auth.Permission, other: auth.Permission) -> bool:
    return (one.key, one.range_end) == (other.key, other.range_end)
