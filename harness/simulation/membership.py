"""Changes of the members of a simulated cluster, and transfers of its leadership.

The requests are those of etcd's Cluster and Maintenance services. Changes by joint consensus are
passed directly to the leader's Raft, because the API has no request for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.simulation.cluster import (
    SimulatedCluster,
    client_url,
    other_peer_url,
    peer_url,
)
from splitbrain.nemesis.capabilities import ListedMember
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages.auth import AuthenticateRequest
from splitbrain.node.messages.cluster import (
    MemberAddRequest,
    MemberPromoteRequest,
    MemberRemoveRequest,
    MemberUpdateRequest,
    MoveLeaderRequest,
)
from splitbrain.node.messages.current_client import CALLER, Caller
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import MemberListRequest
from splitbrain.node.raft.confchange import (
    LEAVE_JOINT,
    ConfChange,
    ConfChangeSingle,
    ConfChangeType,
    Transition,
)
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.message import EntryType
from splitbrain.node.raft.ready import Role
from splitbrain.node.server import Server

TIMEOUT_S = 2.0
POLL_S = 0.02
SETTLING_S = 3.0
"""The end of a change disturbs the members for this number of seconds (`health.py`)."""


class SimulatedMembership:
    """The part of `SimulatedSystem` that changes the members of the simulated cluster.

    Implements the protocols `Resizable`, `JointlyResizable` and `Transferable`.
    """

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.administrator = Administrator()

    async def leader(self) -> MemberName | None:
        """Return the leader of the highest term that any running member knows.

        Returns None if that leader is down, or if no running member knows a leader.
        """
        known = [
            (member.server.raft.term, member.server.raft.leader)
            for member in self.cluster.members.values()
            if member.runs and member.server is not None and member.server.raft.leader
        ]
        if not known:
            return None
        _, leader = max(known, key=lambda one: one[0])
        for member in self.cluster.members.values():
            if member.server is not None and member.server.member_id == leader:
                return member.name if member.runs else None
        return None

    async def list_members(
        self, at: MemberName, *, linearizable: bool = True
    ) -> Mapping[MemberName, ListedMember]:
        """Return the members of the cluster as the member `at` lists them, with their ids."""
        request = MemberListRequest(linearizable=linearizable)
        response = await self._call(at, "cluster/member/list", request)
        places = {
            url: name for name in self.cluster.members
            for url in (peer_url(name), other_peer_url(name))
        }
        return {
            places[url]: ListedMember(member.id, member.is_learner)
            for member in response.members for url in member.peer_urls if url in places
        }

    async def add_member(self, at: MemberName, member: MemberName, *, learner: bool) -> None:
        """Ask the member `at` to add `member` to the cluster, as a learner or as a voter."""
        request = MemberAddRequest(peer_urls=(peer_url(member),), is_learner=learner)
        await self._call(at, "cluster/member/add", request)
        self.cluster.coverage.reached("a learner was added" if learner else "a voter was added")

    async def remove_member(self, at: MemberName, listed: ListedMember) -> None:
        """Ask the member `at` to remove the member `listed` from the cluster."""
        await self._call(at, "cluster/member/remove", MemberRemoveRequest(id=listed.id))
        self.cluster.coverage.reached("a member was removed")

    async def promote_member(self, at: MemberName, listed: ListedMember) -> None:
        """Ask the member `at` to promote the learner `listed` to a voter."""
        await self._call(at, "cluster/member/promote", MemberPromoteRequest(id=listed.id))
        self.cluster.coverage.reached("a learner was promoted")

    async def update_member(self, at: MemberName, member: MemberName, listed: ListedMember) -> None:
        """Ask the member `at` to give the member `listed` another peer URL of its machine.

        A member that does not serve keeps its URL, because it may not have joined yet: it joins by
        the URL with which it was added.
        """
        server, url = self.cluster.members[member].server, peer_url(member)
        if server is not None and server.member_id == listed.id:
            known = [one.peer_urls for one in server.members() if one.id == listed.id]
            url = other_peer_url(member) if (url,) in known else url
        request = MemberUpdateRequest(id=listed.id, peer_urls=(url,))
        await self._call(at, "cluster/member/update", request)
        self.cluster.coverage.reached("a member got another peer URL")

    async def clear_member(self, member: MemberName) -> None:
        """Give the machine of the removed `member` an empty disk, and start no process on it."""
        self.cluster.replace_disk(member)
        self.cluster.members[member].vacant = True

    async def fill_member(self, member: MemberName, *, start: bool) -> None:
        """Allow processes on the machine of `member`, which was added again.

        Starts a process now if `start` is True.
        """
        self.cluster.members[member].vacant = False
        if start:
            self.cluster.start(member)

    def membership_changes(self, member: MemberName, *, settled: bool) -> None:
        """Record that a change of the membership begins or ends at the machine `member`.

        `settled` is False at the begin, and True when the change has taken effect.
        """
        health = self.cluster.health
        if settled:
            health.unsettled.pop(member, None)
        else:
            health.unsettled[member] = None
        for name in self.cluster.members:
            health.disturb(name, SETTLING_S)

    def membership_lost(self, member: MemberName, why: str) -> None:
        """Report that the added `member` did not become part of the cluster, for the reason `why`.

        The report is a violation, unless the disk of a member has lost durable data.
        """
        if not any(one.disk.lost_durable_data for one in self.cluster.members.values()):
            self.cluster.invariants.violated(f"{member} was removed or demoted, and {why}")

    async def transfer_leadership(self, member: MemberName) -> None:
        """Ask the leader to hand its leadership over to `member`. Raises FaultError."""
        target = self.cluster.members[member].server
        leader = await self.leader()
        if target is None or leader is None:
            raise FaultError(f"{member} does not serve, or there is no leader")
        request = MoveLeaderRequest(target_id=target.member_id)
        await self._call(leader, "maintenance/transfer-leadership", request)
        self.cluster.coverage.reached("the leadership was transferred")

    # --- joint consensus ---------------------------------------------------------------------

    async def change_jointly(
        self, members: Sequence[MemberName], *, voters: bool, explicit: bool
    ) -> None:
        leader = await self._require_leader()
        urls = {url for one in members for url in (peer_url(one), other_peer_url(one))}
        ids = [one.id for one in leader.members() if urls & {*one.peer_urls}]

        def is_done() -> bool:
            state = leader.raft.conf_state
            left = explicit or not state.is_joint
            return left and all((one in state.voters) == voters for one in ids)

        if is_done():
            return
        kind = ConfChangeType.ADD_NODE if voters else ConfChangeType.ADD_LEARNER_NODE
        change = ConfChange(
            tuple(ConfChangeSingle(kind, one) for one in ids),
            Transition.JOINT_EXPLICIT if explicit else Transition.JOINT_IMPLICIT,
        )
        await self._propose(leader, change, is_done)
        self.cluster.coverage.reached("a joint configuration was entered")

    async def leave_joint(self) -> None:
        leader = await self._require_leader()
        if leader.raft.conf_state.is_joint:
            await self._propose(leader, LEAVE_JOINT, lambda: not leader.raft.conf_state.is_joint)

    async def _propose(
        self, leader: Server, change: ConfChange, is_done: Callable[[], bool]
    ) -> None:
        why = leader.raft.conf_change_refusal(change)
        if why:
            raise FaultError(why)
        try:
            leader.parts.driver.propose_conf_change(change)
        except ProposalDropped as dropped:
            raise FaultError(str(dropped)) from dropped
        give_up_s = self.cluster.loop.time() + TIMEOUT_S
        while not is_done():
            if self.cluster.loop.time() > give_up_s:
                raise FaultError("the change has not taken effect")
            await asyncio.sleep(POLL_S)

    async def _require_leader(self) -> Server:
        """Return the leader's server, after a read has confirmed that it leads.

        Raises FaultError if there is no leader, or if its log contains changes of the configuration
        that it has not applied.
        """
        name = await self.leader()
        if name is None:
            raise FaultError("there is no leader")
        await self.list_members(name)
        leader = self.cluster.members[name].server
        if leader is None or leader.raft.role is not Role.LEADER:
            raise FaultError("the leader has changed")
        log = leader.raft.log
        unapplied = log.between(max(log.applied, log.compacted_index) + 1, log.last_index)
        if any(entry.type is not EntryType.NORMAL for entry in unapplied):
            raise FaultError("an earlier change is not applied yet")
        return leader

    async def _call(self, at: MemberName, method: str, request: Any) -> Any:
        async def send(token: str) -> Any:
            return await self._send(at, method, request, token)

        async def log_in(name: str, password: str) -> str:
            login = AuthenticateRequest(name=name, password=password)
            return str((await self._send(at, "auth/authenticate", login, "")).token)

        return await self.administrator.send(send, log_in, FaultError)

    async def _send(self, at: MemberName, method: str, request: Any, token: str) -> Any:
        async def serve(api: Api) -> Any:
            if token:
                CALLER.set(Caller(token=token))
            return await api.methods[f"/v3/{method}"](request)

        try:
            return await self.cluster.clients.ask(client_url(at), serve, TIMEOUT_S)
        except (RpcError, OSError) as problem:
            raise FaultError(f"{method} at {at}: {problem}") from problem
