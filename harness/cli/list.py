"""`splitbrain list`: what there is to choose from."""

from __future__ import annotations

import click

from splitbrain.nemesis.catalogue import KINDS, FaultKind

WHAT = ("workloads", "nemeses", "systems", "checkers", "mutants", "spoils")


@click.command("list", short_help="List what there is to choose from.")
@click.argument("what", required=False, type=click.Choice(WHAT))
def command(what: str | None) -> int:
    """List workloads, nemeses, systems, checkers, mutants, spoils, or WHAT of them alone."""
    for name in (what,) if what else WHAT:
        click.secho(name, bold=True)
        rows = _rows(name)
        width = max((len(row) for row in rows), default=0)
        for row, text in rows.items():
            click.echo(f"  {row:{width}}  {text}")
        if not rows:
            click.echo("  none here")
    return 0


def _where(kind: FaultKind) -> str:
    if kind.simulated:
        return " (simulated systems only)"
    return " (systems with failpoints only)" if kind.needs_failpoints else ""


def _rows(what: str) -> dict[str, str]:
    if what == "workloads":
        from splitbrain.harness.workloads.catalogue import workloads

        return workloads()
    if what == "nemeses":
        return {kind.name: kind.description + _where(kind) for kind in KINDS.values()}
    if what == "systems":
        from splitbrain.harness.systems.catalogue import systems

        return systems()
    if what == "checkers":
        from splitbrain.checkers.catalogue import CHECKERS

        return {name: _first_line(checker) for name, checker in CHECKERS.items()}
    if what == "spoils":
        from splitbrain.harness.synthetic.append import APPEND_SPOILS
        from splitbrain.harness.synthetic.corruptions import SPOILS

        of_append = {f"append: {name}": kind[0] for name, kind in APPEND_SPOILS.items()}
        return {**{name: kind.describe for name, kind in SPOILS.items()}, **of_append}
    from splitbrain.harness.mutants.catalogue import mutants

    return mutants()


def _first_line(checker: object) -> str:
    return (checker.__doc__ or "").strip().partition("\n")[0]
