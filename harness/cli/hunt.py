"""`splitbrain hunt`: runs seed after seed until a run is invalid, in simulation or on real etcd."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from splitbrain.harness.cli.run_options import given, run_options, simulated_alone
from splitbrain.harness.counted import counted
from splitbrain.harness.errors import BadArguments

if TYPE_CHECKING:
    from splitbrain.harness.seeds.seed_runs import SeedResult


OF_ETCD = ("system", "etcd_binary", "member_flags", "client")


@functools.partial(simulated_alone, keep=OF_ETCD)
@click.command("hunt", short_help="Simulate seed after seed until a run is invalid.")
@run_options
@click.option("--budget", default="60", show_default=True, metavar="S",
              help="How long to search, in seconds of wall-clock time, or with a unit, such as"
                   " 40m.")
@click.option("--all", "every", is_flag=True,
              help="With --system etcd: continue after an invalid run, and list each cause once.")
@click.option("--adaptive", is_flag=True,
              help="Choose each run by the conditions that earlier runs reached, instead of running"
                   " the seeds in order.")
def command(budget: str, every: bool, adaptive: bool, **options: Any) -> int:
    """Simulate seed after seed until a run is invalid.

    With --mutant, the members contain a planted bug, and the search ends when a checker
    finds it. Without --mutant, the search is for real bugs of this project's own store. The
    command prints the seed, the time that the search took, the first anomaly, and the command
    that repeats the run.

    The simulation counts conditions that a run reaches, such as an election or a full queue. If
    the planted bug is not found, the command prints the conditions that lead to the bug, and how
    often the runs reached each of them.

    With --adaptive, each run is chosen by the conditions that earlier runs reached. The command
    prefers configurations and schedules that led to a new condition, or to a new combination or
    order of conditions. It prints what it prefers, and saves the schedule of the invalid run in
    STORE/adaptive.

    With --system etcd, the search is for bugs of an unmodified etcd binary. The seed of a run
    selects the workload, its options, the faults and the flags of etcd. With --all, the search
    continues after an invalid run. The cause of an invalid run is a known bug of the tested
    version, or else the kind of its anomaly. Each cause is printed once.

    Ctrl-C ends the search early.

    \b
    Examples:
      splitbrain hunt --mutant vote_not_persisted --budget 60
      splitbrain hunt --mutant torn_tail_left --adaptive
      splitbrain hunt --budget 600
      splitbrain hunt --system etcd --etcd-binary ./etcd --budget 40m --all

    \b
    Exit codes: 1 an invalid run was found, 0 none was found within the budget, 130 Ctrl-C ended
    the search before one was found, 254 bad arguments, 255 the harness failed.
    """
    budget_s = _seconds(budget)
    if options.get("system") not in (None, "simulated"):
        if adaptive or options.get("mutant"):
            raise BadArguments("--adaptive and --mutant need simulation; remove them or --system")
        from splitbrain.harness.cli.hunt_etcd import hunt_etcd

        return hunt_etcd(given(options), budget_s, every=every)
    if every:
        raise BadArguments("--all: needs --system etcd")
    return _hunt_simulated(given(options), budget_s, adaptive=adaptive)


def _hunt_simulated(options: dict[str, Any], budget_s: float, *, adaptive: bool) -> int:
    """Simulate runs until one is invalid, and print the result. Return the exit code."""
    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.drawing.seed import seed_or_drawn
    from splitbrain.harness.exit_codes import EXIT_INTERRUPTED
    from splitbrain.harness.seeds.seed_runs import hunt

    chosen = _with_options_of_mutant({**options, "system": "simulated"})
    first = seed_or_drawn(chosen.pop("seed", None))
    results, describe = _adaptive(first, chosen) if adaptive else _static(first, chosen)
    what = "run" if adaptive else "seed"
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
            found, _, wall_s = hunt(results, budget_s, on_result)
        except KeyboardInterrupt:
            click.echo(f"stopped after {counted(tried, what)} from {first} on: no run was invalid")
            click.echo("".join(f"{line}\n" for line in describe()), nl=False)
            _print_near(chosen.get("mutant", ""), conditions)
            return EXIT_INTERRUPTED
    click.echo(f"{counted(tried, what)} from {first} on, in {wall_s:.1f} s")
    click.echo("".join(f"{line}\n" for line in describe()), nl=False)
    if found is None:
        click.echo("no run was invalid")
        _print_near(chosen.get("mutant", ""), conditions)
        return 0
    _print_found(found, chosen)
    return 1


def _print_found(found: SeedResult, chosen: dict[str, Any]) -> None:
    from splitbrain.harness.schedule.command_line import sim_line

    click.echo(f"seed {found.seed}: {found.simulated_s:.1f} s simulated in {found.wall_s:.2f} s")
    click.echo(f"INVALID by {', '.join(found.found_by)}")
    click.echo(f"  {found.because}")
    click.echo(f"reproduce: {found.reproduce or sim_line(found.seed, chosen)}")


def _seconds(text: str) -> float:
    """Convert the value of --budget to seconds.

    Raises BadArguments unless it is a positive number, with or without a unit.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if not seconds > 0:
        raise BadArguments(f"--budget {text}: expected a number of seconds above 0, or 40m or 2h")
    return seconds


def _with_options_of_mutant(chosen: dict[str, Any]) -> dict[str, Any]:
    """Add the options with which the planted bug is usually searched for.

    The options of the user take precedence.
    """
    from splitbrain.harness.mutants.catalogue import mutant

    return {**mutant(chosen["mutant"]).hunt, **chosen} if chosen.get("mutant") else chosen


Runs = tuple[Iterator["SeedResult"], Callable[[], Iterable[str]]]
"""An endless iterator over the results of runs, and a function that describes what the search
prefers, as lines of text."""


def _static(first: int, chosen: dict[str, Any]) -> Runs:
    from splitbrain.harness.seeds.seed_runs import campaign

    return campaign(itertools.count(first), chosen), tuple


def _adaptive(first: int, chosen: dict[str, Any]) -> Runs:
    from splitbrain.harness.adaptive.adaptive_campaign import adaptive_campaign, saving
    from splitbrain.harness.adaptive.scheduler import AdaptiveScheduler

    scheduler = AdaptiveScheduler(first, chosen)
    return saving(adaptive_campaign(scheduler), chosen, first), scheduler.lines


def _print_near(mutant: str, conditions: Counter[str]) -> None:
    """Print how often the runs reached the conditions that lead to the planted bug `mutant`.

    `conditions` counts how often each condition, such as an election, was reached.
    """
    from splitbrain.harness.seeds.near_conditions import near_lines

    if mutant:
        click.echo("\n".join(near_lines(mutant, conditions)))
