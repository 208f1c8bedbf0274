"""Reads the state of a member of an etcd-like store over etcd's JSON gateway.

The state consists of the member's status, its HashKV, and its change log. The change log is read
with a watch of all keys from revision 1.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

import aiohttp
import msgspec

from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.clients.administrator_session import AdministratorSession
from splitbrain.harness.clients.http_connection import ConnectionLost
from splitbrain.harness.clients.json_messages import (
    HASH_KV_PATH,
    PEER_HASH_KV_PATH,
    STATUS_PATH,
    HashKV,
    Status,
)
from splitbrain.harness.clients.membership import list_members
from splitbrain.harness.clients.watch_codec import WATCH, WatchAnswer, decode_line, encode_watches
from splitbrain.harness.errors import SystemFailed
from splitbrain.histories.member_state import Change, ListedMember, MemberState
from splitbrain.histories.watch import WatchRequest

STATUS_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 10.0
"""How long a request may take. In a large store, HashKV and a batch of a watch take seconds."""
CONNECT_TIMEOUT_S = 2.0
LINE_BYTES_MAX = 256 * 1024 * 1024
"""The largest length of a line. One line of a watch is a batch of up to 1000 revisions."""
ALL_KEYS = "\0"
"""The value of `key` and of `range_end` that selects all keys."""
Kind = TypeVar("Kind")
WatchFrom = Callable[[int], AsyncGenerator[WatchAnswer, None]]
"""A function that opens a watch of all keys. Its argument is the first revision."""

_status_decoder = msgspec.json.Decoder(Status, strict=False)


def decode_status(body: bytes) -> Status:
    """Decode the answer to a request for a member's status. Raises msgspec.MsgspecError."""
    return _status_decoder.decode(body)


async def status(session: aiohttp.ClientSession, url: str) -> Status:
    """Read a member's status. Raises aiohttp.ClientError, TimeoutError or SystemFailed."""
    return await _request(session, url + STATUS_PATH, {}, Status, timeout_s=STATUS_TIMEOUT_S)


async def member_state(
    session: aiohttp.ClientSession, name: str, url: str, peer_url: str, at_revision: int | None
) -> MemberState:
    """Read the state of the member `name`: its status, its HashKV and its change log.

    `peer_url` is the peer address at which the member listens, not the address of its proxy.
    `at_revision` is the revision of the hash; None means the newest one. Raises
    aiohttp.ClientError, TimeoutError or SystemFailed.
    """
    now = await status(session, url)
    hashed = await hash_kv(session, url, peer_url, at_revision or 0)
    log = await change_log(functools.partial(watch_from, session, url), url, now.header.revision)
    state = combined_state(name, now, hashed, at_revision, log)
    return msgspec.structs.replace(state, members=await _listed(session, url))


async def _listed(session: aiohttp.ClientSession, url: str) -> tuple[ListedMember, ...]:
    """Return the member list as the member at `url` knows it, without asking the leader.

    Returns () if the store does not answer the request.
    """
    try:
        requests = AdministratorSession(session, Administrator())
        listed = await list_members(requests, url, linearizable=False)
    except SystemFailed:
        return ()
    return tuple(
        ListedMember(int(one.id), tuple(sorted(one.peer_urls)), one.is_learner) for one in listed
    )


def combined_state(
    name: str,
    now: Status,
    hashed: HashKV,
    at_revision: int | None,
    log: tuple[int, tuple[Change, ...]],
) -> MemberState:
    """Build the state of the member `name` from its parts.

    They are its status, its hash at `at_revision`, and the result of `change_log`.
    """
    return MemberState(
        member=name,
        revision=now.header.revision,
        first_revision=log[0],
        compact_revision=max(hashed.compact_revision, 0),
        hash=hashed.hash,
        hash_revision=at_revision or hashed.header.revision,
        member_id=now.header.member_id,
        leader_id=now.leader,
        raft_term=now.raft_term,
        raft_index=now.raft_index,
        raft_applied_index=now.raft_applied_index,
        version=now.version,
        changes=log[1],
    )


async def hash_kv(
    session: aiohttp.ClientSession, url: str, peer_url: str, at_revision: int
) -> HashKV:
    """Read HashKV at the revision `at_revision`; 0 means the newest revision.

    The gateway of etcd 3.6 and later serves HashKV. Earlier releases serve it only over HTTP at the
    peer URL. This function first asks the gateway. If the gateway answers 404, it asks the peer
    URL. The route `/v3/maintenance/hash` of earlier releases cannot replace HashKV, because it
    hashes the whole backend and takes no revision.
    """
    try:
        return await _request(session, url + HASH_KV_PATH, {"revision": str(at_revision)}, HashKV)
    except _NotFound:
        peer_path = peer_url + PEER_HASH_KV_PATH
        return await _request(session, peer_path, {"revision": at_revision}, HashKV, method="GET")


async def change_log(
    watch: WatchFrom, url: str, to_revision: int
) -> tuple[int, tuple[Change, ...]]:
    """Read all changes up to `to_revision` that the member has not compacted.

    Returns the first revision that is not compacted, and the changes from this revision on. Raises
    SystemFailed if the watch ends before `to_revision`.
    """
    first = 1
    # Revision 1 is the empty store, which contains no change.
    while to_revision > max(first - 1, 1):
        changes: list[Change] = []
        async with contextlib.aclosing(watch(first)) as answers:
            async for answer in answers:
                if answer.cancelled and answer.compact_revision >= first:
                    first = answer.compact_revision + 1
                    break
                if answer.cancelled:
                    raise SystemFailed(f"{url} cancelled a watch from {first}: {answer.reason}")
                changes.extend(answer.changes)
                if changes and changes[-1].revision >= to_revision:
                    return first, tuple(one for one in changes if one.revision <= to_revision)
            else:
                raise SystemFailed(
                    f"{url} ended a watch from revision {first} before revision {to_revision}"
                )
    return first, ()


async def watch_from(
    session: aiohttp.ClientSession, url: str, first: int
) -> AsyncGenerator[WatchAnswer, None]:
    """Watch all keys from revision `first`, and yield the answers.

    Raises aiohttp.ClientError, TimeoutError or SystemFailed.
    """
    request = encode_watches([WatchRequest(ALL_KEYS, ALL_KEYS, start_revision=first)])
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=ANSWER_TIMEOUT_S
    )
    async with session.post(url + WATCH, data=request, timeout=timeout) as response:
        if response.status != 200:
            raise _refused(url + WATCH, response.status, await response.read())
        async for line in lines(response.content):
            try:
                answer = decode_line(line)
            except ConnectionLost as problem:
                raise SystemFailed(
                    f"{url} failed a watch from revision {first}: {problem}"
                ) from problem
            yield answer


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield whole lines, which may be longer than the limit of aiohttp's own line reader."""
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


async def _request(
    session: aiohttp.ClientSession,
    url: str,
    request: object,
    kind: type[Kind],
    *,
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
            f"{url}: expected the JSON of a {kind.__name__} answer, got {body[:200]!r}"
        ) from problem


class _NotFound(SystemFailed):
    """Raised if the member does not serve the path of a request."""


def _refused(url: str, code: int, body: bytes) -> SystemFailed:
    kind = _NotFound if code == 404 else SystemFailed
    return kind(f"{url} answered {code}: {body[:300].decode(errors='replace')}")
