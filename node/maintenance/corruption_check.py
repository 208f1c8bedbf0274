"""Compares a member's data with that of its peers, to find corrupt data.

Periodically, the leader hashes the changes in its store up to a revision, and asks each peer for
its hash at this revision. If a hash differs, the leader raises the alarm CORRUPT for the peer. A
peer that does not answer, or has not applied the revision yet, is asked again at the next check. A
member can also compare itself with its peers when it starts, before it takes part in Raft and
serves clients. Two hashes are compared only if both members have compacted to the same revision.

Source: etcd's `server/etcdserver/corrupt.go`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

import msgspec

from splitbrain.node.alarms import Alarms
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import AlarmAction, AlarmRequest, AlarmType
from splitbrain.node.mvcc.hash_kv import HashResult
from splitbrain.node.mvcc.revision import CompactedRevision, FutureRevision
from splitbrain.node.mvcc.store import Store
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.world import World

ANSWER_TIMEOUT_S = 5.0
START_TRIES, TRIES = 50, 10
"""The number of times that a peer without a connection is asked, at the start and later.

The member connects to a peer when it first sends to it, so the first try can fail.
"""
RETRY_S = 0.1


class HashQuestion(msgspec.Struct, frozen=True, array_like=True):
    """Asks a peer for the hash of its changes up to `revision`."""

    kind: Literal["hash_kv"]
    revision: int


class CorruptionCheck:
    """Compares the data of one member with its peers' data. `run` is the task.

    `ask(peer, question, timeout_s)` returns the answer of a peer, or raises ConnectionError.
    `raise_alarm` replicates a request. `read_barrier` waits until this member has applied all
    entries that were committed at the call.
    """

    def __init__(
        self,
        *,
        world: World,
        store: Store,
        alarms: Alarms,
        interval_s: float,
        leads: Callable[[], bool],
        peers: Callable[[], Iterable[int]],
        ask: Callable[[int, bytes, float], Awaitable[bytes]],
        raise_alarm: Callable[[AlarmRequest], Awaitable[object]],
        read_barrier: Callable[[], Awaitable[None]],
    ) -> None:
        self._world = world
        self._store = store
        self._alarms = alarms
        self._interval_s = interval_s
        self._leads = leads
        self._peers = peers
        self._ask = ask
        self._raise_alarm = raise_alarm
        self._read_barrier = read_barrier

    async def run(self) -> None:
        """Compare the data once every interval, while this member is leader. Does not return."""
        while True:
            await self._world.clock.sleep(self._interval_s)
            if not self._leads():
                continue
            try:
                await self._check()
            except (RpcError, ProposalDropped, CompactedRevision) as problem:
                self._world.log("warn", "cannot check for corruption", why=str(problem))

    async def check_at_start(self) -> list[int]:
        """Compare this member's data with its peers' data, and return the peers whose data differs.

        A peer that cannot be reached, or has compacted to another revision, is skipped.
        """
        own = self._store.hash_kv(self._store.revision)
        differing = []
        for peer in self._peers():
            found = await self._hash_of(peer, own, START_TRIES)
            if found is None or found.compact_revision != own.compact_revision:
                self._world.log(
                    "warn", "cannot compare the data with that of a peer", peer=f"{peer:x}",
                    revision=own.hash_revision,
                )
            elif differs(own, found):
                differing.append(peer)
        return differing

    async def _hash_of(self, peer: int, own: HashResult, tries: int) -> HashResult | None:
        """Return a peer's hash at the revision of `own`, or None if the peer does not answer."""
        question = msgspec.msgpack.encode(HashQuestion("hash_kv", own.hash_revision))
        for number in range(tries):
            if number:
                await self._world.clock.sleep(RETRY_S)
            try:
                answer = await self._ask(peer, question, ANSWER_TIMEOUT_S)
                return msgspec.msgpack.decode(answer, type=HashResult)
            except (ConnectionError, msgspec.MsgspecError):
                continue
        return None

    async def _check(self) -> None:
        await self._read_barrier()
        own = self._store.hash_kv(self._store.revision)
        for peer in self._peers():
            found = await self._hash_of(peer, own, TRIES)
            if found is None or self._alarms.is_raised(AlarmType.CORRUPT, peer):
                continue
            if differs(own, found):
                self._world.log(
                    "error", "the data of a peer differs", peer=f"{peer:x}",
                    revision=own.hash_revision, hash=own.hash, peer_hash=found.hash,
                )
                await self._raise_alarm(
                    AlarmRequest(AlarmAction.ACTIVATE, peer, AlarmType.CORRUPT)
                )

    def answer(self, data: bytes) -> bytes | None:
        """Answer the question of a peer with this member's hash.

        Returns None if `data` is not an encoded `HashQuestion`. Raises ConnectionError if the
        revision is compacted, or if this member has not applied it yet.
        """
        try:
            question = msgspec.msgpack.decode(data, type=HashQuestion)
        except msgspec.MsgspecError:
            return None
        try:
            return msgspec.msgpack.encode(self._store.hash_kv(question.revision))
        except (CompactedRevision, FutureRevision) as problem:
            raise ConnectionError(str(problem)) from problem


def differs(own: HashResult, other: HashResult) -> bool:
    """Return whether two hashes prove that the members have different data.

    Returns False if the members have compacted to different revisions, because such hashes cannot
    be compared.
    """
    return own.compact_revision == other.compact_revision and own.hash != other.hash
