"""A member refuses writes while many committed entries wait to be applied."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from splitbrain.node import server as server_module
from splitbrain.node.apply.applier import Applier
from splitbrain.node.messages import errors
from splitbrain.node.messages.rpc import PutRequest, RangeRequest
from splitbrain.node.raft.message import Entry
from tests.simulation.three_members import ThreeMembers, run_three

PUT, RANGE = "/v3/kv/put", "/v3/kv/range"
LIMIT = 5


class SlowApplier:
    """Holds back the entries of one member."""

    def __init__(self, applier: Applier) -> None:
        self._apply = applier._apply_entry
        self.goes_on = asyncio.Event()
        applier._apply_entry = self._wait_and_apply  # type: ignore[method-assign]

    async def _wait_and_apply(self, entry: Entry) -> None:
        await self.goes_on.wait()
        await self._apply(entry)


async def writes_are_refused_while_entries_wait(members: ThreeMembers) -> None:
    slow = members.cluster.members["n1"].server
    assert slow is not None
    await members.sleep(2.0)
    await members.call("n1", PUT, PutRequest(b"applied", b"v"))
    held = SlowApplier(slow.parts.applier)
    for number in range(LIMIT):
        await members.call("n2", PUT, PutRequest(b"k%d" % number, b"v"))
    await members.sleep(1.0)
    waiting = asyncio.ensure_future(members.refusal("n1", PUT, PutRequest(b"at the limit", b"v")))
    await members.sleep(1.0)
    assert not waiting.done()
    too_many = errors.too_many_requests().message
    assert await members.refusal("n1", PUT, PutRequest(b"refused", b"v")) == too_many
    assert not await members.refusal("n1", RANGE, RangeRequest(b"k0", serializable=True))
    assert not await members.refusal("n3", PUT, PutRequest(b"elsewhere", b"v"))
    held.goes_on.set()
    assert await waiting == ""
    assert not await members.refusal("n1", PUT, PutRequest(b"later", b"v"))
    assert not (await members.call("n1", RANGE, RangeRequest(b"refused"))).kvs


def test_writes_are_refused_while_more_entries_wait_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server_module.UNAPPLIED_ENTRIES_MAX == 5000, "etcd's limit"
    monkeypatch.setattr(server_module, "UNAPPLIED_ENTRIES_MAX", LIMIT)
    run_three(tmp_path, writes_are_refused_while_entries_wait)


def test_a_member_without_the_limit_fails_the_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module.Server, "_refuse_when_overloaded", lambda self: None)
    with pytest.raises(AssertionError):
        run_three(tmp_path, writes_are_refused_while_entries_wait)
