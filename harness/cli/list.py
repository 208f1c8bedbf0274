"""`splitbrain list`: lists the names that the options of other commands accept."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping

import click

from splitbrain.harness.schedule.options import FAULT_ENTRY_POINTS
from splitbrain.harness.user_classes import entry_points_of, origin_of
from splitbrain.nemesis.fault_kinds import KINDS, FaultKind

Row = tuple[str, str]
"""A name as the user types it after the option, and its description."""


def _workloads() -> Iterable[Row]:
    from splitbrain.harness.workloads.catalogue import BUILT_IN, workloads

    return _with_options(workloads(), BUILT_IN)


def _store_workloads() -> Iterable[Row]:
    from splitbrain.harness.workloads.any_store.catalogue import BUILT_IN, store_workloads

    return _with_options(store_workloads(), BUILT_IN)


def _with_options(workloads: Mapping[str, str], kinds: Mapping[str, type]) -> Iterable[Row]:
    """Yield a row for each workload, with its options and their default values.

    Only the workloads in `kinds`, which maps a name to a class, have options. `workloads` maps each
    name to its description.
    """
    for name, description in workloads.items():
        parameters = inspect.signature(kinds[name]).parameters if name in kinds else {}
        options = [f"-o {one.name}={one.default}" for one in parameters.values()]
        yield name, f"{description} ({', '.join(options)})" if options else description


def _store_checkers() -> Iterable[Row]:
    from splitbrain.checkers.foreign.log_checkers import LOG_CHECKERS

    for name, checker in LOG_CHECKERS.items():
        yield name, (checker.__doc__ or "").partition("\n")[0].rstrip(".")


def _nemeses() -> Iterable[Row]:
    for kind in KINDS.values():
        yield kind.name, kind.description + _restriction(kind)
    for name, point in entry_points_of(FAULT_ENTRY_POINTS).items():
        if name not in KINDS:
            yield name, origin_of(point)


def _restriction(kind: FaultKind) -> str:
    limits = ["systems with failpoints only"] if kind.needs_failpoints else []
    if kind.processes_only:
        limits = ["real processes only"]
    if kind.requires:
        limits.append(f"real processes need {kind.requires}")
    if (why := kind.missing()):
        limits.append(f"not on this machine: {why}")
    return f" ({'; '.join(limits)})" if limits else ""


def _systems() -> Iterable[Row]:
    from splitbrain.harness.systems.catalogue import systems

    return systems().items()


def _checkers() -> Iterable[Row]:
    from splitbrain.checkers.catalogue import CHECKERS, describe

    return ((name, describe(name)) for name in CHECKERS)


def _mutants() -> Iterable[Row]:
    from splitbrain.harness.mutants.catalogue import mutants

    return mutants().items()


def _known_bugs() -> Iterable[Row]:
    from splitbrain.harness.known_bugs.catalogue import known_bugs

    for bug in known_bugs().values():
        yield bug.id, f"{bug.title} ({' or '.join(bug.affected)})"


def _corruptions() -> Iterable[Row]:
    from splitbrain.harness.synthetic.kv_corruptions import CORRUPTIONS
    from splitbrain.harness.synthetic.transaction_corruptions import APPEND_CORRUPTIONS
    from splitbrain.harness.synthetic.workloads import WORKLOADS

    for name, corruption in CORRUPTIONS.items():
        yield name, f"{corruption.description} (--workload {', '.join(WORKLOADS)})"
    for name, (description, _, _) in APPEND_CORRUPTIONS.items():
        yield name, f"{description} (--workload append)"


SECTIONS: dict[str, tuple[str, Callable[[], Iterable[Row]]]] = {
    "workloads": ("run --workload", _workloads),
    "nemeses": ("run --nemesis", _nemeses),
    "systems": ("run --system", _systems),
    "checkers": ("check --checker", _checkers),
    "store-workloads": ("run --workload", _store_workloads),
    "store-checkers": ("run --checker", _store_checkers),
    "mutants": ("run --mutant", _mutants),
    "known-bugs": ("run --known", _known_bugs),
    "corruptions": ("generate --corrupt", _corruptions),
}
"""Maps the title of a section to the option that accepts its names, and to the function that yields
its rows."""

NOTES = {"store-workloads": ", with --client", "store-checkers": ", with --client"}
"""Maps a section whose names need a further option to a text about this option. The text is added
to the title of the section."""

FORMER_NAMES = {"spoils": "corruptions"}
"""Old names of sections, with their present names. They are accepted, but not shown."""


class SectionName(click.Choice[str]):
    """The type of the argument SECTION. It also accepts the former titles of sections."""

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        return super().convert(FORMER_NAMES.get(value, value), param, ctx)


@click.command("list", short_help="List the names that options take.")
@click.argument("section", required=False, metavar="[SECTION]", type=SectionName(tuple(SECTIONS)))
def command(section: str | None) -> int:
    """List workloads, nemeses, systems, checkers, mutants, known bugs and corruptions, or one
    SECTION alone.

    The title of each section is followed by the option that accepts its names. The option accepts
    each name exactly as it is printed.
    """
    for title in (section,) if section else SECTIONS:
        option, rows_of = SECTIONS[title]
        click.secho(f"{title} ({option}{NOTES.get(title, '')})", bold=True)
        rows = list(rows_of())
        width = max((len(name) for name, _ in rows), default=0)
        for name, description in rows:
            click.echo(f"  {name:{width}}  {description}")
        if not rows:
            click.echo("  (no names)")
    return 0
