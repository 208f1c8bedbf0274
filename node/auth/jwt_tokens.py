"""Signs and verifies JSON Web Tokens, which contain a user, an auth revision and an expiry time.

Members do not store these tokens. Every member with the public key can verify them, also after a
restart.

A token is accepted until its expiry time. However, its permissions can end earlier. The auth
revision increases when users or roles change, or when authentication is disabled. From then on,
requests that read or write keys are refused if their token has an older auth revision. As in etcd,
requests of an administrator are still accepted.

Source: RFC 7519; etcd 3.5.1, `server/auth/jwt.go`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import jwt

from splitbrain.node.auth.auth_store import Identity
from splitbrain.node.jwt_settings import JwtSettings, load_keys
from splitbrain.node.messages import auth_errors as errors

_OPTIONS: Any = {
    # The times are compared with the member's own clock, by `_is_current`.
    f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "sub")
}


class JwtTokens:
    """Signs and verifies tokens. `wall_ns` returns the time of the member's wall clock.

    Raises ValueError if the keys in the settings cannot be used.
    """

    def __init__(self, settings: JwtSettings, wall_ns: Callable[[], int]) -> None:
        self._settings = settings
        self._wall_ns = wall_ns
        self._signing, self._verifying = load_keys(settings)

    def assign(self, prefix: str, index: int, user: str) -> str:
        return ""

    def signed(self, user: str, auth_revision: int) -> str:
        """Return a new token. Raises RpcError if this member has no private key."""
        if self._signing is None:
            raise errors.verifies_only()
        expires_s = (self._wall_ns() // 1_000_000 + self._settings.ttl_ms) // 1000
        claims = {"username": user, "revision": auth_revision, "exp": expires_s}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyJWT warns about short secrets, which etcd accepts.
            return jwt.encode(claims, self._signing, algorithm=self._settings.method)

    def identity_of(self, token: str, auth_revision: int) -> Identity | None:
        """Return the user and the auth revision in a token, or None if the token is not valid."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                claims = jwt.decode(
                    token, self._verifying, algorithms=[self._settings.method], options=_OPTIONS
                )
        except (jwt.PyJWTError, ValueError):
            return None
        user, revision = claims.get("username"), claims.get("revision")
        if not isinstance(user, str) or not isinstance(revision, int):
            return None
        return Identity(user, revision) if self._is_current(claims) else None

    def _is_current(self, claims: dict[str, Any]) -> bool:
        """Return whether the current time is within the limits in `claims`, which are in seconds.

        A missing claim is no limit.
        """
        now_s = self._wall_ns() / 1e9
        begins, ends = (claims.get(name, default) for name, default in (
            ("nbf", -math.inf), ("exp", math.inf),
        ))
        return (
            isinstance(begins, int | float) and isinstance(ends, int | float)
            and begins <= now_s < ends
        )

    def index_of(self, token: str) -> int:
        return 0

    def end_of_user(self, user: str) -> None:
        """Do nothing. The auth revision has increased, which makes the user's tokens invalid."""

    def end_all(self) -> None:
        """Do nothing. The auth revision has increased, which makes all tokens invalid."""
