"""A schedule is drawn from a seed: the same for the same seed, and valid for its options."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_for, draw_swarm_schedule
from splitbrain.harness.drawing.swarm_options import draw_options
from splitbrain.harness.drawing.watcher_drawing import ASK_EVERY_US
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.workloads.catalogue import BUILT_IN, make_workload
from splitbrain.histories.kv import Delete, Put, Range, Txn
from splitbrain.histories.lock_and_election import Campaign, Proclaim
from splitbrain.histories.service_operation import AnyRequest

SOME = Options(time_limit_s=20, rate=100, clients=5)


def drawn(seed: int = 1, options: Options = SOME, workload: str = "kv") -> Schedule:
    return draw_for(msgspec.structs.replace(options, seed=seed), make_workload(workload, {}))


def written(request: AnyRequest) -> list[str]:
    """The values that a request may write, in either branch."""
    if isinstance(request, Put) and request.ignore_value:
        return []
    if isinstance(request, Put | Campaign | Proclaim):
        return [request.value]
    if isinstance(request, Txn):
        return [value for one in (*request.success, *request.failure) for value in written(one)]
    return []


@pytest.mark.parametrize("workload", sorted(BUILT_IN))
def test_the_same_seed_gives_the_same_schedule_in_any_process(
    workload: str, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from splitbrain.harness.drawing.schedule_drawing import draw_for; "
        "from splitbrain.harness.schedule.options import Options\n"
        "from splitbrain.harness.store.run_folder import RunFolder\n"
        "from splitbrain.harness.workloads.catalogue import make_workload\n"
        f"RunFolder(Path(sys.argv[1])).write_schedule(draw_for("
        f"Options(time_limit_s=20, rate=100, clients=5, seed=7), "
        f"make_workload({workload!r}, {{}})))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True,
                   env={"PYTHONHASHSEED": "99", "PYTHONPATH": "."})
    assert RunFolder(tmp_path).read_schedule() == drawn(7, workload=workload)


def test_another_seed_gives_another_schedule() -> None:
    assert drawn(1).clients != drawn(2).clients


@pytest.mark.parametrize("workload", sorted(BUILT_IN))
def test_no_value_is_written_twice_in_a_run(workload: str) -> None:
    values = Counter(
        value for client in drawn(workload=workload).clients
        for operation in client.operations for value in written(operation.request)
    )
    assert values
    assert max(values.values()) == 1


@pytest.mark.parametrize("workload", sorted(BUILT_IN))
def test_no_branch_of_a_transaction_writes_a_key_twice(workload: str) -> None:
    for client in drawn(workload=workload).clients:
        for operation in client.operations:
            if isinstance(operation.request, Txn):
                for branch in (operation.request.success, operation.request.failure):
                    keys = keys_written(branch)
                    assert len(keys) == len(set(keys))


def keys_written(branch: Sequence[Put | Range | Delete | Txn]) -> list[str]:
    """The keys that the branch writes, including those of nested transactions."""
    keys = []
    for one in branch:
        if isinstance(one, Txn):
            keys += keys_written(one.success)
        elif not isinstance(one, Range):
            keys.append(one.key)
    return keys


def test_all_clients_together_begin_operations_at_the_given_rate() -> None:
    schedule = drawn()
    total = sum(len(client.operations) for client in schedule.clients)
    assert 0.85 * 2000 < total < 1.15 * 2000
    for client in schedule.clients:
        assert sum(operation.think_us for operation in client.operations) < 20_000_000


def test_followers_get_their_share_of_the_operations() -> None:
    roaming = msgspec.structs.replace(SOME, bound_share=0)
    operations = [one for client in drawn(options=roaming).clients for one in client.operations]
    share = sum(one.to_follower for one in operations) / len(operations)
    assert 0.65 < share < 0.75


def test_a_bound_client_calls_one_member_and_the_others_are_as_before() -> None:
    roaming = msgspec.structs.replace(SOME, bound_share=0, clients=20, nodes=(5,))
    before = drawn(options=roaming).clients
    after = drawn(options=msgspec.structs.replace(roaming, bound_share=0.5)).clients
    members = [
        {one.member for one in client.operations} if client != unbound else set()
        for client, unbound in zip(after, before, strict=True)
    ]
    assert all(len(found) <= 1 for found in members)
    assert 5 <= sum(map(len, members)) <= 15
    assert len(set.union(*members)) > 1
    bound = [client for client, found in zip(after, members, strict=True) if found]
    assert not any(one.to_follower for client in bound for one in client.operations)
    everywhere = drawn(options=msgspec.structs.replace(roaming, bound_share=1)).clients
    assert all(len({one.member for one in client.operations}) == 1 for client in everywhere)


def test_another_kind_of_fault_changes_no_operation() -> None:
    without = drawn(options=msgspec.structs.replace(SOME, nemesis=()))
    assert without.clients == drawn().clients
    assert without.faults == ()
    assert drawn().faults


def test_the_number_of_members_is_drawn_if_it_is_not_given() -> None:
    sizes = {len(drawn(seed, msgspec.structs.replace(SOME, rate=1)).members) for seed in range(30)}
    assert sizes == {1, 3, 5}
    given = msgspec.structs.replace(SOME, rate=1, nodes=(5,))
    assert drawn(options=given).members == ("n1", "n2", "n3", "n4", "n5")


def test_a_fault_that_the_system_does_not_support_is_refused() -> None:
    with pytest.raises(BadArguments, match="does not support the fault 'pause'"):
        draw_for(SOME, make_workload("kv", {}), capabilities=("kill",))


def test_a_schedule_that_was_written_is_read_unchanged(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_schedule(drawn())
    assert RunFolder(tmp_path).read_schedule() == drawn()


@pytest.mark.parametrize(("text", "message"), [
    (None, "no schedule: "),
    ("{", "is not a JSON object with a format"),
    ('{"format": 99}', "has format 99; this Splitbrain reads format 2"),
    ('{"format": 2, "seed": "x"}', "is not a schedule"),
])
def test_a_file_that_is_not_a_schedule_is_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "schedule.json").write_text(text)
    with pytest.raises(BadArguments, match=re.escape(message)):
        RunFolder(tmp_path).read_schedule()


def test_a_run_of_the_first_release_is_refused_by_its_version(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"format": 1}')
    with pytest.raises(BadArguments, match=r"a run of Splitbrain 0\.1\.0"):
        RunFolder(tmp_path).read_schedule()


def test_a_schedule_keeps_its_fields() -> None:
    """A change of the fields needs a new format."""
    assert Schedule.__struct_fields__ == (
        "options", "seed", "members", "member_seeds", "clients", "faults", "time_limit_ms",
        "leader", "watchers", "settings", "network", "disk", "deposed_longer_by", "buggify",
        "fails_by", "format",
    )


def test_some_watchers_ask_for_progress_in_the_middle_of_a_stream() -> None:
    schedules = [draw_swarm_schedule(seed, {"workload": "watch"}) for seed in range(4)]
    streams = [one for schedule in schedules for w in schedule.watchers for one in w.streams]
    intervals = {one.ask_every_us for one in streams}
    assert {0, *ASK_EVERY_US} == intervals
    asking = sum(1 for one in streams if one.ask_every_us)
    assert 0.1 < asking / len(streams) < 0.5


def test_many_runs_crash_members_at_disk_operations_some_of_them_alone() -> None:
    kinds = [draw_options(seed, {})["nemesis"] for seed in range(400)]
    crashing = [one for one in kinds if "disk_crash" in one]
    assert 80 < len(crashing) < 160
    assert ("disk_crash",) in crashing
    assert not any("storage" in one for one in crashing)
