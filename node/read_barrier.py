"""Makes a read linearizable: gets the leader's commit index, and waits until it is applied here.

All waiting reads share one round, which asks the leader once. The next round starts when the
current round is answered. The number of messages therefore does not depend on the number of reads.

Source: Raft thesis, 6.4; etcd's `linearizableReadLoop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from splitbrain.node.raft.message import Index
from splitbrain.node.raft.ready import ReadState
from splitbrain.node.waiting_requests import Deadline, RequestIds
from splitbrain.node.world import Clock, Timer

RETRY_S = 0.5
"""After this time, in seconds, a round without an answer asks again.

Source: etcd's readIndexRetryTime.
"""


class ReadBarrier:
    """Makes reads wait until this member has applied the leader's commit index.

    `ask(context)` requests a read index from Raft. Raft's answer is passed to `confirmed`.
    `applied` returns the index up to which this member has applied entries.

    A context is a request id, which is unique in the whole life of the cluster. A member therefore
    never accepts an answer to another member's round, or to its own round before a restart.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        deadline: Deadline,
        ids: RequestIds,
        ask: Callable[[bytes], None],
        applied: Callable[[], Index],
    ) -> None:
        self._clock = clock
        self._deadline = deadline
        self._ids = ids
        self._ask = ask
        self._applied = applied
        self._round = 0
        self._asked: list[asyncio.Future[None]] = []
        self._next: list[asyncio.Future[None]] = []
        self._behind: list[tuple[Index, list[asyncio.Future[None]]]] = []
        self._retry: Timer | None = None
        self._starting = False

    async def wait(self) -> None:
        """Wait until this member has applied all entries that were committed at the call.

        Raises an error if the read takes too long, or the error that is passed to `leader_changed`.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next.append(future)
        self._deadline.register(future)  # type: ignore[arg-type]
        if not self._asked and not self._starting:
            # With call_soon, reads that arrive in the same iteration of the event loop join the
            # round.
            self._starting = True
            asyncio.get_running_loop().call_soon(self._begin_round)
        try:
            await future
        finally:
            self._deadline.release(future)  # type: ignore[arg-type]

    def _begin_round(self) -> None:
        self._starting = False
        self._asked = [future for future in self._next if not future.done()]
        self._next = []
        if not self._asked:
            return
        self._round = self._ids.next()
        self._send()

    def _send(self) -> None:
        self._asked = [future for future in self._asked if not future.done()]
        if not self._asked:
            self._end_round()
            return
        self._retry = self._clock.call_later(RETRY_S, self._send)
        self._ask(self._round.to_bytes(8, "big"))

    def confirmed(self, state: ReadState) -> None:
        """Process Raft's answer to the current round. Answers to earlier rounds are ignored."""
        if int.from_bytes(state.context, "big") != self._round or not self._asked:
            return
        waiting, self._asked = self._asked, []
        self._behind.append((state.index, waiting))
        self.advanced(self._applied())
        self._end_round()

    def _end_round(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._next and not self._starting:
            self._begin_round()

    def advanced(self, applied: Index) -> None:
        """Release the reads that wait for an index of at most `applied`."""
        if not self._behind:
            return
        remaining: list[tuple[Index, list[asyncio.Future[None]]]] = []
        for index, waiting in self._behind:
            if index > applied:
                remaining.append((index, waiting))
                continue
            for future in waiting:
                if not future.done():
                    future.set_result(None)
        self._behind = remaining

    def leader_changed(self, error: Exception) -> None:
        """Let the current round's reads fail with `error`. The old leader may never answer them."""
        waiting, self._asked = self._asked, []
        for future in waiting:
            if not future.done():
                future.set_exception(error)
        self._end_round()
