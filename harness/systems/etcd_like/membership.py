"""Requests that change the members of a cluster of processes, and transfer its leadership."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp

from splitbrain.harness.clients import maintenance, membership
from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.clients.administrator_session import AdministratorSession
from splitbrain.harness.systems.disks.folder_content import delete_content
from splitbrain.harness.systems.etcd_like.request_failure import as_fault_error
from splitbrain.harness.systems.system import Address
from splitbrain.nemesis.capabilities import ListedMember
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName


class ProcessMembership(ABC):
    """Adds, removes and promotes members by etcd's API, and transfers the leadership.

    Implements `Resizable` and `Transferable` for a cluster of processes.
    """

    members: Sequence[MemberName]

    def __init__(self) -> None:
        self.administrator = Administrator()
        self._vacant: dict[MemberName, None] = {}
        """The members that were removed. No process of them may start."""
        self._joining: dict[MemberName, None] = {}
        """The members that were added while the cluster ran."""

    @abstractmethod
    def address(self, member: MemberName) -> Address: ...

    @abstractmethod
    def data_path(self, member: MemberName) -> Path: ...

    @abstractmethod
    async def leader(self) -> MemberName | None: ...

    @abstractmethod
    async def restart(self, member: MemberName) -> None: ...

    @abstractmethod
    def _require_session(self) -> aiohttp.ClientSession: ...

    def _requests(self) -> AdministratorSession:
        return AdministratorSession(self._require_session(), self.administrator)

    def cluster_state(self, member: MemberName) -> str:
        """Return the value of the flag --initial-cluster-state for the next start of the member."""
        return "existing" if member in self._joining else "new"

    async def list_members(
        self, at: MemberName, *, linearizable: bool = True
    ) -> Mapping[MemberName, ListedMember]:
        url, session = self.address(at).client_url, self._requests()
        places = {self.address(name).peer_url: name for name in self.members}
        with as_fault_error():
            listed = await membership.list_members(session, url, linearizable=linearizable)
        return {
            places[peer_url]: ListedMember(int(one.id), one.is_learner)
            for one in listed for peer_url in one.peer_urls if peer_url in places
        }

    async def add_member(self, at: MemberName, member: MemberName, *, learner: bool) -> None:
        url, peer_url = self.address(at).client_url, self.address(member).peer_url
        with as_fault_error():
            await membership.add_member(self._requests(), url, peer_url, learner=learner)

    async def remove_member(self, at: MemberName, listed: ListedMember) -> None:
        with as_fault_error():
            url = self.address(at).client_url
            await membership.remove_member(self._requests(), url, listed.id)

    async def promote_member(self, at: MemberName, listed: ListedMember) -> None:
        with as_fault_error():
            url = self.address(at).client_url
            await membership.promote_member(self._requests(), url, listed.id)

    async def update_member(self, at: MemberName, member: MemberName, listed: ListedMember) -> None:
        url, peer_url = self.address(at).client_url, self.address(member).peer_url
        with as_fault_error():
            await membership.update_member(self._requests(), url, listed.id, peer_url)

    async def clear_member(self, member: MemberName) -> None:
        self._vacant[member] = None
        self._joining[member] = None
        try:
            await asyncio.to_thread(delete_content, self.data_path(member))
        except OSError as problem:
            raise FaultError(f"the data of {member} cannot be deleted: {problem}") from problem

    async def fill_member(self, member: MemberName, *, start: bool) -> None:
        self._vacant.pop(member, None)
        if start:
            await self.restart(member)

    def membership_changes(self, member: MemberName, *, settled: bool) -> None:
        return

    def membership_lost(self, member: MemberName, why: str) -> None:
        raise FaultError(f"{member} was removed or demoted, and {why}")

    async def transfer_leadership(self, member: MemberName) -> None:
        leader = await self.leader()
        if leader is None:
            raise FaultError(f"there is no leader that could hand over to {member}")
        listed = await self.list_members(leader, linearizable=False)
        if member not in listed:
            raise FaultError(f"{member} is not in the cluster at this time")
        with as_fault_error():
            await maintenance.transfer_leadership(
                self._requests(), self.address(leader).client_url, listed[member].id
            )
