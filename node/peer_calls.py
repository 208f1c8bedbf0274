"""Sends questions from one member to another. Each question gets one answer.

Links between members carry frames in one direction. A question is therefore sent over this member's
link to the peer, and the answer over the peer's link to this member. Questions have links of their
own, separate from those of Raft's messages. A link is opened when it is first used.

A question or its answer can get lost. The caller then asks again.

Source: etcd's members, which ask each other over HTTP at their peer URLs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from splitbrain.node.raft.message import MemberId
from splitbrain.node.world import PeerLink, Timer, World

QUEUE_BYTES_MAX = 4 * 1024**2
ANSWERING_MAX = 5000
"""The maximal number of questions that this member answers at the same time.

Further questions get no answer.
"""

AnswerQuestion: TypeAlias = Callable[[bytes], Awaitable[bytes]]


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """A question, or the answer that has the same `number`.

    An answer without data means that the peer refuses to answer.
    """

    number: int
    is_answer: bool
    data: bytes | None


class PeerCalls:
    """Asks the peers of one member questions, and answers theirs.

    `dial` opens a link to a peer, and `url_of` returns the URL of the peer. Both raise
    ConnectionError if the peer is not a member. `answer` answers a question of a peer, and raises
    ConnectionError if this is impossible. `number` returns a new number for each question. After a
    restart, it does not repeat earlier numbers.
    """

    def __init__(
        self,
        world: World,
        dial: Callable[[MemberId, int], PeerLink],
        *,
        url_of: Callable[[MemberId], str],
        answer: AnswerQuestion,
        number: Callable[[], int],
    ) -> None:
        self._world = world
        self._dial = dial
        self._url_of = url_of
        self._answer = answer
        self._number = number
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Frame).decode
        self._links: dict[MemberId, tuple[str, PeerLink]] = {}
        """For each peer, the link to it and the URL to which the link connects."""
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._answering = 0

    async def ask(self, peer: MemberId, data: bytes, timeout_s: float) -> bytes:
        """Ask `peer`, and return its answer.

        Raises ConnectionError if the peer is not connected, refuses, or does not answer in time.
        The peer may have acted on the question nevertheless.
        """
        number = self._number()
        if not self._send(peer, Frame(number, False, data)):
            raise ConnectionError("not connected")
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        timer = self._expire_later(future, timeout_s)
        try:
            return await future
        finally:
            timer.cancel()
            del self._asked[number]

    def take(self, peer: MemberId, frame: bytes) -> None:
        """Process a frame that `peer` sent: a question, or an answer."""
        try:
            given = self._decode(frame)
        except msgspec.MsgspecError as problem:
            self._world.log("warn", "dropped a malformed frame", error=str(problem))
            return
        if not given.is_answer:
            if given.data is not None and self._answering < ANSWERING_MAX:
                self._answering += 1
                self._world.spawn(self._reply(peer, given.number, given.data), "answer")
            return
        future = self._asked.get(given.number)
        if future is None or future.done():
            return
        if given.data is None:
            future.set_exception(ConnectionError("the peer refused"))
        else:
            future.set_result(given.data)

    def close(self) -> None:
        for peer in list(self._links):
            self._hang_up(peer)

    async def _reply(self, peer: MemberId, number: int, question: bytes) -> None:
        answer: bytes | None = None
        try:
            answer = await self._answer(question)
        except ConnectionError:
            pass
        finally:
            self._answering -= 1
        self._send(peer, Frame(number, True, answer))

    def _send(self, peer: MemberId, frame: Frame) -> bool:
        """Send a frame over the link to the peer's present URL. Return whether it was sent."""
        try:
            url = self._url_of(peer)
            if peer in self._links and self._links[peer][0] != url:
                self._hang_up(peer)
            if peer not in self._links:
                self._links[peer] = url, self._dial(peer, QUEUE_BYTES_MAX)
        except ConnectionError:
            self._hang_up(peer)
            return False
        return self._links[peer][1].send(self._encode(frame))

    def _hang_up(self, peer: MemberId) -> None:
        if peer in self._links:
            self._links.pop(peer)[1].close()

    def _expire_later(self, future: asyncio.Future[bytes], timeout_s: float) -> Timer:
        def expire() -> None:
            if not future.done():
                future.set_exception(ConnectionError("the peer did not answer"))

        return self._world.clock.call_later(timeout_s, expire)
