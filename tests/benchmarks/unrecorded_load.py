"""Sends the requests of a run's schedule, and records nothing.

Each client of the schedule sends its requests one after the other, each to the member to which the
run would send it. Operands that a client of a run fills in from what it has read are sent as they
were drawn.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import uvloop

from splitbrain.harness.clients.service_codec import encode_any
from splitbrain.harness.drawing.schedule_drawing import draw_for
from splitbrain.harness.drive.member_choice import choose_member
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.workloads.catalogue import make_workload
from tests.benchmarks.driver import TIME_LIMIT_S, options_of
from tests.benchmarks.load import AnsweredConnection, Tally


async def drive(seed: int, leader: str, urls: dict[str, str]) -> dict[str, float]:
    """Send requests for TIME_LIMIT_S. Returns the summary, and `cpu_us`: CPU µs per answer.

    `urls` maps the name of each member to its client URL. `leader` is the member that leads.
    """
    options = options_of(seed, "")
    schedule = draw_for(options, make_workload(options.workload, {}))
    tally = Tally()
    end_s = time.perf_counter() + TIME_LIMIT_S
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    clients = [Client(iter(one.operations), leader, urls, end_s) for one in schedule.clients]
    await asyncio.gather(*(one.open(tally) for one in clients))
    for one in clients:
        one.begin()
    await asyncio.gather(*(one.done for one in clients))
    summary = tally.summary(time.perf_counter() - began_s)
    cpu_s = time.process_time() - cpu_began_s
    return {**summary, "cpu_us": cpu_s / max(summary["ok"], 1) * 1e6}


class Client:
    """A client of the schedule. It has a connection to each member, and one open request."""

    def __init__(
        self, operations: Iterator[ScheduledOperation], leader: str, urls: dict[str, str],
        end_s: float,
    ) -> None:
        self._operations = operations
        self._leader = leader
        self._members = tuple(urls)
        self._hosts = {name: urlsplit(url).netloc for name, url in urls.items()}
        self._end_s = end_s
        self._connections: dict[str, AnsweredConnection] = {}
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, tally: Tally) -> None:
        """Open the connections."""
        loop = asyncio.get_running_loop()
        for name, host in self._hosts.items():
            address, _, port = host.partition(":")
            _, self._connections[name] = await loop.create_connection(
                partial(AnsweredConnection, self.begin, tally), address, int(port)
            )

    def begin(self) -> None:
        """Send the next request. After the last one or at the end, close all connections."""
        over = time.perf_counter() > self._end_s
        scheduled = None if over else next(self._operations, None)
        if scheduled is None:
            for one in self._connections.values():
                one.close()
            self.done.set_result(None)
            return
        member = choose_member(scheduled, self._members, self._leader)
        path, body = encode_any(scheduled.request)
        self._connections[member].send(
            b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b"
            % (path.encode(), self._hosts[member].encode(), len(body), body)
        )


if __name__ == "__main__":
    addresses = dict(one.split("=", 1) for one in sys.argv[3:])
    print(json.dumps(uvloop.run(drive(int(sys.argv[1]), sys.argv[2], addresses))))
