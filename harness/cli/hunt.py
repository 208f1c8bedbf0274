"""`splitbrain hunt`: simulates seed after seed until a run is invalid."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from splitbrain.harness.cli.run_options import given, run_options, simulated_alone
from splitbrain.harness.errors import BadArguments

if TYPE_CHECKING:
    from splitbrain.harness.seeds.seed_runs import SeedResult


@simulated_alone
@click.command("hunt", short_help="Simulate seed after seed until a run is invalid.")
@run_options
@click.option("--budget", default=60.0, show_default=True, metavar="S",
              help="How long to search, in seconds of wall-clock time.")
@click.option("--adaptive", is_flag=True,
              help="Choose each run by what the earlier runs reached, instead of running the seeds"
                   " in order.")
def command(budget: float, adaptive: bool, **options: Any) -> int:
    """Simulate seed after seed until a run is invalid.

    With --mutant, the members contain a planted bug, and the search ends when a checker
    finds it. Without --mutant, the search is for real bugs of this project's own store. The
    command prints the seed, the time that the search took, the first anomaly, and the command
    that repeats the run.

    If the planted bug is not found, the command prints conditions that are related to the
    bug, such as an election or a full queue, and how often the runs reached each of them.

    With --adaptive, the search prefers configurations and schedules that reached new
    conditions, or known conditions in new combinations and orders, and prints what it
    prefers. It saves the schedule of the invalid run in STORE/adaptive.

    Ctrl-C ends the search early.

    \b
    Examples:
      splitbrain hunt --mutant vote_not_persisted --budget 60
      splitbrain hunt --mutant torn_tail_left --adaptive
      splitbrain hunt --budget 600

    \b
    Exit codes: 1 an invalid run was found, 0 none was found within the budget, 130 Ctrl-C ended
    the search before one was found, 254 bad arguments, 255 the harness failed.
    """
    if not budget > 0:
        raise BadArguments(f"--budget {budget:g}: expected a number of seconds above 0")
    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.drawing.seed import seed_or_drawn
    from splitbrain.harness.exit_codes import EXIT_INTERRUPTED
    from splitbrain.harness.schedule.command_line import sim_line
    from splitbrain.harness.seeds.seed_runs import hunt

    chosen = _with_options_of_mutant({**given(options), "system": "simulated"})
    first = seed_or_drawn(chosen.pop("seed", None))
    results, describe = _adaptive(first, chosen) if adaptive else _static(first, chosen)
    what = "runs" if adaptive else "seeds"
    tried = 0
    conditions: Counter[str] = Counter()
    with Stopping() as stopping:

        def on_result(result: SeedResult) -> None:
            nonlocal tried
            tried += 1
            conditions.update(result.conditions)
            if result.valid is not False:
                stopping.check()

        try:
            found, _, wall_s = hunt(results, budget, on_result)
        except KeyboardInterrupt:
            click.echo(f"stopped after {tried} {what} from {first} on: no run was invalid")
            click.echo("".join(f"{line}\n" for line in describe()), nl=False)
            _print_near(chosen.get("mutant", ""), conditions)
            return EXIT_INTERRUPTED
    click.echo(f"{tried} {what} from {first} on, in {wall_s:.1f} s")
    click.echo("".join(f"{line}\n" for line in describe()), nl=False)
    if found is None:
        click.echo("no run was invalid")
        _print_near(chosen.get("mutant", ""), conditions)
        return 0
    click.echo(f"seed {found.seed}: {found.simulated_s:.1f} s simulated in {found.wall_s:.2f} s")
    click.echo(f"INVALID by {', '.join(found.found_by)}")
    click.echo(f"  {found.because}")
    click.echo(f"reproduce: {found.reproduce or sim_line(found.seed, chosen)}")
    return 1


def _with_options_of_mutant(chosen: dict[str, Any]) -> dict[str, Any]:
    """Add the options with which the planted bug is hunted. Given options have precedence."""
    from splitbrain.harness.mutants.catalogue import mutant

    return {**mutant(chosen["mutant"]).hunt, **chosen} if chosen.get("mutant") else chosen


Runs = tuple[Iterator["SeedResult"], Callable[[], Iterable[str]]]
"""The results of runs without end, and a function that describes what the search prefers."""


def _static(first: int, chosen: dict[str, Any]) -> Runs:
    from splitbrain.harness.seeds.seed_runs import campaign

    return campaign(itertools.count(first), chosen), tuple


def _adaptive(first: int, chosen: dict[str, Any]) -> Runs:
    from splitbrain.harness.adaptive.runs import adaptive_campaign, saving
    from splitbrain.harness.adaptive.scheduler import AdaptiveScheduler

    scheduler = AdaptiveScheduler(first, chosen)
    return saving(adaptive_campaign(scheduler), chosen, first), scheduler.lines


def _print_near(mutant: str, conditions: Counter[str]) -> None:
    """Print how often the runs reached the conditions related to the planted bug `mutant`."""
    from splitbrain.harness.seeds.near_conditions import near_lines

    if mutant:
        click.echo("\n".join(near_lines(mutant, conditions)))
