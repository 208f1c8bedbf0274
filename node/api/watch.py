"""Handles the Watch service. A stream belongs to one client, and has any number of watchers.

A client can send requests while it receives responses. Responses wait in a short queue. While the
queue is full, watchers wait, and their events stay in bounded buffers
(`splitbrain.node.mvcc.watch`). When the client ends its requests, its watches continue.

Source: etcd 3.5.1, `server/etcdserver/api/v3rpc/watch.go`, `mvcc/watcher.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial

from splitbrain.node.api.member_interface import MemberPort
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import (
    FilterType,
    ResponseHeader,
    WatchCancelRequest,
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
    WatchResponse,
)
from splitbrain.node.mvcc.key_value import Event
from splitbrain.node.mvcc.watch import WatchBatch, Watcher, event_bytes
from splitbrain.node.world import DiskError

QUEUE_MAX = 16
"""The maximal number of responses that wait for a slow client. Source: etcd's ctrlStreamBufLen."""
PAUSED_BATCHES_MAX = 4
"""In a simulation that makes rare conditions frequent, the maximal number of batches that wait in
the buffer of a watcher while its stream pauses. A watcher with more batches does not fall behind
further."""
NO_WATCH_ID = -1
"""The watch id of a response that concerns the whole stream, or a watch that was refused."""
DUPLICATE_ID = "mvcc: duplicate watch ID provided on the WatchStream"
NOT_PERMITTED = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
EMPTY_RANGE = "mvcc: watcher range is empty"


