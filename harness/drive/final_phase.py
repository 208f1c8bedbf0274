"""After the faults: wait until the members agree, read all once more, gather their state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from splitbrain.harness.clients.messages import Status
from splitbrain.harness.drive.load import Client, record
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.system import System
from splitbrain.harness.workloads.workload import Draft
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.recorder import Recorder

POLL_S = 0.1
FINAL_READS_LIMIT_S = 60.0
FINAL_READS_LIMIT_DISAGREED_S = 5.0
"""Where members did not agree in all the time they had, more of it will not help."""
FINAL_READ_PAUSE_S = 0.5
GATHER_TIMEOUT_S = 60.0
GATHER_TRIES = 5
GATHER_PAUSE_S = 0.5


def agree(statuses: Sequence[Status | None]) -> bool:
    """Every member answers, they follow one leader, and have applied the same index."""
    known = [one for one in statuses if one is not None]
    if len(known) < len(statuses) or not known:
        return False
    first = known[0]
    return first.leader != 0 and all(
        one.leader == first.leader
        and one.raft_applied_index == first.raft_applied_index
        and one.header.revision == first.header.revision
        for one in known
    )


async def wait_quiet(
    client: Client, system: System, members: Sequence[str], timeout_ms: int
) -> int | None:
    """The revision that all members agree on; None if they do not within `timeout_ms`.

    A system whose `settle_s` says so is left alone first: what was on its way when all was
    healed, a forwarded write perhaps, may still come, and the members agreed too soon.
    """
    await asyncio.sleep(getattr(system, "settle_s", 0.0))
    deadline = asyncio.get_running_loop().time() + timeout_ms / 1000
    while True:
        urls = [system.address(member).client_url for member in members]
        statuses = await asyncio.gather(*(client.status(url) for url in urls))
        if agree(statuses) and statuses[0] is not None:
            return statuses[0].header.revision
        if asyncio.get_running_loop().time() >= deadline:
            return None
        await asyncio.sleep(POLL_S)


async def final_reads(
    client: Client,
    recorder: Recorder,
    system: System,
    schedule: Schedule,
    drafts: Sequence[Draft],
    process: int,
    limit_s: float = FINAL_READS_LIMIT_S,
) -> None:
    """Send each of `drafts` to every member, as processes from number `process` on.

    One that fails is sent again while `limit_s`, the time for all of them, lasts; each
    try is an operation of its own, and each is tried once.
    """
    deadline = asyncio.get_running_loop().time() + limit_s
    for member in schedule.members:
        for draft in drafts:
            while True:
                recorder.invoke(process, draft.f, draft.request, member)
                url = system.address(member).client_url
                completion = await client.call(url, draft.request)
                if record(recorder, process, draft.f, member, completion):
                    process += 1
                late = asyncio.get_running_loop().time() >= deadline
                if completion.outcome == "ok" or late:
                    break
                await asyncio.sleep(FINAL_READ_PAUSE_S)
        process += 1


async def gather_states(
    system: System, members: Sequence[str], revision: int | None
) -> tuple[MemberState, ...]:
    """Every member's state, hashed at `revision`; one that cannot be asked says why.

    A write whose outcome nobody knows may still be proposed after the members agreed, and
    fall between their states: then all are asked again, a few times.
    """
    for _ in range(GATHER_TRIES - 1):
        states = await _states(system, members, revision)
        if len({state.revision for state in states if state.error is None}) <= 1:
            return states
        await asyncio.sleep(GATHER_PAUSE_S)
    return await _states(system, members, revision)


async def _states(
    system: System, members: Sequence[str], revision: int | None
) -> tuple[MemberState, ...]:
    return tuple(
        await asyncio.gather(*(_state(system, member, revision) for member in members))
    )


async def _state(system: System, member: str, revision: int | None) -> MemberState:
    try:
        async with asyncio.timeout(GATHER_TIMEOUT_S):
            return await system.state(member, revision)
    except Exception as problem:
        return MemberState(member, error=f"{type(problem).__name__}: {problem}")
