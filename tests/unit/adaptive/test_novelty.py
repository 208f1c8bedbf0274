"""An adaptive campaign knows which conditions, pairs and orders a run reached as the first one."""

from __future__ import annotations

from splitbrain.harness.adaptive.novelty import Novelty, Reached


def test_conditions_pairs_and_orders_are_new_once() -> None:
    reached = Reached()
    assert reached.add({"a": 0.1, "b": 0.2, "c": 0.3}) == Novelty(3, 3, 3)
    assert reached.add({"a": 0.5, "b": 0.6, "c": 0.7}) == Novelty(0, 0, 0)


def test_known_conditions_in_another_order_are_no_new_pair() -> None:
    reached = Reached()
    reached.add({"a": 0.1, "b": 0.2})
    assert reached.add({"a": 0.2, "b": 0.1}) == Novelty(0, 0, 1)
    assert reached.total == Novelty(2, 1, 2)


def test_known_conditions_in_another_combination_are_a_new_pair() -> None:
    reached = Reached()
    reached.add({"a": 0.1})
    reached.add({"b": 0.1})
    assert reached.add({"a": 0.1, "b": 0.2}) == Novelty(0, 1, 1)


def test_conditions_at_the_same_time_are_in_the_order_of_the_mapping() -> None:
    reached = Reached()
    reached.add({"a": 0.0, "b": 0.0})
    assert reached.add({"b": 0.0, "a": 0.0}) == Novelty(0, 0, 1)


def test_a_new_condition_counts_more_than_a_new_order() -> None:
    assert Novelty(1, 0, 0).score > Novelty(0, 1, 0).score > Novelty(0, 0, 1).score
    assert Novelty().score == 0
