"""Downloads a snapshot of a member's backend, over the JSON gateway of etcd."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec

from splitbrain.harness.clients.member_state import lines
from splitbrain.harness.clients.service_codec import decode_snapshot_line
from splitbrain.harness.errors import SystemFailed


async def download_snapshot(
    session: aiohttp.ClientSession, url: str, path: Path, timeout_s: float
) -> None:
    """Write a snapshot of the member at `url`, with its checksum, to the file `path`.

    Raises SystemFailed if the member refuses, or if the snapshot is not complete after `timeout_s`.
    """
    try:
        with path.open("wb") as file:
            async with session.post(
                f"{url}/v3/maintenance/snapshot", json={},
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                if not answer.ok:
                    raise SystemFailed(f"the snapshot of {url}: {answer.status} {answer.reason}")
                async for line in lines(answer.content):
                    file.write(decode_snapshot_line(line).blob)
    except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError) as problem:
        why = f"{type(problem).__name__}: {problem}"
        raise SystemFailed(f"the snapshot of {url}: {why}") from problem
