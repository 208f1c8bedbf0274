"""Lets requests wait at this member until their entry is applied, for a limited time.

Request ids are unique in the whole life of the cluster. An id consists of bits of the member's id,
its incarnation (the number of its starts with this data), and a counter. If an id occurs twice in
the log, the same request was proposed twice.

Source: etcd's idutil, which uses the wall-clock time instead of the incarnation. The incarnation is
stored on the disk and does not depend on a clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from splitbrain.node.world import Clock, Timer

T = TypeVar("T")

INCARNATION_BITS = 20
COUNTER_BITS = 28


class RequestIds:
    """Creates the request ids of one member while its process runs."""

    def __init__(self, member: int, incarnation: int) -> None:
        prefix = (member & 0xFFFF) << INCARNATION_BITS | incarnation % (1 << INCARNATION_BITS)
        self._prefix = prefix << COUNTER_BITS
        self._count = 0

    def next(self) -> int:
        """Return an id that no request of this cluster has had before."""
        self._count += 1
        return self._prefix | self._count & ((1 << COUNTER_BITS) - 1)


class Deadline:
    """Sets an error on futures when their timeout has passed, by the member's own clock.

    The timeout is the same for all futures. Therefore they expire in the order of their
    registration, and one timer is sufficient.
    """

    def __init__(self, clock: Clock, timeout_s: float, error: Callable[[], Exception]) -> None:
        self._clock = clock
        self._timeout_ns = int(timeout_s * 1e9)
        self._error = error
        self._waiting: dict[asyncio.Future[object], int] = {}
        self._timer: Timer | None = None

    def register(self, future: asyncio.Future[object]) -> None:
        """Set the error on `future` after the timeout, unless `release` is called before."""
        self._waiting[future] = self._clock.monotonic_ns() + self._timeout_ns
        if self._timer is None:
            self._timer = self._clock.call_later(self._timeout_ns / 1e9, self._expire)

    def release(self, future: asyncio.Future[object]) -> None:
        """Forget `future`, because its result has arrived."""
        self._waiting.pop(future, None)

    def _expire(self) -> None:
        self._timer = None
        now = self._clock.monotonic_ns()
        for future, due in list(self._waiting.items()):
            if due > now:
                self._timer = self._clock.call_later((due - now) / 1e9, self._expire)
                return
            del self._waiting[future]
            if not future.done():
                future.set_exception(self._error())


class Pending(Generic[T]):
    """The requests that wait at this member, by id.

    A request's result is set when its entry is applied.
    """

    def __init__(self, deadline: Deadline, requests_max: int) -> None:
        self._deadline = deadline
        self._requests_max = requests_max
        self._futures: dict[int, asyncio.Future[T]] = {}

    def __len__(self) -> int:
        return len(self._futures)

    @property
    def full(self) -> bool:
        """Whether the maximal number of requests is waiting, so that no further one is accepted."""
        return len(self._futures) >= self._requests_max

    async def wait_for(self, request: int, begin: Callable[[], Awaitable[None]]) -> T:
        """Register `request`, call `begin`, which proposes it, and wait for its result.

        Raises the errors of `begin`, the error of the deadline, or the error that is the result of
        the request.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._futures[request] = future
        self._deadline.register(future)  # type: ignore[arg-type]
        try:
            await begin()
            return await future
        finally:
            self._deadline.release(future)  # type: ignore[arg-type]
            self._futures.pop(request, None)

    def resolve(self, request: int, result: T | Exception) -> None:
        """Set the result of `request`, if it waits at this member.

        A request that waits at another member is ignored.
        """
        future = self._futures.get(request)
        if future is None or future.done():
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
