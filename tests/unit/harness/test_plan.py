import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from splitbrain.harness.drawing.draw import draw_plan
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.plan import Plan, read_plan, write_plan
from splitbrain.harness.workloads.catalogue import OURS, make_workload
from splitbrain.histories.kv import Delete, Put, Range, Txn
from splitbrain.histories.lock import Campaign, Proclaim
from splitbrain.histories.service import AnyRequest

SOME = Options(time_limit_s=20, rate=100, clients=5)


def plan(seed: int = 1, options: Options = SOME, workload: str = "kv") -> Plan:
    return draw_plan(options, seed, make_workload(workload, {}))


def written(request: AnyRequest) -> list[str]:
    """Values that a request may write, in either branch."""
    if isinstance(request, Put | Campaign | Proclaim):
        return [request.value]
    if isinstance(request, Txn):
        return [value for one in (*request.success, *request.failure) for value in written(one)]
    return []


@pytest.mark.parametrize("workload", sorted(OURS))
def test_the_same_seed_gives_the_same_plan_in_any_process(workload: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from splitbrain.harness.drawing.draw import draw_plan; "
        "from splitbrain.harness.schedule.options import Options\n"
        "from splitbrain.harness.schedule.plan import write_plan\n"
        "from splitbrain.harness.workloads.catalogue import make_workload\n"
        f"write_plan(draw_plan(Options(time_limit_s=20, rate=100, clients=5), 7, "
        f"make_workload({workload!r}, {{}})), Path(sys.argv[1]))"
    )
    other = tmp_path / "other.json"
    subprocess.run([sys.executable, "-c", code, str(other)], check=True,
                   env={"PYTHONHASHSEED": "99", "PYTHONPATH": "."})
    assert read_plan(other) == plan(7, workload=workload)


def test_another_seed_gives_another_plan() -> None:
    assert plan(1).clients != plan(2).clients


@pytest.mark.parametrize("workload", sorted(OURS))
def test_no_value_is_written_twice_in_a_run(workload: str) -> None:
    values = Counter(
        value for client in plan(workload=workload).clients
        for operation in client.operations for value in written(operation.request)
    )
    assert values
    assert max(values.values()) == 1


@pytest.mark.parametrize("workload", sorted(OURS))
def test_no_branch_of_a_transaction_writes_a_key_twice(workload: str) -> None:
    for client in plan(workload=workload).clients:
        for operation in client.operations:
            if isinstance(operation.request, Txn):
                for branch in (operation.request.success, operation.request.failure):
                    keys = keys_written(branch)
                    assert len(keys) == len(set(keys))


def keys_written(branch: Sequence[Put | Range | Delete | Txn]) -> list[str]:
    """Also by the transactions in it."""
    keys = []
    for one in branch:
        if isinstance(one, Txn):
            keys += keys_written(one.success)
        elif not isinstance(one, Range):
            keys.append(one.key)
    return keys


def test_clients_together_begin_operations_at_the_rate_that_was_asked_for() -> None:
    drawn = plan()
    total = sum(len(client.operations) for client in drawn.clients)
    assert 0.85 * 2000 < total < 1.15 * 2000
    for client in drawn.clients:
        assert sum(operation.think_us for operation in client.operations) < 20_000_000


def test_followers_get_their_share() -> None:
    operations = [one for client in plan().clients for one in client.operations]
    share = sum(one.to_follower for one in operations) / len(operations)
    assert 0.65 < share < 0.75


def test_another_kind_of_fault_shifts_no_operation() -> None:
    without = plan(options=msgspec.structs.replace(SOME, nemesis=()))
    assert without.clients == plan().clients
    assert without.faults == ()
    assert plan().faults


def test_topology_is_drawn_where_it_is_not_given() -> None:
    sizes = {len(plan(seed, msgspec.structs.replace(SOME, rate=1)).members) for seed in range(30)}
    assert sizes == {1, 3, 5}
    given = msgspec.structs.replace(SOME, rate=1, nodes=(5,))
    assert plan(options=given).members == ("n1", "n2", "n3", "n4", "n5")


def test_a_fault_that_the_system_cannot_suffer_is_refused() -> None:
    with pytest.raises(BadArguments, match="does not support the fault 'pause'"):
        draw_plan(SOME, 1, make_workload("kv", {}), capabilities=("kill",))


def test_a_plan_is_read_back(tmp_path: Path) -> None:
    write_plan(plan(), tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan()


@pytest.mark.parametrize(("text", "said"), [
    (None, "no plan at"),
    ("{", "is not a plan"),
    ('{"format": 99}', "of format 99; this Splitbrain runs format 1"),
    ('{"format": 1, "seed": "x"}', "is not a plan"),
])
def test_what_is_no_plan_of_ours_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadArguments, match=said):
        read_plan(path)


def test_a_plan_keeps_its_fields() -> None:
    assert Plan.__struct_fields__ == (
        "seed", "members", "member_seeds", "clients", "faults", "time_limit_ms", "format",
        "leader", "watchers",
    )
