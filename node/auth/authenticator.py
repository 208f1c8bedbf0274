"""Identifies the client of a request by its token or certificate, and checks its permissions.

Source: etcd 3.5.1, `server/auth/store.go` (AuthInfoFromCtx), `server/etcdserver/v3_server.go`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

from splitbrain.node.auth.auth_store import ANONYMOUS, AuthStore, Identity
from splitbrain.node.auth.password import hash_password, matches
from splitbrain.node.auth.request_permission import check_access
from splitbrain.node.auth.tokens import Tokens, new_prefix
from splitbrain.node.messages import auth_errors as errors
from splitbrain.node.messages.auth import AuthenticateRequest, TokenAssignRequest
from splitbrain.node.messages.current_client import CALLER
from splitbrain.node.mvcc.store import Store


class Authenticator:
    """Identifies clients, and checks their permissions, for the handlers of the API.

    `read_barrier` waits until this member has applied all entries that were committed at the call.
    The cost of hashing a new password is 2 to the power of `password_cost_log2`.
    """

    def __init__(
        self,
        *,
        auth: AuthStore,
        tokens: Tokens,
        store: Store,
        random: Random,
        password_cost_log2: int,
        read_barrier: Callable[[], Awaitable[None]],
    ) -> None:
        self._auth = auth
        self._tokens = tokens
        self._store = store
        self._random = random
        self._password_cost_log2 = password_cost_log2
        self._read_barrier = read_barrier

    async def identity(self) -> Identity:
        """Return the user who sent the current request.

        Raises RpcError if the client sent a token that is not valid. As in etcd, no token is valid
        while authentication is disabled.
        """
        caller = CALLER.get()
        token = caller.token
        if not token:
            user = caller.common_name
            return Identity(user, self._auth.revision) if user else ANONYMOUS
        found = self._identity_of(token)
        if found is None and self._tokens.index_of(token) > self._store.consistent_index:
            # Another member may have assigned the token in an entry that this member has not
            # applied yet.
            await self._read_barrier()
            found = self._identity_of(token)
        if found is None:
            raise errors.invalid_auth_token()
        return found

    def _identity_of(self, token: str) -> Identity | None:
        return self._tokens.identity_of(token, self._auth.revision)

    def check(self, identity: Identity, request: object) -> None:
        """Raise RpcError unless `identity` may execute the read-only `request`.

        The present permissions are checked. As in etcd, a token of an earlier auth revision is
        refused even if no key is read.
        """
        check_access(self._auth, self._store, identity, request)
        if identity.revision not in (0, self._auth.revision):
            raise errors.old_auth_revision()

    async def check_read(self, key: bytes, range_end: bytes) -> None:
        """Raise RpcError unless the client may read every key of the range."""
        identity = await self.identity()
        self._auth.check_read(identity, key, range_end)

    async def check_admin(self) -> None:
        """Raise RpcError unless the client has the role root, or authentication is disabled."""
        self._auth.check_admin(await self.identity())

    def hashed(self, password: str) -> str:
        """Return the hash of a new password."""
        return hash_password(password, self._random, self._password_cost_log2)

    def checked_login(self, request: AuthenticateRequest) -> TokenAssignRequest:
        """Check the password of a login, and return the request that assigns a token to the user.

        Raises RpcError if the user or the password is wrong.
        """
        if not self._auth.enabled:
            raise errors.auth_not_enabled()
        user = self._auth.users.get(request.name)
        if user is None:
            raise errors.authentication_failed()
        if user.no_password:
            raise errors.no_password_user()
        if not matches(request.password, user.hashed_password):
            raise errors.authentication_failed()
        return TokenAssignRequest(request.name, new_prefix(self._random), self._auth.revision)

    def token_of(self, login: TokenAssignRequest, assigned: str) -> str:
        """Return the token for a login, after the entry of the request `login` is applied.

        `assigned` is the token that the entry has assigned. It is "" if the cluster uses JSON Web
        Tokens. In this case, this member signs a token and returns it.

        Raises RpcError.
        """
        return assigned or self._tokens.signed(login.name, login.revision)