class WatchStream:
    """A watch stream of one client. `run` returns the responses."""

    def __init__(self, member: MemberPort) -> None:
        self._member = member
        self._answers: asyncio.Queue[WatchResponse | RpcError] = asyncio.Queue(
            member.watch_queue_max
        )
        self._watchers: dict[int, Watcher] = {}
        self._pumps: dict[int, asyncio.Task[None]] = {}
        self._sending: dict[int, int] = {}
        """The watchers with events that have left the buffer and are not yet in the queue. The
        value is the revision before these events."""
        self._progress_due: dict[int, bool] = {}
        """The watchers that requested progress notifications. The value is False if events were
        sent to the watcher in this interval."""
        self._ticker: asyncio.Task[None] | None = None
        self._progress_requested: int | None = None
        """A client has requested progress, and waits for a response that covers this revision."""
        self._next_id = 0

    async def run(
        self, requests: AsyncIterator[WatchRequest]
    ) -> AsyncGenerator[WatchResponse, None]:
        """Yield the responses until the caller closes the iterator.

        Raises RpcError if `requests` raises it, or if one of the stream's tasks fails. Without this
        error, the client would wait forever.
        """
        reader = asyncio.create_task(self._or_fail(lambda: self._read(requests)))
        try:
            while True:
                answer = await self._answers.get()
                if isinstance(answer, RpcError):
                    raise answer
                yield answer
        finally:
            reader.cancel()
            if self._ticker is not None:
                self._ticker.cancel()
            for pump in self._pumps.values():
                pump.cancel()
            for watcher in self._watchers.values():
                self._member.store.watches.cancel(watcher)

    async def _read(self, requests: AsyncIterator[WatchRequest]) -> None:
        async for request in requests:
            match request:
                case WatchCreateRequest():
                    await self._create(request)
                case WatchCancelRequest():
                    await self._cancel(request.watch_id)
                case WatchProgressRequest():
                    await self._request_progress()

    async def _or_fail(self, part: Callable[[], Awaitable[None]]) -> None:
        """Run a task of the stream.

        If the task raises an error, the stream ends with an RpcError.
        """
        try:
            await part()
        except RpcError as problem:
            await self._answers.put(problem)
        except Exception as problem:
            self._member.failed("a watch stream", problem)
            await self._answers.put(stream_error(problem))

    async def _create(self, request: WatchCreateRequest) -> None:
        key = request.key or b"\0"
        if not await self._permitted(key, request.range_end):
            await self._answers.put(
                WatchResponse(
                    header=self._header(),
                    watch_id=request.watch_id,
                    created=True,
                    canceled=True,
                    cancel_reason=NOT_PERMITTED,
                )
            )
            return
        refusal = self._refusal(key, request)
        if refusal:
            await self._answers.put(
                WatchResponse(
                    header=self._header(),
                    watch_id=NO_WATCH_ID,
                    created=True,
                    canceled=True,
                    cancel_reason=refusal,
                )
            )
            return
        watch_id = request.watch_id or self._free_id()
        answer = WatchResponse(header=self._header(), watch_id=watch_id, created=True)
        watcher = self._member.store.watches.create(
            key,
            request.range_end,
            start_revision=request.start_revision,
            prev_kv=request.prev_kv,
            no_put=FilterType.NOPUT in request.filters,
            no_delete=FilterType.NODELETE in request.filters,
            progress_notify=request.progress_notify,
            buffer_bytes_max=self._member.watch_buffer_bytes,
            revisions_at_once=self._member.watch_revisions_at_once,
        )
        self._watchers[watch_id] = watcher
        await self._answers.put(answer)
        if request.progress_notify:
            self._progress_due[watch_id] = True
            if self._ticker is None:
                self._ticker = asyncio.create_task(self._or_fail(self._notify_progress))
        pump = partial(self._pump, watch_id, watcher, fragment=request.fragment)
        self._pumps[watch_id] = asyncio.create_task(self._or_fail(pump))

    async def _request_progress(self) -> None:
        """Handle a client's request for progress: send one progress response for the whole stream.

        The response is sent when all events up to the present revision are sent. If a watcher is
        still reading old events, or starts at a future revision, there is no response. etcd behaves
        like this since 3.5.8. etcd 3.5.1 always sends a response, which can claim progress beyond
        events that were not sent.
        """
        revision = self._member.store.revision
        if all(one.synced and revision >= one.start_revision for one in self._active().values()):
            self._progress_requested = revision
            await self._send_requested_progress()

    async def _send_requested_progress(self) -> None:
        """Send the requested progress if all events up to the revision of the request are sent."""
        if self._progress_requested is None:
            return
        sent = min(map(self._sent, self._active()), default=self._member.store.revision)
        if sent >= self._progress_requested:
            self._progress_requested = None
            await self._answers.put(WatchResponse(header=self._header(sent), watch_id=NO_WATCH_ID))

    def _sent(self, watch_id: int) -> int:
        """Return the revision up to which all events of a watcher are sent, or wait to be sent."""
        if watch_id in self._sending:
            return self._sending[watch_id]
        return self._member.store.watches.progress(self._watchers[watch_id])

    def _active(self) -> dict[int, Watcher]:
        return {name: one for name, one in self._watchers.items() if not one.cancelled}

    def _caught_up(self, watch_id: int) -> bool:
        """Return whether all events of the watcher up to the store's revision are sent or queued.

        The result is False for a watcher that starts at a future revision. If the member sent a
        progress notification to such a watcher, its client would resume from the current revision,
        which is too early. etcd before 3.5.22 sends the notification.
        """
        store, watcher = self._member.store, self._watchers[watch_id]
        if store.revision < watcher.start_revision or watch_id in self._sending:
            return False
        return store.watches.progress(watcher) >= store.revision

    async def _notify_progress(self) -> None:
        """Notify watchers of their progress, once in each interval.

        Only watchers that requested notifications and received no events in the interval are
        notified.
        """
        while True:
            await self._member.sleep(self._member.watch_progress_interval_ms / 1000)
            for watch_id, due in list(self._progress_due.items()):
                if due and watch_id in self._watchers and self._caught_up(watch_id):
                    await self._answers.put(
                        WatchResponse(header=self._header(), watch_id=watch_id)
                    )
                if watch_id in self._progress_due:
                    self._progress_due[watch_id] = True

    async def _permitted(self, key: bytes, range_end: bytes) -> bool:
        """Return whether the client may read all keys of the range.

        As in etcd, if the range has no end, only its first key is checked.
        """
        try:
            await self._member.auth.check_read(key, range_end)
        except RpcError:
            return False
        return True

    def _refusal(self, key: bytes, request: WatchCreateRequest) -> str:
        if request.range_end not in (b"", b"\0") and key >= request.range_end:
            return EMPTY_RANGE
        if request.watch_id in self._watchers and request.watch_id:
            return DUPLICATE_ID
        return ""

    def _free_id(self) -> int:
        while self._next_id in self._watchers:
            self._next_id += 1
        self._next_id += 1
        return self._next_id - 1

    async def _cancel(self, watch_id: int) -> None:
        """Cancel a watcher.

        As in etcd, the client gets no response if the watcher does not exist.
        """
        watcher = self._watchers.pop(watch_id, None)
        if watcher is None:
            return
        self._member.store.watches.cancel(watcher)
        self._pumps.pop(watch_id).cancel()
        self._sending.pop(watch_id, None)
        self._progress_due.pop(watch_id, None)
        await self._answers.put(
            WatchResponse(header=self._header(), watch_id=watch_id, canceled=True)
        )
        await self._send_requested_progress()

    async def _pump(self, watch_id: int, watcher: Watcher, *, fragment: bool) -> None:
        while (batch := await self._next_batch(watcher)) is not None:
            self._sending[watch_id] = before(batch)
            if self._progress_due.get(watch_id):
                self._progress_due[watch_id] = False
            if batch.compact_revision:
                # etcd sends no revision in this response.
                await self._answers.put(
                    WatchResponse(
                        header=self._header(0),
                        watch_id=watch_id,
                        canceled=True,
                        compact_revision=batch.compact_revision,
                    )
                )
                self._progress_due.pop(watch_id, None)
                return
            pieces = [batch.events]
            if fragment:
                pieces = fragments(batch.events, self._member.watch_fragment_bytes)
            for number, events in enumerate(pieces, start=1):
                await self._answers.put(
                    WatchResponse(
                        header=self._header(batch.revision),
                        watch_id=watch_id,
                        fragment=number < len(pieces),
                        events=events,
                    )
                )
            del self._sending[watch_id]
            await self._send_requested_progress()

    async def _next_batch(self, watcher: Watcher) -> WatchBatch | None:
        await watcher.ready()
        if watcher.waiting <= PAUSED_BATCHES_MAX:
            await self._member.pause_watcher()
        return await watcher.next_batch()

    def _header(self, revision: int | None = None) -> ResponseHeader:
        header = self._member.header()
        return ResponseHeader(
            cluster_id=header.cluster_id,
            member_id=header.member_id,
            revision=header.revision if revision is None else revision,
            raft_term=header.raft_term,
        )


def before(batch: WatchBatch) -> int:
    """Return the revision before the first event of `batch`.

    The watcher already has all its events up to this revision. If `batch` contains no events, the
    result is the revision of `batch`.
    """
    return batch.events[0].kv.mod_revision - 1 if batch.events else batch.revision


def stream_error(problem: Exception) -> RpcError:
    """Return the error by which a client learns that its stream has failed."""
    return errors.corrupt() if isinstance(problem, DiskError) else errors.watch_failed(problem)


def fragments(events: tuple[Event, ...], bytes_max: int) -> list[tuple[Event, ...]]:
    """Split events into pieces of at most about `bytes_max` bytes, with at least one event each."""
    pieces: list[list[Event]] = [[]]
    size = 0
    for event in events:
        event_size = event_bytes(event)
        if pieces[-1] and size + event_size > bytes_max:
            pieces.append([])
            size = 0
        pieces[-1].append(event)
        size += event_size
    return [tuple(piece) for piece in pieces]
