"""Tests of `splitbrain.checkers.mvcc.refuted_choices`, and of the search that uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.checkers.mvcc.refuted_choices import (
    EVERYTHING,
    NOTHING,
    Branch,
    Candidate,
    Dependence,
    KeySets,
    Refutations,
    on_all_fields,
    on_versions,
)
from splitbrain.harness.synthetic.generator import Recipe, generate_file
from splitbrain.histories.history import History
from splitbrain.histories.kv import Compare, Delete, KeyValue, Put, Range, Txn
from splitbrain.histories.sidecar import read_members

SETS = KeySets(["a", "b", "c"])
A, B, C = (SETS.of(key) for key in "abc")


def _refutations() -> Refutations:
    return Refutations(gap=4, sets=SETS, shows=lambda kv: kv.value == "shown", taints=lambda _: 1)


def _put(key: str, value: str = "1", version: int = 1) -> KeyValue:
    return KeyValue(key, value, create_revision=5, mod_revision=5, version=version)


def test_intervals_and_unknown_keys() -> None:
    assert SETS.of("a", "c") == A | B
    assert SETS.of("b", "\0") == B | C
    assert SETS.of("x") == 0
    assert SETS.listed(A | C) == ("a", "c")


def test_what_an_answer_depends_on() -> None:
    assert SETS.concerned(Range("a", "c")) == on_all_fields(A | B)
    assert SETS.concerned(Range("a", "c", count_only=True)) == on_versions(A | B)
    assert SETS.concerned(Delete("b")) == on_versions(B)
    assert SETS.concerned(Delete("b", prev_kv=True)) == on_all_fields(B)
    swap = Txn((Compare("a", "version", "=", 1),), (Put("b", "1"),), (Range("c"),))
    assert SETS.concerned(swap) == Dependence(A | B | C, C)
    past = Txn((), (Range("c", revision=3),), ())
    assert SETS.concerned(past) == EVERYTHING


def test_a_candidate_with_equal_changes_to_the_keys_of_a_conflict_is_refuted() -> None:
    known = _refutations()
    known.add([_put("a")], gaps=3, on=on_all_fields(A), users=0)
    assert known.refute([_put("a", "2"), _put("b")]), "no answer shows the two values"
    assert not known.refute([_put("a", "shown")])
    assert not known.refute([_put("a", version=2)])
    assert not known.refute([_put("b")])
    assert not known.refute_writes(B), "the failed candidate changed the key of the conflict"


def test_values_do_not_matter_if_the_conflict_depends_only_on_versions() -> None:
    known = _refutations()
    known.add([_put("a")], gaps=3, on=on_versions(A), users=0)
    assert known.refute([_put("a", "shown")])
    assert not known.refute([_put("a", version=2)])


def test_candidates_that_leave_the_keys_of_a_conflict_alone_are_refuted() -> None:
    known = _refutations()
    known.add([_put("b")], gaps=3, on=on_all_fields(A), users=0)
    assert known.refute_writes(B | C)
    assert not known.refute_writes(A)
    assert known.refute(["c"])


def test_a_conflict_about_used_writes_refutes_nothing_at_the_gap_that_uses_them() -> None:
    known = _refutations()
    known.add([_put("a")], gaps=7, on=on_all_fields(A), users=4)
    assert not known.refute([_put("a")])
    known.add([_put("a")], gaps=3, on=on_all_fields(A), users=2)
    assert known.refute([_put("a")])
    assert known.users == 6


def test_the_new_conflict_depends_on_comparisons_of_branches_that_are_not_refuted() -> None:
    def branches(made: KeyValue, because_of: Dependence | None) -> Candidate:
        return Candidate(A | B, A | B | C, lambda: iter([Branch([made], because_of)]))

    known = _refutations()
    known.add([_put("b")], gaps=2, on=on_all_fields(A), users=0)
    for harmless in (
        branches(_put("b"), None), branches(_put("a"), NOTHING), Candidate(B, C, None)
    ):
        known.consider(harmless)
    known.finish()
    assert (known.on, known.gaps) == (on_all_fields(A), 2 | 1)

    known.consider(branches(_put("a"), on_versions(B)))
    known.finish()
    assert known.on == Dependence(A | B, A)

    known.consider(branches(_put("a"), None))
    known.finish()
    assert known.on == on_all_fields(A | B | C)


def test_a_candidate_without_a_write_names_the_gaps_that_use_its_writes() -> None:
    known = _refutations()
    known.add([_put("b")], gaps=0, on=on_all_fields(A), users=0)
    known.consider(Candidate(B, B, None))
    known.use_up([_put("b")], users=2)
    known.finish()
    assert known.users == 0, "the candidate is refuted, so that a write would not help"
    known.consider(Candidate(A, A, None))
    known.use_up([_put("a")], users=2)
    known.finish()
    assert known.users == 2


@pytest.mark.parametrize(
    ("operations", "clients", "uncertain", "seed"),
    [(4000, 32, 0.1, 1), (4000, 32, 0.1, 2), (3000, 64, 0.2, 2)],
)
def test_a_long_history_without_a_change_log_is_decided(
    tmp_path: Path, operations: int, clients: int, uncertain: float, seed: int
) -> None:
    path = tmp_path / "kv.jsonl"
    recipe = Recipe(
        "kv", operations, clients, uncertain=uncertain, failing=0.0, seed=seed, members=0
    )
    generate_file(path, recipe)
    verdict = check_mvcc(Evidence(History.read(path), read_members(path)))
    assert verdict.valid is True, verdict.why
