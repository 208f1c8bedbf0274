"""A member crashed at each of the eleven steps, as leader and as follower, before the step
and after it: no acknowledged write is lost, and the members agree."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import aiohttp
import pytest
import requests

from checkers.evidence import Evidence
from checkers.promises import check_promises
from checkers.write_path import check_write_path
from harness.systems.python_node import PythonNode
from harness.systems.settings import ClusterSettings
from histories.history import History
from histories.trace import STEPS, read_trace

pytestmark = pytest.mark.cluster

ONLY_LEADERS = ("leader_receive", "leader_wal", "replicate", "quorum_ack", "leader_commit")
ONLY_FOLLOWERS = ("follower_forward", "follower_wal", "follower_commit")
ROLES = {
    "leader": tuple(step for step in STEPS if step not in ONLY_FOLLOWERS),
    "follower": tuple(step for step in STEPS if step not in ONLY_LEADERS),
}
"""The steps that each role takes part in."""


class Matrix:
    """A cluster under a little load, one of whose members is crashed again and again."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self.system = PythonNode(
            ClusterSettings(
                members=("n1", "n2", "n3"),
                folder=folder,
                heartbeat_ms=50,
                election_ms=300,
                extra_args=("--snapshot-count", "40", "--snapshot-catchup-entries", "10"),
            ),
            admin=True,
        )
        self._session = session
        self._count = 0
        self.acknowledged: dict[str, int] = {}
        """Revisions by key."""

    async def put(self, member: str) -> None:
        """One write; if it is acknowledged it must be there for good."""
        self._count += 1
        key = f"k{self._count}"
        packed = base64.b64encode(key.encode()).decode()
        try:
            async with self._session.post(
                f"{self.system.address(member).client_url}/v3/kv/put",
                json={"key": packed, "value": packed},
                timeout=aiohttp.ClientTimeout(total=1.0),
            ) as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return
        if response.status == 200:
            self.acknowledged[key] = int(answer["header"]["revision"])

    async def leader(self) -> str:
        """One that all members know, so that roles are settled."""
        async with asyncio.timeout(20):
            while True:
                told = await self.system._statuses()
                leaders = {status.leader for status in told.values()}
                name = await self.system.leader()
                if len(told) == 3 and len(leaders) == 1 and name is not None:
                    return name
                await asyncio.sleep(0.03)

    async def crash(self, role: str, failpoint: str) -> None:
        """Let the member that has `role` die at `failpoint`, and start it again."""
        leader = await self.leader()
        others = [name for name in self.system.members if name != leader]
        victim = leader if role == "leader" else others[0]
        # So that the leader has proposals forwarded to it, and the follower has its own.
        callers = (victim, others[1])
        pid = self.system.pid(victim)
        url = f"{self.system.address(victim).client_url}/admin/failpoints/{failpoint}"
        answer = await asyncio.to_thread(requests.put, url, data="panic", timeout=5)
        assert answer.status_code == 200, answer.text
        async with asyncio.timeout(10):
            while self.system.alive(victim):
                await asyncio.gather(*(self.put(caller) for caller in callers))
        assert self.system.pid(victim) in (None, pid), "it died at the failpoint, not restarted"
        await self.system.restart(victim)
        await self.leader()
        await asyncio.gather(*(self.put(member) for member in self.system.members))

    async def judge(self) -> None:
        """All that was acknowledged is at its revision on every member, and all agree."""
        async with asyncio.timeout(20):
            while True:
                told = await self.system._statuses()
                if len(told) == 3 and len({s.raft_applied_index for s in told.values()}) == 1:
                    break
                await asyncio.sleep(0.05)
        states = [await self.system.state(member) for member in self.system.members]
        assert [state.error for state in states] == [None] * 3
        assert len({(state.hash, state.revision) for state in states}) == 1
        assert states[0].changes == states[1].changes == states[2].changes
        held = {change.key: change.revision for change in states[0].changes}
        assert {key: held.get(key) for key in self.acknowledged} == self.acknowledged
        traces = {
            member: tuple(read_trace(self.system.trace_path(member)))
            for member in self.system.members
        }
        evidence = Evidence(History.of(()), tuple(states), traces)
        for check in (check_write_path, check_promises):
            verdict = check(evidence)
            assert verdict.valid is True, verdict


@pytest.mark.parametrize("role", ROLES)
def test_no_crash_at_any_step_loses_an_acknowledged_write(role, tmp_path):
    async def crash_at_each_step() -> None:
        async with aiohttp.ClientSession() as session:
            matrix = Matrix(tmp_path, session)
            try:
                await matrix.system.start()
                for step in ROLES[role]:
                    for edge in ("before", "after"):
                        await matrix.crash(role, f"{edge}_{step}")
                await matrix.judge()
            finally:
                await matrix.system.stop()
        assert len(matrix.acknowledged) >= 3 * len(ROLES[role])

    asyncio.run(crash_at_each_step())
