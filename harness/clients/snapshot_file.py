"""Downloads a snapshot of a member's backend, over the JSON gateway of etcd."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec

from splitbrain.harness.errors import SystemFailed


class _Part(msgspec.Struct, frozen=True):
    blob: bytes = b""


class _Line(msgspec.Struct, frozen=True):
    result: _Part = _Part()


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
                rest = b""
                async for data in answer.content.iter_any():
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        file.write(msgspec.json.decode(line, type=_Line).result.blob)
                if rest:
                    file.write(msgspec.json.decode(rest, type=_Line).result.blob)
        if not answer.ok:
            raise SystemFailed(f"the snapshot of {url}: {answer.status} {answer.reason}")
    except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError) as problem:
        why = f"{type(problem).__name__}: {problem}"
        raise SystemFailed(f"the snapshot of {url}: {why}") from problem
