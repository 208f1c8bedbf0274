"""Sends the requests of a run's schedule, and records nothing.

Each client of the schedule has one connection, to one member, and sends its requests one after the
other. Operands that a client of a run fills in from what it has read are sent as they were drawn.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

import uvloop

from splitbrain.harness.clients.service_codec import encode_any
from splitbrain.harness.drawing.schedule_drawing import draw_for
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.workloads.catalogue import make_workload
from tests.benchmarks.driver import TIME_LIMIT_S, options_of
from tests.benchmarks.load import Connection, Tally


async def drive(seed: int, urls: list[str]) -> dict[str, float]:
    """Send requests for TIME_LIMIT_S. Returns the summary, and `cpu_us`: CPU µs per answer."""
    options = options_of(seed, "")
    schedule = draw_for(options, make_workload(options.workload, {}))
    loop = asyncio.get_running_loop()
    tally = Tally()
    end_s = time.perf_counter() + TIME_LIMIT_S
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    opened = []
    for number, client in enumerate(schedule.clients):
        url = urls[number % len(urls)]
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        source = requests_of(iter(client.operations), parts.netloc, end_s)
        _, connection = await loop.create_connection(
            partial(Connection, source, tally), parts.hostname, parts.port
        )
        opened.append(connection)
    await asyncio.gather(*(connection.done for connection in opened))
    summary = tally.summary(time.perf_counter() - began_s)
    cpu_s = time.process_time() - cpu_began_s
    return {**summary, "cpu_us": cpu_s / max(summary["ok"], 1) * 1e6}


def requests_of(
    operations: Iterator[ScheduledOperation], host: str, end_s: float
) -> Callable[[], bytes | None]:
    """A function that returns the next request, and None after `end_s` or the last operation."""

    def next_request() -> bytes | None:
        scheduled = None if time.perf_counter() > end_s else next(operations, None)
        if scheduled is None:
            return None
        path, body = encode_any(scheduled.request)
        return (
            b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (path.encode(), host.encode(), len(body), body)
        )

    return next_request


if __name__ == "__main__":
    print(json.dumps(uvloop.run(drive(int(sys.argv[1]), sys.argv[2:]))))
