"""The phases after all faults are healed.

The harness waits until the members agree, sends the final reads, and gathers the members' states.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from splitbrain.harness.clients.messages import Status
from splitbrain.harness.drive.load import Client, record
from splitbrain.harness.systems.system import System
from splitbrain.harness.workloads.workload import Draft
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.recorder import Recorder

POLL_S = 0.1
FINAL_READS_LIMIT_S = 60.0
FINAL_READS_LIMIT_DISAGREED_S = 5.0
"""The limit if the members did not agree. More time rarely helps in that case."""
FINAL_READ_PAUSE_S = 0.5
GATHER_TIMEOUT_S = 60.0
GATHER_TRIES = 5
GATHER_PAUSE_S = 0.5


def agree(statuses: Sequence[Status | None]) -> bool:
    """Whether every member answered, with the same leader, applied index and revision."""
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


async def wait_for_agreement(
    client: Client, system: System, members: Sequence[str], timeout_ms: int
) -> int | None:
    """Wait until all members agree (`agree`). Returns their revision, or None after `timeout_ms`.

    A frame that is still in the network, such as a forwarded write, could change the members'
    states after they agreed. Therefore the function first sleeps for the longest delay of a frame,
    if the system has the attribute `in_flight_s`, which contains this delay.
    """
    await asyncio.sleep(getattr(system, "in_flight_s", 0.0))
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
    *,
    client: Client,
    recorder: Recorder,
    system: System,
    members: Sequence[str],
    drafts: Sequence[Draft],
    process: int,
    limit_s: float = FINAL_READS_LIMIT_S,
) -> None:
    """Send each read in `drafts` to each of `members`, one after the other.

    A read that fails is sent again, until `limit_s` seconds have passed since this function was
    called. After that, each remaining read is sent only once. Each attempt is recorded as an
    operation. The first process number is `process`. The number increases by one after each member,
    and after each attempt that ended in `info`.
    """
    deadline = asyncio.get_running_loop().time() + limit_s
    for member in members:
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
    """Read every member's state, with its hash at `revision`.

    If a member cannot be read, its state contains the error. If the states have different
    revisions, all of them are read again, up to `GATHER_TRIES` times in total, because a write with
    an unknown outcome may have been applied while the states were read.
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
