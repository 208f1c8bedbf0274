"""`splitbrain hunt`: simulates seed after seed until a run is invalid."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from splitbrain.harness.cli.run_options import given, run_options, simulated_alone
from splitbrain.harness.errors import BadArguments


@simulated_alone
@click.command("hunt", short_help="Simulate seed after seed until a run is invalid.")
@run_options
@click.option("--budget", default=60.0, show_default=True, metavar="S",
              help="How long to search, in seconds of wall-clock time.")
def command(budget: float, **options: Any) -> int:
    """Simulate seed after seed until a run is invalid.

    With --mutant, the members contain a planted bug, and the search ends when a checker
    finds it. Without --mutant, the search is for real bugs of this project's own store. The
    command prints the seed, the time that the search took, the first anomaly, and the command
    that repeats the run.

    If the planted bug is not found, the command prints conditions that are related to the
    bug, such as an election or a full queue, and how often the runs reached each of them.

    Ctrl-C ends the search early.

    \b
    Examples:
      splitbrain hunt --mutant vote_not_persisted --budget 60
      splitbrain hunt --budget 600

    \b
    Exit codes: 1 an invalid run was found, 0 none was found within the budget, 130 Ctrl-C ended
    the search before one was found, 254 bad arguments, 255 the harness failed.
    """
    if not budget > 0:
        raise BadArguments(f"--budget {budget:g}: expected a number of seconds above 0")
    from splitbrain.harness.campaign.campaign import SeedResult, hunt
    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.drawing.seed import seed_or_drawn
    from splitbrain.harness.exit_codes import EXIT_INTERRUPTED
    from splitbrain.harness.schedule.command_line import sim_line

    chosen = {**given(options), "system": "simulated"}
    first = seed_or_drawn(chosen.pop("seed", None))
    tried: list[int] = []
    conditions: Counter[str] = Counter()
    with Stopping() as stopping:

        def on_result(result: SeedResult) -> None:
            tried.append(result.seed)
            conditions.update(result.conditions)
            if result.valid is not False:
                stopping.check()

        try:
            found, _, wall_s = hunt(chosen, budget, first, on_result)
        except KeyboardInterrupt:
            click.echo(f"stopped after {len(tried)} seeds from {first} on: no run was invalid")
            _print_near(chosen.get("mutant", ""), conditions)
            return EXIT_INTERRUPTED
    click.echo(f"{len(tried)} seeds from {first} on, in {wall_s:.1f} s")
    if found is None:
        click.echo("no run was invalid")
        _print_near(chosen.get("mutant", ""), conditions)
        return 0
    click.echo(f"seed {found.seed}: {found.simulated_s:.1f} s simulated in {found.wall_s:.2f} s")
    click.echo(f"INVALID by {', '.join(found.found_by)}")
    click.echo(f"  {found.because}")
    click.echo(f"reproduce: {sim_line(found.seed, chosen)}")
    return 1


def _print_near(mutant: str, conditions: Counter[str]) -> None:
    """Print how often the runs reached the conditions related to the planted bug `mutant`."""
    from splitbrain.harness.campaign.near_conditions import near_lines

    if mutant:
        click.echo("\n".join(near_lines(mutant, conditions)))
