"""The authentication tokens of one client of a run.

A client begins without a token. Two errors show whether authentication is enabled: "user name is
empty" shows that it is, and "authentication is not enabled" shows that it is not. While
authentication is enabled, the client logs in before it sends a request of a user for whom it has no
token. A client whose token is refused logs in again.
"""

from __future__ import annotations

ENABLED = "user name is empty"
DISABLED = "authentication is not enabled"
ENDED = ("invalid auth token", "revision of auth store is old", "revision in header is old")


class Logins:
    """What one client knows: whether authentication is enabled, and the tokens of users."""

    def __init__(self) -> None:
        self._enabled = False
        self._tokens: dict[str, str] = {}

    def lacks(self, user: str) -> bool:
        """Return whether the client must log in before it sends a request of `user`."""
        return bool(user) and self._enabled and user not in self._tokens

    def token(self, user: str) -> str:
        """Return the token to send with a request of `user`; "" if the client has none."""
        return self._tokens.get(user, "")

    def learn(self, user: str, token: str) -> None:
        """Keep the `token` of `user`, who has logged in."""
        self._enabled = True
        self._tokens[user] = token

    def refused(self, user: str, error: str) -> None:
        """Learn from `error`, with which the store has refused a request of `user`.

        The error can show whether authentication is enabled, or that the user's token is not valid
        any more.
        """
        if DISABLED in error:
            self._enabled = False
            self._tokens.clear()
        elif any(one in error for one in (ENABLED, *ENDED)):
            self._enabled = True
            self._tokens.pop(user, None)
