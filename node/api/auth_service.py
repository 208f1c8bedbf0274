"""Handles the requests of etcd's Auth service, which manages users, roles and permissions.

Source: etcd 3.5.1, `server/etcdserver/api/v3rpc/auth.go`, `server/etcdserver/v3_server.go`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from splitbrain.node.api.member_interface import MemberPort
from splitbrain.node.messages import auth_errors as errors
from splitbrain.node.messages.auth import (
    AuthenticateRequest,
    AuthenticateResponse,
    AuthUserAddRequest,
    AuthUserAddResponse,
    AuthUserChangePasswordRequest,
    AuthUserChangePasswordResponse,
)
from splitbrain.node.messages.errors import RpcError


class AuthHandlers:
    """The handlers of the Auth service of one member. Every handler can raise RpcError."""

    def __init__(self, member: MemberPort) -> None:
        self._member = member

    def methods(self) -> dict[str, Callable[[Any], Awaitable[Any]]]:
        """Return the handler of each method of the service, by the method's name."""
        return {
            "/v3/auth/enable": self.replicate,
            "/v3/auth/disable": self.replicate,
            "/v3/auth/status": self.replicate,
            "/v3/auth/authenticate": self.authenticate,
            "/v3/auth/user/add": self.add_user,
            "/v3/auth/user/get": self.replicate,
            "/v3/auth/user/list": self.replicate,
            "/v3/auth/user/delete": self.replicate,
            "/v3/auth/user/changepw": self.change_password,
            "/v3/auth/user/grant": self.replicate,
            "/v3/auth/user/revoke": self.replicate,
            "/v3/auth/role/add": self.replicate,
            "/v3/auth/role/get": self.replicate,
            "/v3/auth/role/list": self.replicate,
            "/v3/auth/role/delete": self.replicate,
            "/v3/auth/role/grant": self.replicate,
            "/v3/auth/role/revoke": self.replicate,
        }

    async def replicate(self, request: Any) -> Any:
        """Propose a request without changing it, and return the response to it."""
        response: Any = await self._member.propose(request)
        return replace(response, header=self._member.header())

    async def add_user(self, request: AuthUserAddRequest) -> AuthUserAddResponse:
        """Add a user to the cluster. The log contains only a hash of the password."""
        hashed = ""
        if request.options is None or not request.options.no_password:
            hashed = self._member.auth.hashed(request.password)
        response = await self.replicate(replace(request, password="", hashed_password=hashed))
        assert isinstance(response, AuthUserAddResponse)
        return response

    async def change_password(
        self, request: AuthUserChangePasswordRequest
    ) -> AuthUserChangePasswordResponse:
        """Change the password of a user. The log contains only a hash of the password."""
        hashed = self._member.auth.hashed(request.password) if request.password else ""
        response = await self.replicate(replace(request, password="", hashed_password=hashed))
        assert isinstance(response, AuthUserChangePasswordResponse)
        return response

    async def authenticate(self, request: AuthenticateRequest) -> AuthenticateResponse:
        """Check the user's password, and return a response with a new token.

        The password is checked again if users, roles or permissions change before the token is
        assigned.
        """
        await self._member.linearizable_read()
        while True:
            login = self._member.auth.checked_login(request)
            try:
                response = await self.replicate(login)
            except RpcError as problem:
                if problem != errors.old_auth_revision():
                    raise
                continue
            assert isinstance(response, AuthenticateResponse)
            return replace(response, token=self._member.auth.token_of(login, response.token))
