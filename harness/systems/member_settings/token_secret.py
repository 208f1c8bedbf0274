"""The secret with which the members of a tested cluster sign JSON Web Tokens.

The secret is a file of this package. Therefore all members have the same secret, and a repeated run
has it too. It protects nothing: the members listen on loopback, and contain only data of tests.
"""

from __future__ import annotations

from pathlib import Path

METHOD = "HS256"
SECRET_FILE = Path(__file__).with_name("token_secret.txt")


def jwt_flags(ttl_ms: int) -> tuple[str, ...]:
    """Return the flags of etcd and of this project's member for JWTs that expire after `ttl_ms`."""
    return (
        "--auth-token", f"jwt,sign-method={METHOD},priv-key={SECRET_FILE},ttl={ttl_ms}ms",
    )
