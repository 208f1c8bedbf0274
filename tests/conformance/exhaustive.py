"""`python -m tests.conformance.exhaustive`: our algorithms against all permutations.

Draws small random histories of each object of `small_objects`, and asks of each whether
the search alone, the search with the object's own algorithm, and the trial of every
order agree, and whether a linearization that is told is one. A sample is in
`make test`; a million:

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


def agree(made_of: SmallObject, history: History) -> bool:
    """Raises AssertionError where two ways disagree; whether the history is linearizable."""
    model = made_of.model
    legal = linearizable(model, history)
    expected = CheckResult.OK if legal else CheckResult.ILLEGAL
    alone = check_operations(replace(model, decide=None), history)
    assert alone is expected, f"the search says {alone}, all permutations {expected}: {history}"
    if model.decide is not None:
        decision = model.decide(history)
        assert decision is None or decision.legal is legal, (
            f"the model's own algorithm says {decision}, all permutations {expected}: {history}"
        )
    result, info = check_operations_verbose(model, history)
    assert result is expected
    for part in info.partitions:
        for order in part.partials:
            assert_linearization(made_of, part, order)
    return legal


def assert_linearization(
    made_of: SmallObject, part: PartitionInfo[object, object], order: tuple[int, ...]
) -> None:
    """In agreement with the model and with real time, and whole where the part is legal."""
    ops = part.operations
    state = made_of.model.init()
    for n in order:
        fits, state = made_of.model.step(state, ops[n].input, ops[n].output)
        assert fits, f"{order} is no order of {ops}"
    for place, n in enumerate(order):
        for later in order[place + 1 :]:
            assert not ops[later].ret < ops[n].call, f"{order} breaks real time of {ops}"
    if part.result is CheckResult.OK:
        assert {n for n, op in enumerate(ops) if op.ret != math.inf} <= set(order)


@click.command()
@click.option("--examples", default=10_000, show_default=True, help="Histories in all.")
@click.option("--seed", default=0, show_default=True, help="Decides which.")
@click.option(
    "--of", "names", multiple=True, type=click.Choice(list(OBJECTS)), help="Default: all."
)
def main(examples: int, seed: int, names: tuple[str, ...]) -> None:
    """Exit codes: 0 all agree, 1 some do not (the smallest part that shows it is told)."""
    chosen = names or tuple(OBJECTS)
    agreed = [_run(name, examples // len(chosen), seed) for name in chosen]
    sys.exit(not all(agreed))


def _run(name: str, examples: int, seed: int) -> bool:
    made_of = OBJECTS[name]
    random = stream(seed, "exhaustive", name)
    seen = {True: 0, False: 0}
    decided = 0
    began = time.perf_counter()
    for _ in range(examples):
        history = small_history(random.choice, made_of)
        try:
            seen[agree(made_of, history)] += 1
        except AssertionError:
            history = minimise(history, lambda part: _disagree(made_of, part))
            click.echo(f"{name}: the ways disagree about {history}", err=True)
            return False
        decide = made_of.model.decide
        decided += decide is not None and decide(history) is not None
    click.echo(
        f"{name}: {seen[True]:,} linearizable and {seen[False]:,} not, {decided:,} of them decided "
        f"without a search; all agree ({time.perf_counter() - began:.0f} s)"
    )
    return True


def _disagree(made_of: SmallObject, history: History) -> bool:
    try:
        agree(made_of, history)
    except AssertionError:
        return True
    return False


if __name__ == "__main__":
    main(prog_name="python -m tests.conformance.exhaustive")
