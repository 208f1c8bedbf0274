"""Maintenance operations of etcd members, over the JSON gateway."""

from __future__ import annotations

import aiohttp

from splitbrain.harness.errors import SystemFailed

OPERATION_TIMEOUT_S = 30.0


async def defragment(session: aiohttp.ClientSession, url: str) -> None:
    """Defragment the backend of the member, which serves nothing meanwhile. Raises SystemFailed."""
    await _call(session, url, "defragment", {})


async def read_snapshot(session: aiohttp.ClientSession, url: str) -> None:
    """Read a snapshot of the member's backend to its end. Raises SystemFailed."""
    await _call(session, url, "snapshot", {})


async def transfer_leadership(session: aiohttp.ClientSession, url: str, target_id: int) -> None:
    """Transfer the leadership from the leader at `url` to the member with the id `target_id`.

    Raises SystemFailed.
    """
    await _call(session, url, "transfer-leadership", {"targetID": str(target_id)})


async def _call(
    session: aiohttp.ClientSession, url: str, operation: str, request: dict[str, str]
) -> None:
    timeout = aiohttp.ClientTimeout(total=OPERATION_TIMEOUT_S)
    try:
        async with session.post(
            f"{url}/v3/maintenance/{operation}", json=request, timeout=timeout
        ) as answer:
            async for _ in answer.content.iter_chunked(1 << 16):
                pass
            if not answer.ok:
                raise SystemFailed(f"{operation} at {url}: {answer.status} {answer.reason}")
    except (aiohttp.ClientError, OSError, TimeoutError) as problem:
        why = f"{type(problem).__name__}: {problem}"
        raise SystemFailed(f"{operation} at {url}: {why}") from problem
