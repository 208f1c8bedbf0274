"""Defines the requests and responses of the Auth service as values.

All requests of this service are replicated, even those that only read. A password is hashed by the
member that proposes the request, so the log and the backend contain only the hash.

Source: etcd 3.5.1, `api/etcdserverpb/rpc.proto`, `api/authpb/auth.proto`, `raft_internal.proto`.
"""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

from splitbrain.node.messages.rpc import EnumNumber, ResponseHeader


class PermissionType(IntEnum):
    READ = 0
    WRITE = 1
    READWRITE = 2


class Permission(Struct, frozen=True, omit_defaults=True):
    """Permits to read or write a key, or the keys of the interval [`key`, `range_end`).

    With the `range_end` "\\0", all keys from `key` on are permitted.
    """

    perm_type: EnumNumber = 0
    key: bytes = b""
    range_end: bytes = b""


class _Replicated(
    Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="op"
):
    """A request that is stored in Raft's log.

    Its msgpack encoding contains the name of its class.
    """


class UserAddOptions(Struct, frozen=True, omit_defaults=True):
    no_password: bool = False


class AuthEnableRequest(_Replicated, frozen=True, tag="auth_enable"):
    pass


class AuthDisableRequest(_Replicated, frozen=True, tag="auth_disable"):
    pass


class AuthStatusRequest(_Replicated, frozen=True, tag="auth_status"):
    pass


class AuthUserAddRequest(_Replicated, frozen=True, tag="user_add"):
    name: str = ""
    password: str = ""
    options: UserAddOptions | None = None
    hashed_password: str = ""


class AuthUserGetRequest(_Replicated, frozen=True, tag="user_get"):
    name: str = ""


class AuthUserListRequest(_Replicated, frozen=True, tag="user_list"):
    pass


class AuthUserDeleteRequest(_Replicated, frozen=True, tag="user_delete"):
    name: str = ""


class AuthUserChangePasswordRequest(_Replicated, frozen=True, tag="user_change_password"):
    name: str = ""
    password: str = ""
    hashed_password: str = ""


class AuthUserGrantRoleRequest(_Replicated, frozen=True, tag="user_grant_role"):
    user: str = ""
    role: str = ""


class AuthUserRevokeRoleRequest(_Replicated, frozen=True, tag="user_revoke_role"):
    name: str = ""
    role: str = ""


class AuthRoleAddRequest(_Replicated, frozen=True, tag="role_add"):
    name: str = ""


class AuthRoleGetRequest(_Replicated, frozen=True, tag="role_get"):
    role: str = ""


class AuthRoleListRequest(_Replicated, frozen=True, tag="role_list"):
    pass


class AuthRoleDeleteRequest(_Replicated, frozen=True, tag="role_delete"):
    role: str = ""


class AuthRoleGrantPermissionRequest(_Replicated, frozen=True, tag="role_grant_permission"):
    name: str = ""
    perm: Permission | None = None


class AuthRoleRevokePermissionRequest(_Replicated, frozen=True, tag="role_revoke_permission"):
    role: str = ""
    key: bytes = b""
    range_end: bytes = b""


class AuthenticateRequest(Struct, frozen=True, omit_defaults=True):
    name: str = ""
    password: str = ""


class TokenAssignRequest(_Replicated, frozen=True, tag="token_assign"):
    """Assigns a token to a user on all members, after one member has checked the password.

    The request has no effect if the auth revision is not `revision` any more, because the password
    may have changed. Source: etcd's InternalAuthenticateRequest.
    """

    name: str
    prefix: str
    revision: int


class AuthEnableResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthDisableResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthStatusResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    enabled: bool = False
    auth_revision: int = 0


class AuthenticateResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    token: str = ""


class AuthUserAddResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthUserGetResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    roles: tuple[str, ...] = ()


class AuthUserListResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    users: tuple[str, ...] = ()


class AuthUserDeleteResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthUserChangePasswordResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthUserGrantRoleResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthUserRevokeRoleResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthRoleAddResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthRoleGetResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    perm: tuple[Permission, ...] = ()


class AuthRoleListResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    roles: tuple[str, ...] = ()


class AuthRoleDeleteResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthRoleGrantPermissionResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class AuthRoleRevokePermissionResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


AuthWriteRequest = (
    AuthEnableRequest
    | AuthDisableRequest
    | AuthStatusRequest
    | AuthUserAddRequest
    | AuthUserGetRequest
    | AuthUserListRequest
    | AuthUserDeleteRequest
    | AuthUserChangePasswordRequest
    | AuthUserGrantRoleRequest
    | AuthUserRevokeRoleRequest
    | AuthRoleAddRequest
    | AuthRoleGetRequest
    | AuthRoleListRequest
    | AuthRoleDeleteRequest
    | AuthRoleGrantPermissionRequest
    | AuthRoleRevokePermissionRequest
    | TokenAssignRequest
)
AuthWriteResponse = (
    AuthEnableResponse
    | AuthDisableResponse
    | AuthStatusResponse
    | AuthenticateResponse
    | AuthUserAddResponse
    | AuthUserGetResponse
    | AuthUserListResponse
    | AuthUserDeleteResponse
    | AuthUserChangePasswordResponse
    | AuthUserGrantRoleResponse
    | AuthUserRevokeRoleResponse
    | AuthRoleAddResponse
    | AuthRoleGetResponse
    | AuthRoleListResponse
    | AuthRoleDeleteResponse
    | AuthRoleGrantPermissionResponse
    | AuthRoleRevokePermissionResponse
)
