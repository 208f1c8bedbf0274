"""A covering array contains every possible combination, and no impossible configuration."""

from __future__ import annotations

from itertools import chain, combinations, product

import pytest

from splitbrain.harness.campaign.covering import (
    Configuration,
    check_axes,
    covering_array,
    supports,
)
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.store.campaign_folder import Axes

AXES = Axes(
    systems=("simulated", "python_node", "etcd"), workloads=("kv", "watch", "lease"),
    kinds=("kill", "partition", "power", "clock"), members=(1, 3),
)
Item = tuple[str, object]


def items(one: Configuration) -> frozenset[Item]:
    kinds = [("kind", kind) for kind in one.kinds]
    return frozenset((
        ("system", one.system), ("workload", one.workload), ("members", one.members), *kinds
    ))


def possible(one: Configuration) -> bool:
    return (
        all(supports(one.system, kind) for kind in one.kinds)
        and not (one.members == 1 and {"partition", "latency"} & set(one.kinds))
    )


def all_possible(axes: Axes) -> list[Configuration]:
    sets = chain.from_iterable(combinations(sorted(axes.kinds), size) for size in range(3))
    made = (
        Configuration(system, workload, kinds, members) for kinds, system, workload, members
        in product(tuple(sets), axes.systems, axes.workloads, axes.members)
    )
    return [one for one in made if possible(one)]


@pytest.mark.parametrize("strength", [1, 2])
@pytest.mark.parametrize("salt", ["", "7/3"])
def test_every_possible_combination_of_values_occurs(strength: int, salt: str) -> None:
    axes = Axes(AXES.systems, AXES.workloads, AXES.kinds, AXES.members, strength)
    array = covering_array(axes, salt)
    assert all(possible(one) for one in array)
    expected = {
        frozenset(chosen) for one in all_possible(axes)
        for chosen in combinations(sorted(items(one), key=str), strength)
    }
    missing = [one for one in expected if not any(one <= items(row) for row in array)]
    assert not missing


def test_an_array_is_smaller_than_the_product_and_another_salt_gives_another() -> None:
    array = covering_array(AXES)
    assert len(array) < len(all_possible(AXES)) / 2
    assert array == covering_array(AXES)
    assert set(array) != set(covering_array(AXES, "other"))


@pytest.mark.parametrize("axes", [
    Axes(("simulated",), ("kv",), ("flood",), (3,)),
    Axes(("no-such-system",), ("kv",), (), (3,)),
    Axes(("simulated",), ("no-such-workload",), (), (3,)),
    Axes(("simulated",), ("kv",), (), (0,)),
])
def test_unknown_names_and_impossible_numbers_are_refused(axes: Axes) -> None:
    with pytest.raises(BadArguments):
        check_axes(axes)
