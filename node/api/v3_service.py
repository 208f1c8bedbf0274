"""Implements the v3 services as functions from a request value to a response value.

The services check requests, read the store and propose writes. They do not depend on how requests
are transported: the gRPC server, the HTTP server and the simulated client call the same functions.

Source: etcd 3.5.1, `server/etcdserver/api/v3rpc` and `v3_server.go`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from msgspec.structs import replace

from splitbrain.node.api import health_service
from splitbrain.node.api.auth_service import AuthHandlers
from splitbrain.node.api.cluster_handlers import ClusterHandlers
from splitbrain.node.api.election_service import ElectionHandlers
from splitbrain.node.api.lease_service import LeaseHandlers
from splitbrain.node.api.lock_service import LockHandlers
from splitbrain.node.api.maintenance_service import MaintenanceHandlers, check_admin
from splitbrain.node.api.member_interface import AdminPort, MemberPort
from splitbrain.node.api.methods import BY_KEY
from splitbrain.node.api.request_metrics import timed, timed_stream
from splitbrain.node.api.required_leader import StreamHandler, requiring_leader
from splitbrain.node.api.wait_queue import with_client_errors
from splitbrain.node.api.watch import WatchStream
from splitbrain.node.apply.range_read import read_range
from splitbrain.node.apply.store_requests import read_txn
from splitbrain.node.messages import errors, protobuf_size, validation
from splitbrain.node.messages.current_client import CALLER
from splitbrain.node.messages.internal_request import OperationResponse
from splitbrain.node.messages.rpc import (
    AlarmRequest,
    AlarmResponse,
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    DeleteRangeResponse,
    HashKVRequest,
    HashKVResponse,
    HashRequest,
    HashResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    ResponseHeader,
    StatusRequest,
    StatusResponse,
    TxnRequest,
    TxnResponse,
    WatchRequest,
    WatchResponse,
    WriteRequest,
)
from splitbrain.node.metrics import Metrics
from splitbrain.node.mvcc.revision import CompactedRevision, FutureRevision
from splitbrain.node.world import DiskError

# The size by which a gRPC message may exceed the largest request. Source: etcd's
# grpcOverheadBytes.
MESSAGE_OVERHEAD_BYTES = 512 * 1024

# The overhead of a message is less than this. A request whose payload is smaller than a limit by
# this many bytes cannot exceed the limit, so it need not be measured exactly.
_SURELY_SMALL_BYTES = 64 * 1024


Handler = Callable[[Any], Awaitable[Any]]

Answer = TypeVar(
    "Answer",
    PutResponse,
    RangeResponse,
    DeleteRangeResponse,
    TxnResponse,
    CompactionResponse,
)


def _time_maintenance(
    unary: dict[str, Handler], streams: dict[str, StreamHandler], metrics: Metrics
) -> None:
    """Replace the handlers of slow maintenance requests by handlers that measure their times."""
    for method, durations in (
        ("/v3/maintenance/hash", metrics.hashing),
        ("/v3/maintenance/hashkv", metrics.hashing_revision),
        ("/v3/maintenance/defragment", metrics.defragmentation),
    ):
        unary[method] = timed(unary[method], durations)
    snapshot = "/v3/maintenance/snapshot"
    streams[snapshot] = timed_stream(streams[snapshot], metrics.snapshot)


class Api:
    """The v3 services of one member: a handler for each of `METHODS`. Handlers raise RpcError.

    `methods` contains the handlers of unary methods by their routes, such as "/v3/kv/put".
    `streams` contains the handlers of all other methods. Such a handler returns an iterator over
    the responses. Its argument is an iterator over the requests if the client sends a stream, and
    otherwise the request.
    """

    def __init__(
        self,
        member: MemberPort,
        *,
        metrics: Metrics | None = None,
        admin: AdminPort | None = None,
    ) -> None:
        self.member = member
        self.metrics = metrics
        self.admin = admin
        leases = LeaseHandlers(member)
        locks = LockHandlers(member, self, leases)
        elections = ElectionHandlers(member, self, leases)
        maintenance = MaintenanceHandlers(member)
        cluster = ClusterHandlers(member)
        auth = AuthHandlers(member)
        unary: dict[str, Handler] = {
            "/grpc.health.v1.Health/Check": health_service.check,
            "/v3/kv/put": self.put,
            "/v3/kv/range": self.range,
            "/v3/kv/deleterange": self.delete_range,
            "/v3/kv/txn": self.txn,
            "/v3/kv/compaction": self.compact,
            "/v3/lease/grant": leases.grant,
            "/v3/lease/revoke": leases.revoke,
            "/v3/lease/timetolive": leases.time_to_live,
            "/v3/lease/leases": leases.leases,
            "/v3/lock/lock": with_client_errors(locks.lock),
            "/v3/lock/unlock": with_client_errors(locks.unlock),
            "/v3/election/campaign": with_client_errors(elections.campaign),
            "/v3/election/proclaim": with_client_errors(elections.proclaim),
            "/v3/election/leader": with_client_errors(elections.leader),
            "/v3/election/resign": with_client_errors(elections.resign),
            "/v3/maintenance/status": self.status,
            "/v3/maintenance/hash": self.hash,
            "/v3/maintenance/hashkv": self.hash_kv,
            "/v3/maintenance/alarm": self.alarm,
            "/v3/maintenance/defragment": maintenance.defragment,
            "/v3/maintenance/downgrade": maintenance.downgrade,
            "/v3/maintenance/transfer-leadership": cluster.move_leader,
            "/v3/cluster/member/list": cluster.list,
            "/v3/cluster/member/add": cluster.add,
            "/v3/cluster/member/remove": cluster.remove,
            "/v3/cluster/member/update": cluster.update,
            "/v3/cluster/member/promote": cluster.promote,
            **auth.methods(),
        }
        streams: dict[str, StreamHandler] = {
            "/grpc.health.v1.Health/Watch": health_service.watch,
            "/v3/watch": self.watch,
            "/v3/lease/keepalive": leases.keep_alive,
            "/v3/election/observe": elections.observe,
            "/v3/maintenance/snapshot": maintenance.snapshot,
        }
        assert {*unary, *streams} == BY_KEY.keys(), "each method has one handler"
        if metrics is not None:
            _time_maintenance(unary, streams, metrics)
        self.streams = {
            method: requiring_leader(member, handle) for method, handle in streams.items()
        }
        self.methods = {
            method: self._stopping_with_the_disk(method, handle)
            for method, handle in unary.items()
        }

    def _stopping_with_the_disk(self, method: str, handle: Handler) -> Handler:
        """Return `handle` with checks of the disk and of the leader.

        If the disk fails during a request, the request is refused and the member stops. A request
        is also refused if its client requires a leader and the member knows no leader.
        """

        async def handle_or_stop(request: Any) -> Any:
            if CALLER.get().require_leader and not self.member.status().leader:
                raise errors.no_leader()
            try:
                return await handle(request)
            except DiskError as problem:
                self.member.failed(method, problem)
                raise errors.corrupt() from problem

        return handle_or_stop

    # --- KV -----------------------------------------------------------------------

    async def put(self, request: PutRequest) -> PutResponse:
        self._check_message(len(request.key) + len(request.value), request)
        validation.check_put(request)
        response = await self._propose(request)
        assert isinstance(response, PutResponse)
        return self._from_here(response)

    async def range(self, request: RangeRequest) -> RangeResponse:
        validation.check_range(request)
        if not request.serializable:
            await self.member.linearizable_read()
        auth = self.member.auth
        auth.check(await auth.identity(), request)
        try:
            return self._from_here(read_range(self.member.store, request))
        except CompactedRevision:
            raise errors.compacted() from None
        except FutureRevision:
            raise errors.future_revision() from None

    async def delete_range(self, request: DeleteRangeRequest) -> DeleteRangeResponse:
        validation.check_delete_range(request)
        response = await self._propose(request)
        assert isinstance(response, DeleteRangeResponse)
        return self._from_here(response)

    async def txn(self, request: TxnRequest) -> TxnResponse:
        self._check_message(validation.payload_bytes(request), request)
        validation.check_txn(request, self.member.txn_operations_max)
        if validation.is_read_only(request):
            if not validation.is_serializable(request):
                await self.member.linearizable_read()
            auth = self.member.auth
            auth.check(await auth.identity(), request)
            return self._from_here(read_txn(self.member.store, request))
        response = await self._propose(request)
        assert isinstance(response, TxnResponse)
        return self._from_here(response)

    async def compact(self, request: CompactionRequest) -> CompactionResponse:
        response = await self._propose(request)
        assert isinstance(response, CompactionResponse)
        return self._from_here(response)

    async def _propose(self, request: WriteRequest) -> OperationResponse:
        bytes_max = self.member.request_bytes_max
        if (
            validation.payload_bytes(request) > bytes_max - _SURELY_SMALL_BYTES
            and protobuf_size.proposal_bytes(request) > bytes_max
        ):
            raise errors.request_too_large()
        return await self.member.propose(request)

    def _check_message(self, payload_bytes: int, request: PutRequest | TxnRequest) -> None:
        """Raise RpcError if the message is so large that gRPC refuses it before etcd reads it.

        `payload_bytes` is the size of the keys and values of `request`.
        """
        bytes_max = self.member.request_bytes_max + MESSAGE_OVERHEAD_BYTES
        if payload_bytes > bytes_max - _SURELY_SMALL_BYTES:
            size = protobuf_size.request_bytes(request)
            if size > bytes_max:
                raise errors.message_too_large(size, bytes_max)

    def _from_here(self, response: Answer) -> Answer:
        """Return `response` with this member's header.

        If the header of `response` contains a revision, the revision is kept, because the response
        was created from the state at this revision.
        """
        header = self.member.header()
        if response.header.revision:
            header = ResponseHeader(
                header.cluster_id, header.member_id, response.header.revision, header.raft_term
            )
        return replace(response, header=header)

    # --- Watch --------------------------------------------------------------------

    def watch(self, requests: AsyncIterator[WatchRequest]) -> AsyncGenerator[WatchResponse, None]:
        """Return an iterator over the responses to a stream of watch requests.

        The iterator does not end by itself, because the end of the requests does not end the
        watches. It ends when the caller closes it. It raises RpcError if the stream fails.
        """
        return WatchStream(self.member).run(requests)

    # --- Maintenance --------------------------------------------------

    async def status(self, _request: StatusRequest) -> StatusResponse:
        return replace(self.member.status(), header=self.member.header())

    async def hash(self, _request: HashRequest) -> HashResponse:
        """Return a hash of all data in this member's backend.

        The hash can differ between members while compacted revisions are being removed.
        """
        await check_admin(self.member)
        return HashResponse(header=self.member.header(), hash=self.member.store.hash())

    async def hash_kv(self, request: HashKVRequest) -> HashKVResponse:
        await check_admin(self.member)
        try:
            found = self.member.store.hash_kv(request.revision)
        except CompactedRevision:
            raise errors.compacted() from None
        except FutureRevision:
            raise errors.future_revision() from None
        return HashKVResponse(
            header=self.member.header(),
            hash=found.hash,
            compact_revision=found.compact_revision,
        )

    async def alarm(self, request: AlarmRequest) -> AlarmResponse:
        """List, raise or clear alarms. As in etcd, listing is replicated, too."""
        response = await self.member.propose(request)
        assert isinstance(response, AlarmResponse)
        return replace(response, header=self.member.header())
