"""Manages simple tokens, and declares the interface that both kinds of tokens implement.

Simple tokens are random texts. Every member remembers all of them, each with its user, because a
token is assigned when a committed entry is applied. Tokens are not stored on disk. A token becomes
invalid if the member's process ends, or if the token is not used for `TTL_S` seconds. It also
becomes invalid if its user is deleted or gets a new password, or if authentication is disabled.

Source: etcd 3.5.1, `server/auth/simple_token.go`. The other kind is in `jwt_tokens.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from string import ascii_letters
from typing import Protocol

from splitbrain.node.auth.auth_store import Identity

TTL_S = 300.0
PREFIX_LETTERS = 16
_SWEEP = 64
"""The number of assignments of tokens after which the expired tokens are removed."""


class Tokens(Protocol):
    """The interface of a kind of tokens: simple tokens, or JSON Web Tokens."""

    def assign(self, prefix: str, index: int, user: str) -> str:
        """Assign a token to `user`, and return it. Returns "" for JSON Web Tokens.

        Every member calls this method when it applies a login. `prefix` is the random part of the
        token, and `index` the index of the login's entry. JSON Web Tokens are not assigned by the
        entry. Only the member that the client called signs one (`signed`).
        """
        ...

    def signed(self, user: str, auth_revision: int) -> str:
        """Return a new token for a user who has logged in at this auth revision.

        Raises RpcError.
        """
        ...

    def identity_of(self, token: str, auth_revision: int) -> Identity | None:
        """Return the user and the auth revision of a token, or None if the token is not valid.

        A JSON Web Token contains its auth revision. A simple token has the present auth revision,
        which is the argument `auth_revision`.
        """
        ...

    def index_of(self, token: str) -> int:
        """Return the index of the entry that assigned a token, or 0 if no entry assigned it."""
        ...

    def end_of_user(self, user: str) -> None: ...

    def end_all(self) -> None: ...


class SimpleTokens:
    """The simple tokens that this member knows.

    `now_ns` returns the member's monotonic time in nanoseconds.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._users: dict[str, str] = {}
        self._expire_ns: dict[str, int] = {}
        self._assigned = 0

    def assign(self, prefix: str, index: int, user: str) -> str:
        """Remember the token that the entry at `index` assigns to a user, and return it."""
        token = f"{prefix}.{index}"
        self._users[token] = user
        self._extend(token)
        self._assigned += 1
        if self._assigned % _SWEEP == 0:
            self._sweep()
        return token

    def signed(self, user: str, auth_revision: int) -> str:
        raise AssertionError("a simple token is assigned by the entry of the login")

    def identity_of(self, token: str, auth_revision: int) -> Identity | None:
        """Return the user of a token, or None if the token is not valid.

        The token's time to live starts again.
        """
        user = self._users.get(token)
        if user is None or self._expire_ns[token] <= self._now_ns():
            return None
        self._extend(token)
        return Identity(user, auth_revision)

    def index_of(self, token: str) -> int:
        _, dot, index = token.rpartition(".")
        return int(index) if dot and index.isascii() and index.isdecimal() else 0

    def end_of_user(self, user: str) -> None:
        """Make all tokens of a user invalid."""
        for token in [token for token, one in self._users.items() if one == user]:
            self._forget(token)

    def end_all(self) -> None:
        self._users.clear()
        self._expire_ns.clear()

    def _extend(self, token: str) -> None:
        self._expire_ns[token] = self._now_ns() + int(TTL_S * 1e9)

    def _sweep(self) -> None:
        now = self._now_ns()
        for token in [token for token, end in self._expire_ns.items() if end <= now]:
            self._forget(token)

    def _forget(self, token: str) -> None:
        del self._users[token], self._expire_ns[token]


def new_prefix(random: Random) -> str:
    """Return the random part of a new token. The other part is the index of the entry."""
    return "".join(random.choice(ascii_letters) for _ in range(PREFIX_LETTERS))
