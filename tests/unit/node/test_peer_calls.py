"""Members ask each other over two links, one in each direction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from splitbrain.node.peer_calls import PeerCalls
from splitbrain.node.world import PeerLink, World
from tests.unit.lease.manual_clock import ManualClock


class Link:
    """A link that delivers each frame at once, unless it is cut."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self.deliver = deliver
        self.cut = self.closed = False

    def send(self, frame: bytes) -> bool:
        if not self.cut:
            self.deliver(frame)
        return not self.closed

    def close(self) -> None:
        self.closed = True


class OneMember:
    """The member `number`, which answers questions with `answers`."""

    def __init__(self, number: int, clock: ManualClock) -> None:
        self.number = number
        self.clock = clock
        self.peers: dict[int, OneMember] = {}
        self.urls: dict[int, str] = {}
        self.links: list[Link] = []
        self.tasks: list[asyncio.Future[None]] = []
        self.asked = 0
        self.calls = PeerCalls(
            cast("World", self), self._dial, url_of=self._url_of, answer=self._answer,
            number=self._next,
        )

    def know(self, other: OneMember, url: str) -> None:
        self.peers[other.number], self.urls[other.number] = other, url

    def spawn(self, work: Awaitable[None], _name: str) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    def log(self, _level: str, _message: str, **_fields: object) -> None:
        return

    def _dial(self, peer: int, _queue_bytes_max: int) -> PeerLink:
        link = Link(lambda frame: self.peers[peer].calls.take(self.number, frame))
        self.links.append(link)
        return cast("PeerLink", link)

    def _url_of(self, peer: int) -> str:
        if peer not in self.urls:
            raise ConnectionError("not a member")
        return self.urls[peer]

    def _next(self) -> int:
        self.asked += 1
        return self.asked

    async def _answer(self, question: bytes) -> bytes:
        if question == b"refuse":
            raise ConnectionError
        return question.upper()


def pair() -> tuple[OneMember, OneMember]:
    clock = ManualClock()
    one, other = OneMember(1, clock), OneMember(2, clock)
    one.know(other, "http://other")
    other.know(one, "http://one")
    return one, other


def test_a_question_is_answered() -> None:
    async def ask() -> list[bytes]:
        one, other = pair()
        return [
            await one.calls.ask(2, b"a", 1.0), await one.calls.ask(2, b"b", 1.0),
            await other.calls.ask(1, b"c", 1.0),
        ]

    assert asyncio.run(ask()) == [b"A", b"B", b"C"]


def test_a_refused_question_has_no_answer() -> None:
    async def ask() -> None:
        one, _ = pair()
        with pytest.raises(ConnectionError, match="refused"):
            await one.calls.ask(2, b"refuse", 1.0)

    asyncio.run(ask())


def test_a_question_that_gets_lost_times_out() -> None:
    async def ask() -> None:
        one, _ = pair()
        await one.calls.ask(2, b"a", 1.0)
        one.links[0].cut = True
        waiting = asyncio.ensure_future(one.calls.ask(2, b"b", 1.0))
        await asyncio.sleep(0)
        one.clock.advance(1.1)
        with pytest.raises(ConnectionError, match="did not answer"):
            await waiting

    asyncio.run(ask())


def test_a_peer_with_another_url_is_dialled_again() -> None:
    async def ask() -> None:
        one, other = pair()
        await one.calls.ask(2, b"a", 1.0)
        one.know(other, "http://elsewhere")
        await one.calls.ask(2, b"b", 1.0)
        assert [link.closed for link in one.links] == [True, False]

    asyncio.run(ask())


def test_a_removed_member_is_neither_asked_nor_answered() -> None:
    async def ask() -> None:
        one, other = pair()
        await one.calls.ask(2, b"a", 1.0)
        del one.urls[2]
        with pytest.raises(ConnectionError, match="not connected"):
            await one.calls.ask(2, b"b", 1.0)
        assert one.links[0].closed
        waiting = asyncio.ensure_future(other.calls.ask(1, b"c", 1.0))
        await asyncio.sleep(0)
        await asyncio.gather(*one.tasks)
        other.clock.advance(1.1)
        with pytest.raises(ConnectionError):
            await waiting

    asyncio.run(ask())
