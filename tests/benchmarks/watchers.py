"""1,000 watchers on one member of three, of which ten receive 1,000 events per second each.

Each watcher has a separate gRPC stream. Clients put `EVENTS_AT_ONCE` keys in each transaction,
and each value is the time at which the transaction was sent. A watcher of these keys measures the
delay of each event until it has received it, in the same process.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import grpc

from splitbrain.node.api.methods import BY_KEY
from splitbrain.node.api.proto.messages import message_class
from tests.benchmarks.figure import Figure, load_average
from tests.benchmarks.members import cpu_s, running
from tests.conformance.server_pair import encoded

WATCHERS, BUSY = 1_000, 10
EVENTS_PER_S = 1_000
EVENTS_AT_ONCE = 10
SECONDS = 20
STREAMS_A_CHANNEL = 100
END_S = 15.0
REQUIRED_DELAY_S = 1.0
BUSY_KEY, IDLE_KEY = b"busy/", b"idle/"
_REQUEST = message_class("etcdserverpb.WatchRequest")
_RESPONSE = message_class("etcdserverpb.WatchResponse")


class Watcher:
    """A watcher that counts the events and keeps their delays."""

    def __init__(self, channel: grpc.aio.Channel, key: bytes) -> None:
        self.events = 0
        self.last_revision = 0
        self.out_of_order = 0
        self.delays_s: list[float] = []
        self._call = channel.stream_stream(
            BY_KEY["/v3/watch"].path, request_serializer=_REQUEST.SerializeToString,
            response_deserializer=_RESPONSE.FromString,
        )()  # fmt: skip
        self._key = key

    async def open(self) -> None:
        """Create the watch, and wait until it is created."""
        create = {"key": self._key, "range_end": self._key[:-1] + b"0"}
        await self._call.write(_REQUEST(create_request=create))
        created = await self._call.read()
        assert created.created, created

    async def run(self) -> None:
        while True:
            answer: Any = await self._call.read()
            now = time.monotonic()
            for event in answer.events:
                self.events += 1
                self.delays_s.append(now - float(event.kv.value))
                self.out_of_order += event.kv.mod_revision < self.last_revision
                self.last_revision = event.kv.mod_revision

    def close(self) -> None:
        self._call.cancel()


async def _write(url: str, session: aiohttp.ClientSession) -> tuple[int, float]:
    """Write at the required rate. Returns the number of events, and the s that it took."""
    pause_s = EVENTS_AT_ONCE / EVENTS_PER_S
    count = int(SECONDS / pause_s)
    began = time.monotonic()
    written = 0

    async def send(number: int) -> None:
        nonlocal written
        value = encoded(repr(time.monotonic()).encode())
        puts = [
            {"request_put": {"key": encoded(BUSY_KEY + b"%d/%d" % (number % 50, one)),
                             "value": value}}
            for one in range(EVENTS_AT_ONCE)
        ]
        async with session.post(f"{url}/v3/kv/txn", json={"success": puts}) as answer:
            assert answer.status == 200, await answer.text()
            written += EVENTS_AT_ONCE

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number * pause_s - time.monotonic()))
            group.create_task(send(number))
    return written, time.monotonic() - began


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        async with running("ours", Path(name)) as system, aiohttp.ClientSession() as session:
            url = system.address("n1").client_url
            place = urlsplit(url).netloc
            async with contextlib.AsyncExitStack() as stack:
                channels = [
                    await stack.enter_async_context(grpc.aio.insecure_channel(
                        place, (("grpc.use_local_subchannel_pool", 1),)
                    ))
                    for _ in range(WATCHERS // STREAMS_A_CHANNEL)
                ]  # fmt: skip
                watchers = [
                    Watcher(channels[one % len(channels)], BUSY_KEY if one < BUSY else IDLE_KEY)
                    for one in range(WATCHERS)
                ]
                for one in watchers:
                    await one.open()
                busy = watchers[:BUSY]
                tasks = [asyncio.create_task(one.run()) for one in busy]
                before_s = cpu_s(system)
                written, seconds = await _write(url, session)
                deadline = time.monotonic() + END_S
                while any(one.events < written for one in busy) and time.monotonic() < deadline:
                    await asyncio.sleep(0.05)
                used_s = cpu_s(system) - before_s
                for task in tasks:
                    task.cancel()
                for one in watchers:
                    one.close()
    return _figures(busy, written, seconds, used_s)


def _figures(busy: list[Watcher], written: int, seconds: float, used_s: float) -> list[Figure]:
    delays_s = sorted(delay_s for one in busy for delay_s in one.delays_s)
    notes: dict[str, float | str] = {
        "watchers": WATCHERS, "events/s to each busy watcher": round(written / seconds),
        "seconds": round(seconds, 1), "members' CPU s": round(used_s, 1),
        "load average": load_average(),
    }  # fmt: skip
    return [
        Figure(
            name=f"events lost or out of order, of {written:,} to each of {BUSY} watchers",
            unit="events",
            value=sum(written - one.events + one.out_of_order for one in busy),
            bound=0, bound_kind="at most", notes=notes,
        ),
        Figure(
            name="longest delay of an event from its transaction's start to a watcher",
            unit="wall s", value=round(delays_s[-1], 3),
            bound=REQUIRED_DELAY_S, bound_kind="at most",
            notes={
                "median": round(delays_s[len(delays_s) // 2], 3),
                "99.9th percentile": round(delays_s[int(len(delays_s) * 0.999)], 3),
            },
        ),
    ]  # fmt: skip


def run() -> list[Figure]:
    return asyncio.run(_measure())
