"""Sends the harness's own requests as an administrator, if the store requires one.

A workload may enable authentication. Then the store refuses changes of the members, transfers of
the leadership and maintenance, unless the request has the token of an administrator.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

DISABLED = "authentication is not enabled"
REFUSALS = (
    "user name is empty", "permission denied", "invalid auth token",
    "revision of auth store is old", "revision in header is old",
)

T = TypeVar("T")
LogIn = Callable[[str, str], Awaitable[str]]
"""A function that sends a user's name and password to the store, and returns the token."""


class Administrator:
    """The user for the harness's own requests. Without a name, requests have no token."""

    def __init__(self, name: str = "", password: str = "") -> None:
        self._name = name
        self._password = password
        self._token = ""

    async def send(
        self, request: Callable[[str], Awaitable[T]], log_in: LogIn, failed: type[Exception]
    ) -> T:
        """Call `request` with a token, and return its result.

        If the store refuses the token, the method logs in and calls `request` once more. `request`
        gets the token as its argument, and `log_in` gets the user's name and password. Both raise
        `failed` with the message of the store.
        """
        try:
            return await request(self._token)
        except failed as problem:
            if not self._name or not _contains(problem, *REFUSALS):
                raise
        self._token = ""
        try:
            self._token = await log_in(self._name, self._password)
        except failed as problem:
            if not _contains(problem, DISABLED):
                raise
        return await request(self._token)


def _contains(problem: Exception, *texts: str) -> bool:
    return any(text in str(problem) for text in texts)
