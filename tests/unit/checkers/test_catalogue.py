"""All checkers pass a valid run, and delta debugging finds the smallest part that fails."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers import catalogue
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.minimise.delta_debugging import minimise, shortest_prefix
from splitbrain.harness.synthetic.generator import generate
from splitbrain.harness.synthetic.traces import traces_of
from splitbrain.histories.history import History


def test_every_checker_passes_a_valid_run_and_has_a_description() -> None:
    made = generate("register", 1000, seed=1)
    history = History.of(made.events)
    traces = traces_of(history, ("n1", "n2", "n3"))
    verdicts = catalogue.judge(Evidence(history, made.members, traces))
    assert [verdict.checker for verdict in verdicts] == list(catalogue.CHECKERS)
    assert [verdict.valid for verdict in verdicts] == [True] * len(verdicts)
    for name in catalogue.CHECKERS:
        assert catalogue.describe(name).endswith(".")


def test_a_checker_that_raises_is_undecided_with_its_error() -> None:
    made = generate("register", 10, seed=1)
    broken = Evidence(History.of(made.events), search_limit_s="soon")  # type: ignore[arg-type]
    (verdict,) = catalogue.judge(broken, ["linearizable"])
    assert verdict.valid is None
    assert "the checker failed: TypeError" in verdict.why


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=60), st.sets(st.integers(0, 20), max_size=3)
)
def test_the_smallest_part_keeps_what_is_needed_and_no_more(
    items: list[int], needed: set[int]
) -> None:
    wanted = needed & set(items)
    part = minimise(items, lambda kept: wanted <= set(kept))
    assert sorted(part) == sorted(wanted)


def test_with_few_calls_the_part_still_fails() -> None:
    part = minimise(range(1000), lambda kept: 7 in kept and 900 in kept, calls_max=10)
    assert {7, 900} <= set(part)
    assert len(part) < 1000


@given(st.integers(0, 50), st.integers(0, 50))
def test_the_shortest_prefix_is_found_by_halving(length: int, least: int) -> None:
    least = min(least, length)
    assert shortest_prefix(length, lambda n: n >= least) == least
