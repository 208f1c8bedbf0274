"""`splitbrain hunt`: search seeds in simulation until one is invalid."""

from __future__ import annotations

from typing import Any

import click

from splitbrain.harness.cli.run_options import given, run_options, simulated_alone
from splitbrain.harness.errors import BadArguments


@simulated_alone
@click.command("hunt")
@run_options
@click.option("--budget", default=60.0, show_default=True, metavar="S",
              help="How long to search, in seconds of wall time.")
def command(budget: float, **options: Any) -> int:
    """Search for a seed whose run is invalid.

    With --mutant, a planted bug; without, one of our own. Prints the seed, the time
    that it took, the verdict, and the line that shows it again.

    \b
    Examples:
      splitbrain hunt --mutant vote_not_persisted --budget 60
      splitbrain hunt --budget 600

    \b
    Exit codes: 1 found something invalid, 0 found nothing, 254, 255.
    """
    if not budget > 0:
        raise BadArguments(f"--budget {budget:g}: expected a number of seconds above 0")
    from splitbrain.harness.campaign.campaign import SeedResult, hunt
    from splitbrain.harness.cli.exit_codes import EXIT_INTERRUPTED
    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.drawing.seed import seed_or_drawn
    from splitbrain.harness.schedule.command_line import sim_line

    wanted = {**given(options), "system": "simulated"}
    first = seed_or_drawn(wanted.pop("seed", None))
    tried: list[int] = []
    with Stopping() as stopping:

        def told(result: SeedResult) -> None:
            tried.append(result.seed)
            if result.valid is not False:
                stopping.check()

        try:
            found, _, wall_s = hunt(wanted, budget, first, told)
        except KeyboardInterrupt:
            click.echo(f"stopped after {len(tried)} seeds, from {first} on; none was invalid")
            return EXIT_INTERRUPTED
    click.echo(f"{len(tried)} seeds in {wall_s:.1f} s, from {first} on")
    if found is None:
        click.echo("nothing invalid was found")
        return 0
    click.echo(f"seed {found.seed}: {found.simulated_s:.1f} s simulated in {found.wall_s:.2f} s")
    click.echo(f"INVALID by {', '.join(found.found_by)}")
    click.echo(f"  {found.because}")
    click.echo(f"reproduce: {sim_line(found.seed, wanted)}")
    return 1
