"""The address of a member."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import msgspec


class Address(msgspec.Struct, frozen=True):
    """The URLs of a member.

    `client_url` may also be only `HOST:PORT`. `peer_url` is the address at which other members
    reach this member. If the member has a proxy, `peer_url` is the address of the proxy. `ports`
    contains further ports of the member, by name.
    """

    name: str
    client_url: str
    peer_url: str = ""
    ports: Mapping[str, int] = {}

    @property
    def host(self) -> str:
        return self._parts.hostname or ""

    @property
    def port(self) -> int:
        """Return the port of `client_url`, or 0 if the URL contains none."""
        return self._parts.port or 0

    @property
    def _parts(self) -> SplitResult:
        url = self.client_url
        return urlsplit(url if "//" in url else f"//{url}")
