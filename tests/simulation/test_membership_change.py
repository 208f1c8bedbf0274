"""Members are added, removed, promoted and replaced, and the leadership is moved."""

from __future__ import annotations

from pathlib import Path

from splitbrain.harness.simulation.cluster import peer_url
from splitbrain.node.messages import cluster, rpc
from tests.simulation.three_members import ThreeMembers, run_three

ADD = "/v3/cluster/member/add"
REMOVE = "/v3/cluster/member/remove"
UPDATE = "/v3/cluster/member/update"
PROMOTE = "/v3/cluster/member/promote"
LIST = "/v3/cluster/member/list"
MOVE = "/v3/maintenance/transfer-leadership"
SLOW = {"snapshot_count": 20, "catch_up_entries": 5}


async def ids(three: ThreeMembers, at: str = "n1") -> dict[str, int]:
    """Name → id, as the member `at` lists it."""
    response = await three.call(at, LIST, rpc.MemberListRequest())
    return {member.name or member.peer_urls[0]: member.id for member in response.members}


async def lead(three: ThreeMembers, name: str) -> None:
    """Make `name` the leader."""
    leader = await three.system.leader()
    assert leader is not None
    if leader != name:
        target = (await ids(three, leader))[name]
        await three.call(leader, MOVE, cluster.MoveLeaderRequest(target_id=target))


async def put(three: ThreeMembers, member: str, count: int) -> None:
    for number in range(count):
        request = rpc.PutRequest(key=b"k", value=str(number).encode())
        await three.call(member, "/v3/kv/put", request)


async def settle(three: ThreeMembers, seconds: float = 3.0) -> None:
    await three.sleep(seconds)


async def replace(three: ThreeMembers, name: str, at: str, *, learner: bool = False) -> int:
    """Remove the member `name`, and start a new one with the same addresses and an empty disk."""
    await three.call(at, REMOVE, cluster.MemberRemoveRequest(id=(await ids(three, at))[name]))
    await settle(three)
    three.cluster.kill(name)
    three.cluster.replace_disk(name)
    request = cluster.MemberAddRequest(peer_urls=(peer_url(name),), is_learner=learner)
    added = await three.call(at, ADD, request)
    three.cluster.start(name)
    await settle(three)
    return int(added.member.id)


def test_the_leadership_moves_to_the_named_member_at_once(tmp_path: Path) -> None:
    async def body(three: ThreeMembers) -> None:
        for name in ("n2", "n3", "n1"):
            await lead(three, name)
            assert await three.system.leader() == name
        target = cluster.MoveLeaderRequest(target_id=(await ids(three))["n2"])
        assert await three.refusal("n2", MOVE, target) == "etcdserver: not leader"
        unknown = cluster.MoveLeaderRequest(target_id=7)
        assert await three.refusal("n1", MOVE, unknown) == "etcdserver: bad leader transferee"

    run_three(tmp_path, body)


def test_a_removed_member_stops_by_itself_and_a_new_one_takes_its_place(tmp_path: Path) -> None:
    async def body(three: ThreeMembers) -> None:
        await lead(three, "n1")
        await put(three, "n1", 5)
        before = (await ids(three))["n3"]
        remove = cluster.MemberRemoveRequest(id=before)
        listed = await three.call("n1", REMOVE, remove)
        assert [member.name for member in listed.members] == ["n1", "n2"] or len(
            listed.members
        ) == 2
        await settle(three, 4.0)
        assert not three.cluster.members["n3"].alive
        assert "removed" in three.cluster.members["n3"].stop_reason
        three.cluster.replace_disk("n3")
        added = await three.call("n1", ADD, cluster.MemberAddRequest(peer_urls=(peer_url("n3"),)))
        assert added.member.id != before
        three.cluster.start("n3")
        await settle(three)
        await put(three, "n3", 3)
        assert (await ids(three, "n3")) == (await ids(three, "n1"))
        assert (await ids(three, "n3"))["n3"] == added.member.id

    run_three(tmp_path, body)


def test_a_removed_member_that_was_down_learns_of_it_when_it_returns(tmp_path: Path) -> None:
    async def body(three: ThreeMembers) -> None:
        await lead(three, "n1")
        three.cluster.kill("n3")
        remove = cluster.MemberRemoveRequest(id=(await ids(three))["n3"])
        await three.call("n1", REMOVE, remove)
        await put(three, "n1", 1)
        three.cluster.start("n3")
        await settle(three, 5.0)
        assert not three.cluster.members["n3"].alive
        assert "removed" in three.cluster.members["n3"].stop_reason

    run_three(tmp_path, body)


def test_a_leader_that_removes_itself_leaves_a_new_leader(tmp_path: Path) -> None:
    async def body(three: ThreeMembers) -> None:
        await lead(three, "n1")
        remove = cluster.MemberRemoveRequest(id=(await ids(three))["n1"])
        await three.call("n1", REMOVE, remove)
        await settle(three, 5.0)
        assert await three.system.leader() in ("n2", "n3")
        await put(three, "n2", 1)
        assert len(await ids(three, "n2")) == 2

    run_three(tmp_path, body)


