"""A watch reports progress only up to the events that it has sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from splitbrain.node.api.watch import WatchStream
from splitbrain.node.messages import rpc
from tests.unit.api.lone_member import LoneMember


async def requests(*messages: rpc.WatchRequest) -> AsyncIterator[rpc.WatchRequest]:
    for message in messages:
        yield message


async def take(answers: AsyncGenerator[rpc.WatchResponse, None], count: int) -> list[str]:
    found = [describe(await anext(answers)) for _ in range(count)]
    await answers.aclose()
    return found


def describe(answer: rpc.WatchResponse) -> str:
    if answer.created:
        return "created"
    revisions = [event.kv.mod_revision for event in answer.events]
    return f"{revisions} of {answer.watch_id} at {answer.header.revision}"


async def put(member: LoneMember, key: bytes) -> None:
    await member.propose(rpc.PutRequest(key, b""))


def test_an_idle_watcher_with_progress_notify_receives_progress_periodically() -> None:
    async def scenario() -> list[str]:
        member = LoneMember()
        create = rpc.WatchCreateRequest(b"a", progress_notify=True)
        answers = WatchStream(member).run(requests(create))
        first = [describe(await anext(answers)) for _ in range(3)]
        await put(member, b"a")
        await put(member, b"b")
        return first + await take(answers, 2)

    assert asyncio.run(scenario()) == [
        "created", "[] of 0 at 1", "[] of 0 at 1", "[2] of 0 at 2", "[] of 0 at 3"
    ]


def test_an_idle_watcher_without_progress_notify_receives_no_progress() -> None:
    async def scenario() -> bool:
        answers = WatchStream(LoneMember()).run(requests(rpc.WatchCreateRequest(b"a")))
        assert describe(await anext(answers)) == "created"
        try:
            await asyncio.wait_for(anext(answers), 0.1)
        except TimeoutError:
            return True
        return False

    assert asyncio.run(scenario())


def test_requested_progress_is_not_sent_before_pending_events() -> None:
    async def scenario() -> list[str]:
        member = LoneMember()
        for _ in range(3):
            await put(member, b"a")
        past = rpc.WatchCreateRequest(b"a", start_revision=2)
        answers = WatchStream(member).run(requests(past, rpc.WatchProgressRequest()))
        answered = [describe(await anext(answers)) for _ in range(2)]
        await put(member, b"a")
        return answered + await take(answers, 1)

    assert asyncio.run(scenario()) == ["created", "[2, 3, 4] of 0 at 4", "[5] of 0 at 5"]


def test_requested_progress_is_sent_to_watchers_without_pending_events() -> None:
    async def scenario() -> list[str]:
        stream = WatchStream(LoneMember())
        messages = requests(rpc.WatchCreateRequest(b"a"), rpc.WatchProgressRequest())
        return await take(stream.run(messages), 2)

    assert asyncio.run(scenario()) == ["created", "[] of -1 at 1"]


def test_requested_progress_follows_the_events_that_a_synced_watcher_waits_for() -> None:
    async def scenario() -> list[str]:
        member = LoneMember()
        both: asyncio.Queue[rpc.WatchRequest] = asyncio.Queue()

        async def later() -> AsyncIterator[rpc.WatchRequest]:
            while True:
                yield await both.get()

        await both.put(rpc.WatchCreateRequest(b"a"))
        answers = WatchStream(member).run(later())
        first = [describe(await anext(answers))]
        # The watcher's task has not sent the event when the request is read.
        await put(member, b"a")
        await both.put(rpc.WatchProgressRequest())
        return first + await take(answers, 2)

    assert asyncio.run(scenario()) == ["created", "[2] of 0 at 2", "[] of -1 at 2"]


def test_a_watcher_with_a_small_buffer_receives_all_events_in_order() -> None:
    async def scenario() -> list[str]:
        member = LoneMember()
        member.watch_buffer_bytes = 1
        answers = WatchStream(member).run(requests(rpc.WatchCreateRequest(b"a")))
        first = [describe(await anext(answers))]
        # The watcher's task does not run between these puts.
        for _ in range(3):
            await put(member, b"a")
        return first + await take(answers, 2)

    assert asyncio.run(scenario()) == ["created", "[2] of 0 at 2", "[3, 4] of 0 at 4"]


def test_fragments_are_split_at_the_limit_of_the_member() -> None:
    async def scenario() -> list[str]:
        member = LoneMember()
        member.watch_fragment_bytes = 1
        for _ in range(3):
            await put(member, b"a")
        past = rpc.WatchCreateRequest(b"a", start_revision=2, fragment=True)
        return await take(WatchStream(member).run(requests(past)), 4)

    assert asyncio.run(scenario()) == [
        "created", "[2] of 0 at 4", "[3] of 0 at 4", "[4] of 0 at 4"
    ]
