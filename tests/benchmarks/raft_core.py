"""Measures ticks, proposals and reads of the Raft core, without disk, network or encoding."""

from __future__ import annotations

import gc
from random import Random
from time import perf_counter

from splitbrain.node.raft.config import Config
from splitbrain.node.raft.message import Message
from splitbrain.node.raft.raft import Raft
from tests.benchmarks.figure import Figure


class Members:
    """Rafts that exchange messages directly; each Ready is taken and advanced at once."""

    def __init__(self, size: int) -> None:
        voters = tuple(range(1, size + 1))
        self.rafts = {m: Raft(Config(id=m, voters=voters), Random(m)) for m in voters}
        self.readies = 0
        self.committed = 0
        self.rafts[1].campaign()
        self.exchange()

    def exchange(self) -> None:
        waiting: list[Message] = []
        busy = True
        while busy:
            busy = False
            for raft in self.rafts.values():
                while raft.has_ready():
                    ready = raft.ready()
                    waiting += ready.messages
                    waiting += ready.messages_after_sync
                    raft.advance(ready)
                    self.readies += 1
                    self.committed += len(ready.committed_entries)
                    busy = True
            messages, waiting = waiting, []
            for message in messages:
                self.rafts[message.to].step(message)


def idle_tick_us(ticks: int = 1_000_000) -> float:
    """Time of a tick of a follower that has nothing to do, in µs."""
    raft = Raft(Config(id=1, voters=(1, 2, 3), election_ticks=ticks * 2), Random(1))
    began = perf_counter()
    for _ in range(ticks):
        raft.tick()
    return (perf_counter() - began) / ticks * 1e6


def idle_cluster_tick_us(ticks: int = 10_000) -> float:
    """Time of a tick of three members, with heartbeats, answers and Readies, in µs."""
    members = Members(3)
    began = perf_counter()
    for _ in range(ticks):
        for raft in members.rafts.values():
            raft.tick()
        members.exchange()
    return (perf_counter() - began) / ticks * 1e6


def has_ready_us(calls: int = 200_000) -> float:
    """Time of `has_ready()` on a leader that has nothing to do, in µs."""
    members = Members(3)
    raft = members.rafts[1]
    began = perf_counter()
    for _ in range(calls):
        raft.has_ready()
    return (perf_counter() - began) / calls * 1e6


def proposals_per_s(batch: int, proposals: int = 30_000) -> float:
    """Proposals per second that three members commit and return, `batch` proposals at a time."""
    members = Members(3)
    leader = members.rafts[1]
    data = b"x" * 256
    began = perf_counter()
    for number in range(proposals // batch):
        for _ in range(batch):
            leader.propose(data)
        members.exchange()
        if number * batch % 10_000 < batch:
            for raft in members.rafts.values():
                raft.create_snapshot(raft.log.applied)
                raft.compact(raft.log.applied)
    elapsed_s = perf_counter() - began
    assert members.committed >= proposals // batch * batch * 3
    return proposals / elapsed_s


def reads_per_s(batch: int, reads: int = 20_000) -> float:
    """ReadIndex requests per second that a leader of three answers, `batch` at a time."""
    members = Members(3)
    began = perf_counter()
    for _ in range(reads // batch):
        for number in range(batch):
            members.rafts[1].read_index(b"%d" % number)
        members.exchange()
    return reads / (perf_counter() - began)


def run() -> list[Figure]:
    gc.freeze()
    figures = [
        Figure(name="Raft: tick of an idle follower", unit="µs", value=idle_tick_us()),
        Figure(name="Raft: has_ready() of an idle leader", unit="µs", value=has_ready_us()),
        Figure(name="Raft: tick of an idle cluster of 3", unit="µs", value=idle_cluster_tick_us()),
    ]
    for batch in (1, 8, 32):
        rate = proposals_per_s(batch)
        name = f"Raft: proposals, {batch} at a time"
        figures.append(Figure(name=name, unit="proposals/s", value=rate))
    for batch in (1, 32):
        rate = reads_per_s(batch)
        name = f"Raft: ReadIndex, {batch} at a time"
        figures.append(Figure(name=name, unit="reads/s", value=rate))
    return figures
