"""Defines the errors of the Auth service, and of requests that are refused for lack of permission.

Source: etcd 3.5.1, `api/v3rpc/rpctypes/error.go`, `server/auth/store.go`.
"""

from __future__ import annotations

from splitbrain.node.messages.errors import Code, RpcError


def root_user_missing() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: root user does not exist")


def root_role_missing() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: root user does not have root role")


def user_exists() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: user name already exists")


def user_empty() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: user name is empty")


def user_not_found() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: user name not found")


def role_exists() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: role name already exists")


def role_not_found() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: role name not found")


def role_empty() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: role name is empty")


def authentication_failed() -> RpcError:
    return RpcError(
        Code.INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password"
    )


def permission_not_given() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: permission not given")


def permission_denied() -> RpcError:
    return RpcError(Code.PERMISSION_DENIED, "etcdserver: permission denied")


def role_not_granted() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: role is not granted to the user")


def permission_not_granted() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: permission is not granted to the role")


def auth_not_enabled() -> RpcError:
    return RpcError(Code.FAILED_PRECONDITION, "etcdserver: authentication is not enabled")


def invalid_auth_token() -> RpcError:
    return RpcError(Code.UNAUTHENTICATED, "etcdserver: invalid auth token")


def invalid_auth_management() -> RpcError:
    return RpcError(Code.INVALID_ARGUMENT, "etcdserver: invalid auth management")


def old_auth_revision() -> RpcError:
    """Return the error for a request with an older auth revision.

    As in etcd 3.5.1, its code is UNKNOWN, and its text has no prefix "etcdserver: ".
    """
    return RpcError(Code.UNKNOWN, "auth: revision in header is old")


def no_password_user() -> RpcError:
    """Return the error for a login of a user that has no password.

    As in etcd 3.5.1, its code is UNKNOWN, and its text has no prefix "etcdserver: ".
    """
    return RpcError(
        Code.UNKNOWN, "auth: authentication failed, password was given for no password user"
    )


def verifies_only() -> RpcError:
    return RpcError(Code.UNKNOWN, "auth: token signing attempted with verify-only key")


def untranslated(error: RpcError) -> RpcError:
    """Return `error` with the code and text that etcd's Maintenance service gives it.

    The code is UNKNOWN, and the text begins with "auth: " instead of "etcdserver: ".
    """
    return RpcError(Code.UNKNOWN, error.message.replace("etcdserver: ", "auth: ", 1))