def test_a_learner_gets_a_snapshot_is_promoted_and_survives_restarts(tmp_path: Path) -> None:
    async def body(three: ThreeMembers) -> None:
        await lead(three, "n1")
        await put(three, "n1", 60)
        learner = await replace(three, "n3", "n1", learner=True)
        raft = three.cluster.members["n3"].server.raft  # type: ignore[union-attr]
        assert raft.learners == (learner,)
        write = rpc.PutRequest(key=b"k", value=b"v")
        refused = await three.refusal("n3", "/v3/kv/put", write)
        assert refused == "etcdserver: rpc not supported for learner"
        second = cluster.MemberAddRequest(peer_urls=("http://n9:2380",), is_learner=True)
        refused = await three.refusal("n1", ADD, second)
        assert refused == "etcdserver: too many learner members in cluster"
        unknown = cluster.MemberPromoteRequest(id=7)
        assert await three.refusal("n2", PROMOTE, unknown) == "etcdserver: member not found"
        await three.call("n2", PROMOTE, cluster.MemberPromoteRequest(id=learner))
        for name in ("n1", "n2", "n3"):
            three.cluster.kill(name)
        for name in ("n1", "n2", "n3"):
            three.cluster.start(name)
        await settle(three, 5.0)
        await put(three, "n3", 30)
        for name in ("n1", "n2", "n3"):
            raft = three.cluster.members[name].server.raft  # type: ignore[union-attr]
            assert len(raft.voters) == 3
            assert learner in raft.voters
            assert raft.learners == ()

    run_three(tmp_path, body, **SLOW)


def test_changes_that_endanger_the_quorum_are_refused_as_in_etcd(tmp_path: Path) -> None:
    async def body(three: ThreeMembers) -> None:
        await lead(three, "n1")
        known = await ids(three)

        async def refused(route: str, request: object) -> str:
            return await three.refusal("n1", route, request)

        taken = cluster.MemberAddRequest(peer_urls=(peer_url("n2"),))
        assert await refused(ADD, taken) == "etcdserver: Peer URLs already exists"
        for urls in ((), ("n4:2380",)):
            bad = cluster.MemberAddRequest(peer_urls=urls)
            assert await refused(ADD, bad) == "etcdserver: given member URLs are invalid"
        unknown = "etcdserver: member not found"
        assert await refused(REMOVE, cluster.MemberRemoveRequest(id=7)) == unknown
        update = cluster.MemberUpdateRequest(id=7, peer_urls=("http://n4:2380",))
        assert await refused(UPDATE, update) == unknown
        assert await refused(PROMOTE, cluster.MemberPromoteRequest(id=7)) == unknown
        voter = cluster.MemberPromoteRequest(id=known["n2"])
        assert await refused(PROMOTE, voter) == "etcdserver: can only promote a learner member"
        three.cluster.kill("n3")
        await settle(three, 1.0)
        add = cluster.MemberAddRequest(peer_urls=("http://n4:2380",))
        await three.call("n1", ADD, add)
        more = cluster.MemberAddRequest(peer_urls=("http://n5:2380",))
        few = "etcdserver: re-configuration failed due to not enough started members"
        unhealthy = "etcdserver: unhealthy cluster"
        assert await refused(ADD, more) in (few, unhealthy)
        remove = cluster.MemberRemoveRequest(id=known["n2"])
        assert await refused(REMOVE, remove) in (few, unhealthy)

    run_three(tmp_path, body)


def test_a_surviving_member_forces_a_new_cluster_that_grows_again(tmp_path: Path) -> None:
    async def body(three: ThreeMembers) -> None:
        await lead(three, "n1")
        await put(three, "n1", 30)
        for name in ("n1", "n2", "n3"):
            three.cluster.kill(name)
        three.cluster.settings["force_new_cluster"] = True
        three.cluster.start("n1")
        await settle(three)
        three.cluster.settings["force_new_cluster"] = False
        found = await three.call("n1", "/v3/kv/range", rpc.RangeRequest(key=b"k"))
        assert found.kvs[0].value == b"29"
        assert [*await ids(three)] == ["n1"]
        await put(three, "n1", 3)
        three.cluster.kill("n1")
        three.cluster.start("n1")
        await settle(three)
        assert [*await ids(three)] == ["n1"]
        three.cluster.replace_disk("n2")
        await three.call("n1", ADD, cluster.MemberAddRequest(peer_urls=(peer_url("n2"),)))
        three.cluster.start("n2")
        await settle(three)
        await put(three, "n2", 3)
        assert sorted(await ids(three, "n2")) == ["n1", "n2"]

    run_three(tmp_path, body)
