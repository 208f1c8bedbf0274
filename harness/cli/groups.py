"""`splitbrain groups`: lists, accepts and renames the groups of failures in a store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from splitbrain.harness.cli.runs import store_folder, store_option
from splitbrain.harness.counted import counted


@click.group("groups", short_help="List failures by their probable cause, and accept known ones.",
             invoke_without_command=True)
@click.option("--all", "accepted_too", is_flag=True, help="List accepted groups, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@click.pass_context
def command(
    context: click.Context, /, accepted_too: bool, as_json: bool, store: Path | None
) -> int:
    """List the groups of failures, how often they occurred, and their smallest schedules.

    Campaigns put failures that probably have the same cause into one group. For each failure, the
    campaign takes one anomaly, from the checker nearest to the cause. Two failures are in one
    group if the sentences of their anomalies differ only in names and values. Groups whose
    smallest schedules show the same sentence are joined.

    \b
    Examples:
      splitbrain groups
      splitbrain groups accept mvcc-wrong-answer-a8f0 --reason "issue 12" --until 2027-01-31
      splitbrain groups corpus mvcc-wrong-answer-a8f0

    \b
    Exit codes: 0 done, 254 bad arguments, 255 the harness failed.
    """
    if context.invoked_subcommand is not None:
        return 0
    from splitbrain.harness.store.failure_groups import Groups

    folder = store_folder(store)
    groups = Groups(folder)
    found = [one for one in groups.all() if accepted_too or not one.known()]
    if as_json:
        import msgspec

        rows = [_as_json(folder, groups, one) for one in found]
        click.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return 0
    hidden = len(groups.all()) - len(found)
    click.echo(counted(len(found), "group") + (f", and {hidden} accepted" if hidden else ""))
    counts = _counts(folder)
    for one in found:
        click.echo("\n".join(_lines(groups, one, counts.get(one.name))))
    return 0


@command.command("accept", short_help="Accept a group as known, until a day.")
@click.argument("name")
@click.option("--reason", required=True, metavar="TEXT", help="Why the failures are accepted.")
@click.option("--until", required=True, metavar="DAY",
              help="The last day, as YYYY-MM-DD. After this day, the failures make "
                   "campaigns invalid again.")
@store_option
def accept(name: str, reason: str, until: str, store: Path | None) -> int:
    """Accept the group NAME as known: until DAY, its failures do not make a campaign invalid.

    \b
    Exit codes: 0 done, 254 bad arguments, 255 the harness failed.
    """
    import msgspec

    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.store.failure_groups import Acceptance, Groups

    now = datetime.now(UTC)
    acceptance = Acceptance(reason.strip(), until, now.isoformat(timespec="seconds"))
    try:
        holds = acceptance.holds(now.date())
    except ValueError:
        raise BadArguments(f"--until {until}: expected a day, such as 2027-01-31") from None
    if not holds or not acceptance.reason:
        raise BadArguments(f"--until {until} --reason {reason!r}: expected a day that has not "
                           "passed, and a reason")
    groups = Groups(store_folder(store))
    groups.save(msgspec.structs.replace(groups.named(name), accepted=acceptance))
    click.echo(f"{name} is accepted until {until}: {acceptance.reason}")
    return 0


@command.command("reopen", short_help="Withdraw the acceptance of a group.")
@click.argument("name")
@store_option
def reopen(name: str, store: Path | None) -> int:
    """Withdraw the acceptance of the group NAME: its failures make campaigns invalid again.

    \b
    Exit codes: 0 done, 254 bad arguments, 255 the harness failed.
    """
    import msgspec

    from splitbrain.harness.store.failure_groups import Groups

    groups = Groups(store_folder(store))
    groups.save(msgspec.structs.replace(groups.named(name), accepted=None))
    click.echo(f"{name} is open")
    return 0


@command.command("rename", short_help="Give a group another name.")
@click.argument("name")
@click.argument("new")
@store_option
def rename(name: str, new: str, store: Path | None) -> int:
    """Rename the group NAME to NEW, for example to the name of the bug.

    \b
    Exit codes: 0 done, 254 bad arguments, 255 the harness failed.
    """
    from splitbrain.harness.store.database.database import open_database, rename_group
    from splitbrain.harness.store.failure_groups import Groups

    folder = store_folder(store)
    Groups(folder).rename(name, new)
    with open_database(folder) as connection:
        rename_group(connection, name, new)
    click.echo(f"{name} is now {new}")
    return 0


@command.command("corpus", short_help="Put the smallest schedule of a group into the corpus.")
@click.argument("name")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path),
              default=Path("histories/corpus"), show_default=True,
              help="The folder of saved runs.")
@store_option
def corpus(name: str, folder: Path, store: Path | None) -> int:
    """Save the smallest schedule of the group NAME in the corpus, a folder of saved runs.

    Campaigns and the pytest plugin repeat the saved runs before all other runs.

    \b
    Exit codes: 0 saved, 254 bad arguments or the group was not shrunk, 255 the harness failed.
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.failures.corpus import add_to_corpus
    from splitbrain.harness.schedule.command_line import shown
    from splitbrain.harness.schedule.text import read_schedule
    from splitbrain.harness.store.failure_groups import Groups

    groups = Groups(store_folder(store))
    group = groups.named(name)
    file = groups.schedule_file(group)
    if not file.is_file():
        raise BadArguments(f"{name} has no shrunk schedule; to save one of its runs: splitbrain "
                           f"corpus add RUN. A run of the group: {group.reproduce}")
    for saved in add_to_corpus(read_schedule(file), folder, name, group.because):
        click.echo(f"saved: {shown(saved.resolve())}")
    return 0


def _counts(folder: Path) -> dict[str, Any]:
    from splitbrain.harness.store.database.database import group_counts, open_database

    with open_database(folder) as connection:
        return dict(group_counts(connection))


def _as_json(folder: Path, groups: Any, group: Any) -> dict[str, Any]:
    import msgspec

    count = _counts(folder).get(group.name)
    file = groups.schedule_file(group)
    return {
        **msgspec.to_builtins(group),
        "runs": count.runs if count else 0,
        "last": count.last if count else group.first,
        "schedule": str(file) if file.is_file() else "",
    }


def _lines(groups: Any, group: Any, count: Any) -> list[str]:
    from splitbrain.harness.schedule.command_line import shown

    came = f"since {_day(group.first)}"
    if count:
        came = f"{counted(count.runs, 'run')} from {_day(count.first)} to {_day(count.last)}"
    lines = [f"{click.style(group.name, bold=True)}: {came}", f"    {group.because}"]
    if group.accepted:
        word = "accepted" if group.known() else "was accepted"
        lines.append(f"    {word} until {group.accepted.until}: {group.accepted.reason}")
    if group.shape:
        shape = group.shape
        lines.append(
            f"    smallest: {counted(shape.members, 'member')}, "
            f"{counted(len(shape.faults), 'fault')}, {counted(len(shape.functions), 'operation')}"
            f"{'' if shape.minimal else ' (not minimal)'}"
        )
    file = groups.schedule_file(group)
    command = f"splitbrain sim --schedule {shown(file)}" if file.is_file() else group.reproduce
    return [*lines, f"    {command}"]


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
