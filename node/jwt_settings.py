"""Defines how a member signs and verifies JSON Web Tokens, and loads the keys for it.

Source: etcd 3.5.1, `server/auth/options.go`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jwt

METHODS = tuple(f"{kind}{bits}" for kind in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512))
TTL_MS = 300_000


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """The settings with which a member signs and verifies JSON Web Tokens.

    The keys are the contents of PEM files or, for the methods HS256 to HS512, the shared secret. A
    member without `private_key` can only verify tokens.
    """

    method: str
    private_key: bytes = field(default=b"", repr=False)
    public_key: bytes = b""
    ttl_ms: int = TTL_MS


class Keys(NamedTuple):
    """The keys in the form that PyJWT expects. `signing` is None if there is no private key."""

    signing: Any
    verifying: Any


def load_keys(settings: JwtSettings) -> Keys:
    """Load the keys in the settings.

    Raises ValueError if the keys cannot be used for the method, or do not belong together.
    """
    if settings.method.startswith("HS"):
        return Keys(settings.private_key, settings.private_key)
    algorithm: Any = jwt.get_algorithm_by_name(settings.method)
    try:
        public = algorithm.prepare_key(settings.public_key) if settings.public_key else None
        if not settings.private_key:
            return Keys(None, public)
        private = algorithm.prepare_key(settings.private_key)
        own = private.public_key()
    except (ValueError, TypeError, AttributeError, jwt.PyJWTError) as problem:
        raise ValueError(
            f"the keys of --auth-token cannot be used for {settings.method}: {problem}"
        ) from problem
    if public is not None and own.public_numbers() != public.public_numbers():
        raise ValueError("--auth-token: pub-key is not the public key of priv-key")
    return Keys(private, own)
