"""What a member of an etcd-like store says of itself, over etcd's JSON gateway.

Status, HashKV, and the change log: a watch of all keys from revision 1 on.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import aiohttp
import msgspec

from splitbrain.harness.clients.json_codec import to_text
from splitbrain.harness.errors import SystemFailed
from splitbrain.histories.member_state import Change, MemberState

STATUS_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 10.0
"""HashKV of a large store takes a while; so may a watch's next batch."""
LINE_BYTES_MAX = 256 * 1024 * 1024
"""One line of a watch: a batch of up to 1000 revisions, each no more than a request."""
Kind = TypeVar("Kind")
_ALL_KEYS = base64.b64encode(b"\0").decode()


class _Wire(msgspec.Struct, rename="camel"):
    """The gateway writes int64 as strings and leaves out what is zero."""


class Header(msgspec.Struct):
    revision: int = 0
    member_id: int = 0
    raft_term: int = 0


class Status(_Wire):
    header: Header = msgspec.field(default_factory=Header)
    version: str = ""
    leader: int = 0
    raft_index: int = 0
    raft_term: int = 0
    raft_applied_index: int = 0


class HashKV(msgspec.Struct):
    header: Header = msgspec.field(default_factory=Header)
    hash: int = 0
    compact_revision: int = 0


class _KeyValue(msgspec.Struct):
    key: str = ""
    value: str = ""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class _Event(msgspec.Struct):
    type: str = "PUT"
    kv: _KeyValue = msgspec.field(default_factory=_KeyValue)


class _WatchResult(msgspec.Struct):
    created: bool = False
    canceled: bool = False
    compact_revision: int = 0
    cancel_reason: str = ""
    events: list[_Event] = []


class _WatchLine(msgspec.Struct):
    result: _WatchResult | None = None
    error: Any = None


_watch_decoder = msgspec.json.Decoder(_WatchLine, strict=False)


async def status(session: aiohttp.ClientSession, url: str) -> Status:
    """Raises aiohttp.ClientError, TimeoutError or SystemFailed."""
    path = url + "/v3/maintenance/status"
    return await _ask(session, path, {}, Status, timeout_s=STATUS_TIMEOUT_S)


async def member_state(
    session: aiohttp.ClientSession, name: str, url: str, peer_url: str, at_revision: int | None
) -> MemberState:
    """`peer_url` is where the member itself listens, not a proxy.

    Raises aiohttp.ClientError, TimeoutError or SystemFailed.
    """
    now = await status(session, url)
    hashed = await hash_kv(session, url, peer_url, at_revision or 0)
    first, changes = await change_log(session, url, now.header.revision)
    return MemberState(
        member=name,
        revision=now.header.revision,
        first_revision=first,
        compact_revision=max(hashed.compact_revision, 0),
        hash=hashed.hash,
        hash_revision=at_revision or hashed.header.revision,
        member_id=now.header.member_id,
        leader_id=now.leader,
        raft_term=now.raft_term,
        raft_index=now.raft_index,
        raft_applied_index=now.raft_applied_index,
        version=now.version,
        changes=changes,
    )


async def hash_kv(
    session: aiohttp.ClientSession, url: str, peer_url: str, at_revision: int
) -> HashKV:
    """HashKV at a revision (0: now).

    etcd's gateway has it from release 3.6 on; before, `/v3/maintenance/hash` is another
    hash, of the whole backend and at no revision. Those releases tell HashKV to their
    peers, over HTTP.
    """
    try:
        return await _ask(
            session, url + "/v3/maintenance/hashkv", {"revision": str(at_revision)}, HashKV
        )
    except _NotThere:
        peer_path = peer_url + "/members/hashkv"
        return await _ask(session, peer_path, {"revision": at_revision}, HashKV, method="GET")


async def change_log(
    session: aiohttp.ClientSession, url: str, to_revision: int
) -> tuple[int, tuple[Change, ...]]:
    """The first revision that the member still tells of, and all changes up to `to_revision`."""
    first = 1
    while True:
        changes: list[Change] = []
        if to_revision <= max(first - 1, 1):
            return first, ()  # revision 1 is the empty store: nothing was ever changed
        async for result in _watch(session, url, first):
            if result.canceled and result.compact_revision >= first:
                first = result.compact_revision + 1
                break
            if result.canceled:
                raise SystemFailed(f"{url} cancelled a watch from {first}: {result.cancel_reason}")
            changes.extend(_change(event) for event in result.events)
            if changes and changes[-1].revision >= to_revision:
                return first, tuple(one for one in changes if one.revision <= to_revision)
        else:
            raise SystemFailed(
                f"{url} ended a watch from revision {first} before revision {to_revision}"
            )


async def _watch(
    session: aiohttp.ClientSession, url: str, first: int
) -> AsyncIterator[_WatchResult]:
    request = {
        "create_request": {"key": _ALL_KEYS, "range_end": _ALL_KEYS, "start_revision": str(first)}
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=ANSWER_TIMEOUT_S)
    async with session.post(
        url + "/v3/watch", data=msgspec.json.encode(request), timeout=timeout
    ) as response:
        if response.status != 200:
            raise _refused(url + "/v3/watch", response.status, await response.read())
        async for line in lines(response.content):
            told = _watch_decoder.decode(line)
            if told.result is None:
                raise SystemFailed(f"{url} failed a watch from revision {first}: {told.error}")
            yield told.result


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines, which may be longer than aiohttp's own reader of lines allows."""
    pending = bytearray()
    async for chunk in content.iter_any():
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            pending += part
            if pending.strip():
                yield bytes(pending)
            pending.clear()
        pending += rest
        if len(pending) > LINE_BYTES_MAX:
            raise SystemFailed(f"a watch sent a line of more than {LINE_BYTES_MAX} bytes")
    if pending.strip():
        yield bytes(pending)


def _change(event: _Event) -> Change:
    kv = event.kv
    return Change(
        revision=kv.mod_revision,
        kind="delete" if event.type == "DELETE" else "put",
        key=to_text(base64.b64decode(kv.key)),
        value=to_text(base64.b64decode(kv.value)),
        create_revision=kv.create_revision,
        version=kv.version,
        lease=kv.lease,
    )


async def _ask(
    session: aiohttp.ClientSession,
    url: str,
    request: object,
    kind: type[Kind],
    timeout_s: float = ANSWER_TIMEOUT_S,
    method: str = "POST",
) -> Kind:
    async with session.request(
        method,
        url,
        data=msgspec.json.encode(request),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
    ) as response:
        body = await response.read()
    if response.status != 200:
        raise _refused(url, response.status, body)
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except msgspec.MsgspecError as problem:
        raise SystemFailed(
            f"{url} answered what is no {kind.__name__}: {body[:200]!r}"
        ) from problem


class _NotThere(SystemFailed):
    """The member has no such path."""


def _refused(url: str, code: int, body: bytes) -> SystemFailed:
    kind = _NotThere if code == 404 else SystemFailed
    return kind(f"{url} answered {code}: {body[:300].decode(errors='replace')}")
