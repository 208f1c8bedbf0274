"""What a simulated member says of itself: status, HashKV and the change log, by its API."""

from __future__ import annotations

from collections.abc import AsyncIterator

from splitbrain.harness.clients.json_codec import to_text
from splitbrain.harness.simulation.clients import ClientNetwork
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.node.api.service import Api
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import (
    HashKVRequest,
    StatusRequest,
    WatchCreateRequest,
    WatchRequest,
)
from splitbrain.node.mvcc.key_value import Event, EventType

TIMEOUT_S = 10.0
EVERYTHING = b"\0"


async def member_state(
    clients: ClientNetwork, member: str, url: str, at_revision: int | None
) -> MemberState:
    """An `error` if it cannot be asked."""

    async def serve(api: Api) -> MemberState:
        return await _state(api, member, at_revision)

    try:
        return await clients.ask(url, serve, TIMEOUT_S)
    except (RpcError, OSError) as problem:
        return MemberState(member, error=f"{type(problem).__name__}: {problem}")


async def _state(api: Api, member: str, at_revision: int | None) -> MemberState:
    now = await api.status(StatusRequest())
    hashed = await api.hash_kv(HashKVRequest(revision=at_revision or 0))
    first, changes = await _change_log(api, now.header.revision)
    return MemberState(
        member=member,
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


async def _change_log(api: Api, to_revision: int) -> tuple[int, tuple[Change, ...]]:
    """The first revision that the member still tells of, and all changes up to `to_revision`."""
    first = 1
    changes: list[Change] = []
    # Revision 1 is the empty store: nothing was ever changed.
    while to_revision > max(first - 1, 1):
        answers = api.watch(_requests(WatchCreateRequest(EVERYTHING, EVERYTHING, first)))
        async for answer in answers:
            if answer.canceled and answer.compact_revision >= first:
                first = answer.compact_revision + 1
                changes.clear()
                break
            changes.extend(_change(event) for event in answer.events)
            if changes and changes[-1].revision >= to_revision:
                await answers.aclose()
                return first, tuple(one for one in changes if one.revision <= to_revision)
    return first, ()


async def _requests(*requests: WatchRequest) -> AsyncIterator[WatchRequest]:
    for one in requests:
        yield one


def _change(event: Event) -> Change:
    kv = event.kv
    return Change(
        revision=kv.mod_revision,
        kind="delete" if event.type is EventType.DELETE else "put",
        key=to_text(kv.key),
        value=to_text(kv.value),
        create_revision=kv.create_revision,
        version=kv.version,
        lease=kv.lease,
    )
