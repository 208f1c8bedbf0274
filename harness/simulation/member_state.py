"""Reads the state of a simulated member through its API: status, HashKV and change log.

The answers pass through the JSON codecs of the member and of the client, as they do when the member
is a real process.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from splitbrain.harness.clients.json_messages import HashKV, to_bytes
from splitbrain.harness.clients.member_state import (
    ALL_KEYS,
    change_log,
    combined_state,
    decode_status,
)
from splitbrain.harness.clients.watch_codec import WatchAnswer, decode_line
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.simulation.client_network import ClientNetwork
from splitbrain.histories.member_state import ListedMember, MemberState
from splitbrain.node.api.json_codec import encode_response, encode_stream_line
from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import (
    HashKVRequest,
    MemberListRequest,
    StatusRequest,
    WatchCreateRequest,
    WatchRequest,
)

TIMEOUT_S = 10.0
MEMBER_LIST_PATH = "/v3/cluster/member/list"


async def member_state(
    clients: ClientNetwork, member: str, url: str, at_revision: int | None
) -> MemberState:
    """Return the state of `member`, which serves at `url`.

    The HashKV is that of `at_revision`, or of the newest revision if it is None. If the member does
    not answer, the result contains only an `error`.
    """

    async def serve(api: Api) -> MemberState:
        now = decode_status(encode_response(await api.status(StatusRequest())))
        hash_answer = encode_response(await api.hash_kv(HashKVRequest(revision=at_revision or 0)))
        hashed = msgspec.json.decode(hash_answer, type=HashKV, strict=False)
        log = await change_log(functools.partial(_watch, api), url, now.header.revision)
        state = combined_state(member, now, hashed, at_revision, log)
        listed = await api.methods[MEMBER_LIST_PATH](MemberListRequest())
        return msgspec.structs.replace(state, members=tuple(
            ListedMember(one.id, tuple(sorted(one.peer_urls)), one.is_learner)
            for one in listed.members
        ))

    try:
        return await clients.ask(url, serve, TIMEOUT_S)
    except (RpcError, OSError, SystemFailed) as problem:
        return MemberState(member, error=f"{type(problem).__name__}: {problem}")


async def _watch(api: Api, first: int) -> AsyncGenerator[WatchAnswer, None]:
    everything = to_bytes(ALL_KEYS)
    answers = api.watch(_requests(WatchCreateRequest(everything, everything, first)))
    try:
        async for answer in answers:
            yield decode_line(encode_stream_line(answer))
    finally:
        await answers.aclose()


async def _requests(*requests: WatchRequest) -> AsyncIterator[WatchRequest]:
    for one in requests:
        yield one
