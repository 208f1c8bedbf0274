"""Change logs of members are read before a compaction removes a part of them."""

from __future__ import annotations

import asyncio

from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.clients.session import EtcdClient
from splitbrain.harness.drive.change_archive import ArchivingClient, ChangeArchive
from splitbrain.harness.drive.sent_compactions import SentCompactions
from splitbrain.histories.kv import Compact, Put
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.service_operation import AnyRequest


class ScriptedSystem:
    """A system whose member has the given states, one after the other."""

    name = "scripted"

    def __init__(self, *states: MemberState) -> None:
        self._states = list(states)

    async def state(self, member: str, at_revision: int | None = None) -> MemberState:
        return self._states.pop(0)


def state(first: int, last: int) -> MemberState:
    changes = tuple(Change(one, "put", "a", str(one)) for one in range(max(first, 2), last + 1))
    return MemberState("n1", revision=last, first_revision=first, changes=changes)


def test_changes_that_were_compacted_after_a_read_are_kept() -> None:
    async def scenario() -> MemberState:
        system = ScriptedSystem(state(1, 5), state(4, 9))
        archive = ChangeArchive(system, ("n1",))  # type: ignore[arg-type]
        await archive.read()
        await archive.read()
        return archive.with_archived_changes((state(8, 12),))[0]

    assert asyncio.run(scenario()) == state(1, 12)


def test_changes_are_not_joined_across_a_gap() -> None:
    async def scenario() -> MemberState:
        archive = ChangeArchive(ScriptedSystem(state(1, 5)), ("n1",))  # type: ignore[arg-type]
        await archive.read()
        return archive.with_archived_changes((state(8, 12),))[0]

    assert asyncio.run(scenario()) == state(8, 12)


def test_a_state_that_reaches_less_far_does_not_replace_what_is_archived() -> None:
    async def scenario() -> MemberState:
        system = ScriptedSystem(state(1, 9), state(1, 5), state(20, 30))
        archive = ChangeArchive(system, ("n1",))  # type: ignore[arg-type]
        for _ in range(3):
            await archive.read()
        assert archive.covers(9)
        return archive.with_archived_changes((state(8, 30),))[0]

    assert asyncio.run(scenario()) == state(1, 30)


class RecordingClient(EtcdClient):
    """A client that records the requests that it sends."""

    def __init__(self) -> None:
        self.requests: list[AnyRequest] = []

    async def call(self, url: str, request: AnyRequest) -> Completion:
        self.requests.append(request)
        return Completion("info")


def test_a_compaction_beyond_the_archive_is_sent_only_if_the_store_must_refuse_it() -> None:
    async def scenario() -> list[Completion]:
        system = ScriptedSystem(state(1, 5), state(4, 9), state(20, 30), state(20, 30))
        archive = ChangeArchive(system, ("n1",))  # type: ignore[arg-type]
        client = ArchivingClient(client_below, archive, sent)
        return [
            await client.call("", request)
            for request in (Compact(6), Compact(9), Put("k"), Compact(25), Compact(5_000))
        ]

    client_below, sent = RecordingClient(), SentCompactions()
    outcomes = [one.outcome for one in asyncio.run(scenario())]
    assert outcomes == ["fail", "info", "info", "fail", "info"]
    assert client_below.requests == [Compact(9), Put("k"), Compact(5_000)]
    assert sent.highest == 9
