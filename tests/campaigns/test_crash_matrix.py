"""A member that crashes before or after any step of the write path loses no acknowledged write.

This is tested for each of the eleven steps, with the leader and with a follower. The members agree
afterwards.

A case sets one failpoint at the member with the role, through the admin endpoint. It keeps a light
load on this member and on another one until the member has crashed. The log of the member must end
with the name of the failpoint. Then the member is restarted without the failpoint. When the members
agree, the complete history is judged as that of a run.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import requests

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.checkers.traces.raft_safety import check_raft_safety
from splitbrain.checkers.traces.write_path import check_write_path
from splitbrain.harness.clients.json_client import GatewayClient
from splitbrain.harness.drive.final_phase import gather_states, wait_for_agreement
from splitbrain.harness.drive.sessions import Sessions
from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.python_node import PythonNode
from splitbrain.histories.history import History
from splitbrain.histories.kv import Put, Range
from splitbrain.histories.recorder import Recorder
from splitbrain.histories.trace import read_trace
from splitbrain.node.failpoint import PANICS, STEPS

pytestmark = pytest.mark.cluster

Role = Literal["leader", "follower"]
ROLES: tuple[Role, ...] = ("leader", "follower")
MEMBERS = ("n1", "n2", "n3")

FOLLOWERS_DO = "only a member that does not lead does so"
LEADERS_DO = "only a leader does so"
NEVER_REACHED: dict[Role, dict[str, str]] = {
    "leader": {
        "follower_forward": FOLLOWERS_DO,
        "follower_wal": FOLLOWERS_DO,
        "follower_commit": FOLLOWERS_DO,
    },
    "follower": {
        "leader_receive": LEADERS_DO,
        "leader_wal": LEADERS_DO,
        "replicate": LEADERS_DO,
        "quorum_ack": LEADERS_DO,
        "leader_commit": LEADERS_DO,
    },
}
"""The steps that a role does not execute, and the reason."""

REQUEST_TIMEOUT_MS = 500
QUIET_TIMEOUT_MS = 20_000
DEATH_LIMIT_S = 5.0
ATTEMPTS_MAX = 3
"""The leader may change on a busy machine before the failpoint is reached. Then the failpoint is
set again, at most this often."""


class Matrix:
    """A cluster with one history, in which members crash repeatedly."""

    def __init__(self, folder: Path) -> None:
        # Frequent snapshots, so that some crashes happen before the beginning of the log.
        flags = ("--snapshot-count", "40", "--snapshot-catchup-entries", "10")
        self.system = PythonNode(
            ClusterSettings(
                members=MEMBERS, folder=folder, heartbeat_ms=20, election_ms=200,
                extra_args=flags, proxied=False,
            ),
            admin=True,
        )
        self._folder = folder
        self._client = GatewayClient(REQUEST_TIMEOUT_MS)
        self._recorder = Recorder(folder / "history.jsonl")
        self._sessions = Sessions(
            system=self.system, clients=self._client, recorder=self._recorder
        )
        self._processes = itertools.count()
        self._keys = itertools.count()

    async def stop(self) -> None:
        self._client.close()
        self._recorder.close()
        await self.system.stop()

    async def crash(self, role: Role, failpoint: str) -> None:
        """Crash the member with `role` at `failpoint`, and restart it."""
        for _ in range(ATTEMPTS_MAX):
            victim, other = await self._target(role)
            log = self.system.log_path(victim)
            size_before = log.stat().st_size
            await self._failpoint(requests.put, victim, failpoint)
            if await self._crashes_under_load(victim, other):
                break
            await self._failpoint(requests.delete, victim, failpoint)
        else:
            pytest.fail(f"no {role} reached {failpoint} in {ATTEMPTS_MAX} times {DEATH_LIMIT_S} s")
        last_line = json.loads(log.read_bytes()[size_before:].splitlines()[-1])
        assert (last_line["msg"], last_line["failpoint"]) == (PANICS, failpoint)
        await self.system.restart(victim)
        await self._agreement()
        await asyncio.gather(*(self._put(member) for member in MEMBERS))

    async def judge(self) -> None:
        """Judge the history since the start of the cluster by the checkers of a run."""
        revision = await self._agreement()
        states = await gather_states(self.system, MEMBERS, revision)
        traces = {}
        for member in MEMBERS:
            path = self.system.trace_path(member)
            assert path is not None
            traces[member] = tuple(read_trace(path))
        history = History.read(self._folder / "history.jsonl")
        evidence = Evidence(history, states, traces, system=self.system.name)
        for check in (check_mvcc, check_write_path, check_raft_safety):
            verdict = check(evidence)
            assert verdict.valid is True, verdict

    async def _target(self, role: Role) -> tuple[str, str]:
        """The member to crash, and another follower."""
        await self._agreement()
        leader = await self.system.leader()
        assert leader is not None
        followers = [member for member in MEMBERS if member != leader]
        return (leader if role == "leader" else followers[0]), followers[1]

    async def _crashes_under_load(self, victim: str, other: str) -> bool:
        deadline = asyncio.get_running_loop().time() + DEATH_LIMIT_S
        while self.system.alive(victim):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.gather(self._put(victim), self._put(other), self._get(other))
        return True

    async def _failpoint(self, method: Any, member: str, failpoint: str) -> None:
        url = f"{self.system.address(member).client_url}/admin/failpoints/{failpoint}"
        answer = await asyncio.to_thread(method, url, data="panic", timeout=5)
        assert answer.ok, answer.text

    async def _put(self, member: str) -> None:
        await self._call(member, "put", Put(f"k{next(self._keys)}", "v"))

    async def _get(self, member: str) -> None:
        await self._call(member, "get", Range("k", "l", limit=3))

    async def _call(self, member: str, f: str, request: Put | Range) -> None:
        """Each operation has its own process number, because any may end in `info`."""
        process = next(self._processes)
        await self._sessions.invoke(process, f, request, member)
        await self._sessions.close(process)

    async def _agreement(self) -> int:
        revision = await wait_for_agreement(self._client, self.system, MEMBERS, QUIET_TIMEOUT_MS)
        assert revision is not None, f"the members do not agree within {QUIET_TIMEOUT_MS} ms"
        return revision


@pytest.fixture(scope="module")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Matrix, asyncio.Runner]]:
    """One cluster for the cases of a role (on each worker), and the loop that it lives on."""
    with asyncio.Runner() as loop:
        matrix = Matrix(tmp_path_factory.mktemp(request.param))
        try:
            loop.run(matrix.system.start())
            yield matrix, loop
        finally:
            loop.run(matrix.stop())


def cases() -> Iterator[Any]:
    """Both roles at both edges of every step. What cannot be is skipped, with its reason.

    `make test` runs every second case: one edge of each step, and the other edge for the next.
    """
    edges = ("before", "after")
    for role, (number, step), edge in itertools.product(ROLES, enumerate(STEPS), edges):
        why_not = NEVER_REACHED[role].get(step)
        marks = [pytest.mark.skip(reason=f"{role}, {step}: {why_not}")] if why_not else []
        if edge != edges[number % 2] and not why_not:
            marks.append(pytest.mark.campaign)
        yield pytest.param(role, f"{edge}_{step}", marks=marks, id=f"{role}-{edge}_{step}")


@pytest.mark.parametrize(("cluster", "failpoint"), list(cases()), indirect=["cluster"])
def test_a_crash_at_any_step_loses_no_acknowledged_write(
    cluster: tuple[Matrix, asyncio.Runner], failpoint: str, request: pytest.FixtureRequest
) -> None:
    matrix, loop = cluster
    role = request.node.callspec.params["cluster"]
    loop.run(matrix.crash(role, failpoint))
    loop.run(matrix.judge())
