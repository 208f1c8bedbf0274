"""Generated histories are valid, and corrupted ones are invalid."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.harness.synthetic.generator import (
    CannotCorruptError,
    Recipe,
    generate,
    generate_file,
)
from splitbrain.harness.synthetic.kv_corruptions import CORRUPTIONS
from splitbrain.harness.synthetic.workloads import WORKLOADS
from splitbrain.histories.history import History
from splitbrain.histories.sidecar import members_path, read_members

NOT_OF = {
    "register": {
        "compacted-read", "torn-transaction", "wrong-deleted", "past-as-present",
        "stale-transaction", "refused-half-way",
    },
    "set": {
        "compacted-read", "torn-transaction", "wrong-deleted", "past-as-present", "phantom-write",
        "stale-transaction", "refused-half-way",
    },
    "kv": {"compacted-read", "stale-transaction", "refused-half-way"},
    "kv-aged": {"stale-transaction", "refused-half-way"},
}
"""What a workload has no place for."""


def judged(
    workload: str, corrupt: str = "", with_members: bool = True, seed: int = 3
) -> bool | None:
    made = generate(workload, 1000, 16, uncertain=0.05, seed=seed, members=3, corrupt=corrupt)
    members = made.members if with_members else ()
    return check_mvcc(Evidence(History.of(made.events), members)).valid


@pytest.mark.parametrize("with_members", [True, False])
@pytest.mark.parametrize("workload", list(WORKLOADS))
def test_generated_histories_are_valid_with_a_change_log_and_without(
    workload: str, with_members: bool
) -> None:
    assert [judged(workload, "", with_members, seed) for seed in (3, 4)] == [True, True]


@pytest.mark.parametrize("corrupt", list(CORRUPTIONS))
@pytest.mark.parametrize("workload", list(WORKLOADS))
def test_each_corruption_makes_a_history_invalid(workload: str, corrupt: str) -> None:
    if corrupt in NOT_OF.get(workload, ()):
        with pytest.raises(CannotCorruptError, match=f"the corruption {corrupt} is not possible"):
            judged(workload, corrupt)
    else:
        assert judged(workload, corrupt) is False


@pytest.mark.parametrize(
    "corrupt", ["applied-twice", "phantom-write", "failed-write", "compacted-read"]
)
def test_a_corrupted_revision_is_never_compacted(corrupt: str) -> None:
    assert {judged("kv-aged", corrupt, seed=seed) for seed in range(3, 13)} == {False}


def test_a_file_is_read_back_with_the_members_beside_it(tmp_path: Path) -> None:
    recipe = Recipe("kv", 300, 4, seed=7, corrupt="diverged")
    made = generate("kv", 300, 4, seed=7, corrupt="diverged")
    path = tmp_path / "kv.jsonl"
    generate_file(path, recipe)
    assert tuple(History.read(path).events) == made.events
    members = read_members(path)
    assert members == made.members
    assert members[0].changes is members[1].changes
    assert b'"changes_of":"n1"' in members_path(path).read_bytes()
    first = path.read_bytes()
    generate_file(path, recipe)
    assert path.read_bytes() == first
