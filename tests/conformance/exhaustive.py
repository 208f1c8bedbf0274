"""Compares the algorithms of `checkers.porcupine` with all permutations of small histories.

The program draws small random histories of each object in `small_objects`. For each history it
checks that three verdicts are equal: that of the search alone, that of the search with the model's
own algorithm, and that of trying every order. It also checks that each linearization in the result
is one. `make test` runs a sample. To run a million histories:

    python -m tests.conformance.exhaustive --examples 1000000
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import replace

import click

from splitbrain.checkers.minimise.delta_debugging import minimise
from splitbrain.checkers.porcupine import (
    CheckResult,
    PartitionInfo,
    check_operations,
    check_operations_verbose,
)
from splitbrain.histories.random_stream import stream
from tests.conformance.small_objects import OBJECTS, History, SmallObject, small_history
from tests.unit.checkers.exhaustive import linearizable


def agree(small_object: SmallObject, history: History) -> bool:
    """Return whether the history is linearizable; raise AssertionError if two verdicts differ."""
    model = small_object.model
    legal = linearizable(model, history)
    expected = CheckResult.OK if legal else CheckResult.ILLEGAL
    alone = check_operations(replace(model, decide=None), history)
    assert alone is expected, f"the search returns {alone}, all permutations {expected}: {history}"
    if model.decide is not None:
        decision = model.decide(history)
        assert decision is None or decision.legal is legal, (
            f"the model's algorithm returns {decision}, all permutations {expected}: {history}"
        )
    result, info = check_operations_verbose(model, history)
    assert result is expected
    for part in info.partitions:
        for order in part.partials:
            assert_linearization(small_object, part, order)
    return legal


def assert_linearization(
    small_object: SmallObject, part: PartitionInfo[object, object], order: tuple[int, ...]
) -> None:
    """Check that `order` agrees with the model and with real time.

    If the part is legal, the order must contain all completed operations.
    """
    ops = part.operations
    state = small_object.model.init()
    for n in order:
        fits, state = small_object.model.step(state, ops[n].input, ops[n].output)
        assert fits, f"{order} contradicts the model: {ops}"
    for position, n in enumerate(order):
        for later in order[position + 1 :]:
            assert not ops[later].ret < ops[n].call, f"{order} contradicts real time: {ops}"
    if part.result is CheckResult.OK:
        assert {n for n, op in enumerate(ops) if op.ret != math.inf} <= set(order)


@click.command()
@click.option(
    "--examples", default=10_000, show_default=True,
    help="The number of histories, divided among the objects.",
)  # fmt: skip
@click.option(
    "--seed", default=0, show_default=True, help="The seed from which the histories are drawn."
)
@click.option(
    "--of", "names", multiple=True, type=click.Choice(list(OBJECTS)),
    help="An object to test; may be given several times.  [default: all]",
)
def main(examples: int, seed: int, names: tuple[str, ...]) -> None:
    """Compare the algorithms on random histories of small objects.

    Exit codes: 0 all verdicts agree, 1 two verdicts differ. The program then prints the smallest
    part of the history for which they differ.
    """
    chosen = names or tuple(OBJECTS)
    agreements = [_run(name, examples // len(chosen), seed) for name in chosen]
    sys.exit(not all(agreements))


def _run(name: str, examples: int, seed: int) -> bool:
    small_object = OBJECTS[name]
    random = stream(seed, "exhaustive", name)
    counts = {True: 0, False: 0}
    decided = 0
    began = time.perf_counter()
    for _ in range(examples):
        history = small_history(random.choice, small_object)
        try:
            counts[agree(small_object, history)] += 1
        except AssertionError:
            history = minimise(history, lambda part: _disagree(small_object, part))
            click.echo(f"{name}: the verdicts differ for {history}", err=True)
            return False
        decide = small_object.model.decide
        decided += decide is not None and decide(history) is not None
    click.echo(
        f"{name}: {counts[True]:,} linearizable and {counts[False]:,} not, {decided:,} of them "
        f"decided without a search; all verdicts agree ({time.perf_counter() - began:.0f} s)"
    )
    return True


def _disagree(small_object: SmallObject, history: History) -> bool:
    try:
        agree(small_object, history)
    except AssertionError:
        return True
    return False


if __name__ == "__main__":
    main(prog_name="python -m tests.conformance.exhaustive")
