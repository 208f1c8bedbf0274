"""Implements a member without peers, log or disk. It applies each proposal at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from random import Random

from splitbrain.node.alarms import Alarms
from splitbrain.node.apply.alarm_refusal import refusal
from splitbrain.node.apply.store_requests import apply
from splitbrain.node.auth.auth_requests import AuthApplier
from splitbrain.node.auth.auth_store import AuthStore
from splitbrain.node.auth.authenticator import Authenticator
from splitbrain.node.auth.tokens import SimpleTokens
from splitbrain.node.backend import Backend
from splitbrain.node.messages import rpc
from splitbrain.node.messages.auth import AuthWriteRequest
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.internal_request import ClientWrite, OperationResponse
from splitbrain.node.messages.lease import LeaseTimeToLiveResponse
from splitbrain.node.mvcc.store import Store
from splitbrain.node.storage.memory_backend import MemoryBackend


class LoneLeases:
    """Leases that never expire. The next new lease has the id 1001."""

    ttl_s_min = 2

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last_id = 1000

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def keep_alive(self, lease_id: int) -> int:
        lease = self._store.leases.get(lease_id)
        return 0 if lease is None else lease.ttl_s

    async def time_to_live(self, lease_id: int, *, keys: bool) -> LeaseTimeToLiveResponse:
        lease = self._store.leases.get(lease_id)
        if lease is None:
            return LeaseTimeToLiveResponse(id=lease_id, ttl=-1)
        return LeaseTimeToLiveResponse(
            id=lease_id, ttl=lease.ttl_s, granted_ttl=lease.ttl_s,
            keys=tuple(sorted(lease.keys)) if keys else (),
        )

    def leases(self) -> list[int]:
        return sorted(lease.id for lease in self._store.leases.all())


class LoneCluster:
    """Accepts each change of the members, without effect."""

    async def add(self, peer_urls: Sequence[str], *, learner: bool) -> rpc.Member:
        return rpc.Member(id=13, peer_urls=tuple(peer_urls), is_learner=learner)

    async def remove(self, member: int) -> None:
        pass

    async def update(self, member: int, peer_urls: Sequence[str]) -> None:
        pass

    async def promote(self, member: int) -> None:
        pass

    async def move_leader(self, target: int) -> None:
        pass


class LoneMember:
    """The part of a member that the API uses. It counts reads and records proposals."""

    cluster_id = 11
    member_id = 12
    request_bytes_max = 1_572_864
    election_timeout_s = 0.02
    txn_operations_max = 128
    watch_progress_interval_ms = 10
    watch_buffer_bytes = 1 << 20
    watch_queue_max = 16
    watch_revisions_at_once = 256
    watch_fragment_bytes = request_bytes_max + 512 * 1024

    def __init__(self) -> None:
        backend = MemoryBackend()
        self.backend: Backend = backend
        self.store = Store(backend)
        self.alarms = Alarms(backend)
        auth, tokens = AuthStore(backend), SimpleTokens(lambda: 0)
        self.auth = Authenticator(
            auth=auth,
            tokens=tokens,
            store=self.store,
            random=Random(1),
            password_cost_log2=1,
            read_barrier=self.linearizable_read,
        )
        self._auth_applier = AuthApplier(auth, tokens)
        self.leases = LoneLeases(self.store)
        self.cluster = LoneCluster()
        self.linearizable_reads = 0
        self.proposals: list[ClientWrite] = []
        self.healthy = (True, "")
        self.spawned: list[asyncio.Future[None]] = []
        self.failures: list[tuple[str, Exception]] = []

    def header(self) -> rpc.ResponseHeader:
        return rpc.ResponseHeader(self.cluster_id, self.member_id, self.store.revision, 2)

    def spawn(self, work: Awaitable[None], name: str) -> None:
        self.spawned.append(asyncio.ensure_future(work))

    async def flush_backend(self) -> None:
        await self.backend.flush()

    async def propose(self, operation: ClientWrite) -> OperationResponse:
        self.proposals.append(operation)
        refused = refusal(operation, self.alarms)
        if refused is not None:
            raise refused
        if isinstance(operation, rpc.AlarmRequest):
            return self.alarms.apply(operation)
        if isinstance(operation, AuthWriteRequest):
            return self._auth_applier.apply(operation, await self.auth.identity(), 1)
        result = apply(self.store, operation)
        if isinstance(result, RpcError):
            raise result
        return result

    async def pause_watcher(self) -> None:
        return

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def linearizable_read(self) -> None:
        self.linearizable_reads += 1

    def status(self) -> rpc.StatusResponse:
        return rpc.StatusResponse(version="3.5.1", leader=self.member_id, raft_term=2)

    def members(self) -> list[rpc.Member]:
        return [rpc.Member(self.member_id, "n1", ("http://p:1",), ("http://c:2",))]

    def failed(self, what: str, problem: Exception) -> None:
        self.failures.append((what, problem))

    def health(self, ignored_alarms: Collection[str] = ()) -> tuple[bool, str]:
        return self.healthy
