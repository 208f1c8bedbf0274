"""The phases after all faults are healed.

The harness waits until the members agree, sends a write through each member and the final reads,
and collects the members' states.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence

from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.clients.json_messages import Status
from splitbrain.harness.clients.session import EtcdClient
from splitbrain.harness.clients.status_request import status_of
from splitbrain.harness.drive.logins import Logins
from splitbrain.harness.drive.sessions import Sessions
from splitbrain.harness.systems.system import Administered, System
from splitbrain.harness.workloads.operations_outside_load import FINAL_LOG_IN
from splitbrain.harness.workloads.workload import Draft
from splitbrain.histories.auth import Authenticate, AuthenticateResult
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.service_operation import AnyRequest, with_token

POLL_S = 0.1
BEYOND_BOUND_S = 2.0
"""A failed final operation is tried again until the bound of availability and this additional time
have passed. The checker can then decide whether the member exceeds the bound."""
ANSWERS = ("name not found", "already exists")
"""Errors that count as an answer: a user or role does not exist, or exists already."""
FINAL_WRITES_LIMIT_S = 120.0
"""The longest duration of the final writes, stalls of the harness included."""
FINAL_READS_LIMIT_S = 60.0
FINAL_PAUSE_S = 0.5
"""The time between two tries of a final write or read."""
GATHER_TIMEOUT_S = 60.0
GATHER_TRIES = 5
GATHER_PAUSE_S = 0.5


def agree(statuses: Sequence[Status | None]) -> bool:
    """Return whether every member answered, and the answers agree.

    Two answers agree if they contain the same leader, applied index and revision. A member that did
    not answer has None in `statuses`.
    """
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
    client: EtcdClient, system: System, members: Sequence[str], timeout_ms: int
) -> int | None:
    """Wait until all members agree. Returns their revision, or None after `timeout_ms`."""
    administrator = system.administrator if isinstance(system, Administered) else Administrator()
    deadline = asyncio.get_running_loop().time() + timeout_ms / 1000
    while True:
        urls = [system.address(member).client_url for member in members]
        statuses = await asyncio.gather(*(status_of(client, url, administrator) for url in urls))
        if agree(statuses) and statuses[0] is not None:
            return statuses[0].header.revision
        if asyncio.get_running_loop().time() >= deadline:
            return None
        await asyncio.sleep(POLL_S)


class FinalOperations:
    """Sends and records the operations before the load, and those at the end of a run.

    `processes` yields process numbers that no client of the load uses. Each attempt gets another
    number.
    """

    def __init__(self, sessions: Sessions, processes: Iterator[int]) -> None:
        self._sessions = sessions
        self._processes = processes
        self._logins = Logins()

    async def settle(
        self, members: Sequence[str], drafts: Sequence[Draft], limit_s: float = FINAL_READS_LIMIT_S
    ) -> None:
        """Send each of the operations `drafts` to one member after the other, until it succeeds.

        After `limit_s` seconds in total, operations that have not succeeded are left out.
        """
        deadline = asyncio.get_running_loop().time() + limit_s
        for draft in drafts:
            for member in itertools.cycle(members):
                if await self._answers(member, draft):
                    break
                if asyncio.get_running_loop().time() >= deadline:
                    return
                await asyncio.sleep(FINAL_PAUSE_S)

    async def write_through(
        self,
        members: Sequence[str],
        draft_of: Callable[[str], Draft | None],
        until: Callable[[], bool],
    ) -> None:
        """Send a write through each of `members`, until it is answered or `until` returns True.

        The writes to the members are sent concurrently, so that a member that does not answer does
        not delay the others. `draft_of` creates the write of a unique value, or returns None for no
        write.
        """
        await asyncio.gather(
            *(self._write_through(member, draft_of, until) for member in members)
        )

    async def _write_through(
        self, member: str, draft_of: Callable[[str], Draft | None], until: Callable[[], bool]
    ) -> None:
        attempt = 1
        while (draft := draft_of(f"{member}.{attempt}")) is not None:
            if await self._answers(member, draft) or until():
                return
            attempt += 1
            await asyncio.sleep(FINAL_PAUSE_S)

    async def read(
        self,
        members: Sequence[str],
        drafts: Sequence[Draft],
        *,
        after_s: float = 0.0,
        limit_s: float = FINAL_READS_LIMIT_S,
    ) -> None:
        """Wait for `after_s` seconds, then send each of the reads `drafts` to each of `members`.

        A read that fails is sent again until `limit_s` seconds have passed since the first read.
        After that, each remaining read is sent once.
        """
        if after_s:
            await asyncio.sleep(after_s)
        deadline = asyncio.get_running_loop().time() + limit_s
        for member in members:
            for draft in drafts:
                while not await self._answers(member, draft):
                    if asyncio.get_running_loop().time() >= deadline:
                        break
                    await asyncio.sleep(FINAL_PAUSE_S)

    async def _answers(self, member: str, draft: Draft) -> bool:
        """Send and record one attempt of the operation `draft`. Returns whether it was answered.

        An attempt was answered if it succeeded, or ended with one of the errors `ANSWERS`. If a
        login is necessary and does not succeed, the operation is not sent.
        """
        if self._logins.lacks(draft.user):
            login = Authenticate(draft.user, draft.password)
            await self._send(member, FINAL_LOG_IN, login, draft.user)
            if self._logins.lacks(draft.user):
                return False
        request = with_token(draft.request, self._logins.token(draft.user))
        return await self._send(member, draft.f, request, draft.user)

    async def _send(self, member: str, f: str, request: AnyRequest, user: str) -> bool:
        process = next(self._processes)
        completion = await self._sessions.invoke(process, f, request, member)
        await self._sessions.close(process)
        if isinstance(completion.result, AuthenticateResult):
            self._logins.learn(user, completion.result.token)
        elif completion.outcome != "ok":
            self._logins.refused(user, completion.error)
        return completion.outcome == "ok" or any(one in completion.error for one in ANSWERS)


async def gather_states(
    system: System, members: Sequence[str], revision: int | None
) -> tuple[MemberState, ...]:
    """Read every member's state, with its hash at `revision`.

    If a member cannot be read, its state contains the error. A write with an unknown outcome may be
    applied while the states are read. Therefore, if the states have different revisions, all of
    them are read again, up to `GATHER_TRIES` times in total.
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
