"""Requests of the harness to members, over the JSON gateway, as an administrator if necessary."""

from __future__ import annotations

import aiohttp
import msgspec

from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.errors import SystemFailed

LOG_IN_TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 1 << 20
"""The number of bytes of an answer that are kept. The rest is read and dropped, for example the
rest of a snapshot."""
CHUNK_BYTES = 1 << 16


class _Token(msgspec.Struct, frozen=True):
    token: str = ""


class AdministratorSession:
    """Sends requests of one harness to the members of one cluster."""

    def __init__(self, session: aiohttp.ClientSession, administrator: Administrator) -> None:
        self._session = session
        self._administrator = administrator

    async def post(
        self, url: str, operation: str, request: dict[str, object], timeout_s: float
    ) -> bytes:
        """Send a request to the member at `url`, and return the first part of the answer.

        `operation` is the path without "/v3/". Raises SystemFailed if the request is refused, or is
        not answered within `timeout_s`.
        """

        async def send(token: str) -> bytes:
            return await self._post(url, operation, request, timeout_s, token)

        async def log_in(name: str, password: str) -> str:
            login: dict[str, object] = {"name": name, "password": password}
            path = "auth/authenticate"
            answer = await self._post(url, path, login, LOG_IN_TIMEOUT_S, "")
            return msgspec.json.decode(answer, type=_Token).token

        return await self._administrator.send(send, log_in, SystemFailed)

    async def _post(
        self, url: str, operation: str, request: dict[str, object], timeout_s: float, token: str
    ) -> bytes:
        what = f"{operation} at {url}"
        content = bytearray()
        try:
            async with self._session.post(
                f"{url}/v3/{operation}",
                json=request,
                headers={"Authorization": token} if token else {},
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    content += chunk[: ANSWER_BYTES_MAX - len(content)]
        except (aiohttp.ClientError, OSError, TimeoutError) as problem:
            raise SystemFailed(f"{what}: {type(problem).__name__}: {problem}") from problem
        if not answer.ok:
            why = content[:200].decode(errors="replace")
            raise SystemFailed(f"{what}: {answer.status} {why}")
        return bytes(content)
